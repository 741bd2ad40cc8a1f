"""A netlist for the eye: one operation a line, as it would be written by hand.

For reading and for comparing; `firmware.netlist` owns the form that is read back.
"""

from collections.abc import Iterator

from firmware.netlist import Netlist, Node


def listing(netlist: Netlist) -> Iterator[str]:
    """The lines: ports and operations in order, tables, then what leaves through ports.

    Of each value it says the name, how it is made, its interval, its wire (`s5` five
    bits in two's complement, `u3` three bits unsigned) and its layer.
    """
    nodes = netlist.nodes
    rows = [
        (
            f"n{i}",
            formula(node),
            f"{node.lo}..{node.hi}",
            f"{'s' if node.signed else 'u'}{node.width}",
            node.layer,
        )
        for i, node in enumerate(nodes)
    ]
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(4)]
    for row in rows:
        cells = [cell.ljust(w) for cell, w in zip(row, (*widths, 0), strict=True)]
        yield "  ".join(cells).rstrip()
    for k, entries in enumerate(netlist.tables):
        reads = (nodes[n.args[0]].lo for n in nodes if n.op == "table" and n.table == k)
        first = next(reads, 0)
        yield f"t{k} from {first}: {' '.join(map(str, entries))}"
    for name, index in netlist.outputs:
        yield f"out {name} = n{index}"


def formula(node: Node) -> str:
    """How a value is made of others."""
    names = [f"n{a}" for a in node.args]
    match node.op:
        case "input":
            return f"in {node.name}"
        case "const":
            return str(node.lo)
        case "shift":
            return f"{names[0]} {'<<' if node.by >= 0 else '>>'} {abs(node.by)}"
        case "add" | "sum":
            return " + ".join(names)
        case "sub":
            return " - ".join(names)
        case "mul":
            return " * ".join(names)
        case "clip":
            return f"clip({names[0]}, {node.lo}, {node.hi})"
        case "wrap":
            return f"low({names[0]}, {node.bits}{', signed' if node.twos else ''})"
        case "compare":
            return f"{names[0]} {node.test} {names[1]}"
        case "mux":
            return f"{names[0]} ? {names[1]} : {names[2]}"
        case "table":
            return f"t{node.table}[{names[0]}]"
