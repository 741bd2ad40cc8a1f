import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_netlists import all_words, netlists

from firmware import passes, verilog
from firmware.build import Builder
from firmware.interpret import run
from firmware.join import ADDRESS, TRIED, join
from firmware.netlist import Netlist, validate
from firmware.passes import CLOCKED, optimise
from firmware.pipeline import pipeline
from firmware.recompile import plain_interface
from firmware.synth import estimate
from firmware.tools import synthesiser


def same(before: Netlist, after: Netlist, words=None) -> bool:
    validate(after)
    words = all_words(before) if words is None else words
    return np.array_equal(run(before, words), run(after, words))


def sum_of(*rows: list[int], up: int = 0) -> Netlist:
    """A sum of tables, each of a port of its own."""
    into = Builder("b")
    terms = [
        into.shift(into.rom(into.input(f"x{k}", 0, len(row) - 1), row), up)
        for k, row in enumerate(rows)
    ]
    return into.finish([("y", into.sum(terms))])


@settings(max_examples=60)
@given(netlists(), st.integers(1, ADDRESS), st.sampled_from([0.0, 1.0, 3.0]))
def test_joined_tables_keep_the_function(netlist, most, least):
    assert same(netlist, join(netlist, most, least))


@settings(max_examples=60)
@given(netlists())
def test_a_join_makes_no_table_wider_and_is_done_at_once(netlist):
    joined = join(netlist)
    assert join(joined) == join(join(joined))
    before = [len(table) for table in netlist.tables]
    assert max(map(len, joined.tables), default=0) <= max([2**ADDRESS, *before])


def test_tables_of_a_single_bit_fill_luts_of_five_inputs():
    rows = [[k, 17 * k % 31] for k in range(1, 7)]
    joined = join(sum_of(*rows, up=1))
    assert sorted(map(len, joined.tables)) == [2, 32]
    assert same(sum_of(*rows, up=1), joined)


def test_tables_of_one_argument_become_one_whatever_their_signs():
    into = Builder("b")
    a = into.input("a", -8, 7)
    square, line = (into.table(a, f) for f in (lambda v: v * v, lambda v: 3 * v))
    netlist = into.finish([("y", into.sum([square, line]))])
    joined = join(netlist)
    assert joined.tables == (tuple(v * v + 3 * v for v in range(-8, 8)),)
    assert same(netlist, joined)


def test_a_table_that_serves_others_stays():
    into = Builder("b")
    a, b = into.input("a", 0, 7), into.input("b", 0, 7)
    first, second = (into.table(x, lambda v: v * v) for x in (a, b))
    netlist = into.finish([("y", into.sum([first, second])), ("z", first)])
    assert join(netlist) == netlist


def test_terms_that_do_not_meet_are_not_joined():
    into = Builder("b")
    a, b = into.input("a", 0, 3), into.input("b", 0, 3)
    apart = into.sum([a, into.shift(into.table(b, lambda v: 3 - v), 2)])
    netlist = into.finish([("y", apart)])
    assert join(netlist) == netlist


def test_a_long_sum_is_joined_in_parts():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 30, (3 * TRIED, 2)).tolist()
    netlist = sum_of(*rows)
    joined = join(netlist)
    words = rng.integers(0, 2, (500, len(rows)))
    assert same(netlist, joined, words)
    assert len(joined.tables) <= len(rows) / 4


def luts(netlist: Netlist, clock_mhz: float) -> tuple[int, int]:
    schedule = pipeline(netlist, clock_mhz)
    rtl = verilog.emit(netlist, schedule, plain_interface(netlist))
    found = estimate(rtl, netlist.block, yosys=synthesiser())
    return found.luts, schedule.cycles


@pytest.mark.parametrize("clock_mhz", [None, 360.0])
def test_a_convolution_of_single_bits_takes_a_fifth_less(monkeypatch, clock_mhz):
    rng = np.random.default_rng(0)
    into = Builder("b")
    taps = [into.input(f"x{k}", 0, 1) for k in range(18)]
    outputs = []
    for k in range(4):
        weights = [rng.integers(-16, 16, 2).tolist() for _ in taps]
        total = into.sum([into.rom(x, w) for x, w in zip(taps, weights, strict=True)])
        outputs.append((f"y{k}", into.clip(total, 0, 63)))
    netlist = into.finish(outputs)
    joined = optimise(netlist, clock_mhz)
    assert same(netlist, joined, rng.integers(0, 2, (1000, len(taps))))
    monkeypatch.setattr(passes, "join", lambda netlist, *_: netlist)
    plain = optimise(netlist, clock_mhz)
    less, cycles = luts(joined, clock_mhz or 20.0)
    more, before = luts(plain, clock_mhz or 20.0)
    assert less < 0.85 * more
    assert cycles <= before


def test_a_block_with_registers_joins_tables_of_fewer_bits():
    netlist = sum_of(*[[7, 2, 5, 1, 6, 0, 4, 3]] * 4)
    sizes = [
        max(map(len, joined.tables))
        for joined in (join(netlist), join(netlist, *CLOCKED))
    ]
    assert sizes == [64, 8]
