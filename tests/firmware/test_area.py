"""The LUTs of an operation, counted by hand."""

import pytest
from every_operation import every_operation

from firmware.area import luts, table_luts
from firmware.build import Builder


def of(write) -> float:
    """The LUTs of what `write` makes of two ports of 4 signed and 3 unsigned bits."""
    into = Builder("b")
    index = write(into, into.input("a", -8, 7), into.input("b", 0, 7))
    node = into.nodes[index]
    return luts(node, [into.nodes[a] for a in node.args])


@pytest.mark.parametrize(
    ("address", "each"),
    [(1, 0), (2, 0.5), (5, 0.5), (6, 1), (7, 2), (8, 4), (10, 16)],
)
def test_a_bit_of_a_table_doubles_beyond_six_address_bits(address, each):
    assert table_luts(address) == each


@pytest.mark.parametrize(
    ("write", "wanted"),
    [
        (lambda into, a, b: into.add(a, b), 5),
        (lambda into, a, b: into.add(a, into.shift(b, 2)), 7 - 2),
        (lambda into, a, b: into.add(into.shift(a, 3), b), 0),  # side by side
        (lambda into, a, b: into.sub(b, a), 5),
        (lambda into, a, b: into.sub(b, into.shift(a, 2)), 7 - 2),
        (lambda into, a, b: into.sum([a, b, into.add(a, b)]), 2 * 6),
        (lambda into, a, b: into.sum([a, b, into.const(3)]), 6),
        (lambda into, a, b: into.sum([a, into.const(9)]), 5),
        (lambda into, a, b: into.mul(a, b), 12),
        (lambda into, a, b: into.compare(a, "<", b), 2),
        (lambda into, a, b: into.clip(a, 0, 3), 2),
        (lambda into, a, b: into.table(a, lambda v: v * v), 7 / 2),
        (lambda into, a, b: into.shift(a, -2), 0),
        (lambda into, a, b: into.wrap(a, 3, True), 0),
        (lambda into, a, b: into.mux(into.compare(a, "<", b), a, b), 2),
    ],
)
def test_an_operation_takes_what_its_shape_says(write, wanted):
    assert of(write) == wanted


def test_every_operation_has_an_area():
    netlist = every_operation()
    for node in netlist.nodes:
        assert luts(node, [netlist.nodes[a] for a in node.args]) >= 0
