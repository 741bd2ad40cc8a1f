"""Acceptance: a right bundle passes, every mutation is noticed, unsafe ones refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import needs
import numpy as np
import pytest
import test_bundle
import tiny_block as tiny

from firmware import bundle, prove, tools
from firmware.tools import Tool
from firmware.verify import Acceptance, verify
from trigger.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def packed(tmp_path):
    return bundle.pack(test_bundle.CONTENTS, tmp_path / "bundles" / tiny.BLOCK)


@pytest.fixture
def no_simulator(monkeypatch):
    """Without the simulators, which most mutations are noticed without: saves time."""
    missing = Tool("verilator", missing="switched off")
    monkeypatch.setattr(prove, "simulator", lambda: missing)
    for name in ("icarus", "ghdl"):
        monkeypatch.setattr(tools, name, lambda: missing)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def edit_manifest(packed: Path, **changes) -> None:
    """Changes entries of the manifest, and recomputes the hashes as a forger would."""
    path = packed / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"] = bundle.digests(packed)
    path.write_text(json.dumps({**manifest, **changes}))


def failed(acceptance: Acceptance) -> set[str]:
    checks = acceptance.checks.items()
    return {name for name, check in checks if check.status == "failed"}


def test_a_right_bundle_is_accepted_and_left_as_it_is(packed, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    monkeypatch.chdir("/")
    before = test_bundle.contents_of(packed)
    acceptance = verify(packed)
    assert (acceptance.ok, acceptance.complete) == (True, True)
    assert acceptance.id == tiny.BLOCK
    lacking = {tool.name for tool in (tools.icarus(), tools.ghdl()) if tool.missing}
    for name, check in acceptance.checks.items():
        tool = "ghdl" if name == "vhdl" else name
        assert check.status == ("not run" if tool in lacking else "passed")
    assert acceptance.checks["network"].reason == "recorded when the bundle was made"
    assert acceptance.checks["latency"].reason == "2 cycles seen"
    assert test_bundle.contents_of(packed) == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_flipped_rtl_entry_and_another_promised_latency_are_noticed(packed):
    edit(packed / "rtl" / f"{tiny.BLOCK}.v", "4'd3: y = 3'd1", "4'd3: y = 3'd0")
    edit_manifest(packed, latency_cycles=3)
    acceptance = verify(packed)
    wrong = failed(acceptance) | {"icarus"}  # which a machine may lack
    assert wrong == {"verilog", "icarus", "tables", "latency"}
    assert (acceptance.ok, acceptance.complete) == (False, False)
    assert acceptance.checks["latency"].reason.startswith("2 cycles seen (")
    assert acceptance.checks["latency"].reason.endswith("), 3 promised")


@needs.ghdl
def test_a_flipped_entry_of_the_vhdl_is_noticed(packed):
    core = packed / "rtl" / f"{tiny.BLOCK}_core.vhd"
    edit(core, 'when "0011" => return "0001"', 'when "0011" => return "0000"')
    edit_manifest(packed)
    assert failed(verify(packed)) == {"vhdl", "tables"}


@pytest.mark.usefixtures("no_simulator")
@pytest.mark.parametrize("wiring", [{"clock_enabled": True}, [1], 3])
def test_a_wiring_that_is_unknown_is_refused(wiring, packed):
    edit_manifest(packed, wiring=wiring)
    with pytest.raises(UserError, match=r"'wiring' is .*, which this program cannot"):
        verify(packed)


@pytest.mark.usefixtures("no_simulator")
def test_a_bundle_of_before_there_was_vhdl_is_read(packed):
    for name in (f"{tiny.BLOCK}.vhd", f"{tiny.BLOCK}_core.vhd"):
        (packed / "rtl" / name).unlink()
    manifest = json.loads((packed / "manifest.json").read_text())
    del manifest["wiring"]
    (packed / "manifest.json").write_text(json.dumps(manifest))
    edit_manifest(packed)
    acceptance = verify(packed)
    assert acceptance.ok
    assert acceptance.checks["vhdl"].status == "not run"


@pytest.mark.usefixtures("no_simulator")
def test_a_flipped_cpp_entry_is_noticed(packed):
    edit(packed / "emulator" / f"{tiny.BLOCK}.cpp", "3, 0, 7, 2, 5", "3, 0, 7, 2, 4")
    edit_manifest(packed)
    acceptance = verify(packed)
    assert failed(acceptance) == {"cpp", "tables"}
    assert acceptance.checks["cpp"].mismatches > 0


@pytest.mark.usefixtures("no_simulator")
def test_a_flipped_expected_word_is_noticed(packed):
    file = packed / "vectors" / "expected.npy"
    expected = np.load(file)
    expected[5, 0] ^= 1
    np.save(file, expected)
    edit_manifest(packed)
    acceptance = verify(packed)
    assert failed(acceptance) == {"numpy", "cpp"}
    assert acceptance.checks["numpy"].mismatches == 1


@pytest.mark.usefixtures("no_simulator")
def test_a_flipped_netlist_entry_is_noticed(packed):
    edit(packed / "netlist.json", "[3, 0, 7, 2, 5", "[3, 0, 7, 2, 6")
    edit_manifest(packed)
    assert failed(verify(packed)) == {"numpy", "cpp", "tables"}


@pytest.mark.usefixtures("no_simulator")
def test_an_interface_of_other_ports_is_noticed(packed):
    edit(packed / "io.json", '"name": "b"', '"name": "c"')
    edit_manifest(packed)
    acceptance = verify(packed)
    assert failed(acceptance) == {"ports"}
    assert acceptance.checks["ports"].reason == (
        "port 1 is input 'b' of 3 unsigned bits in the netlist and "
        "input 'c' of 3 unsigned bits in the interface"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: (b / "io.json").write_text("{}"), "changed io.json"),
        (lambda b: (b / "tb" / "tb.v").unlink(), "missing tb/tb.v"),
        (lambda b: (b / "rtl" / "more.v").write_text(""), "extra rtl/more.v"),
        (lambda b: (b / "netlist.json").unlink(), "missing netlist.json"),
    ],
)
def test_tampered_missing_and_extra_files_fail_and_nothing_is_run(
    change, reason, packed, monkeypatch
):
    monkeypatch.setattr(prove, "prove", None)
    change(packed)
    acceptance = verify(packed)
    assert failed(acceptance) == {"files"}
    assert acceptance.checks["files"].reason == reason
    assert acceptance.checks["cpp"].status == "not run"
    assert not acceptance.complete


@pytest.mark.usefixtures("no_simulator")
def test_a_needed_file_that_the_manifest_forgets_is_missing(packed):
    (packed / "vectors" / "expected.npy").unlink()
    edit_manifest(packed)
    assert verify(packed).checks["files"].reason == "missing vectors/expected.npy"


@pytest.mark.usefixtures("no_simulator")
def test_without_a_tool_nothing_fails_but_the_bundle_is_not_complete(packed):
    acceptance = verify(packed)
    assert (acceptance.ok, acceptance.complete) == (True, False)
    assert acceptance.checks["verilog"].reason == "switched off"


@pytest.mark.usefixtures("no_simulator")
def test_a_network_check_that_was_not_run_stays_not_run(packed):
    edit_manifest(packed, checks={}, complete=False)
    acceptance = verify(packed)
    assert acceptance.checks["network"].status == "not run"
    assert not acceptance.complete


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside.v", "rtl/../../outside.v", "rtl//x.v", "a\\b"]
)
def test_a_listed_path_that_leaves_the_bundle_is_refused(path, packed):
    manifest = json.loads((packed / "manifest.json").read_text())
    manifest["files"][path] = "0" * 64
    (packed / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="a path that leaves the bundle"):
        verify(packed)


@pytest.mark.parametrize("place", ["rtl/link.v", "vectors2"])
def test_links_are_refused(place, packed, tmp_path):
    (tmp_path / "outside").mkdir()
    (packed / place).symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="is a link or a special file"):
        verify(packed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "is not a bundle: there is no file manifest.json"),
        ("{", "is not a manifest"),
        ("[]", "is not a manifest"),
        ('{"format": "zip", "version": 1}', "'zip' version 1; this program reads"),
        ('{"format": "jetlut-bundle", "version": 2}', "version 2; this program reads"),
        ('{"format": "jetlut-bundle", "version": 1}', "'id' is None; it has to be of"),
    ],
)
def test_what_is_not_a_bundle_of_this_version_is_refused(text, reason, tmp_path):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=reason):
        verify(tmp_path)


@pytest.mark.parametrize("name", ["a/b", "x; rm", "../x", ""])
def test_an_id_that_is_no_identifier_is_refused(name, packed):
    edit_manifest(packed, id=name)
    with pytest.raises(UserError, match="is no identifier"):
        verify(packed)


@pytest.mark.parametrize("data", [b"", b"text", b"\x93NUMPY\x01\x00v\x00"])
def test_vectors_that_are_no_array_are_refused(data, packed):
    (packed / "vectors" / "inputs.npy").write_bytes(data)
    edit_manifest(packed)
    with pytest.raises(UserError, match="is not an array of words"):
        verify(packed)


@pytest.mark.parametrize("name", ["inputs", "expected"])
@pytest.mark.parametrize("shape", [(0, 2), (4, 1), (4,)])
def test_vectors_of_another_shape_are_refused(name, shape, packed):
    np.save(packed / "vectors" / f"{name}.npy", np.zeros(shape, np.int32))
    edit_manifest(packed)
    with pytest.raises(UserError, match=r"\(events, 2\) with at least one event"):
        verify(packed)


@pytest.mark.parametrize("name", ["netlist.json", "io.json"])
@pytest.mark.parametrize("data", [b"\xff\xfe", b"", b"[1]", b"null"])
def test_descriptions_that_cannot_be_read_are_refused(name, data, packed):
    (packed / name).write_bytes(data)
    edit_manifest(packed)
    with pytest.raises(UserError, match="not"):
        verify(packed)


def test_vectors_that_hold_objects_are_never_unpickled(packed):
    np.save(packed / "vectors" / "inputs.npy", np.array([[{}]], dtype=object))
    edit_manifest(packed)
    with pytest.raises(UserError, match="is not an array of words"):
        verify(packed)


def test_verifying_imports_neither_jax_nor_mlflow_nor_models(packed):
    code = (
        "import sys; from pathlib import Path; from firmware import prove, tools; "
        "none = lambda: tools.Tool('none', missing='off'); "
        "prove.simulator = tools.icarus = tools.ghdl = none; "
        "from firmware.verify import verify; "
        f"print(verify(Path({str(packed)!r})).ok, sorted({{'jax', 'equinox', 'mlflow',"
        "'models', 'uproot', 'workflows'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=packed.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "True []\n"


def test_the_tools_that_this_machine_lacks_are_none():
    found = tools.versions()
    for name in ("c++", "verilator", "yosys"):
        assert not found[name].startswith("no ")
