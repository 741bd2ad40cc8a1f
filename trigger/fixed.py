"""Fixed-point types as the HLS tools have them: integers with a point between the bits.

A type says which doubles it can hold and what becomes of the others: how they are
rounded to its LSB (quantization mode) and what happens beyond its ends (overflow mode).
This module owns that conversion, of doubles and of other fixed-point numbers, bit for
bit as an assignment to `ap_fixed` does it; what is counted is `trigger.words`' and
`trigger.layout`'s business.

Conventions
-----------
- `raw` is the integer of the bits, `value` is `raw * 2**(int_bits - bits)`.
- A value is rounded first (`trigger.rounding`), and then wraps or saturates.
- Encoding is exact for every finite double.  Decoding is exact up to 53 bits, which is
  what a double holds; the few integers of more bits go to the nearest double.
- A raw count is an int64, so that a type has up to 64 bits, without a sign up to 63.

Overflow: `WRAP` keeps the low bits, `SAT` takes the end that was passed, `SAT_ZERO`
zero; `SAT_SYM` is `SAT` with the ends `-max` and `max`, for signed types.

Reference:
    AMD, Vitis High-Level Synthesis User Guide (UG1399), "Arbitrary Precision
    Fixed-Point Data Types: Quantization Modes, Overflow Modes".
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import numpy as np
from jaxtyping import Float, Float64, Int, Int64

from trigger.errors import UserError, nearest
from trigger.rounding import Rounding, scale_and_round, shift_down

Overflow = Literal["WRAP", "SAT", "SAT_SYM", "SAT_ZERO"]

LSB_EXPONENTS = range(-960, 961)
"""64 bits of such an LSB are finite and normal as doubles."""

_BLOCK = 16384  # values at a time: what is scratched on stays in the cache
_FIXED = re.compile(r"ap_(u?)fixed<(-?\d+),(-?\d+)((?:,[A-Z_]+){0,2})(?:,0)?>")
_INT = re.compile(r"ap_(u?)int<(-?\d+)>")


@final
@dataclass(frozen=True)
class Fixed:
    """A fixed-point type.

    Attributes:
        bits: Width, sign included: `1..64`, unsigned `1..63`.
        int_bits: Bits left of the point, sign included; negative, or more than `bits`,
            where the point lies outside.
        signed: Two's complement, or else unsigned.
        rounding: What becomes of a value between two counts.
        overflow: What becomes of a value beyond the ends.
    """

    bits: int
    int_bits: int
    signed: bool = True
    rounding: Rounding = "TRN"
    overflow: Overflow = "WRAP"

    def __post_init__(self):
        """Checks the widths.

        Raises:
            UserError: The first that is not as described.
        """
        most = 64 if self.signed else 63
        if not 1 <= self.bits <= most:
            sign = "signed" if self.signed else "unsigned"
            raise UserError(
                f"a {sign} fixed-point type has 1..{most} bits, got {self.bits}; "
                "its counts are int64"
            )
        if self.int_bits - self.bits not in LSB_EXPONENTS:
            raise UserError(
                f"a fixed-point type of {self.bits} bits has "
                f"{self.bits + LSB_EXPONENTS[0]}..{self.bits + LSB_EXPONENTS[-1]} "
                f"integer bits, got {self.int_bits}"
            )

    @property
    def fraction_bits(self) -> int:
        """Bits right of the point: a count is worth `2**-fraction_bits`."""
        return self.bits - self.int_bits

    @property
    def lsb(self) -> float:
        """The value of one count; a power of two."""
        return math.ldexp(1.0, -self.fraction_bits)

    @property
    def range(self) -> tuple[int, int]:
        """The least and the greatest count that the bits can hold."""
        if self.signed:
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1

    @property
    def ends(self) -> tuple[int, int]:
        """The least and the greatest count that does not saturate."""
        lo, hi = self.range
        # A single bit, 0 or -1, has no `max` to mirror: the tools leave it as it is.
        return (-hi if lo < -1 and self.overflow == "SAT_SYM" else lo), hi

    def __str__(self) -> str:
        """The type in C++, defaults left out; `parse` reads it."""
        prefix = "ap_" if self.signed else "ap_u"
        if self == Fixed(self.bits, self.bits, self.signed, "TRN_ZERO", "WRAP"):
            return f"{prefix}int<{self.bits}>"
        modes = [f",AP_{self.rounding}", f",AP_{self.overflow}"]
        if self.overflow == "WRAP":
            modes = modes[: self.rounding != "TRN"]
        return f"{prefix}fixed<{self.bits},{self.int_bits}{''.join(modes)}>"

    def encode(
        self,
        values: Float[np.ndarray, "*shape"],
        *,
        dtype: type[np.signedinteger] = np.int64,
        name: str = "fixed point",
    ) -> Int[np.ndarray, "*shape"]:
        """The counts of some values, as an assignment from a double gives them.

        Args:
            values: Physical values; single precision counts as its double.
            dtype: Of the counts; must hold the type's range.
            name: What the values are, for a message.

        Raises:
            UserError: A value is NaN or infinite, for which no count is right, or
                `dtype` is too narrow.
        """
        held = np.iinfo(dtype)
        if not held.min <= self.range[0] <= self.range[1] <= held.max:
            raise UserError(
                f"{name}: counts of {self} are {self.range[0]}..{self.range[1]}, "
                f"{np.dtype(dtype).name} holds {held.min}..{held.max}"
            )
        counts = np.empty(values.shape, dtype)
        flat, out = values.reshape(-1), counts.reshape(-1)
        scratch = np.empty(min(_BLOCK, flat.size))
        whole = np.empty(scratch.size if self.overflow == "WRAP" else 0, np.int64)
        for start in range(0, flat.size, _BLOCK):
            block = flat[start : start + _BLOCK]
            lo, hi = float(block.min()), float(block.max())
            if not (math.isfinite(lo) and math.isfinite(hi)):
                raise _not_finite(values, name)
            into = out[start : start + _BLOCK]
            x = scratch[: block.size]
            # May be infinite, or -0 for a negative value that rounds to -1.
            scaled = lo * 2.0**self.fraction_bits, hi * 2.0**self.fraction_bits
            inside = self.ends[0] <= scaled[0] and scaled[1] <= self.ends[1] - 1
            if inside and (lo >= 0 or self.ends[0] < 0):
                scale_and_round(block, self.fraction_bits, self.rounding, x)
                np.copyto(into, x, casting="unsafe")
            elif self.overflow == "WRAP":
                far = max(-scaled[0], scaled[1]) > 2.0**62
                self._wrap(block, x, whole[: block.size], far)
                np.copyto(into, whole[: block.size], casting="unsafe")
            else:
                self._saturate(block, x, into)
        return counts

    def decode(
        self, raw: Int[np.ndarray, "*shape"], *, name: str = "fixed point"
    ) -> Float64[np.ndarray, "*shape"]:
        """The values of some counts.

        Raises:
            UserError: A count does not fit in the type.
        """
        self.check(raw, name=name)
        return raw * self.lsb

    def requantise(
        self, raw: Int64[np.ndarray, "*shape"], source: "Fixed"
    ) -> Int64[np.ndarray, "*shape"]:
        """The counts of this type for counts of another, as an assignment gives them.

        Raises:
            UserError: A count does not fit in `source`.
        """
        source.check(raw, name=str(source))
        shift = source.fraction_bits - self.fraction_bits
        if shift <= 0:
            return self._grow(raw, -shift)
        return self._grow(shift_down(raw, shift, self.rounding), 0)

    def check(self, raw: Int[np.ndarray, "*shape"], *, name: str) -> None:
        """Sees whether counts fit.

        Raises:
            UserError: One does not; names the first, its place, and the range.
        """
        lo, hi = self.range
        if not raw.size or (raw.min() >= lo and raw.max() <= hi):
            return
        bad = np.argwhere((raw < lo) | (raw > hi))
        sign = "signed" if self.signed else "unsigned"
        raise UserError(
            f"{name}: count {raw[tuple(bad[0])]} at {_place(bad[0])} does not fit "
            f"in {self.bits} {sign} bits, which hold {lo}..{hi} "
            f"({len(bad)} of {raw.size} counts are out of range)"
        )

    def _wrap(
        self, block: np.ndarray, x: np.ndarray, whole: np.ndarray, far: bool
    ) -> None:
        """Writes into `whole` the low bits of the rounded counts of `block`."""
        if far:
            # Modulo 2**64 counts, sign kept: neither ties nor low bits change by it.
            exponent = 64 - self.fraction_bits
            modulus = math.ldexp(1.0, exponent) if exponent < 1024 else math.inf
            scale_and_round(block, self.fraction_bits, self.rounding, x, modulus)
            x[x >= 2.0**63] -= 2.0**64
            x[x < -(2.0**63)] += 2.0**64
        else:
            scale_and_round(block, self.fraction_bits, self.rounding, x)
        np.copyto(whole, x, casting="unsafe")
        self._keep_low_bits(whole)

    def _keep_low_bits(self, whole: np.ndarray) -> None:
        if self.signed:
            np.left_shift(whole, 64 - self.bits, out=whole)
            np.right_shift(whole, 64 - self.bits, out=whole)
        else:
            np.bitwise_and(whole, self.range[1], out=whole)

    def _saturate(self, block: np.ndarray, x: np.ndarray, into: np.ndarray) -> None:
        """Writes into `into` the rounded counts of `block`, kept between the ends."""
        scale_and_round(block, self.fraction_bits, self.rounding, x)
        lo, hi = self.ends
        least, most = _towards_zero(lo), _towards_zero(hi)
        if self.overflow == "SAT_ZERO":
            np.copyto(x, 0.0, where=(x < least) | (x > most))
            np.copyto(into, x, casting="unsafe")
        elif (least, most) == (lo, hi):
            np.clip(x, least, most, out=x)
            np.copyto(into, x, casting="unsafe")
        else:  # an end is no double, and nothing lies between it and the last one
            below, above = x < least, x > most
            np.copyto(into, np.clip(x, least, most), casting="unsafe")
            into[below], into[above] = lo, hi

    def _grow(self, raw: np.ndarray, shift: int) -> np.ndarray:
        """`raw * 2**shift` as this type holds it."""
        if self.overflow == "WRAP":
            whole = raw << shift if shift < 64 else np.zeros_like(raw)
            self._keep_low_bits(whole)
            return whole
        lo, hi = self.ends
        # Compared before the shift, which could lose the highest bits.
        below, above = raw < -(-lo >> shift), raw > hi >> shift
        if self.overflow == "SAT_ZERO":
            lo = hi = 0
        kept = np.where(below | above, 0, raw) << min(shift, 63)
        return np.where(below, lo, np.where(above, hi, kept))


def parse(text: str) -> Fixed:
    """The type of a C++ name, such as `ap_ufixed<14,12,AP_TRN,AP_SAT>` or `ap_int<12>`.

    Modes that are left out are the tools' own, `AP_TRN` and `AP_WRAP`.  `ap_int` drops
    a fraction towards zero, as integers of C++ do, which is `TRN_ZERO`.  (The headers
    that AMD published in 2019 make 1 of doubles between -1/2 and 0; not so here.)

    Raises:
        UserError: It is no such name, or a type that is not possible.
    """
    packed = re.sub(r"\s", "", text)
    if match := _INT.fullmatch(packed):
        bits = int(match[2])
        return Fixed(bits, bits, not match[1], "TRN_ZERO", "WRAP")
    match = _FIXED.fullmatch(packed)
    if not match:
        raise UserError(
            f"{text!r} is no fixed-point type; expected something like "
            "'ap_fixed<16,6,AP_RND,AP_SAT>', 'ap_ufixed<14,12>' or 'ap_int<12>'"
        )
    modes: list[Any] = [mode.removeprefix("AP_") for mode in match[4].split(",")[1:]]
    for kind, mode in zip(("rounding", "overflow"), modes, strict=False):
        check_mode(kind, mode)
    return Fixed(int(match[2]), int(match[3]), not match[1], *modes)


def check_mode(kind: Literal["rounding", "overflow"], mode: str) -> None:
    """Sees whether there is such a mode.

    Raises:
        UserError: There is none; lists the most alike.
    """
    modes = get_args(Rounding if kind == "rounding" else Overflow)
    if mode not in modes:
        raise UserError(
            f"there is no {kind} mode {mode!r}; the most alike of {len(modes)} are "
            f"{nearest(mode, modes)}"
        )


def _towards_zero(whole: int) -> float:
    """The double of an integer, or the next one nearer to zero."""
    value = float(whole)
    return math.nextafter(value, 0.0) if abs(int(value)) > abs(whole) else value


def _place(index: np.ndarray) -> str:
    if len(index) == 1:
        return f"row {index[0]}"
    return f"index ({', '.join(map(str, index))})"


def _not_finite(values: np.ndarray, name: str) -> UserError:
    bad = np.argwhere(~np.isfinite(values))
    return UserError(
        f"{name}: the value at {_place(bad[0])} is {values[tuple(bad[0])]}, which no "
        f"count can stand for ({len(bad)} of {values.size} values are not finite)"
    )
