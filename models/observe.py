"""Looking at a whole batch from within the code of one example.

A range is the greatest magnitude that a batch shows.  It arrives as the cotangent of
the statistic that keeps it (`models.statistic`), and must not be summed over examples.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from models.fixed_point import FLOAT_BITS
from models.quantise import power_of_two


def observe(
    look: Callable[[Array], Array],
    value: Float[Array, "*own"],
    x: Float[Array, "*shape"],
) -> Float[Array, "*shape"]:
    """`x` itself; the cotangent of `value` becomes what a whole batch of `x` shows.

    Under `jax.vmap` over examples, nested or not, all of them are looked at together
    (a `custom_vjp` alone would sum one observation per example); where `value` is
    mapped as well, as in an ensemble, every member has its own look.  A scan over parts
    of a batch adds up what the parts show.

    Args:
        look: From `(examples, *shape)` to the shape of `value`.
        value: The statistic's value; no gradient, only the observation reaches it.
        x: What is observed; its gradient passes unchanged.
    """
    own = value.ndim

    @custom_vmap
    def seen(value: Array, x: Array) -> Array:
        lead = value.ndim - own  # one axis per vmap; of length 1 where it is examples
        members = [a for a in range(lead) if value.shape[a] != 1]
        examples = [a for a in range(lead) if value.shape[a] == 1]
        x = jnp.transpose(x, (*members, *examples, *range(lead, x.ndim)))
        kept = x.shape[: len(members)]
        x = x.reshape(*kept, -1, *x.shape[lead:])
        of_members = look
        for _ in members:
            of_members = jax.vmap(of_members)
        return of_members(x).reshape(value.shape)

    @seen.def_vmap
    def _(size: int, mapped: list[bool], value: Array, x: Array):
        x = x if mapped[1] else jnp.broadcast_to(x, (size, *x.shape))
        if mapped[0]:
            return seen(value, x), True
        return seen(value[None], x)[0], False

    @jax.custom_vjp
    def watch(value: Array, x: Array) -> Array:
        del value
        return x

    watch.defvjp(lambda value, x: (x, (value, x)), lambda res, dx: (seen(*res), dx))
    return watch(value, x)


def largest(grain: Float[Array, "*grain"]) -> Callable[[Array], Array]:
    """Looks at the largest magnitude per grain."""

    def look(x: Array) -> Array:
        x = jnp.max(jnp.abs(x), axis=0)
        extra = tuple(range(x.ndim - grain.ndim))
        x = jnp.max(x, axis=extra)
        wide = tuple(a for a in range(x.ndim) if grain.shape[a] == 1)
        return jnp.max(x, axis=wide, keepdims=True)

    return look


@jax.custom_vjp
def as_integer_of_kif(value: Array, fraction: Array) -> Array:
    """`value`; a largest magnitude that comes back becomes the bits that it needs.

    These are the least `i` with `magnitude + 2**-f <= 2**i`.
    """
    del fraction
    return value


def _kif_backward(fraction: Array, largest: Array):
    mantissa, exponent = jnp.frexp(largest + power_of_two(-fraction))
    needed = (exponent - (mantissa == 0.5)).astype(largest.dtype)
    return needed, jnp.zeros_like(fraction)


as_integer_of_kif.defvjp(lambda value, f: (value, f), _kif_backward)


@jax.custom_vjp
def as_integer_of_kbi(value: Array, b: Array) -> Array:
    """The same for `b` bits: the least `i` with `magnitude <= 2**i (1 - 2**-b)`."""
    del b
    return value


def _kbi_backward(b: Array, largest: Array):
    mantissa, exponent = jnp.frexp(largest)
    fits = mantissa <= 1 - power_of_two(-b)
    needed = jnp.where(largest > 0, exponent + (1 - fits), -FLOAT_BITS)
    return needed.astype(largest.dtype), jnp.zeros_like(b)


as_integer_of_kbi.defvjp(lambda value, b: (value, b), _kbi_backward)
