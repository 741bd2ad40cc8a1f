"""Stimuli: where events survive gaps, resets and halts, in every simulator alike."""

import needs
import numpy as np
import pytest
import tiny_block as tiny
from hypothesis import given
from hypothesis import strategies as st
from test_verilog import OPTIONS, interface_of
from tiny_vhdl import VHDL

from firmware import rows, tools, verilog, vhdl
from firmware.ghdl import Ghdl
from firmware.icarus import Icarus
from firmware.pipeline import pipeline
from firmware.rtl import DEFAULT
from firmware.simulate import Simulator
from firmware.stimulus import (
    RESET,
    UNKNOWN,
    Stimulus,
    Trace,
    back_to_back,
    halting,
    hostile,
    misplaced,
    survivors,
)
from firmware.tools import ToolError


def verilator(folder, *, texts=tiny.RTL, options=DEFAULT):
    found = {"verilator": tools.simulator(), "cxx": tools.compiler()}
    return Simulator.build(texts, tiny.NETLIST, folder, options=options, **found)


def icarus(folder, *, texts=tiny.RTL, options=DEFAULT):
    found = {"icarus": tools.icarus(), "options": options}
    return Icarus.build(texts, tiny.NETLIST, folder, **found)


def ghdl(folder, *, texts=VHDL, options=DEFAULT):
    found = {"ghdl": tools.ghdl(), "options": options}
    return Ghdl.build(texts, tiny.NETLIST, folder, **found)


PLAYERS = [
    verilator,
    pytest.param(icarus, marks=needs.icarus),
    pytest.param(ghdl, marks=needs.ghdl),
]


@pytest.fixture(scope="module", params=PLAYERS)
def block(request, tmp_path_factory):
    """The hand-written block in each simulator."""
    return request.param(tmp_path_factory.mktemp("played"))


def test_a_simulator_equals_the_drawing_on_every_word_and_sees_the_latency(block):
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
    assert misplaced(stimulus, trace, tiny.CYCLES) == 0


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "ce", "flat", "both"])
@pytest.mark.parametrize("player", PLAYERS)
def test_every_wiring_is_the_same_block(player, options, tmp_path):
    schedule = pipeline(tiny.NETLIST, 400)
    write = vhdl.emit if player is ghdl else verilog.emit
    texts = write(tiny.NETLIST, schedule, interface_of(tiny.NETLIST), options)
    block = player(tmp_path, texts=texts, options=options)
    stimulus = hostile(tiny.every_word(), 1000, 16, seed=4)
    if options.clock_enable:
        stimulus = halting(stimulus, seed=5)
    trace = block.play(stimulus)
    event, answer = survivors(stimulus, schedule.cycles)
    assert len(event) > 300
    assert np.array_equal(trace.words[answer], tiny.evaluate(stimulus.words[event]))
    assert misplaced(stimulus, trace, schedule.cycles) == 0


def test_a_block_that_ignores_its_enable_is_noticed(tmp_path):
    schedule = pipeline(tiny.NETLIST, 400)
    options = OPTIONS[1]
    interface = interface_of(tiny.NETLIST)
    ((name, text),) = verilog.emit(tiny.NETLIST, schedule, interface, options).items()
    stimulus = halting(hostile(tiny.every_word(), 1000, 16, seed=4), seed=5)
    for k, part in enumerate((" if (ce) begin", " if (ce) valid")):
        wrong = text.replace(part, part.replace(" if (ce)", ""))
        assert wrong != text
        (tmp_path / str(k)).mkdir()
        block = verilator(tmp_path / str(k), texts={name: wrong}, options=options)
        assert misplaced(stimulus, block.play(stimulus), schedule.cycles) > 0


@needs.icarus
def test_bits_that_stay_unknown_are_seen(tmp_path):
    never = tiny.VERILOG.replace("    z <= sum;\n", "")
    assert never != tiny.VERILOG
    answers, _ = icarus(tmp_path, texts={"never.v": never}).run(tiny.every_word())
    assert np.array_equal(answers[:, 0], tiny.evaluate(tiny.every_word())[:, 0])
    assert (answers[:, 1] == UNKNOWN).all()


@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=8, max_size=40
    ),
    st.integers(1, 8),
)
def test_survivors_are_what_a_shift_register_of_valid_bits_lets_through(rows, latency):
    valid, reset, enable = np.array(rows).T
    chain = [False] * latency
    due, shown = [], []
    for clock, (enters, clears, moves) in enumerate(rows):
        if clears:
            chain = [False] * latency
        elif moves:
            chain = [enters, *chain[:-1]]
        shown.append(chain[-1])
        if moves and chain[-1]:
            due.append(clock)
    words = np.zeros((len(rows), 1), np.int64)
    stimulus = Stimulus(valid, reset, words, enable)
    event, answer = survivors(stimulus, latency)
    assert answer.tolist() == due
    moved = np.cumsum(enable)
    assert np.array_equal(moved[answer] - moved[event], np.full(len(due), latency - 1))
    trace = Trace(np.array(shown), words)
    if enable[0] or not shown[0]:
        assert misplaced(stimulus, trace, latency) == 0
    for clock in range(len(rows)):
        wrong = np.array(shown)
        wrong[clock] ^= True
        assert misplaced(stimulus, Trace(wrong, words), latency) > 0


def test_back_to_back_holds_the_words_in_order_after_the_reset():
    words = tiny.every_word()
    stimulus = back_to_back(words, 5)
    assert np.array_equal(stimulus.words[stimulus.valid], words)
    assert stimulus.reset.sum() == RESET
    assert not (stimulus.valid & stimulus.reset).any()
    assert stimulus.enabled.all()


def test_lines_of_bits_say_what_the_stimulus_says(tmp_path):
    words = np.array([[-1, 5], [-8, 0]])
    rows.write(tiny.NETLIST, back_to_back(words, 1), tmp_path)
    lines = (tmp_path / rows.STIMULUS).read_text().splitlines()
    # valid, reset, enable, then b above a
    assert lines[RESET - 1 :] == [
        *("0110000000", "1011011111", "1010001000", "0010000000")
    ]
    (tmp_path / rows.TRACE).write_text("110111110\nX000U0001\n")
    trace = rows.read(tiny.NETLIST, 2, tmp_path)
    assert trace.valid.tolist() == [True, True]
    assert trace.words.tolist() == [[6, -9], [1, UNKNOWN]]
    with pytest.raises(ToolError, match="before its 3 clocks were over: 2 are there"):
        rows.read(tiny.NETLIST, 3, tmp_path)


@pytest.mark.parametrize(
    ("player", "texts", "said"),
    [
        (verilator, {"b.v": tiny.VERILOG.replace("endmodule", "endmodul", 1)}, "b.v:"),
        pytest.param(
            icarus,
            {"b.v": "module b; = ;\nendmodule\n"},
            "b.v:1: syntax",
            marks=needs.icarus,
        ),
        pytest.param(ghdl, {"b.vhd": "nothing"}, "b.vhd:1", marks=needs.ghdl),
    ],
)
def test_a_text_that_is_refused_is_told_with_the_command_to_repeat_it(
    player, texts, said, tmp_path
):
    with pytest.raises(ToolError) as told:
        player(tmp_path, texts=texts)
    assert said in str(told.value)
    command = str(told.value).split("to repeat it, beside the same files: ")[1]
    assert "verilator" in command or "iverilog" in command or "ghdl -a" in command
