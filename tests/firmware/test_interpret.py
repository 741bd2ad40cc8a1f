import numpy as np
import pytest
from hypothesis import given
from random_netlists import all_words, netlists
from tiny_block import NETLIST, T0, T1

from firmware.interpret import run
from trigger.errors import UserError


def one_event(netlist, words):
    """The same meaning in plain integers, written a second time."""
    values, ports = [], iter(words)
    for node in netlist.nodes:
        a = [values[i] for i in node.args]
        if node.op == "input":
            values.append(next(ports))
        elif node.op == "const":
            values.append(node.lo)
        elif node.op == "shift":
            values.append(a[0] * 2**node.by if node.by > 0 else a[0] // 2**-node.by)
        elif node.op in ("add", "sum"):
            values.append(sum(a))
        elif node.op == "sub":
            values.append(a[0] - a[1])
        elif node.op == "mul":
            values.append(a[0] * a[1])
        elif node.op == "compare":
            values.append(int(eval(f"{a[0]} {node.test} {a[1]}")))
        elif node.op == "mux":
            values.append(a[2 - a[0]])
        elif node.op == "clip":
            values.append(sorted((node.lo, a[0], node.hi))[1])
        elif node.op == "wrap":
            low = a[0] % 2**node.bits
            top = 2 ** (node.bits - 1)
            values.append(low - 2**node.bits if node.twos and low >= top else low)
        else:
            entries = netlist.tables[node.table]
            values.append(entries[a[0] - netlist.nodes[node.args[0]].lo])
    for node, value in zip(netlist.nodes, values, strict=True):
        assert node.lo <= value <= node.hi
    return [values[index] for _, index in netlist.outputs]


@given(netlists())
def test_the_referee_agrees_with_plain_integers_and_with_the_intervals(netlist):
    words = all_words(netlist)
    expected = [one_event(netlist, event) for event in words.tolist()]
    assert np.array_equal(run(netlist, words), expected)


def test_a_block_drawn_by_hand():
    words = all_words(NETLIST)
    total = [T0[a + 8] + T1[b >> 1] for a, b in words.tolist()]
    expected = np.stack([np.clip(total, 0, 5), total], axis=1)
    assert np.array_equal(run(NETLIST, words), expected)


def test_no_events_give_no_answers():
    assert run(NETLIST, np.zeros((0, 2), np.int64)).shape == (0, 2)


def test_words_of_another_shape_are_refused():
    with pytest.raises(UserError, match=r"has 2 input ports.* shape \(4, 3\)"):
        run(NETLIST, np.zeros((4, 3), np.int64))


def test_a_word_outside_its_port_is_refused_with_its_row():
    words = np.array([[0, 0], [0, 8], [0, 9]])
    with pytest.raises(UserError, match=r"'b': word 8 at row 1 is outside 0\.\.7 \(2"):
        run(NETLIST, words)
