"""The laws of the area terms of the loss."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.cost import (
    TABLE_LUTS,
    adder_luts,
    entry_bits,
    linear_ebops,
    linear_luts,
    lut_ebops,
    luts_per_bit,
    signed_digits,
    sum_bits,
    sum_luts,
    tables_luts,
)

SHAPE = (6, 4)
jitted_entry_bits = jax.jit(entry_bits)
jitted_sum_bits = jax.jit(sum_bits)


def edges(dtype, low, high):
    elements = st.integers(low, high)
    return hnp.arrays(np.int64, SHAPE, elements=elements).map(
        lambda a: jnp.asarray(a, dtype)
    )


spans = edges(jnp.float32, 0, 200)
addresses = edges(jnp.float32, 1, 9)
fractions = edges(jnp.float32, 0, 6)


@jax.jit
def slopes(steps, address, fraction):
    hard = steps * 2.0**-fraction
    return jax.grad(
        lambda soft, w, f: tables_luts(soft, hard, w, f), argnums=(0, 1, 2)
    )(hard, address, fraction)


def test_the_price_of_a_table_rises_with_its_address():
    assert np.all(np.diff(TABLE_LUTS) > 0)


@given(spans, addresses, fractions)
def test_gradients_are_finite_and_no_bit_pays_to_be_added(steps, address, fraction):
    for slope in slopes(steps, address, fraction):
        assert np.all(np.isfinite(slope))
        assert np.all(np.asarray(slope) >= 0)


@given(spans, addresses, fractions)
def test_a_live_edge_feels_the_price_of_each_of_its_widths(steps, address, fraction):
    soft, address_slope, fraction_slope = slopes(steps, address, fraction)
    alive = np.asarray(steps) > 0
    for slope in (soft, address_slope, fraction_slope):
        assert np.all(np.asarray(slope)[alive] > 0)
        assert np.all(np.asarray(slope)[~alive] == 0)


@given(spans, fractions)
def test_bits_are_those_of_the_integers(steps, fraction):
    hard = steps * 2.0**-fraction
    needed = [[int(s).bit_length() for s in row] for row in np.asarray(steps)]
    assert np.array_equal(jitted_entry_bits(hard, hard, fraction), needed)
    of_sums = jitted_sum_bits(hard, hard, fraction)
    for j in range(SHAPE[1]):
        column, f = np.asarray(steps)[:, j].astype(int), np.asarray(fraction)[:, j]
        finest = int(max(f[column > 0], default=0))
        whole = sum(
            int(s) << (finest - int(k)) for s, k in zip(column, f, strict=True) if s
        )
        assert of_sums[j] == whole.bit_length()


@given(st.integers(1, 5), st.integers(1, 8))
def test_adders_of_equal_terms_are_those_of_a_balanced_tree(levels, bits):
    """`n / 2` adders of `bits + 1` bits, `n / 4` of one more, and so on to the root."""
    n = 2**levels
    tree = sum(n // 2**k * (bits + k) for k in range(1, levels + 1))
    ones = jnp.ones(n)
    assert adder_luts(bits * ones, ones, jnp.float32(bits + levels), 1.0) == tree


def test_terms_that_do_not_overlap_need_no_adder():
    assert sum_luts(jnp.array([3.0, 4.0]), jnp.float32(9)) == 0
    assert sum_luts(jnp.array([5.0]), jnp.float32(5)) == 0


def test_the_slope_of_a_table_is_that_of_its_neighbours():
    w = jnp.arange(1.0, 12.0)
    slope = jax.grad(lambda x: jnp.sum(luts_per_bit(x)))(w)
    known = np.array(TABLE_LUTS, np.float32)
    assert np.array_equal(slope, (known[2:] - known[:-2]) / 2)


def digits_by_hand(n):
    """Nonzero digits of the signed form in which no two neighbours are nonzero."""
    count = 0
    while n:
        if n & 1:
            n -= 2 - (n & 3)
            count += 1
        n >>= 1
    return count


@settings(max_examples=40)
@given(st.integers(-(2**20), 2**20), st.integers(-8, 8))
def test_signed_digits_are_those_of_the_canonical_form(n, exponent):
    weight = jnp.float32(n * 2.0**exponent)
    assert signed_digits(weight, jnp.float32(4)) == digits_by_hand(abs(n))


def test_a_linear_layer_costs_more_with_every_bit_and_nothing_without_weights():
    key = jax.random.key(0)
    kernel = jnp.round(8 * jax.random.normal(key, (6, 3))) / 8
    x_bits, bits = jnp.full(6, 5.0), jnp.full((6, 3), 5.0)

    def cost(x_bits, bits):
        return linear_luts("i,ij->j", x_bits, kernel, bits)

    for slope in jax.grad(cost, argnums=(0, 1))(x_bits, bits):
        assert np.all(np.isfinite(slope))
        assert np.all(np.asarray(slope) >= 0)
    assert cost(x_bits + 1, bits) > cost(x_bits, bits)
    assert linear_luts("i,ij->j", x_bits, 0 * kernel, bits) == 0


COUNTED = (
    # inputs, outputs, bits of inputs and weights, share of nonzero weights, LUTs
    (8, 8, 6, 4, 1.0, 688),
    (16, 8, 8, 6, 0.5, 1225),
    (16, 16, 6, 3, 0.6, 1256),
    (10, 5, 8, 8, 0.8, 1088),
    (32, 4, 5, 4, 0.7, 849),
    (16, 8, 4, 2, 0.8, 275),
    (12, 12, 7, 5, 0.3, 725),
    (8, 4, 10, 6, 1.0, 935),
)
"""Dense layers of random integers, counted by `firmware.synth` at 360 MHz."""


def test_random_linear_layers_are_within_a_third_of_what_was_counted():
    rng = np.random.default_rng(0)
    for n_in, n_out, x_bits, w_bits, density, counted in COUNTED:
        top = 2 ** (w_bits - 1)
        kernel = rng.integers(1 - top, top, (n_in, n_out))
        kernel = kernel * (rng.random((n_in, n_out)) < density)
        rng.integers(-9, 9, n_out)  # their biases
        estimate = linear_luts(
            "i,ij->j",
            jnp.full(n_in, float(x_bits)),
            jnp.asarray(kernel, jnp.float32),
            jnp.full((n_in, n_out), w_bits - 1.0),
        )
        assert abs(float(estimate) / counted - 1) < 1 / 3


def test_ebops_of_tables_are_the_formula_of_the_reference():
    """`bits_out * (1 + g(bits_in) / 2)`, `g(b) = 2**(b - 5)` from 5 bits up, else `b / 5`."""
    bits_in = jnp.array([[0.0, 2.5, 5.0, 6.0, 8.0]])
    assert np.allclose(
        lut_ebops(bits_in, jnp.full((1, 5), 3.0)),
        [[3.0, 3.75, 4.5, 6.0, 15.0]],
        rtol=1e-6,  # a float32 rounding or two
    )


def test_ebops_of_a_dense_layer_are_products_of_bits_and_the_bits_of_its_biases():
    x, w = jnp.array([2.0, 3.0]), jnp.array([[1.0, 4.0], [5.0, 0.0]])
    assert linear_ebops("i,ij->j", x, w, None) == 2 * 1 + 2 * 4 + 3 * 5
    assert linear_ebops("i,ij->j", x, w, jnp.array([3.0, 4.0])) == 25 + 7
