"""The particles of each object, gathered from where the files keep them.

This module owns the four ways in which files tell which particle is whose, and the
order and number in which they are kept.  All four end in pairs of an object and a
particle; from there on there is one way.

Conventions
-----------
- Particles of an object are in the card's order; equals stay in the order of the file.
- A particle may be of several objects (`pairs`, `delta_r`), or of none.
"""

from typing import Any

import awkward as ak
import numpy as np
from jaxtyping import Bool, Int64, Shaped

from trigger.datasets.branches import Table
from trigger.datasets.card import ENTRY, Card, ParticleList
from trigger.datasets.geometry import cross, delta_r
from trigger.errors import UserError

Offsets = Int64[np.ndarray, " bounds"]
Index = Int64[np.ndarray, " pairs"]


def gather(
    card: Card,
    chosen: ParticleList,
    table: Table,
    offsets: Offsets,
    alive: Int64[np.ndarray, " kept"],
) -> Any:
    """The kept particles of the kept objects.

    Args:
        card: The objects.
        chosen: The card's constituents.
        table: The branches.
        offsets: Where each entry's objects begin.
        alive: The objects that are kept.

    Returns:
        An awkward layout: for each kept object a list of records.

    Raises:
        UserError: A branch is of another shape, length or type; an index is out of
            range; or a number is not finite, or a momentum negative.
    """
    columns, start = _columns(card, chosen, table, offsets)
    if chosen.link == "nested":
        owner = np.repeat(np.arange(len(start) - 1), np.diff(start))
        particle = np.arange(start[-1])
    elif chosen.link == "delta_r":
        owner, particle = _near(card, chosen, table, offsets, columns, start)
    else:
        owner, particle = _linked(chosen, table, offsets, start)
    if len(alive) != offsets[-1]:
        row_of = np.full(offsets[-1], -1)
        row_of[alive] = np.arange(len(alive))
        row = row_of[owner]
        owner, particle = row[row >= 0], particle[row >= 0]
    if chosen.least_pt:
        enough = _of(columns["pt"], particle) >= chosen.least_pt
        owner, particle = owner[enough], particle[enough]
    owner, particle = _ordered(chosen, columns, owner, particle)
    number = np.bincount(owner, minlength=len(alive))
    if (number > chosen.keep).any():
        rank = np.arange(len(owner)) - np.repeat(np.cumsum(number) - number, number)
        particle = particle[rank < chosen.keep]
        number = np.minimum(number, chosen.keep)
    records = [
        ak.contents.NumpyArray(
            _of(columns[column.name], particle), parameters={"unit": column.unit}
        )
        for column in chosen.columns
    ]
    names = [column.name for column in chosen.columns]
    return ak.contents.ListOffsetArray(
        ak.index.Index64(np.concatenate([[0], np.cumsum(number)])),
        ak.contents.RecordArray(records, names, len(particle)),
    )


def _columns(
    card: Card, chosen: ParticleList, table: Table, offsets: Offsets
) -> tuple[dict[str, Any], Int64[np.ndarray, " lists"]]:
    """The particles' columns, scaled and checked, and where each list begins."""
    deep = chosen.link == "nested" and card.objects != ENTRY
    columns: dict[str, Any] = {}
    start = np.zeros(1, np.int64)
    for column in chosen.columns:
        if deep:
            values, outer, own = table.nested(column.branch)
            if not np.array_equal(outer, offsets):
                number, expected = np.diff(outer), np.diff(offsets)
                at = int(np.argmax(number != expected))
                raise UserError(
                    f"file {table.path!r}: in {table.place(at)} the branch "
                    f"{column.branch!r} holds {number[at]} lists, but there are "
                    f"{expected[at]} objects"
                )
        else:
            values, own = table.lists(column.branch)
        start = start if columns else own
        if not np.array_equal(own, start):
            lists = min(len(own), len(start))
            at = int(np.argmax(own[:lists] != start[:lists])) - 1
            raise UserError(
                f"file {table.path!r}: in list {at} the branch {column.branch!r} holds "
                f"{own[at + 1] - own[at]} values, but {chosen.columns[0].branch!r} "
                f"holds {start[at + 1] - start[at]}; the columns of a particle must be "
                "equally long"
            )

        def place(at: int, own: Offsets = own) -> str:
            nth = int(np.searchsorted(own, at, side="right")) - 1
            entry = (
                int(np.searchsorted(offsets, nth, side="right")) - 1 if deep else nth
            )
            return f"particle {at - own[nth]} of {table.place(entry)}"

        what = f"branch {column.branch!r}"
        if values.dtype.kind == "f":
            wrong = ~np.isfinite(values)
            table.refuse(what, values, wrong, "a finite number", place)
        if column.name == "pt" and values.dtype.kind != "u":
            wrong = values < 0
            table.refuse(what, values, wrong, "a momentum of 0 or more", place)
        columns[column.name] = values if column.scale == 1 else values * column.scale
    return columns, start


def _linked(
    chosen: ParticleList, table: Table, offsets: Offsets, start: Offsets
) -> tuple[Index, Index]:
    """Pairs by `index`, where each particle is in the list, or by `pairs`."""
    place, own = _places(table, chosen.index, offsets, "object")
    if chosen.link == "index":
        particle = np.arange(start[-1])
        if not np.array_equal(own, start):
            raise UserError(
                f"file {table.path!r}: branch {chosen.index!r} holds {own[-1]} values, "
                f"but {chosen.columns[0].branch!r} holds {start[-1]}; the columns of a "
                "particle must be equally long"
            )
    else:
        particle, other = _places(table, chosen.particle_index, start, "particle")
        if not np.array_equal(own, other):
            raise UserError(
                f"file {table.path!r}: branch {chosen.index!r} holds {own[-1]} values, "
                f"but {chosen.particle_index!r} holds {other[-1]}; they make pairs"
            )
    linked = (place >= 0) & (particle >= 0)
    return (place, particle) if linked.all() else (place[linked], particle[linked])


def _places(
    table: Table, branch: str, offsets: Offsets, what: str
) -> tuple[Index, Offsets]:
    """An index branch: positions in the whole list, -1 for none, and its offsets."""
    table.integer(branch)
    index, own = table.lists(branch)
    index = index.astype(np.int64)
    entry = np.repeat(np.arange(table.entries), np.diff(own))
    number = np.diff(offsets)[entry]

    def place(at: int) -> str:
        return f"value {at - own[entry[at]]} of {table.place(int(entry[at]))}"

    wrong = (index < -1) | (index >= number)
    held = number[np.argmax(wrong)] if len(wrong) else 0
    want = f"the place of one of the {held} {what}s of the entry, or -1 for none"
    table.refuse(f"branch {branch!r}", index, wrong, want, place)
    return np.where(index < 0, -1, index + offsets[:-1][entry]), own


def _near(
    card: Card,
    chosen: ParticleList,
    table: Table,
    offsets: Offsets,
    columns: dict[str, Any],
    start: Offsets,
) -> tuple[Index, Index]:
    """Pairs within the radius."""
    entry = np.repeat(np.arange(table.entries), np.diff(offsets))
    owner, particle = cross(entry, start)
    between = []
    for name in ("eta", "phi"):
        column = card.column(name)
        axis = table.per_object(column.branch, offsets, card.objects != ENTRY)
        axis = axis.astype(np.float64) * column.scale
        between.append(axis[owner] - columns[name].astype(np.float64)[particle])
    near = delta_r(between[0], between[1]) < chosen.radius
    return owner[near], particle[near]


def _ordered(
    chosen: ParticleList, columns: dict[str, Any], owner: Index, particle: Index
) -> tuple[Index, Index]:
    """Pairs by object, then by the sort key; those that are so already stay."""
    key = _of(columns[chosen.sort], particle)
    after = key[1:] > key[:-1] if chosen.descending else key[1:] < key[:-1]
    step = np.diff(owner)
    unordered: Bool[np.ndarray, " pairs"] = (step < 0) | ((step == 0) & after)
    if not unordered.any():
        return owner, particle
    key = key.astype(np.float64)  # so that unsigned keys have a negative
    order = np.lexsort((-key if chosen.descending else key, owner))
    return owner[order], particle[order]


def _of(values: Shaped[np.ndarray, " all"], at: Index) -> Any:
    """Values at positions, without a copy where those are all of them."""
    whole = len(at) == len(values) and (not len(at) or bool((np.diff(at) == 1).all()))
    return values if whole and (not len(at) or at[0] == 0) else values[at]
