"""The physics of a simulated sample: what collides, what is seen, which jets are kept.

The defaults are those that reproduce the feature distributions of the public jet
substructure benchmark: E. Coleman et al., "The importance of calorimetry for
highly-boosted jet substructure", JINST 13 (2018) T01003, arXiv:1709.08705; as used by
J. Duarte et al., JINST 13 (2018) P07027, arXiv:1804.06913; data set OpenML 42468.
"""

import math
from dataclasses import dataclass
from typing import final

from trigger.errors import UserError, nearest

CLASSES = ("g", "q", "t", "w", "z")
"""Gluon, light quark, top, W and Z; the label of a jet is the place in this list."""

DETECTORS = ("none", "l1")
"""`none`: stable visible particles as they are; `l1`: what a level-1 trigger sees."""


@final
@dataclass(frozen=True)
class Settings:
    """One sample.  The same settings give the same jets, on any number of processes.

    Attributes:
        n_jets: Jets of all classes together; the first classes get what is left over.
        seed: `0..2**32 - 1`; another seed gives independent jets.  It is stored as the
            luminosity block, so that event numbers of two seeds stay distinct.
        classes: Which of `CLASSES`.
        pt_min: Jets are kept above this transverse momentum, GeV.
        pt_max: And below this one, GeV.
        pthat: Range of the hard scattering's transverse momentum, GeV.  The public set
            was made at 1 TeV in a window of 1 %.
        eta_max: Jets are kept within this absolute pseudorapidity: the window is inside
            the tracker, as in the public set.
        radius: Of the anti-kT jets.  0.4 reproduces the public features, 0.8 does not
            (it is what groups use for W, Z and top, and the `l1` samples of ours).
        energy: Of the two protons together, GeV: LHC Run 2, as the public set.
        mpi: Whether several partons of a proton pair scatter (the underlying event).
            The public multiplicities are those of none.
        detector: One of `DETECTORS`.
        pileup: Mean number of minimum-bias collisions laid over each; HL-LHC has 140 to
            200.
        pileup_pool: Minimum-bias collisions made; they are drawn again and again, each
            time turned by another angle, so that pile-up costs little time.
        constituents: Stored of each jet, the leading ones; features use all.
        patience: Collisions without any kept jet after which the cuts are hopeless.
    """

    n_jets: int
    seed: int = 1
    classes: tuple[str, ...] = CLASSES
    pt_min: float = 900.0
    pt_max: float = 1200.0
    pthat: tuple[float, float] = (990.0, 1010.0)
    eta_max: float = 2.0
    radius: float = 0.4
    energy: float = 13_000.0
    mpi: bool = False
    detector: str = "none"
    pileup: float = 0.0
    pileup_pool: int = 1000
    constituents: int = 64
    patience: int = 2000

    @property
    def match(self) -> float:
        """Largest distance of a jet's axis from its parton: half of the radius."""
        return self.radius / 2

    def __post_init__(self):
        """Refuses what cannot be simulated.

        Raises:
            UserError: A class or detector is unknown, a range is empty, or a number is
                not positive where it has to be.
        """
        for name in self.classes:
            if name not in CLASSES:
                raise UserError(
                    f"no class {name!r} of jets; the most alike of "
                    f"{', '.join(CLASSES)} are {nearest(name, CLASSES)}"
                )
        if len(set(self.classes)) != len(self.classes) or not self.classes:
            raise UserError(
                f"one or more distinct classes are needed, got {','.join(self.classes)!r}"
            )
        if self.detector not in DETECTORS:
            raise UserError(
                f"no detector {self.detector!r}; there are {nearest(self.detector, DETECTORS)}"
            )
        if self.n_jets < len(self.classes):
            raise UserError(
                f"{self.n_jets} jets cannot be shared among {len(self.classes)} classes; "
                "ask for at least one of each"
            )
        if not 0 <= self.seed < 2**32:
            raise UserError(f"the seed must be in 0..2**32-1, got {self.seed}")
        self._check_range("jets' pT", self.pt_min, self.pt_max)
        self._check_range("hard scattering's pTHat", *self.pthat)
        if not 0 <= self.pileup <= 1000:
            raise UserError(
                "the pile-up is the mean number of overlaid collisions, from 0 to 1000, "
                f"got {self.pileup:g}"
            )
        if not 0 < self.radius <= 1.5:
            raise UserError(
                f"the jets' radius must be above 0 and at most 1.5, got {self.radius:g}"
            )
        if not 0 < self.eta_max <= 5:
            raise UserError(
                f"the jets' |eta| must end above 0 and at most at 5, got {self.eta_max:g}"
            )
        for name in ("constituents", "pileup_pool", "patience"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be 1 or more, got {getattr(self, name)}")

    def _check_range(self, what: str, low: float, high: float) -> None:
        if not (0 < low < high <= self.energy / 2 and math.isfinite(high)):
            raise UserError(
                f"the range of the {what} is empty or impossible: {low:g} to {high:g} "
                "GeV; the lower end has to be positive and below the upper one, which "
                f"is at most half of the {self.energy:g} GeV that collide"
            )
