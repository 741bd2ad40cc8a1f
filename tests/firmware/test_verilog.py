from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from every_operation import every_operation, every_word
from hypothesis import given
from hypothesis import strategies as st
from random_netlists import netlists
from random_networks import random_network, random_words
from tiny_block import NETLIST

from firmware import tools, verilog
from firmware.hdl import rows
from firmware.interpret import run
from firmware.lower import lower
from firmware.netlist import Netlist, Node, width
from firmware.pipeline import pipeline
from firmware.rtl import DEFAULT, Options
from firmware.simulate import Simulator
from trigger.errors import UserError
from trigger.interface import Interface
from trigger.words import Word

OPTIONS = [DEFAULT, Options(clock_enable=True), Options(flat=True), Options(True, True)]
GOLDEN = Path(__file__).parents[1] / "golden" / "verilog_tiny.v"


def interface_of(netlist: Netlist) -> Interface:
    def word(name, node):
        return Word(name, node.width, node.signed, 0.25, "GeV", f"what {name} is")

    nodes = netlist.nodes
    return Interface(
        netlist.block,
        tuple(word(nodes[i].name, nodes[i]) for i in netlist.inputs),
        tuple(word(name, nodes[i]) for name, i in netlist.outputs),
        tuple(name.upper() for name, _ in netlist.outputs),
    )


def emit(
    netlist: Netlist, clock_mhz: float = 400, options: Options = DEFAULT
) -> dict[str, str]:
    schedule = pipeline(netlist, clock_mhz)
    return verilog.emit(netlist, schedule, interface_of(netlist), options)


def lint(files: dict[str, str], top: str, folder: Path, *flags: str) -> None:
    """Raises if Verilator warns of anything at all."""
    verilator = tools.simulator()
    for name, text in files.items():
        (folder / name).write_text(text)
    tools.call(
        [
            *(*verilator.command, "--lint-only", "-Wall", *flags),
            *("--top-module", top, *files),
        ],
        folder,
        VERILATOR_ROOT=verilator.root,
    )


def simulated(netlist, clock_mhz, words, folder, options=DEFAULT):
    """Outputs and latency of the emitted text in Verilator."""
    simulator = Simulator.build(
        emit(netlist, clock_mhz, options),
        netlist,
        folder,
        verilator=tools.simulator(),
        cxx=tools.compiler(),
        options=options,
    )
    return simulator.run(words)


def test_a_tiny_block_reads_as_it_should():
    text = emit(NETLIST)[f"{NETLIST.block}.v"]
    assert text == GOLDEN.read_text()


@pytest.mark.parametrize("options", [DEFAULT, Options(True, True)])
def test_every_operation_is_what_the_referee_says(options, tmp_path):
    netlist, words = every_operation(), every_word()
    answers, latency = simulated(netlist, 500, words, tmp_path, options)
    assert np.array_equal(answers, run(netlist, words))
    assert latency == pipeline(netlist, 500).cycles


def test_a_network_is_what_the_referee_says(tmp_path):
    netlist = lower(random_network(7, shape=(6, 6, 3)), "net_v1_0_0")
    words = random_words(random_network(7, shape=(6, 6, 3)), 5000)
    schedule = pipeline(netlist, 400)
    assert schedule.cycles > 3
    answers, latency = simulated(netlist, 400, words, tmp_path)
    assert np.array_equal(answers, run(netlist, words))
    assert latency == schedule.cycles


@pytest.mark.parametrize("clock_mhz", [50, 200, 300])
def test_a_network_lints_without_a_warning(clock_mhz, tmp_path):
    netlist = lower(random_network(1, density=0.3), "net_v1_0_0")
    lint(emit(netlist, clock_mhz), "net_v1_0_0", tmp_path)


@pytest.mark.parametrize("options", OPTIONS)
def test_every_operation_lints_without_a_warning(options, tmp_path):
    lint(emit(every_operation(), 400, options), "all_v1_0_0", tmp_path)


def test_a_single_bit_each_way_lints_as_flat_vectors_too(tmp_path):
    nodes = (Node("input", (), 0, 1, name="a"), Node("input", (), -1, 0, name="b"))
    for k, ports in enumerate((nodes[:1], nodes)):
        netlist = Netlist(f"bit_v{k}", ports, (), (("y", 0),))
        options = Options(flat=True)
        lint(emit(netlist, 400, options), netlist.block, tmp_path)


def test_flat_vectors_hold_word_0_in_their_low_bits():
    text = emit(NETLIST, 400, Options(flat=True))[f"{NETLIST.block}.v"]
    assert "  input wire [6:0] in_words,\n" in text
    assert "  wire signed [3:0] in_a = in_words[3:0];\n" in text
    assert "  wire [2:0] in_b = in_words[6:4];\n" in text
    assert "  assign out_words = {out_z, out_y};\n" in text
    assert "//   in_words 6..4: b " in text


def test_a_clock_enable_holds_all_registers_and_the_reset_stays_above_it():
    text = emit(NETLIST, 400, Options(clock_enable=True))[f"{NETLIST.block}.v"]
    edges = text.count("always @(posedge clk)")
    assert text.count("always @(posedge clk) if (ce) begin") == edges - 1
    assert "    if (rst) valid <= {LATENCY{1'b0}};\n    else if (ce) valid <= " in text
    assert "// While ce is low nothing moves" in text


def test_a_shift_by_more_than_the_width_still_reads_the_sign(tmp_path):
    nodes = (
        Node("input", (), -1, 0, name="sign"),
        Node("shift", (0,), -1, 0, by=-3),
    )
    netlist = Netlist("sign_v1_0_0", nodes, (), (("y", 1),))
    words = np.array([[0], [-1], [-1], [0]])
    answers, _ = simulated(netlist, 500, words, tmp_path)
    assert np.array_equal(answers, words)


def test_odd_netlists_lint_without_a_warning(tmp_path):
    seen = []

    @given(netlists())
    def collect(netlist):
        seen.append(netlist)

    collect()
    files = {}
    for k, netlist in enumerate(seen[::5]):
        one = Netlist(f"odd{k}", netlist.nodes, netlist.tables, netlist.outputs)
        files |= emit(one, 300)
    pins = "".join(f"  odd{k} u{k} ();\n" for k in range(len(files)))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "odd.v").write_text(f"module odd;\n{pins}endmodule\n")
    verilator = tools.simulator()
    tools.call(
        [
            *(*verilator.command, "--lint-only", "-Wall", "-Wno-PINMISSING"),
            *("odd.v", "-y", "."),
        ],
        tmp_path,
        VERILATOR_ROOT=verilator.root,
    )


@given(st.integers(-40, 40), st.integers(0, 40), st.data())
def test_rows_answer_reachable_addresses_and_repeat_entries_elsewhere(lo, span, data):
    entries = data.draw(
        st.lists(st.integers(-9, 9), min_size=span + 1, max_size=span + 1)
    )
    arg = Node("input", (), lo, lo + span)
    row = rows(arg, entries)
    size = 2 ** width(lo, lo + span)
    assert len(row) == size
    assert [row[v % size] for v in range(lo, lo + span + 1)] == entries
    assert set(row) == set(entries)


def test_registers_stand_only_where_values_cross_stages():
    netlist = lower(random_network(0, density=0.3), "net_v1_0_0")
    schedule = pipeline(netlist, 300)
    text = emit(netlist, 300)["net_v1_0_0.v"]
    bits = 0
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["reg"] or words[:2] == ["output", "reg"]:
            span = next((w for w in words if w.startswith("[")), "[0:0]")
            span = span.replace("LATENCY", str(schedule.cycles)).replace("-1", "")
            high, low = (int(x) for x in span.strip("[]").split(":"))
            bits += high - low + ("LATENCY" not in line)
    assert bits == schedule.register_bits(netlist)


def test_the_same_netlist_gives_the_same_text_and_no_long_lines():
    netlist = lower(random_network(2), "net_v1_0_0")
    text = emit(netlist, 250)["net_v1_0_0.v"]
    assert text == emit(netlist, 250)["net_v1_0_0.v"]
    assert max(map(len, text.splitlines())) <= 96
    for word in ("initial", "lint_off", "$readmem", "casez", "'bx"):
        assert word not in text


def test_an_interface_of_another_block_is_refused():
    schedule, right = pipeline(NETLIST, 100), interface_of(NETLIST)
    wide = Word("b", 4, False, 1.0, "")
    wrong = replace(right, inputs=(right.inputs[0], wide))
    with pytest.raises(UserError, match="'b' of 3 unsigned bits in the netlist and in"):
        verilog.emit(NETLIST, schedule, wrong)
    fewer = replace(right, outputs=right.outputs[:1], classes=("Y",))
    with pytest.raises(
        UserError, match="netlist has 4 ports, the interface describes 3"
    ):
        verilog.emit(NETLIST, schedule, fewer)
