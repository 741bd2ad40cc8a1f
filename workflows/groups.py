"""The groups of a recipe's settings: what is read, trained, allowed, asked and built.

Each is a frozen dataclass that refuses what cannot be, by the name of the setting.

Conventions
-----------
- File names are patterns with `*`; `embedded:` before one means "shipped with jetlut".
"""

from dataclasses import dataclass
from typing import Literal, final

from trigger.datasets.card import Card
from trigger.errors import UserError, nearest
from trigger.front_end import FrontEnd
from trigger.particles import FEATURES
from trigger.physics.clocks import CROSSING_NS, Slot

EMBEDDED = "embedded:"
"""Prefix of a file pattern that is looked up in `workflows/data`."""


@final
@dataclass(frozen=True)
class Data:
    """Which jets, and how they are shared between training, choosing and judging.

    `card` says what a file holds and `inputs` what of it the block reads, in port order:
    columns of the card, or with `particles` features of each of so many particles
    (`trigger.particles.FEATURES`).  With a `front_end` in the block, its own settings
    say that, and `inputs` is empty.  `score` names the class whose only score against
    all others the block gives; without it there is a score for each class.

    `fractions` are those of train, validation and test.  With `test_files`, these are
    the whole test set and `files` are split between the first two alone.  With `folds`
    the test set is number `fold` of so many, each jet being in one: for a
    cross-validation there is a run for each.  The split has a seed of its own, so that
    runs of different seeds share one test set.

    Files that cannot be read end the run, or with `on_bad_file` "skip" are left out,
    counted and named.
    """

    card: Card
    inputs: tuple[str, ...] = ()
    particles: int = 0
    front_end: FrontEnd | None = None
    score: str = ""
    files: tuple[str, ...] = (EMBEDDED + "jsc_sample.root",)
    test_files: tuple[str, ...] = ()
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    split_seed: int = 1
    folds: int = 0
    fold: int = 0
    on_bad_file: Literal["fail", "skip"] = "fail"

    def __post_init__(self) -> None:
        if not self.files:
            raise UserError("data.files names no file")
        if min(self.fractions) <= 0 or abs(sum(self.fractions) - 1) > 1e-9:
            raise UserError(
                "data.fractions are the shares of training, validation and test, all "
                f"above 0 and 1 in sum, got {self.fractions}"
            )
        if self.folds == 1 or not 0 <= self.fold < max(self.folds, 1):
            raise UserError(
                "data.folds is 0 or at least 2 and data.fold below it, got "
                f"{self.folds} and {self.fold}"
            )
        if self.folds and self.test_files:
            raise UserError(
                "data.folds and data.test_files both say what is tested on; give one"
            )
        if self.particles < 0:
            raise UserError(f"data.particles cannot be below 0, got {self.particles}")
        classes = self.card.label.classes
        if len(classes) < 2:
            raise UserError(
                f"a training needs two classes or more, card {self.card.name!r} labels "
                f"{len(classes)}; give it a label rule"
            )
        if self.score and self.score not in classes:
            raise UserError(
                f"data.score is {self.score!r}, which is no class of card "
                f"{self.card.name!r}; nearest are {nearest(self.score, classes)}"
            )
        self._check_inputs()

    def _check_inputs(self) -> None:
        if self.front_end is not None and (self.inputs or self.particles):
            raise UserError(
                "with a front end data.inputs and data.particles are its own "
                "(data.front_end.features, data.front_end.particles); leave them out"
            )
        if (self.particles or self.front_end) and self.card.constituents is None:
            raise UserError(
                f"data.particles wants particles, card {self.card.name!r} has no "
                "constituents"
            )
        if self.front_end is not None:
            return
        if not self.inputs or len(set(self.inputs)) != len(self.inputs):
            raise UserError(
                f"data.inputs are distinct and at least one, got {self.inputs}"
            )
        known = FEATURES if self.particles else [c.name for c in self.card.columns]
        what = "feature of particles" if self.particles else "column"
        for name in self.inputs:
            if name not in known:
                raise UserError(
                    f"data.inputs: card {self.card.name!r} has no {what} {name!r}; the "
                    f"most alike of its {len(known)} are {nearest(name, known)}"
                )

    @property
    def classes(self) -> tuple[str, ...]:
        """What the block has a score for, in the order of its outputs."""
        return (self.score,) if self.score else self.card.label.classes

    @property
    def places(self) -> int:
        """Particles that the block reads; 0 where it reads none."""
        return self.front_end.particles if self.front_end else self.particles


@final
@dataclass(frozen=True)
class Weights:
    """How much a training jet counts; validation and test count every jet once.

    With `classes` all classes of the card count the same in sum.  A `reference`, one of
    them or "flat", is the spectrum in pT and eta that each class is given, so that
    where a class was generated does not give it away; the bins have `pt_edges` in GeV
    and `eta_edges`, if none are given tenths and quarters of the training jets, and no
    jet counts more than `cap` times.
    """

    classes: bool = False
    reference: str = ""
    pt_edges: tuple[float, ...] = ()
    eta_edges: tuple[float, ...] = ()
    cap: float = 10.0

    def __post_init__(self) -> None:
        if not self.cap > 0:
            raise UserError(f"weights.cap must be above 0, got {self.cap}")
        if not self.reference and (self.pt_edges or self.eta_edges):
            raise UserError(
                "weights.pt_edges and weights.eta_edges are bins of a reweighting; give "
                "its weights.reference, a class or 'flat'"
            )


@final
@dataclass(frozen=True)
class Network:
    """Which architecture; `tables` has hidden layers of `train.units` and no particles.

    The others read particles that may change places: `deep_sets` by layers for each,
    `per_particle`, and their mean; `particles`, HGQ-LUT's, with what all tell each; but
    `mixer` knows places.  `head` are hidden layers behind.

    After the training, codes that a smaller share than `refill` of what a table reads is
    at answer as their nearest neighbour that more is (`models.refill`); with less than
    one jet's share these are the codes that no training jet reaches.  0 leaves all
    tables as they were trained.
    """

    kind: Literal["tables", "deep_sets", "particles", "mixer"] = "tables"
    per_particle: tuple[int, ...] = (16, 16)
    head: tuple[int, ...] = (24,)
    refill: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.refill < 1:
            raise UserError(
                "network.refill is a share of the training jets from 0, which refills "
                f"nothing, to below 1, got {self.refill}"
            )
        if self.kind == "tables":
            return
        for name in ("per_particle", "head"):
            widths = getattr(self, name)
            if not widths or min(widths) < 1:
                raise UserError(
                    f"network.{name} are widths of one layer or more, got {widths}"
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

    With `tmux` an event comes every so many bunch crossings, with `jets` jets for
    `instances` copies of the block.  Then `latency_ns` is from the first jet in to the
    last score out, 0 standing for the whole time until the next event; what one jet may
    take follows, a jet entering a copy every clock.
    """

    luts: int = 1500
    latency_ns: float = 50.0
    clock_mhz: float = 360.0
    tmux: int = 0
    jets: int = 1
    instances: int = 1

    def __post_init__(self) -> None:
        for name in ("luts", "clock_mhz", "jets", "instances"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(
                    f"budget.{name} must be above 0, got {getattr(self, name)}"
                )
        if self.tmux < 0 or self.latency_ns < 0 or not (self.tmux or self.latency_ns):
            raise UserError(
                f"budget.latency_ns must be above 0, got {self.latency_ns}; 0 is the "
                "whole slot where budget.tmux is given"
            )
        if not self.tmux and (self.jets, self.instances) != (1, 1):
            raise UserError(
                "budget.jets and budget.instances share the clocks of an event, of "
                "which there are as many as budget.tmux says; it is not given"
            )
        if self.jet_ns <= 0:
            raise UserError(
                f"budget.latency_ns={self.latency_ns:g} is over when the last of "
                f"budget.jets={self.jets} comes; more budget.instances would help"
            )

    @property
    def slot(self) -> Slot | None:
        """The slot of an event, where the trigger is time-multiplexed."""
        if not self.tmux:
            return None
        return Slot(self.tmux, self.clock_mhz, self.jets, self.instances)

    @property
    def jet_ns(self) -> float:
        """What one jet may take, in ns."""
        if self.slot is None:
            return self.latency_ns
        whole = self.latency_ns or self.tmux * CROSSING_NS
        return self.slot.nanoseconds(self.slot.latency_budget(whole))


@final
@dataclass(frozen=True)
class Physics:
    """How the block is judged.

    `background` is the share of other jets that may pass at the working point, or with
    `rate_khz` what passes is that at most.  A rate in kHz needs real events without
    selection, `n_gen` of the card, or a stated `jet_rate_khz` of jets that reach the
    block; `bunches` collide.  `turn_on` is the
    column of a true pT, against which a cut on the jet's own, `jet_pt` in GeV, turns on.
    """

    background: float = 0.01
    rate_khz: float = 0.0
    jet_rate_khz: float = 0.0
    bunches: int = 2760
    turn_on: str = ""
    jet_pt: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.background < 1:
            raise UserError(
                f"physics.background is a share between 0 and 1, got {self.background}"
            )
        if min(self.jet_rate_khz, self.rate_khz) < 0 or self.bunches < 1:
            raise UserError(
                "physics.rate_khz and physics.jet_rate_khz are 0 or more and "
                f"physics.bunches at least 1, got {self.rate_khz}, {self.jet_rate_khz} "
                f"and {self.bunches}"
            )
        if bool(self.turn_on) != (self.jet_pt > 0):
            raise UserError(
                "physics.turn_on is a column of true pT and physics.jet_pt a cut in GeV; "
                f"give both or none, got {self.turn_on!r} and {self.jet_pt:g}"
            )


@final
@dataclass(frozen=True)
class Verify:
    """How many random words are proved beside the whole test split and the corners.

    With `place` the Verilog is also placed and routed on an open part, which is not the
    target (`firmware.place`).
    """

    random_words: int = 10_000
    place: bool = False

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
