"""Entries that no word of the ports can reach, made what costs least.

`firmware.values` says which addresses those are.  Nothing is kept about them in the
netlist: their entries repeat ones that are reached, in a way that depends on the
reached ones alone, so that tables which agree on all that comes become one.
"""

from collections.abc import Sequence

import numpy as np

from firmware.build import Builder, rewrite
from firmware.netlist import Netlist, Node
from firmware.values import value_sets


def fill(netlist: Netlist) -> Netlist:
    """Entries that are never read are chosen so that fewer address bits are."""
    wanted = sorted({node.args[0] for node in netlist.nodes if node.op == "table"})
    sets = value_sets(netlist, wanted)
    holes = {
        a: values
        for a, values in zip(wanted, sets, strict=True)
        if len(values) <= netlist.nodes[a].hi - netlist.nodes[a].lo
    }
    if not holes:
        return netlist

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = netlist.nodes[i]
        if node.op != "table" or node.args[0] not in holes:
            return None
        old, new = netlist.nodes[node.args[0]], into.nodes[args[0]]
        filled = _filled(old, netlist.tables[node.table], holes[node.args[0]])
        # A table before this one may have lost entries too, and with them its ends.
        return into.rom(
            args[0], filled[new.lo - old.lo :][: new.hi - new.lo + 1], node.layer
        )

    return rewrite(netlist, rule)


def _filled(arg: Node, entries: Sequence[int], reached: np.ndarray) -> list[int]:
    """The entries of a table, those at addresses that are not `reached` chosen anew."""
    held = np.array(entries, np.int64)
    kept = held[reached - arg.lo]
    up = max(0, int(kept[-1] - kept[0]).bit_length() - 1)
    for by in range(up + 1):  # a wire, perhaps moved: a sum takes it for nothing
        line = kept[0] + ((np.arange(arg.lo, arg.hi + 1) - reached[0]) << by)
        if (line[reached - arg.lo] == kept).all() and _within(line, kept):
            return line.tolist()
    size = 1 << arg.width
    row, known = np.zeros(size, np.int64), np.zeros(size, bool)
    row[reached % size], known[reached % size] = kept, True
    address = np.arange(size)
    bits = [1 << k for k in range(arg.width)]
    for bit in bits:  # one that tells no two entries apart shall tell nothing
        other = address ^ bit
        if not (known & known[other] & (row != row[other])).any():
            row, known = np.where(known, row, row[other]), known | known[other]
    while not known.all():  # else of a neighbour: it leaves least to tell apart
        for bit in bits:
            other = address ^ bit
            row, known = np.where(known, row, row[other]), known | known[other]
    return row[np.arange(arg.lo, arg.hi + 1) % size].tolist()


def _within(line: np.ndarray, kept: np.ndarray) -> bool:
    """Whether a line needs no entry beyond those that are reached."""
    return bool(line.min() >= kept.min() and line.max() <= kept.max())
