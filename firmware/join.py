"""Small tables of one sum become one table, where that takes fewer LUTs.

A LUT has six inputs whatever it is asked for.  Two tables of three address bits and the
bits of an adder that adds them take twice the LUTs of one table of six address bits
that holds their sum.  What stands in a sum as it is, a word of few bits, counts as a
table too; so do tables of a single bit, each a multiplexer of two constants, of which
one table takes five or six.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from firmware.area import table_luts
from firmware.build import Builder, alone, is_negative, rewrite
from firmware.hdl import rows
from firmware.netlist import Netlist, width

ADDRESS = 6
"""Address bits of a joined table, at most: one LUT for each of its bits."""

TRIED = 48
"""Terms of which each pair is tried; a longer sum is taken in parts."""


@final
@dataclass(frozen=True)
class _Term:
    """A term of a sum that a table of few address bits gives.

    Attributes:
        node: As it stands in the sum.
        arg: Its address, of `bits` bits.
        row: Its entries by the address as it is wired.
        up: The shift behind the table.
        luts: What the table takes, as its shape tells.
    """

    node: int
    arg: int
    bits: int
    row: tuple[int, ...]
    up: int
    luts: float

    @property
    def top(self) -> int:
        """The first bit above it."""
        return self.up + width(min(self.row), max(self.row))


def join(netlist: Netlist, most: int = ADDRESS, least: float = 0.0) -> Netlist:
    """Tables of one sum with few address bits together become one table.

    Args:
        netlist: As the simplifying passes leave it.
        most: Address bits of a joined table, at most `ADDRESS`.
        least: LUTs that a join has to save more than, as shapes tell.
    """
    own = alone(netlist)

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = netlist.nodes[i]
        if node.op not in ("add", "sum"):
            return None
        terms: list[_Term] = []
        kept: list[int] = []
        for old, new in zip(node.args, args, strict=True):
            behind = netlist.nodes[old]
            inner = behind.args[0] if behind.op == "shift" and behind.by > 0 else old
            free = own[old] and own[inner] and node.args.count(old) == 1
            term = _term(into, new, free)
            if term is None:
                kept.append(new)
            else:
                terms.append(term)
        terms.sort(key=lambda term: (term.up, term.bits, term.node))
        joined = [
            term
            for first in range(0, len(terms), TRIED)
            for term in _joined(
                into, terms[first : first + TRIED], most, least, node.layer
            )
        ]
        if len(joined) == len(terms):
            return None
        return into.sum([*kept, *(term.node for term in joined)], node.layer)

    return rewrite(netlist, rule)


def _term(into: Builder, index: int, free: bool) -> _Term | None:
    """A term as a table; None if it is none, or must serve others too and costs."""
    node = into.nodes[index]
    up = node.by if node.op == "shift" and node.by > 0 else 0
    inner = node.args[0] if up else index
    node = into.nodes[inner]
    if node.op == "const" or is_negative(into.nodes, inner):
        return None
    if node.op == "table" and free:
        arg = into.nodes[node.args[0]]
        if arg.width > ADDRESS:
            return None
        row = tuple(rows(arg, into.entries(inner)))
        luts = node.width * table_luts(arg.width)
        return _Term(index, node.args[0], arg.width, row, up, luts)
    if node.lo < 0 or node.width >= ADDRESS:
        return None
    row = tuple(rows(node, range(node.lo, node.hi + 1)))
    return _Term(index, inner, node.width, row, up, 0.0)


def _joined(
    into: Builder, terms: Sequence[_Term], most: int, least: float, layer: str
) -> list[_Term]:
    """The terms after all joins that save something, those that save most first."""
    left = list(terms)
    while True:
        pairs = [
            (-saved, p, q)
            for (p, a), (q, b) in itertools.combinations(enumerate(left), 2)
            if (saved := _saved(a, b, most)) > least
        ]
        if not pairs:
            return left
        gone: set[int] = set()
        for _, p, q in sorted(pairs):
            if p not in gone and q not in gone:
                gone |= {p, q}
                left.append(_both(into, left[p], left[q], layer))
        left = [term for k, term in enumerate(left) if k not in gone]


def _saved(a: _Term, b: _Term, most: int) -> float:
    """LUTs that one table for both saves, with the adder bits where they meet."""
    bits = a.bits if a.arg == b.arg else a.bits + b.bits
    if bits > most:
        return 0.0
    meet = min(a.top, b.top) - max(a.up, b.up)
    if meet <= 0:
        return 0.0
    low = min(a.up, b.up)
    ends = [
        (end(a.row) << (a.up - low)) + (end(b.row) << (b.up - low))
        for end in (min, max)
    ]
    return a.luts + b.luts + meet - width(*ends) * table_luts(bits)


def _both(into: Builder, a: _Term, b: _Term, layer: str) -> _Term:
    """One table for two terms; `a` has the high bits of the address."""
    low = min(a.up, b.up)
    more, less = ([v << (t.up - low) for v in t.row] for t in (a, b))
    if a.arg == b.arg:
        address, bits = a.arg, a.bits
        row = tuple(x + y for x, y in zip(more, less, strict=True))
    else:
        address = into.beside([b.arg, a.arg], layer)
        bits = a.bits + b.bits
        row = tuple(x + y for x in more for y in less)
    table = into.table(address, lambda v: row[v % len(row)], layer)
    node = into.shift(table, low, layer)
    luts = into.nodes[table].width * table_luts(bits)
    return _Term(node, address, bits, row, low, luts)
