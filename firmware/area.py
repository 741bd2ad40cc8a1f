"""LUTs that one operation takes, from its shape alone: an estimate, made at once.

For tables of numbers that must not wait for a synthesiser.  It knows nothing of what
stands in a table nor of logic that two operations share, so `firmware.synth`, which
does, finds less; it says where the LUTs are, not how many there will be.

Conventions
-----------
- The unit is a LUT6 of the UltraScale+ kind: two functions of at most five shared
  inputs fit in one, and the muxes F7, F8 and F9 behind LUTs cost nothing.
"""

from collections.abc import Sequence

from firmware.delay import carry
from firmware.netlist import Node

LABEL = "estimate from the shape of each operation, before synthesis"


def luts(node: Node, args: Sequence[Node]) -> float:
    """LUT6 of one operation; those of shared logic are counted each time.

    Args:
        node: Any operation.
        args: The nodes that it reads.
    """
    match node.op:
        case "input" | "const" | "shift" | "wrap":
            return 0.0
        case "add" | "sub":
            return float(carry(node, args))
        case "sum":  # an operand less for each adder or counter; constants ride along
            terms = sum(arg.op != "const" for arg in args)
            alone = terms == 1 and len(args) > 1
            return float((terms - 1 + alone) * node.width)
        case "mul":
            return float(args[0].width * args[1].width)
        case "compare":
            return max(arg.width for arg in args) / 2
        case "mux":
            return node.width / 2
        case "clip":
            return float(node.width)
        case "table":
            return node.width * table_luts(args[0].width)


def table_luts(address: int) -> float:
    """LUT6 for each output bit of a table of `address` bits."""
    if address <= 1:
        return 0.0  # a wire or an inverter, which the next LUT takes in
    return 0.5 if address <= 5 else float(2 ** (address - 6) if address > 6 else 1)
