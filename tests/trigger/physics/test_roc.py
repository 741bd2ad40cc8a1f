"""The ROC against loops, scikit-learn and fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from trigger.errors import UserError
from trigger.physics.comparison import LogRatio, Product
from trigger.physics.roc import Roc, pairs, roc

SCORES = hnp.arrays(np.int16, st.integers(1, 40), elements=st.integers(-9, 9))
FLOATS = hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-9, 9, width=16))


@given(SCORES, SCORES)
def test_each_used_code_is_a_point_with_the_counts_of_a_loop(signal, background):
    found = roc(signal, background)
    used = sorted({*signal.tolist(), *background.tolist()})
    assert found.threshold.tolist() == used
    for passed, sample in (
        (found.signal_passed, signal),
        (found.background_passed, background),
    ):
        assert passed.dtype == np.int64
        assert passed.tolist() == [sum(s >= t for s in sample.tolist()) for t in used]
    assert found.signal_total == len(signal)
    assert found.background_total == len(background)


@given(SCORES | FLOATS, SCORES | FLOATS)
def test_the_area_is_the_chance_of_a_right_order_with_ties_counted_half(s, b):
    twice = sum(2 * (x > y) + (x == y) for x in s.tolist() for y in b.tolist())
    # Python divides integers to the nearest double, and so is `auc`
    assert roc(s, b).auc == twice / (2 * len(s) * len(b))


@given(SCORES, SCORES)
def test_the_area_is_that_of_scikit_learn_and_of_the_curve(s, b):
    found = roc(s, b)
    label = np.repeat([1, 0], [len(s), len(b)])
    # trapezoids of up to 20 points, each with some roundings of numbers up to 1
    tolerance = 100 * 2.0**-52
    reference = roc_auc_score(label, np.concatenate([s, b]))
    assert abs(found.auc - reference) < tolerance
    background, signal = found.curve()
    assert abs(found.auc - np.trapezoid(signal, background)) < tolerance


@given(SCORES, SCORES)
def test_the_curve_runs_from_nothing_to_everything(s, b):
    background, signal = roc(s, b).curve()
    assert (background[0], signal[0]) == (0, 0)
    assert (background[-1], signal[-1]) == (1, 1)
    assert np.all(np.diff(background) >= 0)
    assert np.all(np.diff(signal) >= 0)
    assert np.all(np.diff(background) + np.diff(signal) > 0)


@given(SCORES, SCORES)
def test_the_samples_come_apart_again(s, b):
    found = roc(s, b)
    for codes, sample in ((found.of_signal(), s), (found.of_background(), b)):
        again = np.repeat(codes.code, codes.count)
        assert np.array_equal(again, np.sort(sample))


def test_the_area_of_more_jets_than_64_bits_can_multiply_is_exact():
    many = np.array([3_000_000_000, 2_000_000_001], np.int64)
    found = Roc(np.array([0, 1]), many, many[::-1].copy())
    twice = many[0] * Fraction(int(many[1])) + int(many[1]) * (
        2 * Fraction(int(many[1])) + int(many[0])
    )
    assert found.auc == float(twice / (2 * Fraction(int(many.sum())) ** 2))


@pytest.mark.parametrize("comparison", [LogRatio(), Product(6)])
def test_the_points_of_a_pair_are_what_the_firmware_lets_pass(comparison):
    rng = np.random.default_rng(3)
    scores, label = rng.integers(0, 32, (300, 3)), rng.integers(0, 2, 300)
    found = pairs(scores, label, ("b", "c", "tau"), comparison)
    assert sorted(found) == [("b", "c"), ("c", "b")]  # no jet is a tau
    for (s, b), one in found.items():
        own, other = ("b", "c").index(s), ("b", "c").index(b)
        for i, t in enumerate(one.threshold.tolist()):
            passes = comparison.passes(scores[:, own], scores[:, other], t)
            assert one.signal_passed[i] == np.sum(passes & (label == own))
            assert one.background_passed[i] == np.sum(passes & (label == other))


def test_a_roc_without_one_of_its_classes_is_refused():
    with pytest.raises(UserError, match="2 of signal and 0 of background"):
        roc(np.array([1, 2]), np.zeros(0, np.int64))
    with pytest.raises(UserError, match="there is no signal"):
        roc(np.zeros(0, np.int64), np.array([1, 2]))


@pytest.mark.parametrize("side", ["signal", "background"])
def test_scores_that_are_not_finite_are_refused(side):
    scores = {"signal": np.array([1.0]), "background": np.array([2.0])}
    scores[side] = np.array([np.nan])
    with pytest.raises(UserError, match=f"{side} score: the value at row 0 is nan"):
        roc(**scores)
