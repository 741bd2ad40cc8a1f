import pytest

from firmware.delay import LEVEL_NS, MUX_NS, delay_ns, disjoint, table_ns
from firmware.netlist import Node

BYTE = Node("input", (), 0, 255)


def test_wiring_takes_no_time():
    shift = Node("shift", (0,), 0, 127, by=-1)
    wrap = Node("wrap", (0,), 0, 7, bits=3)
    for node in (BYTE, Node("const", (), 3, 3), shift, wrap):
        assert delay_ns(node, [BYTE] * len(node.args)) == 0


def test_a_wider_table_never_takes_less():
    times = [table_ns(bits) for bits in range(16)]
    assert times == sorted(times)
    assert table_ns(1) == 0
    assert table_ns(6) == LEVEL_NS
    assert table_ns(8) == pytest.approx(LEVEL_NS + 2 * MUX_NS)


def test_an_adder_pays_only_for_the_bits_that_meet():
    whole = Node("add", (0, 0), 0, 510)
    high = Node("shift", (0,), 0, 255 << 4, by=4)
    some = Node("add", (0, 1), 0, 255 + (255 << 4))
    assert delay_ns(whole, [BYTE, BYTE]) > delay_ns(
        Node("add", (0, 0), 0, 6), [BYTE] * 2
    )
    assert delay_ns(some, [BYTE, high]) == delay_ns(whole, [BYTE, BYTE])


def test_adding_what_does_not_overlap_is_wiring():
    high = Node("shift", (0,), 0, 255 << 8, by=8)
    assert disjoint(high, BYTE)
    assert delay_ns(Node("add", (0, 1), 0, 255 * 257), [BYTE, high]) == 0
    assert not disjoint(high, Node("input", (), -1, 254))


def test_a_subtractor_borrows_from_the_lowest_bit_that_is_taken_away():
    high = Node("shift", (0,), 0, 255 << 8, by=8)
    less = delay_ns(Node("sub", (0, 1), -255 << 8, 255), [BYTE, high])
    more = delay_ns(Node("sub", (1, 0), -255, 255 << 8), [high, BYTE])
    assert 0 < less < more


def test_a_clip_with_many_high_bits_takes_two_levels():
    near = Node("clip", (0,), 0, 63)
    assert delay_ns(near, [Node("input", (), -128, 127)]) == LEVEL_NS
    assert delay_ns(near, [Node("input", (), -(2**15), 2**15)]) == 2 * LEVEL_NS


def test_a_sum_is_levels_of_counters_and_one_adder():
    bytes_ = [BYTE] * 6
    six = delay_ns(Node("sum", (0,) * 6, 0, 6 * 255), bytes_)
    # Six bits of a column become three, these two, and a chain adds what is left.
    assert six - 2 * LEVEL_NS == pytest.approx(0.75 + 0.025 * 10)
    two = delay_ns(Node("sum", (0, 0), 0, 510), bytes_[:2])
    assert two == delay_ns(Node("add", (0, 0), 0, 510), bytes_[:2])
