"""The quantiser and the linear layer as the papers write them: plain jnp, no `models`.

Gradients come from automatic differentiation of straight-through rounding and of
`2**f`, by the product rule, where `models.quantiser` states the results.
"""

import jax
import jax.numpy as jnp

LN2 = 0.6931471805599453


def constant(x):
    return jax.lax.stop_gradient(x)


def straight(value, x):
    """`value` with the gradient of `x`."""
    return constant(value) + (x - constant(x))


def two_to(n):
    """`2**n` for whole `n`, exactly, and with its derivative."""
    exact = jnp.ldexp(jnp.ones_like(n), constant(n).astype(int))
    return exact * (1 + LN2 * (n - constant(n)))


def nearest_or_below(x, rounding):
    below = jnp.floor(x)
    rest = x - below
    if rounding == "TRN":
        return below
    if rounding == "RND":
        return jnp.where(rest < 0.5, below, below + 1)
    even = jnp.where(below % 2 == 0, below, below + 1)
    return jnp.where(rest == 0.5, even, jnp.where(rest < 0.5, below, below + 1))


def quantise(x, integer, width, form, signed, rounding, overflow):
    i = straight(jnp.round(integer), integer)
    whole = straight(jnp.round(width), width)
    f = whole if form == "kif" else whole - i
    i = straight(jnp.maximum(constant(i), -constant(f)), i)
    x = jnp.broadcast_to(x, jnp.broadcast_shapes(x.shape, i.shape))
    if overflow != "WRAP":
        high = two_to(i) - two_to(-f)
        low = -high if overflow == "SAT_SYM" else -two_to(i)
        low = low if signed else jnp.zeros_like(low)
        x = jnp.where(x > high, high, jnp.where(x < low, low, x))
    scaled = two_to(f) * x
    return straight(nearest_or_below(scaled, rounding), scaled) / two_to(f)


def wrapped(q, i, f, signed):
    """Two's complement of `i + f` bits and a sign, by integers."""
    counts = jnp.round(q * 2.0**f).astype(int)
    period = (2 ** (i + f + signed)).astype(int)
    offset = period // 2 if signed else 0
    return ((counts + offset) % period - offset) / 2.0**f


def linear(x, kernel, bias, quantise_kernel, quantise_bias):
    return x @ quantise_kernel(kernel) + quantise_bias(bias)


def batch_norm_linear(x, kernel, gamma, beta, inputs, quantise_kernel, quantise_bias):
    """The sums of all `inputs` are written out to get their mean and variance."""
    sums = inputs @ kernel
    mean = jnp.mean(sums, axis=0)
    var = jnp.mean((sums - mean) ** 2, axis=0)
    scale = gamma / jnp.sqrt(var + 1e-3)
    return linear(
        x, kernel * scale, beta - mean * scale, quantise_kernel, quantise_bias
    )
