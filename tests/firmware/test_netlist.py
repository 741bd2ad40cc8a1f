import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_netlists import netlists
from tiny_block import NETLIST

from firmware.netlist import Netlist, Node, from_json, to_json, validate, width
from trigger.errors import UserError


@given(st.integers(-(2**40), 2**40), st.integers(0, 2**40))
def test_a_width_holds_its_interval_and_no_less_would(lo, span):
    hi = lo + span
    bits = width(lo, hi)

    def holds(bits):
        least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return least <= lo and hi <= most if lo < 0 else hi <= 2**bits - 1

    assert holds(bits)
    assert bits == 1 or not holds(bits - 1)


@given(netlists())
def test_reading_undoes_writing(netlist):
    assert from_json(to_json(netlist)) == netlist


def test_a_text_names_its_format_first_and_has_a_line_for_each_node():
    text = to_json(NETLIST)
    assert text.startswith('{\n "format": "jetlut-netlist",\n "version": 3,\n')
    assert sum('{"op"' in line for line in text.splitlines()) == len(NETLIST.nodes)


def with_node(index: int, **changes) -> Netlist:
    nodes = list(NETLIST.nodes)
    nodes[index] = nodes[index]._replace(**changes)
    return replace(NETLIST, nodes=tuple(nodes))


BROKEN = [
    (with_node(2, args=(2,)), r"reads nodes \(2,\), but only 0\.\.1 come before"),
    (with_node(2, args=(-1,)), r"reads nodes \(-1,\)"),
    (with_node(5, args=(2,)), r"node 5 \(add\) has 1 arguments, it takes 2"),
    (with_node(5, op="sum", args=()), "sums nothing; write a const"),
    (with_node(5, lo=3, hi=2), r"empty interval 3\.\.2"),
    (with_node(5, lo=-4), r"says -4\.\.9, its arguments make -3\.\.9"),
    (with_node(2, table=7), "names table 7 of 2"),
    (with_node(2, table=1), "a table of 4 entries for an address that takes 16 values"),
    (with_node(5, op="wrap", args=(2,), bits=64), "keeps 64 bits; 1..63 work"),
    (with_node(0, lo=-(2**80)), "needs 81 bits|address that takes"),
    (replace(NETLIST, outputs=(("y", 99),)), "output 'y' points to node 99"),
]


@pytest.mark.parametrize(("netlist", "sentence"), BROKEN)
def test_a_broken_promise_is_named(netlist, sentence):
    with pytest.raises(UserError, match=sentence):
        validate(netlist)


def test_an_unknown_operation_is_refused():
    netlist = with_node(2, op="multiply")
    with pytest.raises(
        UserError, match=r"node 2 \(multiply\) is unknown; known are in"
    ):
        validate(netlist)


def test_a_shared_table_is_read_from_one_argument_on():
    nodes = (
        Node("input", (), 0, 3, name="a"),
        Node("input", (), -2, 1, name="b"),
        Node("table", (0,), 0, 3, table=0),
        Node("table", (1,), 0, 3, table=0),
    )
    netlist = Netlist("b", nodes, ((0, 1, 2, 3),), (("y", 2), ("z", 3)))
    with pytest.raises(UserError, match=r"reads table 0 from -2 on, another .* from 0"):
        validate(netlist)


def test_a_foreign_or_newer_text_is_refused():
    newer = json.dumps({**json.loads(to_json(NETLIST)), "version": 4})
    with pytest.raises(UserError, match="version 4, this program reads"):
        from_json(newer)
    with pytest.raises(UserError, match="not a jetlut-netlist file"):
        from_json("[]")
    broken = json.loads(to_json(NETLIST))
    del broken["nodes"]
    with pytest.raises(UserError, match="broken jetlut-netlist file"):
        from_json(json.dumps(broken))
