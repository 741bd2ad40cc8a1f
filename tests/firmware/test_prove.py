"""The proof: agreement passes, each kind of disagreement is seen where it is."""

import numpy as np
import pytest
import tiny_block as tiny
from jaxtyping import TypeCheckError

from firmware.prove import CHECKS, Check, compare, passed, prove
from firmware.tools import Tool

WORDS = tiny.every_word()
EXPECTED = tiny.evaluate(WORDS)
ABSENT = Tool("absent", missing="it is not installed")
CPP = f"{tiny.BLOCK}.cpp"


def proof(folder, *, rtl=None, emulator=None, expected=EXPECTED, cycles=2, **found):
    return prove(
        tiny.NETLIST,
        rtl or tiny.RTL,
        emulator or tiny.EMULATOR,
        WORDS,
        expected,
        cycles=cycles,
        folder=folder,
        **found,
    )


def test_a_right_block_passes_every_check(tmp_path):
    checks = proof(tmp_path)
    assert list(checks) == [name for name in CHECKS if name != "network"]
    assert {check.status for check in checks.values()} == {"passed"}
    assert checks["cpp"].words == checks["numpy"].words == len(WORDS)
    assert checks["verilog"].words > len(WORDS)  # gaps and resets come on top
    assert passed({"network": compare(EXPECTED, EXPECTED), **checks})
    assert not passed(checks)


def test_a_wrong_entry_and_a_wrong_latency_of_the_rtl_are_told_apart(tmp_path):
    changed = tiny.VERILOG.replace("4'd3: y = 3'd1", "4'd3: y = 3'd0")
    assert changed != tiny.VERILOG
    checks = proof(tmp_path, rtl={"t.v": changed}, cycles=3)
    assert checks["numpy"].status == checks["cpp"].status == "passed"
    assert checks["verilog"].status == "failed"
    assert checks["verilog"].mismatches >= (WORDS[:, 0] == 3).sum()
    assert checks["tables"].mismatches == 1
    assert checks["latency"].status == "failed"
    assert checks["latency"].reason == "2 cycles seen, 3 promised"


def test_a_valid_bit_that_ignores_reset_is_found(tmp_path):
    changed = tiny.VERILOG.replace("if (rst) valid <= 0;\n    else ", "")
    assert changed != tiny.VERILOG
    checks = proof(tmp_path, rtl={"t.v": changed})
    assert checks["verilog"].status == "failed"
    assert checks["tables"].status == "passed"


def test_without_a_simulator_the_rest_is_still_checked(tmp_path):
    checks = proof(tmp_path, verilator=ABSENT)
    assert checks["verilog"] == Check("not run", reason="it is not installed")
    assert checks["latency"].status == "not run"
    assert checks["cpp"].status == "passed"
    assert not passed({"network": compare(EXPECTED, EXPECTED), **checks})


def test_without_a_compiler_neither_cpp_nor_simulation_runs(tmp_path):
    checks = proof(tmp_path, cxx=ABSENT)
    told = {name for name, check in checks.items() if check.status == "not run"}
    assert told == {"cpp", "verilog", "latency"}


def test_wrong_expected_words_fail_every_emulator(tmp_path):
    wrong = EXPECTED.copy()
    wrong[17, 1] ^= 1
    checks = proof(tmp_path, expected=wrong, verilator=ABSENT)
    assert (checks["numpy"].mismatches, checks["cpp"].mismatches) == (1, 1)


def test_cpp_that_was_made_from_another_netlist_says_so(tmp_path):
    other = tiny.EMULATOR[CPP].replace("netlist-sha256:", "netlist-sha256:0")
    checks = proof(tmp_path, emulator={**tiny.EMULATOR, CPP: other}, verilator=ABSENT)
    assert checks["cpp"].status == "failed"
    assert "another netlist" in checks["cpp"].reason


def test_code_that_does_not_compile_fails_and_does_not_raise(tmp_path):
    broken = {**tiny.EMULATOR, CPP: "int main( {"}
    checks = proof(tmp_path, emulator=broken, rtl={"t.v": "modul"})
    assert checks["cpp"].status == checks["verilog"].status == "failed"
    assert checks["latency"].status == "not run"


def test_missing_and_extra_answers_count_as_mismatches():
    assert compare(EXPECTED[:-3], EXPECTED).mismatches == 3
    assert compare(np.vstack([EXPECTED, EXPECTED[:2]]), EXPECTED).mismatches == 2
    assert str(compare(EXPECTED, EXPECTED)) == "passed, 0 of 128"


def test_words_that_are_not_integers_are_refused():
    with pytest.raises(TypeCheckError):
        compare(EXPECTED.astype(float), EXPECTED)
