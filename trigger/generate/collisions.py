"""Proton collisions by PYTHIA 8, one class of jets at a time.

Hard scatterings of the class, initial and final state radiation and hadronisation with
the Monash tune (the default of PYTHIA); no underlying event unless asked for.  W and Z
decay to quarks *isotropically*, since the public benchmark's did: its hard scatterings
came undecayed from another program.  PYTHIA's own pairs of bosons decay with the
polarisation that they are made with, which changes the shapes.  So a second PYTHIA
makes the pairs and hands them over as Les Houches events.

Reference:
    C. Bierlich et al., "A comprehensive guide to the physics and usage of PYTHIA 8.3",
    SciPost Phys. Codebases 8 (2022), arXiv:2203.11601; P. Skands, S. Carrazza, J. Rojo,
    "Tuning PYTHIA 8.1: the Monash 2013 tune", arXiv:1404.5630; J. Alwall et al., "A
    standard format for Les Houches event files", arXiv:hep-ph/0609017.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import awkward as ak
import numpy as np
import pythia8mc
from jaxtyping import Float64, Int64

from trigger.generate.particles import Particles
from trigger.generate.seeds import Stage, pythia_seed
from trigger.generate.settings import CLASSES, Settings

PROCESSES = {
    "g": ("HardQCD:gg2gg", "HardQCD:qqbar2gg"),
    "q": ("HardQCD:qq2qq", "HardQCD:gg2qqbar", "HardQCD:qqbar2qqbarNew"),
    "t": ("Top:gg2ttbar", "Top:qqbar2ttbar"),
    "w": ("WeakDoubleBoson:ffbar2WW",),
    "z": ("WeakDoubleBoson:ffbar2gmZgmZ",),
}
"""What is switched on for a class: both of the outgoing partons are of it."""

_BOSONS = ("w", "z")
_HADRONIC = tuple(
    f"{boson}:{setting}"
    for boson in (23, 24)
    for setting in ("onMode = off", "onIfAny = 1 2 3 4 5")
)
_COPIED = (6, 23, 24)  # the shower copies these before they decay


@final
@dataclass(frozen=True, eq=False)
class Collisions:
    """A batch of collisions.

    Attributes:
        particles: Stable particles of all of them.
        partons: pt in GeV, pseudorapidity and azimuth of the two that the hard
            scattering made; of top, W and Z right before the decay.
        flavour: PDG numbers of the two.
    """

    particles: Particles
    partons: Float64[np.ndarray, "collisions 2 3"]
    flavour: Int64[np.ndarray, "collisions 2"]


Draw = Callable[[int], Collisions]
"""Makes so many collisions more; fewer where PYTHIA gave up on some."""


def hard_collisions(settings: Settings, name: str, unit: int) -> Draw:
    """Collisions of one class.

    Args:
        settings: The sample.
        name: One of `CLASSES`.
        unit: Number of the unit of work; each holds other collisions.
    """
    label = CLASSES.index(name)
    seed = pythia_seed(settings.seed, Stage.SHOWER, label, unit)
    underlying = f"PartonLevel:MPI = {'on' if settings.mpi else 'off'}"
    if name not in _BOSONS:
        pythia = _pythia(settings, seed, (*_process(settings, name), underlying))
        return _draw(pythia)
    hard_seed = pythia_seed(settings.seed, Stage.HARD, label, unit)
    undecayed = ("PartonLevel:all = off", "ProcessLevel:resonanceDecays = off")
    hard = _pythia(settings, hard_seed, (*_process(settings, name), *undecayed))
    source = _Undecayed(hard, settings.energy / 2)
    pythia = _pythia(settings, seed, ("Beams:frameType = 5", underlying), source)
    return _draw(pythia, source)


def minimum_bias(settings: Settings) -> Draw:
    """Inelastic non-diffractive collisions, underlying event included."""
    seed = pythia_seed(settings.seed, Stage.MINIMUM_BIAS, 0, 0)
    return _draw(_pythia(settings, seed, ("SoftQCD:nonDiffractive = on",)))


def _process(settings: Settings, name: str) -> tuple[str, ...]:
    low, high = settings.pthat
    return (
        *(f"{process} = on" for process in PROCESSES[name]),
        "WeakZ0:gmZmode = 2",  # Z alone, without the photon that interferes
        f"PhaseSpace:pTHatMin = {low}",
        f"PhaseSpace:pTHatMax = {high}",
    )


def _pythia(
    settings: Settings, seed: int, lines: Sequence[str], source: Any = None
) -> Any:
    pythia = pythia8mc.Pythia("", False)
    common = (
        "Print:quiet = on",
        f"Beams:eCM = {settings.energy}",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
    )
    for line in (*common, *_HADRONIC, *lines):
        if not pythia.readString(line):
            raise RuntimeError(f"PYTHIA refuses the setting {line!r}")
    if source is not None:
        pythia.setLHAupPtr(source)
    if not pythia.init():
        raise RuntimeError(f"PYTHIA does not start with {lines}")
    return pythia


@final
class _Undecayed(pythia8mc.LHAup):
    """Hard scatterings of another PYTHIA as Les Houches events, without end."""

    def __init__(self, hard: Any, beam: float):
        super().__init__(3)  # events of weight 1
        self.hard = hard
        self.beam = beam

    def setInit(self) -> bool:  # noqa: N802 (PYTHIA's name)
        self.setBeamA(2212, self.beam)
        self.setBeamB(2212, self.beam)
        self.setStrategy(3)
        self.addProcess(_PROCESS, 1.0, 0.0, 1.0)
        return True

    def setEvent(self, idProc: int = 0) -> bool:  # noqa: N802
        del idProc  # there is only one
        while not self.hard.next():
            pass
        record = self.hard.process
        self.setProcess(_PROCESS, 1.0, record[5].pT(), _ALPHA_EM, _ALPHA_S)
        for i in range(3, 7):
            p, incoming = record[i], i < 5
            self.addParticle(
                p.id(),
                -1 if incoming else 1,
                0 if incoming else 1,
                0 if incoming else 2,
                p.col(),
                p.acol(),
                p.px(),
                p.py(),
                p.pz(),
                p.e(),
                p.m(),
                0.0,
                9.0,  # spin unknown: the decay is isotropic
                -1.0,
            )
        return True


_PROCESS = 9999  # any number that PYTHIA does not use itself
_ALPHA_EM, _ALPHA_S = 0.00781, 0.118  # at the Z mass; stored with the event, not used


def _draw(pythia: Any, source: Any = None) -> Draw:
    """Batches of a PYTHIA; keeps its source alive, which PYTHIA itself does not."""
    alive = pythia, source
    charges: dict[int, int] = {}

    def draw(count: int) -> Collisions:
        record = alive[0].nextBatch(count).prt
        size = ak.to_numpy(ak.num(record)).astype(np.int64)
        flat = ak.flatten(record)
        columns = {
            name: ak.to_numpy(flat[name]).astype(np.int64)
            for name in ("id", "status", "daughter1", "daughter2")
        }
        momentum = [ak.to_numpy(flat.p[name]) for name in ("px", "py", "pz", "e")]
        stable = np.flatnonzero(columns["status"] > 0)
        pdg_id = columns["id"][stable]
        kinds, kind = np.unique(pdg_id, return_inverse=True)
        for number in kinds.tolist():
            if number not in charges:
                charges[number] = round(pythia.particleData.charge(number))
        charge = np.array([charges[number] for number in kinds.tolist()], np.int64)
        particles = Particles(
            np.repeat(np.arange(len(size)), size)[stable],
            momentum[0][stable],
            momentum[1][stable],
            momentum[2][stable],
            momentum[3][stable],
            pdg_id,
            charge[kind],
            np.zeros(len(stable), bool),
        )
        first = np.cumsum(size) - size
        row = _last_copies(first, columns)
        px, py, pz = (column[row] for column in momentum[:3])
        pt = np.hypot(px, py)
        with np.errstate(divide="ignore", invalid="ignore"):  # of minimum bias
            axes = np.stack([pt, np.arcsinh(pz / pt), np.arctan2(py, px)], axis=-1)
        return Collisions(particles, axes, columns["id"][row])

    return draw


def _last_copies(
    first: Int64[np.ndarray, " collisions"],
    columns: dict[str, Int64[np.ndarray, " entries"]],
) -> Int64[np.ndarray, "collisions 2"]:
    """Rows of the two outgoing partons; heavy ones are followed down to their decay."""
    number = columns["id"]
    row = first[:, None] + np.array([5, 6])  # where PYTHIA lists them
    heavy = np.isin(np.abs(number[row]), _COPIED)
    while True:
        below = row
        for which in ("daughter1", "daughter2"):
            daughter = columns[which][row]
            there = first[:, None] + daughter
            copy = heavy & (daughter > 0) & (number[there] == number[row])
            below = np.where(copy, there, below)
        if np.array_equal(below, row):
            return row
        row = below
