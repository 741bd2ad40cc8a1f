"""One chunk: from the branches of some entries to kept, labelled objects.

This module owns the order of things: take the objects apart, cut, label, gather the
particles; and what is refused on the way.  What leaves it is finite, selected and
labelled, and the cut flow says what was left out.

Conventions
-----------
- Objects are in the order of the entries, and of the lists in an entry.
- A number is looked at where it counts: a cut refuses what is not finite among the
  objects that reach it, and what is left after all cuts must be finite.
- Columns keep the type of the file until a matrix of them is asked for.
"""

from dataclasses import dataclass
from typing import Any, final

import awkward as ak
import numpy as np
from jaxtyping import Bool, Int64, Shaped, UInt64

from trigger.datasets import constituents, labels
from trigger.datasets.branches import Table
from trigger.datasets.card import ENTRY, Card, Column, Cut
from trigger.datasets.cutflow import CutFlow, Step
from trigger.errors import UserError


@final
@dataclass(frozen=True, eq=False)
class Chunk:
    """The kept objects of a range of entries.

    Attributes:
        objects: One record per object: the card's columns, `label` where the card has
            one, and `constituents`, a list of records, where it has those.  Each
            column carries its unit as the parameter `unit`.
        event: Run, block and number of the object's collision; 0 for a missing part.
        source: The file.
        cuts: What was left out.
    """

    objects: ak.Array
    event: UInt64[np.ndarray, "objects 3"]
    source: str
    cuts: CutFlow


def cut_out(card: Card, table: Table) -> Chunk:
    """The kept objects of the entries of a table.

    Raises:
        UserError: A branch is of another shape than the card says, or holds what is
            refused: a number that is not finite, a negative momentum, a label of no
            class, an index out of range.
    """
    offsets = _offsets(card, table)
    owner = np.repeat(np.arange(table.entries), np.diff(offsets))
    steps = [_step(f"{_kind(card)} in the files", owner)]
    stored = {c.name: _stored(card, table, c, offsets) for c in card.columns}
    alive: Int64[np.ndarray, " kept"] = np.arange(len(owner))

    def place(at: int) -> str:
        nth = alive[at] - offsets[owner[alive[at]]]
        return f"{_one(card)} {nth} of {table.place(int(owner[alive[at]]))}"

    def values(column: Column) -> Shaped[np.ndarray, " kept"]:
        numbers = stored[column.name]
        numbers = numbers if len(alive) == len(numbers) else numbers[alive]
        if numbers.dtype.kind == "f":
            what, wrong = f"branch {column.branch!r}", ~np.isfinite(numbers)
            table.refuse(what, numbers, wrong, "a finite number", place)
        if column.name == "pt" and numbers.dtype.kind != "u":
            what = f"branch {column.branch!r}"
            table.refuse(what, numbers, numbers < 0, "a momentum of 0 or more", place)
        return numbers if column.scale == 1 else numbers * column.scale

    for cut in card.selection:
        column = card.column(cut.column)
        alive = alive[_passes(cut, values(column))]
        steps.append(_step(cut.text(column.unit), owner[alive]))
    label, reasons = labels.assign(card, table, offsets, alive, place)
    for code, reason in enumerate(reasons, start=1):
        stays = label != -code
        alive, label = alive[stays], label[stays]
        steps.append(_step(f"label: {reason}", owner[alive]))
    fields = {c.name: _layout(values(c), c.unit) for c in card.columns}
    classes = card.label.classes
    if classes:
        fields["label"] = _layout(label, "")
    if card.constituents:
        fields["constituents"] = constituents.gather(
            card, card.constituents, table, offsets, alive
        )
    found = np.bincount(label, minlength=len(classes)) if classes else ()
    counted = {name: int(n) for name, n in zip(classes, found, strict=True)}
    objects = ak.contents.RecordArray(list(fields.values()), list(fields), len(alive))
    return Chunk(
        ak.Array(objects),
        table.event()[owner[alive]],
        table.path,
        CutFlow(tuple(steps), counted),
    )


def _offsets(card: Card, table: Table) -> Int64[np.ndarray, " bounds"]:
    """Where each entry's objects begin."""
    if card.objects == ENTRY:
        return np.arange(table.entries + 1)
    first = next((c for c in card.columns if c.per == "object"), None)
    if first is None:
        raise UserError(
            f"card {card.name!r}: no column is per object, so nothing tells how many "
            f"{card.objects!r} an entry has"
        )
    return table.lists(first.branch)[1]


def _stored(
    card: Card, table: Table, column: Column, offsets: Int64[np.ndarray, " bounds"]
) -> Shaped[np.ndarray, " objects"]:
    """A column for all objects, as it is stored."""
    if column.per == "event":
        return np.repeat(table.flat(column.branch), np.diff(offsets))
    return table.per_object(column.branch, offsets, card.objects != ENTRY)


def _passes(cut: Cut, values: Shaped[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    # in double precision: a float32 2.4 is above 2.4, and no bound is rounded
    numbers = np.abs(values.astype(np.float64)) if cut.absolute else values
    compare = {
        "<": np.less,
        "<=": np.less_equal,
        ">": np.greater,
        ">=": np.greater_equal,
        "==": np.equal,
        "!=": np.not_equal,
    }
    return compare[cut.operator](numbers, np.float64(cut.bound))


def _layout(values: Any, unit: str) -> Any:
    return ak.contents.NumpyArray(values, parameters={"unit": unit})


def _step(name: str, owner: Int64[np.ndarray, " kept"]) -> Step:
    entries = int(np.count_nonzero(np.diff(owner))) + 1 if len(owner) else 0
    return Step(name, len(owner), entries)


def _kind(card: Card) -> str:
    return "objects" if card.objects == ENTRY else card.objects


def _one(card: Card) -> str:
    return "object" if card.objects == ENTRY else card.objects
