import pytest
from hypothesis import given, settings
from random_netlists import all_words, netlists

from firmware import values
from firmware.build import Builder
from firmware.interpret import run
from firmware.netlist import Netlist
from firmware.values import value_sets


def seen(netlist: Netlist) -> list[set[int]]:
    """The values that every node takes when all words are played."""
    every = [(f"n{k}", k) for k in range(len(netlist.nodes))]
    told = Netlist(netlist.block, netlist.nodes, netlist.tables, tuple(every))
    return [set(column.tolist()) for column in run(told, all_words(netlist)).T]


def sets(netlist: Netlist) -> list[set[int]]:
    found = value_sets(netlist, range(len(netlist.nodes)))
    return [set(values.tolist()) for values in found]


@settings(max_examples=60)
@given(netlists())
def test_of_two_narrow_ports_every_set_is_exact(netlist: Netlist):
    assert sets(netlist) == seen(netlist)


@settings(max_examples=60)
@given(netlists())
def test_no_value_is_left_out_where_little_is_looked_at_together(netlist: Netlist):
    with pytest.MonkeyPatch.context() as less:
        less.setattr(values, "TOGETHER", 8)
        less.setattr(values, "SPAN", 64)
        found = sets(netlist)
    for here, there in zip(found, seen(netlist), strict=True):
        assert here >= there


def test_a_sum_of_many_words_has_the_holes_of_its_tables():
    into = Builder("b")
    terms = [
        into.rom(into.input(f"a{k}", 0, 127), [0] * 100 + [90] * 28) for k in range(9)
    ]
    netlist = into.finish([("y", into.sum(terms))])
    (values,) = value_sets(netlist, [netlist.outputs[0][1]])
    assert values.tolist() == list(range(0, 811, 90))


def test_values_that_never_come_together_make_no_sum():
    into = Builder("b")
    a = into.input("a", 0, 63)
    both = into.add(into.rom(a, [v % 2 for v in range(64)]), into.rom(a, [1, 0] * 32))
    netlist = into.finish([("y", both)])
    (values,) = value_sets(netlist, [netlist.outputs[0][1]])
    assert values.tolist() == [1]


def test_of_a_wide_node_the_interval_is_told():
    into = Builder("b")
    wide = into.shift(into.input("a", 0, 2**16 - 1), 1)
    (values,) = value_sets(into.finish([("y", wide)]), [1])
    assert len(values) == 2**17 - 1
