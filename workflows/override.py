"""Changing the settings of a recipe by text: `path=value`, with the types of the fields.

Conventions
-----------
- A *setting* is a leaf of the tree of dataclasses; its *path* is `group.field`.
- A recipe is never edited in place; a change is a copy.
"""

import ast
import dataclasses
import math
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from trigger.datasets.card import Card
from trigger.errors import UserError, nearest
from workflows.recipe import Recipe


def settings(node: Any, path: str = "") -> Iterator[tuple[str, type, Any]]:
    """Walks the leaves of nested dataclasses as `(path, declared type, value)`.

    Lists of records, such as the columns of a card, are no settings.
    """
    hints = typing.get_type_hints(type(node))
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from settings(value, f"{path}{field.name}.")
        elif not any(map(_holds_records, typing.get_args(hints[field.name]))):
            yield path + field.name, hints[field.name], value


def _holds_records(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind) or typing.get_origin(kind) is tuple


def override(
    recipe: Recipe, changes: Sequence[str], *, card: Card | None = None
) -> Recipe:
    """A copy of the recipe with some settings changed.

    Args:
        recipe: Where to start.
        changes: Texts like `train.epochs=10`; of two with one path the last holds.
        card: What the files hold, instead of the recipe's card; and the files that it
            names, if it does.

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
    if card is not None:
        # Together with the settings, for the inputs are checked against the card.
        values["data.card"] = card
        if card.files:
            values |= {"data.files": card.files, "data.test_files": ()}
        known = {k: v for k, v in known.items() if not k.startswith("data.card.")}
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
