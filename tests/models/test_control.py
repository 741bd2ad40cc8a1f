"""The laws of the prices, and that they find what a simulated network costs."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.control import HIGHEST, LOWEST, MOST_STEP, Price, area_target, ramped

costs = st.floats(1e-3, 1e6)
prices = st.floats(LOWEST, HIGHEST)
ROUNDING = 1e-9
"""Far above the rounding of a few double operations, far below any step."""


@st.composite
def steps(draw):
    """A price with or without a past, and what it sees next."""
    price = Price(draw(prices), draw(st.none() | costs))
    return price, draw(costs), draw(costs), draw(st.floats(0.01, 2.0))


@given(steps())
def test_a_price_never_rises_for_what_is_small_nor_falls_for_what_is_large(case):
    price, cost, target, gain = case
    new = price.follow(cost, target, gain)
    if cost > target:
        assert new.value >= price.value * (1 - ROUNDING)
    else:
        assert new.value <= price.value * (1 + ROUNDING)
    assert new.before == cost


@given(prices, costs, costs, st.floats(0.01, 2.0))
def test_without_a_trend_it_rises_exactly_when_the_network_is_too_large(
    value, cost, target, gain
):
    new = Price(value, before=cost).follow(cost, target, gain)
    apart = abs(log(cost / target)) * gain > ROUNDING
    if cost > target and apart and value < HIGHEST:
        assert new.value > value
    if cost < target and apart and value > LOWEST:
        assert new.value < value


@given(steps())
def test_no_price_goes_beyond_the_step_or_its_bounds(case):
    price, cost, target, gain = case
    new = price.follow(cost, target, gain)
    assert LOWEST <= new.value <= HIGHEST
    assert abs(log(new.value / price.value)) <= MOST_STEP + ROUNDING


@given(steps(), st.floats(1.0, 10.0))
def test_the_larger_the_cost_the_higher_the_next_price(case, factor):
    price, cost, target, gain = case
    less = price.follow(cost, target, gain).value
    more = price.follow(cost * factor, target, gain).value
    assert more >= less * (1 - ROUNDING)


def test_a_network_of_nothing_lowers_the_price_as_far_as_a_step_goes():
    new = Price(1e-3).follow(0.0, 100.0, 0.3)
    assert new.value == pytest.approx(1e-3 * exp(-MOST_STEP))
    again = new.follow(0.0, 100.0, 0.3)
    assert again.value < new.value


def plant(price, *, power, noise, delay, epochs, target, gain=0.3, seed=0):
    """Costs of a network that answers `A * price**-power`, late and noisily."""
    rng = np.random.default_rng(seed)
    controller, wanted, seen = Price(price), [], []
    size = target * 1e-4**power  # so that the price wanted is 1e-4
    state = log(size / price**power)
    for _ in range(epochs):
        wanted.append(log(size / controller.value**power))
        # A network goes a part of the way in an epoch.
        state += (wanted[-1] - state) / delay
        seen.append(exp(state + noise * rng.normal()))
        controller = controller.follow(seen[-1], target, gain)
    return np.array(seen), controller


@pytest.mark.parametrize("power", [0.2, 0.4, 0.8])
@pytest.mark.parametrize("delay", [1, 3, 6])
@pytest.mark.parametrize("price", [1e-6, 1e-4, 1e-2])
def test_the_cost_of_a_simulated_network_comes_to_its_target(power, delay, price):
    seen, controller = plant(
        price, power=power, noise=0.0, delay=delay, epochs=200, target=700.0
    )
    assert np.all(np.abs(np.log(seen[-50:] / 700.0)) < 0.05)
    assert abs(log(controller.value / 1e-4)) < 0.05 / power


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("delay", [1, 3])
def test_noise_moves_the_cost_no_further_than_a_few_times_itself(delay, seed):
    noise = 0.02
    seen, _ = plant(
        1e-5, power=0.4, noise=noise, delay=delay, epochs=300, target=700.0, seed=seed
    )
    late = np.log(seen[-150:] / 700.0)
    # The trend has twice the noise of two costs, of which a price takes a share of
    # gain: the loop stays within a few times of what it is fed with.
    assert np.std(late) < 3 * noise
    assert abs(np.mean(late)) < 2 * noise


@given(
    st.integers(1, 60),
    st.lists(st.floats(1.0, 1e5), min_size=1, max_size=4),
    st.floats(0.0, 1.0),
    st.floats(1.0, 1e5),
)
def test_the_area_target_ends_each_period_at_its_own_and_never_leaves_their_span(
    length, periods, ramp, first
):
    epochs = length * len(periods)
    path = [area_target(e, epochs, tuple(periods), ramp, first) for e in range(epochs)]
    ends = path[length - 1 :: length]
    assert np.allclose(ends, periods, rtol=1e-9)
    low, high = min(first, *periods), max(first, *periods)
    assert all(low * (1 - 1e-9) <= area <= high * (1 + 1e-9) for area in path)
    for k, (before, end) in enumerate(zip((first, *periods), periods, strict=False)):
        own = np.array(path[k * length : (k + 1) * length])
        assert np.all(np.diff(own) * np.sign(end - before) >= -1e-9 * own[1:])


@given(
    st.integers(1, 200), st.floats(1e-8, 1e-2), st.floats(0.01, 1.0), st.floats(0, 1)
)
def test_a_ramp_rises_from_its_share_to_the_price_and_holds(
    epochs, price, first, share
):
    path = [ramped(e, epochs, price, first, share) for e in range(epochs + 1)]
    assert path[0] == pytest.approx(price * first)
    assert path[-1] == pytest.approx(price)
    assert np.all(np.diff(path) >= -1e-9 * price)
