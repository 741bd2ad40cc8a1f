"""Edge functions: values, slopes, and means over cells that nest."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.edges import ACTIVATIONS, Perceptron, direct, random_direct
from models.grid import grid_of_sums, grid_of_words
from trigger.errors import UserError

N_IN, N_OUT, BITS = 2, 3, 4


def points(seed=0):
    return jr.normal(jr.key(seed), (N_IN, 2**BITS, N_OUT))


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("depth", [1, 3])
def test_a_perceptron_is_its_formula_and_its_slope_is_the_derivative(activation, depth):
    edges = Perceptron(
        N_IN, N_OUT, hidden=4, depth=depth, activation=activation, key=jr.key(1)
    )
    act = {"tanh": np.tanh, "relu": lambda x: x * (x > 0)}.get(
        activation, lambda x: x / (1 + np.exp(-x))
    )

    exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), edges)

    def one(i, j, u):
        h = act(exact.w_in[i, j] * u + exact.b_in[i, j])
        for w, b in exact.inner:
            h = act(h @ w[i, j] + b[i, j])
        return h @ exact.w_out[i, j] + exact.b_out[i, j]

    at = points()
    value, slope = edges.on(at, jnp.zeros(at.shape, int))
    for i, k, j in [(0, 0, 0), (1, 7, 2), (0, 15, 1)]:
        u = float(at[i, k, j])
        # A few sums of four products of order one, in float32.
        assert abs(value[i, k, j] - one(i, j, u)) < 2e-6
        rise = (one(i, j, u + 1e-6) - one(i, j, u - 1e-6)) / 2e-6
        assert abs(slope[i, k, j] - rise) < 1e-5
    assert float(edges.roughness()) == 0.0


def cells(width):
    own = jnp.arange(2**BITS) >> (BITS - width)
    return jnp.broadcast_to(own[None, :, None], (N_IN, 2**BITS, N_OUT))


@given(st.integers(0, BITS - 1), st.integers(0, 9))
@settings(max_examples=12)
def test_direct_tables_nest(width, seed):
    grid = grid_of_sums(N_IN, BITS, 2.0)
    # Whole numbers: means over powers of two are exact.
    edges = direct(jnp.round(64 * points(seed)), grid)
    coarse, fine = (edges.on(points(), cells(w))[0] for w in (width, width + 1))
    of_halves = fine.reshape(N_IN, 2**width, -1, N_OUT).mean(axis=2, keepdims=True)
    of_cells = coarse.reshape(N_IN, 2**width, -1, N_OUT)
    assert np.array_equal(of_cells, np.broadcast_to(of_halves, of_cells.shape))


def test_codes_that_a_narrow_input_does_not_have_have_no_say():
    code = np.random.default_rng(0).integers(0, 4, (50, N_IN))
    grid = grid_of_words(code, (2, BITS))
    width = jnp.full((N_IN, N_OUT), 1)
    value = points()

    def entry(value):
        return direct(value, grid).on(points(), grid.cell_of(width))[0]

    slope = jax.grad(lambda value: jnp.sum(entry(value)[0, :4]))(value)
    assert np.array_equal(slope[0, :4], np.ones((4, N_OUT)))
    assert np.array_equal(slope[0, 4:], np.zeros((12, N_OUT)))
    # A cell of two codes is the mean of two numbers, and halving is exact.
    assert np.array_equal(entry(value)[0, 3], (value[0, 2] + value[0, 3]) / 2)


def test_straight_lines_have_their_slope_inside_and_are_not_rough():
    grid = grid_of_sums(N_IN, BITS, 2.0)
    line = direct(jnp.tile(3.0 * grid.fine[:, :, None], N_OUT), grid)
    value, slope = line.on(points(), cells(BITS))
    assert np.array_equal(value, line.value)
    assert np.array_equal(slope[:, 1:-1], np.full((N_IN, 14, N_OUT), 3.0))
    assert np.array_equal(slope[:, [0, -1]], np.zeros((N_IN, 2, N_OUT)))
    assert float(line.roughness()) == 0.0
    stacked = jax.vmap(lambda _: random_direct(grid, N_OUT, key=jr.key(0)))(
        jnp.zeros(2)
    )
    bent = jax.tree.map(lambda a: a**2, stacked)
    assert np.isclose(bent.roughness(), jax.vmap(lambda e: e.roughness())(bent).mean())
    assert float(bent.roughness()) > 0


def test_two_codes_are_too_few_to_be_rough():
    grid = grid_of_sums(N_IN, 1, 2.0)
    assert float(random_direct(grid, N_OUT, key=jr.key(0)).roughness()) == 0.0


def test_what_cannot_be_built_is_refused():
    for options, message in (
        ({"n_in": 0}, "n_in=0"),
        ({"hidden": 0}, "hidden=0"),
        ({"depth": 0}, "depth=0"),
        ({"activation": "sine"}, "no activation 'sine' .* tanh, relu, silu"),
    ):
        with pytest.raises(UserError, match=message):
            Perceptron(**{"n_in": 1, "n_out": 1, "key": jr.key(0), **options})
