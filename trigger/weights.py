"""Weights of jets in training: no class and no region of phase space counts more.

Simulated classes come with their own spectra: a network that sees a pT or eta that only
one class has learns the generator's choices instead of the jet.  This module owns the
weights that undo it, and that they are fitted on training jets alone: a `Reweighting`
is made once, stored, and applied to any part.

Conventions
-----------
- pT is in GeV, eta is a pure number; bins are half-open, the last bin is closed.
- What lies outside the edges counts in the nearest bin.
- A label is an index into `classes`.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import hist
import numpy as np
from jaxtyping import Float, Float64, Int64

from trigger.errors import UserError, nearest

FLAT = "flat"
FORMAT, VERSION = "jetlut-reweighting", 1
_TUPLES = (
    "classes",
    "pt_edges",
    "eta_edges",
    "empty",
    "capped",
    "jets",
    "effective",
)


def class_weights(
    label: Int64[np.ndarray, " jets"], classes: Sequence[str]
) -> Float64[np.ndarray, " jets"]:
    """A weight per jet: the same total for each class, one on average.

    Args:
        label: Class of each jet, an index into `classes`.
        classes: Names of the classes.

    Raises:
        UserError: A class has no jets, so that no weight can give it its share; or a
            label is no index into `classes`.
    """
    counts = _count(label, classes)
    return (len(label) / (len(classes) * counts))[label]


@final
@dataclass(frozen=True, eq=False)
class Reweighting:
    r"""Per class, a ratio of two histograms in (pT, eta).

    .. math:: w_c(b) = \frac{r_b / \sum r}{n_{cb} / n_c}

    with :math:`n_{cb}` training jets of class c in bin b and the reference r.  In every
    bin that a class populates its weighted share is the reference's, so that in no such
    bin pT and eta tell anything about the class.  A class without jets in a bin cannot
    be weighted there: its weight is zero, its total lacks the reference's share of
    the bin, and `empty` counts such bins.

    Attributes:
        classes: Names of the classes.
        reference: The class whose spectrum all get, or `flat`: the same for each bin in
            which any class has jets.
        pt_edges: Edges of the bins in pT, GeV.
        eta_edges: Edges of the bins in eta.
        ratio: The weight of each bin.
        empty: Bins where the reference has jets and the class has none, by class.
        capped: Bins whose ratio was cut to the cap, by class.
        jets: Training jets, by class.
        effective: Effective number of training jets, by class: of so many jets of equal
            weight would a sum have the same relative error.

    Reference:
        L. Kish, "Survey Sampling", Wiley 1965, section 11.7, for the effective number
        :math:`(\sum w)^2 / \sum w^2`.
    """

    classes: tuple[str, ...]
    reference: str
    pt_edges: tuple[float, ...]
    eta_edges: tuple[float, ...]
    ratio: Float64[np.ndarray, "classes pt_bins eta_bins"]
    empty: tuple[int, ...]
    capped: tuple[int, ...]
    jets: tuple[int, ...]
    effective: tuple[float, ...]

    def weights(
        self,
        pt: Float[np.ndarray, " jets"],
        eta: Float[np.ndarray, " jets"],
        label: Int64[np.ndarray, " jets"],
    ) -> Float64[np.ndarray, " jets"]:
        """The weight of each jet.

        Raises:
            UserError: pT or eta is NaN, or a label is no index into the classes.
        """
        _check_labels(label, self.classes)
        pt_axis, eta_axis = _axes(self.pt_edges, self.eta_edges)
        return self.ratio[
            label,
            pt_axis.index(_inside(pt, self.pt_edges, "pT")),
            eta_axis.index(_inside(eta, self.eta_edges, "eta")),
        ]


def fit_reweighting(
    pt: Float[np.ndarray, " jets"],
    eta: Float[np.ndarray, " jets"],
    label: Int64[np.ndarray, " jets"],
    *,
    classes: Sequence[str],
    reference: str,
    pt_edges: Sequence[float],
    eta_edges: Sequence[float],
    cap: float = math.inf,
) -> Reweighting:
    """Fits a reweighting on training jets; give it no others.

    Args:
        pt: Transverse momentum of each jet, GeV.
        eta: Pseudorapidity of each jet.
        label: Class of each jet, an index into `classes`.
        classes: Names of the classes.
        reference: The class that the others are made alike, or `flat`.
        pt_edges: Increasing edges of the bins in pT, GeV.
        eta_edges: Increasing edges of the bins in eta.
        cap: The largest weight.  A few jets of a thin bin with large weights carry
            their own fluctuations into the network; what a cap cuts off is missing from
            the spectrum.

    Raises:
        UserError: A class has no jets, or none in the bins of the reference; the
            reference is no class, edges do not increase, pT or eta is NaN, or the cap
            is not positive.
    """
    jets = _count(label, classes)
    if reference != FLAT and reference not in classes:
        raise UserError(
            f"the reference of a reweighting is a class or {FLAT!r}, got "
            f"{reference!r}; the most alike are {nearest(reference, (*classes, FLAT))}"
        )
    if not cap > 0:
        raise UserError(f"the cap of the weights must be above zero, got {cap}")
    pt_axis, eta_axis = _axes(pt_edges, eta_edges)
    spectra = hist.Hist(
        hist.axis.Integer(0, len(classes), overflow=False, underflow=False),
        pt_axis,
        eta_axis,
    )
    spectra.fill(label, _inside(pt, pt_edges, "pT"), _inside(eta, eta_edges, "eta"))
    counts = spectra.values()
    if reference == FLAT:
        target = (counts.sum(axis=0) > 0).astype(np.float64)
    else:
        target = counts[list(classes).index(reference)]
    share = counts / jets[:, None, None]
    full = np.zeros_like(counts)
    np.divide(target / target.sum(), share, out=full, where=counts > 0)
    ratio = np.minimum(full, cap)
    first, second = ((counts * ratio**power).sum(axis=(1, 2)) for power in (1, 2))
    lost = [name for name, sum_ in zip(classes, first, strict=True) if not sum_]
    if lost:
        raise UserError(
            f"class {', '.join(lost)} has no jets in any bin of the reference "
            f"{reference!r}, so that none of them could get a weight; choose another "
            "reference or wider bins"
        )
    effective = first**2 / second
    return Reweighting(
        classes=tuple(classes),
        reference=reference,
        pt_edges=tuple(float(edge) for edge in pt_edges),
        eta_edges=tuple(float(edge) for edge in eta_edges),
        ratio=ratio,
        empty=_whole(((counts == 0) & (target > 0)).sum(axis=(1, 2))),
        capped=_whole((full > cap).sum(axis=(1, 2))),
        jets=_whole(jets),
        effective=tuple(float(number) for number in effective),
    )


def to_json(reweighting: Reweighting) -> str:
    """A text from which `from_json` makes the same weights, to the last bit."""
    document = {"format": FORMAT, "version": VERSION, **vars(reweighting)}
    document["ratio"] = reweighting.ratio.tolist()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Reweighting:
    """The inverse of `to_json`.

    Raises:
        UserError: The text is not JSON, no reweighting, of another version, or its
            parts do not fit together.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"the reweighting is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UserError(f"not a reweighting: its format should be {FORMAT!r}")
    if document.get("version") != VERSION:
        raise UserError(
            f"the reweighting is of version {document.get('version')!r}, this program "
            f"reads version {VERSION}; fit it again"
        )
    try:
        result = Reweighting(
            reference=str(document["reference"]),
            ratio=np.array(document["ratio"], np.float64),
            **{name: tuple(document[name]) for name in _TUPLES},
        )
        shape = (
            len(result.classes),
            len(result.pt_edges) - 1,
            len(result.eta_edges) - 1,
        )
        if result.ratio.shape != shape:
            raise ValueError(f"ratio is of shape {result.ratio.shape}, not {shape}")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the reweighting lacks a part or has a wrong one ({error}); fit it again"
        ) from error
    return result


def _axes(pt_edges: Sequence[float], eta_edges: Sequence[float]) -> tuple[Any, Any]:
    axes = []
    for name, edges in (("pT", pt_edges), ("eta", eta_edges)):
        finite = np.isfinite(edges).all()
        if len(edges) < 2 or not finite or not (np.diff(edges) > 0).all():
            raise UserError(
                f"the edges of the bins in {name} must be two or more finite numbers "
                f"that increase, got {tuple(edges)}"
            )
        axes.append(hist.axis.Variable(edges, overflow=False, underflow=False))
    return axes[0], axes[1]


def _inside(
    values: Float[np.ndarray, " jets"], edges: Sequence[float], name: str
) -> Float64[np.ndarray, " jets"]:
    """Values moved into the nearest bin."""
    bad = np.flatnonzero(np.isnan(values))
    if bad.size:
        raise UserError(
            f"{name} of jet {bad[0]} is NaN, which is in no bin of a reweighting "
            f"({bad.size} of {values.size} are)"
        )
    # the upper edge itself would be beyond the last bin
    last = np.nextafter(edges[-1], -math.inf)
    return np.clip(values.astype(np.float64), edges[0], last)


def _count(
    label: Int64[np.ndarray, " jets"], classes: Sequence[str]
) -> Int64[np.ndarray, " classes"]:
    """Jets of each class; refuses a class without any."""
    _check_labels(label, classes)
    counts = np.bincount(label, minlength=len(classes))
    missing = [name for name, n in zip(classes, counts, strict=True) if not n]
    if missing:
        raise UserError(
            f"no jets of class {', '.join(missing)} among {len(label)} training jets, "
            "so that no weight can give it its share; give more data or fewer classes"
        )
    return counts


def _check_labels(label: Int64[np.ndarray, " jets"], classes: Sequence[str]) -> None:
    bad = np.flatnonzero((label < 0) | (label >= len(classes)))
    if bad.size:
        raise UserError(
            f"the label of jet {bad[0]} is {label[bad[0]]}, but the {len(classes)} "
            f"classes ({', '.join(classes)}) have labels 0..{len(classes) - 1}"
        )


def _whole(counts: np.ndarray) -> tuple[int, ...]:
    return tuple(int(count) for count in counts)
