import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_netlists import all_words, netlists

from firmware import passes, verilog
from firmware.build import Builder
from firmware.interpret import run
from firmware.netlist import Netlist, validate
from firmware.passes import optimise
from firmware.pipeline import pipeline
from firmware.recompile import plain_interface
from firmware.split import split
from firmware.synth import estimate
from firmware.tools import synthesiser


def smooth(bits: int, lo: int = 0) -> Netlist:
    """A smooth table of so many address bits, added to two words."""
    into = Builder("b")
    x = into.input("x", lo, lo + 2**bits - 1)
    wave = 127 * (1 + np.sin(np.linspace(-2, 3, 2**bits)))
    table = into.rom(x, np.round(wave).astype(int).tolist())
    words = [into.input(name, 0, 255) for name in "ab"]
    return into.finish([("y", into.sum([into.shift(table, 1), *words]))])


@settings(max_examples=60)
@given(netlists(), st.integers(2, 4))
def test_splitting_keeps_the_function(netlist, wide):
    after = split(netlist, wide)
    validate(after)
    words = all_words(netlist)
    assert np.array_equal(run(netlist, words), run(after, words))


@pytest.mark.parametrize("lo", [0, -512])
def test_a_wide_smooth_table_becomes_a_coarse_and_a_fine_one(lo):
    netlist = smooth(10, lo)
    after = split(netlist)
    validate(after)
    words = np.zeros((1024, 3), np.int64)
    words[:, 0] = lo + np.arange(1024)
    assert np.array_equal(run(netlist, words), run(after, words))
    *coarse, fine = sorted(after.tables, key=len)
    assert len(coarse) >= 1
    assert max(fine) < 16
    assert split(after) == after


def test_what_is_rough_or_not_wide_stays():
    assert split(smooth(8)) == smooth(8)
    rng = np.random.default_rng(0)
    into = Builder("b")
    rough = into.rom(into.input("x", 0, 1023), rng.integers(0, 256, 1024).tolist())
    netlist = into.finish([("y", into.add(rough, into.input("a", 0, 255)))])
    assert split(netlist) == netlist


@pytest.mark.parametrize(("clock_mhz", "part"), [(None, 0.9), (200, 0.9), (360, 1)])
def test_a_wide_table_takes_less_but_never_a_cycle_more(monkeypatch, clock_mhz, part):
    def counted() -> tuple[int, int]:
        made = optimise(smooth(10), clock_mhz)
        schedule = pipeline(made, clock_mhz or 20.0)
        rtl = verilog.emit(made, schedule, plain_interface(made))
        luts = estimate(rtl, made.block, yosys=synthesiser()).luts
        return luts, schedule.cycles

    less, cycles = counted()
    monkeypatch.setattr(passes, "split", lambda netlist: netlist)
    more, before = counted()
    assert less <= part * more
    assert cycles <= before
