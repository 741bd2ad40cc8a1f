import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trigger.errors import UserError
from trigger.words import Word, choose_word

finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def words(draw):
    """A word of any width, sign and LSB."""
    lsb = 2.0 ** draw(st.integers(-960, 960))
    return Word("any", draw(st.integers(1, 53)), draw(st.booleans()), lsb, "GeV")


@st.composite
def words_and_counts(draw):
    """A word, and some counts that fit in it."""
    word = draw(words())
    return word, draw(hnp.arrays(np.int64, 5, elements=st.integers(*word.range)))


@given(words_and_counts())
def test_encode_undoes_decode(case):
    word, raw = case
    assert np.array_equal(word.encode(word.decode(raw)), raw)


@given(words(), st.lists(finite, max_size=8))
@example(Word("any", 1, True, 2.0**312, "GeV"), [-1e-230])  # the quotient underflows
def test_encode_truncates_and_saturates_as_exact_arithmetic_does(word, values):
    lo, hi = word.range
    exact = [
        min(max(math.floor(Fraction(value) / Fraction(word.lsb)), lo), hi)
        for value in values
    ]
    assert word.encode(np.array(values, np.float64)).tolist() == exact


@given(words_and_counts())
def test_decode_is_exact(case):
    word, raw = case
    exact = [Fraction(int(count)) * Fraction(word.lsb) for count in raw]
    assert [Fraction(value) for value in word.decode(raw).tolist()] == exact


@given(words())
def test_limits_are_the_values_of_the_range(word):
    assert word.decode(np.array(word.range)).tolist() == list(word.limits)


@given(words())
def test_int_bits_are_those_left_of_the_point(word):
    magnitude_bits = word.int_bits - word.signed
    assert Fraction(word.range[1] + 1) * Fraction(word.lsb) == Fraction(2) ** (
        magnitude_bits
    )


def test_a_single_precision_column_encodes_like_its_double():
    word = Word("mass", 8, False, 0.25, "GeV")
    values = np.array([0.1, 17.3, 1e38], np.float32)
    assert np.array_equal(word.encode(values), word.encode(values.astype(np.float64)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_with_word_and_row(value):
    word = Word("mass", 8, False, 1.0, "GeV")
    expected = rf"word 'mass': the value at row 1 is {value}.*\(2 of 3 values"
    with pytest.raises(UserError, match=expected):
        word.encode(np.array([1.0, value, np.nan]))


def test_a_count_that_does_not_fit_is_refused_with_the_range():
    word = Word("mass", 8, True, 1.0, "GeV")
    expected = r"count 128 at row 1 does not fit in 8 signed bits, which hold -128..127"
    with pytest.raises(UserError, match=expected):
        word.decode(np.array([0, 128, -129]))


@pytest.mark.parametrize("bits", [0, -1, 54])
def test_an_impossible_width_is_refused(bits):
    with pytest.raises(UserError, match=rf"1\.\.53 bits is possible, got {bits}"):
        Word("mass", bits, False, 1.0, "GeV")


@pytest.mark.parametrize("lsb", [0.0, -1.0, 0.3, math.inf, math.nan, 2.0**-1000])
def test_an_lsb_that_is_no_power_of_two_is_refused(lsb):
    with pytest.raises(UserError, match=f"must be a power of two .*, got {lsb}"):
        Word("mass", 8, False, lsb, "GeV")


columns = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.floats(-1e12, 1e12, width=64)
)
bits = st.integers(1, 24)
tails = st.sampled_from([0.5, 0.9, 0.998, 1.0])


def saturated(word, values):
    """How many values lie below and above what the word can hold."""
    lo, hi = (Fraction(edge) * Fraction(word.lsb) for edge in word.range)
    below = sum(Fraction(v) < lo for v in values.tolist())
    above = sum(Fraction(v) >= hi + Fraction(word.lsb) for v in values.tolist())
    return below, above


@given(columns, bits, tails)
def test_at_most_half_the_tail_saturates_at_either_end(values, bits, tail):
    word = choose_word("x", values, bits=bits, unit="", tail=tail)
    assert word.signed == (values.min() < 0)
    allowed = math.floor((1 - tail) / 2 * (len(values) - 1) + 1e-9)
    assert max(saturated(word, values)) <= allowed


@given(columns, st.integers(2, 24))
def test_half_the_lsb_would_cut_a_value(values, bits):
    assume(values.any())
    word = choose_word("x", values, bits=bits, unit="", tail=1.0)
    assume(word.lsb_exponent > -960)
    finer = Word("x", bits, word.signed, word.lsb / 2, "")
    assert max(saturated(finer, values)) > 0


@pytest.mark.parametrize("bits", [1, 8])
def test_a_feature_of_zeros_counts_in_ones(bits):
    word = choose_word("x", np.zeros(5), bits=bits, unit="GeV")
    assert word == Word("x", bits, False, 1.0, "GeV")


@pytest.mark.parametrize(
    ("value", "signed", "lsb"),
    [
        (255.0, False, 1.0),
        (256.0, False, 2.0),
        (0.4, False, 2.0**-9),
        (-1.0, True, 2**-7),
    ],
)
def test_a_constant_feature_gets_the_word_that_just_holds_it(value, signed, lsb):
    word = choose_word("x", np.full(7, value), bits=8, unit="")
    assert (word.signed, word.lsb) == (signed, lsb)


def test_a_feature_of_nearly_all_zeros_is_judged_by_the_rest():
    values = np.zeros(100_000)
    values[3] = 100.0
    assert choose_word("x", values, bits=8, unit="").lsb == 0.5


def test_a_long_tail_saturates_instead_of_coarsening_the_rest():
    values = np.append(np.linspace(0, 200, 10_000), [1e6])
    assert choose_word("x", values, bits=8, unit="").lsb == 1.0


@given(st.sampled_from([5e-324, 1e-300, 1e300, 1.7e308]), st.integers(1, 53))
def test_values_at_the_ends_of_the_doubles_get_a_word(value, bits):
    word = choose_word("x", np.array([value]), bits=bits, unit="")
    assert 0 <= word.encode(np.array([value]))[0] <= word.range[1]


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_a_word_needs_finite_values(values):
    with pytest.raises(UserError, match="'x': its LSB follows from finite values"):
        choose_word("x", np.array(values, np.float64), bits=8, unit="")


@pytest.mark.parametrize("tail", [0.0, 1.5, math.nan])
def test_a_tail_that_is_no_share_is_refused(tail):
    with pytest.raises(UserError, match="tail must be in 0 < tail <= 1"):
        choose_word("x", np.ones(3), bits=8, unit="", tail=tail)
