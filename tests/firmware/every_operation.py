"""A netlist that has every operation in each of its forms, and all of its words."""

import itertools

import numpy as np

from firmware.build import Builder
from firmware.netlist import Netlist


def every_operation() -> Netlist:
    """Signed and unsigned, wide and narrow, each operation in each of its forms."""
    into = Builder("all_v1_0_0")
    a, b, c = into.input("a", -8, 7), into.input("b", 0, 7), into.input("c", 0, 1)
    into.input("idle", 0, 3)
    outputs = [
        a,
        b,
        into.const(5),
        into.const(-3),
        into.shift(a, 2),
        into.shift(a, -2),
        into.shift(b, -1),
        into.add(a, b),
        into.add(into.shift(a, 3), b),
        into.sub(b, a),
        into.sub(into.const(2), c),
        into.sum([a, b, c, into.const(-20)]),
        into.add(a, into.const(9)),
        into.clip(a, 0, 3),
        into.clip(a, 0, 5),
        into.clip(a, -3, 4),
        into.clip(a, -8, 2),
        into.clip(b, 2, 9),
        into.clip(into.shift(a, 1), 1, 30),
        into.clip(into.sub(b, into.shift(a, 2)), 0, 15),
        into.wrap(a, 3, True),
        into.wrap(a, 2, False),
        into.wrap(b, 3, True),
        into.wrap(c, 1, True),
        into.wrap(into.clip(a, -1, 1), 6, False),
        into.wrap(into.sum([a, b, into.const(32)]), 5, True),
        into.negative(into.shift(b, 2)),
        into.mul(a, b),
        into.mul(into.shift(a, -1), into.negative(b)),
        into.mul(b, c),
        *(into.compare(a, test, b) for test in ("<", "<=", "==")),
        *(into.compare(b, test, into.const(5)) for test in ("<", "<=", "==")),
        into.compare(into.const(-2), "<", a),
        into.mux(c, a, b),
        into.mux(into.compare(a, "<", b), into.shift(b, 1), into.const(-1)),
        into.table(a, lambda v: v * v - 20),
        into.table(b, lambda v: (3, 1, 4, 1, 5, 9, 2, 6)[v]),
        into.table(c, lambda v: 7 - 9 * v),
        into.table(into.add(b, c), lambda v: v & 1),
        into.table(into.clip(a, -3, 4), lambda v: 5 * v),
        into.table(into.add(into.clip(a, -1, 3), into.const(5)), lambda v: v ^ 3),
    ]
    return into.finish([(f"y{k}", index) for k, index in enumerate(outputs)])


def every_word() -> np.ndarray:
    """All words that the ports of `every_operation` take, one event a row."""
    ports = (range(-8, 8), range(8), range(2), range(4))
    return np.array(list(itertools.product(*ports)), np.int64)
