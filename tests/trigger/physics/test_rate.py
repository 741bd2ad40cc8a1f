"""Rates, their errors and limits, and what has no rate."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binomtest

from trigger.errors import UserError
from trigger.physics.codes import count_codes
from trigger.physics.efficiency import LEVEL
from trigger.physics.rate import event_scores, of_events, of_jets, rates, scan

SCORES = hnp.arrays(np.int16, st.integers(0, 60), elements=st.integers(-9, 9))


def rates_of(passed, normalisation):
    return rates(np.arange(len(passed)), np.array(passed, np.int64), normalisation)


def khz_of(found):
    khz = found.khz
    assert khz is not None
    return khz


def test_all_crossings_are_31039_khz():
    assert of_events(1).full_khz == 31038.96
    assert khz_of(rates_of([1], of_events(1)))[0, 0] == 31038.96


def test_a_thousandth_of_the_crossings_is_31_khz_and_can_be_set_otherwise():
    assert khz_of(rates_of([1000], of_events(10**6)))[0, 0] == 31038.96 / 1000
    assert of_events(5, bunches=2340, revolution_hz=11245.5).full_khz == 26314.47


@given(SCORES)
def test_a_scan_counts_at_each_code_and_ends_where_nothing_passes(score):
    found = scan(score, of_events(100))
    used = sorted(set(score.tolist()))
    expected = [*used, used[-1] + 1] if used else []
    assert found.threshold.tolist() == expected
    assert found.passed.tolist() == [int(np.sum(score >= t)) for t in expected]
    assert np.array_equal(found.share, found.passed / 100)


def test_a_scan_of_counts_is_that_of_the_scores():
    score = np.array([3, 1, 3], np.uint8)
    one, two = scan(score, of_events(9)), scan(count_codes(score), of_events(9))
    assert np.array_equal(one.threshold, two.threshold)
    assert np.array_equal(one.high, two.high)


def test_a_scan_of_floats_is_at_the_values_that_occur():
    found = scan(np.array([0.5, 0.25, 0.5]), of_events(9))
    assert found.threshold.tolist() == [0.25, 0.5]
    assert found.passed.tolist() == [3, 2]


def test_the_greatest_code_has_no_threshold_above():
    assert scan(np.array([2**63 - 1]), of_events(1)).threshold.tolist() == [2**63 - 1]


def test_many_have_the_error_of_a_poisson_count():
    found = rates_of([25, 10_000], of_events(10**6))
    value, low, high = khz_of(found)
    sigma = value / np.sqrt([25, 10_000])
    # value and error differ in the order of three multiplications
    assert np.allclose(high - value, sigma, rtol=1e-12, atol=0)
    assert np.allclose(value - low, sigma, rtol=1e-12, atol=0)
    assert found.interval == ("Poisson", "Poisson")


@pytest.mark.parametrize("passed", [1, 2, 24])
@pytest.mark.parametrize("total", [24, 25, 10**6])
def test_few_have_the_exact_binomial_interval(passed, total):
    found = rates_of([passed], of_events(total))
    exact = binomtest(passed, total).proportion_ci(LEVEL, method="exact")
    assert abs(found.low[0] - exact.low) < 4e-12  # SciPy bisects to 2e-12
    assert abs(found.high[0] - exact.high) < 4e-12
    assert found.interval == ("Clopper-Pearson",)


@pytest.mark.parametrize("total", [1, 10, 10**6])
def test_the_limit_of_none_leaves_none_a_chance_of_32_percent(total):
    found = rates_of([0], of_events(total))
    assert found.low[0] == 0
    # a relative rounding of the limit moves the chance by total * limit < 1.2 of it
    assert abs((1 - found.high[0]) ** total - 0.32) < 1e-9
    assert found.interval == ("upper limit, 68 %",)


def test_the_limit_of_none_is_1_14_events():
    found = rates_of([0], of_events(10**8))
    events = found.high[0] * 10**8
    # the Poisson limit up to limit^2 / 2 over the events
    assert abs(events + math.log(0.32)) < 1e-8
    assert round(events, 2) == 1.14


def test_no_interval_reaches_above_all_crossings():
    assert rates_of([100], of_events(100)).high[0] == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-3, 3))))
def test_the_score_of_an_event_is_the_greatest_of_its_jets_wherever_they_stand(jets):
    event = np.array([(1, b, n) for b, n, _ in jets], np.uint64).reshape(-1, 3)
    score = np.array([s for *_, s in jets], np.int8)
    by_event = defaultdict(list)
    for block, number, s in jets:
        by_event[block, number].append(s)
    expected = [max(by_event[key]) for key in sorted(by_event)]
    assert event_scores(event, score).tolist() == expected


def test_jets_of_an_event_count_once():
    event = np.array([[1, 1, 7], [1, 1, 7], [1, 1, 8]], np.uint64)
    score = np.array([9, 9, 1])
    found = scan(event_scores(event, score), of_events(10))
    assert found.passed.tolist() == [2, 1, 0]  # not 3, 2, 0


@pytest.mark.parametrize("n_gen", [None, 0, -5])
def test_without_generated_events_there_is_no_rate(n_gen):
    with pytest.raises(UserError, match=f"n_gen is {n_gen}; give their number"):
        of_events(n_gen)


def test_without_a_jet_rate_there_is_an_efficiency_and_no_rate():
    found = scan(np.array([1, 2]), of_jets(2))
    assert found.khz is None
    assert found.share.tolist() == [1, 0.5, 0]
    stated = scan(np.array([1, 2]), of_jets(2, 500.0))
    assert khz_of(stated)[0].tolist() == [500, 250, 0]


def test_more_scores_than_events_are_refused():
    with pytest.raises(UserError) as error:
        scan(np.arange(5), of_events(4))
    assert str(error.value) == (
        "5 events pass and there are 4 in all: the total must count every generated "
        "event, and each may be given once"
    )


def test_impossible_numbers_are_refused():
    with pytest.raises(UserError, match="got 0 bunches and 11246"):
        of_events(1, bunches=0)
    with pytest.raises(UserError, match="got 2760 bunches and nan Hz"):
        of_events(1, revolution_hz=float("nan"))
    with pytest.raises(UserError, match="needs background jets, got 0"):
        of_jets(0)
    with pytest.raises(UserError, match="a rate of jets is above 0 kHz, got -1"):
        of_jets(3, -1.0)


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="the value at row 1 is inf"):
        scan(np.array([0.0, np.inf]), of_events(9))
