r"""The leading constituents of jets as padded arrays, read from ROOT files.

The trees hold the particles of all jets of a collision in one list, each with the index
of its jet, as NanoAOD does.  This module owns the way from there to one block of rows
per jet, and the quantities that describe a particle; the jets themselves (labels,
events, and what may be wrong with them) are `trigger.jets`'s.

Conventions
-----------
- Jets are in the order of `read_jets`; particles of a jet by falling pt, in the order of
  the file where pts are equal.
- A jet with fewer particles is padded with rows of zeros; `count` says how many are real.
- Momenta and energies are GeV, angles radians.  Particles and jets are taken as massless:
  :math:`p_T, \eta, \phi` are all that the files hold of a particle's momentum.

Features, with :math:`J` for the jet
------------------------------------
===================== ==== ==========================================================
`pt`                  GeV  :math:`p_T`
`eta_rel`                  :math:`\Delta\eta = \eta - \eta_J`
`phi_rel`             rad  :math:`\Delta\phi = \phi - \phi_J`, folded to half a turn
`pt_rel`                   :math:`p_T / p_{T,J}`
`log_pt`                   :math:`\ln(p_T / \mathrm{GeV})`
`log_pt_rel`               :math:`\ln(p_T / p_{T,J})`
`delta_r`                  :math:`\Delta R = \sqrt{\Delta\eta^2 + \Delta\phi^2}`
`energy`              GeV  :math:`E = p_T \cosh\eta`
`energy_rel`               :math:`E / (p_{T,J} \cosh\eta_J)`
`pt_eta`, `pt_phi`    GeV  :math:`p_T\Delta\eta`, :math:`p_T\Delta\phi`
`pt_r2`               GeV  :math:`p_T \Delta R^2`
`charge`                   -1, 0 or 1, of the proton's
`is_photon`, ...           1 or 0; a particle of no `is_` feature is a charged hadron
===================== ==== ==========================================================

The 16 columns of the public set with particles (Pierini et al., Zenodo 3602260, read by
HGQ-LUT, Sun et al., arXiv 2604.22293) are px, py, pz, E, E_rel, pt, pt_rel, eta, eta_rel,
eta_rot, phi, phi_rel, phi_rot, Delta R, cos theta and cos theta_rel; its set of three is
`PT_ETA_PHI`.  Seven of them are here.  Instead of those that tell where in the detector a
jet is, there are particle identities and logarithms (as in Qu et al., arXiv 2202.03772,
table 2), and products: a first layer of one-input tables cannot form them.  Their sums
over a jet are its recoil and, nearly, its mass squared over its pt.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import awkward as ak
import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped, UInt64

from trigger.errors import UserError, nearest
from trigger.jets import (
    JetSchema,
    Source,
    _check_same_types,
    _column,
    _expand,
    _is_integer,
    _read_file,
    _type,
    read_jets,
)

_CHARGED_HADRON, _NEUTRAL_HADRON, _PHOTON, _LEPTONS = 211, 130, 22, (11, 13)
_KINDS = (_CHARGED_HADRON, _NEUTRAL_HADRON, _PHOTON, *_LEPTONS)

Column = Float64[np.ndarray, " constituents"]


@final
@dataclass(frozen=True, eq=False)
class Constituents:
    """Particles as flat columns, each with the axis of its jet beside it.

    Attributes:
        pt: Transverse momentum, GeV.
        eta: Pseudorapidity.
        phi: Azimuth, radians; any branch.
        pdg_id: PDG number, one of +-11, +-13, 22, 130, +-211.
        jet_pt: Transverse momentum of the particle's jet, GeV.
        jet_eta: Pseudorapidity of the jet.
        jet_phi: Azimuth of the jet, radians; any branch.
    """

    pt: Column
    eta: Column
    phi: Column
    pdg_id: Int64[np.ndarray, " constituents"]
    jet_pt: Column
    jet_eta: Column
    jet_phi: Column

    def eta_rel(self) -> Column:
        """Pseudorapidity from the axis of the jet."""
        return self.eta - self.jet_eta

    def phi_rel(self) -> Column:
        r"""Azimuth from the axis of the jet, folded into :math:`[-\pi, \pi]`.

        Whole turns are subtracted, of which there are none within half a turn: there the
        difference of two multiples of an LSB stays one, as it would not by a modulo.
        """
        delta = self.phi - self.jet_phi
        return delta - 2 * np.pi * np.round(delta / (2 * np.pi))

    def delta_r(self) -> Column:
        """Distance from the axis of the jet, never negative."""
        return np.hypot(self.eta_rel(), self.phi_rel())

    def energy(self) -> Column:
        """Energy of a massless particle, GeV."""
        return self.pt * np.cosh(self.eta)

    def energy_rel(self) -> Column:
        """Energy over that of a massless jet."""
        return self.energy() / (self.jet_pt * np.cosh(self.jet_eta))

    def charge(self) -> Column:
        """Charge in units of the proton's; a lepton of positive number is negative."""
        kind = np.abs(self.pdg_id)
        sign = np.where(np.isin(kind, _LEPTONS), -1.0, 1.0 * (kind == _CHARGED_HADRON))
        return sign * np.sign(self.pdg_id)

    def is_kind(self, *kinds: int) -> Column:
        """One for a particle whose PDG number, sign aside, is listed, else zero."""
        return 1.0 * np.isin(np.abs(self.pdg_id), kinds)


@final
@dataclass(frozen=True)
class Feature:
    """A quantity per particle: its unit, and how it follows from the columns."""

    unit: str
    of: Callable[[Constituents], Column]


FEATURES: Mapping[str, Feature] = {
    "pt": Feature("GeV", lambda c: c.pt),
    "eta_rel": Feature("", Constituents.eta_rel),
    "phi_rel": Feature("rad", Constituents.phi_rel),
    "pt_rel": Feature("", lambda c: c.pt / c.jet_pt),
    "log_pt": Feature("", lambda c: np.log(c.pt)),
    "log_pt_rel": Feature("", lambda c: np.log(c.pt / c.jet_pt)),
    "delta_r": Feature("", Constituents.delta_r),
    "energy": Feature("GeV", Constituents.energy),
    "energy_rel": Feature("", Constituents.energy_rel),
    "pt_eta": Feature("GeV", lambda c: c.pt * c.eta_rel()),
    "pt_phi": Feature("GeV", lambda c: c.pt * c.phi_rel()),
    "pt_r2": Feature("GeV", lambda c: c.pt * c.delta_r() ** 2),
    "charge": Feature("", Constituents.charge),
    "is_photon": Feature("", lambda c: c.is_kind(_PHOTON)),
    "is_neutral_hadron": Feature("", lambda c: c.is_kind(_NEUTRAL_HADRON)),
    "is_lepton": Feature("", lambda c: c.is_kind(*_LEPTONS)),
}
ALL_16 = tuple(FEATURES)
PT_ETA_PHI = ("pt", "eta_rel", "phi_rel")


@final
@dataclass(frozen=True)
class ConstituentSchema:
    """Which columns of which tree make the particles of a jet, and what is kept.

    Attributes:
        tree: Name of the TTree or RNTuple.
        particles: Leading particles kept of a jet.
        features: Names in `FEATURES`, in the order of the last axis.
        label: Branch of the jet's truth label, an integer `0..len(classes) - 1`.
        event: Branches of run, luminosity block and event number.
        classes: Names of the classes, in the order of the labels.
        axis: Branches of the jet's pt in GeV, pseudorapidity and azimuth.
        momentum: Branches of the particle's pt in GeV, pseudorapidity and azimuth.
        pdg_id: Branch of the particle's PDG number.
        jet_index: Branch of the particle's jet: its place in the lists of the entry.
        least_pt: Particles of less pt in GeV are left out; 0 keeps all.  A trigger
            sees none below its threshold, 2 GeV for tracks.
    """

    tree: str
    particles: int
    features: tuple[str, ...]
    label: str
    event: tuple[str, str, str]
    classes: tuple[str, ...]
    axis: tuple[str, str, str] = ("Jet_pt", "Jet_eta", "Jet_phi")
    momentum: tuple[str, str, str] = ("PFCand_pt", "PFCand_eta", "PFCand_phi")
    pdg_id: str = "PFCand_pdgId"
    jet_index: str = "PFCand_jetIdx"
    least_pt: float = 0.0

    def __post_init__(self):
        """Checks the choice of features and particles.

        Raises:
            UserError: A feature is unknown, or `particles` is not positive.
            ValueError: A feature is listed twice, or there is none.
        """
        if self.particles < 1:
            raise UserError(
                f"a jet needs room for at least 1 particle, got {self.particles}"
            )
        for name in self.features:
            if name not in FEATURES:
                raise UserError(
                    f"no feature {name!r} of a particle; the most alike of the "
                    f"{len(FEATURES)} are {nearest(name, FEATURES)}"
                )
        if len(set(self.features)) != len(self.features) or not self.features:
            raise ValueError(f"features must be distinct, got {self.features}")

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each feature, "" for a pure number."""
        return tuple(FEATURES[name].unit for name in self.features)

    def jets(self) -> JetSchema:
        """The same jets for `read_jets`, with the axis as features."""
        units = ("GeV", "", "rad")
        return JetSchema(
            self.tree, self.axis, units, self.label, self.event, self.classes
        )


@final
@dataclass(frozen=True, eq=False)
class ConstituentSample:
    """Jets as blocks of particles; rows from `count` on are zeros."""

    features: Float64[np.ndarray, "jets particles features"]
    count: Int64[np.ndarray, " jets"]
    label: Int64[np.ndarray, " jets"]
    event: UInt64[np.ndarray, "jets 3"]
    schema: ConstituentSchema
    sources: tuple[Source, ...]

    def mask(self) -> Bool[np.ndarray, "jets particles"]:
        """Which rows are particles and not padding."""
        return np.arange(self.schema.particles) < self.count[:, None]


def read_constituents(
    patterns: Sequence[str], schema: ConstituentSchema
) -> ConstituentSample:
    """Reads the leading particles of all jets of some ROOT files.

    Args:
        patterns: Paths, or shell patterns such as `data/*.root`; `**` descends.
        schema: The tree, its columns and the features wanted.

    Returns:
        The jets, with the SHA-256 of each file.

    Raises:
        UserError: As `read_jets`; or a particle's column is missing, is of another
            length or type than it should be, or holds a value that is not finite; a pt
            is not positive; a PDG number is of no known kind; the index of a jet is out
            of range; or a jet has no particles.
    """
    jets = read_jets(patterns, schema.jets())
    wanted = (*schema.momentum, schema.pdg_id, schema.jet_index)
    columns = replace(schema.jets(), features=wanted, units=("",) * len(wanted))
    paths = _expand(patterns)
    first = _read_file(paths[0], columns)
    features, count, start = [], [], 0
    for path, source in zip(paths, jets.sources, strict=True):
        table = first if path == paths[0] else _read_file(path, columns)
        _check_same_types(paths[0], first, path, table)
        rows = slice(start, start + source.jets)
        start += source.jets
        block = _block(path, table, jets.features[rows], jets.event[rows], schema)
        features.append(block[0])
        count.append(block[1])
    return ConstituentSample(
        np.concatenate(features),
        np.concatenate(count),
        jets.label,
        jets.event,
        schema,
        jets.sources,
    )


def _block(
    path: str,
    table: dict[str, ak.Array],
    axis: Float64[np.ndarray, "jets 3"],
    event: UInt64[np.ndarray, "jets 3"],
    schema: ConstituentSchema,
) -> tuple[Float64[np.ndarray, "jets particles features"], Int64[np.ndarray, " jets"]]:
    """The padded features of the jets of one file, and how many rows are real."""

    def jet_at(at: int) -> str:
        pairs = zip(schema.event, event[at], strict=True)
        return f"jet {at} ({', '.join(f'{name} {number}' for name, number in pairs)})"

    jet, (pt, eta, phi), pdg_id = _flat(path, table, schema)
    every = np.bincount(jet, minlength=len(axis))
    some = f"1 or more that {schema.jet_index!r} gives it"
    _refuse(path, "the number of constituents", every, every < 1, some, jet_at)
    wrong = axis[:, 0] <= 0
    _refuse(path, repr(schema.axis[0]), axis[:, 0], wrong, "a positive pt", jet_at)
    kept = np.flatnonzero(pt >= schema.least_pt)
    number = np.bincount(jet[kept], minlength=len(axis))
    order = kept[np.lexsort((-pt[kept], jet[kept]))]  # by jet, then falling pt; stable
    rank = np.arange(len(order)) - np.repeat(np.cumsum(number) - number, number)
    leading = rank < schema.particles
    chosen, rank = order[leading], rank[leading]
    owner = jet[chosen]
    flat = Constituents(
        pt[chosen], eta[chosen], phi[chosen], pdg_id[chosen], *axis[owner].T
    )
    block = np.zeros((len(axis), schema.particles, len(schema.features)))
    for column, name in enumerate(schema.features):
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            values = FEATURES[name].of(flat)
        _refuse(
            path,
            f"the feature {name!r}",
            values,
            ~np.isfinite(values),
            "finite",
            lambda at: f"particle {rank[at]} of {jet_at(int(owner[at]))}",
        )
        block[owner, rank, column] = values
    return block, np.minimum(number, schema.particles)


def _flat(
    path: str, table: dict[str, ak.Array], schema: ConstituentSchema
) -> tuple[
    Int64[np.ndarray, " constituents"],
    list[Column],
    Int64[np.ndarray, " constituents"],
]:
    """Jet in the file, momentum and PDG number of every particle; checked."""
    raw, counts = _column(path, schema.jet_index, table[schema.jet_index])
    _, jets = _column(path, schema.label, table[schema.label])
    entry = np.repeat(np.arange(len(counts)), counts)
    columns = []
    for name in (*schema.momentum, schema.pdg_id):
        values, per_entry = _column(path, name, table[name])
        differ = np.flatnonzero(per_entry != counts)
        if differ.size:
            raise UserError(
                f"file {path!r}: in entry {differ[0]} the branch {name!r} holds "
                f"{per_entry[differ[0]]} values, but {schema.jet_index!r} holds "
                f"{counts[differ[0]]}; the columns of a particle must be equally long"
            )
        columns.append(values)
    for name in (schema.jet_index, schema.pdg_id):
        if not _is_integer(table[name]):
            raise UserError(
                f"file {path!r}: the branch {name!r} holds {_type(table[name])}, not "
                "integers"
            )

    def particle_at(at: int) -> str:
        return f"particle {at - np.searchsorted(entry, entry[at])} of entry {entry[at]}"

    index, pdg_id = raw.astype(np.int64), columns.pop().astype(np.int64)
    momentum = [values.astype(np.float64) for values in columns]
    for name, values in zip(schema.momentum, momentum, strict=True):
        wrong = ~np.isfinite(values)
        _refuse(path, repr(name), values, wrong, "a finite number", particle_at)
    name = repr(schema.momentum[0])
    _refuse(path, name, momentum[0], momentum[0] <= 0, "a positive pt", particle_at)
    strange = ~np.isin(np.abs(pdg_id), _KINDS)
    known = f"one of {', '.join(map(str, _KINDS))} with either sign"
    _refuse(path, repr(schema.pdg_id), pdg_id, strange, known, particle_at)
    outside = (index < 0) | (index >= jets[entry])
    held = jets[entry[np.argmax(outside)]] if outside.any() else 0
    among = f"the index of one of the {held} jets of the entry"
    _refuse(path, repr(schema.jet_index), index, outside, among, particle_at)
    return (np.cumsum(jets) - jets)[entry] + index, momentum, pdg_id


def _refuse(
    path: str,
    name: str,
    values: Shaped[np.ndarray, " values"],
    wrong: Bool[np.ndarray, " values"],
    want: str,
    place: Callable[[int], str],
) -> None:
    """Raises if any value is wrong: tells the first, where it is, and how many are."""
    bad = np.flatnonzero(wrong)
    if bad.size:
        at = int(bad[0])
        raise UserError(
            f"file {path!r}: {name} of {place(at)} is {values[at]}, not {want} "
            f"({bad.size} of {values.size} values are not)"
        )
