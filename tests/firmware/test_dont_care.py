import numpy as np
from hypothesis import given, settings
from random_netlists import all_words, netlists

from firmware import passes, verilog
from firmware.build import Builder
from firmware.dont_care import fill
from firmware.interpret import run
from firmware.netlist import Netlist, validate
from firmware.passes import narrow, optimise
from firmware.pipeline import pipeline
from firmware.recompile import plain_interface
from firmware.synth import estimate
from firmware.tools import synthesiser
from firmware.values import value_sets


def behind_holes(*tables: list[int]) -> Netlist:
    """Tables that read a sum of 0 or 1 and 0 or 4: it is never 2 or 3."""
    into = Builder("b")
    low = into.rom(into.input("a", 0, 3), [0, 1, 1, 0])
    high = into.rom(into.input("b", 0, 3), [4, 0, 0, 4])
    total = into.sum([low, high])
    return into.finish(
        [(f"y{k}", into.rom(total, table)) for k, table in enumerate(tables)]
    )


def same(before: Netlist, after: Netlist) -> bool:
    validate(after)
    words = all_words(before)
    return np.array_equal(run(before, words), run(after, words))


@settings(max_examples=60)
@given(netlists())
def test_what_is_filled_in_is_never_read(netlist: Netlist):
    filled = fill(netlist)
    assert same(netlist, filled)
    assert fill(filled) == filled
    assert len(filled.tables) <= len(netlist.nodes)


@settings(max_examples=60)
@given(netlists())
def test_a_filled_table_holds_only_what_is_read(netlist: Netlist):
    filled = fill(netlist)
    nodes = [node for node in filled.nodes if node.op == "table"]
    sets = value_sets(filled, [node.args[0] for node in nodes])
    for node, values in zip(nodes, sets, strict=True):
        lo, entries = filled.nodes[node.args[0]].lo, filled.tables[node.table]
        assert {entries[v - lo] for v in values.tolist()} == set(entries)


def test_tables_that_agree_on_all_that_comes_become_one():
    netlist = behind_holes([5, 1, 0, 0, 2, 7], [5, 1, 9, 8, 2, 7])
    assert len(netlist.tables) == 4
    assert len(fill(netlist).tables) == 3
    assert same(netlist, fill(netlist))


def test_an_address_bit_that_tells_only_what_never_comes_is_not_read():
    netlist = behind_holes([3, 3, 1, 2, 6, 6])
    slim = narrow(fill(netlist))
    assert max(map(len, slim.tables[2:])) <= 2
    assert same(netlist, slim)


def test_a_table_that_is_a_wire_for_all_that_comes_is_one():
    netlist = behind_holes([0, 1, 5, 5, 4, 5])
    slim = narrow(fill(netlist))
    assert slim.nodes[slim.outputs[0][1]].op == "sum"
    assert same(netlist, slim)


def luts(netlist: Netlist) -> int:
    rtl = verilog.emit(netlist, pipeline(netlist, 20.0), plain_interface(netlist))
    return estimate(rtl, netlist.block, yosys=synthesiser()).luts


def test_behind_the_clip_of_a_front_end_few_luts_are_left(monkeypatch):
    into = Builder("b")
    # A flag and a range of three steps, scaled and clipped: 6 values of 64 come.
    step = into.rom(into.input("a", 0, 15), [0] * 5 + [13] * 6 + [41] * 5)
    flag = into.shift(into.compare(step, "<", into.input("b", 0, 63)), 2)
    level = into.clip(into.sum([step, flag, into.const(9)]), 0, 63)
    rng = np.random.default_rng(0)
    tables = rng.integers(0, 64, (6, 64)).tolist()
    outputs = [
        (f"y{k}", into.table(level, lambda v, t=table: t[v]))
        for k, table in enumerate(tables)
    ]
    netlist = into.finish(outputs)
    monkeypatch.setattr(passes, "collapse", lambda netlist, *_: netlist)  # finds it too
    filled = optimise(netlist)
    assert same(netlist, filled)
    monkeypatch.setattr(passes, "fill", lambda netlist: netlist)
    assert luts(filled) < 0.8 * luts(optimise(netlist))
