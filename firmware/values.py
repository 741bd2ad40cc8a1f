"""Which values every node can take: sets with their holes, not intervals alone.

A sum of tables misses values between its least and its greatest, a clip takes one of
its ends from many, and a table answers what it holds and nothing else.  What depends on
few words is computed for all of them together, so that it is known which values come
together; sums of more are sums of sets.

Conventions
-----------
- A set may be too large, never too small: what is left out never comes.
- Where sets would grow too large, the interval stands for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from firmware.netlist import Netlist, Node

TOGETHER = 1024
"""Combinations of values that are looked at one by one."""

SPAN = 1 << 14
"""The widest interval of which holes are known: far more than a table is wide, and a
sum of two such sets still takes less than a millisecond."""


@final
@dataclass(frozen=True)
class _Joint:
    """The values of a node for all combinations of what it depends on.

    Attributes:
        axes: The nodes that it depends on, in order, each with a set of its own.
        values: One axis for each of them.
    """

    axes: tuple[int, ...]
    values: np.ndarray

    def along(self, axes: Sequence[int]) -> np.ndarray:
        """The values, ready to be broadcast along `axes`, which hold those here."""
        sizes = dict(zip(self.axes, self.values.shape, strict=True))
        return self.values.reshape([sizes.get(axis, 1) for axis in axes])


def value_sets(netlist: Netlist, wanted: Sequence[int]) -> list[np.ndarray]:
    """The values that nodes can take, sorted; of a very wide node, its whole interval.

    Args:
        netlist: The block.
        wanted: The nodes to tell of, all of which a table could have as address.
    """
    nodes = netlist.nodes
    tables = [np.array(table, np.int64) for table in netlist.tables]
    found: list[_Joint | None] = []
    for i, node in enumerate(nodes):
        args = [found[a] for a in node.args]
        known = [arg for arg in args if arg is not None]
        joint = None
        if node.op != "input" and len(known) == len(args):
            if node.op in ("add", "sum"):
                joint = _summed(i, node, known)
            else:
                joint = _computed(i, netlist, tables, known)
        if joint is None and node.hi - node.lo < SPAN:
            joint = _Joint((i,), np.arange(node.lo, node.hi + 1))
        found.append(joint)
    sets = [(nodes[i], found[i]) for i in wanted]
    return [
        np.arange(node.lo, node.hi + 1) if joint is None else np.unique(joint.values)
        for node, joint in sets
    ]


def _computed(
    i: int, netlist: Netlist, tables: Sequence[np.ndarray], args: Sequence[_Joint]
) -> _Joint | None:
    """Any operation but a sum, on all combinations of its arguments' values."""
    node = netlist.nodes[i]
    axes = _axes(args, TOGETHER)
    if axes is None:  # what comes together is no longer known
        args = [
            _Joint((a,), np.unique(arg.values))
            for a, arg in zip(node.args, args, strict=True)
        ]
        axes = _axes(args, SPAN)
    if axes is None:
        return None
    zero = netlist.nodes[node.args[0]].lo if node.args else 0
    values = answers(node, tables, zero, [arg.along(axes) for arg in args])
    return _Joint(axes, np.asarray(values))


def answers(
    node: Node, tables: Sequence[np.ndarray], zero: int, args: Sequence[np.ndarray]
) -> np.ndarray | np.number:
    """An operation in NumPy; `zero` is the value of its argument at the first entry."""
    match node.op, args:
        case "shift", (a,):
            return a << node.by if node.by >= 0 else a >> -node.by
        case "add" | "sum", _:
            return np.asarray(sum(args))
        case "sub", (a, b):
            return a - b
        case "mul", (a, b):
            return a * b
        case "clip", (a,):
            return np.clip(a, node.lo, node.hi)
        case "wrap", (a,):
            low, half = a & ((1 << node.bits) - 1), 1 << (node.bits - 1)
            return (low ^ half) - half if node.twos else low
        case "compare", (a, b):
            tests = {"<": np.less, "<=": np.less_equal, "==": np.equal}
            return tests[node.test](a, b).astype(np.int64)
        case "mux", (choose, a, b):
            return np.where(choose != 0, a, b)
        case "table", (a,):
            return tables[node.table][a - zero]
        case _:
            return np.array(node.lo)  # a constant


def _axes(args: Sequence[_Joint], most: int) -> tuple[int, ...] | None:
    """What arguments depend on together; None where that are too many combinations."""
    if len(args) == 1:
        return args[0].axes
    sizes: dict[int, int] = {}
    for arg in args:
        sizes |= zip(arg.axes, arg.values.shape, strict=True)
    size = 1
    for step in sizes.values():
        size *= step
    few = size <= max([most, *(arg.values.size for arg in args)])
    return tuple(sorted(sizes)) if few else None


def _summed(i: int, node: Node, terms: Sequence[_Joint]) -> _Joint | None:
    """A sum: terms that share what they depend on together, then sets of sums."""
    if node.hi - node.lo >= SPAN:
        return None
    parts: list[_Joint] = []
    for term in sorted(terms, key=lambda term: term.axes):
        axes = _axes([parts[-1], term], TOGETHER) if parts else None
        if axes is None:
            parts.append(term)
        else:
            both = parts[-1].along(axes) + term.along(axes)
            parts[-1] = _Joint(axes, np.asarray(both))
    if len(parts) == 1:
        return parts[0]
    # A set is a whole number whose bit `v` says that the least plus `v` is in it.
    total = 1
    for part in parts:
        here = np.zeros(int(np.ptp(part.values)) + 1, bool)
        here[part.values - part.values.min()] = True
        few, many = sorted((total, _mask(here)), key=int.bit_count)
        total = 0
        while few:
            lowest = few & -few
            total |= many * lowest
            few ^= lowest
    raw = np.frombuffer(total.to_bytes(SPAN // 8, "little"), np.uint8)
    least = sum(int(part.values.min()) for part in parts)
    values = np.flatnonzero(np.unpackbits(raw, bitorder="little")) + least
    return _Joint((i,), values)


def _mask(here: np.ndarray) -> int:
    return int.from_bytes(np.packbits(here, bitorder="little").tobytes(), "little")
