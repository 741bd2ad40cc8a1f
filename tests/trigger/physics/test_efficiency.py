"""Clopper-Pearson intervals against SciPy's exact test and against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from trigger.errors import UserError
from trigger.physics.efficiency import (
    LEVEL,
    binned,
    clopper_pearson,
    efficiency,
    even_edges,
    find_bins,
)

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.5, LEVEL, 0.9, 0.9973])


@given(COUNTS, LEVELS)
def test_the_interval_is_that_of_the_exact_binomial_test(counts, level):
    k, n = np.array(counts)
    low, high = clopper_pearson(k[None], n[None], level)
    exact = binomtest(*counts).proportion_ci(level, method="exact")
    # SciPy finds the ends by bisection, to 2e-12; ours is a quantile to rounding.
    assert abs(low[0] - exact.low) < 4e-12
    assert abs(high[0] - exact.high) < 4e-12


@given(COUNTS, LEVELS)
def test_at_the_ends_the_tails_hold_half_of_what_is_left(counts, level):
    k, n = counts
    low, high = clopper_pearson(np.array([k]), np.array([n]), level)
    tail = (1 - level) / 2
    # an end is right to some roundings, and a tail moves by up to n times as much
    if k > 0:
        assert abs(binom.sf(k - 1, n, low[0]) - tail) < 1e-12 * n
    if k < n:
        assert abs(binom.cdf(k, n, high[0]) - tail) < 1e-12 * n


@pytest.mark.parametrize("n", [1, 7, 40])
@pytest.mark.parametrize("level", [LEVEL, 0.95])
def test_every_true_efficiency_is_covered_at_least_as_often_as_promised(n, level):
    k = np.arange(n + 1)
    low, high = clopper_pearson(k, np.full(n + 1, n), level)
    for truth in np.linspace(0, 1, 201):
        covered = (low <= truth) & (truth <= high)
        assert (
            binom.pmf(k[covered], n, truth).sum() >= level - 1e-12
        )  # sum of roundings


def test_none_and_all_have_one_sided_ends_in_closed_form():
    tail = (1 - LEVEL) / 2
    n = np.array([1, 3, 1000])
    low, high = clopper_pearson(0 * n, n)
    assert np.array_equal(low, np.zeros(3))
    assert np.allclose(high, 1 - tail ** (1 / n), rtol=1e-12, atol=0)
    low, high = clopper_pearson(n, n)
    assert np.allclose(low, tail ** (1 / n), rtol=1e-12, atol=0)
    assert np.array_equal(high, np.ones(3))


def test_the_default_level_is_one_standard_deviation():
    assert round(100 * LEVEL, 2) == 68.27


def test_of_nothing_nothing_is_known():
    nothing = efficiency(np.array([0]), np.array([0]))
    assert np.isnan(nothing.value[0])
    assert (nothing.low[0], nothing.high[0]) == (0, 1)


def test_arrays_of_any_shape_are_taken():
    k, n = np.arange(6).reshape(2, 3), np.full((2, 3), 5)
    table = efficiency(k, n)
    assert np.array_equal(table.value, k / 5)
    for at in np.ndindex(2, 3):
        alone = clopper_pearson(k[at][None], n[at][None])
        assert (table.low[at], table.high[at]) == (alone[0][0], alone[1][0])


@given(
    st.lists(
        st.tuples(st.sampled_from([-1, 0, 0.5, 1, 2, 2.5, 4, 9]), st.booleans()),
        min_size=1,
    )
)
def test_bins_are_half_open_but_for_the_last(jets):
    x, passed = np.array([j[0] for j in jets], float), np.array([j[1] for j in jets])
    found = binned(passed, x, np.array([0.0, 1.0, 2.0, 4.0]))
    rows = [(x >= 0) & (x < 1), (x >= 1) & (x < 2), (x >= 2) & (x <= 4)]
    assert found.efficiency.total.tolist() == [int(r.sum()) for r in rows]
    assert found.efficiency.passed.tolist() == [int((r & passed).sum()) for r in rows]
    assert found.outside == int(((x < 0) | (x > 4)).sum())
    assert found.edges.tolist() == [0, 1, 2, 4]


def test_pile_up_is_binned_as_it_comes_in_integers():
    found = binned(np.array([True, False]), np.array([140, 200]), np.array([0.0, 200]))
    assert found.efficiency.total.tolist() == [2]


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(UserError, match=f"got {k} of {n} at index 1"):
        clopper_pearson(np.array([0, k]), np.array([5, n]))


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_level_out_of_range_is_refused(level):
    with pytest.raises(UserError, match="level of an interval"):
        clopper_pearson(np.array([0]), np.array([1]), level)


def test_a_variable_that_is_nan_is_refused():
    with pytest.raises(UserError, match=r"row 1 is NaN.*\(1 of 2 are\)"):
        binned(np.ones(2, bool), np.array([1.0, np.nan]), np.array([0.0, 2.0]))


@pytest.mark.parametrize("edges", [[0.0], [0.0, 0.0], [1.0, 0.0]])
def test_edges_that_do_not_ascend_are_refused(edges):
    with pytest.raises(UserError, match="each above the one before"):
        binned(np.ones(1, bool), np.array([1.0]), np.array(edges))


@given(st.integers(1, 8), st.integers(0, 99))
def test_even_edges_hold_as_many_jets_in_each_bin_and_all_of_them(bins, seed):
    values = np.random.default_rng(seed).permutation(np.arange(240.0))
    edges = even_edges(values, bins)
    found = find_bins(values, edges)
    counts = np.bincount(found, minlength=bins)
    assert found.min() == 0
    # Edges stand 239 / bins apart: so many or one more are between, and the last bin has
    # the greatest value besides.
    assert np.ptp(counts) <= 2


def test_values_that_repeat_make_fewer_bins():
    assert even_edges(np.array([1.0, 1.0, 1.0, 2.0]), 4).tolist() == [1.0, 1.25, 2.0]
