"""Jets: anti-kT clustering with FastJet, cuts, and the parton that a jet comes from.

Reference:
    M. Cacciari, G. P. Salam, G. Soyez, "The anti-k_t jet clustering algorithm", JHEP 04
    (2008) 063, arXiv:0802.1189; "FastJet user manual", Eur. Phys. J. C 72 (2012) 1896,
    arXiv:1111.6097.
"""

from dataclasses import dataclass
from typing import final

import awkward as ak
import fastjet
import numpy as np
from jaxtyping import Float64, Int64

from trigger.generate.collisions import Collisions
from trigger.generate.particles import Candidates
from trigger.generate.settings import Settings

# Its greeting would stand among results on standard output; the sources are above.
fastjet.ClusterSequenceArea.set_fastjet_banner_stream(None)


@final
@dataclass(frozen=True, eq=False)
class Jets:
    """Jets of a batch, by event and then by falling pt.

    Attributes:
        event: Collision in the batch.
        pt: Transverse momentum, GeV.
        eta: Pseudorapidity.
        phi: Azimuth in radians, within half a turn.
        mass: GeV.
        flavour: PDG number of the matched parton or boson.
        parton_pt: Its transverse momentum, GeV.
        count: Number of constituents.
        members: The constituents, jet after jet, those of a jet by falling pt.
    """

    event: Int64[np.ndarray, " jets"]
    pt: Float64[np.ndarray, " jets"]
    eta: Float64[np.ndarray, " jets"]
    phi: Float64[np.ndarray, " jets"]
    mass: Float64[np.ndarray, " jets"]
    flavour: Int64[np.ndarray, " jets"]
    parton_pt: Float64[np.ndarray, " jets"]
    count: Int64[np.ndarray, " jets"]
    members: Candidates

    def starts(self) -> Int64[np.ndarray, " jets"]:
        """Place of each jet's first constituent."""
        return np.cumsum(self.count) - self.count


def find_jets(
    candidates: Candidates, collisions: Collisions, settings: Settings
) -> Jets:
    """The jets of a batch that pass the cuts and belong to one of the hard partons."""
    events = len(collisions.flavour)
    count = np.bincount(candidates.event, minlength=events)
    momenta = ak.unflatten(momentum_records(candidates.four_momenta()), count)
    algorithm = fastjet.JetDefinition(fastjet.antikt_algorithm, settings.radius)
    sequence = fastjet.ClusterSequence(momenta, algorithm)
    found = sequence.inclusive_jets(min_pt=settings.pt_min)
    member = sequence.constituent_index(min_pt=settings.pt_min)
    event = np.repeat(np.arange(events), ak.to_numpy(ak.num(found)))
    px, py, pz, energy = (
        ak.to_numpy(ak.flatten(found[name])) for name in ("px", "py", "pz", "E")
    )
    pt = np.hypot(px, py)
    eta, phi = np.arcsinh(pz / pt), np.arctan2(py, px)
    mass = np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0.0))
    axes = collisions.partons[event]
    away = np.hypot(axes[:, :, 1] - eta[:, None], folded(axes[:, :, 2] - phi[:, None]))
    best = np.argmin(away, axis=1) if len(away) else np.zeros(0, np.int64)
    row = np.arange(len(pt))
    kept = (pt > settings.pt_min) & (pt < settings.pt_max)
    kept &= (np.abs(eta) < settings.eta_max) & (away[row, best] <= settings.match)
    order = np.lexsort((-pt, event))
    order = order[kept[order]]
    # Candidates are sorted by pt within an event, so rising rows are falling pts.
    rows = ak.sort(ak.flatten(member, axis=1)[order], axis=1)
    size = ak.to_numpy(ak.num(rows)).astype(np.int64)
    first = (np.cumsum(count) - count)[event[order]]
    return Jets(
        event[order],
        pt[order],
        eta[order],
        phi[order],
        mass[order],
        collisions.flavour[event, best][order],
        axes[row, best, 0][order],
        size,
        candidates[ak.to_numpy(ak.flatten(rows)) + np.repeat(first, size)],
    )


def momentum_records(momenta: Float64[np.ndarray, "4 particles"]) -> ak.Array:
    """Four-momenta as FastJet wants them."""
    names = ("px", "py", "pz", "E")
    columns = dict(zip(names, momenta, strict=True))
    return ak.zip(columns)


def folded(angle: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    r"""An angle in radians as one within :math:`[-\pi, \pi]`."""
    return angle - 2 * np.pi * np.round(angle / (2 * np.pi))
