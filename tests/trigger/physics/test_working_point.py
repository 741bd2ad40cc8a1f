"""Working points against a search through all thresholds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trigger.errors import UserError
from trigger.physics.codes import count_codes
from trigger.physics.rate import of_events, of_jets
from trigger.physics.working_point import at_efficiency, at_rate

SCORES = hnp.arrays(np.int16, st.integers(1, 60), elements=st.integers(-9, 9))


@given(SCORES, st.integers(1, 100))
def test_the_threshold_is_the_least_that_meets_the_target(score, percent):
    point = at_efficiency(count_codes(score), percent / 100)
    n = len(score)

    def passed(t):
        return int(np.sum(score >= t))

    meets = [
        t
        for t in range(int(score.min()), int(score.max()) + 2)
        if Fraction(passed(t), n) <= Fraction(percent, 100)
    ]
    assert point.threshold == meets[0]
    assert point.passed == passed(meets[0])
    assert point.passed_below == passed(meets[0] - 1)
    if meets[0] > score.min():
        assert Fraction(point.passed_below, n) > Fraction(percent, 100)


@given(SCORES, st.floats(1e-3, 5e4))
def test_a_target_in_khz_is_met_and_the_step_below_is_not(score, target):
    events = of_events(1000)
    point = at_rate(count_codes(score), target, events)
    khz = 2760 * 11246 * Fraction(1, 1000) / 1000  # of one event among 1000
    assert point.passed * khz <= Fraction(repr(target))
    if point.threshold > score.min():
        assert point.passed_below * khz > Fraction(repr(target))
    rates = point.rates
    assert rates.threshold.tolist() == [point.threshold, point.threshold - 1]
    assert rates.passed.tolist() == [point.passed, point.passed_below]
    assert (point.unit, point.target) == ("kHz", target)


def test_a_target_is_the_decimal_that_was_written():
    # as doubles 0.29 * 100 is 28.999999999999996, and 29 jets would not be allowed
    point = at_efficiency(count_codes(np.arange(100)), 0.29)
    assert (point.threshold, point.passed, point.passed_below) == (71, 29, 30)


def test_nothing_is_interpolated_between_codes_far_apart():
    point = at_efficiency(count_codes(np.array([0, 0, 100, 100])), 0.4)
    assert (point.threshold, point.passed, point.passed_below) == (101, 0, 2)
    point = at_efficiency(count_codes(np.array([0, 0, 100, 100])), 0.5)
    assert (point.threshold, point.passed, point.passed_below) == (1, 2, 4)


def test_a_target_that_all_meet_takes_the_least_code():
    point = at_rate(count_codes(np.array([4, 5])), 1e9, of_events(10))
    assert (point.threshold, point.passed, point.passed_below) == (4, 2, 2)


def test_a_stated_jet_rate_gives_khz():
    codes = count_codes(np.arange(10))
    point = at_rate(codes, 300.0, of_jets(10, 1000.0))
    assert (point.threshold, point.passed) == (7, 3)
    assert point.rates.khz is not None
    assert point.rates.khz[0].tolist() == [300, 400]


def test_without_a_jet_rate_there_are_no_khz():
    codes = count_codes(np.arange(10))
    with pytest.raises(UserError, match="ask for a background efficiency"):
        at_rate(codes, 300.0, of_jets(10))
    assert at_efficiency(codes, 0.3).rates.khz is None


def test_a_share_of_other_jets_can_be_asked_for():
    point = at_efficiency(count_codes(np.arange(10)), 0.03, of_jets(100))
    assert (point.threshold, point.passed) == (7, 3)


def test_a_threshold_that_the_word_cannot_hold_is_refused():
    saturated = count_codes(np.array([255] * 5 + [0] * 5, np.uint8))
    assert at_efficiency(saturated, 0.4).threshold == 256
    assert at_efficiency(saturated, 0.4, highest=256).threshold == 256
    with pytest.raises(UserError) as error:
        at_efficiency(saturated, 0.4, highest=255)
    assert str(error.value) == (
        "no threshold up to 255 brings 0.4 background efficiency: at 255, 5 of 10 pass "
        "and 4 may; widen the score or raise its LSB, so that fewer saturate"
    )


@pytest.mark.parametrize("scores", [np.array([0.5, 1.5]), np.zeros(0, np.int64)])
def test_scores_that_are_no_integers_are_refused(scores):
    with pytest.raises(UserError, match="integer threshold on quantised scores"):
        at_efficiency(count_codes(scores), 0.5, of_jets(2))


@pytest.mark.parametrize("target", [0.0, -1.0, float("nan"), float("inf"), 1.5])
def test_a_background_efficiency_that_is_none_is_refused(target):
    with pytest.raises(UserError, match="a background efficiency is a"):
        at_efficiency(count_codes(np.arange(3)), target)


def test_a_target_rate_that_is_none_is_refused():
    with pytest.raises(
        UserError, match="a target rate is a number above 0 kHz, got -1"
    ):
        at_rate(count_codes(np.arange(3)), -1.0, of_events(5))
