"""A new bundle of an old one: the same answers at another clock, and what it says."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny_block as tiny

from firmware import bundle, interpret, netlist, vectors
from firmware.build import Builder
from firmware.prove import CHECKS, Check
from firmware.recompile import Request, plain_interface, recompile
from firmware.rtl import Options
from firmware.source import read
from firmware.tools import Tool
from trigger import interface
from trigger.errors import UserError

NO_YOSYS = Tool("yosys", missing="not wanted here")
WORDS = vectors.make(tiny.NETLIST, tiny.every_word(), random=10, seed=0)
CONTENTS = bundle.Contents(
    netlist=tiny.NETLIST,
    interface=interface.to_json(tiny.INTERFACE),
    rtl=tiny.RTL,
    emulator=tiny.EMULATOR,
    testbench={"tb.v": "// bench\n"},
    vectors=WORDS,
    expected=tiny.evaluate(WORDS.words),
    reports={"synth.json": "{}\n"},
    checks={name: Check("passed", 0, len(WORDS.words)) for name in CHECKS},
    semver="1.2.3",
    clock_mhz=200.0,
    cycles=tiny.CYCLES,
    provenance={"data": {"sha256": "0" * 64}, "seed": 1, "tools": {"old": "1"}},
)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A bundle, as a run would have left it."""
    return bundle.pack(CONTENTS, tmp_path_factory.mktemp("old") / "b")


@pytest.fixture(scope="module")
def made(packed):
    """It, compiled for another clock, latency, id and wiring."""
    request = Request(400.0, pad_to=6, block="other_v2", options=Options(flat=True))
    return recompile(read(packed), request, yosys=NO_YOSYS, versions={"new": "2"})


def test_a_new_bundle_is_proven_on_the_vectors_of_the_old_one(made):
    assert np.array_equal(made.vectors.words, WORDS.words)
    assert made.vectors.groups == WORDS.groups
    assert np.array_equal(interpret.run(made.netlist, WORDS.words), made.expected)
    assert all(check.status != "failed" for check in made.checks.values())
    for name in ("network", "numpy", "cpp", "verilog", "tables", "latency"):
        assert made.checks[name].status == "passed", name
    assert made.cycles == 6
    assert "in_words" in made.rtl["other_v2.v"]


def test_it_says_where_it_comes_from_and_what_it_took_over(made, packed, tmp_path):
    target = bundle.pack(made, tmp_path / "new")
    told = json.loads((target / "manifest.json").read_text())
    assert told["id"] == "other_v2"
    assert (told["clock_mhz"], told["latency_cycles"]) == (400.0, 6)
    assert (told["semver"], told["data"], told["seed"]) == (
        *("1.2.3", {"sha256": "0" * 64}, 1),
    )
    assert told["tools"] == {"new": "2"}
    assert told["compiled_from"]["id"] == tiny.BLOCK
    assert told["compiled_from"]["clock_mhz"] == 200.0
    assert told["checks"]["network"]["reason"] == f"taken over from {tiny.BLOCK}"
    again = read(target)
    assert again.netlist == made.netlist
    assert again.bundle is not None
    assert again.bundle.options == Options(flat=True)


def test_answers_that_differ_take_nothing_of_the_network_over(packed):
    source = read(packed)
    assert source.bundle is not None
    wrong = source.bundle.expected + np.array([[1, 0]])
    source = replace(source, bundle=replace(source.bundle, expected=wrong))
    made = recompile(source, Request(200.0), yosys=NO_YOSYS, versions={})
    assert made.checks["numpy"].status == "failed"
    assert made.checks["network"].status == "not run"


def test_a_netlist_alone_has_plain_ports_and_no_network(tmp_path):
    file = tmp_path / "netlist.json"
    file.write_text(netlist.to_json(tiny.NETLIST))
    made = recompile(read(file), Request(300.0), yosys=NO_YOSYS, versions={})
    assert made.checks["network"].reason.startswith("compiled from a netlist")
    assert made.checks["verilog"].status == "passed"
    told = interface.from_json(made.interface)
    assert [(w.name, w.bits, w.signed, w.lsb) for w in told.inputs] == [
        *(("a", 4, True, 1.0), ("b", 3, False, 1.0)),
    ]
    assert told.classes == ("y", "z")


@pytest.mark.parametrize("block", ["1st", "a__b", "a-b", "entity", "class", "module"])
def test_an_id_that_is_no_name_in_some_language_is_refused(packed, block):
    with pytest.raises(UserError, match=block):
        recompile(
            read(packed), Request(200.0, block=block), yosys=NO_YOSYS, versions={}
        )


def test_a_bundle_whose_files_were_changed_is_refused(packed, tmp_path):
    bad = bundle.pack(CONTENTS, tmp_path / "b")
    (bad / "io.json").write_text("{}")
    with pytest.raises(UserError, match=r"not those of its manifest\.json; `jetlut"):
        read(bad)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 99}, "version 99 for 200 MHz; this program reads"),
        ({"clock_mhz": "fast"}, "is not a manifest: ValueError"),
        ({"wiring": {"loops": 3}}, "the wiring in its manifest is broken"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told(tmp_path, change, sentence):
    bad = bundle.pack(CONTENTS, tmp_path / "b")
    manifest = json.loads((bad / "manifest.json").read_text()) | change
    (bad / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=sentence):
        read(bad)


def test_a_netlist_of_a_newer_version_is_told_with_its_file(tmp_path):
    file = tmp_path / "n.json"
    text = netlist.to_json(tiny.NETLIST)
    file.write_text(text.replace(f'"version": {netlist.VERSION}', '"version": 99'))
    with pytest.raises(UserError, match=r"n.json: the file is .* version 99"):
        read(file)


def test_ports_without_a_name_that_is_legal_everywhere_are_refused():
    nodes = (tiny.NETLIST.nodes[0]._replace(name="a b"), *tiny.NETLIST.nodes[1:])
    with pytest.raises(UserError, match="'a b' is no identifier"):
        plain_interface(replace(tiny.NETLIST, nodes=nodes))


def test_an_output_may_lose_bits_that_no_answer_needs(tmp_path):
    into = Builder(tiny.BLOCK)
    a = into.input("a", 0, 7)
    terms = [into.table(a, lambda v: 5 * v), into.table(a, lambda v: 40 - 5 * v)]
    wide = into.finish([("y", into.sum([*terms, into.shift(a, 1)]))])
    words = vectors.make(wide, np.arange(8)[:, None], random=10, seed=0)
    old = replace(
        CONTENTS,
        netlist=wide,
        interface=interface.to_json(plain_interface(wide)),
        vectors=words,
        expected=interpret.run(wide, words.words),
    )
    source = read(bundle.pack(old, tmp_path / "old"))
    new = recompile(source, Request(300.0), yosys=NO_YOSYS, versions={})
    bits = [nodes.nodes[nodes.outputs[0][1]].width for nodes in (wide, new.netlist)]
    assert bits == [7, 6]
    assert interface.from_json(new.interface).outputs[0].bits == 6
    assert all(check.status != "failed" for check in new.checks.values())
