"""Trees of sums: they keep the function, fit the clock, and hide constants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_netlists import all_words, netlists
from random_networks import random_network, random_words

from firmware.build import Builder
from firmware.delay import delay_ns
from firmware.interpret import run
from firmware.lower import lower, translate
from firmware.netlist import validate
from firmware.passes import optimise
from firmware.pipeline import pipeline
from firmware.tree import plant_trees


@given(netlists(), st.sampled_from((0.1, 1.4, 1.9, 3.0)))
def test_a_tree_of_any_time_keeps_the_function(netlist, longest):
    planted = plant_trees(netlist, longest)
    validate(planted)
    words = all_words(netlist)
    assert np.array_equal(run(planted, words), run(netlist, words))


@pytest.mark.parametrize(("seed", "clock"), [(1, 200.0), (2, 360.0), (3, 500.0)])
def test_a_network_for_a_clock_meets_it_and_keeps_its_function(seed, clock):
    program = random_network(seed, shape=(12, 6, 3), density=0.5)
    plain, fast = translate(program, "b"), optimise(translate(program, "b"), clock)
    words = random_words(program, 500)
    assert np.array_equal(run(fast, words), run(plain, words))
    assert pipeline(fast, clock).cycles <= 10


def wide_sum(terms: int):
    into = Builder("b")
    ports = [into.input(f"x{k}", 0, 63) for k in range(terms)]
    return into.finish([("y", into.sum(ports))])


def test_sums_are_cut_where_a_cycle_is_too_short_for_them():
    netlist = wide_sum(20)
    flat = plant_trees(netlist)
    assert [n.op for n in flat.nodes].count("sum") == 1
    for longest in (2.4, 1.9, 1.5, 1.1):
        cut = plant_trees(netlist, longest)
        delays = [
            delay_ns(node, [cut.nodes[a] for a in node.args]) for node in cut.nodes
        ]
        assert max(delays) <= longest


def test_terms_that_come_late_are_added_last():
    into = Builder("b")
    late = into.input("late", 0, 15)
    for _ in range(6):
        late = into.table(late, lambda v: v ^ 5)
    early = [into.input(f"x{k}", 0, 15) for k in range(3)]
    netlist = into.finish([("y", into.sum([late, *early]))])
    planted = plant_trees(netlist, 1.0)  # two at a time
    last = planted.nodes[planted.outputs[0][1]]
    assert any(planted.nodes[a].op == "table" for a in last.args)


@pytest.mark.parametrize("clock", [None, 360.0])
def test_a_clock_never_costs_more_cycles_than_flat_sums_do(clock):
    program = random_network(3, shape=(16, 8, 3), density=0.4)
    fast = lower(program, "b", clock_mhz=clock)
    flat = lower(program, "b")
    assert pipeline(fast, 200.0).cycles <= pipeline(flat, 200.0).cycles


def test_a_constant_hides_in_tables_that_have_room():
    into = Builder("b")
    terms = [
        into.table(into.input(name, 0, 7), lambda v: (0, 9, 3, 7, 5, 1, 8, 2)[v])
        for name in "abc"
    ]
    netlist = into.finish([("y", into.sum([*terms, into.const(-20)]))])
    planted = plant_trees(netlist)
    (node,) = [node for node in planted.nodes if node.op == "sum"]
    left = sum(planted.nodes[a].lo for a in node.args if planted.nodes[a].op == "const")
    # Nothing is left of it in the bits of the sum, and no table has grown.
    assert left % (1 << node.width) in (0, 1 << (node.width - 1))
    assert all(min(table) >= 0 and max(table) < 16 for table in planted.tables)
