"""Scale and resolution, and the bootstrap that is not carried out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from trigger.errors import UserError
from trigger.physics.response import response

ONE_BIN = np.array([0.0, 1e9])


def of(ratio, **options):
    """The response of jets of 1 GeV in one bin."""
    ratio = np.asarray(ratio, float)
    one = np.ones(len(ratio))
    return response(ratio, one, one, ONE_BIN, **options)


@given(st.integers(10, 300), st.integers(0, 2**32 - 1))
def test_quantiles_are_jets_counted_from_below(n, seed):
    values = np.random.default_rng(seed).uniform(0.5, 1.5, n)
    ordered = sorted(values.tolist())
    # number ceil(n q) in integers
    low, middle, high = (ordered[(n * q + 99) // 100 - 1] for q in (16, 50, 84))
    found = of(values)
    assert found.median[0] == middle
    assert found.resolution[0] == (high - low) / (2 * middle)


def test_errors_are_those_of_resampling_jet_by_jet():
    n, resamples = 200, 4000
    rng = np.random.default_rng(5)
    values = rng.normal(1, 0.2, n)
    drawn = np.sort(values[rng.integers(0, n, (resamples, n))], axis=1)
    low, middle, high = (drawn[:, n * q // 100 - 1] for q in (16, 50, 84))
    by_hand = middle.std(), ((high - low) / (2 * middle)).std()
    found = of(values, resamples=resamples)
    # Each deviation of N draws is off by 1 / sqrt(2 N) for a Gaussian; the distributions
    # are lumpy, with up to twice its kurtosis: five times that, for two of them.
    tolerance = 5 * math.sqrt(2) * math.sqrt(2) / math.sqrt(2 * resamples)
    assert abs(found.median_error[0] / by_hand[0] - 1) < tolerance
    assert abs(found.resolution_error[0] / by_hand[1] - 1) < tolerance


def test_a_gaussian_has_its_width_and_the_errors_of_its_quantiles():
    n, width = 40_000, 0.1
    found = of(np.random.default_rng(6).normal(1, width, n))
    # of the median sqrt(q (1 - q) / n) / density; five of them
    error = math.sqrt(0.25 / n) / norm.pdf(0) * width
    assert abs(found.median[0] - 1) < 5 * error
    # the bootstrap estimates it from the density near the median, with some n^(-1/4)
    assert abs(found.median_error[0] / error - 1) < 5 * n**-0.25
    expected = norm.ppf(0.84) * width
    assert abs(found.resolution[0] - expected) < 5 * found.resolution_error[0]


def test_pulls_of_many_samples_are_of_unit_width():
    rng = np.random.default_rng(8)
    pulls = []
    for _ in range(400):
        found = of(rng.normal(1, 0.1, 1000), resamples=200)
        pulls.append(
            [
                (found.median[0] - 1) / found.median_error[0],
                (found.resolution[0] - 0.1 * norm.ppf(0.84))
                / found.resolution_error[0],
            ]
        )
    # deviations of 400 unit pulls spread by 1 / sqrt(800): five of these; the bootstrap's
    # own error of n^(-1/4) = 0.18 per sample widens the tails by less than its square
    tolerance = 5 / math.sqrt(800) + 0.04
    assert np.all(np.abs(np.std(pulls, axis=0) - 1) < tolerance)


def test_bins_are_apart_and_those_of_few_jets_are_empty():
    pt = np.repeat([10.0, 30.0, 50.0, 99.0], [50, 9, 20, 1])
    corrected = pt * np.repeat([1.0, 1.1, 1.2, 1.3], [50, 9, 20, 1])
    found = response(corrected, pt, pt, np.array([0.0, 20.0, 40.0, 60.0]))
    assert found.jets.tolist() == [50, 9, 20]
    assert found.outside == 1
    assert found.median[0] == 1.0
    assert np.isnan(found.median[1])
    assert np.isnan(found.resolution_error[1])
    assert abs(found.median[2] - 1.2) < 1e-15  # one rounding
    assert found.resolution[[0, 2]].tolist() == [0, 0]


def test_the_order_of_the_jets_does_not_matter():
    rng = np.random.default_rng(9)
    pt = rng.uniform(10, 60, 500)
    corrected, edges = pt * rng.normal(1, 0.1, 500), np.array([10.0, 30, 60])
    order = rng.permutation(500)
    one = response(corrected, pt, pt, edges)
    two = response(corrected[order], pt[order], pt[order], edges)
    for name in ("median", "median_error", "resolution", "resolution_error"):
        assert np.array_equal(getattr(one, name), getattr(two, name))


def test_the_seed_makes_the_errors():
    values = np.random.default_rng(1).normal(1, 0.1, 100)
    assert np.array_equal(of(values).median_error, of(values).median_error)
    assert of(values).median_error[0] != of(values, seed=1).median_error[0]


@pytest.mark.parametrize(
    ("corrected", "true"), [(1.0, 0.0), (1.0, -3.0), (np.nan, 1.0), (1.0, np.inf)]
)
def test_momenta_that_have_no_response_are_refused(corrected, true):
    with pytest.raises(UserError, match=r"GeV at row 1 \(1 of 2 rows are such\)"):
        response(np.array([1.0, corrected]), np.array([1.0, true]), np.ones(2), ONE_BIN)
