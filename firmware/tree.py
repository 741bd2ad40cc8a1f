"""Sums as the RTL will add them: how many terms at once, and where constants hide.

All terms of a sum are added at once where the clock leaves time for it, else a few at a
time.  Terms that are ready
first, and among these the finest and narrowest, are added first: Huffman's order, which
keeps both the depth and the number of bits low.  Minus terms are added among themselves
and taken away at the end.

A constant costs nothing where a table can hold it.  The tables in a sum are unsigned
and start at 0; each can move up until its width is full, and as a sum of `n` bits is
taken modulo `2**n`, so that its sign bit may be turned for nothing, what cannot hide is
usually less than one bit of one column.
"""

import heapq
import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, final

from firmware.build import Builder, alone, is_negative, rewrite
from firmware.delay import ADD_NS, CARRY_NS, delay_ns, low_zeros
from firmware.netlist import Netlist, width

STEP_NS = ADD_NS + 10 * CARRY_NS
"""An adder of common width, and so the step between the levels of a tree."""

SIZES = (12, 6, 3, 2)
"""Terms of one sum where all at once would take too long: what fills one, two or three
levels of counters, or none."""


@final
class _Leaf(NamedTuple):
    """A term of a sum: its node, the shift up and whether a table may hold more.

    Attributes:
        node: The term without its shift and its minus sign.
        up: The shift.
        room: How much further its table can go up without a bit more, unshifted.
        more: How much further with one; 0 if it is no table of its own.
        ready: Nanoseconds from the input to the term.
    """

    node: int
    up: int
    room: int
    more: int
    ready: float


def plant_trees(netlist: Netlist, longest: float = math.inf) -> Netlist:
    """Every `sum` becomes sums as large as their time allows; constants go into tables.

    Args:
        netlist: As the simplifying passes leave it.
        longest: Nanoseconds that one sum may take; those of two terms are made anyway.
    """
    own = alone(netlist)
    arrival: list[float] = []

    def arrive(into: Builder) -> None:
        for node in into.nodes[len(arrival) :]:
            args = [into.nodes[a] for a in node.args]
            start = max((arrival[a] for a in node.args), default=0.0)
            arrival.append(start + delay_ns(node, args))

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = netlist.nodes[i]
        if node.op != "sum":
            return None
        arrive(into)
        total = 0
        plus: list[_Leaf] = []
        minus: list[_Leaf] = []
        for old, new in zip(node.args, args, strict=True):
            if into.nodes[new].op == "const":
                total += into.nodes[new].lo
                continue
            bare, up = _unshifted(into, new)
            negative = is_negative(into.nodes, bare)
            bare = into.nodes[bare].args[1] if negative else bare
            free = own[old] and all(own[a] for a in _behind(netlist, old))
            room, more = _room(into, bare) if free and not negative else (0, 0)
            leaf = _Leaf(bare, up, room, more, arrival[bare])
            (minus if negative else plus).append(leaf)
        planted = _planted(into, plus, total, node.hi - node.lo, longest, node.layer)
        if not minus:
            return planted
        away = _planted(into, minus, 0, node.hi - node.lo, longest, node.layer)
        return into.sub(planted, away, node.layer)

    return rewrite(netlist, rule)


def chain_shifts(netlist: Netlist) -> Netlist:
    """Right shifts of one value shift each other: `a >> 3` becomes `(a >> 1) >> 2`.

    A register then holds no bit that nothing reads: where only `a >> 1` and `a >> 3`
    are needed a cycle later, they both come from a registered `a >> 1`.
    """
    steps: dict[int, list[int]] = {}
    for node in netlist.nodes:
        if node.op == "shift" and node.by < 0:
            steps.setdefault(node.args[0], []).append(-node.by)

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = netlist.nodes[i]
        if node.op != "shift" or node.by >= 0:
            return None
        done, at = 0, args[0]
        for step in sorted({s for s in steps[node.args[0]] if s <= -node.by}):
            at = into.shift(at, done - step, node.layer, merge=False)
            done = step
        return at

    return rewrite(netlist, rule)


def _behind(netlist: Netlist, index: int) -> Sequence[int]:
    """The table behind a shifted term, which must serve nobody else either."""
    node = netlist.nodes[index]
    return node.args if node.op == "shift" else ()


def _unshifted(into: Builder, index: int) -> tuple[int, int]:
    """A term without its shift up, and that shift."""
    node = into.nodes[index]
    return (node.args[0], node.by) if node.op == "shift" and node.by > 0 else (index, 0)


def _room(into: Builder, index: int) -> tuple[int, int]:
    """How far the entries of a table can go up within its width, and with a bit more."""
    node = into.nodes[index]
    if node.op != "table" or node.lo < 0:
        return 0, 0
    return (1 << node.width) - 1 - node.hi, 1 << node.width


def _planted(
    into: Builder,
    leaves: Sequence[_Leaf],
    constant: int,
    span: int,
    longest: float,
    layer: str,
) -> int:
    """The node of `constant` plus all leaves; `span` is the range of the whole sum.

    Where what is left of the constant costs time, one table gets a bit more instead.
    """
    if not leaves:
        return into.const(constant)
    low = min(leaf.up for leaf in leaves)  # common zeros stay out of the adders
    rest = constant % (1 << low)
    bits = width(0, span)
    ways = [leaves]
    if wider := _with_more_room(leaves, constant - rest, bits):
        ways.append(wider)
    trees = []
    for way in ways:
        moved, left = _deal(way, constant - rest, bits)
        terms = [
            (
                leaf.ready,
                into.shift(_raised(into, leaf.node, extra), leaf.up - low, layer),
            )
            for leaf, extra in zip(leaves, moved, strict=True)
        ]
        root, ready = _fitting(into, terms, left >> low, longest, layer)
        trees.append((ready, root))
    _, root = min(trees, key=lambda tree: tree[0])
    root = into.shift(root, low, layer)
    return into.add(root, into.const(rest), layer) if rest else root


def _fitting(
    into: Builder,
    terms: Sequence[tuple[float, int]],
    constant: int,
    longest: float,
    layer: str,
) -> tuple[int, float]:
    """The sums as large as their time allows: the root, and when it is ready."""
    root, ready, slowest = _grow(into, terms, constant, len(terms), layer)
    for most in SIZES:
        if slowest <= longest:
            break
        root, ready, slowest = _grow(into, terms, constant, most, layer)
    return root, ready


def _with_more_room(
    leaves: Sequence[_Leaf], constant: int, bits: int
) -> Sequence[_Leaf] | None:
    """The leaves, with a further bit for the one whose table then holds the rest.

    None if there is no such table, or no rest.
    """
    if not _ones(leaves, constant, bits):
        return None
    for k, leaf in enumerate(leaves):
        if leaf.more:
            wider = leaf._replace(room=leaf.room + leaf.more)
            grown = [*leaves[:k], wider, *leaves[k + 1 :]]
            if not _ones(grown, constant, bits):
                return grown
    return None


def _ones(leaves: Sequence[_Leaf], constant: int, bits: int) -> int:
    """Bits of the constant, but for the sign, that the tables cannot hold."""
    return (_deal(leaves, constant, bits)[1] % (1 << (bits - 1))).bit_count()


def _raised(into: Builder, index: int, extra: int) -> int:
    """The table with `extra` added to its entries."""
    if not extra:
        return index
    table = into.nodes[index]
    entries = [entry + extra for entry in into.entries(index)]
    return into.rom(table.args[0], entries, table.layer)


def _deal(leaves: Sequence[_Leaf], constant: int, bits: int) -> tuple[list[int], int]:
    """Deals a constant out to the tables; what is left has few ones, or only the sign.

    Args:
        leaves: Terms of the sum.
        constant: What is to be added, a multiple of every leaf's step.
        bits: Width of the sum, modulo which it is computed.

    Returns:
        What each leaf takes, in its own steps, and what is left of the constant.
    """
    order = sorted(range(len(leaves)), key=lambda k: -leaves[k].up)
    size, sign = 1 << bits, 1 << (bits - 1)
    most = sum([leaf.room << leaf.up for leaf in leaves])
    for kept in _few_ones(bits - 1):
        for top in (0, sign):
            wanted = (constant - kept - top) % size
            if wanted > most:
                continue
            taken = [0] * len(leaves)
            for k in order:
                taken[k] = min(leaves[k].room, wanted >> leaves[k].up)
                wanted -= taken[k] << leaves[k].up
            if not wanted:
                held = sum(t << leaf.up for t, leaf in zip(taken, leaves, strict=True))
                return taken, constant - held
    return [0] * len(leaves), constant


@lru_cache(maxsize=64)
def _few_ones(bits: int) -> list[int]:
    """Numbers of so many bits of which at most two are ones, those with fewest first."""
    ones = [0, *(1 << k for k in range(bits))]
    return sorted({a | b for a in ones for b in ones}, key=lambda k: (k.bit_count(), k))


def _grow(
    into: Builder,
    terms: Sequence[tuple[float, int]],
    constant: int,
    most: int,
    layer: str,
) -> tuple[int, float, float]:
    """Adds the terms that come first, at most `most` at once, until one is left.

    What is ready within one adder's time is as good as ready together; among these the
    finest goes first, so that low bits meet few adders, then the narrowest.  The first
    sum takes just so many that all others are full.

    Returns:
        The root, when it is ready, and the delay of the slowest sum.
    """
    slowest = 0.0
    most = min(most, len(terms))

    def add(parts: Sequence[tuple[float, int]], last: bool) -> tuple[float, int]:
        nonlocal slowest
        nodes = [index for _, index in parts]
        if last and constant:
            nodes.append(into.const(constant))
        if len(nodes) == 2:
            made = into.add(nodes[0], nodes[1], layer)
        else:
            made = into.sum(nodes, layer)
        node = into.nodes[made]
        delay = delay_ns(node, [into.nodes[a] for a in node.args])
        slowest = max(slowest, delay)
        return max([ready for ready, _ in parts]) + delay, made

    if len(terms) == 1:
        ((ready, root),) = terms
        if constant:
            root = into.add(root, into.const(constant), layer)
        return root, ready, slowest
    if most == len(terms):
        ready, root = add(terms, True)
        return root, ready, slowest
    heap: list[tuple[tuple[int, int, int, int], tuple[float, int]]] = []
    count = itertools.count()

    def push(term: tuple[float, int]) -> None:
        ready, index = term
        node = into.nodes[index]
        order = (round(ready / STEP_NS), low_zeros(node), node.width, next(count))
        heapq.heappush(heap, (order, term))

    for term in terms:
        push(term)
    take = (len(heap) - 2) % (most - 1) + 2
    while len(heap) > 1:
        parts = [heapq.heappop(heap)[1] for _ in range(take)]
        push(add(parts, not heap))
        take = most
    ready, root = heap[0][1]
    return root, ready, slowest
