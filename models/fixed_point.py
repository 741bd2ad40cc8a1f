"""Fixed point with gradients: what the firmware holds for a value, and what HGQ makes of it.

The rounding and the saturation of `models.quantiser`, as functions of whole widths.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.quantise import LN2, power_of_two, straight_through

Rounding = Literal["TRN", "RND", "RND_CONV"]
"""Down; to nearest with ties up; to nearest with ties to even."""

Overflow = Literal["SAT", "SAT_SYM", "WRAP"]

FLOAT_BITS = 24
"""Bits that a float32 holds exactly."""


def whole_bits(
    width: Float[Array, "*grain"], low: int, high: int
) -> Float[Array, "*grain"]:
    """A trainable width as a whole number; its gradient passes at the caps too."""
    return straight_through(width, jnp.round(jnp.clip(width, low, high)))


def rounded(x: Float[Array, "*shape"], rounding: Rounding) -> Float[Array, "*shape"]:
    """`x` as a whole number; exact, also next to a tie."""
    if rounding == "RND_CONV":
        return jnp.round(x)
    down = jnp.floor(x)
    return down if rounding == "TRN" else down + (x - down >= 0.5)


@partial(jax.custom_jvp, nondiff_argnums=(3, 4, 5))
def fixed_point(
    x: Float[Array, "*#shape"],
    integer: Float[Array, "*#shape"],
    fraction: Float[Array, "*#shape"],
    signed: bool,
    rounding: Rounding,
    overflow: Overflow,
) -> Float[Array, "*shape"]:
    """The number that the firmware holds for `x`, with the gradients of HGQ.

    Args:
        x: Values.
        integer: Whole integer bits, at least `-fraction`.
        fraction: Whole fractional bits.
        signed: Whether there is a sign bit.
        rounding: Towards multiples of `2**-fraction`.
        overflow: "WRAP" only rounds: its range is watched, not enforced.
    """
    kept, _, _ = saturated(x, integer, fraction, signed, overflow)
    scale = power_of_two(fraction.astype(kept.dtype))
    return rounded(kept * scale, rounding) / scale


@fixed_point.defjvp
def _fixed_point_jvp(
    signed: bool,
    rounding: Rounding,
    overflow: Overflow,
    primals: tuple[Array, ...],
    tangents: tuple[Array, ...],
):
    x, integer, fraction = primals
    dx, di, df = tangents
    q = fixed_point(x, integer, fraction, signed, rounding, overflow)
    kept, above, below = saturated(x, integer, fraction, signed, overflow)
    below_signed = below * signed
    top, step = power_of_two(integer), power_of_two(-fraction)
    of_integer = LN2 * top * (above - below_signed)
    symmetric = below_signed if overflow == "SAT_SYM" else 0.0
    # Saturated first: what lies outside asks for range, not for finer steps.
    of_fraction = LN2 * (kept - q + step * (above - symmetric))
    return q, (1 - above - below) * dx + of_integer * di + of_fraction * df


def saturated(
    x: Array, integer: Array, fraction: Array, signed: bool, overflow: Overflow
) -> tuple[Array, Array, Array]:
    """`x` within its range, and masks of what was above and below it."""
    top = power_of_two(integer.astype(jnp.result_type(x, integer)))
    step = power_of_two(-fraction.astype(top.dtype))
    x = jnp.broadcast_to(x, jnp.broadcast_shapes(x.shape, top.shape, step.shape))
    x = x.astype(top.dtype)
    if overflow == "WRAP":
        return x, jnp.zeros_like(x), jnp.zeros_like(x)
    high = top - step
    low = -(high if overflow == "SAT_SYM" else top) * signed
    above, below = (x > high).astype(x.dtype), (x < low).astype(x.dtype)
    return jnp.clip(x, low, high), above, below
