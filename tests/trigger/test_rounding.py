import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.rounding import Rounding, scale_and_round, shift_down

ROUNDINGS = get_args(Rounding)


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("TRN", [-3, -2, -2, -1, 0, 1, 1, 2]),
        ("TRN_ZERO", [-2, -1, -1, 0, 0, 1, 1, 2]),
        ("RND", [-2, -2, -1, 0, 1, 2, 2, 3]),
        ("RND_MIN_INF", [-3, -2, -2, -1, 0, 1, 2, 2]),
        ("RND_INF", [-3, -2, -2, -1, 1, 2, 2, 3]),
        ("RND_ZERO", [-2, -2, -1, 0, 0, 1, 2, 2]),
        ("RND_CONV", [-2, -2, -2, 0, 0, 2, 2, 2]),
    ],
)
def test_quarters_are_rounded_as_the_table_says(rounding, expected):
    quarters = np.array([-10, -7, -6, -2, 2, 6, 7, 10])
    assert shift_down(quarters, 2, rounding).tolist() == expected


@given(
    st.lists(st.integers(-(2**53), 2**53), max_size=8),
    st.integers(1, 70),
    st.sampled_from(ROUNDINGS),
)
def test_doubles_and_integers_are_rounded_alike(counts, shift, rounding):
    raw = np.array(counts, np.int64)
    out = np.empty(len(counts))
    scale_and_round(raw.astype(np.float64), -shift, rounding, out)
    assert shift_down(raw, shift, rounding).tolist() == out.tolist()


@given(
    st.lists(st.floats(-1e200, 1e200), max_size=8),
    st.integers(-200, 200),
    st.sampled_from(ROUNDINGS),
)
def test_a_modulus_changes_no_count_but_by_its_multiples(values, exponent, rounding):
    array, plain = np.array(values, np.float64), np.empty(len(values))
    folded = np.empty(len(values))
    scale_and_round(array, exponent, rounding, plain)
    modulus = math.ldexp(1.0, 64 - exponent)
    scale_and_round(array, exponent, rounding, folded, modulus)
    assert all(abs(count) <= 2.0**64 for count in folded)
    differences = [int(a) - int(b) for a, b in zip(plain, folded, strict=True)]
    assert all(difference % 2**64 == 0 for difference in differences)
