"""Tables by the kernel against tables by XLA, and the laws of their normalisation."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from materialised import assert_close, quickly

from models import forms, native
from models.edges import Perceptron, random_direct
from models.grid import grid_of_sums, grid_of_words
from models.quantise import whole

N_IN, N_OUT = 3, 4
BITS = (4, 2, 3)


def grid(kind):
    if kind == "sums":
        return grid_of_sums(N_IN, 4, 2.0)
    code = np.random.default_rng(0).integers(0, 2 ** np.array(BITS), (200, N_IN))
    return grid_of_words(code, BITS)


def parameters(seed):
    k = jr.split(jr.key(seed), 5)
    shape = (N_IN, N_OUT)
    return (
        Perceptron(N_IN, N_OUT, hidden=3, key=k[0]),
        jr.uniform(k[1], shape, minval=-0.4, maxval=4.4),
        jr.uniform(k[2], shape, minval=-0.4, maxval=6.4),
        1 + jr.normal(k[3], (N_OUT,)),  # of either sign
        jr.normal(k[4], (N_OUT,)),
    )


def filled(form, kind, edges, address, fraction, gamma, beta):
    g = grid(kind)
    own = jnp.asarray(g.bits, jnp.float32)[:, None]
    norm = forms.Norm(gamma, beta, g.weight)
    return form(edges, whole(address, own), whole(fraction, 10.0), norm, g)


def differentiated(form, kind):
    """The tables, and gradients of all that is differentiable in them."""

    def of_parameters(*given):
        def loss(given):
            made = filled(form, kind, *given)
            shape = made.entry.shape
            # Codes beyond a narrow input repeat its last, which is looked up alone.
            known = jnp.arange(shape[1]) < 2 ** jnp.asarray(grid(kind).bits)[:, None]
            pull = jr.normal(jr.key(8), shape) * known[:, :, None]
            tilt = jr.normal(jr.key(9), shape[::2])
            return jnp.sum(pull * made.entry) + jnp.sum(tilt * made.soft), made

        return jax.grad(loss, has_aux=True)(given)

    return of_parameters


@pytest.mark.parametrize("kind", ["sums", "words"])
def test_the_kernel_fills_tables_as_xla_does(kind):
    if not native.ready():
        pytest.skip("there is no compiler here")
    given = parameters(0)
    ours, theirs = (
        quickly(differentiated(form, kind)) for form in (forms.by_kernel, forms.by_xla)
    )
    (slopes, made), (expected, known) = ours(*given), theirs(*given)
    assert np.array_equal(made.entry, known.entry)
    assert np.array_equal(made.hard, known.hard)
    # 1e-7 of the kernel's tanh, times weights of order one, over sqrt(var + 1e-3).
    for a, b in ((made.slope, known.slope), (made.soft, known.soft)):
        assert np.allclose(a, b, rtol=0, atol=5e-6)
    assert_close(slopes, expected, 5e-6)
    if kind == "sums":
        members = [given, parameters(3)]
        stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
        of_stack = quickly(jax.vmap(differentiated(forms.by_kernel, kind)))
        got = of_stack(*stack)
        for k, member in enumerate(members):
            alone = ours(*member)
            assert_close(jax.tree.map(lambda leaf, k=k: leaf[k], got), alone, 1e-6)


def test_only_what_the_kernel_knows_goes_there(monkeypatch):
    asked = []
    monkeypatch.setattr(native, "ready", lambda: True)
    empty = jnp.zeros((N_IN, 16, N_OUT)), jnp.zeros((N_IN, N_OUT))
    nothing = forms.Filled(empty[0], empty[0], empty[1], empty[1])

    def instead(name):
        return lambda *_: asked.append(name) or nothing

    for name in ("by_kernel", "by_xla"):
        monkeypatch.setattr(forms, name, instead(name))
    edges, address, fraction, _, _ = parameters(0)
    deep = Perceptron(N_IN, N_OUT, depth=2, key=jr.key(0))
    bent = Perceptron(N_IN, N_OUT, activation="relu", key=jr.key(0))
    plain = random_direct(grid("sums"), N_OUT, key=jr.key(0))
    for one in (edges, deep, bent, plain):
        forms.fill(one, address, fraction, None, grid("sums"))
    assert asked == ["by_kernel", "by_xla", "by_xla", "by_xla"]


def test_normalised_entries_have_the_mean_and_the_spread_that_were_asked_for():
    g = grid("words")
    edges, _, _, gamma, beta = parameters(1)
    point = jnp.tile(g.fine[:, :, None], N_OUT)
    raw, slope = edges.on(point, jnp.zeros(point.shape, int))
    t, risen = forms.normalise(raw, slope, forms.Norm(gamma, beta, g.weight))
    weight = np.asarray(g.weight, np.float64)[:, :, None] / N_IN
    mean = np.sum(weight * np.asarray(raw), axis=(0, 1))
    var = np.sum(weight * (np.asarray(raw) - mean) ** 2, axis=(0, 1))
    root = np.sqrt(N_IN)
    # Float32 sums of 48 terms of order one.
    close = {"rtol": 0, "atol": 5e-6}
    assert np.allclose(
        np.sum(weight * np.asarray(t), axis=(0, 1)), beta / root, **close
    )
    factor = gamma / np.sqrt(var + 1e-3) / root
    spread = np.sum(weight * (np.asarray(t) - beta / root) ** 2, axis=(0, 1))
    assert np.allclose(spread, factor**2 * var, rtol=1e-5)
    assert np.allclose(risen, slope * factor, **close)
    same, unchanged = forms.normalise(raw, slope, None)
    assert same is raw
    assert unchanged is slope
