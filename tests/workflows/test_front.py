"""Fronts: what is kept of many networks, and a whole job, a small one."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_jets import CARD, SMALL, mlflow_runs, visible

from firmware import interpret, netlist, synth, tools
from models.plan import Candidate, TrainResult
from trigger.errors import UserError
from workflows import front as workflow
from workflows.choose import Block
from workflows.cli import main
from workflows.commands.front import Sweep
from workflows.dataset import prepare
from workflows.front import Outcome
from workflows.override import override
from workflows.pareto import spread, undominated
from workflows.recipes import load

SWEEP = ["--prices", "2", "--lowest", "1e-5", "--highest", "1e-2", "--seeds", "1,2"]
TIMES = {"train_cpu_seconds", "train_seconds", "samples_per_second", "mlflow_run_id"}


def command(*more):
    data = ["--card", "toy.toml", "--data", "jets.root"]
    return ["front", "jsc_hlf", *data, *SWEEP, "--set", *SMALL, *more]


def candidate(luts, accuracy=0.5, epoch=0):
    return Candidate(epoch, accuracy, luts, network=None)


def block(luts, cycles, accuracy, epoch):
    """A block of which only the costs are there."""
    made = object.__new__(Block)
    parts = {
        "candidate": candidate(float(luts), accuracy, epoch),
        "schedule": SimpleNamespace(cycles=cycles),
        "area": SimpleNamespace(luts=luts),
    }
    for name, part in parts.items():
        object.__setattr__(made, name, part)
    return made


def costs(one):
    return one.area.luts, one.schedule.cycles, -one.candidate.val_accuracy


def beats(a, b):
    """Whether costs `a` are nowhere above `b` and somewhere below."""
    return a != b and all(p <= q for p, q in zip(a, b, strict=True))


few = st.integers(0, 3)
blocks = st.lists(st.tuples(few, few, few), min_size=1, max_size=12).map(
    lambda rows: [block(a, b, c / 4, n) for n, (a, b, c) in enumerate(rows)]
)


@given(blocks)
def test_what_is_kept_is_beaten_by_none_and_what_is_not_is_no_better_than_it(made):
    kept, rest = undominated(made)
    points = [costs(one) for one in kept]
    assert not any(beats(costs(one), point) for one in made for point in points)
    for one in rest:
        assert costs(one) in points or any(beats(p, costs(one)) for p in points)
    assert len(set(points)) == len(points)
    assert len(kept) + len(rest) == len(made)
    assert [p[0] for p in points] == sorted(p[0] for p in points)


@given(blocks)
def test_the_order_of_the_blocks_does_not_matter_to_the_costs_that_are_kept(made):
    kept, _ = undominated(made)
    turned, _ = undominated(made[::-1])
    assert [costs(one) for one in kept] == [costs(one) for one in turned]


luts = st.lists(st.floats(0, 1e4), min_size=1, max_size=30)


@given(luts, st.integers(1, 12))
def test_a_spread_keeps_both_ends_and_as_many_as_it_may(areas, count):
    all_of_them = [candidate(area) for area in areas]
    taken = spread(all_of_them, count)
    assert len(taken) == min(count, len(areas))
    assert [c.luts for c in taken] == sorted(c.luts for c in taken)
    assert len({id(c) for c in taken}) == len(taken)
    assert taken[-1].luts == max(areas)
    if count > 1:
        assert taken[0].luts == min(areas)


def test_a_spread_is_even_in_the_logarithm():
    taken = spread([candidate(2.0**k) for k in range(17)], 5)
    assert [c.luts for c in taken] == [1.0, 16.0, 256.0, 4096.0, 65536.0]


@given(
    st.integers(1, 20), st.floats(1e-6, 1e-4), st.floats(1.1, 1e3), st.integers(1, 3)
)
def test_every_price_meets_every_seed_once(prices, lowest, ratio, seeds):
    sweep = Sweep(prices, lowest, lowest * ratio, tuple(range(seeds)))
    members = sweep.members()
    assert len(set(members)) == len(members) == prices * seeds
    assert members[0] == (lowest, 0)
    # A power of a ratio carries a few roundings of 2**-53 each.
    if prices > 1:
        assert members[-1][0] == pytest.approx(lowest * ratio, rel=1e-12)


def test_a_wrong_answer_of_a_netlist_is_not_exact():
    rows = [{"mismatches": 0}, {"mismatches": 1}]
    assert Outcome({"front": rows[:1]}, Path()).exact
    assert not Outcome({"front": rows}, Path()).exact


@pytest.fixture(scope="module")
def first(place):
    """A complete job in `place / "one"`: what it says."""
    assert main(command("--out", "one")) == 0
    return json.loads((place / "one" / "front.json").read_text())


def test_a_job_leaves_its_folder_and_the_record_and_nothing_else(place, first):
    assert visible(place) == [
        "jets.root",
        "mlartifacts",
        "mlflow.db",
        "one",
        "toy.toml",
    ]
    parts = ["front.json", "front.svg", "netlists", "recipe.json", "rtl"]
    assert visible(place / "one") == parts
    names = [f"front_{k}" for k in range(len(first["front"]))]
    assert sorted(visible(place / "one" / "rtl")) == sorted(names)
    assert (place / "one" / "front.svg").read_text().startswith("<svg")


def test_the_report_has_the_promised_keys(first):
    assert first["recipe"] == "jsc_hlf"
    assert first["clock_mhz"] == 360.0
    assert first["members"] == 4
    assert first["seeds"] == [1, 2]
    assert first["prices"] == [1e-5, 1e-2]
    assert first["compiled"] == len(first["front"]) + len(first["others"])
    for row in first["front"]:
        assert list(row)[:11] == [
            *("val_accuracy", "test_accuracy", "luts", "luts_surrogate"),
            *("latency_ns", "latency_cycles", "cpu_seconds", "price", "seed"),
            *("epoch", "netlist"),
        ]
        assert 0 < row["cpu_seconds"] <= first["train_cpu_seconds"]
        assert row["price"] in first["prices"]
        assert row["seed"] in first["seeds"]
        assert row["latency_ns"] == round(row["latency_cycles"] * 1e3 / 360, 3)
    assert not any("test_accuracy" in row for row in first["others"])


def test_no_network_of_the_front_beats_another(first):
    def point(row):
        return row["luts"], row["latency_cycles"], -row["val_accuracy"]

    rows = first["front"]
    points = [point(row) for row in rows]
    assert len(set(points)) == len(points)
    assert not any(beats(point(a), b) for a in rows + first["others"] for b in points)


def test_every_netlist_has_the_stated_accuracy_and_no_mismatch(place, first):
    recipe = override(load("jsc_hlf"), [*SMALL, "data.files=jets.root"], card=CARD)
    test = prepare(recipe.data, recipe.words).test
    assert first["test_jets"] == len(test.labels)
    for row in first["front"]:
        program = netlist.from_json((place / "one" / row["netlist"]).read_text())
        found = np.argmax(interpret.run(program, test.words), axis=1)
        assert row["test_accuracy"] == float(np.mean(found == test.labels))
        assert row["mismatches"] == 0


def test_networks_of_one_score_are_told_by_the_signal_at_their_working_point(place):
    changes = ("data.score=t", "physics.background=0.1")
    few = ("--prices", "1", "--seeds", "1", "--out", "score")
    assert main(command(*changes, *few)) == 0
    found = json.loads((place / "score" / "front.json").read_text())
    made = ["data.files=jets.root", *changes]
    recipe = override(load("jsc_hlf"), [*SMALL, *made], card=CARD)
    data = prepare(recipe.data, recipe.words)
    for row in found["front"]:
        program = netlist.from_json((place / "score" / row["netlist"]).read_text())
        scores = [
            interpret.run(program, jets.words)[:, 0]
            for jets in (data.validation, data.test)
        ]
        others = scores[0][data.validation.labels == 0]
        ends = range(others.min(), others.max() + 2)
        cut = next(t for t in ends if np.mean(others >= t) <= 0.1)
        assert row["test_accuracy"] == np.mean(scores[1][data.test.labels == 1] >= cut)
        assert row["mismatches"] == 0
    shutil.rmtree(place / "score")


def test_the_stated_luts_are_those_of_the_verilog_that_is_there(place, first):
    row = first["front"][0]
    rtl = {p.name: p.read_text() for p in (place / "one" / row["rtl"]).iterdir()}
    found = synth.estimate(rtl, row["block"], yosys=tools.synthesiser())
    assert found.luts == row["luts"]


def test_every_block_has_a_name_of_its_own(first):
    names = [row["block"] for row in first["front"]]
    assert len(set(names)) == len(names)


def test_mlflow_holds_settings_members_and_all_files(place, first):
    client, runs = mlflow_runs(place)
    (run,) = [r for r in runs if r.info.run_id == first["mlflow_run_id"]]
    assert run.info.status == "FINISHED"
    assert run.data.params["front.seeds"] == "[1, 2]"
    assert run.data.tags["kind"] == "front"
    history = client.get_metric_history(run.info.run_id, "front/luts")
    assert [m.value for m in history] == [row["luts"] for row in first["front"]]
    curve = client.get_metric_history(run.info.run_id, "member_003/val_accuracy")
    # Until the prices part, one network per seed stands for all of that seed.
    assert [m.step for m in curve] == [2]
    trunk = client.get_metric_history(run.info.run_id, "member_001/val_accuracy")
    assert [m.step for m in trunk] == [0, 1, 2]
    top = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"front.json", "front.svg", "front_table.json", "netlists", "rtl"} <= top


def test_the_same_seeds_give_the_same_front_in_the_same_folder(place, first, capsys):
    def steady(report):
        rows = [{**row, "cpu_seconds": 0} for row in report["front"]]
        return {k: v for k, v in report.items() if k not in TIMES} | {"front": rows}

    def netlists():
        return [p.read_bytes() for p in sorted((place / "one/netlists").iterdir())]

    before = netlists()
    assert main(command("--out", "one", "--json")) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == json.loads((place / "one" / "front.json").read_text())
    assert netlists() == before
    assert steady(json.loads(line)) == steady(first)
    assert visible(place) == [
        "jets.root",
        "mlartifacts",
        "mlflow.db",
        "one",
        "toy.toml",
    ]


def test_ctrl_c_is_one_line_and_leaves_the_earlier_front(
    place, first, capsys, monkeypatch
):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    before = (place / "one" / "front.json").read_bytes()
    monkeypatch.setattr(workflow, "train_many", interrupted)
    assert main(command("--out", "one")) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "jetlut front: interrupted, nothing kept"
    assert (place / "one" / "front.json").read_bytes() == before
    assert visible(place) == [
        "jets.root",
        "mlartifacts",
        "mlflow.db",
        "one",
        "toy.toml",
    ]


def test_a_clock_that_no_network_meets_is_one_line(place, first, capsys, monkeypatch):
    def nothing(*_, **__):
        front = tuple(candidate(area) for area in (1.0, 2.0))
        return TrainResult(front, (), 1.0, 1.0, 1.0)

    def refuse(*_, **__):
        raise UserError("the clock is too fast")

    monkeypatch.setattr(workflow, "train_many", nothing)
    monkeypatch.setattr(workflow, "build", refuse)
    assert main(command("--out", "two")) == 2
    told = capsys.readouterr().err
    assert "jets.root (900 jets)" in told
    assert told.splitlines()[-1] == "jetlut front: the clock is too fast"
    assert not (place / "two").exists()


def test_without_yosys_nothing_is_begun(place, capsys, monkeypatch):
    missing = tools.Tool("yosys", missing="no synthesiser: pyosys is not installed")
    monkeypatch.setattr(tools, "synthesiser", lambda: missing)
    before = visible(place)
    assert main(command("--out", "two")) == 2
    told = capsys.readouterr().err
    assert told == (
        "jetlut front: the LUTs of the front cannot be counted: no synthesiser: pyosys "
        "is not installed\n"
    )
    assert visible(place) == before


def test_a_job_beyond_the_memory_is_told_its_size(place, capsys, monkeypatch):
    monkeypatch.setattr(workflow, "memory", lambda: 2.0**20)
    before = visible(place)
    assert main(command("train.batch=8192")) == 2
    told = capsys.readouterr().err
    # 20 bytes for 4 members of 9 edges with 16 codes and 6 with 16, and for 5 sums of
    # each of 8192 jets.
    assert "4 networks at once, of 15 tables of up to 16 codes each, take" in told
    assert f"take about {20 * 4 * (15 * 16 + 5 * 8192) / 2**30:,.1f} GiB" in told
    assert visible(place) == before


def test_a_folder_with_anything_else_is_refused(place, first, capsys):
    (place / "one" / "mine").write_text("hello")
    assert main(command("--out", "one")) == 2
    assert "which no run has written" in capsys.readouterr().err
    (place / "one" / "mine").unlink()
