"""Fixed-width words as they travel on the trigger links.

A link carries integers: counts of a least significant bit (LSB) that has a physical
size.  This module owns the pairing of *which bits* with *which unit*, and the choice of
a word for a feature; everything downstream works on the counts and asks here for the
unit.

Conventions
-----------
- `raw` is always the integer on the wire; `value` is always physical, `raw * lsb`.
- An LSB is a power of two, so that decoding and encoding are exact in doubles.
- Encoding truncates towards minus infinity and saturates, as a shift and a clip do.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Float64, Int64

from trigger.errors import UserError
from trigger.fixed import LSB_EXPONENTS, Fixed

MAX_BITS = 53  # a double holds every integer of so many bits


@final
@dataclass(frozen=True)
class Word:
    """An integer of fixed width and what it counts.

    Attributes:
        name: What the word is of; the port's name in the firmware.
        bits: Width, `1..53`.
        signed: Two's complement, or else unsigned.
        lsb: Size of one count in `unit`; a power of two.
        unit: The physical unit, "" for a pure number.
        description: One line for the reader of the interface.
    """

    name: str
    bits: int
    signed: bool
    lsb: float
    unit: str
    description: str = ""

    def __post_init__(self):
        """Checks width and LSB.

        Raises:
            UserError: `bits` or `lsb` is not as described.
        """
        if not 1 <= self.bits <= MAX_BITS:
            raise UserError(
                f"word {self.name!r}: a width of 1..{MAX_BITS} bits is possible, "
                f"got {self.bits}"
            )
        if not (
            math.isfinite(self.lsb)
            and math.frexp(self.lsb)[0] == 0.5
            and self.lsb_exponent in LSB_EXPONENTS
        ):
            raise UserError(
                f"word {self.name!r}: the LSB must be a power of two between "
                f"2**{LSB_EXPONENTS[0]} and 2**{LSB_EXPONENTS[-1]}, got {self.lsb}"
            )

    @property
    def lsb_exponent(self) -> int:
        """The integer `e` of `lsb == 2**e`."""
        return math.frexp(self.lsb)[1] - 1

    @property
    def int_bits(self) -> int:
        """Bits left of the binary point, sign included.

        `ap_fixed<bits, int_bits>` (or `ap_ufixed`) of the HLS tools is this word with
        `AP_TRN` and `AP_SAT`.  Negative, or more than `bits`, where the point lies
        outside the word.
        """
        return self.bits + self.lsb_exponent

    @property
    def type(self) -> Fixed:
        """The fixed-point number that the word is."""
        return Fixed(self.bits, self.int_bits, self.signed, "TRN", "SAT")

    @property
    def range(self) -> tuple[int, int]:
        """The least and the greatest count."""
        return self.type.range

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest value, in `unit`."""
        lo, hi = self.range
        return lo * self.lsb, hi * self.lsb

    def encode(self, values: Float[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
        """The counts of some values: truncated to the LSB, saturated to the range.

        Raises:
            UserError: A value is NaN or infinite, for which no count is right.
        """
        return self.type.encode(values, name=f"word {self.name!r}")

    def decode(self, raw: Int64[np.ndarray, " rows"]) -> Float64[np.ndarray, " rows"]:
        """The values of some counts: the lower edges of their bins, in `unit`.

        Raises:
            UserError: A count does not fit in the word.
        """
        return self.type.decode(raw, name=f"word {self.name!r}")


def choose_word(
    name: str,
    values: Float[np.ndarray, " rows"],
    *,
    bits: int,
    unit: str,
    tail: float = 0.998,
    description: str = "",
) -> Word:
    """The word of a given width that resolves a feature best without cutting it.

    It is signed if any value is negative.  Its LSB is the least power of two for which
    the central share `tail` of the values does not saturate: `(1 - tail) / 2` of them
    may do so at either end.  Where that share is all zeros, every value counts, and
    where these are zeros too the LSB is 1.

    Args:
        name: The word's name.
        values: The feature in the training split, in `unit`.
        bits: Width, sign included.
        unit: The feature's unit.
        tail: Share of values that must fit, `0 < tail <= 1`.  The default loses two
            jets in a thousand, and gains about a bit on features with long tails.
        description: Goes into the word.

    Raises:
        UserError: There are no values, one is not finite, or `bits` or `tail` is out
            of range.
    """
    if not 0 < tail <= 1:
        raise UserError(f"word {name!r}: tail must be in 0 < tail <= 1, got {tail}")
    if not values.size or not np.isfinite(values).all():
        raise UserError(
            f"word {name!r}: its LSB follows from finite values, got "
            f"{np.isfinite(values).sum()} of them among {values.size}"
        )
    values = values.astype(np.float64)
    signed = bool((values < 0).any())
    inner = (
        float(np.quantile(values, (1 - tail) / 2, method="lower")),
        float(np.quantile(values, (1 + tail) / 2, method="higher")),
    )
    if inner == (0.0, 0.0):
        inner = float(values.min()), float(values.max())
    word = Word(name, bits, signed, 1.0, unit, description)
    lo, hi = word.range
    if inner == (0.0, 0.0):
        return word
    # Below this no bound can fit, so the search upwards starts there.
    reach = math.frexp(max(map(abs, inner)))[1]
    exponent = min(max(reach - bits - 1, LSB_EXPONENTS[0]), LSB_EXPONENTS[-1])
    while exponent < LSB_EXPONENTS[-1]:
        lsb = math.ldexp(1.0, exponent)
        if inner[0] >= lo * lsb and inner[1] < (hi + 1) * lsb:
            break
        exponent += 1
    return Word(name, bits, signed, math.ldexp(1.0, exponent), unit, description)
