"""What a detector makes of stable particles.

`none` passes on every visible particle within |eta| < 5 as it is.  `l1` is a fast
picture of a level-1 trigger: tracks of charged particles above 2 GeV, and calorimeters
of which the cells sum up all that left no track.  Charged particles of pile-up are
removed in both, as a tracker can by their vertex; from the neutral ones SoftKiller
takes what is too soft.

Conventions
-----------
- A resolution is a standard deviation over the value; the terms add in quadrature.
- Cells are squares in eta and phi; a candidate of a calorimeter sits in the middle of
  its cell, massless.
"""

from dataclasses import dataclass, fields, replace
from typing import final

import numpy as np
from jaxtyping import Int64

from trigger.generate.particles import Candidates, Particles

CHARGED_HADRON, NEUTRAL_HADRON, PHOTON, ELECTRON, MUON = 211, 130, 22, 11, 13
_NEUTRINOS = (12, 14, 16)
_LEAST_PT = 1e-3  # GeV; along the beam there is no pseudorapidity
_SEEN_ETA = 5.0  # where the forward calorimeters of ATLAS and CMS end


@final
@dataclass(frozen=True)
class Calorimeter:
    r"""Cells and their resolution, :math:`\sigma/E = s/\sqrt{E} \oplus n/E \oplus c`.

    Attributes:
        kind: PDG number of its candidates.
        cell: Width of a cell in eta and, nearly, in phi: a whole number fits around.
        stochastic: s, in the square root of GeV.
        noise: n, GeV.
        constant: c.
        threshold: Least pt of a candidate, GeV.
    """

    kind: int
    cell: float
    stochastic: float
    noise: float
    constant: float
    threshold: float


@final
@dataclass(frozen=True)
class Level1:
    """The `l1` detector; numbers of the order of those of CMS for the HL-LHC.

    The track finder reaches |eta| = 2.4 and finds 94 % of the tracks above 2 GeV (CMS,
    "The Phase-2 upgrade of the CMS level-1 trigger", CERN-LHCC-2020-004).  Cells of the
    ECAL are one crystal wide, towers of the HCAL 5 degrees (CMS, JINST 3 (2008) S08004);
    the stochastic, noise and constant terms are rounded from there, the thresholds from
    the sums that a trigger makes of noisy cells.
    """

    track_pt: float = 2.0
    track_eta: float = 2.4
    track_efficiency: float = 0.94
    track_constant: float = 0.01
    track_slope: float = 2e-4  # resolution per GeV
    eta_max: float = 3.0  # where barrel and endcap calorimeters end
    ecal: Calorimeter = Calorimeter(PHOTON, 0.0175, 0.03, 0.25, 0.01, 0.5)
    hcal: Calorimeter = Calorimeter(NEUTRAL_HADRON, 0.0873, 1.2, 0.5, 0.06, 1.0)


def observe(
    particles: Particles, detector: str, rng: np.random.Generator
) -> Candidates:
    """Candidates of all events.

    Args:
        particles: Stable particles, pile-up marked.
        detector: `none` or `l1`.
        rng: Decides which tracks are lost and how all is smeared.
    """
    seen = visible(particles)
    made = _truth(seen) if detector == "none" else _level1(seen, Level1(), rng)
    return made[np.lexsort((-made.pt, made.event))]


def visible(particles: Particles) -> Particles:
    """All but neutrinos and what stays in the beam pipe."""
    hidden = np.isin(np.abs(particles.pdg_id), _NEUTRINOS)
    return particles[~hidden & (np.hypot(particles.px, particles.py) > _LEAST_PT)]


def soft_killer(
    candidates: Candidates, events: int, *, cell: float = 0.4, eta_max: float = 2.5
) -> Candidates:
    """Removes soft neutral candidates so that half of the event is empty of them.

    The cut of an event is the median, over cells of a grid, of the largest pt in each;
    candidates of exactly that pt stay.

    Args:
        candidates: By event.
        events: How many events there are.
        cell: Width of a cell; the authors' choice for jets of radius 0.4.
        eta_max: The grid ends here; the cut is applied everywhere.

    Reference:
        M. Cacciari, G. P. Salam, G. Soyez, "SoftKiller, a particle-level pileup removal
        method", Eur. Phys. J. C 75 (2015) 59, arXiv:1407.0408, eq. (2).
    """
    neutral = np.isin(candidates.pdg_id, (PHOTON, NEUTRAL_HADRON))
    rows, around = int(2 * eta_max / cell), round(2 * np.pi / cell)
    on_grid = neutral & (np.abs(candidates.eta) < eta_max)
    some = candidates[on_grid]
    row = ((some.eta + eta_max) / (2 * eta_max) * rows).astype(np.int64)
    column = ((some.phi + np.pi) / (2 * np.pi) * around).astype(np.int64) % around
    hardest = np.zeros((events, rows, around))
    np.maximum.at(hardest, (some.event, np.minimum(row, rows - 1), column), some.pt)
    cut = np.median(hardest.reshape(events, -1), axis=1)
    return candidates[~neutral | (candidates.pt >= cut[candidates.event])]


def _truth(particles: Particles) -> Candidates:
    made = _directions(particles, _kind(particles) * _sign(particles))
    removed = particles.pileup & (particles.charge != 0)
    return made[(np.abs(made.eta) < _SEEN_ETA) & ~removed]


def _level1(
    particles: Particles, detector: Level1, rng: np.random.Generator
) -> Candidates:
    kind = _kind(particles)
    every = _directions(particles, kind * _sign(particles))
    found = rng.random(len(kind)) < detector.track_efficiency
    # Electrons and muons are found together with the other detectors that see them.
    found |= np.isin(kind, (ELECTRON, MUON))
    width = np.hypot(detector.track_constant, detector.track_slope * every.pt)
    factor = np.maximum(1 + rng.normal(size=len(width)) * width, 0.0)
    measured = replace(every, pt=every.pt * factor, mass=every.mass * factor)
    tracked = found & (particles.charge != 0)
    tracked &= np.abs(every.eta) < detector.track_eta
    tracked &= measured.pt > detector.track_pt
    rest = ~tracked & (np.abs(every.eta) < detector.eta_max)
    electromagnetic = rest & np.isin(kind, (PHOTON, ELECTRON))
    hadronic = rest & np.isin(kind, (CHARGED_HADRON, NEUTRAL_HADRON))
    parts = (
        measured[tracked & ~particles.pileup],
        _cells(every[electromagnetic], detector.ecal, rng),
        _cells(every[hadronic], detector.hcal, rng),
    )
    return Candidates(
        *(
            np.concatenate([getattr(p, f.name) for p in parts])
            for f in fields(Candidates)
        )
    )


def _cells(
    deposits: Candidates, calorimeter: Calorimeter, rng: np.random.Generator
) -> Candidates:
    """Sums over the cells of a calorimeter, smeared."""
    around = round(2 * np.pi / calorimeter.cell)
    width = 2 * np.pi / around
    row = np.floor(deposits.eta / calorimeter.cell).astype(np.int64)
    column = np.floor((deposits.phi + np.pi) / width).astype(np.int64) % around
    # One number per cell of one event: sorted much faster than triples of numbers.
    lowest = row.min(initial=0)
    rows = row.max(initial=0) - lowest + 1
    key = (deposits.event * rows + row - lowest) * around + column
    cells, cell = np.unique(key, return_inverse=True)
    energy = np.bincount(cell, weights=deposits.four_momenta()[3], minlength=len(cells))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = (
            calorimeter.stochastic**2 / energy
            + (calorimeter.noise / energy) ** 2
            + calorimeter.constant**2
        )
    factor = 1 + rng.normal(size=len(energy)) * np.sqrt(variance)
    place, column = np.divmod(cells, around)
    event, row = np.divmod(place, rows)
    eta = (row + lowest + 0.5) * calorimeter.cell
    pt = energy * np.maximum(factor, 0.0) / np.cosh(eta)
    phi = (column + 0.5) * width - np.pi
    kind = np.full(len(pt), calorimeter.kind)
    made = Candidates(event, pt, eta, phi, np.zeros(len(pt)), kind)
    return made[pt > calorimeter.threshold]


def _directions(
    particles: Particles, pdg_id: Int64[np.ndarray, " particles"]
) -> Candidates:
    pt = np.hypot(particles.px, particles.py)
    momentum2 = particles.px**2 + particles.py**2 + particles.pz**2
    return Candidates(
        particles.event,
        pt,
        np.arcsinh(particles.pz / pt),
        np.arctan2(particles.py, particles.px),
        np.sqrt(np.maximum(particles.energy**2 - momentum2, 0.0)),
        pdg_id,
    )


def _kind(particles: Particles) -> Int64[np.ndarray, " particles"]:
    number = np.abs(particles.pdg_id)
    kind = np.where(number == PHOTON, PHOTON, NEUTRAL_HADRON)
    kind = np.where(particles.charge != 0, CHARGED_HADRON, kind)
    return np.where(np.isin(number, (ELECTRON, MUON)), number, kind)


def _sign(particles: Particles) -> Int64[np.ndarray, " particles"]:
    """Of the PDG number: a positive hadron and a negative lepton have positive ones."""
    lepton = np.isin(np.abs(particles.pdg_id), (ELECTRON, MUON))
    sign = np.where(lepton, -particles.charge, particles.charge)
    return np.where(sign < 0, -1, 1)
