"""Streams of random numbers that do not depend on who works out what.

Every stage of every unit of work has its own stream, named by the seed of the sample,
the stage, the class and the number of the unit: so a sample does not depend on the
number of processes, nor on their order.
"""

from enum import IntEnum
from typing import final

import numpy as np

PYTHIA_SEEDS = 900_000_000
"""PYTHIA takes seeds from 1 to this number; each starts a sequence of its own
(PYTHIA 8.3 manual, "Random-number Seed")."""


@final
class Stage(IntEnum):
    """What random numbers are for."""

    HARD = 0
    SHOWER = 1
    OVERLAY = 2
    MINIMUM_BIAS = 3
    ORDER = 4


def pythia_seed(seed: int, stage: Stage, label: int, unit: int) -> int:
    """A seed for PYTHIA, distinct for all units of one stage and class.

    Units count up from a place that the other three choose: no two units of a class can
    hold the same collisions.
    """
    start = np.random.SeedSequence([seed, stage, label]).generate_state(1, np.uint64)
    return 1 + (int(start[0]) + unit) % PYTHIA_SEEDS


def generator(seed: int, stage: Stage, label: int, unit: int) -> np.random.Generator:
    """A stream for NumPy."""
    return np.random.default_rng([seed, stage, label, unit])
