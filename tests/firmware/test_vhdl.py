"""The VHDL: what it reads like, what GHDL says of it, and that it is the same block."""

import re
import shutil
import subprocess
from pathlib import Path

import needs
import numpy as np
import pytest
from every_operation import every_operation, every_word
from hypothesis import given, settings
from random_netlists import all_words, netlists
from random_networks import random_network, random_words
from test_verilog import OPTIONS, interface_of
from tiny_block import NETLIST

from firmware import tools, verilog, vhdl
from firmware.ghdl import Ghdl
from firmware.interpret import run
from firmware.lower import lower
from firmware.netlist import Netlist
from firmware.pipeline import pipeline
from firmware.rtl import DEFAULT, Options

GOLDEN = Path(__file__).parents[1] / "golden"


def emit(netlist: Netlist, clock_mhz: float = 400, options: Options = DEFAULT):
    schedule = pipeline(netlist, clock_mhz)
    return vhdl.emit(netlist, schedule, interface_of(netlist), options)


def analysed(files: dict[str, str], folder: Path, standard: str, *more: str) -> None:
    """Fails if GHDL says anything at all."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    done = subprocess.run(
        [*tools.ghdl().command, "-a", standard, *more, *files],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("part", ["", "_core"])
def test_a_tiny_block_reads_as_it_should(part):
    text = emit(NETLIST)[f"{NETLIST.block}{part}.vhd"]
    assert text == (GOLDEN / f"vhdl_tiny{part}.vhd").read_text()


@needs.ghdl
@pytest.mark.parametrize("options", OPTIONS)
def test_every_operation_is_what_the_referee_says(options, tmp_path):
    netlist, words = every_operation(), every_word()
    block = Ghdl.build(
        emit(netlist, 500, options),
        netlist,
        tmp_path,
        ghdl=tools.ghdl(),
        options=options,
    )
    answers, latency = block.run(words)
    assert np.array_equal(answers, run(netlist, words))
    assert latency == pipeline(netlist, 500).cycles


@needs.ghdl
def test_a_network_is_what_the_referee_says(tmp_path):
    network = random_network(7, shape=(6, 6, 3))
    netlist, words = lower(network, "net_v1_0_0"), random_words(network, 2000)
    schedule = pipeline(netlist, 250)
    texts = emit(netlist, 250)
    assert all(len(line) <= 96 for text in texts.values() for line in text.splitlines())
    block = Ghdl.build(texts, netlist, tmp_path, ghdl=tools.ghdl())
    answers, latency = block.run(words)
    assert np.array_equal(answers, run(netlist, words))
    assert latency == schedule.cycles


@needs.ghdl
def test_odd_netlists_are_what_the_referee_says(tmp_path):
    folder = tmp_path / "odd"

    @settings(max_examples=25)
    @given(netlists())
    def every_netlist(netlist):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        words = all_words(netlist)[:200]
        block = Ghdl.build(emit(netlist, 150), netlist, folder, ghdl=tools.ghdl())
        answers, _ = block.run(words)
        assert np.array_equal(answers, run(netlist, words))

    every_netlist()


@needs.ghdl
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("netlist", [NETLIST, every_operation()], ids=lambda n: n.block)
def test_ghdl_says_nothing_of_all_in_2008_and_of_the_top_in_93(
    netlist, options, tmp_path
):
    files = emit(netlist, 400, options)
    analysed(files, tmp_path / "2008", "--std=08")
    top = f"{netlist.block}.vhd"
    analysed({top: files[top]}, tmp_path / "93", "--std=93")


@needs.ghdl
def test_two_versions_of_a_block_elaborate_together(tmp_path):
    new = Netlist("tiny_v2_0_0", NETLIST.nodes, NETLIST.tables, NETLIST.outputs)
    files = emit(NETLIST) | emit(new)
    both = (
        "entity both is end entity;\narchitecture a of both is begin end architecture;"
    )
    analysed({**files, "both.vhd": both}, tmp_path / "v", "--std=08")
    for name in (NETLIST.block, new.block):
        tools.call([*tools.ghdl().command, "-e", "--std=08", name], tmp_path / "v")
    units = re.findall(r"^(?:entity|package) (\w+) is", "\n".join(files.values()), re.M)
    assert len(units) == len(set(units)) == 6
    assert all(unit.startswith(("tiny_v1_0_0", "tiny_v2_0_0")) for unit in units)


@pytest.mark.parametrize("options", OPTIONS)
def test_registers_are_those_of_the_verilog(options):
    netlist = every_operation()
    schedule, interface = pipeline(netlist, 500), interface_of(netlist)
    (one,) = verilog.emit(netlist, schedule, interface, options).values()
    two = vhdl.emit(netlist, schedule, interface, options)
    clocked = re.compile(r"^    +(\w+) <= ", re.M)
    core = two[f"{netlist.block}_core.vhd"]
    inside = "".join(re.findall(r"rising_edge.*?end process", core, re.S))
    registers = set(clocked.findall(inside))
    assert len(registers) > 20
    found = set(re.findall(r"^    (?:if \(rst\) )?(\w+) <= ", one, re.M))
    assert registers == found

    vectors = re.findall(r"(?:reg|wire) (?:signed )?\[(\d+):(\d+)\] (n\w+)", one)
    signals = re.findall(r"signal (n\w+) : unsigned\((\d+) downto (\d+)\)", core)
    wide = {
        name: (high, low) for name, high, low in signals if (high, low) != ("0", "0")
    }
    assert wide == {name: (high, low) for high, low, name in vectors}


def test_ports_are_std_logic_and_nothing_is_initialised_or_read_from_files():
    files = emit(every_operation())
    for name, text in files.items():
        code = re.sub(r"--[^\n]*", "", text)
        types = set(re.findall(r": (?:in|out) (\w+)", code))
        assert types == {"std_logic", "std_logic_vector"}, name
        assert "textio" not in code
        assert not re.search(r"signal [^;]*:=", code)
        assert set(re.findall(r"^use (.*);", code, re.M)) <= {
            "ieee.std_logic_1164.all",
            "ieee.numeric_std.all",
            "work.all_v1_0_0_pkg.LATENCY",
        }
    assert "numeric_std" not in files["all_v1_0_0.vhd"]


def test_comments_name_layers_ports_and_options():
    options = Options(clock_enable=True, flat=True)
    files = emit(NETLIST, 400, options)
    top = files[f"{NETLIST.block}.vhd"]
    for text in ("in_words 6..4: b", "word 0 is in the low bits", "While ce is low"):
        assert text in top
    assert "in_words(6 downto 4)" in top
    assert "  -- lut1\n" in files[f"{NETLIST.block}_core.vhd"]
