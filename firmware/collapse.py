"""What depends on few bits is looked up in one table, whatever it takes to compute it.

A unit of two inputs of three bits each is two tables, an adder and a clip; it is also a
table of six address bits, one LUT for each bit of its word.  A table of a table is a
table.  So a node whose value follows from at most six bits of earlier nodes, a cut in
the words of technology mapping, becomes a table of these where that takes fewer LUTs
(cuts as in Cong and Ding, "FlowMap", IEEE TCAD 13 (1994) 1, doi:10.1109/43.273754, but
of words, and by area alone).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from firmware.area import luts, table_luts
from firmware.build import Builder, is_negative, rewrite
from firmware.netlist import Netlist
from firmware.values import answers

ADDRESS = 6
"""Address bits of a table that stands for more than itself: those of a LUT."""

CUTS = 8
"""Cuts that are kept of a node, those of fewest bits."""

WORTH = 0.75
"""LUTs of a table that may stand for one LUT of the nodes that go: Yosys finds less for
these than their shapes tell."""

Cut: TypeAlias = frozenset[int]
"""Nodes that another node is a function of."""

ADDERS = ("add", "sub", "sum")
"""What is worth a table even where nothing else goes with it."""


@final
@dataclass(frozen=True)
class _Cone:
    """The nodes between a cut and the node that is looked up, itself included, in order."""

    leaves: tuple[int, ...]
    nodes: tuple[int, ...]


def collapse(netlist: Netlist, worth: float = WORTH) -> Netlist:
    """Nodes that follow from few bits become tables of these, if that saves LUTs.

    Args:
        netlist: As the simplifying passes leave it.
        worth: LUTs that a table may take for each that goes, as shapes tell.
    """
    chosen = _chosen(netlist, worth)
    if not chosen:
        return netlist
    nodes = netlist.nodes
    tables = [np.array(table, np.int64) for table in netlist.tables]
    moved: dict[int, int] = {}

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        moved.update(zip(nodes[i].args, args, strict=True))
        cone = chosen.get(i)
        if cone is None:
            return None
        spans = [np.arange(nodes[a].lo, nodes[a].hi + 1) for a in cone.leaves]
        held = dict(zip(cone.leaves, np.meshgrid(*spans, indexing="ij"), strict=True))
        for k in cone.nodes:
            node = nodes[k]
            zero = nodes[node.args[0]].lo if node.args else 0
            held[k] = np.asarray(
                answers(node, tables, zero, [held[a] for a in node.args])
            )
        entries = np.broadcast_to(held[i], [len(span) for span in spans])
        leaves, lows = zip(*((moved[a], nodes[a].lo) for a in cone.leaves), strict=True)
        return _looked(into, leaves, lows, entries, nodes[i].layer)

    return rewrite(netlist, rule)


def _looked(
    into: Builder,
    leaves: Sequence[int],
    lows: Sequence[int],
    entries: np.ndarray,
    layer: str,
) -> int:
    """The table of some nodes of `into`.

    Args:
        into: Where it is written.
        leaves: What it is a function of.
        lows: The values of the leaves at the first entry along each axis.
        entries: One axis for each leaf.
        layer: That it belongs to.
    """
    ends = [size - 1 for size in entries.shape]

    def entry(values: Sequence[int]) -> int:
        at = zip(values, lows, ends, strict=True)
        return int(entries[tuple([min(max(v - lo, 0), end) for v, lo, end in at])])

    if len(leaves) == 1:
        return into.table(leaves[0], lambda v: entry([v]), layer)
    nodes = [into.nodes[leaf] for leaf in leaves]

    def split(v: int) -> list[int]:
        parts = []
        for node in nodes:
            size = 1 << node.width
            raw = v % size
            parts.append(raw - size if node.signed and 2 * raw >= size else raw)
            v >>= node.width
        return parts

    return into.table(into.beside(leaves, layer), lambda v: entry(split(v)), layer)


def _chosen(netlist: Netlist, worth: float) -> dict[int, _Cone]:
    """The nodes to look up, by index: from the outputs on, where LUTs are saved."""
    nodes = netlist.nodes
    price = [
        # A sum takes a minus term as it takes others.
        0.0 if is_negative(nodes, i) else luts(node, [nodes[a] for a in node.args])
        for i, node in enumerate(nodes)
    ]
    readers = [0] * len(nodes)
    for a in itertools.chain.from_iterable(node.args for node in nodes):
        readers[a] += 1
    for _, index in netlist.outputs:
        readers[index] += 1
    cuts = _cuts(netlist)
    chosen: dict[int, _Cone] = {}
    gone: set[int] = set()
    for i in range(len(nodes) - 1, -1, -1):
        if i in gone or not price[i] or nodes[i].lo == nodes[i].hi:
            continue  # nobody reads it any more, it is wiring, or it never changes
        few = 1 if nodes[i].op in ADDERS else 2  # others are a LUT level as they stand
        best, most = None, 0.0
        for cut in cuts[i]:
            cone = _cone(netlist, i, cut)
            if sum([price[k] > 0 for k in cone.nodes]) < few:
                continue
            dead = _dead(netlist, cone, readers)
            address = sum([nodes[a].width for a in cut])
            table = nodes[i].width * table_luts(address)
            saved = worth * sum([price[k] for k in dead]) - table
            if saved > most:
                best, most = (cone, dead), saved
        if best is None:
            continue
        chosen[i], dead = best
        for a in itertools.chain.from_iterable(nodes[k].args for k in dead):
            readers[a] -= 1
        for a in chosen[i].leaves:
            readers[a] += 1
        gone |= dead
    return chosen


def _cuts(netlist: Netlist) -> list[list[Cut]]:
    """The cuts of every node, those of fewest bits first; of a constant, the empty one."""
    nodes = netlist.nodes
    bits = [node.width for node in nodes]
    found: list[list[Cut]] = []
    for i, node in enumerate(nodes):
        if node.lo == node.hi:
            found.append([frozenset()])
            continue
        cuts = _merged([found[a] for a in node.args], bits) if node.args else []
        if bits[i] <= ADDRESS:
            cuts.append(frozenset([i]))
        if len(cuts) > 1:
            cuts = [cut for cut in cuts if not any(other < cut for other in cuts)]
            cuts.sort(key=lambda cut: (sum([bits[a] for a in cut]), sorted(cut)))
        found.append(cuts[:CUTS])
    return found


def _merged(args: Sequence[Sequence[Cut]], bits: Sequence[int]) -> list[Cut]:
    """Cuts of all arguments together."""
    if len(args) == 1:
        return list(args[0])
    if sum([frozenset() not in cuts for cuts in args]) > ADDRESS or not all(args):
        return []  # a bit of each is too much
    merged: set[Cut] = {frozenset()}
    for cuts in args:
        pairs = itertools.product(merged, cuts)
        both = {one | other for one, other in pairs}
        merged = {cut for cut in both if sum([bits[a] for a in cut]) <= ADDRESS}
    return list(merged)


def _cone(netlist: Netlist, top: int, cut: Cut) -> _Cone:
    """The nodes between a cut and a node above it."""
    inside, waiting = set(), [top]
    while waiting:
        k = waiting.pop()
        if k not in cut and k not in inside:
            inside.add(k)
            waiting += netlist.nodes[k].args
    return _Cone(tuple(sorted(cut)), tuple(sorted(inside)))


def _dead(netlist: Netlist, cone: _Cone, readers: Sequence[int]) -> set[int]:
    """The nodes of a cone that only the last one needs, it included."""
    left = {k: readers[k] for k in cone.nodes}
    dead: set[int] = set()
    waiting = [cone.nodes[-1]]
    while waiting:
        k = waiting.pop()
        dead.add(k)
        for a in netlist.nodes[k].args:
            if a in left:
                left[a] -= 1
                if not left[a]:
                    waiting.append(a)
    return dead
