"""A dataset card as TOML text, and back.

This module owns the card's form in a file.  What a file says and no card has is refused,
with the nearest names: a misspelt key must not become a default.  What is at its default
is not written.

Conventions
-----------
- The first line is the version of the form.
- Columns are tables by name, `[columns.pt]`; a label's rule is told by `rule`.
- `loads` is the inverse of `dumps`.  `load` also takes the relative paths of `files` as
  relative to the card's folder.
"""

import os
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import tomli_w

from trigger.datasets.card import (
    BranchLabel,
    Card,
    Column,
    Cut,
    FlavourLabel,
    Identity,
    Label,
    MatchLabel,
    NoLabel,
    ParticleList,
)
from trigger.errors import UserError, nearest
from trigger.rootfile import is_remote

VERSION = 1
_RULES = {
    "none": NoLabel,
    "branch": BranchLabel,
    "flavour": FlavourLabel,
    "match": MatchLabel,
}


def load(path: str | Path) -> Card:
    """Reads a card from a file.

    Raises:
        UserError: There is no such file, or it is no card.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise UserError(f"card {str(path)!r} cannot be read: {reason}") from error
    card = loads(text, str(path))
    folder = Path(path).parent
    return replace(card, files=tuple(_below(folder, name) for name in card.files))


def save(card: Card, path: str | Path) -> None:
    """Writes a card to a file, under a temporary name until it is complete.

    Raises:
        UserError: The file cannot be written.
    """
    writing = Path(f"{path}.part")
    try:
        writing.write_text(dumps(card), encoding="utf-8")
        os.replace(writing, path)
    except OSError as error:
        raise UserError(
            f"card {str(path)!r} cannot be written: {error.strerror}"
        ) from error


def dumps(card: Card) -> str:
    """The card as TOML."""
    plain = _plain(card)
    for name in ("event", "label", "constituents"):
        if name in plain:
            plain[name] = _plain(plain[name])
    rule = next(rule for rule, kind in _RULES.items() if isinstance(card.label, kind))
    plain["label"] = {"rule": rule, **_plain(card.label)}
    if "values" in plain["label"]:
        pairs = plain["label"]["values"]
        plain["label"]["values"] = {str(value): name for value, name in pairs}
    plain["columns"] = _by_name(card.columns)
    if card.constituents:
        plain["constituents"]["columns"] = _by_name(card.constituents.columns)
    if card.selection:
        plain["selection"] = [_plain(cut) for cut in card.selection]
    if card.checksums:
        plain["checksums"] = dict(card.checksums)
    # plain values before tables, as TOML wants them
    tables = (dict, list)
    order = sorted(plain, key=lambda key: isinstance(plain[key], tables))
    last = ("selection", "constituents", "checksums")
    order.sort(key=lambda key: key in last)
    return tomli_w.dumps({"version": VERSION, **{key: plain[key] for key in order}})


def loads(text: str, where: str = "card") -> Card:
    """The card that TOML text says.

    Args:
        text: The text.
        where: What to call it in a message.

    Raises:
        UserError: It is not TOML, of another version, has unknown or missing keys or
            values of a wrong type, or parts of it do not fit together.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where!r} is not TOML: {error}") from error
    version = table.pop("version", None)
    if version != VERSION:
        found = "no version" if version is None else f"version {version!r}"
        raise UserError(f"{where!r}: a card of {found}; this program reads {VERSION}")
    try:
        return _build(
            Card,
            table,
            where,
            event=lambda part, at: _build(Identity, part, at),
            columns=_columns,
            label=_label,
            selection=_selection,
            constituents=lambda part, at: _build(
                ParticleList, part, at, columns=_columns
            ),
            checksums=_pairs,
        )
    except UserError as error:
        if where in str(error):
            raise
        raise UserError(f"{where!r}: {error}") from error


def _below(folder: Path, name: str) -> str:
    if is_remote(name):
        return name
    if name.startswith("@"):
        return f"@{folder / name[1:]}"
    kept = "/" if name.endswith("/") else ""
    return str(folder / name) + kept


def _plain(part: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not at their defaults."""
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in fields(part)
        if (value := getattr(part, field.name)) != field.default
    }


def _by_name(columns: tuple[Column, ...]) -> dict[str, Any]:
    plain = [_plain(column) for column in columns]
    return {column.pop("name"): column for column in plain}


def _build(kind: Any, table: Any, where: str, **special: Callable[[Any, str], Any]):
    """A dataclass from a table of TOML; `special` fields have their own way."""
    _is_table(table, where)
    known: dict[str, Field] = {field.name: field for field in fields(kind)}
    for key in table:
        if key not in known:
            raise UserError(
                f"{where!r}: unknown key {key!r}; the most alike are "
                f"{nearest(key, known)}"
            )
    values = {}
    for name, field in known.items():
        if name in table:
            of = special.get(name)
            at = f"{where}: {name}"
            value = table[name]
            values[name] = of(value, at) if of else _value(field.type, value, at)
        elif field.default is MISSING:
            raise UserError(f"{where!r}: the key {name!r} is missing")
    return kind(**values)


def _value(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise UserError(f"{where!r} is one of {get_args(kind)}, not {value!r}")
    if get_origin(kind) is tuple:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise UserError(f"{where!r} is a list of texts, not {value!r}")
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        names = {
            str: "text",
            int: "an integer",
            float: "a number",
            bool: "true or false",
        }
        raise UserError(f"{where!r} is {names[kind]}, not {value!r}")
    return value


def _columns(table: Any, where: str) -> tuple[Column, ...]:
    _is_table(table, where)
    for name, part in table.items():
        _is_table(part, f"{where}.{name}")
    return tuple(
        _build(Column, {"name": name, **part}, f"{where}.{name}")
        for name, part in table.items()
    )


def _selection(cuts: Any, where: str) -> tuple[Cut, ...]:
    if not isinstance(cuts, list):
        raise UserError(f"{where!r} is a list of tables, not {cuts!r}")
    return tuple(_build(Cut, cut, where) for cut in cuts)


def _label(table: Any, where: str) -> Label:
    _is_table(table, where)
    rule = table.get("rule")
    if rule not in _RULES:
        found = f"{rule!r}" if rule is not None else "none given"
        raise UserError(f"{where!r}: the rule is one of {', '.join(_RULES)}, {found}")
    rest = {key: value for key, value in table.items() if key != "rule"}
    return _build(_RULES[rule], rest, where, values=_values)


def _values(table: Any, where: str) -> tuple[tuple[int, str], ...]:
    pairs = []
    for value, name in _pairs(table, where):
        try:
            pairs.append((int(value), name))
        except ValueError:
            raise UserError(
                f"{where!r}: the value {value!r} of class {name!r} is not an integer"
            ) from None
    return tuple(pairs)


def _pairs(table: Any, where: str) -> tuple[tuple[str, str], ...]:
    _is_table(table, where)
    return tuple(
        (key, _value(str, text, f"{where}.{key}")) for key, text in table.items()
    )


def _is_table(table: Any, where: str) -> None:
    if not isinstance(table, dict):
        raise UserError(f"{where!r} is a table, not {table!r}")
