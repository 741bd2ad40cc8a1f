"""Random netlists that no network would make, and all words that a few ports take."""

import itertools

import numpy as np
from hypothesis import strategies as st

from firmware.netlist import Netlist, Node, interval

OPERATIONS = (
    *("const", "shift", "shift", "add", "sub", "sum", "clip", "wrap"),
    *("table", "table", "table", "mul", "compare", "mux"),
)


@st.composite
def netlists(draw, most=14):
    """Two ports of at most four bits and up to `most` operations of every kind."""
    nodes, tables = [], []
    for name in "ab":
        bits, signed = draw(st.integers(1, 4)), draw(st.booleans())
        lo = -(2 ** (bits - 1)) if signed else 0
        nodes.append(Node("input", (), lo, lo + 2**bits - 1, name=name))
    for _ in range(draw(st.integers(1, most))):
        op = draw(st.sampled_from(OPERATIONS))
        count = {"const": 0, "sum": draw(st.integers(1, 4)), "mux": 3}
        count |= dict.fromkeys(("add", "sub", "mul", "compare"), 2)
        args = tuple(
            draw(st.integers(0, len(nodes) - 1)) for _ in range(count.get(op, 1))
        )
        read = [nodes[a] for a in args]
        by, entries, bounds, bits, twos, test = 0, (), (0, 0), 0, False, ""
        if op == "mux" and not 0 <= read[0].lo <= read[0].hi <= 1:
            continue
        if op == "compare":
            test = draw(st.sampled_from(("<", "<=", "==")))
        if op == "const":
            bounds = (draw(st.integers(-9, 9)),) * 2
        if op == "shift":
            by = draw(st.integers(-4, 3))
        if op == "clip":
            low = draw(st.integers(-9, 9))
            bounds = (low, low + draw(st.integers(0, 16)))
        if op == "wrap":
            bits, twos = draw(st.integers(1, 7)), draw(st.booleans())
        if op == "table":
            size = read[0].hi - read[0].lo + 1
            if size > 64:
                continue
            steps = draw(st.integers(1, 4))
            made = draw(
                st.lists(
                    st.integers(-8, 8),
                    min_size=-(-size // steps),
                    max_size=-(-size // steps),
                )
            )
            up = draw(st.integers(0, 2))
            entries = tuple(made[k // steps] << up for k in range(size))
            tables.append(entries)
        lo, hi = interval(
            op,
            read,
            by=by,
            entries=entries,
            bounds=bounds,
            bits=bits,
            twos=twos,
            test=test,
        )
        if hi - lo > 4000:
            continue
        table = len(tables) - 1 if op == "table" else -1
        layer = draw(st.sampled_from(("", "one", "two")))
        nodes.append(Node(op, args, lo, hi, by, table, "", layer, bits, twos, test))
    outputs = draw(st.lists(st.integers(0, len(nodes) - 1), min_size=1, max_size=4))
    return Netlist(
        "any",
        tuple(nodes),
        tuple(tables),
        tuple((f"y{k}", index) for k, index in enumerate(outputs)),
    )


def all_words(netlist):
    """Every combination of words that the ports take, one event a row."""
    ports = [netlist.nodes[i] for i in netlist.inputs]
    grid = itertools.product(*(range(port.lo, port.hi + 1) for port in ports))
    return np.array(list(grid), np.int64)
