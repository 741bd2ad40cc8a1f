"""The laws of the arithmetic layers."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import reference_quantiser as reference

from models.dense import Dense, EinsumDense
from models.frozen import FrozenPort, run
from models.latency import at_ports
from models.layer import ebops, evaluate, luts
from models.linear import _moments
from models.quantiser import quantiser
from models.shape import contraction
from models.statistic import Statistic, follow
from models.symbols import Symbols, Wire, trace
from trigger.errors import UserError

EQUATIONS = [
    ("i,ij->j", (4,), (4, 3)),
    ("...i,ij->...j", (2, 3, 4), (4, 2)),
    ("...ij,jk->...ik", (3, 4), (4, 2)),
    ("bij,ijk->bik", (2, 3, 4), (3, 4, 2)),
    ("ij,jik->k", (3, 4), (4, 3, 2)),
    ("ij,kj->ki", (3, 4), (2, 4)),
    ("ij,ij->ij", (3, 4), (3, 4)),
    ("ij,ij->ji", (3, 4), (3, 4)),
    ("i,jk->kij", (3,), (2, 4)),
]
"""Contracted, shared, position and output axes, in all orders."""


def coarse(shape):
    """A quantiser of inputs that saturates at ports of 8 bits with 4 of fraction."""
    return quantiser(shape, integer=2.0, width=3.0, rounding="RND", overflow="SAT")


def with_statistics(layer, x):
    """The layer as if its statistics were exactly those of a batch."""
    plan, iq = layer.linear.plan, layer.linear.iq
    seen = x if iq is None else jax.vmap(iq)(x)
    return eqx.tree_at(
        lambda n: n.linear.moments, layer, Statistic(_moments(plan, seen), "mean")
    )


def by_reference(of):
    """The written-out quantiser, without sharing the widths' rounding."""

    def quantise(x, integer, width):
        return reference.quantise(
            x, integer, width, of.form, of.signed, of.rounding, of.overflow
        )

    return quantise


def parameters(layer):
    linear = layer.linear
    of_bias = linear.bias_quantiser.integer
    return {
        "kernel": linear.kernel,
        "bias": linear.bias,
        "gamma": linear.gamma,
        "beta": linear.beta,
        "kernel_i": linear.kernel_quantiser.integer,
        "kernel_b": linear.kernel_quantiser.width,
        "bias_i": of_bias.value if isinstance(of_bias, Statistic) else of_bias,
        "bias_b": linear.bias_quantiser.width,
        "x_i": linear.iq.integer,
        "x_f": linear.iq.width,
    }


def written_out(layer, p, x, inputs):
    """A batch through a dense layer, with nothing of `models` but the choices."""
    linear = layer.linear
    quantise_x = by_reference(linear.iq)
    quantise_kernel = by_reference(linear.kernel_quantiser)
    quantise_bias = by_reference(linear.bias_quantiser)

    def of_kernel(w):
        return quantise_kernel(w, p["kernel_i"], p["kernel_b"])

    def of_bias(b):
        i = p["bias_i"]
        i = reference.constant(i) if linear.bias_quantiser.overflow == "WRAP" else i
        return quantise_bias(b, i, p["bias_b"])

    u = quantise_x(x, p["x_i"], p["x_f"])
    if linear.gamma is None:
        return reference.linear(u, p["kernel"], p["bias"], of_kernel, of_bias)
    seen = reference.constant(quantise_x(inputs, p["x_i"], p["x_f"]))
    return reference.batch_norm_linear(
        u, p["kernel"], p["gamma"], p["beta"], seen, of_kernel, of_bias
    )


@pytest.mark.parametrize("bias_overflow", ["WRAP", "SAT_SYM"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("wide", [False, True])
def test_a_dense_layer_is_the_written_out_one(batch_norm, bias_overflow, wide):
    with jax.enable_x64(wide):
        dtype = jnp.float64 if wide else jnp.float32
        k1, k2, k3, k4 = jr.split(jr.key(0), 4)
        layer = Dense(
            6,
            4,
            iq=coarse((6,)),
            batch_norm=batch_norm,
            bias_quantiser=quantiser((4,), form="kbi", overflow=bias_overflow),
            key=k1,
        )
        name = (lambda n: n.linear.beta) if batch_norm else (lambda n: n.linear.bias)
        layer = eqx.tree_at(name, layer, jr.normal(k2, (4,)))
        layer = jax.tree.map(lambda a: a.astype(dtype), layer)
        x = 3 * jr.normal(k3, (16, 6), dtype)
        inputs = 3 * jr.normal(k4, (50, 6), dtype)
        if batch_norm:
            layer = with_statistics(layer, inputs)

        def loss(layer, x):
            y = jax.vmap(evaluate(layer))(x)
            return jnp.sum(y**2), y

        def expected_loss(p, x):
            y = written_out(layer, p, x, inputs)
            return jnp.sum(y**2), y

        slope = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))
        expected = jax.jit(jax.grad(expected_loss, argnums=(0, 1), has_aux=True))
        (of_layer, dx), y = slope(layer, x)
        (of_p, dx_expected), y_expected = expected(parameters(layer), x)
    # Both fold the same numbers and round them to the same weights.
    assert np.array_equal(y, y_expected)
    # Sums over 16 examples, 50 for the statistics, of products of up to 6 factors: some
    # 80 roundings of the largest terms, which cancel by less than a factor of 10.
    tolerance = 800 * (2.0**-53 if wide else 2.0**-24)
    got = parameters(of_layer) | {"x": dx}
    for which, there in (of_p | {"x": dx_expected}).items():
        if there is None or (which == "bias_i" and bias_overflow == "WRAP"):
            continue
        here = np.asarray(got[which])
        assert np.allclose(here, there, rtol=0, atol=tolerance * np.max(np.abs(there)))


@pytest.mark.parametrize(("equation", "x_shape", "kernel_shape"), EQUATIONS)
def test_any_equation_is_its_einsum(equation, x_shape, kernel_shape):
    layer = EinsumDense(equation, x_shape, kernel_shape, key=jr.key(0), use_bias=False)
    x = jr.randint(jr.key(1), x_shape, -9, 9).astype(jnp.float32)
    kernel = layer.evaluated().kernel
    assert np.array_equal(layer(x), jnp.einsum(equation, x, kernel))


@pytest.mark.parametrize(("equation", "x_shape", "kernel_shape"), EQUATIONS)
def test_mean_and_variance_are_those_of_the_sums(equation, x_shape, kernel_shape):
    with jax.enable_x64(True):
        layer = EinsumDense(
            equation, x_shape, kernel_shape, key=jr.key(0), batch_norm=True
        )
        wide = quantiser(form="kbi", integer=5.0, width=23.0, overflow="SAT")
        linear = layer.linear
        layer = eqx.tree_at(
            lambda n: (n.linear.kernel_quantiser, n.linear.bias_quantiser),
            layer,
            (wide, wide),
        )
        x = 1 + jr.normal(jr.key(1), (40, *x_shape))
        y = jax.vmap(with_statistics(layer, x))(x)
        plan = linear.plan
        sums = jax.vmap(lambda a: jnp.einsum(plan.equation, a, linear.kernel))(x)
        others = tuple(
            1 + k for k, axis in enumerate(plan.out) if axis not in plan.channels
        )
        mean = jnp.mean(sums, axis=(0, *others), keepdims=True)
        var = jnp.var(sums, axis=(0, *others), keepdims=True)
        expected = (sums - mean) / jnp.sqrt(var + 1e-3)
    # Weights of 23 bits of which 5 are integer: 2**-19 each, times up to 12 inputs < 5.
    assert np.max(np.abs(y - expected)) < 2**-19 * (12 * 5 + 1)


@pytest.mark.parametrize(("equation", "x_shape", "kernel_shape"), EQUATIONS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_integer_program_gives_the_same_numbers(
    equation, x_shape, kernel_shape, batch_norm
):
    layer = EinsumDense(
        equation,
        x_shape,
        kernel_shape,
        iq=coarse(x_shape),
        batch_norm=batch_norm,
        key=jr.key(0),
    )
    if not batch_norm:
        plan = layer.linear.plan
        bias = 3 * jr.normal(jr.key(2), plan.shape(plan.channels))
        layer = eqx.tree_at(lambda n: n.linear.bias, layer, bias)
    ready = evaluate(layer)
    n, out = int(np.prod(x_shape)), ready.plan.shape(ready.plan.out)

    def network(words):
        wires = [Wire(w.node, 4) for w in words.wires]
        return ready(Symbols(wires, words.recorder).reshape(x_shape)).reshape(-1)

    ports = tuple(FrozenPort(f"x{k}", 8, True) for k in range(n))
    names = tuple(f"y{k}" for k in range(int(np.prod(out))))
    program = trace(network, ports, names)
    words = np.random.default_rng(0).integers(-128, 128, (64, n))
    x = jnp.asarray(words / 16, jnp.float32).reshape(-1, *x_shape)
    expected = jax.jit(jax.vmap(ready))(x).reshape(64, -1)
    assert np.array_equal(run(program, words) * program.out_lsb, expected)


def test_the_statistics_are_the_mean_over_the_batch_and_survive_being_summed():
    iq = coarse((2, 3))
    layer = Dense((2, 3), 4, iq=iq, batch_norm=True, key=jr.key(0))
    x = jr.normal(jr.key(1), (10, 2, 3))

    @jax.jit
    @jax.grad
    def observe(layer):
        return jnp.sum(jax.vmap(evaluate(layer))(x))

    seen = observe(layer)
    u = np.asarray(jax.vmap(iq)(x), np.float64).reshape(20, 3)
    a = np.concatenate([np.ones((20, 1)), u], axis=1)
    # 20 products below 16 are summed in float32.
    expected = a.T @ a / 20
    assert np.max(np.abs(seen.linear.moments.value[0] - expected)) < 20 * 2**-24 * 16
    moved = follow(layer, seen, 1.0, 0.0)
    twice = follow(layer, jax.tree.map(lambda a: 2 * a, seen), 1.0, 0.0)
    assert np.array_equal(moved(x[0]), twice(x[0]))


def test_no_gradient_but_the_observation_reaches_the_statistics():
    layer = Dense(3, 2, batch_norm=True, key=jr.key(0))
    weights = jax.grad(lambda n: jnp.sum(n.evaluated().kernel ** 2))(layer)
    assert np.array_equal(weights.linear.moments.value, np.zeros((1, 4, 4)))
    assert np.any(weights.linear.kernel != 0)


def test_weights_of_no_bits_are_removed():
    layer = Dense(3, 2, iq=coarse((3,)), key=jr.key(0))
    width = layer.linear.kernel_quantiser.width.at[1].set(0.0)
    layer = eqx.tree_at(lambda n: n.linear.kernel_quantiser.width, layer, width)
    ready = evaluate(layer)
    x = jnp.array([1.0, 3.0, 2.0])
    assert np.array_equal(ready(x), ready(x.at[1].set(-2.0)))
    program = trace(
        lambda words: ready(words),
        tuple(FrozenPort(f"x{k}", 3, True) for k in range(3)),
        ("a", "b"),
    )
    read = {a for op in program.ops for a in op.args}
    inputs = [k for k, op in enumerate(program.ops) if op.kind == "input"]
    assert [k in read for k in inputs] == [True, False, True]


def test_ebops_are_counted_as_hgq_counts_them():
    layer = Dense(3, 2, iq=coarse((3,)), key=jr.key(0))
    width = jnp.arange(6.0).reshape(3, 2)
    layer = eqx.tree_at(lambda n: n.linear.kernel_quantiser.width, layer, width)
    # Inputs: saturating, so 5 bits and a sign; biases wrap, 8 bits without it.
    assert float(ebops(evaluate(layer))) == 6 * sum(range(6)) + 8 * 2
    slope = jax.grad(lambda n: ebops(evaluate(n)))(layer)
    assert np.array_equal(slope.linear.kernel_quantiser.width, np.full((3, 2), 6.0))


def test_luts_and_times_grow_with_the_layer():
    costs, times = [], []
    for n in (2, 4, 8, 16):
        ready = evaluate(Dense(n, 3, iq=coarse((n,)), key=jr.key(0)))
        costs.append(float(luts(ready)))
        times.append(float(jnp.max(ready(at_ports((n,))).ns)))
    assert costs == sorted(costs)
    assert times == sorted(times)
    assert costs[0] > 0
    slope = eqx.filter_grad(lambda n: luts(evaluate(n)))(
        Dense(8, 3, iq=coarse((8,)), key=jr.key(0))
    )
    assert np.all(slope.linear.kernel_quantiser.width > 0)


def test_a_layer_that_does_not_know_its_inputs_has_no_cost():
    with pytest.raises(UserError, match=r"how wide its inputs are.*iq.*input_bits"):
        luts(evaluate(Dense(3, 2, key=jr.key(0))))
    known = Dense(3, 2, input_bits=6, use_bias=False, key=jr.key(0))
    assert float(ebops(evaluate(known))) == 6 * 8 * 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ij,jk", (2, 3), (3, 4)), "not of the form"),
        (("ii,ij->j", (2, 2), (2, 4)), "not of the form"),
        (("ij,jk->ik", (2, 3), (4, 5)), r"'j' .* length 3 .*\(2, 3\) and 4 .*\(4, 5\)"),
        (("ij,jk->ik", (2, 3, 4), (4, 5)), r"inputs of shape \(2, 3, 4\) and a kernel"),
        (("ij,jk->k", (2, 3), (3, 4)), "axis 'i' .* summed within the inputs alone"),
        (("...j,jk->k", (2, 3), (3, 4)), "axis '...' .* summed within the inputs"),
        (("ij,jkl->ik", (2, 3), (3, 4, 5)), "axis 'l' .* within the kernel alone"),
        (("ij,jk->ikz", (2, 3), (3, 4)), "axis 'z' of the result .* neither operand"),
    ],
)
def test_an_equation_that_does_not_fit_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        contraction(*arguments)


def test_inputs_and_quantisers_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"of shape \(3,\) and got \(4,\).*jax.vmap"):
        Dense(3, 2, key=jr.key(0))(jnp.zeros(4))
    with pytest.raises(UserError, match=r"inputs has widths of shape \(4,\)"):
        Dense(3, 2, iq=coarse((4,)), key=jr.key(0))
    with pytest.raises(UserError, match=r"weights has widths of shape \(2, 3\)"):
        Dense(3, 2, kernel_quantiser=quantiser((2, 3)), key=jr.key(0))
    with pytest.raises(UserError, match="all sizes at least 1"):
        Dense(3, 0, key=jr.key(0))


def test_sharing_widths_is_repeating_them():
    one = Dense(3, 2, key=jr.key(0))
    shared = quantiser((), form="kbi", width=8.0, overflow="SAT_SYM")
    layer = eqx.tree_at(lambda n: n.linear.kernel_quantiser, one, shared)
    assert np.array_equal(layer.evaluated().kernel, one.evaluated().kernel)
    assert replace(shared, guard="saturate").bits() == 9
