"""Finding the tools, and saying clearly when one is not there."""

import stat

import pytest

from firmware import tools
from firmware.tools import Tool, ToolError, call


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_compiler_is_the_one_that_cxx_names(tmp_path, monkeypatch):
    own = script(tmp_path / "own-cxx", 'echo "own compiler 1.0"')
    monkeypatch.setenv("CXX", f"{own} -flag")
    tool = tools.compiler()
    assert tool.command == (str(own), "-flag")
    assert (tool.version, tool.missing) == ("own compiler 1.0", "")


def test_a_cxx_that_does_not_exist_is_reported_and_not_replaced(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    tool = tools.compiler()
    assert tool.missing == (
        "no C++ compiler: no-such-compiler (from CXX) not found or not working; "
        "install g++ or set CXX"
    )
    assert tool.command == ()


def test_a_compiler_that_is_there_and_does_not_work_counts_as_missing(
    tmp_path, monkeypatch
):
    script(tmp_path / "broken-cxx", "exit 1")
    monkeypatch.setenv("CXX", str(tmp_path / "broken-cxx"))
    assert "not working" in tools.compiler().missing


@pytest.mark.parametrize("said", ["Verilator 4.038 2020-07-11", "something else"])
def test_an_old_or_odd_verilator_on_the_path_is_passed_over(
    said, tmp_path, monkeypatch
):
    script(tmp_path / "verilator", f'echo "{said}"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert tools.simulator().command[0] != str(tmp_path / "verilator")


def test_a_new_verilator_on_the_path_comes_first(tmp_path, monkeypatch):
    (tmp_path / "include").mkdir()
    answer = f'[ "$1" = --getenv ] && echo {tmp_path} || echo "Verilator 5.100 2026"'
    script(tmp_path / "verilator", answer)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tool = tools.simulator()
    assert tool.command == (str(tmp_path / "verilator"),)
    assert (tool.version, tool.root) == ("Verilator 5.100 2026", str(tmp_path))


def test_without_any_verilator_or_yosys_the_reason_is_given(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda _: None)
    assert tools.simulator().missing.startswith("no simulator: ")
    assert tools.synthesiser().missing.startswith("no synthesiser: ")
    assert tools.ghdl().missing.startswith("no VHDL simulator: ghdl is not on")
    assert tools.icarus().missing.startswith("no Icarus: iverilog and vvp are not")
    monkeypatch.delenv("CXX", raising=False)
    assert all(text.startswith("no ") for text in tools.versions().values())


def test_ghdl_and_icarus_are_those_on_the_path_and_work(tmp_path, monkeypatch):
    script(tmp_path / "ghdl", 'echo "GHDL 9.9"; echo more')
    script(tmp_path / "iverilog", 'echo "Icarus Verilog version 99"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert tools.ghdl() == Tool("ghdl", (str(tmp_path / "ghdl"),), "GHDL 9.9")
    monkeypatch.setattr(
        tools.shutil,
        "which",
        lambda name: {"iverilog": str(tmp_path / "iverilog")}.get(name),
    )
    assert tools.icarus().missing  # it cannot run what it compiles
    script(tmp_path / "vvp", "")
    monkeypatch.setattr(tools.shutil, "which", lambda name: str(tmp_path / name))
    icarus = tools.icarus()
    assert icarus.command == (str(tmp_path / "iverilog"),)
    assert (icarus.root, icarus.version) == (
        str(tmp_path / "vvp"),
        "Icarus Verilog version 99",
    )
    script(tmp_path / "ghdl", "exit 1")
    assert "not working" in tools.ghdl().missing


def test_a_failing_call_carries_what_the_program_said(tmp_path):
    with pytest.raises(ToolError, match=r"status 3: the reason"):
        call(["sh", "-c", "echo the reason >&2; exit 3"], tmp_path)
    with pytest.raises(ToolError, match=r"to repeat it, beside .*: sh -c 'echo the re"):
        call(["sh", "-c", "echo the reason >&2; exit 3"], tmp_path)
    with pytest.raises(ToolError, match="cannot be started"):
        call([str(tmp_path / "nothing")], tmp_path)
