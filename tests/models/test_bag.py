"""The embedding bag against the sum written out, in value and gradient, however mapped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from materialised import quickly

from models import native
from models.bag import bag, bag_of_values

SHAPES = [(1, 1, 1, 2), (50, 3, 4, 8), (7, 5, 1, 16)]
ENGINES = ["kernel", "xla"]


@pytest.fixture(autouse=True, params=ENGINES)
def engine(request, monkeypatch):
    if request.param == "xla":
        monkeypatch.setattr(native, "ready", lambda: False)
    elif not native.ready():
        pytest.skip("there is no compiler here")


def case(shape, lead=(), stack=()):
    """Whole numbers, so that every order of summation is exact."""
    rows, n_in, n_out, codes = shape
    rng = np.random.default_rng(sum(shape))

    def whole(*size):
        return jnp.asarray(rng.integers(-20, 21, size), jnp.float32)

    return (
        whole(*stack, n_in, codes, n_out),
        whole(*stack, n_in, codes, n_out),
        jnp.asarray(rng.integers(0, codes, (*lead, rows, n_in)), jnp.int32),
        whole(*lead, rows, n_in),
        jnp.asarray(rng.integers(0, 2, (*lead, rows, n_in)), jnp.float32),
        whole(*lead, rows, n_out),
    )


def written_out(table, slope, gain, code, rest, inside, x):
    """The sums with an array of all edges of all rows; `x` and `gain` count their slope."""
    chosen = (jnp.arange(table.shape[0]), code)
    moved = (x - jax.lax.stop_gradient(x)) * inside
    rise = moved[:, :, None] + rest[:, :, None] * (gain - jax.lax.stop_gradient(gain))
    return jnp.sum(table[chosen] + slope[chosen] * rise, axis=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_gradients_and_shares_are_those_of_the_sum_written_out(shape):
    def all_of(given, gain, seen):
        table, slope, code, rest, inside, dy = given

        def ours(table, gain, x, seen):
            return bag_of_values(table, slope, gain, seen, code, rest, inside, x)

        def theirs(table, gain, x):
            return written_out(table, slope, gain, code, rest, inside, x)

        y, back = jax.vjp(ours, table, gain, rest, seen)
        expected, other = jax.vjp(theirs, table, gain, rest)
        words, of_words = jax.vjp(lambda t: bag(t, code), table)
        return (y, *back(dy)), (expected, *other(dy)), (words, *of_words(dy))

    given = case(shape)
    empty = np.zeros(given[0].shape[::2], "f4"), np.zeros(given[0].shape[:2], "f4")
    (*got, seen), expected, words = quickly(all_of)(given, *empty)
    for a, b in zip((*got, *words), (*expected, *expected[:2]), strict=True):
        assert np.array_equal(a, b)
    # Counts of 1/rows, added up to `rows` times.
    share = np.mean(np.asarray(given[2])[:, :, None] == np.arange(shape[3]), axis=0)
    assert np.allclose(seen, share, rtol=0, atol=shape[0] * 2**-24)


# A letter for every axis in front: e of examples, n of networks; first is outermost.
NESTS = ["e", "n", "ee", "ne", "en", "nn", "ene", "nen"]


@pytest.mark.parametrize("nest", NESTS)
def test_any_nesting_of_vmap_gives_the_sums_and_the_gradients_of_a_loop(nest):
    sizes = [{"e": 4, "n": 2}[axis] for axis in nest]
    stack = tuple(n for n, axis in zip(sizes, nest, strict=True) if axis == "n")
    table, slope, code, rest, inside, dy = case((3, 2, 4, 8), tuple(sizes), stack)
    gain, seen = np.zeros((*stack, 2, 4), "f4"), np.zeros((*stack, 2, 8), "f4")

    def mapped(one, of_stack, of_rows):
        for axis in reversed(nest):
            inner = 0 if axis == "n" else None
            one = jax.vmap(one, (inner,) * of_stack + (0,) * of_rows)
        return one

    def of_values(table, slope, gain, seen, code, rest, inside, x):
        return bag_of_values(table, slope, gain, seen, code, rest, inside, x)

    def ours(table, gain, x, seen):
        layer = mapped(of_values, 4, 4)
        return layer(table, slope, gain, seen, code, rest, inside, x)

    def theirs(table, gain, x):
        return mapped(written_out, 3, 4)(table, slope, gain, code, rest, inside, x)

    def of_words(table):
        return mapped(bag, 1, 1)(table, code)

    def both(table, gain, seen, x, dy):
        y, back = jax.vjp(ours, table, gain, x, seen)
        expected, other = jax.vjp(theirs, table, gain, x)
        words, of_dtable = jax.vjp(of_words, table)
        flat = mapped(written_out, 3, 4)(
            table, slope, gain, code, jnp.zeros_like(rest), inside, rest
        )
        return (y, *back(dy)), (expected, *other(dy)), (words, *of_dtable(dy)), flat

    (*got, occupancy), expected, (words, dtable), flat = quickly(both)(
        table, gain, seen, rest, dy
    )
    for a, b in zip(got, expected, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(words, flat)
    assert np.array_equal(dtable, expected[1])
    # Every table has the shares of all the rows that it met, counted one by one.
    behind = [axis for axis, letter in enumerate(nest) if letter == "e"]
    rows = np.moveaxis(np.asarray(code), behind, range(-2 - len(behind), -2))
    rows = rows.reshape(*stack, -1, 2)
    known = np.mean(rows[..., None] == np.arange(8), axis=-3)
    assert np.allclose(occupancy, known, rtol=0, atol=64 * 2**-24)


def test_networks_share_the_codes_of_a_batch():
    table, _, code, _, _, dy = case((3, 2, 4, 8), (4,), (2,))

    def of_networks(table):
        return jax.vmap(lambda t: jax.vmap(lambda k: bag(t, k))(code))(table)

    y, back = jax.vjp(of_networks, table)
    slope = back(jnp.stack([dy, 2 * dy]))[0]
    for k in range(2):
        flat = code.reshape(-1, 2)
        alone, of_one = jax.vjp(lambda t, flat=flat: bag(t, flat), table[k])
        assert np.array_equal(y[k].reshape(-1, 4), alone)
        assert np.array_equal(slope[k], of_one((k + 1) * dy.reshape(-1, 4))[0])
