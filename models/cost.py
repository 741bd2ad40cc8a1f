"""What a layer will cost in LUTs, as a smooth function of everything that trains.

An edge whose table has `w` address bits and entries that need `b` bits costs

    b * LUT_PER_BIT[w]

for its table and its share of the adder tree and of the saturation behind.  Above six
address bits the cost doubles per bit, since a LUT6 answers six; below it falls slowly,
since the adder remains, until the smallest tables vanish into the adder.  Dead edges
cost nothing.

The numbers are fitted to the packed LUT6 counts (`firmware.synth`) of 50 emitted
networks of 261 to 2,390 LUTs: 5 % r.m.s., 11 % at most.  On networks that were not
fitted it is off by 3 to 8 % r.m.s. (`tests/benchmarks/area_model.py`).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.lut_dense import Tables
from models.quantise import power_of_two, straight_through

LUT_PER_BIT = (0.0, 0.5, 0.6, 1.3, 1.5, 2.0, 2.3, 4.2, 8.0, 16.0, 32.0, 64.0, 128.0)
"""LUT6 per bit of an entry at 0 to 12 address bits, adder included."""


def luts_per_bit(address: Float[Array, "n_in n_out"]) -> Float[Array, "n_in n_out"]:
    """`LUT_PER_BIT` at whole address widths, with the slope of its neighbours."""
    known = jnp.asarray(LUT_PER_BIT, address.dtype)
    w = jax.lax.stop_gradient(address).astype(jnp.int32)
    above = known[jnp.minimum(w + 1, len(LUT_PER_BIT) - 1)]
    below = known[jnp.maximum(w - 1, 0)]
    fixed = jax.lax.stop_gradient(address)
    return known[w] + (above - below) / 2 * (address - fixed)


def entry_bits(tables: Tables) -> Float[Array, "n_in n_out"]:
    """Bits of each edge's entries, once their least is taken off and put in the bias.

    Forward it counts whole bits of the rounded entries; backward it is the smooth
    `log2(1 + span)` of the unrounded ones, so that an edge feels the price of a bit
    before it loses it.  A dead edge has 0 bits and no gradient.
    """
    # Carries d(2**f)/df, which power_of_two alone does not.
    fixed = jax.lax.stop_gradient(tables.fraction)
    steps = power_of_two(tables.fraction) * jnp.exp2(tables.fraction - fixed)

    def span(entries: Float[Array, "n_in codes n_out"]) -> Float[Array, "n_in n_out"]:
        return jnp.ptp(entries, axis=1) * steps

    hard = jnp.round(jax.lax.stop_gradient(span(tables.entry)))
    # Bits of the largest entry, ceil(log2(1 + hard)), exact for whole numbers.
    bits = jnp.frexp(hard)[1].astype(hard.dtype)
    smooth = jnp.where(hard > 0, jnp.log2(1.0 + span(tables.smooth)), 0.0)
    return straight_through(smooth, bits)


def luts(tables: Tables) -> Float[Array, ""]:
    """LUTs of one layer, its adders included."""
    return jnp.sum(entry_bits(tables) * luts_per_bit(tables.address))
