"""Tables read back from Verilog and C++: each entry counts."""

import re

import pytest
import tiny_block as tiny
from random_networks import random_network
from tiny_vhdl import CORE, VHDL

from firmware import cpp, lower, pipeline, tables, verilog, vhdl
from firmware.netlist import Node
from trigger.interface import Interface
from trigger.words import Word

ENTRIES = 2 * (len(tiny.T0) + len(tiny.T1))
CPP = f"{tiny.BLOCK}.cpp"


def test_hand_written_tables_are_those_of_the_netlist():
    assert tables.differences(tiny.NETLIST, tiny.RTL, tiny.EMULATOR) == (0, ENTRIES, "")
    both = tiny.RTL | VHDL
    found = tables.differences(tiny.NETLIST, both, tiny.EMULATOR)
    assert found == (0, ENTRIES * 3 // 2, "")


@pytest.mark.parametrize("place", range(len(tiny.T0) + len(tiny.T1)))
def test_any_single_changed_entry_of_the_verilog_is_found(place):
    spots = list(re.finditer(r"(\w+'?d?\d*: \w+ = 3'd)(\d);", tiny.VERILOG))
    spot = spots[place]
    text = tiny.VERILOG[: spot.start(2)] + str(int(spot[2]) ^ 1)
    text += tiny.VERILOG[spot.end(2) :]
    wrong, total, first = tables.differences(
        tiny.NETLIST, {"changed.v": text}, tiny.EMULATOR
    )
    assert (wrong, total) == (1, ENTRIES)
    assert first.startswith("Verilog table ")


@pytest.mark.parametrize("place", range(len(tiny.T0) + len(tiny.T1)))
def test_any_single_changed_or_absent_entry_of_the_vhdl_is_found(place):
    spot = list(re.finditer(r' *when "\d+" => return "\d+(\d)";\n', CORE))[place]
    bit = str(1 - int(spot[1]))
    for text in (
        CORE[: spot.start(1)] + bit + CORE[spot.end(1) :],
        CORE[: spot.start()] + spot[0].replace("when", "--when") + CORE[spot.end() :],
    ):
        rtl = tiny.RTL | {"core.vhd": text}
        wrong, total, first = tables.differences(tiny.NETLIST, rtl, tiny.EMULATOR)
        # An absent entry is that of `others`, which the tables have four times.
        same = tiny.T1[place - 16] == 0 if place >= 16 else tiny.T0[place] == 0
        assert (wrong, total) == (
            int("--when" not in text or not same),
            ENTRIES * 3 // 2,
        )
        assert first.startswith("VHDL table ") or not wrong


@pytest.mark.parametrize("place", range(len(tiny.T0)))
def test_any_single_changed_entry_of_the_cpp_is_found(place):
    held = ", ".join(map(str, tiny.T0))
    changed = list(tiny.T0)
    changed[place] += 1
    source = tiny.EMULATOR[CPP].replace(held, ", ".join(map(str, changed)))
    wrong, _, first = tables.differences(tiny.NETLIST, tiny.RTL, {CPP: source})
    assert wrong == 1
    assert first == (
        f"C++ table 0 at {place} is {changed[place]}, the netlist has {tiny.T0[place]}"
    )


def test_absent_tables_differ_at_every_entry():
    assert tables.differences(tiny.NETLIST, {}, {})[:2] == (ENTRIES, ENTRIES)


def test_choices_and_comments_of_vhdl_are_read():
    text = """
    function t0(a : unsigned(3 downto 0)) return unsigned is
    begin
      case a is
        when "0000" | "1111" => return "101"; -- when "0001" => return "000";
        when others => return "010";
      end case;
    end function t0;
    """
    case = tables.in_vhdl({"b.vhd": text})[0]
    assert [case[at] for at in (0, 15, 1, 9)] == [5, 5, 2, 2]
    assert case.width == 3
    assert tables.in_vhdl({"b.v": text}) == {}


def test_literals_of_every_base_and_lists_of_labels_are_read():
    text = """
    module b_t0 (input [3:0] a, output reg [2:0] y);
      always @* case (a)
        4'd0, 4'hf: y = 3'b101; // 4'd0: y = 3'd0;
        4'b0001: y = -3'sd1;
        default: y = 3'd2;
      endcase
    endmodule
    """
    case = tables.in_verilog({"b.v": text})[0]
    assert [case[at] for at in (0, 15, 1, 9)] == [5, 5, 7, 2]
    assert case.width == 3


@pytest.mark.parametrize("seed", range(3))
def test_every_entry_that_the_writers_emit_is_read_back(seed):
    network = random_network(seed, shape=(6, 4, 2))
    netlist = lower.lower(network, "block_v1_0_0")

    def word(name: str, node: Node) -> Word:
        return Word(name, node.width, node.signed, 1.0, "")

    ports = [netlist.nodes[i] for i in netlist.inputs]
    interface = Interface(
        block=netlist.block,
        inputs=tuple(word(node.name, node) for node in ports),
        outputs=tuple(word(name, netlist.nodes[i]) for name, i in netlist.outputs),
        classes=tuple(name for name, _ in network.outputs),
    )
    schedule = pipeline.pipeline(netlist, 200.0)
    rtl = verilog.emit(netlist, schedule, interface)
    rtl |= vhdl.emit(netlist, schedule, interface)
    read = sum(len(netlist.tables[n.table]) for n in netlist.nodes if n.op == "table")
    assert read > 0
    found = tables.differences(netlist, rtl, cpp.emit(netlist))
    assert found == (0, 3 * read, "")
