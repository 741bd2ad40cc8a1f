"""What a block means for a menu: working points, efficiencies, rates and figures of them.

Thresholds are integers that are found on the validation split; what passes them is
counted on the test split, which decides nothing.  A jet passes by its *discriminant*:
the only score of a block with one, else the score of a class less the largest of the
others, a subtraction where others divide.

Conventions
-----------
- The background of a class are the jets of all others.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from trigger.decision import ARGMAX, Decision
from trigger.physics import working_point
from trigger.physics.codes import Codes, count_codes
from trigger.physics.comparison import LogRatio
from trigger.physics.efficiency import Binned, binned, efficiency, even_edges
from trigger.physics.rate import Rates, of_jets, rates, scan
from trigger.physics.roc import Roc, pairs, roc
from trigger.physics.working_point import WorkingPoint
from trigger.weights import to_json
from trigger.words import Word
from workflows import rating
from workflows.dataset import Dataset, Jets
from workflows.efficiency_figures import efficiency_figure
from workflows.physics_figures import rate_figure, roc_figure
from workflows.physics_style import Figure
from workflows.recipe import Recipe
from workflows.score_figures import confusion_figure, score_figure
from workflows.turn_ons import turn_ons

BINS = 8
"""Bins of a variable, with as many jets in each as in the others."""

VARIABLES = ("pt", "eta", "pileup")
"""Columns that efficiencies are shown against, where the card has them and they vary."""

Scores = Integer[np.ndarray, "_ scores"]


@final
@dataclass(frozen=True)
class Point:
    """The working point of one class: chosen on one split, counted on another.

    Attributes:
        signal: The class.
        chosen: On the validation split.
        counted: The same threshold on the background of the test split.
        counts: Scores of the same split that rates count, of events or background jets.
        rate: Of these at the threshold and one count below, in kHz if known.
        roc: Of the test split.
        truth: Which jets of the test split are of the class.
        passed: Which of them all pass.
    """

    signal: str
    chosen: WorkingPoint
    counted: WorkingPoint
    counts: Codes
    rate: Rates
    roc: Roc
    truth: Bool[np.ndarray, " jets"]
    passed: Bool[np.ndarray, " jets"]


@final
@dataclass(frozen=True)
class Findings:
    """What is reported: numbers for JSON, figures, and the decision for `io.json`."""

    numbers: Mapping[str, Any]
    figures: tuple[Figure, ...]
    decision: Decision


def discriminant(scores: Scores, index: int) -> Int64[np.ndarray, " jets"]:
    """By which integer the jets of one class are told from all others.

    Args:
        scores: Score words as they leave the block.
        index: Of the class.
    """
    if scores.shape[1] == 1:
        return scores[:, 0].astype(np.int64)
    others = np.delete(scores, index, axis=1).max(axis=1)
    return LogRatio().code(scores[:, index], others)


def judge(
    recipe: Recipe, data: Dataset, validation: Scores, test: Scores, word: Word
) -> Findings:
    """All numbers and figures of a block.

    Args:
        recipe: Its `physics` group says what is asked.
        data: The splits.
        validation: Score words of the validation split.
        test: Score words of the test split.
        word: Of any score.

    Raises:
        UserError: A working point does not exist.
    """
    classes = recipe.data.classes
    points = [
        _point(recipe, data, validation, test, index) for index in range(len(classes))
    ]
    decision = ARGMAX
    if recipe.data.score:
        decision = Decision(points[0].chosen.threshold, _meaning(points[0]))
    numbers: dict[str, Any] = {
        "background": recipe.physics.background,
        "discriminant": (
            "the score" if recipe.data.score else "score less the largest other score"
        ),
        "lsb": word.lsb,
        "working_points": [_row(point, word) for point in points],
        "jets": {"validation": len(validation), "test": len(test)},
        "cut_flow": json.loads(data.cuts.to_json()),
        "files_left_out": {one.name: one.reason for one in data.skipped},
        "saturated": dict(data.saturated),
        "front_end_counts": {
            one.feature: {"mean": one.mean, "rms": one.rms, "largest": one.largest}
            for one in data.differences
        },
    }
    if not recipe.data.score:
        numbers["auc_of_pairs"] = {
            f"{signal} against {background}": one.auc
            for (signal, background), one in pairs(
                test, data.test.labels, classes, LogRatio()
            ).items()
        }
    against = {
        variable: {
            point.signal: _against(point, data.test, variable) for point in points
        }
        for variable in VARIABLES
        if np.ptp(data.test.columns.get(variable, np.zeros(1))) > 0
    }
    numbers["efficiency_against"] = {
        variable: {name: _bins(one) for name, one in of.items()}
        for variable, of in against.items()
    }
    if data.weighting is not None:
        numbers["weighting"] = json.loads(to_json(data.weighting))
    tags = {point.signal: (point.truth, point.passed) for point in points}
    fits, turned = turn_ons(recipe.physics, data.test, tags)
    numbers |= {"turn_on": fits} if fits else {}
    known = points[0].rate.normalisation
    numbers["normalisation"] = {
        "per": known.per,
        "total": known.total,
        "full_khz": known.full_khz,
        "why": rating.why(recipe, known),
    }
    figures = (*_figures(recipe, data, test, points, against, word), *turned)
    return Findings(numbers, figures, decision)


def _point(
    recipe: Recipe, data: Dataset, validation: Scores, test: Scores, index: int
) -> Point:
    """The threshold of one class, and what passes it."""
    asked = recipe.physics
    code, signal = _told(recipe, data.validation, validation, index)
    test_code, test_signal = _told(recipe, data.test, test, index)
    known = rating.of_split(
        recipe, "validation", _count(~signal), complete=not data.skipped
    )
    if asked.rate_khz:
        counts = rating.codes(known, data.validation, code, signal)
        chosen = working_point.at_rate(counts, asked.rate_khz, known)
    else:
        background = count_codes(code[~signal])
        chosen = working_point.at_efficiency(background, asked.background)
    at = np.array([chosen.threshold, chosen.threshold - 1])
    curve = roc(test_code[test_signal], test_code[~test_signal])
    passing = curve.of_background().passing(at)
    others = of_jets(curve.background_total, asked.jet_rate_khz or None)
    known = rating.of_split(
        recipe, "test", curve.background_total, complete=not data.skipped
    )
    counts = rating.codes(known, data.test, test_code, test_signal)
    return Point(
        signal=recipe.data.classes[index],
        chosen=chosen,
        counted=replace(
            chosen,
            passed=int(passing[0]),
            passed_below=int(passing[1]),
            normalisation=others,
        ),
        counts=counts,
        rate=rates(at, counts.passing(at), known),
        roc=curve,
        truth=test_signal,
        passed=test_code >= chosen.threshold,
    )


def at_working_point(
    recipe: Recipe, data: Dataset, validation: Scores, test: Scores
) -> float:
    """The signal of the test split that passes a cut chosen on the validation split.

    Args:
        recipe: Of a block with one score.
        data: The splits.
        validation: Scores of the validation split.
        test: Scores of the test split.
    """
    point = _point(recipe, data, validation, test, 0)
    return float(np.mean(point.passed[point.truth]))


def _told(
    recipe: Recipe, jets: Jets, scores: Scores, index: int
) -> tuple[Int64[np.ndarray, " jets"], Bool[np.ndarray, " jets"]]:
    """By which integer a class is told, and which jets are of it."""
    label = 1 if recipe.data.score else index
    return discriminant(scores, index), jets.labels == label


def _count(jets: Bool[np.ndarray, " jets"]) -> int:
    return int(np.count_nonzero(jets))


def _meaning(point: Point) -> str:
    chosen = point.chosen
    known = chosen.normalisation
    unit = " kHz" if chosen.unit == "kHz" else " of the background"
    return (
        f"the least threshold that at most {chosen.target:g}{unit} passes on the "
        f"validation split: {chosen.passed} of {known.total} {known.per}s, and "
        f"{chosen.passed_below} one count below"
    )


def _row(point: Point, word: Word) -> dict[str, Any]:
    """One working point as data."""
    at = np.array([point.chosen.threshold, point.chosen.threshold - 1])
    signal = efficiency(
        point.roc.of_signal().passing(at), np.full(2, point.roc.signal_total)
    )
    background = point.counted.rates
    return {
        "signal": point.signal,
        "background": "all others",
        "threshold": point.chosen.threshold,
        "threshold_value": point.chosen.threshold * word.lsb,
        "target": point.chosen.target,
        "unit": point.chosen.unit,
        "chosen_on": {
            "passed": point.chosen.passed,
            "passed_one_below": point.chosen.passed_below,
            "total": point.chosen.normalisation.total,
        },
        "auc": point.roc.auc,
        "signal_efficiency": _interval(signal.value, signal.low, signal.high),
        "background_efficiency": _interval(
            background.share, background.low, background.high
        ),
        "rate_khz": None if point.rate.khz is None else _interval(*point.rate.khz),
        "rate_interval": point.rate.interval[0],
    }


def _interval(
    value: Float64[np.ndarray, " points"],
    low: Float64[np.ndarray, " points"],
    high: Float64[np.ndarray, " points"],
) -> dict[str, float]:
    """At the threshold, with the ends of the interval, and one count below it."""
    return {
        "value": float(value[0]),
        "low": float(low[0]),
        "high": float(high[0]),
        "one_below": float(value[1]),
    }


def _against(point: Point, jets: Jets, variable: str) -> Binned:
    """Signal efficiency in bins of about as many jets each."""
    column = jets.columns[variable]
    edges = even_edges(column, BINS)
    return binned(point.passed[point.truth], column[point.truth], edges)


def _bins(one: Binned) -> dict[str, Any]:
    share = one.efficiency
    return {
        "edges": one.edges.tolist(),
        "passed": share.passed.tolist(),
        "total": share.total.tolist(),
        "low": share.low.tolist(),
        "high": share.high.tolist(),
        "outside": one.outside,
    }


def _figures(
    recipe: Recipe,
    data: Dataset,
    test: Scores,
    points: list[Point],
    against: Mapping[str, Mapping[str, Binned]],
    word: Word,
) -> list[Figure]:
    rocs = {(point.signal, "all others"): point.roc for point in points}
    marks = {(point.signal, "all others"): [point.counted] for point in points}
    figures = [roc_figure(rocs, marks, name="working_points")]
    share = f"at most {100 * recipe.physics.background:g} % of all others pass"
    if recipe.physics.rate_khz:
        share = f"at most {recipe.physics.rate_khz:g} kHz pass"
    titles = {"pt": "jet $p_T$ [GeV]", "eta": r"jet $\eta$", "pileup": "pile-up"}
    for variable, of in against.items():
        figures.append(
            efficiency_figure(
                of, titles[variable], at=share, name=f"efficiency_{variable}"
            )
        )
    if recipe.data.score:
        label, passed = data.test.labels, points[0].passed
        names = ("all others", recipe.data.score)
        codes = {
            name: count_codes(test[label == k, 0].astype(np.int64))
            for k, name in enumerate(names)
        }
        figures.append(score_figure(codes, word))
        counts = np.zeros((2, 2), np.int64)
        np.add.at(counts, (label, passed.astype(np.int64)), 1)
        at = f"score >= {points[0].chosen.threshold}"
        figures.append(
            confusion_figure(
                counts, names, ("fails", "passes"), at=at, name="confusion_at_cut"
            )
        )
    series = {p.signal: scan(p.counts, p.rate.normalisation) for p in points}
    return [*figures, rate_figure(series, [point.counted for point in points])]
