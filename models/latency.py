"""When values are there: the latency of the firmware to come, as a smooth function.

`Arrivals` go through an evaluated network in the place of numbers: an array of the
times, in ns, at which its values are ready.  The delays are those that the compiler
assumes (`firmware.delay`, which a test compares), and three rules make times of them:

- a sum is levels of counters, a LUT each, and one adder (`firmware.compress`), all
  after its last term; where a cycle is too short for that it is a few terms at a time,
  as many as lets it end first;
- no operation straddles two cycles: one that does not fit into what is left of a cycle
  waits for the next.  Beside `ns`, which knows no clock, a second time counts this
  waiting, and cycles follow from it by division;
- forward, operations are whole; backward the levels of a sum are a polygon in the
  logarithm of its terms, of which each has a share, and the delay of a table is a
  polygon that rises everywhere.
"""

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from models.quantise import straight_through

LEVEL_NS = 0.40
MUX_NS = 0.20
ADD_NS = 0.75
CARRY_NS = 0.025
REGISTER_NS = 0.15
"""A LUT6, a MUXF7/8/9, an adder, a bit of its carry, registers: see `firmware.delay`."""

LEVELS = {2: 0.0, 3: 0.78, 4: 1.45, 6: 2.28, 12: 3.4, 24: 4.4, 48: 5.35, 96: 6.35}
"""Levels of counters by the terms of a sum: the mean of what the compiler plans."""

SPREAD_NS = 0.10
"""How much longer than their mean sums are where a cycle is short: it is the slowest of
many that decides.  Found with the recorded networks of `tests/golden`."""

SIZES = (12, 6, 3, 2)
"""Terms of a sum that is done a few at a time: see `firmware.tree`."""

MOST_ROWS = 7
"""Sums in a row that a sum of many terms may become: two by two, 128 terms."""

MOST_ADDRESS = 24
"""Widest table that has a delay here."""

PICOSECOND = 1e-3
"""The compiler counts in these: times that differ by less are the same."""


@final
class Arrivals(eqx.Module):
    """Times at which an array of values is ready, after the rank of the input ports."""

    ns: Float[Array, "*shape"]
    """Without any clock: one long combinational path."""
    clocked: Float[Array, "*shape"]
    """Of a pipeline, waiting included: cycle `k` goes from `k` to `k + 1` periods of
    `logic_ns(clock_mhz)`.  The same as `ns` without a clock."""
    clock_mhz: float | None = eqx.field(static=True, default=None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.ns.shape

    @property
    def period(self) -> float | None:
        """What a cycle leaves for logic, in ns."""
        return None if self.clock_mhz is None else logic_ns(self.clock_mhz)

    def __getitem__(self, index: Any) -> "Arrivals":
        """Some of the values."""
        return self.moved(lambda times: times[index])

    def moved(self, move: Callable[..., Any], *others: "Arrivals") -> "Arrivals":
        """The values moved, as `models.layer.lift` asks it of all readings."""
        return jax.tree.map(move, self, *others)


def at_ports(shape: tuple[int, ...], clock_mhz: float | None = None) -> Arrivals:
    """The input ports, all ready at once.

    Args:
        shape: Shape of the words of one event.
        clock_mhz: The clock to pipeline for, if any.
    """
    return Arrivals(jnp.zeros(shape), jnp.zeros(shape), clock_mhz)


def logic_ns(clock_mhz: float) -> float:
    """What a cycle leaves for logic, in whole picoseconds as the compiler has it."""
    return (1e6 / clock_mhz) // 1 / 1000 - REGISTER_NS


def _table_ns(address: int) -> float:
    if address <= 1:
        return 0.0
    levels = 1 + (max(address - 9, 0) + 1) // 2
    return levels * LEVEL_NS + min(max(address - 6, 0), 3) * MUX_NS


TABLE_NS = tuple(_table_ns(w) for w in range(MOST_ADDRESS + 1))
"""Delay of a table by its address width: a LUT level to 6 bits, then F7, F8, F9."""


def table_ns(address: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Delay of tables, exact at whole widths.

    Backward the flat parts rise evenly, so that narrower is always better.
    """
    hard = jnp.asarray(TABLE_NS, address.dtype)
    corners = [
        w for w in range(MOST_ADDRESS + 1) if w in (0, 6, 7, 8) or (w % 2 and w > 8)
    ]
    smooth = jnp.interp(
        address,
        jnp.asarray(corners, address.dtype),
        jnp.asarray([TABLE_NS[w] for w in corners], address.dtype),
    )
    whole = jnp.round(jax.lax.stop_gradient(address)).astype(jnp.int32)
    return straight_through(smooth, hard[jnp.clip(whole, 0, MOST_ADDRESS)])


def adder_ns(bits: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Delay of an adder whose carry runs over `bits` bits."""
    return ADD_NS + CARRY_NS * bits


def through_tables(
    arrivals: Arrivals,
    address: Float[Array, "n_in n_out"],
    live: Float[Array, "n_in n_out"],
    sum_bits: Float[Array, " n_out"],
) -> Arrivals:
    """A LUT-Dense layer: every live edge looks up, every output sums.

    Args:
        arrivals: Of the `n_in` codes.
        address: Whole address bits of each edge.
        live: 1 where an edge has a table, 0 where it is a constant; may be soft.
        sum_bits: Width of each sum (`models.cost.sum_bits`).
    """
    looked = _after(arrivals[:, None], table_ns(address))
    return through_sum(looked, live, sum_bits)


def through_sum(
    arrivals: Arrivals,
    terms: Float[Array, "n_in *#rest"],
    sum_bits: Float[Array, "*#rest"],
) -> Arrivals:
    """Sums over the leading axis.

    Args:
        arrivals: Of what is summed.
        terms: How many terms each value is in its sum: 1 if live, 0 if not, the
            nonzero digits of its weight if it has one.  Forward rounded.
        sum_bits: Width of each sum.
    """
    terms = jnp.broadcast_to(terms, jnp.broadcast_shapes(terms.shape, arrivals.shape))
    arrivals = arrivals.moved(lambda times: jnp.broadcast_to(times, terms.shape))
    count = jnp.round(jax.lax.stop_gradient(terms))
    used = count > 0
    # Forward the count, backward every term's share, dead ones included.
    number = straight_through(jnp.sum(terms, axis=0), jnp.sum(count, axis=0))
    last = arrivals.moved(lambda times: _latest_of(times, used))
    flat = jnp.where(number > 1.0, sum_ns(number, sum_bits), 0.0)
    ns = last.ns + flat
    if arrivals.period is None:
        return Arrivals(ns, ns)
    clocked = _in_cycles(
        jax.lax.stop_gradient(last),
        jax.lax.stop_gradient(number),
        jax.lax.stop_gradient(sum_bits),
    )
    return Arrivals(
        ns, straight_through(last.clocked + flat, clocked), arrivals.clock_mhz
    )


def sum_ns(
    terms: Float[Array, "*#shape"], bits: Float[Array, "*#shape"]
) -> Float[Array, "*shape"]:
    """Delay of a sum of two terms or more: counters, then an adder of nearly its width.

    Args:
        terms: How many; forward the levels of counters are whole.
        bits: Width of the sum.
    """
    smooth = _levels(jnp.maximum(terms, 2.0))
    levels = straight_through(smooth, jnp.round(jax.lax.stop_gradient(smooth)))
    return LEVEL_NS * levels + adder_ns(jnp.maximum(bits - 1.0, 1.0))


def _levels(terms: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    known = jnp.asarray(list(LEVELS), terms.dtype)
    means = jnp.asarray(list(LEVELS.values()), terms.dtype)
    return jnp.interp(jnp.log2(terms), jnp.log2(known), means)


def _in_cycles(
    last: Arrivals, number: Float[Array, "*shape"], bits: Float[Array, "*#shape"]
) -> Float[Array, "*shape"]:
    """When sums of `number` terms are done in a pipeline, by the best of all sizes."""
    period = last.period
    assert period is not None
    shape = jnp.broadcast_shapes(number.shape, bits.shape)
    # The first is the whole sum at once; the others so many sums in a row, each but the
    # first of `size` terms.
    size = jnp.array([jnp.inf, *SIZES]).reshape(-1, *[1] * len(shape))
    rows = jnp.ceil(jnp.log2(jnp.maximum(number, 1.0)) / jnp.log2(size) - 1e-4)
    rows = jnp.where(size == jnp.inf, 1.0, rows)
    delay = sum_ns(jnp.minimum(number, size), bits) + SPREAD_NS

    def row(done: Int[Array, ""], at: Float[Array, "sizes *shape"]):
        return jnp.where(rows > done, _waited(at, delay, period), at)

    begin = jnp.broadcast_to(last.clocked, (len(size), *shape))
    ends = jax.lax.fori_loop(0, MOST_ROWS, row, begin)
    fits = (delay <= period) | (size == 2)
    best = jnp.min(jnp.where(fits, ends, jnp.inf), axis=0)
    return jnp.where(number > 1.0, best, last.clocked)


def _latest_of(
    ns: Float[Array, "n *rest"], used: Bool[Array, "n *rest"]
) -> Float[Array, "*rest"]:
    """The last of those that are used; 0 without any."""
    some = jnp.any(used, axis=0)
    if not ns.shape[0]:
        return jnp.zeros(ns.shape[1:])
    return jnp.where(some, latest(jnp.where(used, ns, -1e6)), 0.0)


def through_add(a: Arrivals, b: Arrivals, bits: Float[Array, "*#shape"]) -> Arrivals:
    """Element by element `a + b`, or any operation that an adder does."""
    later = a.moved(lambda x, y: latest(jnp.stack(jnp.broadcast_arrays(x, y))), b)
    return _after(later, adder_ns(bits))


def through_clip(arrivals: Arrivals, telling: Float[Array, "*#shape"]) -> Arrivals:
    """Saturations, `relu` among them.

    Args:
        arrivals: Of the values.
        telling: Bits that the value loses; 0 where it stays inside and nothing is
            built.  Up to five fit a LUT6 together with a bit that is kept.
    """
    telling = jax.lax.stop_gradient(telling)
    levels = jnp.where(telling <= 0, 0.0, jnp.where(telling <= 5, 1.0, 2.0))
    return _after(arrivals, LEVEL_NS * levels)


def latest(ns: Float[Array, "n *rest"]) -> Float[Array, "*rest"]:
    """The last of the leading axis; backward those within a LUT level share."""
    smooth = LEVEL_NS * jax.nn.logsumexp(ns / LEVEL_NS, axis=0)
    return straight_through(smooth, jnp.max(ns, axis=0))


def cycles(arrivals: Arrivals) -> Float[Array, ""]:
    """Register ranks from input ports to output ports, the two of the ports included.

    A whole number; backward it has the slope of the latest outputs, in cycles.

    Args:
        arrivals: Of everything that leaves the block, by a clock.

    Raises:
        ValueError: The arrivals know no clock.
    """
    if arrivals.period is None:
        raise ValueError("cycles need arrivals of a clock: at_ports(shape, clock_mhz)")
    last = latest(arrivals.clocked.reshape(-1)) / arrivals.period
    hard = jnp.ceil(jax.lax.stop_gradient(last) - PICOSECOND / arrivals.period)
    return straight_through(last, jnp.maximum(hard, 1.0) + 1.0)


def _after(arrivals: Arrivals, delay: Float[Array, "*#shape"]) -> Arrivals:
    """The times after one operation, which waits for a cycle that it fits in."""
    ns, period = arrivals.ns + delay, arrivals.period
    if period is None:
        return Arrivals(ns, ns)
    hard = _waited(*jax.lax.stop_gradient((arrivals.clocked, delay)), period)
    clocked = straight_through(arrivals.clocked + delay, hard)
    return Arrivals(ns, clocked, arrivals.clock_mhz)


def _waited(
    start: Float[Array, "*#shape"], took: Float[Array, "*#shape"], period: float
) -> Float[Array, "*shape"]:
    """When an operation is done that waits for a cycle that it fits in."""
    end_of_cycle = (jnp.floor((start + PICOSECOND) / period) + 1) * period
    fits = start + took <= end_of_cycle + PICOSECOND
    return jnp.where(fits, start, end_of_cycle) + took
