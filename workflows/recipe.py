"""Recipes: everything that a run depends on, as one frozen dataclass.

A recipe is built in a Python file under `workflows/recipes/` and never edited in
place: `override` makes a changed copy from `path=value` texts, with the types of the
fields.  Two equal recipes give the same data, the same network and the same bundle.

Conventions
-----------
- A *setting* is a leaf of the tree of dataclasses; its *path* is `group.field`.
- File names are patterns with `*`; `embedded:` before one means "shipped with jetlut".
"""

import ast
import dataclasses
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

from models.settings import TrainConfig
from trigger.errors import UserError, nearest
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


def settings(node: Any, path: str = "") -> Iterator[tuple[str, type, Any]]:
    """Walks the leaves of nested dataclasses as `(path, declared type, value)`."""
    hints = typing.get_type_hints(type(node))
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from settings(value, f"{path}{field.name}.")
        else:
            yield path + field.name, hints[field.name], value


def override(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """A copy of the recipe with some settings changed.

    Args:
        recipe: Where to start.
        changes: Texts like `train.epochs=10`; of two with one path the last holds.

    Returns:
        The changed copy.

    Raises:
        UserError: A text without `=`, an unknown path (the nearest are named), a value
            of another type than the setting's, or one that the setting refuses.

    Example:
        >>> from workflows.recipes import load
        >>> override(load("jsc_hlf"), ["budget.luts=800"]).budget.luts
        800
    """
    known = {path: kind for path, kind, _ in settings(recipe)}
    values: dict[str, Any] = {}
    for change in changes:
        path, equals, text = (part.strip() for part in change.partition("="))
        if not equals:
            raise UserError(f"override {change!r} has no '='; write group.field=value")
        inside = [name for name in known if name.startswith(path + ".")]
        if inside:
            raise UserError(
                f"{path!r} of recipe {recipe.name!r} is a group of settings; "
                f"set one of {', '.join(inside)}"
            )
        if path not in known:
            raise UserError(
                f"recipe {recipe.name!r} has no setting {path!r}; "
                f"nearest are {nearest(path, known)}"
            )
        try:
            values[path] = _read(text, known[path])
        except ValueError as error:
            raise UserError(
                f"setting {path!r} takes {_say(known[path])}, got {text!r}, "
                f"which is {error}"
            ) from None
    try:
        return _replace(recipe, values)
    except ValueError as error:
        raise UserError(f"setting {', '.join(values)}: {error}") from error


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


def _replace(node: Any, values: dict[str, Any]) -> Any:
    """Changes all fields of a group at once, for they are checked together."""
    fields: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        field, _, rest = path.partition(".")
        fields.setdefault(field, {})[rest] = value
    changed = {
        field: inner[""] if "" in inner else _replace(getattr(node, field), inner)
        for field, inner in fields.items()
    }
    return dataclasses.replace(node, **changed)


def _read(text: str, kind: Any) -> Any:
    """Reads one value; raises ValueError that says what the text is instead."""
    if kind is str:
        return text
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if text.lower() == "none" and type(None) in inner:
            return None
        return _read(text, next(part for part in inner if part is not type(None)))
    if origin is typing.Literal:
        if text in inner:
            return text
        raise ValueError("not one of them")
    if origin is tuple:
        bare = text if inner[0] is str else text.strip("()[] ")
        parts = [part.strip() for part in bare.split(",")] if bare else []
        kinds = [inner[0]] * len(parts) if inner[-1] is Ellipsis else list(inner)
        if len(parts) != len(kinds):
            raise ValueError(f"{len(parts)} of them")
        return tuple(_read(p, k) for p, k in zip(parts, kinds, strict=True))
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(_say(type(value)))
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _say(kind: Any) -> str:
    """A type in words."""
    names = {int: "an integer", float: "a number", str: "text", bool: "true or false"}
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple and inner[-1] is Ellipsis:
        return f"values with commas between, each {_say(inner[0])}"
    if origin is tuple:
        return f"{len(inner)} values with commas between, each {_say(inner[0])}"
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin in (types.UnionType, typing.Union):
        return " or ".join("none" if k is type(None) else _say(k) for k in inner)
    return names.get(kind, f"a {getattr(kind, '__name__', kind)}")
