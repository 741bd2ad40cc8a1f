import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_netlists import all_words, netlists
from random_networks import random_network, random_words

from firmware import passes
from firmware.build import Builder
from firmware.collapse import ADDRESS, WORTH, collapse
from firmware.interpret import run
from firmware.lower import translate
from firmware.netlist import Netlist, validate
from firmware.passes import optimise
from firmware.pipeline import pipeline


def same(before: Netlist, after: Netlist, words=None) -> bool:
    validate(after)
    words = all_words(before) if words is None else words
    return np.array_equal(run(before, words), run(after, words))


def ops(netlist: Netlist) -> list[str]:
    return [node.op for node in netlist.nodes if node.op not in ("input", "const")]


@settings(max_examples=100)
@given(netlists(), st.sampled_from([WORTH, 0.2, 1.0, 50.0]))
def test_what_is_looked_up_is_what_was_computed(netlist, worth):
    looked = collapse(netlist, worth)
    assert same(netlist, looked)
    before = [len(table) for table in netlist.tables]
    assert max(map(len, looked.tables), default=0) <= max([2**ADDRESS, *before])


def unit(*ports: tuple[int, int], most: int = 7):
    """A unit: a table of every port, their sum and a clip of its high bits."""
    into = Builder("b")
    words = [into.input(f"x{k}", *port) for k, port in enumerate(ports)]
    terms = [into.table(word, lambda v: 3 * v * v % 23) for word in words]
    total = into.sum([*terms, into.const(-5)])
    return into, into.clip(into.shift(total, -1), 0, most)


def test_a_unit_of_two_narrow_inputs_is_a_table_of_both():
    into, clip = unit((0, 7), (-4, 3))
    netlist = into.finish([("y", clip)])
    looked = collapse(netlist)
    assert ops(looked).count("table") == 1
    assert not {"sum", "clip"} & set(ops(looked))
    assert [len(table) for table in looked.tables] == [64]
    assert same(netlist, looked)


def test_a_unit_of_wider_inputs_stays():
    into, clip = unit((0, 15), (0, 7))
    netlist = into.finish([("y", clip)])
    assert collapse(netlist) == netlist


def test_a_table_and_a_constant_of_a_table_are_one_table():
    into, clip = unit((0, 15))
    second = into.table(clip, lambda v: v * v)
    netlist = into.finish([("y", into.add(second, into.const(9)))])
    looked = collapse(netlist)
    assert ops(looked) == ["table"]
    assert looked.nodes[0].hi == 15
    assert same(netlist, looked)


def test_a_word_that_many_read_is_looked_up_once():
    into, clip = unit((0, 7), (0, 7))
    reads = [into.table(clip, lambda v, k=k: k * v % 11) for k in range(2, 8)]
    netlist = into.finish([(f"y{k}", read) for k, read in enumerate(reads)])
    looked = collapse(netlist)
    assert ops(looked).count("table") == 1 + len(reads)
    assert same(netlist, looked)


def test_a_small_block_needs_a_cycle_less(monkeypatch):
    network = random_network(3, shape=(4, 3, 2), address=(2, 3), code_bits=(2, 3))
    netlist, words = translate(network, "b"), random_words(network, 2000)
    looked = optimise(netlist, 500)
    monkeypatch.setattr(passes, "collapse", lambda netlist, *_: netlist)
    plain = optimise(netlist, 500)
    assert same(netlist, looked, words)
    assert pipeline(looked, 500).cycles < pipeline(plain, 500).cycles


@pytest.mark.parametrize("clock_mhz", [None, 360.0])
def test_an_output_of_one_port_is_one_table(clock_mhz):
    into, clip = unit((0, 31))
    second = into.table(clip, lambda v: 5 * v % 13 - 6)
    netlist = into.finish([("y", into.sum([second, into.const(-100)]))])
    made = optimise(netlist, clock_mhz)
    assert ops(made) == ["table"]
    assert same(netlist, made)
