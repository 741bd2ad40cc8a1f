"""Fixed point of trainable width: where numbers become what the firmware can hold.

A quantiser rounds to multiples of `2**-f` and keeps within `-k 2**i .. 2**i - 2**-f`,
with `i` integer bits, `f` fractional bits and a sign bit if `k = 1`.  It trains `i` and
`f` (form "kif") or `i` and `b = i + f` (form "kbi"), one pair per element, channel or
tensor: whatever broadcasts against the values.  Formulas and surrogate gradients are
those of HGQ (Sun et al., arXiv 2405.00645, section 3):

    dq/dx = 1                dq/df = ln 2 (x - q)                  where x is in range
    dq/dx = 0                d/di = +-2**i ln 2, d/df = +-2**-f ln 2   where it saturates

Overflow "SAT" and "SAT_SYM" (without the least negative number) saturate.  "WRAP" costs
no logic; it keeps its range by watching it: `i` is no parameter but a statistic,
and training only rounds.  `strict` makes it wrap as the firmware does, `calibrate` sets
the ranges to what a set of examples needs.

Conventions
-----------
- Widths are float32 leaves; the whole numbers that count come from `widths`.
- Float values are exact up to 24 bits, which the caps keep the useful widths within.
"""

from dataclasses import replace
from typing import Any, Literal, cast, final, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from models.fixed_point import (
    FLOAT_BITS,
    Overflow,
    Rounding,
    fixed_point,
    whole_bits,
)
from models.latency import Arrivals, through_add, through_clip
from models.observe import as_integer_of_kbi, as_integer_of_kif, largest, observe
from models.quantise import power_of_two, straight_through
from models.ranges import Ranges
from models.statistic import Statistic
from models.symbols import Recorder, Symbols, Wire
from trigger.errors import UserError


@final
class Quantiser(eqx.Module):
    """Fixed point of trainable width, element by element; see `quantiser` to build one."""

    integer: Float[Array, "*grain"] | Statistic
    """Integer bits `i`; a statistic of kind "range" if the overflow is "WRAP"."""
    width: Float[Array, "*grain"]
    """Fractional bits `f` (form "kif") or all bits but the sign, `b` (form "kbi")."""
    form: Literal["kif", "kbi"] = eqx.field(static=True)
    signed: bool = eqx.field(static=True)
    rounding: Rounding = eqx.field(static=True)
    overflow: Overflow = eqx.field(static=True)
    most_integer: int = eqx.field(static=True, default=23)
    """Cap on `|i|`."""
    most_fraction: int = eqx.field(static=True, default=24)
    """Cap on `|f|` in form "kif"."""
    most_bits: int = eqx.field(static=True, default=23)
    """Cap on `b` in form "kbi"."""
    guard: Literal["error", "saturate"] = eqx.field(static=True, default="error")
    """What a strict "WRAP" does out of range: wrap, but refuse to at a port of the
    block, where a silent wrap would be a trap; or saturate wherever it would wrap."""
    strict: bool = eqx.field(static=True, default=False)
    """Whether "WRAP" leaves its range as the firmware does; set by `strict`."""

    def __check_init__(self):
        if (self.overflow == "WRAP") != isinstance(self.integer, Statistic):
            raise UserError(
                f"the integer bits of a quantiser with overflow {self.overflow!r} are "
                f"a {type(self.integer).__name__}; they must be a Statistic for 'WRAP' "
                "and an array for all others (models.quantiser.quantiser builds either)"
            )

    def widths(self) -> tuple[Float[Array, "*grain"], Float[Array, "*grain"]]:
        """Whole integer and fractional bits, `i >= -f`, differentiable."""
        i = self._range()
        integer = whole_bits(i, -self.most_integer, self.most_integer)
        if self.form == "kif":
            fraction = whole_bits(self.width, -self.most_fraction, self.most_fraction)
        else:
            fraction = whole_bits(self.width, 0, self.most_bits) - integer
        return straight_through(integer, jnp.maximum(integer, -fraction)), fraction

    def magnitude_bits(self) -> Float[Array, "*grain"]:
        """Bits without the sign, `b = max(i + f, 0)`, differentiable; 0 is flat."""
        integer, fraction = self.widths()
        total = integer + fraction
        return total if self.form == "kbi" else jax.nn.relu(total)

    def bits(self) -> Float[Array, "*grain"]:
        """Bits of a number, sign included, as HGQ counts them for tables.

        A "WRAP" of zero magnitude has no bits; other signed numbers keep their sign bit.
        """
        b = self.magnitude_bits()
        if not self.signed:
            return b
        if self.overflow == "WRAP":
            return b + (jax.lax.stop_gradient(b) > 0)
        return b + 1.0

    def factor_bits(self) -> Float[Array, "*grain"]:
        """Bits of a number as HGQ counts them for products: sign only if "SAT"."""
        return self.bits() if self.overflow == "SAT" else self.magnitude_bits()

    def within_caps(self) -> "Quantiser":
        """The quantiser with its parameters moved back into what they may be."""
        low, high = -self.most_fraction, self.most_fraction
        if self.form == "kbi":
            low, high = 0, self.most_bits
        i = jnp.clip(self._range(), -self.most_integer, self.most_integer)
        integer = Statistic(i, "range") if isinstance(self.integer, Statistic) else i
        return replace(self, integer=integer, width=jnp.clip(self.width, low, high))

    def __call__(self, x: Any) -> Any:
        """Quantises the values of one example, wires, or their arrival times.

        Raises:
            UserError: The widths do not broadcast against `x`; or, on wires, a "WRAP"
                could wrap at a port, or a range is beyond what float32 holds.
        """
        try:
            np.broadcast_shapes(x.shape, self.width.shape)
        except ValueError:
            raise UserError(
                f"a quantiser with widths of shape {self.width.shape} got values of "
                f"shape {x.shape}, which do not broadcast; layers take one example, "
                "jax.vmap takes batches"
            ) from None
        if isinstance(x, Symbols):
            return self._on_wires(x)
        if isinstance(x, Arrivals):
            return self._on_arrivals(x)
        if isinstance(x, Ranges):
            return self._on_ranges(x)
        integer, fraction = self.widths()
        q = fixed_point(x, integer, fraction, self.signed, self.rounding, self.overflow)
        if not isinstance(self.integer, Statistic):
            return q
        if self.strict:
            return straight_through(q, self._leave_range(q, integer, fraction))
        if self.form == "kif":
            needed = as_integer_of_kif(self.integer.value, fraction)
            return observe(largest(self.integer.value), needed, q)
        b = integer + fraction
        needed = as_integer_of_kbi(self.integer.value, b)
        x = jnp.broadcast_to(x, q.shape)
        seen = observe(largest(self.integer.value), needed, x)
        q = fixed_point(
            seen, integer, fraction, self.signed, self.rounding, self.overflow
        )
        # A width that trained down to nothing is a removal, in training too.
        return straight_through(q, jnp.where(b > 0, q, 0.0))

    def _range(self) -> Float[Array, "*grain"]:
        if isinstance(self.integer, Statistic):
            return jax.lax.stop_gradient(self.integer.value)
        return self.integer

    def _leave_range(
        self,
        q: Float[Array, "*shape"],
        integer: Float[Array, "*#shape"],
        fraction: Float[Array, "*#shape"],
    ) -> Float[Array, "*shape"]:
        """What a strict "WRAP" makes of rounded values; exact."""
        top = power_of_two(integer.astype(q.dtype))
        step = power_of_two(-fraction.astype(q.dtype))
        if self.guard == "saturate":
            kept = jnp.clip(q, -top if self.signed else 0.0, top - step)
        else:
            period = 2 * top if self.signed else top
            # Dividing by a power of two and keeping the low bits round nothing.
            kept = q - period * jnp.floor(q / period)
            if self.signed:
                kept = jnp.where(kept >= top, kept - period, kept)
        return jnp.where(integer + fraction > 0, kept, 0.0)

    def _on_arrivals(self, x: Arrivals) -> Arrivals:
        bits = self.bits()
        if self.rounding != "TRN":  # half an LSB is added
            x = through_add(x, x, bits)
        if self.overflow == "WRAP" and self.guard == "error":
            return x
        # How far the values go beyond is known to the integer program alone.
        return through_clip(x, jnp.ones_like(bits))

    def _on_ranges(self, x: Ranges) -> Ranges:
        integer, fraction = self.widths()
        finest = jnp.minimum(x.fraction, fraction)
        if self.overflow != "WRAP" or self.guard == "saturate":
            how = (integer, fraction, self.signed, self.rounding)
            return x.rising(lambda a: fixed_point(a, *how, "SAT"), finest)
        shape = jnp.broadcast_shapes(x.shape, integer.shape)
        top = jnp.broadcast_to(power_of_two(integer), shape)
        most = top - power_of_two(-fraction)
        return Ranges(-top if self.signed else 0 * top, most, finest, x.bill)

    def _on_wires(self, x: Symbols) -> Symbols:
        shape = np.broadcast_shapes(x.shape, self.width.shape)
        integer, fraction = (
            np.broadcast_to(np.asarray(w), shape).astype(int) for w in self.widths()
        )
        wires = np.broadcast_to(x.wires, shape)
        out = np.empty(shape, object)
        for at in np.ndindex(shape):
            out[at] = self._wire(
                x.recorder,
                cast(Wire, wires[at]),
                int(integer[at]),
                int(fraction[at]),
                at,
            )
        return Symbols(out, x.recorder)

    def _wire(
        self,
        recorder: Recorder,
        wire: Wire,
        integer: int,
        fraction: int,
        at: tuple[int, ...],
    ) -> Wire:
        """One number as integers: rounded first, since rounding keeps to the range."""
        b = integer + fraction
        if b + self.signed <= 0 or (self.overflow == "WRAP" and b <= 0):
            return Wire(recorder.const(0), 0)
        node, exponent = _round_wire(recorder, wire, fraction, self.rounding)
        up = fraction - exponent  # what is left of the wire's own grid is coarser
        lo, hi = (bound << up for bound in recorder.interval(node))
        top = 2**b - 1
        bottom = -top if self.overflow == "SAT_SYM" else -(2**b)
        bottom = bottom if self.signed else 0
        if bottom <= lo and hi <= top:
            return Wire(node, exponent)
        if b > FLOAT_BITS:
            raise UserError(
                f"element {at} of a quantiser has {b} bits and can leave its range, "
                f"which float32 holds exactly up to {FLOAT_BITS} bits only; lower its "
                "caps or train with a price on bits"
            )
        if self.overflow == "WRAP" and self.guard == "error":
            if _from_port(recorder, wire.node):
                lsb = 2.0**-fraction
                raise UserError(
                    f"element {at} of a quantiser with overflow 'WRAP' reads a port "
                    f"of {lo * lsb:g} to {hi * lsb:g} and holds {bottom * lsb:g} to "
                    f"{top * lsb:g} only, so it would wrap silently; use overflow "
                    "'SAT' or guard='saturate', or calibrate it on the port's range"
                )
            kept = b - up + self.signed
            if kept <= 0:  # every value is a multiple of the period
                return Wire(recorder.const(0), 0)
            return Wire(recorder.wrap(node, kept, self.signed), exponent)
        low, high = (min(max(bound, bottom), top) for bound in (lo, hi))
        if low % 2**up or high % 2**up:  # the bound is on the finer grid only
            node, exponent, up = recorder.shift(node, up), fraction, 0
        if low == high:
            return Wire(recorder.const(low >> up), exponent)
        return Wire(recorder.clip(node, low >> up, high >> up), exponent)


def _round_wire(
    recorder: Recorder, wire: Wire, fraction: int, rounding: Rounding
) -> tuple[int, int]:
    """A wire on the grid of `2**-fraction`, and the exponent that it then counts in.

    A wire of a coarser grid is on it already and stays as it is.
    """
    down = wire.exponent - fraction
    if down <= 0:
        return wire.node, wire.exponent
    node = wire.node
    if rounding == "RND":
        node = recorder.sum([node], [1], 1 << (down - 1))
    elif rounding == "RND_CONV":
        # Of two neighbours in a tie the even one: add half, less one if below is even.
        odd = recorder.wrap(recorder.shift(node, -down), 1, False)
        node = recorder.sum([node, odd], [1, 1], (1 << (down - 1)) - 1)
    return recorder.shift(node, -down), fraction


def _from_port(recorder: Recorder, node: int) -> bool:
    """Whether a node is a port's word, or one number made of that word alone."""
    op = recorder.op(node)
    while op.kind != "table" and len(op.args) == 1:
        op = recorder.op(op.args[0])
    return op.kind == "input"


def quantiser(
    grain: tuple[int, ...] = (),
    *,
    form: str = "kif",
    integer: float = 2.0,
    width: float = 6.0,
    signed: bool = True,
    rounding: str = "RND",
    overflow: str = "WRAP",
    guard: str = "error",
) -> Quantiser:
    """Builds a quantiser; the defaults are HGQ's for values between layers.

    Args:
        grain: Shape of the widths; it broadcasts against the values.
        form: "kif" trains `i` and `f`, "kbi" trains `i` and `b`.
        integer: Starting integer bits.
        width: Starting `f` or `b`.
        signed: Whether there is a sign bit.
        rounding: "TRN", "RND" or "RND_CONV".
        overflow: "SAT", "SAT_SYM" or "WRAP".
        guard: What a strict "WRAP" does out of range, see `Quantiser.guard`.

    Raises:
        UserError: A choice is none of those above.
    """
    for name, given, known in (
        ("form", form, ("kif", "kbi")),
        ("rounding", rounding, get_args(Rounding)),
        ("overflow", overflow, get_args(Overflow)),
        ("guard", guard, ("error", "saturate")),
    ):
        if given not in known:
            raise UserError(
                f"the {name} of a quantiser is {given!r}, it must be one of "
                f"{', '.join(map(repr, known))}"
            )
    i = jnp.full(grain, integer, jnp.float32)
    return Quantiser(
        integer=Statistic(i, "range") if overflow == "WRAP" else i,
        width=jnp.full(grain, width, jnp.float32),
        form=cast(Any, form),
        signed=signed,
        rounding=cast(Any, rounding),
        overflow=cast(Any, overflow),
        guard=cast(Any, guard),
    )


def for_weights(grain: tuple[int, ...]) -> Quantiser:
    """HGQ's default for weights: 8 bits and a sign, 2 of them integer, symmetric."""
    return quantiser(grain, form="kbi", width=8.0, overflow="SAT_SYM")


def for_biases(grain: tuple[int, ...]) -> Quantiser:
    """HGQ's default for biases: 8 bits and a sign, with a range that follows them."""
    return quantiser(grain, form="kbi", width=8.0, guard="saturate")
