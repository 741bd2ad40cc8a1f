"""The referee: what a netlist computes, in NumPy, one node after the other.

Written for being read and believed, not for speed, and from the definition of the
operations alone.  It is the NumPy emulator that `jetlut verify` holds a bundle against.
"""

import numpy as np
from jaxtyping import Int64, Integer

from firmware.netlist import Netlist
from trigger.errors import UserError


def run(
    netlist: Netlist, words: Integer[np.ndarray, "events ports"]
) -> Int64[np.ndarray, "events outputs"]:
    """Evaluates the netlist on port words.

    Args:
        netlist: A valid netlist.
        words: One row per event, one column per input in port order, raw integers.

    Returns:
        Raw output words, one column per output in port order.

    Raises:
        UserError: The number of columns is not the number of inputs, or a word is
            outside its port's range.
    """
    if words.ndim != 2 or words.shape[1] != len(netlist.inputs):
        raise UserError(
            f"block {netlist.block!r} has {len(netlist.inputs)} input ports, the words "
            f"have shape {words.shape}; one column per port is needed"
        )
    column = {index: k for k, index in enumerate(netlist.inputs)}
    tables = [np.array(table, np.int64) for table in netlist.tables]
    values: list[np.ndarray] = []
    for index, node in enumerate(netlist.nodes):
        args = [values[a] for a in node.args]
        value: np.ndarray
        match node.op:
            case "input":
                value = words[:, column[index]].astype(np.int64)
                bad = np.flatnonzero((value < node.lo) | (value > node.hi))
                if bad.size:
                    raise UserError(
                        f"port {node.name!r}: word {value[bad[0]]} at row {bad[0]} is "
                        f"outside {node.lo}..{node.hi} ({bad.size} of {len(value)} are)"
                    )
            case "const":
                value = np.full(len(words), node.lo, np.int64)
            case "shift":
                value = args[0] << node.by if node.by >= 0 else args[0] >> -node.by
            case "add" | "sum":
                value = np.asarray(np.sum(args, axis=0, dtype=np.int64))
            case "sub":
                value = args[0] - args[1]
            case "mul":
                value = args[0] * args[1]
            case "compare":
                a, b = args
                seen = {"<": a < b, "<=": a <= b, "==": a == b}[node.test]
                value = seen.astype(np.int64)
            case "mux":
                value = np.where(args[0] != 0, args[1], args[2])
            case "clip":
                value = np.clip(args[0], node.lo, node.hi)
            case "wrap":
                low = args[0] & ((1 << node.bits) - 1)
                half = 1 << (node.bits - 1)
                value = (low ^ half) - half if node.twos else low
            case "table":
                value = tables[node.table][args[0] - netlist.nodes[node.args[0]].lo]
        values.append(value)
    return np.stack([values[index] for _, index in netlist.outputs], axis=1)
