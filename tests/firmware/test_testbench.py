import subprocess
from pathlib import Path

import needs
import numpy as np
import pytest
from test_verilog import OPTIONS, interface_of, lint
from test_verilog import emit as emit_block
from tiny_block import NETLIST

from firmware import testbench, tools, vectors
from firmware.interpret import run
from firmware.pipeline import pipeline
from firmware.rtl import DEFAULT
from trigger.errors import UserError

CLOCK_MHZ = 600
SCHEDULE = pipeline(NETLIST, CLOCK_MHZ)
PORTS = [NETLIST.nodes[i] for i in NETLIST.inputs]
OUTPUTS = [NETLIST.nodes[i] for _, i in NETLIST.outputs]
WORDS = np.stack(np.meshgrid(range(-8, 8), range(8)), axis=-1).reshape(-1, 2)
BENCH = f"{NETLIST.block}_tb"


def emit(options=DEFAULT):
    expected = run(NETLIST, WORDS)
    interface = interface_of(NETLIST)
    return testbench.emit(NETLIST, SCHEDULE, interface, WORDS, expected, options)


def compiled(rtl: dict[str, str], folder: Path) -> Path:
    """The bench as a program: Verilator with timing, and no optimisation."""
    verilator, cxx = tools.simulator(), tools.compiler()
    files = {**rtl, **emit()}
    for name, text in files.items():
        (folder / name).write_text(text)
    tools.call(
        [
            *(*verilator.command, "--cc", "--main", "--exe", "--timing", "-Wno-fatal"),
            *("--Mdir", "obj", "--prefix", "Vtb", "--top-module", BENCH, *files),
        ],
        folder,
        VERILATOR_ROOT=verilator.root,
    )
    include = Path(verilator.root, "include")
    library = ("verilated", "verilated_timing", "verilated_threads")
    sources = [*(folder / "obj").glob("*.cpp")]
    sources += [include / f"{name}.cpp" for name in library]
    (folder / "all.cc").write_text("".join(f'#include "{s}"\n' for s in sources))
    flags = ["-std=c++20", "-fcoroutines", "-O0", "-w", "-pthread"]
    paths = [f"-I{include}", f"-I{include / 'vltstd'}", "-Iobj"]
    tools.call([*cxx.command, *flags, *paths, "all.cc", "-o", "bench"], folder)
    return folder / "bench"


def verdict(bench: Path, expected: np.ndarray) -> str:
    """The line that the bench prints last, for these answers on file."""
    folder = bench.parent / "vectors"
    folder.mkdir(exist_ok=True)
    (folder / "inputs.hex").write_text(vectors.to_hex(WORDS, PORTS))
    (folder / "expected.hex").write_text(vectors.to_hex(expected, OUTPUTS))
    done = subprocess.run(
        [bench], cwd=bench.parent, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    return next(line for line in lines if line.startswith(("PASS", "FAIL")))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    rtl = emit_block(NETLIST, CLOCK_MHZ)
    return compiled(rtl, tmp_path_factory.mktemp("good"))


def test_a_right_block_passes_three_runs(good):
    line = verdict(good, run(NETLIST, WORDS))
    assert line.startswith("PASS 0 of ")
    # All events twice; of the third run, all but those that a reset took.
    assert 2 * len(WORDS) < int(line.split()[-1]) <= 3 * len(WORDS)


def test_one_wrong_answer_fails_in_every_run(good):
    expected = run(NETLIST, WORDS)
    expected[77, 1] ^= 1
    words = verdict(good, expected).split()
    assert words[0] == "FAIL"
    assert int(words[1]) in (2, 3)


BROKEN = {
    "valid comes early": ("= valid[LATENCY-1]", "= valid[LATENCY-2]"),
    "reset leaves events in flight": (
        "if (rst) valid <= {LATENCY{1'b0}};",
        "if (rst) ;",
    ),
}


@pytest.mark.parametrize("part", BROKEN)
def test_a_broken_block_fails(part, tmp_path):
    name = f"{NETLIST.block}.v"
    text = emit_block(NETLIST, CLOCK_MHZ)[name]
    right, wrong = BROKEN[part]
    assert text.count(right) == 1
    bench = compiled({name: text.replace(right, wrong)}, tmp_path)
    assert verdict(bench, run(NETLIST, WORDS)).startswith("FAIL")


@pytest.mark.parametrize("options", OPTIONS)
def test_block_and_bench_lint_without_a_warning(options, tmp_path):
    files = {**emit_block(NETLIST, CLOCK_MHZ, options), **emit(options)}
    lint(files, BENCH, tmp_path, "--timing")


@needs.icarus
@pytest.mark.parametrize("options", OPTIONS)
def test_icarus_runs_the_bench_with_every_wiring(options, tmp_path):
    files = {**emit_block(NETLIST, CLOCK_MHZ, options), **emit(options)}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    icarus = tools.icarus()
    tools.call([*icarus.command, "-g2001", "-o", "bench", *files], tmp_path)
    shebang = f"#!/bin/sh\nexec {icarus.root} -n '{tmp_path}/bench'\n"
    bench = tmp_path / "run"
    bench.write_text(shebang)
    bench.chmod(0o755)
    assert verdict(bench, run(NETLIST, WORDS)).startswith("PASS 0 of ")
    wrong = run(NETLIST, WORDS)
    wrong[3, 0] ^= 1
    assert verdict(bench, wrong).startswith("FAIL ")


def test_the_bench_names_its_files_and_no_machine():
    ((name, text),) = emit().items()
    assert name == f"{BENCH}.v"
    assert 'parameter FOLDER = "vectors"' in text
    assert "localparam EVENTS = 128;" in text
    assert f"localparam LATENCY = {SCHEDULE.cycles};" in text


def test_vectors_of_another_shape_are_refused():
    interface, expected = interface_of(NETLIST), run(NETLIST, WORDS)
    for words, answers in (
        (WORDS[:, :1], expected),
        (WORDS, expected[:-1]),
        (WORDS[:0], expected[:0]),
    ):
        with pytest.raises(UserError, match="at least one vector of 2 input and 2 out"):
            testbench.emit(NETLIST, SCHEDULE, interface, words, answers)
