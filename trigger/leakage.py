"""No jet may both teach a network and judge it.

This module owns the check that the parts of a data set (training, validation, test,
folds) share nothing.  Two parts share an event when run, block and number are equal.
They share a jet when all features are equal, whatever event it is said to be of, as in
a sample that was stored twice under new numbers.

Conventions
-----------
- Equality is exact: 64-bit hashes only choose which rows are worth comparing.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, UInt64

from trigger.errors import UserError
from trigger.split import splitmix64


def refuse_common(
    events: Mapping[str, UInt64[np.ndarray, "_ 3"]],
    features: Mapping[str, Float[np.ndarray, "_ _"]] | None = None,
) -> None:
    """Refuses parts that share events or, on request, jets under other event numbers.

    Args:
        events: Run, block and event number of the jets of each part, by its name.
        features: The features of the same jets, by the same names, with the same
            columns in the same order.  Leave out where a jet is a few small integers:
            such jets are equal by chance.

    Raises:
        UserError: Two parts share an event or a jet; every such pair is told, with
            counts and the first example.
        ValueError: `features` has other parts than `events`.
    """
    found = [
        f"{_of(count, events[theirs])} jets of {theirs!r} are of the {len(common)} "
        f"events that {mine!r} has too (the first: run, block, event = {_text(first)})"
        for mine, theirs, common in _shared(events)
        for count, first in [_count(events[theirs], common)]
    ]
    if found:
        raise UserError(
            f"{'; '.join(found)}; use files of different events, or split by event"
        )
    if features is None:
        return
    if set(features) != set(events):
        raise ValueError(f"features of {set(features)}, events of {set(events)}")
    # adding zero: minus zero is equal to zero, and its bits are not
    bits = {
        k: (v.astype(np.float64) + 0.0).view(np.uint64) for k, v in features.items()
    }
    found = []
    for mine, theirs, common in _shared(bits):
        count, first = _count(bits[theirs], common)
        here, there = (
            _text(events[part][_equal(bits[part], first)][0]) for part in (mine, theirs)
        )
        found.append(
            f"{_of(count, bits[theirs])} jets of {theirs!r} have all "
            f"{len(first)} features equal to those of a jet of {mine!r} (the first: run, "
            f"block, event = {there}, which is {here} in {mine!r})"
        )
    if found:
        raise UserError(
            f"{'; '.join(found)}; the same jets were probably stored twice under "
            "different event numbers, drop one copy"
        )


def _shared(
    parts: Mapping[str, UInt64[np.ndarray, "_ _"]],
) -> Iterator[tuple[str, str, UInt64[np.ndarray, "rows columns"]]]:
    """Pairs of parts that have rows in common, with these rows, each once."""
    keys = {name: _hash(rows) for name, rows in parts.items()}
    for mine, theirs in combinations(parts, 2):
        alike = np.intersect1d(keys[mine], keys[theirs])
        one, two = (
            _rows(parts[part][np.isin(keys[part], alike)]) for part in (mine, theirs)
        )
        common = np.intersect1d(one, two)
        if len(common):
            yield mine, theirs, common.view(np.uint64).reshape(len(common), -1)


def _hash(rows: UInt64[np.ndarray, "rows columns"]) -> UInt64[np.ndarray, " rows"]:
    key = np.zeros(len(rows), np.uint64)
    for column in rows.T:
        key = splitmix64(key ^ column)
    return key


def _rows(rows: UInt64[np.ndarray, "rows columns"]) -> np.ndarray:
    """Each row as one record, in which form NumPy compares rows."""
    kind = np.dtype([(f"c{i}", "u8") for i in range(rows.shape[1])])
    return np.ascontiguousarray(rows).view(kind)[:, 0]


def _count(
    rows: UInt64[np.ndarray, "rows columns"],
    common: UInt64[np.ndarray, "common columns"],
) -> tuple[int, UInt64[np.ndarray, " columns"]]:
    """How many rows are among the common ones, and the first of them."""
    near = rows[np.isin(_hash(rows), _hash(common))]
    hits = near[np.isin(_rows(near), _rows(common))]
    return len(hits), hits[0]


def _equal(
    rows: UInt64[np.ndarray, "rows columns"], row: UInt64[np.ndarray, " columns"]
) -> Bool[np.ndarray, " rows"]:
    return (rows == row).all(axis=1)


def _of(count: int, rows: np.ndarray) -> str:
    return f"{count} of the {len(rows)}"


def _text(event: UInt64[np.ndarray, "3"]) -> str:
    return ", ".join(str(number) for number in event)
