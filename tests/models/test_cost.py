"""The laws of the area terms, and how near they come to what was counted."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from recorded_networks import recorded

from models.cost import (
    TABLE_LUTS,
    adder_luts,
    bit_changes,
    clip_luts,
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
NETWORKS = recorded()
jitted_entry_bits = jax.jit(entry_bits)
jitted_sum_bits = jax.jit(sum_bits)
jitted_area = jax.jit(tables_luts)


def edges(dtype, low, high):
    elements = st.integers(low, high)
    return hnp.arrays(np.int64, SHAPE, elements=elements).map(
        lambda a: jnp.asarray(a, dtype)
    )


spans = edges(jnp.float32, 0, 200)
addresses = edges(jnp.float32, 1, 9)
fractions = edges(jnp.float32, 0, 6)
many = edges(jnp.float32, 0, 60)


@jax.jit
def area(steps, fraction, changes):
    """What is counted, which the address is no part of."""
    hard = steps * 2.0**-fraction
    address = jnp.full_like(hard, 6)
    return tables_luts(hard, hard, address, fraction, jnp.where(hard > 0, changes, 0))


@jax.jit
def slopes(steps, address, fraction):
    hard = steps * 2.0**-fraction
    return jax.grad(
        lambda soft, w, f: tables_luts(soft, hard, w, f, hard), argnums=(0, 1, 2)
    )(hard, address, fraction)


def test_the_area_of_recorded_networks_is_near_the_count():
    """What `models.cost` says of the fit: 6 % r.m.s., 16 % at most; counts wander."""
    estimate = [sum(float(jitted_area(*x)) for x in n.layers) for n in NETWORKS]
    off = np.array(estimate) / [n.luts for n in NETWORKS] - 1
    assert np.sqrt(np.mean(off**2)) < 0.07
    assert np.max(np.abs(off)) < 0.17
    sizes = [network.luts for network in NETWORKS]
    assert len(sizes) >= 12
    assert min(sizes) < 300
    assert max(sizes) > 3500


@given(spans, fractions, many, st.integers(0, 23))
def test_one_more_change_never_costs_less(steps, fraction, changes, at):
    more = changes.at[np.unravel_index(at, SHAPE)].add(1)
    assert area(steps, fraction, more) >= area(steps, fraction, changes)


@given(spans, fractions, st.integers(0, 20), st.integers(0, 23))
def test_one_more_bit_that_changes_as_often_as_all_never_costs_less(
    steps, fraction, often, at
):
    """Twice the span at the same LSB: one bit more, for the sum as well at most."""

    def cost(steps):
        bits = np.frexp(np.asarray(steps))[1]
        return area(steps, fraction, jnp.asarray(often * bits, jnp.float32))

    wider = steps.at[np.unravel_index(at, SHAPE)].mul(2)
    # The same sum of up to 24 terms in float32, in another order.
    assert cost(wider) >= cost(steps) * (1 - 24 * 2.0**-23)


@given(spans, fractions, many, st.integers(0, 23))
def test_a_dead_edge_costs_nothing_wherever_its_widths_stand(
    steps, fraction, changes, at
):
    place = np.unravel_index(at, SHAPE)
    dead = steps.at[place].set(0)
    assert area(dead, fraction, changes) <= area(steps, fraction, changes)
    moved = (dead, fraction.at[place].set(6.0), changes.at[place].set(60.0))
    assert area(*moved) == area(dead, fraction, changes)


def test_a_layer_without_live_edges_costs_nothing():
    zero = jnp.zeros(SHAPE)
    assert area(zero, zero + 3, zero) == 0


def test_the_price_of_a_table_rises_with_its_address():
    assert np.all(np.diff(TABLE_LUTS) > 0)


@given(
    hnp.arrays(np.int64, (2, 8, 3), elements=st.integers(-40, 40)), st.integers(0, 6)
)
def test_changes_are_those_of_the_bits_that_the_firmware_holds(steps, fraction):
    entry = jnp.asarray(steps * 2.0**-fraction, jnp.float32)
    found = bit_changes(entry, jnp.full((2, 3), float(fraction)))
    for i, j in np.ndindex(2, 3):
        held = [int(v) - int(steps[i, :, j].min()) for v in steps[i, :, j]]
        flips = [(a ^ b).bit_count() for a, b in pairwise(held)]
        assert found[i, j] == sum(flips)


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


def test_saturations_cost_what_they_keep_and_what_they_lose():
    kept, telling = jnp.array([4.0, 4.0]), jnp.array([2.0, 0.0])
    assert clip_luts(kept, telling) == 2.5


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
