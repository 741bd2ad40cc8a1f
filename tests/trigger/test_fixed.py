import math
from fractions import Fraction
from itertools import product
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trigger.errors import UserError
from trigger.fixed import LSB_EXPONENTS, Fixed, Overflow, Rounding, parse

ROUNDINGS, OVERFLOWS = get_args(Rounding), get_args(Overflow)
MODES = [*product(ROUNDINGS, OVERFLOWS, (True, False))]
finite = st.floats(allow_nan=False, allow_infinity=False)


# The conversion again, of one exact number in Python's integers, after the words of the
# user guide and with nothing of `trigger.fixed`.


def whole(x, rounding):
    """The integer that a fraction is rounded to."""
    below, above = math.floor(x), math.ceil(x)
    inner, outer = (below, above) if x > 0 else (above, below)
    if rounding == "TRN":
        return below
    if rounding == "TRN_ZERO":
        return inner
    if x - below != above - x:
        return min((below, above), key=lambda n: abs(x - n))
    return {
        "RND": above,
        "RND_MIN_INF": below,
        "RND_INF": outer,
        "RND_ZERO": inner,
        "RND_CONV": below if below % 2 == 0 else above,
    }[rounding]


def held(n, bits, signed, overflow):
    """The integer of some bits that stands for one of any size."""
    most = 2 ** (bits - signed) - 1
    least = -most - 1 if signed else 0
    if overflow == "SAT_SYM" and signed:
        least = -max(most, 1)  # as AMD's own headers have it for a single bit
    if overflow == "WRAP":
        n %= 2**bits
        return n - 2**bits if n > most else n
    if least <= n <= most:
        return n
    return 0 if overflow == "SAT_ZERO" else (least if n < least else most)


def exact(value, f):
    """The count of a fraction."""
    count = Fraction(value) * Fraction(2) ** (f.bits - f.int_bits)
    return held(whole(count, f.rounding), f.bits, f.signed, f.overflow)


@st.composite
def types(draw, widest=64):
    """A type of any width, point, sign and modes."""
    signed = draw(st.booleans())
    bits = draw(st.integers(1, widest if signed else min(widest, 63)))
    near = st.integers(-70, 70)
    exponent = draw(near | st.integers(LSB_EXPONENTS[0], LSB_EXPONENTS[-1]))
    modes = draw(st.sampled_from(ROUNDINGS)), draw(st.sampled_from(OVERFLOWS))
    return Fixed(bits, bits + exponent, signed, *modes)


@st.composite
def types_and_values(draw):
    """A type, and values: any, and those near its ties, its ends and multiples."""
    f = draw(types())
    reach = 2**f.bits
    halves = st.integers(-5, 5) | st.integers(-3 * reach, 3 * reach)
    ends = st.tuples(st.sampled_from([*f.range, *f.ends, reach]), st.integers(-3, 3))
    quarters = halves.map(lambda n: 2 * n) | ends.map(lambda e: 4 * e[0] + e[1])
    near = quarters.map(lambda n: float(Fraction(n, 4) * Fraction(f.lsb)))
    beside = st.tuples(near, st.sampled_from([-math.inf, math.inf])).map(
        lambda pair: math.nextafter(*pair)
    )
    few = st.lists(finite | near.filter(math.isfinite) | beside, max_size=8)
    return f, [value for value in draw(few) if math.isfinite(value)]


@given(types_and_values())
@example((Fixed(1, 313), [-1e-230]))  # the product underflows
@example((Fixed(8, 900, False), [-1e-320]))
@example((Fixed(8, 8, True, "RND", "SAT"), [0.5 - 2**-54, -0.5 - 2**-53]))
@example((Fixed(64, 64, True, "RND", "SAT"), [2.0**63, -(2.0**63) - 2048, 1e300]))
@example((Fixed(64, 64, True, "RND", "WRAP"), [2.0**63, 2.0**64 - 2048, -(2.0**64)]))
@example((Fixed(64, 64, True, "RND", "WRAP"), [-(2.0**63) - 2048]))
@example((Fixed(63, 63, False, "RND", "SAT"), [2.0**63, -1.0, 2.0**63 - 1024]))
@example((Fixed(64, 64, True, "RND", "SAT_SYM"), [-(2.0**63)]))
@example((Fixed(8, -892, True, "RND_CONV", "WRAP"), [1.7e308, 5e-324]))
def test_encoding_is_what_exact_arithmetic_gives(case):
    f, values = case
    counts = f.encode(np.array(values, np.float64))
    assert counts.dtype == np.int64
    assert counts.tolist() == [exact(value, f) for value in values]


@pytest.mark.parametrize(("rounding", "overflow", "signed"), MODES)
@pytest.mark.parametrize(("bits", "int_bits"), [(1, 1), (4, 2), (5, 0), (3, 7)])
def test_every_mode_is_right_on_all_quarters_of_a_count(
    bits, int_bits, rounding, overflow, signed
):
    f = Fixed(bits, int_bits, signed, rounding, overflow)
    values = np.arange(-5 * 2**bits, 5 * 2**bits + 1) * (f.lsb / 4)
    assert f.encode(values).tolist() == [exact(value, f) for value in values.tolist()]


# From the user guide's tables: 2 or 4 fraction bits dropped, and 19 in 4 bits.
@pytest.mark.parametrize(
    ("text", "value", "held_value"),
    [
        ("ap_fixed<3,2,AP_RND,AP_SAT>", 1.25, 1.5),
        ("ap_fixed<3,2,AP_RND,AP_SAT>", -1.25, -1.0),
        ("ap_fixed<3,2,AP_RND_ZERO,AP_SAT>", 1.25, 1.0),
        ("ap_fixed<3,2,AP_RND_ZERO,AP_SAT>", -1.25, -1.0),
        ("ap_fixed<3,2,AP_RND_MIN_INF,AP_SAT>", 1.25, 1.0),
        ("ap_fixed<3,2,AP_RND_MIN_INF,AP_SAT>", -1.25, -1.5),
        ("ap_fixed<3,2,AP_RND_INF,AP_SAT>", 1.25, 1.5),
        ("ap_fixed<3,2,AP_RND_INF,AP_SAT>", -1.25, -1.5),
        ("ap_fixed<2,2,AP_RND_CONV,AP_SAT>", 0.75, 1.0),
        ("ap_fixed<3,2,AP_RND_CONV,AP_SAT>", -1.25, -1.0),
        ("ap_fixed<3,2,AP_TRN,AP_SAT>", 1.25, 1.0),
        ("ap_fixed<3,2,AP_TRN,AP_SAT>", -1.25, -1.5),
        ("ap_fixed<3,2,AP_TRN_ZERO,AP_SAT>", -1.25, -1.0),
        ("ap_fixed<4,4,AP_RND,AP_SAT>", 19.0, 7.0),
        ("ap_fixed<4,4,AP_RND,AP_SAT>", -19.0, -8.0),
        ("ap_ufixed<4,4,AP_RND,AP_SAT>", 19.0, 15.0),
        ("ap_ufixed<4,4,AP_RND,AP_SAT>", -19.0, 0.0),
        ("ap_fixed<4,4,AP_RND,AP_SAT_ZERO>", 19.0, 0.0),
        ("ap_fixed<4,4,AP_RND,AP_SAT_SYM>", -19.0, -7.0),
        ("ap_fixed<4,4,AP_RND,AP_SAT_SYM>", -8.0, -7.0),
        ("ap_ufixed<4,4,AP_RND,AP_SAT_SYM>", -19.0, 0.0),
        ("ap_fixed<4,4,AP_RND,AP_WRAP>", 31.0, -1.0),
        ("ap_fixed<4,4,AP_RND,AP_WRAP>", -19.0, -3.0),
        ("ap_ufixed<4,4,AP_RND,AP_WRAP>", 19.0, 3.0),
        ("ap_ufixed<4,4,AP_RND,AP_WRAP>", -19.0, 13.0),
        ("ap_fixed<8,8>", -1.5, -2.0),
        ("ap_int<8>", -1.5, -1.0),
    ],
)
def test_the_user_guides_examples_hold(text, value, held_value):
    f = parse(text)
    assert f.decode(f.encode(np.array([value]))).tolist() == [held_value]


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_a_value_counts_the_same_wherever_it_stands(rounding, overflow):
    f = Fixed(12, 8, True, rounding, overflow)
    draw = np.random.default_rng(1)
    # Blocks within the ends, beyond them, and beyond all integers, in one array.
    size = np.repeat([1.0, 200.0, 1e30, 1.0], 20_000)
    values = np.round(draw.normal(0, 1, size.size) * size * 32) / 32
    counts = f.encode(values)
    few = draw.integers(0, values.size, 300)
    assert counts[few].tolist() == [exact(value, f) for value in values[few].tolist()]
    for single in (np.float32, np.float16):
        narrow = np.clip(values, -6e4, 6e4).astype(single)
        assert np.array_equal(f.encode(narrow), f.encode(narrow.astype(np.float64)))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (6,), (2, 3), (1, 2, 3)])
def test_any_shape_is_kept(shape):
    f = Fixed(8, 6)
    values = np.linspace(-3, 3, math.prod(shape)).reshape(shape)
    counts = f.encode(values)
    assert counts.shape == shape
    assert counts.ravel().tolist() == [exact(v, f) for v in values.ravel().tolist()]


def test_a_column_of_a_matrix_is_as_good_as_a_copy():
    matrix = np.random.default_rng(2).normal(0, 30, (50_000, 3)).astype(np.float32)
    f = parse("ap_fixed<10,6,AP_RND,AP_SAT>")
    assert np.array_equal(f.encode(matrix[:, 1]), f.encode(matrix[:, 1].copy()))
    assert np.array_equal(f.encode(matrix.T), f.encode(matrix).T)


@pytest.mark.parametrize("overflow", OVERFLOWS)
@pytest.mark.parametrize(
    ("dtype", "bits"), [(np.int8, 8), (np.int16, 16), (np.int32, 20), (np.int32, 32)]
)
def test_a_narrow_dtype_holds_the_same_counts(dtype, bits, overflow):
    f = Fixed(bits, 4, True, "RND", overflow)
    values = np.random.default_rng(3).normal(0, 9, 1000)
    narrow = f.encode(values, dtype=dtype)
    assert narrow.dtype == dtype
    assert np.array_equal(narrow, f.encode(values))
    assert np.array_equal(f.decode(narrow), f.decode(f.encode(values)))


def test_a_dtype_that_is_too_narrow_is_refused():
    message = r"x: counts of ap_ufixed<16,8> are 0..65535, int16 holds -32768..32767"
    with pytest.raises(UserError, match=message):
        parse("ap_ufixed<16,8>").encode(np.zeros(1), dtype=np.int16, name="x")


@given(types(53), st.data())
def test_encode_undoes_decode(f, data):
    raw = np.array(data.draw(st.lists(st.integers(*f.ends), max_size=6)), np.int64)
    assert np.array_equal(f.encode(f.decode(raw)), raw)


@given(types(), st.data())
def test_decode_gives_the_nearest_double(f, data):
    raw = data.draw(st.lists(st.integers(*f.range), max_size=6))
    values = f.decode(np.array(raw, np.int64)).tolist()
    assert values == [float(n) * f.lsb for n in raw]
    if f.bits <= 53:
        assert [Fraction(v) for v in values] == [n * Fraction(f.lsb) for n in raw]


@st.composite
def pairs_and_counts(draw):
    """A type to convert from, one to convert to, and counts of the first."""
    source = draw(types())
    target = draw(types())
    shift = draw(st.integers(-70, 70))
    bits = target.bits
    exponent = min(
        max(source.int_bits - source.bits + shift, LSB_EXPONENTS[0]), LSB_EXPONENTS[-1]
    )
    target = Fixed(
        bits, bits + exponent, target.signed, target.rounding, target.overflow
    )
    counts = st.integers(*source.range)
    if 1 <= shift < source.bits:  # also some that lie at a tie, or beside it
        half = 2 ** (shift - 1)
        lo, hi = source.range
        tie = st.tuples(st.integers(lo // half, hi // half), st.integers(-1, 1))
        counts |= tie.map(lambda t: min(max(t[0] * half + t[1], lo), hi))
    return source, target, draw(st.lists(counts, max_size=8))


@given(pairs_and_counts())
@example((Fixed(64, 64), Fixed(8, 72, True, "RND_INF"), [-(2**63), 2**63 - 1]))
@example((Fixed(64, 64), Fixed(8, 72, True, "RND_MIN_INF", "SAT"), [-(2**63), -1]))
@example((Fixed(64, 64), Fixed(1, 64, True, "RND_CONV"), [-(2**63), -(2**62), 2**62]))
@example((Fixed(8, 78), Fixed(64, 64, True, "TRN", "SAT"), [1, 0, -1]))
@example((Fixed(8, 78), Fixed(64, 64), [1, 0, -1]))
def test_requantising_is_what_exact_arithmetic_gives(case):
    source, target, raw = case
    counts = target.requantise(np.array(raw, np.int64), source)
    values = [n * Fraction(source.lsb) for n in raw]
    assert counts.tolist() == [exact(value, target) for value in values]


@pytest.mark.parametrize(("rounding", "overflow", "signed"), MODES)
def test_every_mode_requantises_all_counts_of_a_type(rounding, overflow, signed):
    target = Fixed(4, 2, signed, rounding, overflow)
    for shift, of in product((-9, -4, -1, 0, 1, 2, 3, 6, 7, 8, 9), (True, False)):
        source = Fixed(7, 5 - shift, of)
        raw = np.arange(source.range[0], source.range[1] + 1)
        values = [n * Fraction(source.lsb) for n in raw.tolist()]
        counts = target.requantise(raw, source)
        assert counts.tolist() == [exact(value, target) for value in values]


@pytest.mark.parametrize(("rounding", "overflow", "signed"), MODES)
def test_counts_far_below_the_lsb_requantise_exactly(rounding, overflow, signed):
    source = Fixed(64, 64)
    powers = [s * 2**n for n in (0, 1, 59, 60, 61, 62, 63) for s in (1, -1)]
    near = [n + d for n in powers for d in (-1, 0, 1)]
    raw = [n for n in near if source.range[0] <= n <= source.range[1]]
    for shift in (61, 62, 63, 64, 65, 66, 200):
        target = Fixed(8, 8 + shift, signed, rounding, overflow)
        counts = target.requantise(np.array(raw), source)
        assert counts.tolist() == [exact(n, target) for n in raw]


@given(types())
def test_parse_undoes_str(f):
    assert parse(str(f)) == f


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ap_fixed<16,6>", Fixed(16, 6, True, "TRN", "WRAP")),
        ("ap_fixed<16,6,AP_RND>", Fixed(16, 6, True, "RND", "WRAP")),
        ("ap_fixed< 16, 6, AP_RND, AP_SAT >", Fixed(16, 6, True, "RND", "SAT")),
        ("ap_fixed<24,12,AP_RND,AP_SAT,0>", Fixed(24, 12, True, "RND", "SAT")),
        ("ap_ufixed<8,-2,AP_TRN,AP_SAT>", Fixed(8, -2, False, "TRN", "SAT")),
        ("ap_uint<3>", Fixed(3, 3, False, "TRN_ZERO", "WRAP")),
        ("ap_int<12>", Fixed(12, 12, True, "TRN_ZERO", "WRAP")),
    ],
)
def test_a_cpp_name_is_read(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (Fixed(16, 6), "ap_fixed<16,6>"),
        (Fixed(16, 6, False, "RND_CONV"), "ap_ufixed<16,6,AP_RND_CONV>"),
        (Fixed(14, 12, False, "TRN", "SAT"), "ap_ufixed<14,12,AP_TRN,AP_SAT>"),
        (Fixed(3, 3, False, "TRN_ZERO"), "ap_uint<3>"),
    ],
)
def test_a_type_is_written_as_in_cpp(f, text):
    assert str(f) == text


@pytest.mark.parametrize("text", ["", "fixed<16,6>", "ap_fixed<16>", "ap_int<3,2>"])
def test_what_is_no_type_is_refused(text):
    with pytest.raises(UserError, match=f"'{text}' is no fixed-point type; expected"):
        parse(text)


def test_saturation_bits_are_refused():
    with pytest.raises(UserError, match="is no fixed-point type"):
        parse("ap_fixed<16,6,AP_RND,AP_WRAP,3>")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ap_fixed<16,6,AP_RNDD>", r"no rounding mode 'RNDD'; .* of 7 are 'RND', "),
        ("ap_fixed<16,6,AP_SAT,AP_RND>", "no rounding mode 'SAT'"),
        ("ap_fixed<16,6,AP_TRN,AP_WRAP_SM>", r"no overflow mode 'WRAP_SM'; .* 'WRAP'"),
        ("ap_fixed<65,6>", r"a signed fixed-point type has 1\.\.64 bits, got 65"),
        ("ap_uint<64>", r"an? unsigned fixed-point type has 1\.\.63 bits, got 64"),
        ("ap_fixed<0,6>", "got 0"),
        ("ap_fixed<8,1000>", r"of 8 bits has -952\.\.968 integer bits, got 1000"),
    ],
)
def test_an_impossible_type_is_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse(text)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_what_is_not_finite_is_refused_with_the_first_place(dtype, value, overflow):
    values = np.zeros((5, 10_000), dtype)
    values[3, 17] = values[4, 2] = value
    message = rf"pt: the value at index \(3, 17\) is {value}, .*\(2 of 50000 values"
    with pytest.raises(UserError, match=message):
        Fixed(8, 8, True, "RND", overflow).encode(values, name="pt")


def test_a_count_that_does_not_fit_is_refused():
    message = (
        r"pt: count 16 at index \(1, 0\) does not fit in 4 unsigned bits, "
        r"which hold 0\.\.15 \(2 of 4 counts"
    )
    with pytest.raises(UserError, match=message):
        parse("ap_uint<4>").decode(np.array([[0, 1], [16, -1]]), name="pt")
    with pytest.raises(UserError, match=r"ap_uint<4>: count 16 at row 0 does not fit"):
        parse("ap_int<8>").requantise(np.array([16]), parse("ap_uint<4>"))
