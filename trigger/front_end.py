r"""From the words of a link to what a network reads: integer code in front of tables.

A jet arrives as the words of its axis and of its particles, the highest pt first.  What
tells jets apart are quantities relative to the axis, so the block computes these first,
in integers that are the same in NumPy, in training and in the gates.  This module says
what the integers are; `firmware.front_end` writes the same code as a netlist.

Conventions
-----------
- Words are those of CMS's correlator (`trigger.records`): pt in steps of 0.25 GeV, eta
  and phi of :math:`\pi/720`, a particle as one of eight kinds.
- A particle of pt 0 is padding; all of its features are 0.
- Features of a particle stand beside each other, particles one after the other.

Features, with :math:`p, \eta, \phi` the words of the particle and :math:`P, H, \Phi`
those of the axis:

===================== ================================================================
`pt`                  :math:`p`
`log_pt`              :math:`1 + \lfloor k \log_2 t(p) \rfloor`, in `log_steps` k to the
                      octave, with t dropping bits below the leading ones
`log_pt_rel`          `log_pt` less :math:`1 + \lfloor k \log_2 t(P) \rfloor`
`pt_rel`              :math:`p/P` in steps of `2**-relative_bits`, saturating, by a table
                      of reciprocals of P
`delta_eta`           :math:`\eta - H`, saturating in `angle_bits`
`delta_phi`           :math:`\phi - \Phi`, less a turn where that is nearer, saturating
`mass`                mass of the kind of particle, in steps of 1/256 GeV
`charge`              -1, 0 or 1
`is_charged_hadron`, `is_neutral_hadron`, `is_photon`, `is_lepton`   1 or 0
===================== ================================================================
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from trigger.errors import UserError, nearest
from trigger.layout import Layout
from trigger.links import Slice
from trigger.records import PUPPI_CHARGED
from trigger.words import Word

CANDIDATE = Layout("puppi_candidate", 64, PUPPI_CHARGED.fields[:4])
"""What charged and neutral candidates have alike: pt, eta, phi and the kind."""
AXIS = Layout("correlator_jet", 64, PUPPI_CHARGED.fields[:3])
"""The axis of a jet as the correlator keeps it, in the same units."""

PT_BITS, ETA_BITS = CANDIDATE["pt"].type.bits, CANDIDATE["eta"].type.bits
TURN = 1440
"""Counts of a whole turn."""

RECIPROCAL_BITS, RECIPROCAL_SHIFT, JET_DROP = 10, 10, 6
"""Reciprocals have ten bits, of a jet's pt without its six lowest.  They saturate below
64 GeV, where relative momenta come out too small."""

MASS_LSB = 2.0**-8
NEUTRAL_HADRON, PHOTON, NEGATIVE, POSITIVE = range(4)
_CHARGES = (0, 0, -1, 1, -1, 1, -1, 1)
_MASSES = (0.4976, 0.0, 0.1396, 0.1396, 0.0005, 0.0005, 0.1057, 0.1057)
"""GeV: K0L for the neutral hadrons, charged pions (Particle Data Group 2024)."""

BY_KIND: Mapping[str, tuple[int, ...]] = {
    "mass": tuple(round(mass / MASS_LSB) for mass in _MASSES),
    "charge": _CHARGES,
    "is_charged_hadron": tuple(int(k in (NEGATIVE, POSITIVE)) for k in range(8)),
    "is_neutral_hadron": tuple(int(k == NEUTRAL_HADRON) for k in range(8)),
    "is_photon": tuple(int(k == PHOTON) for k in range(8)),
    "is_lepton": tuple(int(k > POSITIVE) for k in range(8)),
}
"""Features that follow from the kind alone, by its number."""

FEATURES = (
    *("pt", "log_pt", "log_pt_rel", "pt_rel", "delta_eta", "delta_phi"),
    *BY_KIND,
)

SEGMENTS = ((7, 0), (11, 4), (PT_BITS, 7))
"""A pt below `2**bits` drops so many low bits before its logarithm is looked up."""

Words = Int64[np.ndarray, "jets words"]
Grid = Int64[np.ndarray, "jets particles"]
Column = Int64[np.ndarray, "jets 1"]
Counts = Int64[np.ndarray, "jets columns"]


@final
@dataclass(frozen=True)
class FrontEnd:
    """Which features of how many particles, and how finely.

    Attributes:
        particles: Places for particles.
        features: Names of `FEATURES`, in the order in which the network reads them.
        order: `declared`, as the link delivers them; or `sorted` by a network of
            comparators, falling pt, of equals the earlier first.
        angle_bits: Width of `delta_eta` and `delta_phi`; 9 reach 1.1.
        log_steps: Counts to the octave of `log_pt`, a power of two.
        relative_bits: Width of `pt_rel`.
    """

    particles: int
    features: tuple[str, ...] = ("log_pt_rel", "delta_eta", "delta_phi")
    order: Literal["declared", "sorted"] = "declared"
    angle_bits: int = 9
    log_steps: int = 4
    relative_bits: int = 8

    def __post_init__(self):
        """Checks the settings.

        Raises:
            UserError: The first that is out of range, or a feature that is not known.
        """
        for name, value, most in (
            ("particles", self.particles, 128),
            ("angle_bits", self.angle_bits, ETA_BITS),
            ("relative_bits", self.relative_bits, RECIPROCAL_BITS),
            ("log_steps", self.log_steps, 16),
        ):
            least = 2 if name == "angle_bits" else 1
            if not least <= value <= most:
                raise UserError(f"front_end.{name} is {least} to {most}, got {value}")
        if self.log_steps & (self.log_steps - 1):
            raise UserError(
                f"front_end.log_steps is a power of two, got {self.log_steps}"
            )
        for name in self.features:
            if name not in FEATURES:
                raise UserError(
                    f"the front end has no feature {name!r}; the most alike of its "
                    f"{len(FEATURES)} are {nearest(name, FEATURES)}"
                )
        if not self.features or len(set(self.features)) != len(self.features):
            raise UserError(
                f"front_end.features are distinct and at least one, got {self.features}"
            )

    def ports(self) -> tuple[Word, ...]:
        """The words of a jet as they come: its axis, then particle by particle."""
        return tuple(_word(slice_) for slice_ in self.slices())

    def slices(self) -> tuple[Slice, ...]:
        """Where each port's bits are in the records of the link."""
        axis = [Slice(AXIS, 0, field.name) for field in AXIS.fields]
        each = [
            Slice(CANDIDATE, i, field.name)
            for i in range(self.particles)
            for field in CANDIDATE.fields
        ]
        return (*axis, *each)

    def outputs(self) -> tuple[Word, ...]:
        """The words that a network reads, named `c0_log_pt` and so on."""
        octaves = 1 + math.floor(self.log_steps * PT_BITS)
        kinds = {
            "pt": (PT_BITS, False, CANDIDATE["pt"].lsb, "GeV"),
            "log_pt": (octaves.bit_length(), False, 1 / self.log_steps, "octaves"),
            "log_pt_rel": (
                *(1 + octaves.bit_length(), True),
                *(1 / self.log_steps, "octaves"),
            ),
            "pt_rel": (self.relative_bits, False, 2.0**-self.relative_bits, ""),
            "delta_eta": (self.angle_bits, True, 1.0, "pi/720"),
            "delta_phi": (self.angle_bits, True, 1.0, "pi/720"),
            "mass": (7, False, MASS_LSB, "GeV"),
            "charge": (2, True, 1.0, ""),
        }
        flag = (1, False, 1.0, "")
        return tuple(
            Word(f"c{i}_{name}", *kinds.get(name, flag))
            for i in range(self.particles)
            for name in self.features
        )

    def run(self, words: Words) -> Int64[np.ndarray, "jets features"]:
        """The features of some jets, as integers.

        Args:
            words: Counts in the order of `ports`, each within its word.
        """
        axis, (pt, eta, phi, kind) = self._parts(words)
        there = pt > 0
        columns = []
        for name in self.features:
            match name:
                case "pt":
                    column = pt
                case "log_pt":
                    column = self._log(pt)
                case "log_pt_rel":
                    column = (self._log(pt) - self._log(axis[0])) * there
                case "pt_rel":
                    inverse = np.array(reciprocals(self.relative_bits))
                    product = pt * inverse[axis[0] >> JET_DROP]
                    most = (1 << self.relative_bits) - 1
                    column = np.minimum(product >> RECIPROCAL_SHIFT, most)
                case "delta_eta":
                    column = self._saturated(eta - axis[1]) * there
                case "delta_phi":
                    column = self._saturated(folded(phi - axis[2])) * there
                case _:
                    column = np.array(BY_KIND[name])[kind] * there
            columns.append(column)
        return np.stack(columns, axis=2).reshape(len(words), -1)

    def floats(self, words: Words) -> Float64[np.ndarray, "jets features"]:
        """The same features as real numbers in counts, nothing rounded: for study.

        What is floored in integers lies a half count below on average; saturation is
        the same.
        """
        axis, (pt, eta, phi, kind) = self._parts(words)
        there = pt > 0
        log = 1 + self.log_steps * np.log2(np.maximum(pt, 1))
        log_axis = 1 + self.log_steps * np.log2(np.maximum(axis[0], 1))
        share = pt / np.maximum(axis[0], 1) * 2.0**self.relative_bits
        turn = np.floor((phi - axis[2]) / TURN + 0.5) * TURN
        real = {
            "pt": pt,
            "log_pt": log,
            "log_pt_rel": log - log_axis,
            "pt_rel": np.minimum(share, 2.0**self.relative_bits - 1),
            "delta_eta": self._saturated(eta - axis[1]),
            "delta_phi": self._saturated((phi - axis[2] - turn).astype(np.int64)),
            "mass": np.array(_MASSES)[kind] / MASS_LSB,
        }
        columns = [
            there * (real[name] if name in real else np.array(BY_KIND[name])[kind])
            for name in self.features
        ]
        return np.stack(columns, axis=2).reshape(len(words), -1).astype(np.float64)

    def _parts(self, words: Words) -> tuple[tuple[Column, Column, Column], list[Grid]]:
        """Columns of the axis, `[jets, 1]`, and of the particles in their order."""
        axis = words[:, 0:1], words[:, 1:2], words[:, 2:3]
        each = words[:, 3:].reshape(len(words), self.particles, 4)
        if self.order == "sorted":
            falling = np.argsort(-each[:, :, 0], axis=1, kind="stable")
            each = np.take_along_axis(each, falling[:, :, None], axis=1)
        return axis, [each[:, :, k] for k in range(4)]

    def _log(self, pt: Counts) -> Counts:
        return _log_table(self.log_steps)[pt]

    def _saturated(self, delta: Counts) -> Counts:
        reach = 1 << (self.angle_bits - 1)
        return np.clip(delta, -reach, reach - 1)


@functools.cache
def _log_table(steps: int) -> Int64[np.ndarray, " codes"]:
    return np.array([log_entry(pt, steps) for pt in range(1 << PT_BITS)])


def _word(slice_: Slice) -> Word:
    """A field as a port; a size that is no power of two becomes the unit."""
    field, candidate = slice_.layout[slice_.field], slice_.layout is CANDIDATE
    angle = field.name in ("eta", "phi")
    return Word(
        (f"c{slice_.index}_" if candidate else "jet_") + field.name,
        *(field.type.bits, field.type.signed),
        1.0 if angle else field.lsb,
        "pi/720" if angle else field.unit,
        f"of candidate {slice_.index}" if candidate else "of the jet's axis",
    )


def log_entry(pt: int, steps: int) -> int:
    """The logarithm of one pt, in `steps` counts to the octave; of 0 it is 0."""
    if pt == 0:
        return 0
    drop = next(drop for bits, drop in SEGMENTS if pt < 1 << bits)
    # 1 + floor(k log2 t) without a logarithm: the place of the leading bit of t**k.
    return ((pt >> drop << drop) ** steps).bit_length()


def folded(delta: Int64[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
    """A difference of two azimuths within half a turn, for words within one turn."""
    half = TURN // 2
    return delta - TURN * (delta >= half) + TURN * (delta < -half)


def reciprocals(relative_bits: int) -> tuple[int, ...]:
    """`2**(relative_bits + RECIPROCAL_SHIFT) / P`, by P without its low bits.

    Rounded at the middle of the pt that share an entry, saturating in ten bits.
    """
    scale = 2 ** (relative_bits + RECIPROCAL_SHIFT)
    most = (1 << RECIPROCAL_BITS) - 1
    return tuple(
        min(round(scale / ((code + 0.5) * (1 << JET_DROP))), most)
        for code in range(1 << (PT_BITS - JET_DROP))
    )


@final
@dataclass(frozen=True)
class Difference:
    """How far the integers of a feature are from real arithmetic, in counts."""

    feature: str
    mean: float
    rms: float
    largest: float


def differences(front: FrontEnd, words: Words) -> tuple[Difference, ...]:
    """What integer arithmetic costs, feature by feature, over all present particles."""
    shape = (len(words), front.particles, len(front.features))
    gap = front.run(words).reshape(shape) - front.floats(words).reshape(shape)
    present: Bool[np.ndarray, "jets particles"] = front._parts(words)[1][0] > 0
    found = []
    for k, name in enumerate(front.features):
        of = gap[:, :, k][present]
        if not of.size:
            of = np.zeros(1)
        found.append(
            Difference(
                *(name, float(of.mean()), float(np.sqrt(np.mean(of**2)))),
                float(np.abs(of).max()),
            )
        )
    return tuple(found)
