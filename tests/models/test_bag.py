"""The embedding bag against the sum written out, in value and gradient."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from models.bag import bag, bag_of_values

SHAPES = [(1, 1, 1, 2), (50, 3, 4, 8), (7, 5, 1, 16)]


def case(shape):
    batch, n_in, n_out, codes = shape
    keys = jr.split(jr.key(sum(shape)), 4)
    table = jr.normal(keys[0], (n_in, codes, n_out))
    code = jr.randint(keys[1], (batch, n_in), 0, codes)
    return (
        table,
        code,
        jr.normal(keys[2], (batch, n_out)),
        jr.normal(keys[3], code.shape),
    )


def written_out(table, code):
    inputs = jnp.arange(table.shape[0])
    return jnp.sum(table[inputs, code], axis=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_bag_is_the_sum_of_the_selected_entries(shape):
    table, code, *_ = case(shape)
    whole = jnp.round(8 * table)  # integers: every order of summation is exact
    assert np.array_equal(bag(whole, code), written_out(whole, code))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_of_the_table_counts_what_was_selected(shape):
    table, code, dy, _ = case(shape)
    whole = jnp.round(8 * dy)
    got = jax.vjp(lambda t: bag(t, code), table)[1](whole)[0]
    expected = jax.vjp(lambda t: written_out(t, code), table)[1](whole)[0]
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_values_get_the_slope_of_their_entry_where_they_do_not_saturate(shape):
    table, code, dy, rest = case(shape)
    slope, dy, rest = (jnp.round(8 * a) for a in (jnp.sin(table), dy, rest))
    inside = (rest > 0).astype(table.dtype)
    zero = jnp.zeros(table.shape[::2])

    def layer(table, gain, x):
        return bag_of_values(table, slope, gain, code, rest, inside, x)

    dtable, dgain, dx = jax.vjp(layer, table, zero, rest)[1](dy)
    chosen = slope[jnp.arange(table.shape[0]), code]  # (batch, n_in, n_out)
    assert np.array_equal(dx, jnp.sum(chosen * dy[:, None], axis=2) * inside)
    assert np.array_equal(
        dgain, jnp.sum(chosen * rest[:, :, None] * dy[:, None], axis=0)
    )
    assert np.array_equal(
        dtable, jax.vjp(lambda t: written_out(t, code), table)[1](dy)[0]
    )
