"""The recipes in their short form, from ROOT file to verified bundle, as a user runs them."""

import json
import subprocess
import sys

import numpy as np
import pytest

from firmware import bundle, interpret
from firmware.netlist import from_json as netlist_of
from trigger.interface import from_json
from workflows.override import override
from workflows.recipes import MODULES, load

ENTRY = "from workflows.cli import entry; entry()"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of a quick run, made when it is first asked for."""
    made = {}

    def get(name):
        if name not in made:
            out = tmp_path_factory.mktemp("runs") / name
            # A process of its own is what a user has, and twice as fast as one that
            # checks all shapes; other tests have those checked.
            command = ["-c", ENTRY, "run", name, "--quick", "--out", str(out)]
            done = subprocess.run(
                [sys.executable, *command], capture_output=True, cwd=out.parent
            )
            assert done.returncode == 0, done.stderr.decode()
            made[name] = out
        return made[name]

    return get


def block_of(folder, name):
    return folder / load(name).block


@pytest.mark.parametrize("name", ["jsc_plf", "l1_jets", "top_tag"])
def test_a_quick_run_ends_in_a_bundle_whose_every_form_was_proved_equal(name, results):
    folder = results(name)
    reports = block_of(folder, name) / "reports"
    checks = json.loads((reports / "verification.json").read_text())
    for check in ("network", "numpy", "cpp", "verilog", "tables", "latency"):
        assert checks[check]["status"] == "passed"
        assert checks[check]["mismatches"] == 0
    digests = json.loads((block_of(folder, name) / "manifest.json").read_text())
    assert bundle.digests(block_of(folder, name)) == digests["files"]


@pytest.mark.parametrize("name", ["jsc_plf", "l1_jets", "top_tag"])
def test_it_learns_something_within_its_budget(name, results):
    summary = json.loads((results(name) / "summary.json").read_text())
    recipe = json.loads((results(name) / "recipe.json").read_text())
    assert summary["luts"] <= recipe["budget"]["luts"]
    chance = 1 / len(load(name).data.card.label.classes)
    assert summary["accuracy"] > 1.5 * chance
    assert all(area > 0.6 for area in summary["auc"].values())


def test_particles_may_change_places(results):
    folder = block_of(results("jsc_plf"), "jsc_plf")
    words = np.load(folder / "vectors" / "inputs.npy").astype(np.int64)
    scores = np.load(folder / "vectors" / "expected.npy")
    netlist = netlist_of((folder / "netlist.json").read_text())
    turned = words.reshape(len(words), -1, 3)[:, ::-1].reshape(len(words), -1)
    assert np.array_equal(interpret.run(netlist, turned), scores)


def test_the_cut_of_a_bundle_passes_what_the_report_says(results):
    folder = results("top_tag")
    block = block_of(folder, "top_tag")
    interface = from_json((block / "io.json").read_text())
    point = json.loads((folder / "summary.json").read_text())["working_points"][0]
    assert interface.decision.at_least == point["threshold"]
    jets = json.loads((block / "vectors" / "groups.json").read_text())["physics"]
    scores = np.load(block / "vectors" / "expected.npy")[:jets, 0]
    shares = [point[f"{one}_efficiency"]["value"] for one in ("background", "signal")]
    # A third of the jets of this sample are tops, to a few per cent.
    passing = np.average(shares, weights=[2, 1])
    assert np.isclose(np.mean(scores >= point["threshold"]), passing, rtol=0.1)


def test_inputs_of_a_link_are_bits_of_its_records(results):
    folder = block_of(results("l1_jets"), "l1_jets")
    interface = from_json((folder / "io.json").read_text())
    words = np.load(folder / "vectors" / "inputs.npy").astype(np.int64)[:200]
    assert len(interface.slices) == len(interface.inputs)
    for column, word, slice_ in zip(
        words.T, interface.inputs, interface.slices, strict=True
    ):
        field = slice_.layout[slice_.field]
        assert field.offset is not None
        columns = {one.name: np.zeros(200, np.int64) for one in slice_.layout.fields}
        packed = slice_.layout.pack(columns | {slice_.field: column})
        bits = np.array(
            [(int(row[0]) >> field.offset) for row in packed.reshape(200, -1)]
        )
        found = bits & ((1 << word.bits) - 1)
        if word.signed:
            found = found - ((found >> (word.bits - 1)) << word.bits)
        assert np.array_equal(found, column)


@pytest.mark.parametrize("name", MODULES)
def test_every_recipe_has_a_short_form_that_its_settings_allow(name):
    recipe = load(name)
    changes = [f"{path}={value}" for path, value in recipe.quick]
    assert changes
    assert override(recipe, changes).train.epochs < recipe.train.epochs
