"""The simulator: stimuli, latency, gaps and resets."""

import numpy as np
import pytest
import tiny_block as tiny
from hypothesis import given
from hypothesis import strategies as st

from firmware.simulate import (
    RESET,
    Simulator,
    Stimulus,
    Trace,
    back_to_back,
    hostile,
    survivors,
)
from firmware.tools import ToolError, compiler, simulator


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verilated")
    return Simulator.build(
        tiny.RTL, tiny.NETLIST, folder, verilator=simulator(), cxx=compiler()
    )


def test_simulator_equals_the_drawing_on_every_word_and_sees_the_latency(block):
    words = tiny.every_word()
    answers, latency = block.run(words)
    assert latency == tiny.CYCLES
    assert np.array_equal(answers, tiny.evaluate(words))


@pytest.mark.parametrize("seed", range(3))
def test_gaps_and_resets_lose_exactly_the_events_they_have_to(block, seed):
    stimulus = hostile(tiny.every_word(), 2000, 16, seed)
    trace = block.play(stimulus, seed=seed + 1)
    event, answer = survivors(stimulus, tiny.CYCLES)
    assert np.array_equal(np.flatnonzero(trace.valid), answer)
    assert np.array_equal(trace.words[answer], tiny.evaluate(stimulus.words[event]))
    assert 0 < len(event) < stimulus.valid.sum()


def test_a_run_beyond_a_thousand_orbits_takes_seconds(block):
    words = np.resize(tiny.every_word(), (100_000, 2))
    answers, _ = block.run(words)
    assert np.array_equal(answers, tiny.evaluate(words))


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=8, max_size=40),
    st.integers(1, 8),
)
def test_survivors_are_what_a_shift_register_of_valid_bits_lets_through(rows, latency):
    valid, reset = np.array(rows).T
    chain = [False] * latency
    due = []
    for clock, (enters, clears) in enumerate(rows):
        chain = [False] * latency if clears else [enters, *chain[:-1]]
        if chain[-1]:
            due.append(clock)
    words = np.zeros((len(rows), 1), np.int64)
    event, answer = survivors(Stimulus(valid, reset, words), latency)
    assert answer.tolist() == due
    assert np.array_equal(answer - event, np.full(len(due), latency - 1))


def test_back_to_back_holds_the_words_in_order_after_the_reset():
    words = tiny.every_word()
    stimulus = back_to_back(words, 5)
    assert np.array_equal(stimulus.words[stimulus.valid], words)
    assert stimulus.reset.sum() == RESET
    assert not (stimulus.valid & stimulus.reset).any()


def test_a_block_that_never_answers_has_latency_zero(block, monkeypatch):
    def silence(_, stimulus):
        none = np.zeros(len(stimulus.valid), bool)
        return Trace(none, np.zeros((len(none), 2), np.int64))

    monkeypatch.setattr(Simulator, "play", silence)
    answers, latency = block.run(tiny.every_word())
    assert (len(answers), latency) == (0, 0)


def test_verilog_that_does_not_elaborate_is_told_with_verilators_words(tmp_path):
    broken = {"broken.v": tiny.VERILOG.replace("endmodule", "endmodul", 1)}
    with pytest.raises(ToolError, match=r"broken\.v:"):
        Simulator.build(
            broken, tiny.NETLIST, tmp_path, verilator=simulator(), cxx=compiler()
        )
