"""The figures of trigger physics: their numbers are those of the physics, as texts."""

import json
import math
import re

import numpy as np
import pytest
from scipy.special import ndtr

from trigger.errors import UserError
from trigger.physics.codes import count_codes
from trigger.physics.comparison import LogRatio
from trigger.physics.efficiency import binned, clopper_pearson
from trigger.physics.rate import of_events, of_jets, scan
from trigger.physics.response import response
from trigger.physics.roc import pairs, roc
from trigger.physics.turn_on import fit_turn_on
from trigger.physics.working_point import at_efficiency, at_rate
from trigger.words import Word
from workflows.efficiency_figures import efficiency_figure, turn_on_figure
from workflows.physics_figures import rate_figure, roc_figure
from workflows.physics_style import STYLES, plain
from workflows.score_figures import confusion_figure, response_figure, score_figure

CLASSES = ("b", "light")
WORD = Word("b_score", 8, True, 0.125, "")
JETS = 3000


def jets():
    """Scores, labels and momenta of some jets."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, JETS)
    scores = rng.normal(0, 20, (JETS, 2)) + 70 * (label[:, None] == np.arange(2))
    scores = np.clip(np.rint(scores), -128, 127).astype(np.int64)
    return scores, label, rng.exponential(40, JETS) + 15


def roc_of(style="cms", **options):
    scores, label, _ = jets()
    curves = pairs(scores, label, CLASSES, LogRatio())
    points = {k: [at_efficiency(v.of_background(), 0.05)] for k, v in curves.items()}
    return roc_figure(curves, points, style_name=style, **options)


def rate_of(style="cms"):
    scores, _, _ = jets()
    codes, events = count_codes(scores[:, 0]), of_events(10 * JETS)
    points = [at_rate(codes, 300.0, events), at_efficiency(codes, 0.5)]
    return rate_figure({"b tag": scan(codes, events)}, points, style_name=style)


def efficiency_of(style="cms"):
    scores, label, pt = jets()
    edges = np.array([15.0, 30, 60, 120, 1000, 1001])
    series = {
        name: binned(scores[label == c, 0] >= 30, pt[label == c], edges)
        for c, name in enumerate(CLASSES)
    }
    return efficiency_figure(series, "pT in GeV", at="score ≥ 30", style_name=style)


def turn_on_of(style="cms"):
    rng = np.random.default_rng(1)
    pt = rng.uniform(15, 150, 5000)
    fired = rng.random(5000) < 0.95 * ndtr((pt - 60) / 9)
    fit = fit_turn_on(pt, fired, np.linspace(15, 150, 46))
    return turn_on_figure({"tagger": fit}, "pT in GeV", style_name=style)


def scores_of(style="cms", word=WORD):
    scores, label, _ = jets()
    samples = {n: count_codes(scores[label == c, 0]) for c, n in enumerate(CLASSES)}
    return score_figure(samples, word, style_name=style)


def confusion_of(style="cms"):
    counts = np.array([[900, 100], [20, 980]])
    return confusion_figure(
        counts, CLASSES, ("passes", "fails"), at="score ≥ 30", style_name=style
    )


def response_of(style="cms"):
    _, _, pt = jets()
    corrected = pt * np.random.default_rng(2).normal(1, 0.15, JETS)
    series = {"raw": response(corrected, pt, pt, np.array([15.0, 50, 100, 999, 1e4]))}
    return response_figure(series, "pT in GeV", style_name=style)


ALL = (
    roc_of,
    rate_of,
    efficiency_of,
    turn_on_of,
    scores_of,
    confusion_of,
    response_of,
)


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize("style", STYLES)
def test_a_figure_is_an_svg_that_asks_for_nothing_and_claims_no_experiment(draw, style):
    figure = draw(style)
    text = figure.svg
    assert text.startswith("<svg")
    assert text.rstrip().endswith("</svg>")
    assert "currentColor" in text
    assert 'href="http' not in text
    assert "url(http" not in text
    words = re.findall(r"<text[^>]*>([^<]*)", text)
    assert {"jetlut", "simulation"} <= set(words)
    for word in ("CMS", "ATLAS", "Preliminary"):
        assert not any(word in shown for shown in words)


@pytest.mark.parametrize("draw", ALL)
def test_the_same_numbers_draw_the_same_bytes(draw):
    one, two = draw(), draw()
    assert one.svg == two.svg
    assert one.json == two.json


@pytest.mark.parametrize("draw", ALL)
def test_the_data_say_what_they_are_and_are_strict_json(draw):
    figure = draw()

    def refuse(constant):
        raise AssertionError(constant)

    data = json.loads(figure.json, parse_constant=refuse)
    assert data == plain(figure.data)
    assert (data["format"], data["version"]) == ("jetlut-figure", 1)
    assert data["name"] == figure.name
    assert figure.json.endswith("}\n")


def test_a_roc_has_its_counts_and_both_sides_of_its_working_point():
    scores, label, _ = jets()
    data = json.loads(roc_of().json)
    assert [(c["signal"], c["background"]) for c in data["curves"]] == [
        ("b", "light"),
        ("light", "b"),
    ]
    curve = data["curves"][0]
    ratio = scores[:, 0] - scores[:, 1]
    assert curve["threshold"] == sorted(set(ratio.tolist()))
    own, other = ratio[label == 0], ratio[label == 1]
    for i, t in enumerate(curve["threshold"]):
        assert curve["signal_passed"][i] == np.sum(own >= t)
        assert curve["background_passed"][i] == np.sum(other >= t)
    (point,) = curve["working_points"]
    t = point["threshold"]
    assert point["passed"] == [np.sum(other >= t), np.sum(other >= t - 1)]
    assert point["signal"]["passed"] == [np.sum(own >= t), np.sum(own >= t - 1)]
    assert point["passed"][0] <= 0.05 * len(other) < point["passed"][1]
    assert point["khz"] is None
    assert f", t = {t}<" in roc_of().svg


def test_the_threshold_of_a_single_curve_stands_at_its_mark():
    rng = np.random.default_rng(4)
    s, b = rng.integers(30, 120, 900), rng.integers(0, 90, 900)
    point = at_efficiency(count_codes(b), 0.05)
    figure = roc_figure({CLASSES: roc(s, b)}, {CLASSES: [point]})
    assert f">t = {point.threshold}<" in figure.svg


def test_a_roc_of_floats_can_stand_behind():
    rng = np.random.default_rng(4)
    s, b = rng.normal(1, 1, 5000), rng.normal(0, 1, 5000)
    coarse = roc(np.rint(s).astype(int), np.rint(b).astype(int))
    fine = roc(s, b)
    figure = roc_figure({CLASSES: coarse}, {}, behind={CLASSES: fine})
    (curve,) = figure.data["curves"]
    assert curve["auc"] == coarse.auc
    assert curve["auc_behind"] == fine.auc
    assert curve["codes_used"] == len(coarse.threshold)


def test_a_roc_of_many_codes_is_thinned_and_keeps_its_ends():
    rng = np.random.default_rng(4)
    s, b = rng.integers(0, 10**6, 5000), rng.integers(0, 10**6, 5000)
    one = roc(s, b)
    (curve,) = roc_figure({CLASSES: one}, {}).data["curves"]
    assert curve["codes_used"] == len(one.threshold)
    kept = curve["threshold"]
    assert 100 < len(kept) <= 1000
    assert (kept[0], kept[-1]) == (one.threshold[0], one.threshold[-1])
    for t, passed in zip(kept, curve["background_passed"], strict=True):
        assert passed == np.sum(b >= t)


def test_a_rate_is_in_khz_with_band_and_limit():
    scores, _, _ = jets()
    data = json.loads(rate_of().json)
    (one,) = data["series"]
    assert data["unit"] == "kHz"
    assert one["total"] == 10 * JETS
    assert one["passed"] == [int(np.sum(scores[:, 0] >= t)) for t in one["threshold"]]
    assert one["value"] == [31038.96 * (k / (10 * JETS)) for k in one["passed"]]
    assert one["interval"][0] == "Poisson"
    assert one["interval"][-1] == "upper limit, 68 %"
    assert one["value"][-1] == 0
    assert one["high"][-1] > 0
    point = data["working_points"][0]
    assert point["khz"][0][0] <= 300 < point["khz"][0][1]


def test_without_a_rate_the_share_is_drawn():
    scores, _, _ = jets()
    one = scan(scores[:, 0], of_jets(JETS))
    other = scan(scores[:, 0], of_events(JETS))
    for series in ({"jets": one}, {"jets": one, "events": other}):
        figure = rate_figure(series)
        assert figure.data["unit"] == "background efficiency"
        assert figure.data["series"][0]["value"] == one.share.tolist()
        assert "kHz" not in figure.svg


def test_a_scan_of_many_codes_is_thinned_with_its_ends():
    score = np.random.default_rng(0).integers(0, 2**30, 20_000)
    (one,) = rate_figure({"wide": scan(score, of_events(10**6))}).data["series"]
    assert len(one["threshold"]) <= 3200
    assert one["threshold"][0] == score.min()
    assert one["threshold"][-1] == score.max() + 1


def test_an_efficiency_has_its_counts_and_nothing_of_empty_bins():
    scores, label, pt = jets()
    data = json.loads(efficiency_of().json)
    one = data["series"][0]
    inside = (label == 0) & (pt >= 30) & (pt < 60)
    assert one["total"][1] == inside.sum()
    assert one["passed"][1] == (inside & (scores[:, 0] >= 30)).sum()
    low, high = clopper_pearson(np.array(one["passed"]), np.array(one["total"]))
    assert one["low"] == low.tolist()
    assert one["high"] == high.tolist()
    assert one["total"][-1] == 0
    assert one["value"][-1] is None


def test_a_turn_on_tells_its_points_with_errors():
    (one,) = turn_on_of().data["series"]
    for key, truth in (("plateau", 0.95), ("point_50", 60.0), ("sigma", 9.0)):
        value, error = one[key]
        assert abs(value - truth) < 5 * error
    value, error = one["point_95"]
    assert abs(value - (60 + 9 * 1.6448536)) < 5 * error
    assert one["degrees"] == 42
    assert f"95 % at {value:.1f} ± {error:.1f}" in turn_on_of().svg


def test_a_score_histogram_counts_codes_and_what_saturates():
    scores, label, _ = jets()
    data = json.loads(scores_of().json)
    for c, one in enumerate(data["classes"]):
        sample = scores[label == c, 0].tolist()
        assert one["codes_used"] == len(set(sample))
        assert one["saturated"] == {
            "low": sample.count(-128),
            "high": sample.count(127),
        }
        assert one["count"] == [sample.count(code) for code in one["code"]]
    assert data["classes"][0]["saturated"]["high"] > 0
    assert (data["word"]["min"], data["word"]["max"]) == (-128, 127)
    assert "share of jets per code" in scores_of().svg


def test_codes_of_wide_scores_share_bars_and_keep_their_counts():
    wide = np.random.default_rng(0).integers(-30_000, 30_000, 5000)
    word = Word("wide", 16, True, 2.0**-9, "")
    figure = score_figure({"b": count_codes(wide)}, word)
    assert "share of jets per 64 codes" in figure.svg
    (one,) = figure.data["classes"]
    assert sum(one["count"]) == 5000
    assert one["codes_used"] == len(np.unique(wide))


def test_a_confusion_has_its_counts():
    figure = confusion_of()
    assert figure.data["jets"] == [[900, 100], [20, 980]]
    assert "0.900" in figure.svg
    assert "980" in figure.svg


def test_a_class_without_jets_has_an_empty_row():
    counts = np.array([[0, 0], [1, 3]])
    text = confusion_figure(counts, CLASSES, CLASSES, at="the largest score").svg
    assert "nan" not in text


def test_a_response_has_its_errors_and_nothing_of_empty_bins():
    (one,) = json.loads(response_of().json)["series"]
    assert one["jets"][-1] == 0
    assert one["median"][-1] is None
    assert abs(one["median"][0] - 1) < 5 * one["median_error"][0]
    assert abs(one["resolution"][0] - 0.15) < 5 * one["resolution_error"][0]


def test_plain_values_are_of_json():
    value = {"a": np.array([1.0, math.nan]), 2: (np.int64(3), [np.inf]), "b": None}
    assert plain(value) == {"a": [1.0, None], "2": [3, [None]], "b": None}


def test_an_unknown_style_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"got 'CMSS'; did you mean 'cms'\?"):
        roc_of("CMSS")
