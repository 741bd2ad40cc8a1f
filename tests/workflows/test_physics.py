"""Working points, rates and figures of a block, on scores that are made up."""

import json
from dataclasses import replace

import numpy as np
import pytest

from trigger.datasets.card import Column
from trigger.datasets.cutflow import CutFlow
from trigger.decision import ARGMAX
from trigger.words import Word
from workflows.dataset import Dataset, Jets
from workflows.physics import discriminant, judge
from workflows.recipes import load

WORD = Word("score", 8, True, 0.25, "", "score")


def jets(count, seed, classes):
    """Two jets an event; pT and eta as a card has them."""
    rng = np.random.default_rng(seed)
    event = np.ones((count, 3), np.uint64)
    event[:, 2] = np.arange(count) // 2
    columns = {"pt": rng.uniform(900, 1200, count), "eta": rng.normal(0, 1, count)}
    label = rng.integers(0, classes, count)
    return Jets(np.zeros((count, 1), np.int64), label, event, columns)


def dataset(classes):
    nothing = jets(1, 0, classes)
    validation, test = jets(2000, 1, classes), jets(4000, 2, classes)
    return Dataset(
        *((), None, nothing, validation, test, (), {}, (), None, None),
        cuts=CutFlow(),
        skipped=(),
        fullest=0,
    )


def one_score(data, seed=3):
    """Scores of a block that tells label 1 from label 0 a little."""
    rng = np.random.default_rng(seed)
    return tuple(
        np.clip(np.round(rng.normal(20 * part.labels, 15)), -128, 127)
        .astype(np.int64)
        .reshape(-1, 1)
        for part in (data.validation, data.test)
    )


@pytest.fixture(scope="module")
def data():
    return dataset(2)


def top(**physics):
    recipe = load("top_tag")
    return replace(recipe, physics=replace(recipe.physics, **physics))


def test_the_threshold_is_the_least_that_keeps_the_background_below_its_share(data):
    validation, test = one_score(data)
    found = judge(top(background=0.05), data, validation, test, WORD)
    (row,) = found.numbers["working_points"]
    other = validation[data.validation.labels == 0, 0]
    t = row["threshold"]
    assert np.mean(other >= t) <= 0.05 < np.mean(other >= t - 1)
    assert row["chosen_on"] == {
        "passed": int(np.sum(other >= t)),
        "passed_one_below": int(np.sum(other >= t - 1)),
        "total": len(other),
    }
    assert row["threshold_value"] == t * WORD.lsb
    assert found.decision.at_least == t
    assert f"{np.sum(other >= t)} of {len(other)} jets" in found.decision.meaning


def test_what_passes_is_counted_on_the_test_split_within_its_interval(data):
    validation, test = one_score(data)
    found = judge(top(), data, validation, test, WORD)
    (row,) = found.numbers["working_points"]
    for name, label in (("signal", 1), ("background", 0)):
        share = row[f"{name}_efficiency"]
        passing = test[data.test.labels == label, 0]
        assert share["value"] == np.mean(passing >= row["threshold"])
        assert share["one_below"] == np.mean(passing >= row["threshold"] - 1)
        assert share["low"] < share["value"] < share["high"]
    assert row["rate_khz"] is None
    assert "no rate in kHz" in found.numbers["normalisation"]["why"]


def test_a_stated_rate_of_jets_makes_rates_of_shares(data):
    validation, test = one_score(data)
    found = judge(top(jet_rate_khz=500.0), data, validation, test, WORD)
    (row,) = found.numbers["working_points"]
    share = row["background_efficiency"]["value"]
    assert row["rate_khz"]["value"] == pytest.approx(500 * share, rel=1e-12)
    aimed = judge(top(jet_rate_khz=500.0, rate_khz=20.0), data, validation, test, WORD)
    (row,) = aimed.numbers["working_points"]
    other = validation[data.validation.labels == 0, 0]
    t = row["threshold"]
    assert 500 * np.mean(other >= t) <= 20 < 500 * np.mean(other >= t - 1)
    assert "at most 20 kHz passes" in aimed.decision.meaning


def test_rates_of_a_counted_sample_are_of_events_with_any_jet_that_passes(data):
    recipe = load("top_tag")
    card = replace(recipe.data.card, n_gen=50_000)
    recipe = replace(
        recipe,
        data=replace(recipe.data, card=card),
        physics=replace(recipe.physics, rate_khz=2000.0),
    )
    validation, test = one_score(data)
    found = judge(recipe, data, validation, test, WORD)
    (row,) = found.numbers["working_points"]
    best = test[:, 0].reshape(-1, 2).max(axis=1)
    share = np.sum(best >= row["threshold"]) / (0.2 * 50_000)
    assert row["rate_khz"]["value"] == pytest.approx(share * 2760 * 11.246, rel=1e-9)
    assert found.numbers["normalisation"]["per"] == "event"
    best = validation[:, 0].reshape(-1, 2).max(axis=1)
    khz = [
        np.sum(best >= row["threshold"] - k) / (0.1 * 50_000) * 2760 * 11.246
        for k in (0, 1)
    ]
    assert khz[0] <= 2000 < khz[1]


@pytest.fixture(scope="module")
def five():
    """Five classes with scores that know them a little."""
    data = dataset(5)
    rng = np.random.default_rng(4)
    scores = tuple(
        np.round(
            8 * np.eye(5)[part.labels] + rng.normal(0, 6, (len(part.labels), 5))
        ).astype(np.int64)
        for part in (data.validation, data.test)
    )
    return data, scores, judge(load("jsc_hlf"), data, scores[0], scores[1], WORD)


def test_classes_have_a_point_each_by_a_difference_of_scores(five):
    data, (validation, _), found = five
    rows = found.numbers["working_points"]
    assert [row["signal"] for row in rows] == ["g", "q", "t", "w", "z"]
    for k, row in enumerate(rows):
        others = np.delete(validation, k, axis=1).max(axis=1)
        code = validation[:, k] - others
        assert np.array_equal(discriminant(validation, k), code)
        background = code[data.validation.labels != k]
        t = row["threshold"]
        assert np.mean(background >= t) <= 0.01 < np.mean(background >= t - 1)
    assert found.decision == ARGMAX
    assert len(found.numbers["auc_of_pairs"]) in (10, 20)


def test_efficiencies_are_binned_in_what_the_card_has(five):
    data, (_, test), found = five
    assert sorted(found.numbers["efficiency_against"]) == ["eta", "pt"]
    of = found.numbers["efficiency_against"]["pt"]["t"]
    assert sum(of["total"]) + of["outside"] == np.sum(data.test.labels == 2)
    t = found.numbers["working_points"][2]["threshold"]
    passing = discriminant(test, 2)[data.test.labels == 2] >= t
    assert sum(of["passed"]) == passing.sum()


def test_every_figure_has_its_data_beside_it(five):
    _, _, found = five
    names = [figure.name for figure in found.figures]
    assert len(set(names)) == len(names)
    assert {"working_points", "efficiency_pt", "efficiency_eta", "rate"} <= set(names)
    for figure in found.figures:
        assert figure.svg.startswith("<svg")
        assert isinstance(json.loads(figure.json), dict)


def test_a_true_pt_gives_turn_ons(data):
    card = load("top_tag").data.card
    card = replace(card, columns=(*card.columns, Column("true_pt", "Jet_true", "GeV")))
    recipe = load("top_tag")
    recipe = replace(
        recipe,
        data=replace(recipe.data, card=card),
        physics=replace(recipe.physics, turn_on="true_pt", jet_pt=1050.0),
    )
    rng = np.random.default_rng(6)
    true = data.test.columns["pt"] + rng.normal(0, 30, len(data.test.labels))
    test = replace(data.test, columns={**data.test.columns, "true_pt": true})
    validation, scores = one_score(data)
    found = judge(recipe, replace(data, test=test), validation, scores, WORD)
    assert list(found.numbers["turn_on"]) == ["pT >= 1050 GeV", "top, and its tag"]
    middle, error = found.numbers["turn_on"]["pT >= 1050 GeV"]["point_50"]
    assert abs(middle - 1050) < 5 * error + 5
    assert "turn_on" in [figure.name for figure in found.figures]
