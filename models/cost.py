"""What every bit of a layer is priced in LUTs: the area term of the loss.

An edge of a layer of tables has a price for each of its widths, which holds for tables as
they are after training and is smooth in the unrounded entries, so that an edge feels the
price of a bit before it loses it:

    LUTs = sum_edges b * TABLE_LUTS[w]  +  COUNTER_LUTS * sum_outputs (sum b - W)

for `w` address bits, entries of `b` bits and sums of `W` bits.  Dead edges cost nothing.
The price was fitted to the counts of 59 trained taggers without a look at their entries;
what stands in the tables in the end is counted by `models.count`.

Arithmetic layers are priced in the same way, and in EBOPs as HGQ counts them: Sun et
al., arXiv 2405.00645, and HGQ-LUT, arXiv 2604.22293.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.quantise import power_of_two, straight_through

TABLE_LUTS = (
    *(0.0, 0.70, 0.74, 0.78, 0.82, 1.42, 2.15),
    *(3.05, 3.81, 4.84, 6.1, 7.7, 9.7),
)
"""Price of an output bit of a table of 0 to 12 address bits.

Functions as training makes them are smooth: per address bit above seven they grow by
1.25, where a memory would double.  The smallest vanish into the counters.
"""

COUNTER_LUTS = 0.62
"""Price of a bit that is counted away behind tables."""

LINEAR_LUTS = 1.05
"""LUT6 per adder bit behind constant multiplications, where nothing merges."""

Edge = Float[Array, "n_in n_out"]


def tables_luts(
    soft: Edge, hard: Edge, address: Edge, fraction: Edge
) -> Float[Array, ""]:
    """Price of a layer of tables, its adders and saturations included.

    Args:
        soft: Greatest minus least entry of each edge before rounding.
        hard: The same of the rounded entries; 0 for a dead edge.
        address: Whole address bits.
        fraction: Whole fractional bits of the entries.
    """
    bits = entry_bits(soft, hard, fraction)
    sums = sum_bits(soft, hard, fraction)
    return table_luts(bits, address) + counter_luts(bits, sums)


def table_luts(bits: Edge, address: Edge) -> Float[Array, ""]:
    """LUTs of tables alone.

    Args:
        bits: Bits of each edge's entries; 0 for a dead edge.
        address: Whole address bits.
    """
    return jnp.sum(bits * luts_per_bit(address))


def counter_luts(bits: Edge, sums: Float[Array, " n_out"]) -> Float[Array, ""]:
    """LUTs of what adds tables.

    Args:
        bits: Bits of each edge's entries; 0 for a dead edge.
        sums: Bits of each sum; no gradient goes there, so that no bit pays to be added.
    """
    away = jnp.sum(bits, axis=0) - jax.lax.stop_gradient(sums)
    several = jnp.sum(bits > 0, axis=0) > 1
    return COUNTER_LUTS * jnp.sum(jnp.where(several, jnp.maximum(away, 0.0), 0.0))


def adder_luts(
    bits: Float[Array, "n *rest"],
    terms: Float[Array, "n *rest"],
    sums: Float[Array, "*rest"],
    per_bit: float,
) -> Float[Array, ""]:
    """LUTs of trees of adders over the leading axis.

    Args:
        bits: Bits of each term.
        terms: How often each is a term, 0 or 1.
        sums: Bits of each sum; no gradient goes there, so that no bit pays to be added.
        per_bit: LUTs of an adder bit.
    """
    return per_bit * jnp.sum(
        _adder_bits(jnp.sum(bits * terms, axis=0), jnp.sum(terms, axis=0), sums)
    )


def linear_luts(
    equation: str,
    x_bits: Float[Array, "*x"],
    kernel: Float[Array, "*kernel"],
    kernel_bits: Float[Array, "*kernel"],
) -> Float[Array, ""]:
    """LUTs of sums with constant weights, biases included.

    Every signed digit of a weight that is not 0 is a term of its sum.

    Args:
        equation: An einsum, `"x,kernel->result"` in letters.
        x_bits: Bits of each input.
        kernel: Quantised weights.
        kernel_bits: Their bits, differentiable.
    """
    digits = signed_digits(kernel, kernel_bits)
    live = (jax.lax.stop_gradient(kernel) != 0).astype(kernel.dtype)
    number = jnp.einsum(equation, jnp.ones_like(x_bits), digits)
    added = jnp.einsum(equation, x_bits, digits)
    widest = jnp.einsum(equation, jnp.exp2(x_bits), live * jnp.exp2(kernel_bits))
    sums = jnp.log2(1.0 + widest)
    return LINEAR_LUTS * jnp.sum(_adder_bits(added, number, sums))


def signed_digits(
    weight: Float[Array, "*shape"], bits: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Digits of constant weights that are not 0, in canonical signed form.

    Backward a third of the bits: what a random number has on average (Reitwiesner,
    Advances in Computers 1 (1960) 231).

    Args:
        weight: Quantised weights.
        bits: Their bits, differentiable.
    """
    mantissa, _ = jnp.frexp(jax.lax.stop_gradient(jnp.abs(weight)))
    whole = (mantissa * 2.0**24).astype(jnp.int32)
    # The digits are those that differ between three times a number and the number.
    count = jax.lax.population_count((3 * whole) ^ whole).astype(weight.dtype)
    return straight_through(bits / 3, count)


def sum_luts(
    bits: Float[Array, "n *rest"], sums: Float[Array, "*rest"]
) -> Float[Array, ""]:
    """Price of plain sums over the leading axis; of two terms for an addition.

    Args:
        bits: Bits of each term.
        sums: Bits of each sum.
    """
    return adder_luts(bits, jnp.ones_like(bits), sums, LINEAR_LUTS)


def lut_ebops(bits_in: Edge, bits_out: Edge) -> Edge:
    """Effective bit operations of tables as HGQ-LUT counts them, edge by edge.

    Bits include the sign.  A table of 6 bits is one LUT per bit of its entries, of 5
    half of one, and each bit is added once.
    """
    tables = jnp.where(
        bits_in >= 5, power_of_two(jnp.maximum(bits_in, 5.0) - 5), bits_in / 5
    )
    return bits_out * (1.0 + tables / 2)


def linear_ebops(
    equation: str,
    x_bits: Float[Array, "*x"],
    kernel_bits: Float[Array, "*kernel"],
    bias_bits: Float[Array, "*bias"] | None,
) -> Float[Array, ""]:
    """Effective bit operations of an einsum as HGQ counts them.

    The product of the bits of both factors of every multiplication, and the mean bits of
    a bias for every result.

    Args:
        equation: An einsum, `"x,kernel->result"` in letters.
        x_bits: Bits of each input.
        kernel_bits: Bits of each weight.
        bias_bits: Bits of the biases, if there are any.
    """
    products = jnp.einsum(equation, x_bits, kernel_bits)
    bias = 0.0 if bias_bits is None else jnp.mean(bias_bits) * products.size
    return jnp.sum(products) + bias


def luts_per_bit(address: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`TABLE_LUTS` at whole address widths, with the slope of their neighbours."""
    known = jnp.asarray(TABLE_LUTS, address.dtype)
    fixed = jax.lax.stop_gradient(address)
    w = fixed.astype(jnp.int32)
    above = known[jnp.minimum(w + 1, len(TABLE_LUTS) - 1)]
    below = known[jnp.maximum(w - 1, 0)]
    return known[w] + (above - below) / 2 * (address - fixed)


def entry_bits(soft: Edge, hard: Edge, fraction: Edge) -> Edge:
    """Bits of each edge's entries, once their least is taken off and put in the bias.

    Forward whole bits of the rounded entries; backward `log2(1 + steps)` of the unrounded
    ones.  A dead edge has 0 bits and no gradient.

    Args:
        soft: Greatest minus least entry before rounding.
        hard: The same of the rounded entries.
        fraction: Whole fractional bits.
    """
    scale = _scale(fraction)
    steps = jnp.round(jax.lax.stop_gradient(hard * scale))
    smooth = jnp.where(steps > 0, jnp.log2(1.0 + soft * scale), 0.0)
    return straight_through(smooth, bits_of(steps))


def sum_bits(soft: Edge, hard: Edge, fraction: Edge) -> Float[Array, " n_out"]:
    """Bits of each sum, in steps of the finest of its live edges; 0 if there is none.

    Args:
        soft: Greatest minus least entry before rounding.
        hard: The same of the rounded entries.
        fraction: Whole fractional bits.
    """
    alive = hard > 0
    finest = jnp.max(jnp.where(alive, fraction, -jnp.inf), axis=0)
    some = jnp.isfinite(finest)
    scale = _scale(jnp.where(some, finest, 0.0))
    steps = jnp.round(jax.lax.stop_gradient(jnp.sum(hard, axis=0) * scale))
    span = jnp.sum(jnp.where(alive, soft, 0.0), axis=0)
    smooth = jnp.where(some, jnp.log2(1.0 + span * scale), 0.0)
    return straight_through(smooth, jnp.where(some, bits_of(steps), 0.0))


def _adder_bits(
    added: Float[Array, "*shape"],
    number: Float[Array, "*shape"],
    sums: Float[Array, "*shape"],
) -> Float[Array, "*shape"]:
    """Bits of all adders of a balanced tree.

    Args:
        added: Bits of all its terms together.
        number: Of terms.
        sums: Bits of its root.
    """
    bits = added + 2.0 * (number - 1.0) - jax.lax.stop_gradient(sums)
    return jnp.where(number > 1.0, jnp.maximum(bits, 0.0), 0.0)


def _scale(fraction: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`2**fraction` exactly, with the derivative that `power_of_two` leaves out."""
    fixed = jax.lax.stop_gradient(fraction)
    return power_of_two(fraction) * jnp.exp2(fraction - fixed)


def bits_of(steps: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Bits of whole numbers, `ceil(log2(1 + steps))` exactly."""
    return jnp.frexp(steps)[1].astype(steps.dtype)
