"""Sums become trees of adders, and constants hide in the tables at their leaves.

Terms that are ready first, and among these the finest and narrowest, are added first:
Huffman's order, which keeps both the depth and the number of adder bits low.  A minus
term costs nothing: where it meets a plus it turns the adder into a subtractor, and two
that meet are added and stay a minus.

A constant costs no adder where a table can hold it.  It is dealt out from the root to
the leaves: every partial sum of width `n` can be moved by some amount without growing,
within `0..2**n - 1` or `-2**(n-1)..2**(n-1) - 1`, so a constant near minus half of the
greatest sum, as training leaves it, usually fits with hardly a bit to spare.
"""

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from firmware.build import Builder, is_negative, rewrite, users
from firmware.delay import ADD_NS, CARRY_NS, delay_ns, low_zeros
from firmware.netlist import Netlist, width

NEVER = 99
"""The grain of a part that can hold no constant; no shift is that far."""

STEP_NS = ADD_NS + 10 * CARRY_NS
"""An adder of common width, and so the step between the levels of a tree."""


@final
@dataclass(frozen=True)
class _Part:
    """A term of a sum, or the sum of two parts, before any constant is dealt out.

    `grain` is the log2 of the steps in which its tables can hold a constant, `price`
    what one more bit of its width costs in LUTs.  The node of a part that is `minus`
    holds the part's value with the other sign.
    """

    lo: int
    hi: int
    zeros: int
    grain: int
    price: float
    index: int = -1
    parts: tuple["_Part", ...] = ()
    minus: bool = False


def plant_trees(netlist: Netlist) -> Netlist:
    """Every `sum` becomes adders of two; its constant goes where it is cheapest."""
    readers = users(netlist)
    leaving = {index for _, index in netlist.outputs}
    alone = [len(r) == 1 and i not in leaving for i, r in enumerate(readers)]
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
        total, terms = 0, []
        for old, new in zip(node.args, args, strict=True):
            if into.nodes[new].op == "const":
                total += into.nodes[new].lo
            else:
                free = alone[old] and all(alone[a] for a in _behind(netlist, old))
                part = _term(into, new, free)
                terms.append((arrival[_unsigned(into, new)], part))
        if not terms:
            return into.const(total)
        grain = min(part.grain for _, part in terms)
        zeros = min(part.zeros for _, part in terms)
        rest = total % (1 << grain) if grain < NEVER else total
        if not 0 <= rest < 1 << zeros:  # no table holds it, and it is not mere wiring
            terms.append((0.0, _term(into, into.const(rest), False)))
            total, rest = total - rest, 0
        tree = _grow(terms)
        planted, up = _write(into, tree, total - rest, node.layer)
        if tree.minus:
            planted = into.negative(planted, node.layer)
        planted = into.shift(planted, up, node.layer)
        return into.add(planted, into.const(rest), node.layer) if rest else planted

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


def _unsigned(into: Builder, index: int) -> int:
    """What is behind the shift up and the minus sign of a term."""
    node = into.nodes[index]
    index = node.args[0] if node.op == "shift" and node.by > 0 else index
    return into.nodes[index].args[1] if is_negative(into.nodes, index) else index


def _term(into: Builder, index: int, free: bool) -> _Part:
    node = into.nodes[index]
    up = node.by if node.op == "shift" and node.by > 0 else 0
    inner = node.args[0] if up else index
    minus = is_negative(into.nodes, inner)
    holds = free and into.nodes[inner].op == "table"
    address = into.nodes[into.nodes[inner].args[0]].width if holds else 0
    price = 2.0 ** max(0, address - 6)
    grain = up if holds else NEVER
    zeros = low_zeros(node)
    return _Part(node.lo, node.hi, zeros, grain, price, index, minus=minus)


def _grow(terms: Sequence[tuple[float, _Part]]) -> _Part:
    """Adds the two parts that come first, until one is left.

    What is ready within one adder's time is as good as ready together; among these the
    finest goes first, so that low bits meet few adders, then the narrowest.
    """
    heap: list[tuple[tuple[int, int, int, int], float, _Part]] = []

    def push(ready: float, part: _Part) -> None:
        bits = width(part.lo, part.hi)
        order = (round(ready / STEP_NS), part.zeros, bits, next(count))
        heapq.heappush(heap, (order, ready, part))

    count = itertools.count()
    for ready, part in terms:
        push(ready, part)
    while len(heap) > 1:
        _, first, a = heapq.heappop(heap)
        _, second, b = heapq.heappop(heap)
        both = _Part(
            a.lo + b.lo,
            a.hi + b.hi,
            min(a.zeros, b.zeros),
            min(a.grain, b.grain),
            1.0,
            parts=(a, b),
            minus=a.minus and b.minus,
        )
        carry = width(both.lo, both.hi) - max(a.zeros, b.zeros)
        push(max(first, second) + ADD_NS + CARRY_NS * carry, both)
    return heap[0][-1]


def _write(into: Builder, part: _Part, extra: int, layer: str) -> tuple[int, int]:
    """A node and how far it must be shifted up to be `part + extra`.

    Of a part that is `minus` it is the negative, and there is nothing extra.
    """
    if part.parts:
        a, b = part.parts
        more = _deal(a, b, extra)
        left, up = _write(into, a, more, layer)
        right, by = _write(into, b, extra - more, layer)
        low = min(up, by)  # common zeros stay out of the adder
        left = into.shift(left, up - low, layer)
        right = into.shift(right, by - low, layer)
        if a.minus == b.minus:
            return into.add(left, right, layer), low
        left, right = (right, left) if a.minus else (left, right)
        return into.sub(left, right, layer), low
    node = into.nodes[part.index]
    up = node.by if node.op == "shift" and node.by > 0 else 0
    index = _unsigned(into, part.index)
    if not extra:
        return index, up
    table = into.nodes[index]
    zero = into.nodes[table.args[0]].lo
    entries = into.entries(index)
    moved = into.table(
        table.args[0], lambda v: entries[v - zero] + (extra >> up), table.layer
    )
    return moved, up


def _deal(a: _Part, b: _Part, extra: int) -> int:
    """How much of `extra` part `a` takes so that both grow least; `b` takes the rest."""
    if a.grain == NEVER or b.grain == NEVER:
        return 0 if a.grain == NEVER else extra
    coarse, fine, swap = (a, b, False) if a.grain >= b.grain else (b, a, True)
    wanted = [0, extra, *_free(coarse), *(extra - move for move in _free(fine))]
    total = coarse.hi - coarse.lo + fine.hi - fine.lo
    wanted.append(extra * (coarse.hi - coarse.lo) // max(1, total))

    def bits(part: _Part, move: int) -> float:
        lo, hi = part.lo + move, part.hi + move
        return part.price * (width(lo, hi) + (0.25 if lo < 0 else 0))

    step = 1 << coarse.grain
    take = min(
        sorted({step * (w // step) for w in wanted}),
        key=lambda t: (bits(coarse, t) + bits(fine, extra - t), abs(t)),
    )
    return extra - take if swap else take


def _free(part: _Part) -> tuple[int, int, int]:
    """The moves that just keep a part's width, signed at both ends and unsigned."""
    span = part.hi - part.lo
    n = width(0, span)
    ends = -(1 << (n - 1)), (1 << (n - 1)) - 1 - span, (1 << n) - 1 - span
    return ends[0] - part.lo, ends[1] - part.lo, ends[2] - part.lo
