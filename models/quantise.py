"""Rounding with a gradient: the surrogates that let bit widths be trained.

The rounded value goes forward, a smooth gradient goes back.  For `q = R(s x) / s` with
`s = 2**f`, the product rule with a straight-through rounding `R` gives

    dq/dx = 1        dq/df = ln 2 * (x - q)

the surrogates of HGQ (Sun et al., arXiv 2405.00645): where the loss wants `q` nearer to
`x`, it asks for more bits.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

LN2 = 0.6931471805599453


@jax.custom_jvp
def straight_through(
    smooth: Float[Array, "*shape"], hard: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """`hard` forward, the gradient of `smooth` backward.

    Where no gradient is asked for, `smooth` is not even computed.
    """
    del smooth
    return hard


@straight_through.defjvp
def _straight_through_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]):
    return primals[1], tangents[0]


def whole(
    width: Float[Array, "*shape"], most: float | Float[Array, "*#shape"]
) -> Float[Array, "*shape"]:
    """A trainable width as a whole number of bits in `0..most`; ties go to even."""
    return straight_through(width, jnp.round(jnp.clip(width, 0.0, most)))


def power_of_two(exponent: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`2**exponent` exactly, for whole exponents (`exp2` may be off by a rounding).

    Exponents beyond those of normal numbers are taken as the last of these.
    """
    kind = jnp.finfo(exponent.dtype)
    integer = jnp.dtype(f"int{kind.bits}")
    whole_number = jax.lax.stop_gradient(exponent).astype(integer)
    biased = jnp.clip(whole_number, kind.minexp, kind.maxexp - 1) + (1 - kind.minexp)
    return jax.lax.bitcast_convert_type(biased << kind.nmant, exponent.dtype)


def round_to_bits(
    x: Float[Array, "*shape"], fraction: Float[Array, "*#shape"]
) -> Float[Array, "*shape"]:
    """Rounds `x` to multiples of `2**-fraction`, with a gradient for both.

    Args:
        x: Values.
        fraction: Whole fractional bits, e.g. from `whole`; broadcasts against `x`.

    Returns:
        `round(x * 2**fraction) / 2**fraction`, ties to even, exactly.
    """
    scale = power_of_two(fraction)
    q = jax.lax.stop_gradient(jnp.round(x * scale) / scale)
    pull = LN2 * (jax.lax.stop_gradient(x) - q)
    smooth = x + pull * fraction
    return straight_through(smooth, q)
