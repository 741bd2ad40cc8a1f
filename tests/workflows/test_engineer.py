"""What an engineer asks of a netlist or a bundle: show, compile, synth."""

import json

import pytest

from firmware import place, tools
from firmware.build import Builder
from firmware.netlist import Netlist, to_json
from workflows.cli import main

ENTRIES = dict(enumerate((3, 0, 7, 2, 5, 1, 6, 4, 4, 4, 0, 1, 7, 7, 2, 3), -8))


def small() -> Netlist:
    """Tables of two ports, their sum, and the sum saturated."""
    into = Builder("small_v1_0_0")
    a, b = into.input("a", -8, 7), into.input("b", 0, 7)
    first = into.table(a, ENTRIES.__getitem__, "lut1")
    second = into.table(into.shift(b, -1, "lut1"), lambda v: (-3, 1, 0, 2)[v], "lut1")
    z = into.add(first, second, "lut1")
    return into.finish([("y", into.clip(z, 0, 5, "code1")), ("z", z)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a netlist and the bundle that `compile` makes of it."""
    folder = tmp_path_factory.mktemp("engineer")
    (folder / "netlist.json").write_text(to_json(small()))
    words = ["compile", str(folder / "netlist.json"), "--out", str(folder / "bundle")]
    assert main([*words, "--clock-mhz", "240", "--pad-latency-to", "5"]) == 0
    return folder


def columns(text):
    return [line.split() for line in text.splitlines()]


def test_show_counts_layers_and_ports(folder, capsys):
    assert main(["show", str(folder / "netlist.json"), "--clock-mhz", "100"]) == 0
    told = capsys.readouterr().out
    assert "2 ports in, 2 out, 7 nodes; 2 cycles, 20.0 ns at 100 MHz" in told
    rows = columns(told)
    assert [
        "lut1",
        "2",
        "2:1",
        "4:1",
        "1",
        "2",
        "0",
        "0",
        "0",
        "8",
        "1.27",
        "0",
    ] in rows
    assert ["total", "2", "2:1", "4:1", "1", "2", "1", "0", "16", "11"] in [
        row[:10] for row in rows
    ]
    assert ["in_a", "4", "signed", "-8", "7"] in rows
    assert ["out_z", "5", "signed", "-3", "9"] in rows
    assert "estimate" in told


def test_show_takes_the_clock_of_a_bundle(folder, capsys):
    assert main(["show", str(folder / "bundle")]) == 0
    assert "at 240 MHz" in capsys.readouterr().out


def test_show_nodes_prints_the_listing(folder, capsys):
    assert main(["show", str(folder / "netlist.json"), "--nodes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[5] == "n5  n2 + n4         -3..9  s5  lut1"
    assert lines[-1] == "out z = n5"


def test_compile_leaves_a_bundle_that_verify_finds_no_fault_in(folder, capsys):
    assert main(["verify", str(folder / "bundle")]) == 1  # no network to compare with
    told = capsys.readouterr().out
    assert "nothing differs, but not every check was run" in told
    assert json.loads((folder / "bundle/manifest.json").read_text())["clock_mhz"] == 240
    assert json.loads((folder / "bundle/reports/timing.json").read_text())["layers"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--max-cycles", "1"], "the ranks at its ports alone take 2"),
        (["--pad-latency-to", "1"], "cannot be padded to 1; 2 or more would work"),
        (["--clock-mhz", "5000"], "MHz would work"),
        (["--clock-mhz", "0"], "a clock is positive, got 0.0 MHz"),
        (["--id", "a b"], "'a b' is no identifier"),
    ],
)
def test_what_cannot_be_compiled_leaves_nothing(folder, capsys, words, sentence):
    before = sorted(folder.rglob("*"))
    out = ["--out", str(folder / "none")]
    assert main(["compile", str(folder / "netlist.json"), *out, *words]) == 2
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.out == ""
    assert sorted(folder.rglob("*")) == before


def test_synth_tells_the_layers_and_that_it_estimates(folder, capsys):
    assert main(["synth", str(folder / "bundle")]) == 0
    told = capsys.readouterr().out
    assert "Estimate: Yosys" in told
    assert main(["synth", str(folder / "bundle"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["label"] == "estimate"
    assert sum(row["luts"] for row in report["layers"]) == report["luts"]
    assert ["total", str(report["luts"]), str(report["ffs"]), str(report["depth"])] in (
        columns(told)
    )
    assert "place" not in report


@pytest.mark.skipif(bool(place.router().missing), reason=place.router().missing)
def test_synth_places_and_names_the_part(folder, capsys):
    assert main(["synth", str(folder / "bundle"), "--place", "--json"]) == 0
    placed = json.loads(capsys.readouterr().out)["place"]
    assert placed["routed"]
    assert "not the target device" in placed["label"]


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [(tools, "synthesiser", []), (place, "router", ["--place"])],
)
def test_synth_without_its_tool_is_one_sentence(
    folder, capsys, monkeypatch, module, name, words
):
    gone = tools.Tool(name, missing=f"no {name}: install it")
    monkeypatch.setattr(module, name, lambda: gone)
    assert main(["synth", str(folder / "bundle"), *words]) == 2
    assert capsys.readouterr().err == (
        f"jetlut synth: nothing can be estimated: no {name}: install it\n"
    )


def test_synth_of_a_netlist_says_how_to_get_a_bundle(folder, capsys):
    assert main(["synth", str(folder / "netlist.json")]) == 2
    assert "a netlist without RTL; `jetlut compile` makes" in capsys.readouterr().err
