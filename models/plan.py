"""What a training is asked and what it answers: data, goals, plans, logs, candidates.

Plain records; `models.train` does the work.  Costs are estimates of the training here:
LUTs by `models.count`, cycles by `models.latency`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import jax
import numpy as np
from jaxtyping import Float, Integer, Real

from models.settings import TrainConfig
from trigger.errors import UserError


@final
@dataclass(frozen=True)
class TrainData:
    """Port words and labels; raw integers as the links carry them.

    With weights an event is taken in each epoch as often as its weight says on average,
    one standing for once; validation counts every event once.  `reals` are the numbers
    that a teacher may read instead of the words, of training and validation.
    """

    words_train: Integer[np.ndarray, "train ports"]
    labels_train: Real[np.ndarray, " train"]
    words_val: Integer[np.ndarray, "val ports"]
    labels_val: Real[np.ndarray, " val"]
    bits: tuple[int, ...]
    signed: tuple[bool, ...]
    classes: int
    weights_train: Float[np.ndarray, " train"] | None = None
    reals: (
        tuple[Float[np.ndarray, "train reals"], Float[np.ndarray, "val reals"]] | None
    ) = None


@final
@dataclass(frozen=True)
class Goal:
    """What a network may cost, by the estimates of training.

    `luts` or `latency_ns` may be left open, not both; with `latency_ns` a clock is
    needed, since latency is a whole number of its cycles.
    """

    luts: float | None
    latency_ns: float | None = None
    clock_mhz: float = 360.0

    def __post_init__(self) -> None:
        for name in ("luts", "latency_ns", "clock_mhz"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UserError(
                    f"the budget of {name} is {value}, it must be positive and finite"
                )
        if self.luts is None and self.latency_ns is None:
            raise UserError("a budget states LUTs, a latency or both; it states none")

    @property
    def cycles(self) -> int | None:
        """Whole cycles within the latency."""
        if self.latency_ns is None:
            return None
        return int(self.latency_ns * self.clock_mhz / 1000 + 1e-9)


@final
@dataclass(frozen=True)
class Plan:
    """How the prices of one member go.

    With a `goal`, controllers find them; else `price` is where a ramp ends.
    """

    seed: int
    goal: Goal | None = None
    price: float = 0.0


@final
@dataclass(frozen=True)
class EpochLog:
    """What one epoch of one member came to; `luts` and `cycles` are estimates."""

    epoch: int
    epochs: int
    loss: float
    train_accuracy: float
    val_accuracy: float
    luts: float
    price: float
    learning_rate: float
    seconds: float
    cycles: float = 0.0
    latency_price: float = 0.0
    member: int = 0
    members: int = 1


@final
@dataclass(frozen=True)
class Candidate:
    """A network that no other seen in the run beats in accuracy, area and latency.

    `before` is what it was made from after the training, if it was (`models.refill`).
    """

    epoch: int
    val_accuracy: float
    luts: float
    network: Any
    cycles: float = 0.0
    member: int = 0
    seed: int = 0
    price: float = 0.0
    cpu_seconds: float = 0.0
    before: "Candidate | None" = None


@final
@dataclass(frozen=True)
class TrainResult:
    """The front, by ascending area, and the history of the run.

    `teacher` is what the teacher of the run itself reaches on the validation split.
    """

    front: tuple[Candidate, ...]
    log: tuple[EpochLog, ...]
    seconds: float
    samples_per_second: float
    cpu_seconds: float
    teacher: float | None = None


def keep(
    front: list[Candidate], new: Candidate, *, latency: bool = False
) -> list[Candidate]:
    """The front with `new` in it, or without it if another is no worse in anything."""

    def no_worse(a: Candidate, b: Candidate) -> bool:
        return (
            a.val_accuracy >= b.val_accuracy
            and a.luts <= b.luts
            and (not latency or a.cycles <= b.cycles)
        )

    if any(no_worse(c, new) for c in front):
        return front
    rest = [c for c in front if not no_worse(new, c)]
    return sorted([*rest, new], key=lambda c: c.luts)


def check(config: TrainConfig, data: TrainData, plans: Sequence[Plan]) -> None:
    """Refuses settings and data that do not go together.

    Raises:
        UserError: The first thing that is wrong.
    """
    if not plans:
        raise UserError("nothing to train: there is no price and no budget")
    if config.batch < 1 or config.batch > len(data.words_train):
        raise UserError(
            f"train.batch is {config.batch}, it must be between 1 and the "
            f"{len(data.words_train)} jets of the training split"
        )
    if config.epochs < 1:
        raise UserError(f"train.epochs is {config.epochs}, it must be at least 1")
    if not config.areas or min(config.areas) <= 0:
        raise UserError(
            f"train.areas is {config.areas}; one positive number per cosine period, "
            "in units of the budget, is needed"
        )
    if not len(data.words_val):
        raise UserError(
            "the validation split is empty; it decides which network is kept"
        )
    weights = data.weights_train
    if weights is not None and not (
        len(weights) == len(data.words_train)
        and np.all(np.isfinite(weights))
        and np.all(weights >= 0)
        and np.any(weights > 0)
    ):
        raise UserError(
            "the weights of the training jets are one for each, not negative and not "
            f"all 0; there are {len(weights)} from {np.min(weights)} to "
            f"{np.max(weights)} for {len(data.words_train)} jets"
        )
    for name in (
        *("edge_hidden", "most_address", "learning_rate", "price", "reach"),
        *("latency_price", "devices"),
    ):
        if getattr(config, name) <= 0:
            raise UserError(
                f"train.{name} is {getattr(config, name)}, it must be positive"
            )
    if not 0 <= config.shared <= 1:
        raise UserError(
            f"train.shared is {config.shared}, it is a share of the epochs, 0 to 1"
        )
    if not 0 <= config.teacher <= 1:
        raise UserError(
            f"train.teacher is {config.teacher}, it is a share of each training target, "
            "0 to 1"
        )
    if not 0 <= config.direct_from <= 1:
        raise UserError(
            f"train.direct_from is {config.direct_from}, it is a share of the epochs, "
            "0 to 1"
        )
    if not np.isfinite(np.log2(config.reach)) or np.log2(config.reach) % 1:
        raise UserError(f"train.reach is {config.reach}, it must be a power of two")
    if any(units < 1 for units in config.units):
        raise UserError(
            f"train.units is {config.units}; every hidden layer needs at least 1 unit"
        )
    if not 1 <= config.most_address <= 12:
        raise UserError(
            f"train.most_address is {config.most_address}; tables of 1 to 12 address "
            "bits can be built"
        )
    there = len(jax.devices())
    if config.devices > there:
        raise UserError(
            f"train.devices is {config.devices}, JAX sees {there} here; lower it, or "
            "see XLA_FLAGS=--xla_force_host_platform_device_count to split a CPU"
        )
    if config.batch % config.devices:
        raise UserError(
            f"train.batch is {config.batch}, which {config.devices} devices cannot "
            "share evenly; make it a multiple"
        )
