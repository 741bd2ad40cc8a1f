"""How many LUTs stand in a network: counted from its tables, forward only.

A bit of a table takes the more logic the more address bits it depends on; counters and
adders take one bit each until every column of a sum has one left.  So for sums of `W`
bits, whose terms have `bits` bits of which `added` meet another in their column,

    LUTs = READ_LUTS * sum_outputs read * added / bits + SUM_LUTS * sum_outputs W

where `read` counts, for each bit of each table, the address bits that it depends on.  A
table whose bits meet no others is merged into what reads it, which the factor
`added / bits` stands for; the saturation that follows a sum is in the price of its bits.
Sums of values take `PLAIN_LUTS` for each bit that meets another.

Codes that no value reaches are left out: see `models.ranges`.

Where the numbers come from
---------------------------
Fitted to the packed LUT6 (`firmware.synth`) at 360 MHz of 76 taggers of one and two
hidden layers, 200 to 4,170 LUTs, some hardly trained and some for hundreds of epochs, and
of 19 particle networks, 1,930 to 8,800: 4.5 % r.m.s. and 11 % at most for the taggers,
6.4 % and 12.5 % for the others.  Of 29 taggers of two long trainings and of 16 of two short
ones that the fit has not seen, 163 to 4,930 LUTs, it is 4 % r.m.s. and 9.5 % at most off.
Smaller networks wander more, by up to 40 % below 60 LUTs.  What it does not know is where
the registers go: the same network takes up to 15 % less at 200 MHz, since Yosys merges
what shares a cycle.  `tests/benchmarks/area_model.py` measures it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from models.cost import bits_of, sum_bits
from models.quantise import power_of_two

READ_LUTS, SUM_LUTS = 0.51, 0.58
"""LUT6 of an address bit that a bit of an entry depends on, and of a bit of a sum."""

PLAIN_LUTS = 1.44
"""LUT6 of a bit of a value that meets another in its column of a sum."""

MOST_COLUMNS = 40
"""Of a sum that is counted column by column."""

Edge = Float[Array, "n_in n_out"]


class Held(NamedTuple):
    """What a layer of tables holds at the codes that are reached."""

    least: Edge
    """Least entry."""
    most: Edge
    """Greatest entry."""
    steps: Edge
    """Greatest minus least entry in steps of the edge; 0 for a dead edge."""
    read: Edge
    """Address bits that each bit of the entries depends on, of all its bits."""


def held(
    entry: Float[Array, "n_in codes n_out"],
    address: Edge,
    fraction: Edge,
    low: Integer[Array, " n_in"],
    high: Integer[Array, " n_in"],
    bits: tuple[int, ...] | None,
) -> Held:
    """Looks through the tables at the codes that are reached.

    The firmware counts an address from the least that is reached, and its entries from
    their least.

    Args:
        entry: Rounded entries.
        address: Whole address bits.
        fraction: Whole fractional bits of the entries.
        low: Least code that is reached.
        high: Greatest code that is reached.
        bits: Of the code of each input, of which an address is the leading bits; then
            `codes` is a power of two.  None if it is not: then every bit of an entry
            depends on the whole address.
    """
    code = jnp.arange(entry.shape[1])[:, None]
    if bits is None:
        code = jnp.clip(code, low[:, None, None], high[:, None, None])
    else:
        drop = (jnp.array(bits)[:, None] - address).astype(jnp.int32)
        first = ((low[:, None] >> drop) << drop)[:, None]
        count = high[:, None, None] - first
        # So many last bits of a code can be anything; those before do not change.
        free = bits_of(count.astype(entry.dtype)).astype(jnp.int32)
        code = first + jnp.minimum(code & ((1 << free) - 1), count)
    entry = jnp.take_along_axis(entry, code, axis=1)
    least, most = jnp.min(entry, axis=1), jnp.max(entry, axis=1)
    scale = power_of_two(fraction)
    steps = (most - least) * scale
    if bits is None:
        return Held(least, most, steps, bits_of(steps) * address)
    whole = ((entry - least[:, None]) * scale[:, None]).astype(jnp.int32)
    return Held(least, most, steps, _read(whole).astype(entry.dtype))


def _read(
    entry: Integer[Array, "n_in codes n_out"],
) -> Integer[Array, "n_in n_out"]:
    """Bits of the code that each bit of the entries depends on, of all its bits."""
    n_in, codes, n_out = entry.shape
    read = jnp.zeros((n_in, n_out), jnp.int32)
    for bit in range((codes - 1).bit_length()):
        pairs = entry.reshape(n_in, -1, 2, 2**bit, n_out)
        told = pairs[:, :, 0] ^ pairs[:, :, 1]
        told = jax.lax.reduce(told, 0, jax.lax.bitwise_or, (1, 2))
        read = read + jax.lax.population_count(told)
    return read


def of_tables(steps: Edge, read: Edge, fraction: Edge) -> Float[Array, ""]:
    """LUTs of a layer of tables, its adders and saturations included.

    Args:
        steps: See `Held`.
        read: See `Held`.
        fraction: Whole fractional bits of the entries.
    """
    bits = bits_of(steps)
    span = steps / power_of_two(fraction)
    merged = added(bits, fraction) / jnp.maximum(jnp.sum(bits, axis=0), 1.0)
    sums = sum_bits(span, span, fraction)
    return jnp.sum(READ_LUTS * jnp.sum(read, axis=0) * merged + SUM_LUTS * sums)


def of_sums(
    steps: Float[Array, "n *rest"], fraction: Float[Array, "n *rest"]
) -> Float[Array, ""]:
    """LUTs of sums of values over the leading axis.

    Args:
        steps: By how many of its LSB each can differ from its least.
        fraction: Their fractional bits.
    """
    flat = steps.reshape(len(steps), -1), fraction.reshape(len(steps), -1)
    return PLAIN_LUTS * jnp.sum(added(bits_of(flat[0]), flat[1]))


def added(bits: Edge, fraction: Edge) -> Float[Array, " n_out"]:
    """Bits of the terms of each sum that meet another in their column."""
    live = bits > 0
    finest = jnp.max(jnp.where(live, fraction, -jnp.inf), axis=0)
    low = jnp.where(live, finest - fraction, 0.0)[..., None]
    column = jnp.arange(MOST_COLUMNS)
    height = jnp.sum((low <= column) & (column < low + bits[..., None]), axis=0)
    return jnp.sum(jnp.maximum(height - 1, 0), axis=1).astype(bits.dtype)
