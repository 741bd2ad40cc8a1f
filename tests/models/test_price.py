"""The laws of the controller that finds the price of area."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.price import HIGHEST, LOWEST, Price, area_target

areas = st.floats(1.0, 1e5)


@given(st.floats(LOWEST, HIGHEST), areas, areas, st.floats(0.01, 2.0))
def test_the_price_rises_exactly_when_the_network_is_too_large(
    value, luts, target, gain
):
    following = Price(value).follow(luts, target, gain).value
    assert LOWEST <= following <= HIGHEST
    if luts >= target:
        assert following >= value
    if luts <= target:
        assert following <= value


@given(st.integers(1, 200), st.lists(st.floats(1, 1e4), min_size=1, max_size=5))
def test_each_period_ends_at_its_area(epochs, periods):
    epochs = max(epochs, 4 * len(periods))
    length = epochs / len(periods)
    for n, area in enumerate(periods):
        last = int((n + 1) * length) - 1
        found = area_target(last, epochs, tuple(periods), 0.5, first=1e4)
        assert found == pytest.approx(area, rel=1e-9)  # powers in double precision


def test_the_target_falls_on_a_logarithmic_scale():
    targets = [area_target(e, 4, (1.0,), 1.0, first=16.0) for e in range(4)]
    assert targets == [8.0, 4.0, 2.0, 1.0]
