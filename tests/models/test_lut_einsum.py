"""LUT-Einsum against LUT-Dense layers written out, one for every index that is shared."""

import functools
import string
from dataclasses import replace

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
from models.lut_einsum import LUTEinsum
from models.reading import values
from models.symbols import Symbols, Wire, trace
from trigger.errors import UserError

BATCH = 8
CASES = {
    "ij,jk->ik": ((4, 3), (3, 2)),
    "ij,ijk->ik": ((2, 3), (2, 3, 2)),
    "pji,kij->ikp": ((4, 3, 2), (2, 2, 3)),
    "...j,jk->k...": ((2, 2, 3), (3, 2)),
}


@functools.cache
def layer(equation):
    return quickly(lambda: drawn(equation))()


def drawn(equation):
    in_shape, kernel_shape = CASES[equation]
    key, widths = jr.split(jr.key(len(equation)))
    made = LUTEinsum(equation, values(3, 4), in_shape, kernel_shape, hidden=3, key=key)
    wide = spread(made.stack, widths)
    return eqx.tree_at(lambda m: m.stack, made, wide)


evaluated = quickly(lambda made: made.evaluated())


def normal(seed, shape):
    return jnp.asarray(2 * np.random.default_rng(seed).normal(size=shape), jnp.float32)


def letters(equation):
    """The three operands, an ellipsis written as letters."""
    parts = equation.replace("->", ",").split(",")
    free = string.ascii_uppercase[: len(CASES[equation][0]) - len(parts[0]) + 3]
    return [part.replace("...", free) for part in parts]


def member(stack, k):
    one = jax.tree.map(lambda leaf: leaf[k], stack)
    return eqx.tree_at(lambda layer: layer.reading, one, stack.reading)


def written_out(equation):
    """By explicit loops over the shared axis and transpositions by `einsum`."""
    x_axes, kernel_axes, out_axes = letters(equation)
    shared = "".join(a for a in kernel_axes if a in x_axes and a in out_axes)
    summed = "".join(a for a in kernel_axes if a in x_axes and a not in out_axes)
    places = "".join(a for a in x_axes if a not in kernel_axes)
    outputs = "".join(a for a in kernel_axes if a not in x_axes)

    def forward(made, x):
        laid = jnp.einsum(f"z{x_axes}->{shared}z{places}{summed}", x)
        laid = laid if shared else laid[None]
        rows, codes = [], []
        for k, part in enumerate(laid):
            y, code = materialised.lut_dense(
                member(made.stack, k), part.reshape(-1, part.shape[-1])
            )
            rows.append(y.reshape(*part.shape[:-1], -1))
            codes.append(code)
        y = jnp.stack(rows) if shared else rows[0]
        return jnp.einsum(f"{shared}z{places}{outputs}->z{out_axes}", y), codes

    return forward


def by_tables(made, x):
    return jax.vmap(evaluate(made))(x), None


def trained(slopes):
    made, dx = slopes
    stack = made.stack
    return (stack.edges, stack.address, stack.fraction, stack.gamma, stack.beta, dx)


def as_observed(made, codes):
    members = [
        occupied(member(made.stack, k), code).occupancy.value
        for k, code in enumerate(codes)
    ]
    return eqx.tree_at(lambda m: m.stack.occupancy.value, made, jnp.stack(members))


@pytest.mark.parametrize("equation", list(CASES))
def test_values_and_gradients_are_those_of_the_layers_written_out(
    equation, monkeypatch
):
    made = layer(equation)
    x = normal(7, (BATCH, *CASES[equation][0]))
    shape = jax.eval_shape(lambda x: by_tables(made, x)[0], x).shape
    dy = normal(3, shape)
    with jax.enable_x64(True):
        expected, (y, codes) = quickly(differentiated(written_out(equation)))(
            *in_float64((made, x, dy))
        )
    made = as_observed(made, codes)
    for engine in ("kernel", "xla") if len(codes) > 1 else ("kernel",):
        if engine == "xla":
            monkeypatch.setattr(native, "ready", lambda: False)
        got, (same, _) = quickly(differentiated(by_tables))(made, x, dy)
        assert np.array_equal(same, y)
        assert_close(trained(got), trained(expected), 5e-6)
        seen, known = (m.stack.occupancy.value for m in (got[0], made))
        assert np.array_equal(seen, known)
    one = quickly(lambda made, x: evaluate(made)(x))(made, x[0])
    assert np.array_equal(one, y[0])


def test_a_stack_of_networks_of_stacks_is_its_networks_one_by_one():
    made = layer("ij,ijk->ik")
    other = eqx.tree_at(lambda m: m.stack.edges.w_out, made, -made.stack.edges.w_out)
    x = normal(7, (BATCH, 2, 3))
    dy = normal(3, (BATCH, 2, 2))
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), made, other)

    def of_both(both, x):
        return jax.vmap(lambda one: by_tables(one, x)[0])(both), None

    got, (y, _) = quickly(differentiated(of_both))(both, x, dy)
    one = quickly(differentiated(by_tables))
    parts = [one(m, x, dy) for m in (made, other)]
    for k, ((expected, _), (alone, _)) in enumerate(parts):
        assert np.array_equal(y[k], alone)
        found = jax.tree.map(lambda leaf, k=k: leaf[k], got[0])
        assert_close(trained((found, None)), trained((expected, None)), 5e-6)
    assert_close(got[1], sum(dx for (_, dx), _ in parts), 5e-6)


@pytest.mark.parametrize("equation", list(CASES))
def test_the_frozen_layer_answers_as_the_trained_one_does(equation):
    ready, in_shape = evaluated(layer(equation)), CASES[equation][0]
    out_shape = jax.eval_shape(ready, jnp.zeros(in_shape)).shape
    size, count = int(np.prod(in_shape)), int(np.prod(out_shape))

    def network(ports: Symbols):
        wires = [Wire(wire.node, 4) for wire in ports.wires]
        x = Symbols(wires, ports.recorder).reshape(in_shape)
        return lift(lambda a: a.reshape(-1), ready(x))

    ports = tuple(FrozenPort(f"x{k}", 7, True) for k in range(size))
    program = trace(network, ports, tuple(f"y{k}" for k in range(count)))
    every = np.arange(-64, 64)[:, None]
    raw = np.random.default_rng(0).permuted(np.tile(every, size), axis=0)
    x = jnp.asarray(raw.reshape(-1, *in_shape) / 16, jnp.float32)
    got = run(program, raw) * program.out_lsb
    y = quickly(lambda ready, x: jax.vmap(ready)(x))(ready, x)
    assert np.array_equal(got, y.reshape(len(raw), -1))
    assert ready(at_ports(in_shape)).shape == out_shape


def test_every_position_is_built():
    ready = evaluated(layer("ij,jk->ik"))
    one = jax.tree.map(lambda leaf: leaf[0], ready.stack.filled)
    tables = eqx.tree_at(lambda t: t.filled, member_of(ready.stack), one)
    tables = replace(tables, places=1)
    assert luts(ready) == 4 * tables.luts()
    assert ebops(ready) == 4 * tables.ebops()


def member_of(stack):
    return member(stack, 0)


def test_what_cannot_be_built_is_refused():
    for equation, kernel, message in (
        ("ij,jkl->ik", (3, 2, 5), "axis 'l' .* is summed within the kernel alone"),
        ("ij,k->ik", (2,), "axis 'j' .* is summed within the inputs alone"),
        ("ij,jk", (3, 2), "is not of the form 'x,kernel->result'"),
        ("ij,ik->jk", (4, 2), "sums 4 inputs at a time, its reading was made for 3"),
    ):
        with pytest.raises(UserError, match=message):
            LUTEinsum(equation, values(3, 4), (4, 3), kernel, key=jr.key(0))
    with pytest.raises(UserError, match=r"inputs of shape \(4, 3\) and got \(3, 4\)"):
        layer("ij,jk->ik")(jnp.zeros((3, 4)))
