"""The area estimate: counting by hand on designs whose answer is known."""

import itertools
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import random_network

from firmware import verilog
from firmware.build import Builder
from firmware.layers import PORTS
from firmware.lower import lower
from firmware.pack import depth, paired
from firmware.pipeline import pipeline
from firmware.recompile import plain_interface
from firmware.rtl import Options
from firmware.synth import SynthReport, estimate
from firmware.tools import ToolError, synthesiser


def report(body: str, ports: str) -> SynthReport:
    text = f"module top ({ports});\n{body}\nendmodule\n"
    return estimate({"top.v": text}, "top", yosys=synthesiser())


def pairs(luts) -> int:
    found = paired(luts)
    assert len({k for pair in found for k in pair}) == 2 * len(found)
    return len(found)


def most_pairs(luts: list[frozenset[int]]) -> int:
    """The best pairing, by trying all of them."""
    if not luts:
        return 0
    first, *rest = luts
    best = most_pairs(rest)
    for k, other in enumerate(rest):
        if first & other and len(first | other) <= 5:
            best = max(best, 1 + most_pairs(rest[:k] + rest[k + 1 :]))
    return best


@given(st.lists(st.frozensets(st.integers(0, 9), min_size=2, max_size=5), max_size=8))
def test_pairs_are_possible_and_at_least_half_of_the_best(luts):
    assert most_pairs(luts) / 2 <= pairs(luts) <= most_pairs(luts)


def test_two_tables_that_read_more_than_five_nets_do_not_pair():
    assert pairs([{1, 2, 3}, {3, 4, 5}]) == 1
    assert pairs([{1, 2, 3}, {3, 4, 5, 6}]) == 0
    assert pairs([{1, 2}, {3, 4}]) == 0


def test_depth_is_the_longest_chain_whatever_the_order_of_the_cells():
    chain = [((k, 100), k + 1) for k in range(6)] + [((50,), 0)]
    orders = itertools.islice(itertools.permutations(chain), 0, None, 97)
    assert {depth(order) for order in orders} == {6}  # the inverter counts nothing
    assert depth([]) == 0


def test_a_registered_parity_of_six_is_one_lut_and_one_register():
    found = report(
        "always @(posedge clk) y <= ^a;", "input clk, input [5:0] a, output reg y"
    )
    assert (found.luts, found.ffs, found.depth) == (1, 1, 1)
    assert found.luts_by_size == {"6": 1}


def test_a_table_of_seven_inputs_takes_two_luts_and_of_eight_four():
    for inputs, luts in ((7, 2), (8, 4)):
        entries = "".join(
            f"{inputs}'d{k}: y = 1'd{(k * k * 37 + k // 3) % 7 % 2};"
            for k in range(2**inputs)
        )
        found = report(
            f"always @* case (a) {entries} default: y = 0; endcase",
            f"input [{inputs - 1}:0] a, output reg y",
        )
        assert found.luts <= luts
        assert max(map(int, found.luts_by_size)) <= inputs


def test_an_adder_takes_at_least_the_lut_a_bit_of_a_carry_chain():
    found = report("assign y = a + b;", "input [7:0] a, b, output [8:0] y")
    assert 8 <= found.luts <= 12
    assert found.depth <= 8


def test_the_report_says_that_it_is_an_estimate_and_how_good():
    told = json.loads(report("assign y = a & b;", "input a, b, output y").to_json())
    assert told["label"] == "estimate"
    assert "-5.1 %" in told["calibration"]
    assert "-4.5 %" in told["calibration"]
    assert told["tool"].startswith("pyosys ")


def test_the_bits_of_adders_and_comparisons_are_told():
    found = report(
        "assign y = a + b; assign z = a < c;",
        "input [7:0] a, b, c, output [8:0] y, output z",
    )
    assert found.carry_bits == 9 + 8


NETWORK = lower(random_network(3, shape=(5, 6, 3), density=0.5), "net")
LAYERS = {"lut1", "code1", "lut2", PORTS}


@pytest.mark.parametrize(("clock_mhz", "flat"), [(100, True), (360, False)])
def test_the_layers_share_all_luts_and_registers_of_one_mapping(clock_mhz, flat):
    rtl = verilog.emit(
        NETWORK,
        pipeline(NETWORK, clock_mhz),
        plain_interface(NETWORK),
        Options(flat=flat),
    )
    found = estimate(rtl, "net", yosys=synthesiser(), netlist=NETWORK)
    alone = estimate(rtl, "net", yosys=synthesiser())
    assert (found.luts, found.ffs, found.depth) == (alone.luts, alone.ffs, alone.depth)
    assert sum(share.luts for share in found.layers) == found.luts
    assert sum(share.ffs for share in found.layers) == found.ffs
    assert max(share.depth for share in found.layers) <= found.depth
    of = {share.layer: share for share in found.layers}
    assert of.keys() <= LAYERS
    # Nothing is computed at the ports; they hold their words, valid bits besides.
    assert of[PORTS].luts == 0
    assert of[PORTS].ffs >= pipeline(NETWORK, clock_mhz).cycles
    assert all(of[name].luts > 0 for name in LAYERS - {PORTS})


def test_a_table_and_an_adder_of_two_layers_are_told_apart():
    into = Builder("two")
    a, b = into.input("a", 0, 63), into.input("b", 0, 63)
    squares = into.table(a, lambda v: (v * v * 7 + v // 5) % 16, "squares")
    netlist = into.finish([("y", into.add(squares, b, "sums"))])
    rtl = verilog.emit(netlist, pipeline(netlist, 500), plain_interface(netlist))
    found = estimate(rtl, "two", yosys=synthesiser(), netlist=netlist)
    luts = {share.layer: share.luts for share in found.layers}
    assert luts["squares"] == 4  # one LUT6 for each bit
    assert luts["sums"] == found.luts - 4


def test_verilog_that_yosys_refuses_is_told_and_leaves_this_process_alone():
    with pytest.raises(ToolError):
        report("assign y = ;", "output y")


def test_yosys_is_not_loaded_into_the_callers_process():
    code = (
        "import sys; from firmware import synth, tools; "
        "synth.estimate({'t.v': 'module t(input a, output y); assign y = a; endmodule'}"
        ", 't', yosys=tools.synthesiser()); "
        "print([name for name in sys.modules if name.startswith('pyosys')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
