"""LUT-Dense exactly as HGQ-LUT defines it, trained in table space.

    y[j] = sum_i Qt_ij( BN_j( f_ij( Qi_ij(x[i]) ) ) )

(Sun et al., arXiv 2604.22293.)  `Qi` and `Qt` are `models.quantiser.Quantiser`s of any
form, rounding, overflow and granularity: per edge, per input, or one for all.

Every `Qi` is a function of the code of `x` on one finest grid, which caps on integer
and fractional bits fix for good:

    TRN        floor(x 2**F)                       cells of 2**-F
    RND        floor(x 2**(F+1))                   its break points are half steps
    RND_CONV   floor(s) + ceil(s), s = x 2**(F+1)  a tie is a cell of its own

and one code more at either end for what lies beyond.  A point of each cell, its lower
end (or, between ties, its middle), goes through all quantisers element by element; so
values, masks of saturation and gradients follow by differentiation.  What is left of
the surrogates, `ln 2 (x - point)`, and the gradient of `x` come back through the bag.

Where this differs from the formulas written out on the batch, on purpose:

- a value less than a step of the finest grid above a bound counts as inside it;
- moments of the normalisation are those of the points, weighted by a running
  occupancy, and pass no gradient to `x` (as `models.lut`);
- "WRAP" of inputs is watched on the batch, and in training what is beyond the finest
  grid saturates there.  Made strict (`models.quantiser.strict`) it wraps everywhere, as
  the firmware does.  "WRAP" of entries is watched on all codes, seen or not.
"""

from dataclasses import replace
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from models import cost, latency
from models.edges import Perceptron
from models.fixed_point import fixed_point
from models.forms import Filled, Norm, extent, normalise
from models.grid import Grid
from models.layer import Evaluated, Layer
from models.linear import fitting
from models.lut import shares
from models.observe import observe
from models.quantise import LN2, straight_through
from models.quantiser import Quantiser, quantiser
from models.ranges import Ranges
from models.reading import MOST_TABLE_BYTES, Address, Codes, Reading
from models.statistic import Statistic
from models.symbols import Recorder, Symbols, Wire
from models.tables import Edge, Tables
from trigger.errors import UserError

EXTRA_BITS = {"TRN": 0, "RND": 1, "RND_CONV": 2}
"""By how many bits cells are finer than the finest step."""


@final
class Steps(Reading):
    """Values on the finest grid of a layer, requantised by every edge for itself."""

    grid: Grid
    """`fine` holds the points of the codes; there are no cells."""
    iq: Quantiser
    integer: int = eqx.field(static=True)
    fraction: int = eqx.field(static=True)

    @property
    def low(self) -> int:
        """The least value of the grid, in cells."""
        return -(2 ** (self.integer + self.cell_bits)) if self.iq.signed else 0

    @property
    def cell_bits(self) -> int:
        """Fractional bits of the cells."""
        return self.fraction + EXTRA_BITS[self.iq.rounding]

    @property
    def count(self) -> int:
        """Cells within the grid; codes are two more."""
        return 2 ** (self.iq.signed + self.integer + self.cell_bits)

    def codes(self, x: Array) -> Codes:
        """Codes, distances to their points, and a mask of what is on the grid."""
        value = jax.lax.stop_gradient(x)
        between = self.iq.rounding == "RND_CONV"
        scale = 2.0 ** (self.cell_bits - between)
        counted = value * scale
        cell = jnp.floor(counted)
        rest = counted - cell
        if between:
            rest = counted - (cell + jnp.ceil(counted)) / 2
            cell = cell + jnp.ceil(counted)
        cell = cell - self.low
        if self.iq.strict and self.iq.overflow == "WRAP" and self.iq.guard == "error":
            # Every edge's period divides that of the grid.
            cell = cell - self.count * jnp.floor(cell / self.count)
        inside = ((cell >= 0) & (cell < self.count)).astype(value.dtype)
        code = jnp.clip(cell, -1, self.count).astype(jnp.int32) + 1
        return Codes(code, rest / scale * inside, inside)

    def address_bits(self) -> tuple[int, ...] | None:
        """None: every edge requantises the code."""
        return None

    def address(
        self, recorder: Recorder, wire: Wire, edge: tuple[int, int], width: int
    ) -> Address:
        """The input requantised by the edge, as signed as it is."""
        del width

        def own(grain: Array) -> Array:
            at = tuple(min(k, n - 1) for k, n in zip(edge, grain.shape, strict=True))
            return grain[at]

        quantised = jax.tree.map(own, self.iq)(Symbols(wire, recorder)).item()
        up = self.cell_bits - quantised.exponent
        return Address(quantised.node, up, 1 - self.low)


def points(
    signed: bool, integer: int, cell_bits: int, wrap: bool
) -> Float[np.ndarray, " codes"]:
    """The values that stand for the codes, the two beyond the grid included."""
    low = -(2 ** (integer + cell_bits)) if signed else 0
    cell = np.arange(low - 1, 2 ** (integer + cell_bits) + 1)
    if wrap:  # nothing there that a quantiser would take for saturated
        cell = np.clip(cell, cell[1], cell[-2])
    return cell / 2.0**cell_bits


@final
class QuantisedTables(Evaluated):
    """The tables of all codes of the finest grid."""

    tables: Tables
    in_bits: Edge
    out_bits: Edge
    extremes: Float[Array, "2 n_in"] | None
    """Zeros; the batch's greatest and least inputs arrive as their cotangent."""

    def __call__(self, x: Any) -> Any:
        """Sums of one example; axes before `n_in` are positions that share the tables."""
        if isinstance(x, latency.Arrivals):
            x = self._requantised(x)
        elif not isinstance(x, Symbols | Ranges) and self.extremes is not None:
            x = observe(_extremes, self.extremes, x)
        return self.tables(x)

    def luts(self) -> Float[Array, ""]:
        """LUT6 of tables and adders."""
        return self.tables.luts()

    def ebops(self) -> Float[Array, ""]:
        """As HGQ-LUT defines them, a dead edge's bit included."""
        return jnp.sum(cost.lut_ebops(self.in_bits, self.out_bits))

    def _requantised(self, x: latency.Arrivals) -> latency.Arrivals:
        """When the codes are there: every input waits for its widest edge."""
        reading = self.tables.reading
        assert isinstance(reading, Steps)
        widest = jnp.max(self.in_bits, axis=1)
        if reading.iq.rounding != "TRN":  # half a step is added
            x = latency.through_add(x, x, widest)
        if reading.iq.overflow == "WRAP" and reading.iq.guard == "error":
            return x
        return latency.through_clip(x, jnp.ones_like(widest))


@final
class QuantisedLUTDense(Layer):
    """Trainable tables between trainable quantisers."""

    edges: Perceptron
    iq: Quantiser
    toq: Quantiser
    gamma: Float[Array, " n_out"] | None
    beta: Float[Array, " n_out"] | None
    occupancy: Statistic
    most_integer: int = eqx.field(static=True)
    most_fraction: int = eqx.field(static=True)

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        iq: Quantiser | None = None,
        toq: Quantiser | None = None,
        most_integer: int = 3,
        most_fraction: int = 6,
        hidden: int = 8,
        depth: int = 1,
        activation: str = "tanh",
        batch_norm: bool = True,
        gain: float = 1.0,
        key: PRNGKeyArray,
    ):
        """Draws edge functions that are smooth and of order one.

        Args:
            n_in: Inputs.
            n_out: Outputs.
            iq: Quantiser of the inputs, its widths of a shape that broadcasts against
                `(n_in, n_out)`; HGQ's default, per edge, if not given.
            toq: Quantiser of the entries, likewise.
            most_integer: Cap on the integer bits of inputs.  The finest grid reaches to
                `2**most_integer`.
            most_fraction: Cap on their fractional bits.
            hidden: Hidden units per edge; costs nothing in the firmware.
            depth: Hidden layers of the edge functions.
            activation: Of the edge functions.
            batch_norm: Normalise the entries of each output over events and inputs.
            gain: Scale of the edge functions at the start.
            key: Source of the starting values.

        Raises:
            UserError: A size is not positive, a quantiser's widths do not broadcast, the
                caps are negative, or the tables would not fit into memory.
        """
        self.edges = Perceptron(
            n_in, n_out, hidden=hidden, depth=depth, activation=activation,
            gain=gain, key=key,
        )  # fmt: skip
        shape = (n_in, n_out)
        iq = iq or quantiser(shape, width=min(6.0, float(most_fraction)))
        toq = toq or quantiser(shape, form="kbi", width=8.0, overflow="SAT_SYM")
        fitting(iq, shape, "inputs of the edges")
        fitting(toq, shape, "entries")
        if min(most_integer, most_fraction) < 0:
            raise UserError(
                f"the finest grid of a layer of tables has most_integer={most_integer} "
                f"and most_fraction={most_fraction} bits; both must be at least 0"
            )
        bits = iq.signed + most_integer + most_fraction + EXTRA_BITS[iq.rounding]
        need = 5 * 4.0 * n_in * n_out * 2.0**bits
        if need > MOST_TABLE_BYTES:
            raise UserError(
                f"inputs of most_integer={most_integer} and most_fraction="
                f"{most_fraction} bits with rounding {iq.rounding!r} make {2**bits} codes "
                f"for each of {n_in} x {n_out} edges, whose tables and gradients take "
                f"{need / 2**30:.1f} GiB of memory, more than the "
                f"{MOST_TABLE_BYTES / 2**30:.0f} GiB that a layer may take; lower the caps"
            )
        self.iq = _of_rank_two(iq)
        self.toq = _of_rank_two(toq)
        self.gamma = jnp.ones(n_out) if batch_norm else None
        self.beta = jnp.zeros(n_out) if batch_norm else None
        even = jnp.full(2**bits, 2.0**-bits)
        self.occupancy = Statistic(jnp.tile(jnp.pad(even, 1), (n_in, 1)))
        self.most_integer = most_integer
        self.most_fraction = most_fraction

    def evaluated(self) -> QuantisedTables:
        """Evaluates every edge on every code of its input."""
        n_in, n_out = shape = self.edges.b_out.shape
        iq = self._on_grid()
        reading = self._reading(iq)
        # Towards (codes, n_in, n_out), which the widths broadcast against.
        x = jnp.broadcast_to(reading.grid.fine.T[:, :, None], (*self._codes, n_out))
        seen, inside = _through(_unwatched(iq), x, jnp.ones_like(x))
        canonical = jnp.moveaxis(reading.codes(seen).code, 0, 1)
        point, inside = jnp.moveaxis(seen, 0, 1), jnp.moveaxis(inside, 0, 1)
        raw, slope = self.edges.on(point, canonical)
        norm = None
        if self.gamma is not None and self.beta is not None:
            norm = Norm(self.gamma, self.beta, shares(self.occupancy.value))
        smooth, slope = normalise(raw, slope * inside, norm)
        entry, slope = _through(
            self.toq, jnp.moveaxis(smooth, 1, 0), jnp.moveaxis(slope, 1, 0)
        )
        entry, slope = jnp.moveaxis(entry, 0, 1), jnp.moveaxis(slope, 0, 1)
        # Of codes that an edge does not tell apart, the one that the firmware looks up:
        # a compiled loop may answer the same question twice with other last bits.
        hard = jnp.take_along_axis(jax.lax.stop_gradient(entry), canonical, axis=1)
        entry = straight_through(entry, hard)
        fraction = jnp.broadcast_to(iq.widths()[1], shape)
        filled = Filled(
            entry,
            jax.lax.stop_gradient(slope),
            extent(entry, canonical),
            jnp.ptp(hard, axis=1),
        )
        in_bits = jnp.broadcast_to(iq.bits(), shape)
        watched = isinstance(iq.integer, Statistic) and not iq.strict
        return QuantisedTables(
            tables=Tables(
                filled=filled,
                address=in_bits,
                fraction=jnp.broadcast_to(self.toq.widths()[1], shape),
                finer=LN2 * (fraction - jax.lax.stop_gradient(fraction)),
                occupancy=self.occupancy.value,
                reading=reading,
                reach=None,
            ),
            in_bits=in_bits,
            out_bits=jnp.broadcast_to(self.toq.bits(), shape),
            extremes=_watching(iq, jnp.zeros((2, n_in), x.dtype)) if watched else None,
        )

    def within_caps(self) -> "QuantisedLUTDense":
        """The layer with its widths moved back into what they may be.

        A width may go half a bit beyond, where it still rounds to its bound.
        """
        iq = self.iq.within_caps()
        i = iq.integer.value if isinstance(iq.integer, Statistic) else iq.integer
        i = jnp.clip(i, -self.most_fraction - 0.49, self.most_integer + 0.49)
        most = self.most_fraction + 0.49
        if iq.form == "kbi":
            most = most + jnp.round(i)
        integer = Statistic(i, "range") if isinstance(iq.integer, Statistic) else i
        iq = replace(iq, integer=integer, width=jnp.minimum(iq.width, most))
        parts = (iq, self.toq.within_caps())
        return eqx.tree_at(lambda layer: (layer.iq, layer.toq), self, parts)

    @property
    def _codes(self) -> tuple[int, int]:
        n_in, codes = self.occupancy.value.shape
        return codes, n_in

    def _on_grid(self) -> Quantiser:
        """The quantiser of the inputs with whole widths that the finest grid holds."""
        i, f = self.iq.widths()
        integer = straight_through(
            i, jnp.clip(i, -self.most_fraction, self.most_integer)
        )
        width = f
        if self.iq.form == "kbi":
            width = f + i
            most = jax.lax.stop_gradient(self.most_fraction + integer)
        else:
            most = float(self.most_fraction)
        width = straight_through(width, jnp.minimum(width, most))
        if isinstance(self.iq.integer, Statistic):
            now = self.iq.integer.value  # what it is shown goes straight through
            integer = Statistic(straight_through(now, integer), "range")
        return replace(self.iq, integer=integer, width=width)

    def _reading(self, iq: Quantiser) -> Steps:
        n_in = self._codes[1]
        bits = self.most_fraction + EXTRA_BITS[iq.rounding]
        fine = points(iq.signed, self.most_integer, bits, iq.overflow == "WRAP")
        fine = jnp.tile(jnp.asarray(fine, self.edges.b_out.dtype), (n_in, 1))
        even = jnp.full_like(fine, 1 / fine.shape[1])
        grid = Grid(fine, fine[None], even, (bits,) * n_in)
        return Steps(grid, iq, self.most_integer, self.most_fraction)


def _of_rank_two(q: Quantiser) -> Quantiser:
    """The quantiser with axes of length 1 where it has none."""
    missing = (1,) * (2 - q.width.ndim)
    return jax.tree.map(lambda grain: grain.reshape(*missing, *grain.shape), q)


def _unwatched(q: Quantiser) -> Quantiser:
    """The quantiser without its statistic being shown anything."""
    if not isinstance(q.integer, Statistic):
        return q
    value = jax.lax.stop_gradient(q.integer.value)
    return replace(q, integer=Statistic(value, "range"))


def _through(
    q: Quantiser,
    x: Float[Array, "codes n_in n_out"],
    slope: Float[Array, "codes n_in n_out"],
) -> tuple[Float[Array, "codes n_in n_out"], Float[Array, "codes n_in n_out"]]:
    """Quantised values, and slopes behind the quantiser: zero where it saturates."""
    i, f = jax.lax.stop_gradient(q.widths())

    def alone(x: Array) -> Array:
        return fixed_point(x, i, f, q.signed, q.rounding, q.overflow)

    slope = jax.jvp(alone, *jax.lax.stop_gradient(((x,), (slope,))))[1]
    return q(x), slope


def _extremes(x: Float[Array, "examples *positions n_in"]) -> Float[Array, "2 n_in"]:
    """What a batch shows of its inputs."""
    axes = tuple(range(x.ndim - 1))
    return jnp.stack([jnp.max(x, axis=axes), jnp.min(x, axis=axes)])


@jax.custom_vjp
def _watching(iq: Quantiser, zeros: Float[Array, "2 n_in"]) -> Float[Array, "2 n_in"]:
    """Zeros; extremes that come back become what the quantiser's range needs.

    Rounding is monotone, so the extremes of a batch show what all of it would.
    """
    del iq
    return zeros


def _watching_backward(iq: Quantiser, extremes: Float[Array, "2 n_in"]):
    y, back = jax.vjp(lambda q: q(extremes[:, :, None]), iq)
    return back(jnp.zeros_like(y))[0], jnp.zeros_like(extremes)


_watching.defvjp(lambda iq, zeros: (zeros, iq), _watching_backward)
