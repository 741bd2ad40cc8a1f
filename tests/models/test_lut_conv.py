"""LUT-Conv against a LUT-Dense written out on patches that XLA cuts."""

import functools
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import materialised
import numpy as np
import pytest
from materialised import assert_close, in_float64, quickly
from test_lut import differentiated, occupied, spread

from models import native
from models.frozen import FrozenPort, run
from models.latency import at_ports
from models.layer import ebops, evaluate, lift, luts
from models.lut_conv import LUTConv1D, LUTConv2D
from models.reading import values, words
from models.symbols import Symbols, Wire, trace
from trigger.errors import UserError

BATCH, CHANNELS, FILTERS = 4, 2, 3
CASES: dict[str, Any] = {
    "1d": (LUTConv1D, (8, CHANNELS), 3, 2, "valid", True),
    "1d same": (LUTConv1D, (8, CHANNELS), 4, 1, "same", True),
    "2d same": (LUTConv2D, (4, 4, CHANNELS), (3, 2), (2, 1), "same", False),
}


@functools.cache
def layer(name):
    return quickly(lambda: drawn(name))()


def drawn(name):
    kind, in_shape, kernel, stride, padding, signed = CASES[name]
    reading = values(CHANNELS, 4, reach=2.0, signed=signed)
    key, widths = jr.split(jr.key(len(name)))
    build: Any = kind
    made = build(
        reading, in_shape, FILTERS, kernel, stride=stride, padding=padding,
        hidden=3, reach=2.0, key=key,
    )  # fmt: skip
    return eqx.tree_at(lambda m: m.dense, made, spread(made.dense, widths))


evaluated = quickly(lambda made: made.evaluated())


def normal(seed, shape):
    return jnp.asarray(2 * np.random.default_rng(seed).normal(size=shape), jnp.float32)


def patches(name, x):
    _, _, kernel, stride, padding, _ = CASES[name]
    both = [(k,) if isinstance(k, int) else k for k in (kernel, stride)]
    return materialised.patches(x, both[0], both[1], padding)


def written_out(name):
    def forward(made, x):
        cut = patches(name, x)
        y, code = materialised.lut_dense(made.dense, cut.reshape(-1, cut.shape[-1]))
        return y.reshape(*cut.shape[:-1], FILTERS), code

    return forward


def by_tables(made, x):
    return jax.vmap(evaluate(made))(x), None


def trained(slopes):
    made, dx = slopes
    dense = made.dense
    return (dense.edges, dense.address, dense.fraction, dense.gamma, dense.beta, dx)


@pytest.mark.parametrize("name", list(CASES))
def test_values_and_gradients_are_those_of_the_layer_on_patches(name, monkeypatch):
    made = layer(name)
    x = normal(7, (BATCH, *CASES[name][1]))
    shape = jax.eval_shape(lambda x: patches(name, x), x).shape
    shape = (*shape[:-1], FILTERS)
    dy = normal(3, shape)
    with jax.enable_x64(True):
        expected, (y, code) = quickly(differentiated(written_out(name)))(
            *in_float64((made, x, dy))
        )
    made = eqx.tree_at(lambda m: m.dense, made, occupied(made.dense, code))
    for engine in ("kernel", "xla") if name == "2d same" else ("kernel",):
        if engine == "xla":
            monkeypatch.setattr(native, "ready", lambda: False)
        got, (same, _) = quickly(differentiated(by_tables))(made, x, dy)
        assert np.array_equal(same, y)
        assert_close(trained(got), trained(expected), 5e-6)
        # Shares of up to 64 rows, added one by one.
        seen, known = (m.dense.occupancy.value for m in (got[0], made))
        assert np.allclose(seen, known, rtol=0, atol=64 * 2**-24)
    one, dense = quickly(lambda m: (m.evaluated(), m.dense.evaluated()))(made)
    assert np.array_equal(quickly(lambda ready, x: ready(x))(one, x[0]), y[0])
    places = np.prod(shape[1:-1])
    dense = replace(dense, places=1)
    assert one.luts() == luts(one) == dense.luts() * places
    assert ebops(one) == dense.ebops() * places


@pytest.mark.parametrize("name", list(CASES))
def test_the_frozen_layer_answers_as_the_trained_one_does(name):
    ready, in_shape = evaluated(layer(name)), CASES[name][1]
    size, count = int(np.prod(in_shape)), int(np.prod(ready.cut.space)) * FILTERS

    def network(ports: Symbols):
        wires = [Wire(wire.node, 4) for wire in ports.wires]
        x = Symbols(wires, ports.recorder).reshape(in_shape)
        return lift(lambda a: a.reshape(-1), ready(x))

    ports = tuple(FrozenPort(f"x{k}", 7, True) for k in range(size))
    program = trace(network, ports, tuple(f"y{k}" for k in range(count)))
    every = np.arange(-64, 64)[:, None]  # every code, in different company
    raw = np.random.default_rng(0).permuted(np.tile(every, size), axis=0)
    x = jnp.asarray(raw.reshape(-1, *in_shape) / 16, jnp.float32)
    got = run(program, raw) * program.out_lsb
    y = quickly(lambda ready, x: jax.vmap(ready)(x))(ready, x)
    assert np.array_equal(got, y.reshape(len(raw), -1))
    assert ready(at_ports(in_shape)).shape == (*ready.cut.space, FILTERS)


def test_padding_is_the_value_zero():
    ready = evaluated(layer("1d same"))
    x = normal(1, (8, CHANNELS))
    wide = jnp.pad(x, ((1, 2), (0, 0)))
    rows = jnp.stack([wide[k : k + 4].reshape(-1) for k in range(8)])
    assert np.array_equal(ready(x), ready.tables(rows))


def test_what_cannot_be_built_is_refused():
    reading = values(CHANNELS, 4)
    ports = words(np.zeros((4, CHANNELS), int), (3, 3), (False, False), 3)
    for wrong, shape, message in (
        (ports, (8, CHANNELS), "reads by Words; it needs one reading"),
        (values(3, 4), (8, CHANNELS), "reads 2 channels, its reading was made for 3"),
        (reading, (2, CHANNELS), "kernel of shape .* larger than examples"),
    ):
        with pytest.raises(UserError, match=message):
            LUTConv1D(wrong, shape, 2, 3, key=jr.key(0))
    with pytest.raises(UserError, match=r"examples of shape \(8, 2\) and got \(7, 2\)"):
        layer("1d")(jnp.zeros((7, CHANNELS)))
