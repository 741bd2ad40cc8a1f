"""Packing: whole or not at all, complete in its listing, the same every time."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import tiny_block as tiny
from tiny_vhdl import VHDL

from firmware import bundle, netlist, vectors
from firmware.prove import CHECKS, Check
from trigger import interface
from trigger.errors import UserError

WORDS = vectors.make(tiny.NETLIST, tiny.every_word(), random=10, seed=0)
PASSED = {name: Check("passed", 0, len(WORDS.words)) for name in CHECKS}
CONTENTS = bundle.Contents(
    netlist=tiny.NETLIST,
    interface=interface.to_json(tiny.INTERFACE),
    rtl=tiny.RTL | VHDL,
    emulator=tiny.EMULATOR,
    testbench={"tb.v": "// bench\n"},
    vectors=WORDS,
    expected=tiny.evaluate(WORDS.words),
    reports={"synth.json": "{}\n"},
    checks=PASSED,
    semver="1.0.0",
    clock_mhz=200.0,
    cycles=tiny.CYCLES,
    provenance={"data": {"sha256": "0" * 64}, "seed": 1},
)


def contents_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_manifest_lists_every_other_file_with_its_hash(tmp_path):
    packed = contents_of(bundle.pack(CONTENTS, tmp_path / "b"))
    manifest = json.loads(packed.pop("manifest.json"))
    assert manifest["files"] == {
        path: hashlib.sha256(data).hexdigest() for path, data in packed.items()
    }
    assert {path.split("/")[0] for path in packed} == {
        *("README.md", "io.json", "netlist.json"),
        *("rtl", "emulator", "vectors", "tb", "reports"),
    }


def test_the_manifest_says_format_first_then_what_the_block_is(tmp_path):
    path = bundle.pack(CONTENTS, tmp_path / "b") / "manifest.json"
    manifest = json.loads(path.read_text())
    assert list(manifest)[:3] == ["format", "version", "id"]
    told = {key: manifest[key] for key in ("id", "latency_cycles", "latency_ns", "ii")}
    assert told == {
        "id": tiny.BLOCK,
        "latency_cycles": 2,
        "latency_ns": 10.0,
        "ii": 1,
    }
    assert manifest["complete"] is True
    assert manifest["wiring"] == {"clock_enable": False, "flat": False}
    assert manifest["data"] == {"sha256": "0" * 64}


def test_two_packings_of_the_same_contents_are_byte_identical(tmp_path):
    first = bundle.pack(CONTENTS, tmp_path / "one" / "b")
    second = bundle.pack(CONTENTS, tmp_path / "two" / "b")
    assert contents_of(first) == contents_of(second)


def test_netlist_and_vectors_come_back_as_they_went_in(tmp_path):
    packed = bundle.pack(CONTENTS, tmp_path / "b")
    text = (packed / "netlist.json").read_text()
    assert netlist.from_json(text) == tiny.NETLIST
    inputs = np.load(packed / "vectors" / "inputs.npy", allow_pickle=False)
    assert inputs.dtype == np.dtype("<i4")
    assert np.array_equal(inputs, WORDS.words)
    groups = json.loads((packed / "vectors" / "groups.json").read_text())
    assert sum(groups.values()) == len(inputs)
    lines = (packed / "vectors" / "inputs.hex").read_text().splitlines()
    assert len(lines) == len(inputs)


@pytest.mark.parametrize("status", ["failed", "not run"])
@pytest.mark.parametrize("name", CHECKS)
def test_a_bundle_is_complete_if_what_it_needs_passed_and_nothing_failed(
    name, status, tmp_path
):
    checks = {**PASSED, name: Check(status)}
    contents = dataclasses.replace(CONTENTS, checks=checks)
    path = bundle.pack(contents, tmp_path / "b") / "manifest.json"
    manifest = json.loads(path.read_text())
    spared = status == "not run" and name in ("icarus", "vhdl")
    assert manifest["complete"] is spared
    assert manifest["checks"][name]["status"] == status


def test_the_readme_says_how_to_use_either_language_and_what_was_not_run(tmp_path):
    unrun = Check("not run", reason="no VHDL simulator")
    contents = dataclasses.replace(CONTENTS, checks={**PASSED, "vhdl": unrun})
    text = (bundle.pack(contents, tmp_path / "b") / "README.md").read_text()
    block = tiny.BLOCK
    assert f"a Verilog project adds `rtl/{block}.v` (Verilog-2001)" in text
    assert f"a VHDL project `rtl/{block}.vhd`, `rtl/{block}_core.vhd`\n" in text
    assert "| vhdl | not run, no VHDL simulator |" in text
    only = dataclasses.replace(CONTENTS, rtl=tiny.RTL)
    text = (bundle.pack(only, tmp_path / "b") / "README.md").read_text()
    assert "VHDL" not in text


def test_an_older_bundle_is_replaced_and_nothing_stays_beside_it(tmp_path):
    bundle.pack(CONTENTS, tmp_path / "b")
    newer = dataclasses.replace(CONTENTS, semver="1.0.1", testbench={})
    packed = bundle.pack(newer, tmp_path / "b")
    assert '"semver": "1.0.1"' in (packed / "manifest.json").read_text()
    assert not (packed / "tb").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_what_is_not_a_bundle_is_never_overwritten(tmp_path):
    precious = tmp_path / "b" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("words")
    with pytest.raises(UserError, match="exists and is not a bundle"):
        bundle.pack(CONTENTS, tmp_path / "b")
    assert precious.read_text() == "words"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(UserError, match="is not a bundle"):
            bundle.check_target(tmp_path / name)


def test_an_interruption_leaves_nothing_and_the_older_bundle_stays(
    tmp_path, monkeypatch
):
    before = contents_of(bundle.pack(CONTENTS, tmp_path / "b"))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(bundle, "_manifest", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bundle.pack(CONTENTS, tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert contents_of(tmp_path / "b") == before


def test_remains_of_a_killed_packing_are_cleared_by_the_next(tmp_path):
    for rest in (".b.partial", ".b.old"):
        (tmp_path / rest / "rtl").mkdir(parents=True)
        (tmp_path / rest / "rtl" / "half.v").write_text("modu")
    packed = bundle.pack(CONTENTS, tmp_path / "b")
    assert not (packed / "rtl" / "half.v").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        bundle.pack(CONTENTS, tmp_path / "file" / "b")


def test_provenance_cannot_pretend_to_be_the_manifests_own_entries(tmp_path):
    contents = dataclasses.replace(CONTENTS, provenance={"complete": True})
    with pytest.raises(ValueError, match="complete"):
        bundle.pack(contents, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []
