"""The compiled kernels against the forms that XLA compiles, and how they are built."""

import os
import subprocess
import sys
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from small_networks import random_codes, spread

from models import bag, forms, native
from models.edges import Perceptron
from models.grid import grid_of_sums, grid_of_words
from models.lut import LUTDense
from models.quantise import whole
from models.reading import Words, values

pytestmark = pytest.mark.skipif(not native.ready(), reason="no compiler, no kernels")

# Neither form adds in a stated order: of a sum of n terms float32 loses at most
# n * 2**-24 of the sum of their sizes.  The longest here have n = 4 * 32 * 3 terms and
# cancel to about a tenth, hence 384 * 6e-8 * 10 for the worst and far less as a rule.
GRADIENTS = 5e-6
"""Difference of two gradients, relative to the largest of its array."""


def layers(words, norm, seed, n_in=4, n_out=6, bits=5, hidden=5):
    """A layer with widths of all sizes, some of whose inputs are narrow."""
    if words:
        own = (bits, 2, bits - 1, 1)[:n_in]
        code = random_codes(300, own, seed)
        reading = Words(grid_of_words(code, own), own, (0,) * n_in)
    else:
        reading = values(n_in, bits)
    layer = LUTDense(reading, n_out, hidden=hidden, batch_norm=norm, key=jr.key(seed))
    return spread(layer, jr.key(seed + 100))


CASES = [(words, norm) for words in (True, False) for norm in (True, False)]


def filled(form, layer):
    grid = layer.reading.grid
    own = jnp.asarray(grid.bits, jnp.float32)[:, None]
    address = whole(layer.address, jnp.minimum(own, layer.most_address))
    fraction = whole(layer.fraction, 10.0)
    norm = None
    if layer.gamma is not None:
        norm = forms.Norm(layer.gamma, layer.beta, layer._weight())
    return form(layer.edges, address, fraction, norm, grid), fraction


def reachable(grid):
    """Codes that an input has; those behind are never looked up."""
    return np.arange(grid.fine.shape[1]) < 2 ** np.array(grid.bits)[:, None]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("words", "norm"), CASES)
def test_both_forms_make_the_same_tables(words, norm, seed):
    layer = layers(words, norm, seed)
    (kernel, fraction), (xla, _) = (
        eqx.filter_jit(partial(filled, form))(layer)
        for form in (forms.by_kernel, forms.by_xla)
    )
    there = reachable(layer.reading.grid)
    step = 2.0 ** -np.asarray(fraction)[:, None]
    a, b = (np.asarray(f.entry / step) for f in (kernel, xla))
    a, b = a[there], b[there]
    assert np.array_equal(a, np.rint(a))
    # Entries are whole steps; where the two are not the same, the value stood within
    # float32's rounding of half a step, and they are neighbours.  That is rare: the
    # values differ by some 1e-6, so it happens to one in some 1e5 entries.
    assert np.max(np.abs(a - b)) <= 1
    assert np.sum(a != b) <= 1
    if np.array_equal(a, b):
        assert np.array_equal(kernel.hard, xla.hard)
    for one, other in ((kernel.slope, xla.slope), (kernel.soft, xla.soft)):
        one, other = np.asarray(one), np.asarray(other)
        if one.ndim == 3:
            one, other = one[there], other[there]
        assert np.max(np.abs(one - other)) <= GRADIENTS * np.max(np.abs(other))


def slopes(form, layer, weight):
    """Gradients of a loss that every entry and every span enters."""

    @eqx.filter_jit
    def of(layer, weight):
        trained, rest = eqx.partition(layer, eqx.is_inexact_array)

        def loss(trained):
            tables, _ = filled(form, eqx.combine(trained, rest))
            return jnp.sum(tables.entry * weight) + jnp.sum(tables.soft * weight[:, 0])

        grads = jax.grad(loss)(trained)
        return (grads.edges, grads.address, grads.fraction, grads.gamma, grads.beta)

    return of(layer, weight)


def close(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.max(np.abs(a - b)) <= GRADIENTS * max(np.max(np.abs(b)), 1e-3)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("words", "norm"), CASES)
def test_both_forms_have_the_same_gradients(words, norm, seed):
    layer = layers(words, norm, seed)
    grid = layer.reading.grid
    weight = jr.normal(jr.key(seed), (*grid.fine.shape, 6))
    weight = weight * reachable(grid)[:, :, None]
    close(*(slopes(f, layer, weight) for f in (forms.by_kernel, forms.by_xla)))


@pytest.mark.parametrize(
    ("n_out", "hidden", "bits"), [(1, 1, 3), (17, 8, 7), (33, 18, 6)]
)
def test_any_sizes_fill_the_vectors_of_the_kernel(n_out, hidden, bits):
    layer = layers(True, True, 1, n_out=n_out, bits=bits, hidden=hidden)
    grid = layer.reading.grid
    weight = jr.normal(jr.key(2), (*grid.fine.shape, n_out))
    weight = weight * reachable(grid)[:, :, None]
    close(*(slopes(f, layer, weight) for f in (forms.by_kernel, forms.by_xla)))


def test_the_tanh_of_the_kernel_is_good_to_a_few_steps_and_keeps_nan():
    grid = grid_of_sums(1, 12, 16.0)
    unit = lambda x: jnp.full((1, 1, 1), x)  # noqa: E731
    edges = eqx.tree_at(
        lambda e: (e.w_in, e.b_in, e.w_out, e.b_out),
        Perceptron(1, 1, hidden=1, key=jr.key(0)),
        (unit(1.0), unit(0.0), unit(1.0), jnp.zeros((1, 1))),
    )
    # Entries of 2**-30 round nothing away.
    widths = jnp.full((1, 1), 12.0), jnp.full((1, 1), 30.0)
    made = forms.by_kernel(edges, *widths, None, grid)
    exact = np.tanh(np.asarray(grid.fine, np.float64))[0]
    assert np.max(np.abs(made.entry[0, :, 0] / exact - 1)) < 4e-7
    lost = eqx.tree_at(lambda e: e.w_in, edges, unit(jnp.nan))
    assert np.all(np.isnan(forms.by_kernel(lost, *widths, None, grid).entry))


def test_a_stack_of_networks_is_each_of_them():
    stack = [layers(False, True, seed) for seed in range(3)]
    arrays, rest = zip(*(eqx.partition(s, eqx.is_array) for s in stack), strict=True)
    together = jax.tree.map(lambda *a: jnp.stack(a), *arrays)

    @jax.jit
    def all_of(together):
        one = lambda a: filled(forms.by_kernel, eqx.combine(a, rest[0]))[0]  # noqa: E731
        return jax.vmap(one)(together)

    made = all_of(together)
    for n, layer in enumerate(stack):
        alone = eqx.filter_jit(partial(filled, forms.by_kernel))(layer)[0]
        for a, b in zip(made, alone, strict=True):
            assert np.array_equal(a[n], b)


# -------------------------------------------------------------------------- the bag


def bag_case(stacked, whole_numbers, rows=70, n_out=5):
    keys = jr.split(jr.key(7), 6)
    lead = (3,) if stacked else ()
    n_in, codes = 4, 8
    draw = lambda k, *s: jr.normal(keys[k], s)  # noqa: E731
    made = (
        draw(0, *lead, n_in, codes, n_out),
        draw(1, *lead, n_in, codes, n_out),
        draw(2, *lead, rows, n_in),
        draw(3, *lead, rows, n_out),
    )
    if whole_numbers:
        made = tuple(jnp.round(4 * part) for part in made)
    code = jr.randint(keys[4], (*lead, rows, n_in), 0, codes)
    return *made, code


def bag_and_gradients(table, slope, rest, dy, code):
    inside = (rest > -1).astype(jnp.float32)
    zero = jnp.zeros((table.shape[0], table.shape[2]))
    seen = jnp.zeros(table.shape[:2])

    def of_values(table, gain, seen, x):
        return bag.bag_of_values(table, slope, gain, seen, code, rest, inside, x)

    y, back = jax.vjp(of_values, table, zero, seen, rest)
    again, of_words = jax.vjp(lambda t: bag.bag(t, code), table)
    return y, *back(dy), again, *of_words(dy)


def both(monkeypatch, function, *operands):
    by_kernel = jax.jit(lambda *o: function(*o))(*operands)
    monkeypatch.setenv("JETLUT_NATIVE", "0")
    assert not native.ready()
    return by_kernel, jax.jit(lambda *o: function(*o))(*operands)


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("whole_numbers", [False, True])
def test_both_forms_of_the_bag_are_the_same(monkeypatch, stacked, whole_numbers):
    function = jax.vmap(bag_and_gradients) if stacked else bag_and_gradients
    kernel, xla = both(monkeypatch, function, *bag_case(stacked, whole_numbers))
    for a, b in zip(kernel, xla, strict=True):
        if whole_numbers:  # exact in any order; shares of 70 rows are not
            assert np.allclose(a, b, rtol=0, atol=2**-22)
            assert np.array_equal(np.rint(a), np.rint(b))
        else:
            assert np.max(np.abs(a - b)) <= GRADIENTS * np.max(np.abs(b))


@pytest.mark.parametrize("n_out", [1, 8, 13, 32, 40, 64, 70])
def test_bags_of_any_number_of_outputs_are_the_same(monkeypatch, n_out):
    case = bag_case(False, True, rows=600, n_out=n_out)
    for a, b in zip(*both(monkeypatch, bag_and_gradients, *case), strict=True):
        assert np.allclose(a, b, rtol=0, atol=2**-22)


def test_examples_of_a_batch_are_rows_of_one_bag(monkeypatch):
    table, slope, rest, dy, code = bag_case(False, True)

    def by_example(table, slope, rest, dy, code):
        def total(table):
            one = lambda c: bag.bag(table, c[None])[0]  # noqa: E731
            y = jax.vmap(one)(code)
            return jnp.sum(y * dy), y

        (_, y), slope_of_table = jax.value_and_grad(total, has_aux=True)(table)
        return y, slope_of_table

    of_rows = bag_and_gradients(table, slope, rest, dy, code)
    for made in both(monkeypatch, by_example, table, slope, rest, dy, code):
        assert np.array_equal(made[0], of_rows[-2])
        assert np.array_equal(made[1], of_rows[-1])


# ------------------------------------------------------------------- building them


SAYS = "from models import native; print(native.ready(), native.ready())"


def say(cache, program=SAYS, **env):
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ
        | {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
        | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_compiler_that_fails_is_told_once_and_done_without(tmp_path):
    out, error = say(tmp_path, CXX="/bin/false").communicate()
    assert out.split() == ["False", "False"]
    assert error.count("the CPU kernels could not be built") == 1
    assert list(tmp_path.rglob("*.so")) == []


def test_a_compiler_that_is_not_there_is_told_once_and_done_without(tmp_path):
    out, error = say(tmp_path, CXX=str(tmp_path / "none")).communicate()
    assert out.split() == ["False", "False"]
    assert error.count("the CPU kernels could not be built") == 1


def test_the_kernels_can_be_switched_off(tmp_path):
    out, error = say(tmp_path, JETLUT_NATIVE="0").communicate()
    assert (out.split(), error) == (["False", "False"], "")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_may_build_at_once(tmp_path):
    # Without optimisation, which is not what this is about.
    quick = "from models import native; native.FLAGS = (*native.FLAGS, '-O0');" + SAYS
    children = [say(tmp_path, quick) for _ in range(2)]
    told = [child.communicate() for child in children]
    assert [out.split() for out, _ in told] == [["True", "True"]] * 2
    assert [error for _, error in told] == ["", ""]
    (library,) = (tmp_path / "jetlut").iterdir()
    assert library.suffix == ".so"
