"""The fit of turn-ons: closure on simulated jets, and what cannot be fitted."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf
from scipy.stats import binom

from trigger.errors import UserError
from trigger.physics import turn_on
from trigger.physics.turn_on import fit_turn_on

TRUTH = (0.93, 60.0, 12.0)
EDGES = np.linspace(20, 120, 101)


def jets(rng, count, plateau=0.93, middle=60.0, sigma=12.0):
    x = rng.uniform(20, 120, count)
    share = plateau * 0.5 * (1 + erf((x - middle) / (math.sqrt(2) * sigma)))
    return x, rng.random(count) < share


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(7)
    return [fit_turn_on(*jets(rng, 4000), EDGES) for _ in range(200)]


def test_the_pulls_of_all_parameters_are_those_of_a_unit_gaussian(fits):
    pulls = []
    for fit in fits:
        values = [
            ((fit.plateau, fit.plateau_error), TRUTH[0]),
            (fit.point(0.5), TRUTH[1]),
            ((fit.sigma, fit.sigma_error), TRUTH[2]),
            (fit.point(0.95), TRUTH[1] + 1.6448536269514722 * TRUTH[2]),
        ]
        pulls.append([(value - truth) / error for (value, error), truth in values])
    n = len(fits)
    # Means of n unit pulls spread by 1 / sqrt(n), their deviations by 1 / sqrt(2 n): five
    # of these.  Bins of w = sigma / 12 add w^2 / 24 sigma = 0.003 to sigma, below 1 % of
    # its error; and the estimate's own bias is of order 1 / jets, below 0.1 of the error:
    # both are within a mean's five.
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 5 / math.sqrt(n))
    assert np.all(np.abs(np.std(pulls, axis=0) - 1) < 5 / math.sqrt(2 * n))


def test_the_deviance_is_distributed_as_chi2(fits):
    per_degree = [fit.deviance / fit.degrees for fit in fits]
    assert {fit.degrees for fit in fits} == {97}
    # A chi2 over its d degrees has mean 1 and variance 2 / d; five deviations of the
    # mean.  Bins where nearly nothing can happen (below x = 30, some 10 of 100) hold
    # less than a degree each, so up to 0.1 may lack.
    error = 5 * math.sqrt(2 / 97 / len(fits))
    assert 1 - 0.1 - error < np.mean(per_degree) < 1 + 0.1 + error


def test_the_fit_is_where_the_likelihood_is_greatest(fits):
    fit = fits[0]

    def cost(plateau, middle, sigma):
        share = plateau * 0.5 * (1 + erf((fit.x - middle) / (math.sqrt(2) * sigma)))
        return -binom.logpmf(fit.passed, fit.total, share).sum()

    best = np.array([fit.plateau, fit.middle, fit.sigma])
    errors = np.sqrt(np.diag(fit.covariance))
    here = cost(*best)
    hessian = np.linalg.inv(fit.covariance)
    for direction in np.vstack([np.eye(3), -np.eye(3), np.ones(3)]):
        step = 0.05 * direction * errors
        rise = cost(*(best + step)) - here
        parabola = 0.5 * step @ hessian @ step
        # At the maximum the slope is 0, and the third order is step / error times some
        # skewness of order 1 / sqrt(jets in the turn-on): below a hundredth.
        assert rise > 0
        assert abs(rise / parabola - 1) < 0.05


@given(
    st.floats(0.3, 0.99), st.floats(40, 80), st.floats(3, 20), st.integers(0, 2**32 - 1)
)
def test_derivatives_are_those_of_differences(plateau, middle, sigma, seed):
    rng = np.random.default_rng(seed)
    x = np.linspace(middle - 2 * sigma, middle + 2 * sigma, 12)
    total = rng.integers(1, 50, 12)
    counts = rng.integers(0, total + 1), total
    theta = np.array([plateau, middle, sigma])
    _, slope, hessian = turn_on._derivatives(theta, x, *counts)
    for i, step in enumerate(theta * 1e-5):
        shift = step * np.eye(3)[i]
        up, down = (
            turn_on._derivatives(theta + sign * shift, x, *counts) for sign in (1, -1)
        )
        # central differences: their error is of the order of the step squared, 1e-10,
        # against third derivatives up to 1e4 of these scales, and roundings over 1e-5
        scale = np.abs(theta[i] * slope[i]) + total.sum()
        assert abs((up[0] - down[0]) / 2e-5 - theta[i] * slope[i]) < 1e-4 * scale
        rows = (up[1] - down[1]) / (2 * step)
        scale = np.abs(hessian[i] * theta) + 100 * total.sum() / theta[i]
        assert np.all(np.abs(rows - hessian[i]) * theta < 1e-4 * scale * theta)


def test_the_curve_goes_through_its_points(fits):
    fit = fits[0]
    for share in (0.5, 0.9, 0.95):
        at = np.array([fit.point(share)[0]])
        # two special functions that undo each other, each to some roundings
        assert abs(fit.curve(at)[0] - share * fit.plateau) < 1e-12
    assert fit.point(0.5)[0] == fit.middle
    assert fit.point(0.95)[1] > fit.point(0.5)[1]


def test_a_plateau_of_one_is_held_there():
    rng = np.random.default_rng(1)
    fit = fit_turn_on(*jets(rng, 3000, plateau=1.0, sigma=5.0), EDGES)
    assert (fit.plateau, fit.plateau_error) == (1, 0)
    assert fit.degrees == 98
    middle, error = fit.point(0.5)
    assert abs(middle - 60) < 5 * error


def test_jets_outside_the_bins_do_not_take_part():
    rng = np.random.default_rng(2)
    x, passed = jets(rng, 2000)
    far = np.append(x, [-5.0, 1e6]), np.append(passed, [True, False])
    one, two = fit_turn_on(x, passed, EDGES), fit_turn_on(*far, EDGES)
    assert (one.plateau, one.middle, one.sigma) == (two.plateau, two.middle, two.sigma)
    assert one.total.sum() == 2000


def test_bins_without_jets_are_left_out():
    rng = np.random.default_rng(3)
    x, passed = jets(rng, 3000)
    keep = (x < 40) | (x > 50)
    fit = fit_turn_on(x[keep], passed[keep], EDGES)
    assert len(fit.x) == 90
    assert abs(fit.middle - 60) < 5 * fit.point(0.5)[1]


def refusal(x, passed, edges=EDGES):
    with pytest.raises(UserError) as error:
        fit_turn_on(x, passed, edges)
    return str(error.value)


def test_too_few_jets_are_refused():
    x = np.linspace(20, 120, 100)
    assert refusal(x, x > 110) == (
        "a turn-on is fitted to at least 20 jets that pass, 20 that fail and 4 bins with "
        "jets: in 20..120 10 of 100 pass, in 100 bins"
    )
    assert "100 of 100 pass" in refusal(x, np.ones(100, bool))
    assert "in 3 bins" in refusal(x, x > 60, np.linspace(20, 120, 4))


def test_a_turn_on_outside_the_range_is_refused():
    rng = np.random.default_rng(4)
    x = rng.uniform(20, 120, 5000)
    assert "there is no turn-on in 20..120" in refusal(x, rng.random(5000) < 0.6)


def test_an_efficiency_that_falls_is_refused():
    rng = np.random.default_rng(4)
    x, passed = jets(rng, 5000, plateau=1.0)
    assert "no turn-on in 20..120" in refusal(x, ~passed)


def test_a_turn_on_that_never_reaches_its_plateau_is_refused():
    rng = np.random.default_rng(5)
    text = refusal(*jets(rng, 20_000, middle=105.0, sigma=20.0))
    assert text.startswith("the turn-on never reaches its plateau in 20..120")


def test_a_turn_on_sharper_than_the_bins_is_refused():
    x = np.linspace(20, 120, 2000)
    text = refusal(x, x > 60.0)
    assert text.startswith("the turn-on at 59.")
    assert "is sharper than the bins of 1 can tell" in text
