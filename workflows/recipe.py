"""Recipes: everything that a run depends on, as one frozen dataclass.

A recipe is built in a Python file under `workflows/recipes/` and never edited in
place: `workflows.override` makes changed copies.  Two equal recipes give the same data,
the same network and the same bundle.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from models.settings import TrainConfig
from trigger.errors import UserError, nearest
from trigger.weights import FLAT
from workflows.groups import (
    Budget,
    Data,
    Firmware,
    Network,
    Physics,
    Verify,
    Weights,
    Words,
)


@final
@dataclass(frozen=True)
class Recipe:
    """One physics task, ready to run."""

    name: str
    description: str
    data: Data
    train: TrainConfig
    weights: Weights = Weights()
    network: Network = Network()
    words: Words = Words()
    budget: Budget = Budget()
    physics: Physics = Physics()
    verify: Verify = Verify()
    firmware: Firmware = Firmware()
    seed: int = 1
    version: str = "1.0.0"
    quick: tuple[tuple[str, str], ...] = ()
    """Settings and values that make it a rehearsal of a minute or two."""

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
        if padded > self.budget.jet_ns:
            raise UserError(
                f"firmware.pad_latency_to={self.firmware.pad_latency_to} cycles are "
                f"{padded:.1f} ns at budget.clock_mhz={self.budget.clock_mhz:g}, above "
                f"the {self.budget.jet_ns:g} ns that budget.latency_ns leaves"
            )
        if self.physics.rate_khz and not (
            self.data.card.n_gen or self.physics.jet_rate_khz
        ):
            raise UserError(
                f"physics.rate_khz={self.physics.rate_khz:g} needs a rate of what is "
                "read: n_gen in the card, or physics.jet_rate_khz"
            )
        reference, card = self.weights.reference, self.data.card
        if reference and reference not in (*card.label.classes, FLAT):
            raise UserError(
                f"weights.reference is a class of card {card.name!r} or {FLAT!r}, got "
                f"{reference!r}; nearest are "
                f"{nearest(reference, (*card.label.classes, FLAT))}"
            )
        names = [column.name for column in card.columns]
        if reference and not {"pt", "eta"} <= set(names):
            raise UserError(
                f"weights.reference needs columns pt and eta, card {card.name!r} has "
                f"{', '.join(names)}"
            )
        wanted = {"pt", self.physics.turn_on} if self.physics.turn_on else set()
        if missing := sorted(wanted - set(names)):
            raise UserError(
                f"physics.turn_on needs column {missing[0]!r}, card {card.name!r} has "
                f"{', '.join(names)}"
            )
        if (self.network.kind == "tables") == bool(self.data.places):
            raise UserError(
                f"network.kind={self.network.kind!r} reads "
                f"{'no particles' if self.network.kind == 'tables' else 'particles'}, "
                f"the data have {self.data.places or 'none'}"
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
    recipe: Recipe,
    files: Sequence[str] | None,
    test_files: Sequence[str] | None,
) -> Recipe:
    """A copy that reads other files; none given leaves the recipe's own."""
    data = recipe.data
    if files:
        data = dataclasses.replace(data, files=tuple(files))
    if test_files:
        data = dataclasses.replace(data, test_files=tuple(test_files))
    return dataclasses.replace(recipe, data=data)
