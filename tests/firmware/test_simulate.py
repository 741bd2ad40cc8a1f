"""Verilator: what it has beyond the contract that all simulators keep."""

import numpy as np
import pytest
import tiny_block as tiny

from firmware.simulate import Simulator
from firmware.stimulus import Trace
from firmware.tools import compiler, simulator


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verilated")
    return Simulator.build(
        tiny.RTL, tiny.NETLIST, folder, verilator=simulator(), cxx=compiler()
    )


def test_a_run_beyond_a_thousand_orbits_takes_seconds(block):
    words = np.resize(tiny.every_word(), (100_000, 2))
    answers, _ = block.run(words)
    assert np.array_equal(answers, tiny.evaluate(words))


def test_a_block_that_never_answers_has_latency_zero(block, monkeypatch):
    def silence(_, stimulus):
        none = np.zeros(len(stimulus.valid), bool)
        return Trace(none, np.zeros((len(none), 2), np.int64))

    monkeypatch.setattr(Simulator, "play", silence)
    answers, latency = block.run(tiny.every_word())
    assert (len(answers), latency) == (0, 0)
