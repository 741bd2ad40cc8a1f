"""Recipes: everything that a run depends on, as one frozen dataclass.

A recipe is built in a Python file under `workflows/recipes/` and never edited in
place: `workflows.override` makes changed copies.  Two equal recipes give the same data,
the same network and the same bundle.

Conventions
-----------
- File names are patterns with `*`; `embedded:` before one means "shipped with jetlut".
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from models.settings import TrainConfig
from trigger.errors import UserError
from trigger.jets import JetSchema

EMBEDDED = "embedded:"
"""Prefix of a file pattern that is looked up in `workflows/data`."""


@final
@dataclass(frozen=True)
class Data:
    """Which jets, and how they are shared between training, choosing and judging.

    `fractions` are those of train, validation and test.  With `test_files`, these are
    the whole test set and `files` are split between the first two alone.  The split
    has a seed of its own, so that runs of different seeds share one test set.
    """

    schema: JetSchema
    files: tuple[str, ...] = (EMBEDDED + "*.root",)
    test_files: tuple[str, ...] = ()
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    split_seed: int = 1

    def __post_init__(self) -> None:
        if not self.files:
            raise UserError("data.files names no file")
        if min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise UserError(
                "data.fractions are the shares of training, validation and test, all "
                f"above 0 and 1 in sum, got {self.fractions}"
            )


@final
@dataclass(frozen=True)
class Words:
    """How a feature becomes a port word: its width, and the share that may saturate."""

    bits: int = 8
    tail: float = 0.998

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise UserError(f"words.bits is 1..16 bits a port word, got {self.bits}")


@final
@dataclass(frozen=True)
class Budget:
    """What the block may cost.

    `luts` are packed LUT6 of the whole block; `latency_ns` counts from the clock edge
    that takes the inputs to the one that can take the outputs, at `clock_mhz`.
    """

    luts: int = 1500
    latency_ns: float = 50.0
    clock_mhz: float = 360.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if value <= 0:
                raise UserError(f"budget.{name} must be above 0, got {value}")


@final
@dataclass(frozen=True)
class Verify:
    """How many random words are proved beside the whole test split and the corners."""

    random_words: int = 10_000

    def __post_init__(self) -> None:
        if self.random_words < 0:
            raise UserError(
                f"verify.random_words cannot be below 0, got {self.random_words}"
            )


@final
@dataclass(frozen=True)
class Firmware:
    """How the block is cut into cycles and wired; its function is the same for all.

    `max_cycles` is the most cycles it may take and `pad_latency_to` what it shall take,
    so that a retrained block keeps its place in the trigger's schedule; 0 leaves either
    to the clock.  `clock_enable` adds a port that freezes the pipeline.  `ports` says
    whether each word has a port or all words of a side are one `flat` vector.
    """

    max_cycles: int = 0
    pad_latency_to: int = 0
    clock_enable: bool = False
    ports: Literal["words", "flat"] = "words"

    def __post_init__(self) -> None:
        for name in ("max_cycles", "pad_latency_to"):
            if getattr(self, name) < 0:
                raise UserError(
                    f"firmware.{name} is a number of cycles, or 0 for none, got "
                    f"{getattr(self, name)}"
                )
        if 0 < self.max_cycles < self.pad_latency_to:
            raise UserError(
                f"firmware.pad_latency_to={self.pad_latency_to} is above "
                f"firmware.max_cycles={self.max_cycles}"
            )


@final
@dataclass(frozen=True)
class Recipe:
    """One physics task, ready to run."""

    name: str
    description: str
    data: Data
    train: TrainConfig
    words: Words = Words()
    budget: Budget = Budget()
    verify: Verify = Verify()
    firmware: Firmware = Firmware()
    seed: int = 1
    version: str = "1.0.0"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", self.name):
            raise UserError(
                f"recipe name {self.name!r} cannot name a block: lower-case letters, "
                "digits and single underscores, a letter first"
            )
        if not re.fullmatch(r"\d+\.\d+\.\d+", self.version):
            raise UserError(f"version {self.version!r} is not MAJOR.MINOR.PATCH")
        if self.seed < 0:
            raise UserError(f"seed cannot be below 0, got {self.seed}")
        padded = 1000 * self.firmware.pad_latency_to / self.budget.clock_mhz
        if padded > self.budget.latency_ns:
            raise UserError(
                f"firmware.pad_latency_to={self.firmware.pad_latency_to} cycles are "
                f"{padded:.1f} ns at budget.clock_mhz={self.budget.clock_mhz:g}, above "
                f"budget.latency_ns={self.budget.latency_ns:g}"
            )

    @property
    def block(self) -> str:
        """The block's id, legal in Verilog, VHDL and C++, e.g. `jsc_hlf_v1_0_0`."""
        return f"{self.name}_v{self.version.replace('.', '_')}"

    def digest(self) -> str:
        """Eight hexadecimal digits of all settings: equal exactly for equal recipes."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def with_files(
    recipe: Recipe, files: Sequence[str] | None, test_files: Sequence[str] | None
) -> Recipe:
    """A copy that reads other files; none given leaves the recipe's own."""
    data = recipe.data
    if files:
        data = dataclasses.replace(data, files=tuple(files))
    if test_files:
        data = dataclasses.replace(data, test_files=tuple(test_files))
    return dataclasses.replace(recipe, data=data)
