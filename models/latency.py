"""When values are there: the latency of the firmware to come, as a smooth function.

`Arrivals` go through an evaluated network in the place of numbers: an array of the
times, in ns, at which its values are ready.  The delays are those that the compiler
assumes (`firmware.delay`, which a test compares), and three rules make times of them:

- a tree of adders takes early terms first, so that a sum of terms that are ready in
  slots `s_i` of one adder each is ready in slot `log2(sum_i 2**s_i)`, rounded up
  (Kraft's inequality; Huffman's order attains it);
- no operation straddles two cycles: one that does not fit into what is left of a cycle
  waits for the next.  Beside `ns`, which knows no clock, a second time counts this
  waiting, and cycles follow from it by division;
- forward, operations are whole; backward a sum is its own smooth `log2`, in which every
  term has a share, and the delay of a table is a polygon that rises everywhere.
"""

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.quantise import straight_through

LEVEL_NS = 0.40
MUX_NS = 0.20
ADD_NS = 0.75
CARRY_NS = 0.025
REGISTER_NS = 0.15
"""A LUT6, a MUXF7/8/9, an adder, a bit of its carry, registers: see `firmware.delay`."""

STEP_NS = ADD_NS + 10 * CARRY_NS
"""The slot by which the compiler orders the terms of a sum: see `firmware.tree`."""

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
        """The values moved, as `models.layer.lift` asks it of all three readings."""
        every = (self, *others)
        return Arrivals(
            move(*(a.ns for a in every)),
            move(*(a.clocked for a in every)),
            self.clock_mhz,
        )


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
    entry_bits: Float[Array, "n_in n_out"],
    sum_bits: Float[Array, " n_out"],
) -> Arrivals:
    """A LUT-Dense layer: every live edge looks up, every output sums.

    Args:
        arrivals: Of the `n_in` codes.
        address: Whole address bits of each edge.
        live: 1 where an edge has a table, 0 where it is a constant; may be soft.
        entry_bits: Width of each edge's entries (`models.cost.span_bits`).
        sum_bits: Width of each sum (`models.cost.sum_bits`).
    """
    looked = _after(arrivals[:, None], table_ns(address))
    return through_sum(looked, live, entry_bits, sum_bits)


def through_sum(
    arrivals: Arrivals,
    terms: Float[Array, "n_in *#rest"],
    term_bits: Float[Array, "n_in *#rest"],
    sum_bits: Float[Array, "*#rest"],
) -> Arrivals:
    """Sums over the leading axis, as trees of adders.

    Args:
        arrivals: Of what is summed.
        terms: How many terms each value is in its sum: 1 if live, 0 if not, the
            nonzero digits of its weight if it has one.  Forward rounded.
        term_bits: Width of each term.
        sum_bits: Width of each sum.
    """
    terms = jnp.broadcast_to(terms, jnp.broadcast_shapes(terms.shape, arrivals.shape))
    arrivals = arrivals.moved(lambda times: jnp.broadcast_to(times, terms.shape))
    count = jnp.round(jax.lax.stop_gradient(terms))
    number = jnp.sum(count, axis=0)
    leaf = jnp.sum(count * term_bits, axis=0) / jnp.maximum(number, 1.0)
    levels = jnp.log2(jnp.maximum(number, 1.0))
    # What an adder gains over its arguments, from the leaves to the root.
    gain = (sum_bits - leaf) / jnp.maximum(levels, 1.0)
    hard = _planted(*jax.lax.stop_gradient((arrivals, count, sum_bits, gain)))
    delay = adder_ns((sum_bits + leaf + gain) / 2)
    step = jax.lax.stop_gradient(delay)
    # In a pipeline an adder takes its share of a cycle.
    share = 1.0
    if arrivals.period is not None:
        fit = jnp.floor((arrivals.period + PICOSECOND) / step)
        share = arrivals.period / jnp.maximum(fit, 1.0) / step
    soft = _soft_sum(arrivals.ns, terms, count, delay)
    soft_clocked = _soft_sum(arrivals.clocked, terms, count, delay * share)
    return Arrivals(
        straight_through(soft, hard.ns),
        straight_through(soft_clocked, hard.clocked),
        arrivals.clock_mhz,
    )


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
    start, took = jax.lax.stop_gradient((arrivals.clocked, delay))
    end_of_cycle = (jnp.floor((start + PICOSECOND) / period) + 1) * period
    fits = start + took <= end_of_cycle + PICOSECOND
    hard = jnp.where(fits, start, end_of_cycle) + took
    clocked = straight_through(arrivals.clocked + delay, hard)
    return Arrivals(ns, clocked, arrivals.clock_mhz)


def _planted(
    arrivals: Arrivals,
    count: Float[Array, "n_in *rest"],
    bits: Float[Array, "*#rest"],
    gain: Float[Array, "*#rest"],
) -> Arrivals:
    """When trees of adders are done; 0 where there is no term.

    First the tree, as the compiler plants it: how many adders each term goes through.
    Then the terms climb it together, to `bits` at the root and `gain` less a level down.
    """
    used = count > 0
    slot = jnp.round(arrivals.ns / STEP_NS)
    first = jnp.min(jnp.where(used, slot, jnp.inf), axis=0)
    first = jnp.where(jnp.isfinite(first), first, 0.0)
    # Later than 2**60 adders is later than any network.
    weight = jnp.exp2(jnp.minimum(slot - first, 60.0))
    kraft = jnp.sum(jnp.where(used, count * weight, 0.0), axis=0)
    # Exact, so that only a power of two itself has a whole logarithm.
    mantissa, exponent = jnp.frexp(jnp.maximum(kraft, 1.0))
    adders = first + exponent - (mantissa == 0.5) - slot
    # The latest terms go through no more levels than these; earlier ones can wait.
    # A weight is taken to have up to eight digits.
    levels = (len(count) - 1).bit_length() + 3

    def climb(step: Array, arrivals: Arrivals) -> Arrivals:
        level = levels - 1 - step
        after = _after(arrivals, adder_ns(jnp.maximum(bits - level * gain, 1.0)))
        return arrivals.moved(lambda x, y: jnp.where(adders > level, y, x), after)

    arrivals = jax.lax.fori_loop(0, levels, climb, arrivals)
    return arrivals.moved(
        lambda times: jnp.max(jnp.where(used, times, 0.0), axis=0, initial=0.0)
    )


def _soft_sum(
    ns: Float[Array, "n_in *rest"],
    terms: Float[Array, "n_in *rest"],
    count: Float[Array, "n_in *rest"],
    step: Float[Array, "*#rest"],
) -> Float[Array, "*rest"]:
    """`step * log2(sum_i terms_i 2**(ns_i / step))`; 0, and flat, without a term."""
    fixed = jax.lax.stop_gradient(ns)
    last = jnp.max(jnp.where(count > 0, fixed, -jnp.inf), axis=0)
    some = jnp.isfinite(last)
    last = jnp.where(some, last, 0.0)
    # A dead term may be later than all; it pulls no harder for that.
    above = jnp.minimum((ns - last) / step, 1.0)
    kraft = jnp.sum(terms * jnp.exp2(above), axis=0)
    levels = jnp.log2(jnp.where(some, jnp.maximum(kraft, 0.5), 1.0))
    return jnp.where(some, last + step * levels, 0.0)
