"""Wide tables in a sum become a coarse table and what is missing to the fine one.

`T(x) = base(x >> k) + rest(x)`: the base has fewer address bits, the rest fewer bits to
answer, and the sum adds the two for as many LUTs as the rest has bits.  That pays for
smooth tables only and, since a synthesiser shares much of what a smooth table is made
of, only for such as are far wider than a LUT.
"""

from collections.abc import Sequence

import numpy as np

from firmware.area import table_luts
from firmware.build import Builder, alone, rewrite
from firmware.netlist import Netlist, width

WIDE = 9
"""Address bits from which on tables are split.  Of smooth ones in a sum, Yosys then
counts 13 % less with the sum, at 10 bits 30 %; at 7 and 8 bits it counts 20 % more."""

WORTH = 0.75
"""Part of a table's LUTs, as its shape tells, that its two parts may take at most."""


def split(netlist: Netlist, wide: int = WIDE) -> Netlist:
    """Tables of at least `wide` address bits that only a sum reads become two terms."""
    own = alone(netlist)

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = netlist.nodes[i]
        if node.op not in ("add", "sum"):
            return None
        terms: list[int] = []
        for old, new in zip(node.args, args, strict=True):
            term, up = into.nodes[new], 0
            inner = old
            if term.op == "shift" and term.by > 0:
                up, inner = term.by, netlist.nodes[old].args[0]
            table = term.args[0] if up else new
            free = own[old] and own[inner] and node.args.count(old) == 1
            found = _parts(into, table, wide) if free else [table]
            terms += [into.shift(part, up, node.layer) for part in found]
        return into.sum(terms, node.layer) if len(terms) > len(args) else None

    return rewrite(netlist, rule)


def _parts(into: Builder, index: int, wide: int) -> list[int]:
    """A table as the terms that cost least; itself, if it is not wide or they cost."""
    table = into.nodes[index]
    if table.op != "table" or into.nodes[table.args[0]].width < wide:
        return [index]
    arg, entries = into.nodes[table.args[0]], np.array(into.entries(index))
    ways = [(_luts(arg.width, entries), 0)]
    for drop in range(1, arg.width - 1):
        base, rest = _divided(entries, arg.lo, drop)
        adder = width(0, int(rest.max()))
        luts = _luts(arg.width - drop, base) + _luts(arg.width, rest) + adder
        ways.append((luts, drop))
    luts, drop = min(ways)
    if luts > WORTH * ways[0][0]:
        return [index]
    base, rest = _divided(entries, arg.lo, drop)
    coarse = into.shift(table.args[0], -drop, table.layer)
    first = into.rom(coarse, base.tolist(), table.layer)
    fine = into.rom(table.args[0], rest.tolist(), table.layer)
    return [*_parts(into, first, wide), fine]


def _divided(entries: np.ndarray, lo: int, drop: int) -> tuple[np.ndarray, np.ndarray]:
    """The least entry for each address without its low bits, and what is above it."""
    group = ((lo + np.arange(len(entries))) >> drop) - (lo >> drop)
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    base = np.minimum.reduceat(entries, starts)
    return base, entries - base[group]


def _luts(address: int, entries: Sequence[int] | np.ndarray) -> float:
    """LUTs of a table, as its shape tells."""
    return width(int(min(entries)), int(max(entries))) * table_luts(address)
