"""Working points, rates and figures of a block, on scores that are made up."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from trigger.datasets.card import Column
from trigger.datasets.cutflow import CutFlow
from trigger.datasets.sample import Skipped
from trigger.decision import ARGMAX
from trigger.errors import UserError
from trigger.words import Word
from workflows.dataset import Dataset, Jets
from workflows.physics import discriminant, judge
from workflows.recipes import load
from workflows.report import CAPTIONS

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


@pytest.fixture(scope="module")
def one(data):
    """Scores of the test split, and what is found with one score at 1 %."""
    validation, test = one_score(data)
    return test, judge(top(), data, validation, test, WORD)


def counted_events():
    """A recipe whose card counts its events, with a rate to aim at."""
    recipe = load("top_tag")
    card = replace(recipe.data.card, n_gen=50_000)
    return replace(
        recipe,
        data=replace(recipe.data, card=card),
        physics=replace(recipe.physics, rate_khz=2000.0),
    )


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


def test_what_passes_is_counted_on_the_test_split_within_its_interval(data, one):
    test, found = one
    (row,) = found.numbers["working_points"]
    for name, label in (("signal", 1), ("background", 0)):
        share = row[f"{name}_efficiency"]
        passing = test[data.test.labels == label, 0]
        assert share["value"] == np.mean(passing >= row["threshold"])
        assert share["one_below"] == np.mean(passing >= row["threshold"] - 1)
        assert share["low"] < share["value"] < share["high"]
    assert row["rate_khz"] is None
    assert "no rate in kHz" in found.numbers["normalisation"]["why"]


def test_the_interval_of_the_signal_is_that_of_clopper_and_pearson(data, one):
    test, found = one
    (row,) = found.numbers["working_points"]
    passing = test[data.test.labels == 1, 0] >= row["threshold"]
    k, n = int(passing.sum()), len(passing)
    tail = (1 - 0.682689492137086) / 2  # one standard deviation of a Gaussian
    share = row["signal_efficiency"]
    assert share["low"] == pytest.approx(beta.ppf(tail, k, n - k + 1), rel=1e-9)
    assert share["high"] == pytest.approx(beta.isf(tail, k + 1, n - k), rel=1e-9)


def test_scores_that_tell_nothing_have_a_threshold_that_none_passes(data):
    same = [np.full((len(s.labels), 1), 5) for s in (data.validation, data.test)]
    found = judge(top(), data, same[0], same[1], WORD)
    (row,) = found.numbers["working_points"]
    assert row["threshold"] == 6
    assert row["chosen_on"]["passed"] == 0
    assert row["chosen_on"]["passed_one_below"] == row["chosen_on"]["total"]
    share = row["background_efficiency"]
    assert share["low"] == share["value"] == 0 < share["high"]
    assert row["auc"] == 0.5
    assert row["rate_interval"] == "upper limit, 68 %"


def test_a_rate_to_aim_at_is_refused_where_a_file_was_left_out(data):
    recipe = counted_events()
    validation, test = one_score(data)
    less = replace(data, skipped=(Skipped("b.root", "it is 5 bytes long"),))
    with pytest.raises(UserError, match="a rate in kHz needs minimum-bias events"):
        judge(recipe, less, validation, test, WORD)


def test_a_file_that_was_left_out_is_named_beside_the_numbers(data):
    validation, test = one_score(data)
    less = replace(data, skipped=(Skipped("b.root", "it is 5 bytes long"),))
    found = judge(top(), less, validation, test, WORD)
    assert found.numbers["files_left_out"] == {"b.root": "it is 5 bytes long"}


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
    recipe = counted_events()
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


def test_a_variable_that_does_not_vary_is_not_shown(data):
    columns = {**data.test.columns, "pileup": np.full(len(data.test.labels), 140.0)}
    validation, test = one_score(data)
    alike = replace(data, test=replace(data.test, columns=columns))
    found = judge(top(), alike, validation, test, WORD)
    assert sorted(found.numbers["efficiency_against"]) == ["eta", "pt"]
    assert "efficiency_pileup" not in [figure.name for figure in found.figures]


def test_the_numbers_are_json_that_any_program_reads(five):
    _, _, found = five
    text = json.dumps(found.numbers, allow_nan=False)
    assert json.loads(text) == found.numbers


def test_every_figure_has_its_data_beside_it(five):
    _, _, found = five
    names = [figure.name for figure in found.figures]
    assert len(set(names)) == len(names)
    assert {"working_points", "efficiency_pt", "efficiency_eta", "rate"} <= set(names)
    for figure in found.figures:
        assert figure.svg.startswith("<svg")
        content = json.loads(figure.json)
        assert content["name"] == figure.name


def test_every_figure_has_its_text_on_the_report(five, one):
    names = {figure.name for found in (five[2], one[1]) for figure in found.figures}
    assert names <= set(CAPTIONS)


def test_one_score_has_figures_of_its_codes_and_of_what_its_cut_confuses(data, one):
    test, found = one
    figures = {figure.name: json.loads(figure.json) for figure in found.figures}
    assert {"score_codes", "confusion_at_cut"} <= set(figures)
    t = found.decision.at_least
    counts = [
        [np.sum((test[data.test.labels == k, 0] >= t) == passes) for passes in (0, 1)]
        for k in (0, 1)
    ]
    assert figures["confusion_at_cut"]["jets"] == counts


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
