"""Numbers made whole in the seven ways of `ap_fixed`, exactly.

This module owns what a rounding mode does, to doubles that are scaled and to integers
that are shifted; what becomes of a whole number that is too large is `trigger.fixed`'s.

Rounding, for a value between two counts
----------------------------------------
============= =====================================================
`TRN`         the lower one
`TRN_ZERO`    the one nearer to zero
`RND`         the nearest, of two as near the greater
`RND_MIN_INF` the nearest, of two as near the lesser
`RND_INF`     the nearest, of two as near the one further from zero
`RND_ZERO`    the nearest, of two as near the one nearer to zero
`RND_CONV`    the nearest, of two as near the even one
============= =====================================================
"""

import math
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int64

Rounding = Literal[
    "TRN", "TRN_ZERO", "RND", "RND_CONV", "RND_ZERO", "RND_INF", "RND_MIN_INF"
]

# Of nearest integers a tie is settled by two steps: halves are first made whole by one
# of the pair, then halved and made whole again by the other.  Both steps are exact,
# where adding 1/2 is not: 0.5 - 2**-54 + 0.5 is 1 in doubles.
_TIES = {
    "RND": (np.floor, np.ceil),
    "RND_INF": (np.floor, np.ceil),
    "RND_MIN_INF": (np.ceil, np.floor),
    "RND_ZERO": (np.ceil, np.floor),
}
_BY_MAGNITUDE = ("RND_INF", "RND_ZERO")  # as the pair says for |x|, the sign put back
_AT_ONCE = {"TRN": np.floor, "TRN_ZERO": np.trunc, "RND_CONV": np.rint}


def scale_and_round(
    values: Float[np.ndarray, " rows"],
    exponent: int,
    rounding: Rounding,
    out: Float64[np.ndarray, " rows"],
    modulus: float = math.inf,
) -> None:
    """Writes `values * 2**exponent` as whole numbers.

    Args:
        values: Finite.
        exponent: -960..960.
        rounding: How.
        out: Takes the whole numbers; infinite where no double is so large.
        modulus: The values count modulo this, their sign kept.
    """
    scale = 2.0**exponent
    np.copyto(out, values)
    if rounding == "TRN" and scale < 1:
        # Whole first, which changes no result: the product with a tiny scale could
        # underflow to -0, whose floor is not -1.
        np.floor(out, out=out)
    if modulus < math.inf:
        np.fmod(out, modulus, out=out)
    with np.errstate(over="ignore", under="ignore"):
        if rounding in _AT_ONCE:
            np.multiply(out, scale, out=out)
            _AT_ONCE[rounding](out, out=out)
            return
        first, second = _TIES[rounding]
        np.multiply(out, 2 * scale, out=out)
        if rounding in _BY_MAGNITUDE:
            np.abs(out, out=out)
        first(out, out=out)
        np.multiply(out, 0.5, out=out)
        second(out, out=out)
        if rounding in _BY_MAGNITUDE:
            np.copysign(out, values, out=out)


def shift_down(
    raw: Int64[np.ndarray, "*shape"], shift: int, rounding: Rounding
) -> Int64[np.ndarray, "*shape"]:
    """`raw / 2**shift` as whole numbers, for a shift of at least 1."""
    if shift > 62:
        # Two bits below the LSB tell all that rounding asks: a tie, more, or less.
        # What is dropped further down leaves its trace in the lowest bit.
        drop = min(shift, 65) - 62
        raw = raw >> drop | (raw & ((1 << drop) - 1) != 0)
        shift = 62
    down = raw >> shift
    rest, half = raw & ((1 << shift) - 1), 1 << (shift - 1)
    tie, negative = rest == half, raw < 0
    up = {
        "TRN": lambda: np.zeros_like(tie),
        "TRN_ZERO": lambda: negative & (rest != 0),
        "RND": lambda: rest >= half,
        "RND_MIN_INF": lambda: rest > half,
        "RND_INF": lambda: (rest > half) | (tie & ~negative),
        "RND_ZERO": lambda: (rest > half) | (tie & negative),
        "RND_CONV": lambda: (rest > half) | (tie & (down & 1 == 1)),
    }
    return down + up[rounding]()
