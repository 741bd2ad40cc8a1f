"""Whole runs, small ones: from a ROOT file to an accepted bundle."""

import json
import os
import re

import pytest
from toy_jets import SMALL, mlflow_runs, visible, write_jets

from firmware.place import router
from trigger.interface import from_json
from workflows import run as workflow
from workflows.cli import main

KEYS = [
    "schema_version",
    "recipe",
    "accuracy",
    "auc",
    "luts",
    "ffs",
    "latency_cycles",
    "latency_ns",
    "clock_mhz",
    "ii",
    "mismatches",
    "events_checked",
    "train_seconds",
    "samples_per_second",
    "bundle",
    "mlflow_run_id",
    "seed",
    "working_points",
    "refill",
]


def command(*more):
    given = ["--card", "toy.toml", "--data", "jets.root", "--set", *SMALL]
    return ["run", "jsc_hlf", *given, *more]


@pytest.fixture(scope="module")
def first(place):
    """A complete run in `place / "one"`; its exit status."""
    return main(command("--out", "one"))


def test_a_run_leaves_its_folder_and_the_record_and_nothing_else(place, first):
    assert first == 0
    assert visible(place) == [
        "jets.root",
        "mlartifacts",
        "mlflow.db",
        "one",
        "toy.toml",
    ]
    assert visible(place / "one") == [
        *("figures", "jsc_hlf_v1_0_0", "physics.json", "recipe.json", "report.html"),
        "summary.json",
    ]


def test_the_summary_has_the_promised_keys_and_no_mismatch(place, first):
    summary = json.loads((place / "one" / "summary.json").read_text())
    assert list(summary) == KEYS
    assert summary["mismatches"] == {"numpy": 0, "cpp": 0, "verilog": 0}
    assert summary["luts"] <= 400
    assert summary["events_checked"] > 200 + 0.2 * 900
    assert 0.5 < summary["accuracy"] <= 1
    assert sorted(summary["auc"]) == ["q", "t"]
    assert (place / summary["bundle"] / "manifest.json").exists()


def test_the_physics_is_in_the_folder_the_bundle_and_the_summary_alike(place, first):
    folder = place / "one"
    text = (folder / "physics.json").read_text()
    reports = folder / "jsc_hlf_v1_0_0" / "reports"
    assert (reports / "physics.json").read_text() == text
    summary = json.loads((folder / "summary.json").read_text())
    assert json.loads(text)["working_points"] == summary["working_points"]
    assert [row["signal"] for row in summary["working_points"]] == ["q", "t"]
    drawn = sorted(path.name for path in (folder / "figures").iterdir())
    names = sorted({name.partition(".")[0] for name in drawn})
    assert drawn == [f"{name}.{kind}" for name in names for kind in ("json", "svg")]
    assert {"rate", "working_points"} <= set(names)


def test_the_interface_says_in_integers_what_the_scores_decide(place, first):
    bundle = place / "one" / "jsc_hlf_v1_0_0"
    document = json.loads((bundle / "io.json").read_text())
    assert document["version"] == 2
    assert document["decision"] == {"rule": "argmax", "ties": "the lowest index"}
    interface = from_json((bundle / "io.json").read_text())
    assert [word.name for word in interface.inputs] == ["a", "b", "c"]
    assert [word.unit for word in interface.inputs] == ["", "", "GeV"]
    assert interface.slices == ()


def test_the_bundle_is_accepted_until_a_file_is_changed(place, first, capsys):
    bundle = "one/jsc_hlf_v1_0_0"
    assert main(["verify", bundle]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "accepted"
    target = place / bundle / "README.md"
    text = target.read_text()
    target.write_text(text + " ")
    assert main(["verify", bundle]) == 1
    assert "NOT ACCEPTED" in capsys.readouterr().out
    target.write_text(text)


def test_mlflow_holds_settings_curves_figures_and_the_bundle(place, first):
    client, runs = mlflow_runs(place)
    run = next(r for r in runs if r.info.status == "FINISHED")
    manifest = json.loads(
        (place / "one" / "jsc_hlf_v1_0_0" / "manifest.json").read_text()
    )
    assert manifest["mlflow"]["run_id"] == run.info.run_id
    assert run.data.params["train.epochs"] == "3"
    assert run.data.tags["id"] == "jsc_hlf_v1_0_0"
    assert run.data.tags["data"] == manifest["data"]["sha256"]
    assert len(client.get_metric_history(run.info.run_id, "training/loss")) == 3
    summary = json.loads((place / "one" / "summary.json").read_text())
    for row in summary["working_points"]:
        name = f"working_points/{row['signal']}/signal_efficiency"
        assert run.data.metrics[name] == row["signal_efficiency"]["value"]
    top = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"bundle", "figures", "report.html", "summary.json"} <= top
    assert (place / "mlartifacts").is_dir()


def test_the_same_seed_gives_the_same_netlist_and_json_ends_the_output(
    place, first, capsys
):
    netlist = place / "one" / "jsc_hlf_v1_0_0" / "netlist.json"
    before = netlist.read_bytes()
    assert main(command("--out", "one", "--json")) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == json.loads((place / "one/summary.json").read_text())
    assert netlist.read_bytes() == before


def test_a_run_that_was_cut_off_goes_on_from_its_checkpoint(
    place, first, capsys, monkeypatch
):
    def cut_off(*_):
        raise KeyboardInterrupt

    words = command("--checkpoint", "saved/it.npz", "--json", "--out", "four")
    with monkeypatch.context() as patch:
        patch.setattr(workflow, "choose", cut_off)
        assert main(words) == 130
    assert "resumed" not in capsys.readouterr().err
    assert main(words) == 0
    told = capsys.readouterr()
    assert "resumed from saved/it.npz: 3 of 3 epochs were done" in told.err
    summary = json.loads(told.out)
    netlists = [
        (place / folder / "jsc_hlf_v1_0_0" / "netlist.json").read_bytes()
        for folder in ("one", "four")
    ]
    assert netlists[0] == netlists[1]
    client, _ = mlflow_runs(place)
    curve = client.get_metric_history(summary["mlflow_run_id"], "training/loss")
    assert [point.step for point in curve] == [0, 1, 2]
    for change in (["train.epochs=4"], ["--seed", "2"]):
        assert main([*command(*change), "--checkpoint", "saved/it.npz"]) == 2
        assert "is the checkpoint of another recipe" in capsys.readouterr().err
    assert main([*command(), "--checkpoint", "jets.root"]) == 2
    assert "jets.root is not a whole checkpoint" in capsys.readouterr().err


@pytest.mark.skipif(bool(router().missing), reason=router().missing)
def test_what_is_asked_for_beside_is_in_summary_bundle_and_report(place, first, capsys):
    asked = ("network.refill=0.05", "verify.place=true", "train.teacher=0.5")
    assert main(command(*asked, "--out", "refilled")) == 0
    said = " ".join(capsys.readouterr().err.split())
    told = json.loads((place / "refilled" / "summary.json").read_text())["refill"]
    assert (told["below"], told["metric"]) == (0.05, "accuracy")
    assert (
        told["before"].keys() == {"validation", "test", "luts"} == told["after"].keys()
    )
    assert told["before"] != told["after"]
    page = (place / "refilled" / "report.html").read_text()
    assert "before rare codes" in page
    (reached,) = re.findall(
        r"teacher, in floating .* accuracy (\d\.\d{4}) on valid", said
    )
    assert f"; teacher {reached}" in page
    assert "routed on Lattice ECP5-85" in page
    bundle = place / "refilled" / "jsc_hlf_v1_0_0"
    placed = json.loads((bundle / "reports" / "place.json").read_text())
    assert placed["routed"]
    assert "not the target device" in placed["label"]
    assert json.loads((place / "one" / "summary.json").read_text())["refill"] is None


def test_a_budget_out_of_reach_leaves_nothing(place, first, capsys):
    before = visible(place)
    assert main(command("budget.luts=1", "--out", "two")) == 2
    assert "no network fits budget.luts=1" in capsys.readouterr().err.splitlines()[-1]
    assert visible(place) == before
    assert {run.info.status for run in mlflow_runs(place)[1]} >= {"FAILED"}


def test_ctrl_c_is_one_line_and_leaves_nothing(place, first, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    before = visible(place)
    monkeypatch.setattr(workflow, "train_many", interrupted)
    assert main(command("--out", "two")) == 130
    *remarks, last = capsys.readouterr().err.splitlines()
    assert last == "jetlut run: interrupted, nothing kept"
    told = " ".join(" ".join(remarks).split())
    assert "WARNING: 3 epochs of 460 jets in batches of 128 are 9 steps" in told
    assert visible(place) == before
    assert {run.info.status for run in mlflow_runs(place)[1]} >= {"KILLED"}


def test_without_a_compiler_the_bundle_says_so(place, first, capsys, monkeypatch):
    monkeypatch.setenv("CXX", os.fspath(place / "no-such-compiler"))
    assert main(command("--out", "three")) == 0
    told = capsys.readouterr()
    assert "WARNING: cpp: not run" in told.err
    assert "WARNING: verilog: not run" in told.err
    summary = json.loads((place / "three" / "summary.json").read_text())
    assert summary["mismatches"] == {"numpy": 0, "cpp": None, "verilog": None}
    assert "was not run" in (place / "three" / "report.html").read_text()
    monkeypatch.delenv("CXX")
    assert main(["verify", "three/jsc_hlf_v1_0_0"]) == 1
    assert "not every check was run" in capsys.readouterr().out


def test_an_event_on_both_sides_of_the_test_is_refused(place, capsys):
    write_jets("other.root", 20)
    assert main([*command(), "--test-data", "other.root"]) == 2
    assert (
        "20 of the 20 jets of 'test files' are of the 10 events"
        in capsys.readouterr().err
    )


def test_a_split_without_a_class_is_refused(place, capsys):
    assert main(command("data.fractions=0.998,0.001,0.001")) == 2
    assert "has no jets in the" in capsys.readouterr().err
