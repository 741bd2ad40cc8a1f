"""Weighted sums as shifts and additions: a constant matrix times a vector.

A weight is written in canonical signed digits, the form with fewest digits that are not
0 (Avizienis, "Signed-digit number representations for fast parallel arithmetic", IRE
Trans. EC-10 (1961) 389, and Reitwiesner, Advances in Computers 1 (1960) 231), one term
for each.  What several sums have in common can be added once: alkaid, where it is
installed, searches for that (Sun et al., "da4ml: Distributed arithmetic for real-time
neural networks on FPGAs", arXiv 2507.04535).  Its answer is read as a plan and written
with our own operations; nothing that it emits is used.

Conventions
-----------
- A sum is a `Row` here, its bias left out; an answer is a list of the sum's terms, so
  that the caller makes one flat sum of them and of the bias.
- Minus terms are `Builder.negative`; when sums become trees, they turn subtractions.
- A partial sum that only one sum needs is no node: its terms join those of that sum.
"""

import importlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from firmware.build import Builder
from firmware.delay import carry, plan_sum
from firmware.netlist import INT64, Netlist
from firmware.passes import fold
from firmware.tree import plant_trees

Row = tuple[tuple[int, int], ...]
"""Pairs of an argument's number and its weight, an integer that is not 0."""

Way = Callable[[Builder, Sequence[int], str], list[list[int]]]
"""Writes all sums of a matrix on the given argument nodes, for a layer."""

SPEC_VERSION = 4
"""Of alkaid's program format; another one may mean its numbers otherwise."""

MORE_LEVELS = 0
"""Adders in a row beyond the least.  Measured on 16 x 64 and 64 x 32 (half of the
weights 0, 6 bits each, words of 8 bits): without a limit 2 % less area, 20 % slower."""

LARGEST_WEIGHT = 2**24
"""Beyond, the solver's single-precision matrix would round."""


class _Term(NamedTuple):
    """`node * 2**up`, or minus that."""

    node: int
    up: int
    minus: bool


def signed_digits(weight: int) -> list[tuple[int, int]]:
    """Pairs of sign and power with `weight = sum(sign * 2**power)`, no two adjacent.

    >>> signed_digits(-7), signed_digits(11)
    ([(1, 0), (-1, 3)], [(-1, 0), (-1, 2), (1, 4)])
    """
    digits = []
    power = 0
    while weight:
        if weight & 1:
            sign = 2 - (weight & 3)  # 1 of ..01, -1 of ..11: then two zeros follow
            digits.append((sign, power))
            weight -= sign
        weight >>= 1
        power += 1
    return digits


def odd(weight: int) -> int:
    """The magnitude without its factors of two; of 0 it is 0."""
    return abs(weight) // (weight & -weight) if weight else 0


def plain(
    into: Builder,
    args: Sequence[int],
    row: Row,
    layer: str,
    shared: Callable[[int, int], bool],
) -> list[int]:
    """The terms of one sum, a term for each digit of each weight.

    All enter the one sum, whose tree then is as flat as it can be, but for odd multiples
    of arguments that several sums need, which are made once.

    Args:
        into: What is written to.
        args: Nodes of the vector.
        row: The sum.
        layer: Whose nodes these are.
        shared: Whether a multiple is made once, by the argument's number and the odd
            factor.
    """
    terms: list[int] = []
    for a, weight in row:
        node, factor = args[a], odd(weight)
        if factor > 1 and shared(a, factor):  # the builder makes equal nodes once
            node = into.sum(_multiple(into, node, factor, layer), layer)
            terms += _multiple(into, node, weight // factor, layer)
        else:
            terms += _multiple(into, node, weight, layer)
    return terms


def _multiple(into: Builder, node: int, weight: int, layer: str) -> list[int]:
    """`weight * node` as terms of a sum, one for each digit."""
    terms = []
    for sign, power in signed_digits(weight):
        term = into.shift(node, power, layer)
        terms.append(term if sign > 0 else into.negative(term, layer))
    return terms


@lru_cache
def missing() -> str:
    """Why the solver cannot be asked; empty if it can."""
    try:
        version = importlib.import_module("alkaid.types").ALIR_SPEC_VERSION
    except ImportError as error:
        return f"alkaid is not installed ({error})"
    if version != SPEC_VERSION:
        return f"alkaid writes programs of version {version}, {SPEC_VERSION} is read"
    return ""


def solved(rows: Sequence[Row], intervals: Sequence[tuple[int, int]]) -> Way | None:
    """Asks the solver how to share partial sums.

    Args:
        rows: The sums.
        intervals: Of the vector's elements.

    Returns:
        What writes the answer; None if the solver is missing or a weight too large.
    """
    if missing() or any(abs(w) >= LARGEST_WEIGHT for row in rows for _, w in row):
        return None
    solve = importlib.import_module("alkaid.cmvm").cmvm_solve
    kernel = np.zeros((len(intervals), len(rows)), np.float32)
    for j, row in enumerate(rows):
        for a, weight in row:
            kernel[a, j] = weight
    halves = solve(
        kernel,
        qintervals=[(float(lo), float(hi), 1.0) for lo, hi in intervals],
        latencies=[0.0] * len(intervals),
        hard_dc=MORE_LEVELS,
    )

    def write(into: Builder, args: Sequence[int], layer: str) -> list[list[int]]:
        values = [[_Term(node, 0, False)] for node in args]
        for half in halves:  # the matrix is a product of two
            values = _translated(into, half, values, layer)
        return [_whole(into, terms, layer) for terms in values]

    return write


def _translated(
    into: Builder, program: Any, inputs: Sequence[list[_Term]], layer: str
) -> list[list[_Term]]:
    """The outputs of a program of alkaid's on given inputs, as terms."""
    uses = Counter(a for op in program.ops for a in op.addr)
    uses.update(program.out_idxs)
    values: list[list[_Term]] = []
    for index, op in enumerate(program.ops):
        match op.opcode:
            case -1:
                (number,) = op.data
                value = _scaled(inputs[number], program.inp_shifts[number])
            case -2:
                value = _scaled(values[op.addr[0]], 0, minus=True)
            case 0 | 1:
                a, b = op.addr
                more = _scaled(values[b], op.data[0], minus=op.opcode == 1)
                value = values[a] + more
            case other:
                raise ValueError(f"alkaid's operation {other} is no addition")
        if uses[index] > 1 and len(value) > 1:
            value = [_joined(into, value, layer)]
        values.append(value)
    return [
        _scaled(values[index], up, minus=minus) if index >= 0 else []
        for index, up, minus in zip(
            program.out_idxs, program.out_shifts, program.out_negs, strict=True
        )
    ]


def _scaled(terms: Sequence[_Term], up: int, *, minus: bool = False) -> list[_Term]:
    return [_Term(t.node, t.up + up, t.minus != minus) for t in terms]


def _joined(into: Builder, terms: Sequence[_Term], layer: str) -> _Term:
    """The terms as one node; where all are minus terms, of what has to be taken away."""
    least = min(t.up for t in terms)
    minus = all(t.minus for t in terms)
    nodes = [_written(into, t, least, minus, layer) for t in terms]
    return _Term(into.sum(nodes, layer), least, minus)


def _written(into: Builder, term: _Term, least: int, minus: bool, layer: str) -> int:
    node = into.shift(term.node, term.up - least, layer)
    return node if term.minus == minus else into.negative(node, layer)


def _whole(into: Builder, terms: Sequence[_Term], layer: str) -> list[int]:
    """Terms of a sum of integers.

    Partial sums may be scaled down below an integer's step; the sum of them is whole,
    so that shifting it back loses nothing.
    """
    least = min((t.up for t in terms), default=0)
    if least < 0:
        joined = _joined(into, terms, layer)
        node = into.shift(joined.node, joined.up, layer)
        return [into.negative(node, layer) if joined.minus else node]
    return [_written(into, t, 0, False, layer) for t in terms]


def cheaper(ways: Sequence[Way], intervals: Sequence[tuple[int, int]]) -> Way:
    """Whichever way takes fewer adder bits; the first of equals."""

    def price(way: Way) -> int:
        into = Builder("scratch")
        args = [into.input(f"x{k}", lo, hi) for k, (lo, hi) in enumerate(intervals)]
        sums = [into.sum(terms) for terms in way(into, args, "")]
        whole = into.finish([(f"y{k}", node) for k, node in enumerate(sums)])
        return adder_bits(plant_trees(fold(whole)))

    return min(ways, key=price)


def adder_bits(netlist: Netlist) -> int:
    """LUTs of all adders, an estimate: what ways of writing a matrix are compared by."""
    bits = 0
    for node in netlist.nodes:
        args = [netlist.nodes[a] for a in node.args]
        if not -INT64 <= node.lo <= node.hi < INT64:
            return INT64  # no way at all
        if node.op == "sum":
            bits += plan_sum(node, args).luts
        elif node.op in ("add", "sub"):
            bits += carry(node, args)
    return bits
