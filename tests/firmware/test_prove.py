"""The proof: agreement passes, each kind of disagreement is seen where it is."""

from typing import Any

import needs
import numpy as np
import pytest
import tiny_block as tiny
from jaxtyping import TypeCheckError
from test_verilog import interface_of
from tiny_vhdl import CORE, VHDL

from firmware import prove as proofs
from firmware import verilog, vhdl
from firmware.interpret import run
from firmware.pipeline import pipeline
from firmware.prove import CHECKS, NEEDED, Check, compare, passed, prove
from firmware.rtl import Options
from firmware.tools import Tool

WORDS = tiny.every_word()
EXPECTED = tiny.evaluate(WORDS)
ABSENT = Tool("absent", missing="it is not installed")
CPP = f"{tiny.BLOCK}.cpp"
NONE: dict[str, Any] = {"icarus": ABSENT, "ghdl": ABSENT}
"""Without the simulators that a machine may lack, and which cost time."""


def proof(folder, *, rtl=None, emulator=None, expected=EXPECTED, cycles=2, **found):
    return prove(
        tiny.NETLIST,
        rtl or tiny.RTL | VHDL,
        emulator or tiny.EMULATOR,
        WORDS,
        expected,
        cycles=cycles,
        folder=folder,
        **found,
    )


@needs.ghdl
@needs.icarus
def test_a_right_block_passes_every_check(tmp_path):
    checks = proof(tmp_path)
    assert list(checks) == [name for name in CHECKS if name != "network"]
    assert {check.status for check in checks.values()} == {"passed"}
    assert checks["cpp"].words == checks["numpy"].words == len(WORDS)
    simulated = {checks[name].words for name in ("verilog", "icarus", "vhdl")}
    assert len(simulated) == 1
    assert simulated.pop() > len(WORDS)  # gaps and resets come on top
    assert checks["latency"] == Check("passed", 0, 3, "2 cycles seen")
    assert passed({"network": compare(EXPECTED, EXPECTED), **checks})
    assert not passed(checks)


def test_a_wrong_entry_and_a_wrong_latency_of_the_rtl_are_told_apart(tmp_path):
    changed = tiny.VERILOG.replace("4'd3: y = 3'd1", "4'd3: y = 3'd0")
    assert changed != tiny.VERILOG
    checks = proof(tmp_path, rtl={"t.v": changed}, cycles=3, **NONE)
    assert checks["numpy"].status == checks["cpp"].status == "passed"
    assert checks["verilog"].status == "failed"
    assert checks["verilog"].mismatches >= (WORDS[:, 0] == 3).sum()
    assert checks["tables"].mismatches == 1
    assert checks["latency"].status == "failed"
    assert checks["latency"].reason == "2 cycles seen (verilog), 3 promised"


@needs.icarus
def test_icarus_finds_what_verilator_finds(tmp_path):
    changed = tiny.VERILOG.replace("sum > 5 ? 3'd5", "sum > 5 ? 3'd4")
    assert changed != tiny.VERILOG
    checks = proof(tmp_path, rtl={"t.v": changed}, ghdl=ABSENT)
    assert checks["icarus"].mismatches == checks["verilog"].mismatches > 0


@needs.ghdl
def test_wrong_vhdl_is_told_apart_from_right_verilog(tmp_path):
    changed = CORE.replace(
        'when "0011" => return "0001"', 'when "0011" => return "0000"'
    )
    late = CORE.replace("valid <= valid(0) & in_valid", 'valid <= valid(0) & "0"')
    broken = CORE.replace("end process", "end")
    assert len({CORE, changed, late, broken}) == 4
    found: dict[str, Any] = {"verilator": ABSENT, "icarus": ABSENT}
    told = []
    for k, core in enumerate((changed, late, broken)):
        (tmp_path / str(k)).mkdir()
        rtl = tiny.RTL | VHDL | {f"{tiny.BLOCK}_core.vhd": core}
        checks = proof(tmp_path / str(k), rtl=rtl, **found)
        names = {n for n, check in checks.items() if check.status == "failed"}
        told.append((names, checks["vhdl"].reason))
    assert told[0] == ({"vhdl", "tables"}, "")
    assert told[1][0] == {"vhdl", "latency"}
    assert told[1][1].startswith("no answer came")
    assert told[2][0] == {"vhdl"}
    assert f"{tiny.BLOCK}_core.vhd" in told[2][1]
    assert "to repeat it, beside the same files: " in told[2][1]


def test_a_latency_that_only_the_vhdl_has_is_a_failure():
    seen = {"verilog": 2, "vhdl": 3}
    assert proofs._latency(seen, 2) == Check(
        "failed", 1, 2, "2 and 3 cycles seen (vhdl), 2 promised"
    )


@needs.ghdl
@needs.icarus
def test_a_slow_simulator_sees_a_part_of_many_words_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(proofs, "SLOW_EVENTS", 40)
    checks = proof(tmp_path)
    for name in ("icarus", "vhdl"):
        assert checks[name].words < checks["verilog"].words
        assert checks[name].reason == "40 of 128 events played"
        assert checks[name].status == "passed"
    assert checks["verilog"].reason == ""


def test_the_part_is_of_all_words_and_has_the_last_ones():
    words = np.arange(100_000)[:, None]
    some, answers, told = proofs._part(tiny.NETLIST, words, 2 * words)
    assert np.array_equal(answers, 2 * some)
    assert len(np.unique(some)) == len(some) == 4_000
    assert np.array_equal(some[2_000:], words[98_000:])
    assert np.diff(some[:2_000, 0]).max() <= 50
    assert told == "4000 of 100000 events played"


def test_a_machine_without_icarus_and_ghdl_makes_complete_bundles(tmp_path):
    checks = proof(tmp_path, **NONE)
    for name in ("icarus", "vhdl"):
        assert checks[name] == Check("not run", reason="it is not installed")
    complete = {"network": compare(EXPECTED, EXPECTED), **checks}
    assert passed(complete)
    for name in NEEDED:
        assert not passed({**complete, name: Check("not run")})
    assert not passed({**complete, "vhdl": Check("failed", 1, 128)})


def test_a_block_without_vhdl_says_that_there_is_none(tmp_path):
    checks = proof(tmp_path, rtl=tiny.RTL, icarus=ABSENT, verilator=ABSENT)
    assert checks["vhdl"].status == "not run"
    assert checks["latency"] == Check(
        "not run", reason="no simulation was run to its end"
    )


@needs.ghdl
@needs.icarus
def test_flat_vectors_and_a_clock_enable_are_proven_too(tmp_path):
    options = Options(clock_enable=True, flat=True)
    schedule, interface = pipeline(tiny.NETLIST, 400), interface_of(tiny.NETLIST)
    rtl = verilog.emit(tiny.NETLIST, schedule, interface, options)
    rtl |= vhdl.emit(tiny.NETLIST, schedule, interface, options)
    expected = run(tiny.NETLIST, WORDS)
    checks = proof(
        tmp_path, rtl=rtl, expected=expected, cycles=schedule.cycles, options=options
    )
    assert {check.status for check in checks.values()} == {"passed"}


def test_a_valid_bit_that_ignores_reset_is_found(tmp_path):
    changed = tiny.VERILOG.replace("if (rst) valid <= 0;\n    else ", "")
    assert changed != tiny.VERILOG
    checks = proof(tmp_path, rtl={"t.v": changed}, **NONE)
    assert checks["verilog"].status == "failed"
    assert checks["tables"].status == "passed"


def test_without_a_simulator_the_rest_is_still_checked(tmp_path):
    checks = proof(tmp_path, verilator=ABSENT, **NONE)
    assert checks["verilog"] == Check("not run", reason="it is not installed")
    assert checks["latency"].status == "not run"
    assert checks["cpp"].status == "passed"
    assert not passed({"network": compare(EXPECTED, EXPECTED), **checks})


def test_without_a_compiler_neither_cpp_nor_simulation_runs(tmp_path):
    checks = proof(tmp_path, cxx=ABSENT, **NONE)
    told = {name for name, check in checks.items() if check.status == "not run"}
    assert told == {"cpp", "verilog", "icarus", "vhdl", "latency"}


def test_wrong_expected_words_fail_every_emulator(tmp_path):
    wrong = EXPECTED.copy()
    wrong[17, 1] ^= 1
    checks = proof(tmp_path, expected=wrong, verilator=ABSENT, **NONE)
    assert (checks["numpy"].mismatches, checks["cpp"].mismatches) == (1, 1)


def test_cpp_that_was_made_from_another_netlist_says_so(tmp_path):
    other = tiny.EMULATOR[CPP].replace("netlist-sha256:", "netlist-sha256:0")
    emulator = {**tiny.EMULATOR, CPP: other}
    checks = proof(tmp_path, emulator=emulator, verilator=ABSENT, **NONE)
    assert checks["cpp"].status == "failed"
    assert "another netlist" in checks["cpp"].reason


def test_code_that_does_not_compile_fails_and_does_not_raise(tmp_path):
    broken = {**tiny.EMULATOR, CPP: "int main( {"}
    checks = proof(tmp_path, emulator=broken, rtl={"t.v": "modul"}, **NONE)
    assert checks["cpp"].status == checks["verilog"].status == "failed"
    assert checks["latency"].status == "not run"


def test_missing_and_extra_answers_count_as_mismatches():
    assert compare(EXPECTED[:-3], EXPECTED).mismatches == 3
    assert compare(np.vstack([EXPECTED, EXPECTED[:2]]), EXPECTED).mismatches == 2
    assert str(compare(EXPECTED, EXPECTED)) == "passed, 0 of 128"


def test_words_that_are_not_integers_are_refused():
    with pytest.raises(TypeCheckError):
        compare(EXPECTED.astype(float), EXPECTED)
