"""Comparisons without division against exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.errors import UserError
from trigger.physics.comparison import LogRatio, Product

PAIRS = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=20
)


@given(PAIRS, st.integers(1, 12), st.data())
def test_the_product_is_the_share_of_signal_as_an_exact_fraction(pairs, bits, data):
    t = data.draw(st.integers(0, 2**bits))
    s, b = np.array(pairs, np.uint8).T
    found = Product(bits).passes(s, b, t)
    for (own, other), passes in zip(pairs, found, strict=True):
        if own + other:
            assert passes == (Fraction(own, own + other) >= Fraction(t, 2**bits))
        else:
            assert passes  # 0 >= 0


@given(PAIRS, st.integers(1, 12), st.data())
def test_the_code_of_a_product_is_the_greatest_threshold_it_passes(pairs, bits, data):
    s, b = np.array(pairs).T
    product = Product(bits)
    t = data.draw(st.integers(0, 2**bits))
    assert np.array_equal(product.code(s, b) >= t, product.passes(s, b, t))


def test_two_scores_of_zero_pass_every_threshold_in_both_forms():
    zero = np.zeros(1, np.uint8)
    assert Product(8).code(zero, zero).tolist() == [256]
    assert Product(8).passes(zero, zero, 256).tolist() == [True]
    assert Product(8).passes(zero, zero + np.uint8(1), 1).tolist() == [False]


@given(
    st.lists(
        st.tuples(st.integers(-(2**61), 2**61), st.integers(-(2**61), 2**61)),
        min_size=1,
    ),
    st.integers(-(2**62), 2**62),
)
def test_the_log_ratio_is_the_difference_in_integers_without_end(pairs, t):
    s, b = np.array(pairs, np.int64).T
    assert LogRatio().code(s, b).tolist() == [own - other for own, other in pairs]
    assert LogRatio().passes(s, b, t).tolist() == [o - k >= t for o, k in pairs]


def test_narrow_and_unsigned_scores_do_not_wrap():
    low, high = np.array([0], np.uint8), np.array([255], np.uint8)
    assert LogRatio().code(low, high).tolist() == [-255]
    assert Product(8).code(high, high).tolist() == [128]


def test_the_greatest_numbers_that_fit_are_taken_and_the_next_refused():
    top = 2**63 - 1
    one, zero = np.array([1]), np.array([0])
    assert LogRatio().code(np.array([top]), zero).tolist() == [top]
    assert LogRatio().code(np.array([-top]), one).tolist() == [-top - 1]
    for signal, background in (([top], [-1]), ([-top], [2])):
        with pytest.raises(UserError, match=r"s_sig - s_bkg can reach \d+"):
            LogRatio().code(np.array(signal), np.array(background))
    assert Product(62).code(one, zero).tolist() == [2**62]
    for signal, background in ((2 * one, zero), (zero, 2 * one)):
        with pytest.raises(UserError, match=r"s \* 2\*\*62 can reach"):
            Product(62).passes(signal, background, 1)


def test_a_negative_score_is_refused_with_its_row():
    scores = np.array([3, -2], np.int8)
    with pytest.raises(UserError, match="got s_bkg = -2 at row 1; compare logits"):
        Product(8).code(np.array([1, 1]), scores)


@pytest.mark.parametrize("t", [-1, 257])
def test_a_threshold_out_of_range_is_refused(t):
    with pytest.raises(UserError, match=rf"thresholds 0\.\.256, got {t}"):
        Product(8).passes(np.array([1]), np.array([1]), t)


@pytest.mark.parametrize("bits", [0, 63])
def test_a_width_out_of_range_is_refused(bits):
    with pytest.raises(UserError, match=f"got {bits}"):
        Product(bits)


@pytest.mark.parametrize("comparison", [LogRatio(), Product(8)])
def test_no_jets_have_no_codes(comparison):
    none = np.zeros(0, np.int64)
    assert comparison.code(none, none).size == 0
    assert comparison.passes(none, none, 3).size == 0
