"""Tables that are ready for examples: the evaluated form of every layer of tables.

The entries are the integers of the firmware, as floats; a sum of them is exact in any
order while it stays below 2**24 steps.  What trains behind them is `models.lut`.
"""

import math
from collections.abc import Iterable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from models import cost, count, latency
from models.bag import bag, bag_of_values
from models.forms import Filled
from models.layer import Evaluated
from models.quantise import power_of_two, straight_through
from models.ranges import Ranges
from models.reading import Codes, Reading, Words
from models.symbols import Recorder, Symbols, Wire

Edge = Float[Array, "n_in n_out"]


@final
class Tables(Evaluated):
    """A table per edge, from `n_in` codes to `n_out` sums."""

    filled: Filled
    address: Edge
    """Whole address bits of each edge, differentiable."""
    fraction: Edge
    """Whole fractional bits of each edge's entries, differentiable."""
    finer: Edge
    """A zero: what the address widths see of the distance of values to their codes."""
    occupancy: Float[Array, "n_in codes"] | None
    """A statistic: the batch's share at each code arrives as its cotangent."""
    reading: Reading
    reach: float | None = eqx.field(static=True)
    """Sums saturate at `-reach..reach`; none if they leave as they are."""
    places: int = eqx.field(static=True, default=1)
    """Positions of an example, each of which has tables of its own in the firmware."""

    def __call__(self, x: Any) -> Any:
        """Sums of one example; axes before `n_in` are positions that share the tables.

        Args:
            x: `[*positions, n_in]`, numbers, wires, arrival times or ranges.

        Returns:
            `[*positions, n_out]`.
        """
        if isinstance(x, Symbols):
            return self._on_wires(x)
        if isinstance(x, latency.Arrivals):
            return self._on_arrivals(x)
        if isinstance(x, Ranges):
            return self._on_ranges(x)
        return self.sums(self.reading.codes(x), x)

    def sums(self, codes: Codes, x: Array) -> Array:
        """Sums from codes that were made already, as convolutions share them."""
        n_in, n_out = self.address.shape
        lead = x.shape[:-1]
        code, rest, inside = (part.reshape(-1, n_in) for part in codes)
        entry = self.filled.entry
        if isinstance(self.reading, Words):
            y = bag(entry, code)
        else:
            seen = self.occupancy
            seen = jnp.zeros(entry.shape[:2], entry.dtype) if seen is None else seen
            y = bag_of_values(
                *(entry, self.filled.slope, self.finer, seen),
                *(code, rest, inside, x.reshape(-1, n_in)),
            )
        y = y.reshape(*lead, n_out)
        if self.reach is None:
            return y
        return saturate(y, -self.reach, self._top(), self.reach)

    def sum_fraction(self) -> Float[Array, " n_out"]:
        """Fractional bits of the sums: the most that a nonzero entry brings.

        At least so many that the reach is a whole number of steps.
        """
        least = 0.0 if self.reach is None else float(-np.log2(self.reach))
        used = (self.filled.hard > 0) | (self.filled.entry[:, 0] != 0)
        most = jnp.max(jnp.where(used, self.fraction, least), axis=0)
        return jax.lax.stop_gradient(jnp.maximum(most, least))

    def live(self) -> Edge:
        """1 where an edge has a table, 0 where it is a constant."""
        return (self.filled.hard > 0).astype(jnp.float32)

    def luts(self) -> Float[Array, ""]:
        """Price of tables, adders and saturations at all places."""
        return self.places * cost.tables_luts(
            self.filled.soft, self.filled.hard, self.address, self.fraction
        )

    def ebops(self) -> Float[Array, ""]:
        """EBOPs of the reference: sign bits counted, as its tables have them."""
        bits = cost.entry_bits(self.filled.soft, self.filled.hard, self.fraction)
        return self.places * jnp.sum(cost.lut_ebops(self.address, bits))

    def _on_arrivals(self, x: latency.Arrivals) -> latency.Arrivals:
        bits = cost.entry_bits(self.filled.soft, self.filled.hard, self.fraction)
        sums = cost.sum_bits(self.filled.soft, self.filled.hard, self.fraction)
        # An edge of few bits is less of a term: so fan-in has a price before it falls.
        live = straight_through(1.0 - jnp.exp2(-bits), self.live())
        lead = x.shape[:-1]
        flat = x.moved(lambda times: times.reshape(-1, times.shape[-1]))

        def one(position: latency.Arrivals) -> latency.Arrivals:
            return latency.through_tables(position, self.address, live, sums)

        y = jax.vmap(one)(flat)
        if self.reach is not None:
            # Counted in steps of the finest live edge, as the sum is once constants
            # are in the bias.
            finest = jnp.max(jnp.where(self.live() > 0, self.fraction, 0.0), axis=0)
            kept = finest + float(np.log2(2 * self.reach))
            y = latency.through_clip(y, jnp.maximum(sums - kept + 1.0, 1.0))
        return y.moved(lambda times: times.reshape(*lead, -1))

    def _top(self) -> Float[Array, " n_out"]:
        """The last multiple of its own LSB below the reach.

        So a code made of the sum has never more bits than the sum tells apart.
        """
        assert self.reach is not None
        return self.reach - 1 / power_of_two(self.sum_fraction())

    def _on_ranges(self, x: Ranges) -> Ranges:
        """Ranges of the sums, the same at all positions; each is on the bill."""
        lead = x.shape[:-1]
        bits, codes = self.reading.address_bits(), self.filled.entry.shape[1]
        last = codes - 1 if bits is None else 2 ** np.array(bits) - 1
        at_least, at_most = (
            jnp.clip(self.reading.codes(value).code, 0, last).reshape(-1, x.shape[-1])
            for value in (x.least, x.most)
        )
        low, high = jnp.min(at_least, axis=0), jnp.max(at_most, axis=0)
        held = count.held(
            *(self.filled.entry, self.address, self.fraction, low, high, bits)
        )
        luts = count.of_tables(held.steps, held.read, self.fraction)
        x.bill.add(self, math.prod(lead) * luts)
        least, most = jnp.sum(held.least, axis=0), jnp.sum(held.most, axis=0)
        if self.reach is not None:
            top = self._top()
            least, most = (jnp.clip(y, -self.reach, top) for y in (least, most))
        each = (least, most, self.sum_fraction())
        least, most, fraction = (jnp.broadcast_to(a, (*lead, a.size)) for a in each)
        return Ranges(least, most, fraction, x.bill)

    def _on_wires(self, x: Symbols) -> Symbols:
        lead = x.shape[:-1]
        flat = x.reshape(-1, x.shape[-1])
        rows = [self._row(x.recorder, row.wires) for row in flat]
        wires = np.array(rows, object).reshape(*lead, -1)
        return Symbols(wires, x.recorder)

    def _row(self, recorder: Recorder, wires: np.ndarray) -> list[Wire]:
        """The sums of one position as nodes: what is constant goes into the bias."""
        entry = np.asarray(self.filled.entry, np.float64)
        address = np.asarray(self.address).astype(int)
        fraction = np.asarray(self.fraction).astype(int)
        n_in, _, n_out = entry.shape
        exponents = np.asarray(self.sum_fraction()).astype(int)
        out = []
        for j in range(n_out):
            terms: list[int] = []
            weights: list[int] = []
            exponent, bias = int(exponents[j]), 0
            for i in range(n_in):
                # Beyond the last code of a narrow input there are only its copies.
                column = entry[i, :, j]
                if np.all(column == column[0]):
                    # A constant may have fewer fractional bits in use than its edge.
                    bias += whole(column[0] * 2.0**exponent)
                    continue
                counts = column * 2.0 ** fraction[i, j]
                at = self.reading.address(
                    recorder, wires[i], (i, j), int(address[i, j])
                )
                node = recorder.table(
                    at.node,
                    lambda v, c=counts, a=at: whole(c[(v << a.up) + a.base]),
                )
                terms.append(node)
                weights.append(1 << int(exponent - fraction[i, j]))
            node = recorder.sum(terms, weights, bias)
            if self.reach is not None:
                half = whole(self.reach * 2.0**exponent)
                kept = recorder.clip(recorder.sum([node], bias=half), 0, 2 * half - 1)
                node = recorder.sum([kept], bias=-half)
            out.append(Wire(node, exponent))
        return out


def all_tables(evaluated: Any) -> list[Tables]:
    """The layers of tables of an evaluated network, in the order of its fields."""
    return [n for n in jax.tree.leaves(evaluated, is_leaf=_is_tables) if _is_tables(n)]


def with_tables(evaluated: Any, tables: Iterable[Tables]) -> Any:
    """An evaluated network with other layers of tables, as `all_tables` lists them."""
    others = iter(tables)
    return jax.tree.map(
        lambda node: next(others) if _is_tables(node) else node,
        evaluated,
        is_leaf=_is_tables,
    )


def _is_tables(node: Any) -> bool:
    return isinstance(node, Tables)


def whole(value: float) -> int:
    """A float that is a whole number, as one."""
    count = int(value)
    assert count == value, "entries are multiples of their LSB"
    return count


@jax.custom_jvp
def saturate(
    y: Float[Array, "*shape n_out"],
    low: float | Float[Array, ""],
    top: Float[Array, " n_out"],
    reach: float | Float[Array, ""],
) -> Float[Array, "*shape n_out"]:
    """`y` within `low..top`; gradients pass up to the reach itself."""
    del reach
    return jnp.clip(y, low, top)


@saturate.defjvp
def _saturate_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]):
    y, low, _, reach = primals
    inside = (y >= low) & (y <= reach)
    return saturate(*primals), tangents[0] * inside
