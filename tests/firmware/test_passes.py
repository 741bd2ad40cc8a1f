import numpy as np
import pytest
from hypothesis import given, settings
from random_netlists import all_words, netlists
from random_networks import random_network

from firmware import area, passes
from firmware.build import Builder, rewrite
from firmware.collapse import collapse
from firmware.dont_care import fill
from firmware.interpret import run
from firmware.join import join
from firmware.lower import lower, translate
from firmware.netlist import Netlist, validate
from firmware.passes import (
    SIMPLIFY,
    fold,
    narrow,
    normalise,
    optimise,
    push_shifts,
    trim,
)
from firmware.split import split
from firmware.tree import chain_shifts, plant_trees

PASSES = (
    *dict.fromkeys(SIMPLIFY),
    fill,
    collapse,
    split,
    join,
    plant_trees,
    chain_shifts,
    optimise,
)


@pytest.mark.parametrize("rewritten", PASSES, ids=lambda p: p.__name__)
def test_a_pass_keeps_the_function(rewritten):
    @settings(max_examples=60)
    @given(netlists())
    def on_every_word(netlist: Netlist):
        validate(netlist)
        after = rewritten(netlist)
        validate(after)
        words = all_words(netlist)
        assert np.array_equal(run(netlist, words), run(after, words))
        assert [name for name, _ in after.outputs] == [n for n, _ in netlist.outputs]
        assert len(after.inputs) == len(netlist.inputs)

    on_every_word()


def test_no_dead_node_and_no_equal_node_is_left():
    netlist = lower(random_network(0), "b")
    read = {a for node in netlist.nodes for a in node.args}
    read |= {index for _, index in netlist.outputs}
    dead = [i for i, n in enumerate(netlist.nodes) if i not in read and n.op != "input"]
    assert not dead
    kinds = [(n.op, n.args, n.by, n.table, n.lo, n.hi, n.name) for n in netlist.nodes]
    assert len(set(kinds)) == len(kinds)


@settings(max_examples=60)
@given(netlists())
def test_fold_leaves_alone_only_what_it_would_write_again(netlist: Netlist):
    clean = rewrite(netlist, lambda *_: None)
    for before in (clean, fold(clean), optimise(clean)):
        folded = fold(before)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(passes, "_folds", lambda *_: True)
            assert fold(before) == folded


def one_table(entries, port=(0, 7)):
    into = Builder("b")
    return into, into.table(into.input("a", *port), lambda v: entries[v - port[0]])


def test_a_table_reads_only_the_address_bits_that_matter():
    into, table = one_table([3, 3, 1, 1, 0, 0, 9, 9])
    slim = narrow(into.finish([("y", table)]))
    assert slim.tables == ((3, 1, 0, 9),)
    assert [node.op for node in slim.nodes] == ["input", "shift", "table"]


def test_a_table_that_repeats_reads_only_low_address_bits():
    into, table = one_table([7, 5, 2, 0, 7, 5, 2, 0], (-4, 3))
    slim = narrow(into.finish([("y", table)]))
    assert slim.tables == ((7, 5, 2, 0),)
    assert [node.op for node in slim.nodes] == ["input", "wrap", "table"]


def test_a_constant_table_is_a_constant_and_an_identity_a_wire():
    into, table = one_table([5] * 8)
    assert narrow(into.finish([("y", table)])).nodes[1].op == "const"
    into, table = one_table(list(range(-4, 4)), (-4, 3))
    assert narrow(into.finish([("y", table)])).outputs == (("y", 0),)


def test_tables_in_a_sum_start_at_zero_and_lose_low_zero_bits():
    into = Builder("b")
    a, b = into.input("a", 0, 3), into.input("b", 0, 3)
    first = into.table(a, lambda v: (-8, 4, 0, 8)[v])
    second = into.table(b, lambda v: (7, 5, 5, 6)[v])
    slim = normalise(into.finish([("y", into.sum([first, second]))]))
    assert slim.tables == ((0, 3, 2, 4), (2, 0, 0, 1))
    constants = [node.lo for node in slim.nodes if node.op == "const"]
    assert sum(constants) == -8 + 5


def test_bits_below_every_table_leave_a_shifted_sum():
    into = Builder("b")
    a, b = into.input("a", 0, 3), into.input("b", 0, 3)
    terms = [into.shift(a, 2), into.shift(b, 3), into.const(3)]
    slim = trim(into.finish([("y", into.shift(into.sum(terms), -4))]))
    # 4 (a mod 2) + 3 never carries into 8: a's lowest bit goes with the constant.
    assert [n.by for n in slim.nodes if n.op == "shift"] == [-1, -1]
    assert not [n for n in slim.nodes if n.op == "const" and n.lo]


def test_low_bits_that_nobody_reads_are_cut_before_the_clip():
    into = Builder("b")
    clip = into.clip(into.input("a", -32, 31), 0, 15)
    slim = push_shifts(
        into.finish([("y", into.shift(clip, -2)), ("z", into.shift(clip, -1))])
    )
    clips = [node for node in slim.nodes if node.op == "clip"]
    assert [(node.lo, node.hi) for node in clips] == [(0, 7)]


def test_constants_of_nested_sums_become_one():
    into = Builder("b")
    a, b = into.input("a", 0, 3), into.input("b", 0, 3)
    inner = into.sum([a, into.const(5)])
    outer = into.sub(into.sum([inner, b, into.const(2)]), into.const(3))
    slim = fold(fold(into.finish([("y", outer)])))
    assert [(n.op, n.lo) for n in slim.nodes[2:]] == [("const", 4), ("sum", 4)]


def test_a_subtraction_is_one_adder_wherever_its_terms_stand():
    into = Builder("b")
    a, b, c = (into.input(name, 0, 15) for name in "abc")
    less = into.sub(into.sub(a, into.shift(b, 2)), into.sum([c, into.const(3)]))
    slim = optimise(into.finish([("y", into.add(less, into.const(9)))]))
    adders = [node.op for node in slim.nodes if node.op in ("add", "sub", "sum")]
    # a - (4 b) - c + 6: the constant is a fourth term, and nothing is negated alone.
    assert len(adders) == 3
    minus = [n for n in slim.nodes if n.op == "sub" and slim.nodes[n.args[0]].hi == 0]
    assert not minus


def test_a_sum_of_minus_terms_alone_is_negated_once():
    into = Builder("b")
    terms = [into.negative(into.input(name, 0, 15)) for name in "abcd"]
    slim = optimise(into.finish([("y", into.sum(terms))]))
    ops = [n.op for n in slim.nodes]
    assert (ops.count("sum"), ops.count("add"), ops.count("sub")) == (1, 0, 1)


def test_a_minus_sign_goes_into_a_table():
    into = Builder("b")
    a, b = into.input("a", 0, 3), into.input("b", 0, 3)
    behind = into.negative(into.table(a, lambda v: (3, 1, 2, 0)[v]))
    before = into.table(into.negative(b), lambda v: v * v)
    slim = narrow(into.finish([("y", behind), ("z", before)]))
    assert slim.tables == ((-3, -1, -2, 0), (0, 1, 4, 9))
    assert not [node for node in slim.nodes if node.op == "sub"]


def test_shifts_of_one_value_shift_each_other():
    into = Builder("b")
    a = into.input("a", 0, 63)
    netlist = into.finish([("y", into.shift(a, -3)), ("z", into.shift(a, -1))])
    chained = chain_shifts(netlist)
    assert [(n.args, n.by) for n in chained.nodes[1:]] == [((0,), -1), ((1,), -2)]


def test_passes_make_a_network_smaller():
    before, after = translate(random_network(4), "b"), lower(random_network(4), "b")
    luts = [
        sum(area.luts(n, [netlist.nodes[a] for a in n.args]) for n in netlist.nodes)
        for netlist in (before, after)
    ]
    assert luts[1] < luts[0]
    assert len(after.tables) <= len(before.tables)


def test_a_sum_that_loses_low_bits_stays_in_its_own_layer():
    into = Builder("b")
    a, b = into.input("a", 0, 15), into.input("b", 0, 15)
    total = into.sum([into.shift(a, 2), into.shift(b, 2), into.const(3)], "one")
    netlist = into.finish([("y", into.shift(total, -2, "two"))])
    (trimmed,) = [node for node in trim(netlist).nodes if node.op == "sum"]
    assert trimmed.hi == 30  # two words, without the constant's bits
    assert trimmed.layer == "one"
