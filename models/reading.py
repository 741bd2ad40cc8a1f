"""How a layer of tables reads its input: from values to codes, and back to wires.

- `Words`: raw words of ports.  They carry no gradient; the code is the leading bits of
  `raw - lowest`, and the coordinate of a code is its rank among the training events.
- `Values`: sums and activations inside the network.  The code counts equal steps of a
  power of two over a range, values beyond it saturate, and gradients pass.

An edge reads the leading bits of the code.  In firmware that is wiring, or a
saturation where the value can leave the range.
"""

from abc import abstractmethod
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from models.grid import Grid, grid_of_sums, grid_of_words, lowest
from models.symbols import Recorder, Wire
from trigger.errors import UserError


class Codes(NamedTuple):
    """What the bag wants to know of the values; see `models.bag.bag_of_values`."""

    code: Integer[Array, "*shape"]
    rest: Float[Array, "*shape"]
    inside: Float[Array, "*shape"]


class Address(NamedTuple):
    """The wire that a table is addressed by, and the code that its value stands for."""

    node: int
    up: int
    """The code of value `v` is `(v << up) + base`, on the finest grid."""
    base: int


class Reading(eqx.Module):
    """A way to read `n_in` inputs."""

    grid: eqx.AbstractVar[Grid]

    @abstractmethod
    def codes(self, x: Array) -> Codes:
        """Codes of values; the last axis is `n_in`."""

    @abstractmethod
    def address_bits(self) -> tuple[int, ...] | None:
        """Bits of the code of each input, where edges read the leading bits of it."""

    @abstractmethod
    def address(
        self, recorder: Recorder, wire: Wire, edge: tuple[int, int], width: int
    ) -> Address:
        """What an edge of `width` bits sees of its input, as a node of a program.

        Args:
            recorder: Of the program.
            wire: The input.
            edge: Number of the input and of the output.
            width: Address bits of the edge: it reads so many leading bits of the code.
        """


@final
class Words(Reading):
    """Port words: raw integers."""

    grid: Grid
    bits: tuple[int, ...] = eqx.field(static=True)
    lowest: tuple[int, ...] = eqx.field(static=True)

    def codes(self, x: Array) -> Codes:
        """Codes of raw words; nothing is left over and nothing saturates."""
        drop = np.array(self.bits) - np.array(self.grid.bits)
        code = (x.astype(jnp.int32) - np.array(self.lowest, np.int32)) >> drop
        empty = jnp.zeros(code.shape, jnp.float32)
        return Codes(code, empty, empty)

    def address_bits(self) -> tuple[int, ...] | None:
        """All bits of the code."""
        return self.grid.bits

    def address(
        self, recorder: Recorder, wire: Wire, edge: tuple[int, int], width: int
    ) -> Address:
        """A shift of the raw word.

        No operation subtracts the least value: it is a multiple of every step that an
        edge truncates to, so truncating the raw word and counting from the least
        argument is the same.
        """
        i = edge[0]
        own = self.grid.bits[i]
        drop = self.bits[i] - min(width, own)
        up = own - min(width, own)
        node = recorder.shift(wire.node, -drop)
        base = -(self.lowest[i] >> drop << up)
        return Address(node, up, base)


@final
class Values(Reading):
    """Values inside the network, from `low` on over `2**bits` steps."""

    grid: Grid
    low: float = eqx.field(static=True)
    span: float = eqx.field(static=True)

    def codes(self, x: Array) -> Codes:
        """Codes, distances to their points, and a mask of what does not saturate."""
        value = jax.lax.stop_gradient(x)
        count = self.grid.fine.shape[1]
        high = self.low + self.span
        k = jnp.floor((value - self.low) * (count / self.span))
        code = jnp.clip(k, 0, count - 1).astype(jnp.int32)
        inside = ((value >= self.low) & (value <= high)).astype(value.dtype)
        # Saturated first: what lies beyond the range asks for no finer steps.
        point = self.low + (code + 0.5) * (self.span / count)
        rest = jnp.clip(value, self.low, high) - point
        return Codes(code, rest, inside)

    def address_bits(self) -> tuple[int, ...] | None:
        """All bits of the code."""
        return self.grid.bits

    def address(
        self, recorder: Recorder, wire: Wire, edge: tuple[int, int], width: int
    ) -> Address:
        """A saturation where it is needed, and the shift to the edge's own steps.

        Counted from the low end, a layer's saturated sums are what they were before
        their offset was taken off again, so that nothing is added here.
        """
        del edge
        down = round(np.log2(self.span))
        # Fine enough that both ends of the range are whole counts.
        exponent = max(wire.exponent, 1 - down if self.low else -down)
        node, bias = recorder.unbiased(recorder.to_exponent(wire, exponent))
        counted = recorder.sum([node], bias=bias - round(self.low * 2.0**exponent))
        kept = recorder.clip(counted, 0, round(self.span * 2.0**exponent) - 1)
        bits = min(width, exponent + down)
        node = recorder.shift(kept, bits - exponent - down)
        return Address(node, self.grid.most_bits - bits, 0)


def words(
    code: Integer[np.ndarray, "events n_in"],
    bits: tuple[int, ...],
    signed: tuple[bool, ...],
    most_address: int,
) -> Words:
    """Reads the leading bits of port words.

    Args:
        code: Unsigned codes of the training events, which fix the coordinates.
        bits: Width of each port.
        signed: Whether a port is two's complement.
        most_address: Leading bits that an edge may read at most.
    """
    seen = tuple(min(b, most_address) for b in bits)
    kept = np.asarray(code, np.int64) >> (np.array(bits) - np.array(seen))
    return Words(grid_of_words(kept, seen), tuple(bits), lowest(bits, signed))


def values(
    n_in: int, most_address: int, *, reach: float = 2.0, signed: bool = True
) -> Values:
    """Reads values of `-reach..reach`, or of `0..reach` if they have no sign.

    Args:
        n_in: Inputs.
        most_address: Bits of the finest code.
        reach: Where values saturate; a power of two.
        signed: Whether there are negative values.

    Raises:
        UserError: `reach` is not a positive power of two, or the codes are too many.
    """
    if reach <= 0 or np.log2(reach) % 1:
        raise UserError(f"reach must be a power of two, got {reach}")
    check_codes(n_in, most_address)
    span = 2 * reach if signed else reach
    low = -reach if signed else 0.0
    grid = grid_of_sums(n_in, most_address, span / 2)
    if not signed:
        moved = (grid.fine + span / 2, grid.cell + span / 2)
        grid = eqx.tree_at(lambda g: (g.fine, g.cell), grid, moved)
    return Values(grid, low, span)


MOST_TABLE_BYTES = 2**31
"""What the codes of one layer's coordinates may take."""


def check_codes(n_in: int, most_address: int, n_out: int = 1) -> None:
    """Refuses tables that would not fit into memory.

    Raises:
        UserError: Says how much they would take.
    """
    if most_address < 1:
        raise UserError(
            f"an address has at least 1 bit, got most_address={most_address}"
        )
    # Entry, slope, their cotangents and the raw values, four bytes each.
    need = 5 * 4.0 * n_in * n_out * 2.0**most_address
    if need > MOST_TABLE_BYTES:
        raise UserError(
            f"most_address={most_address} makes {2**most_address} codes for each of "
            f"{n_in} x {n_out} edges, whose tables and gradients take "
            f"{need / 2**30:.1f} GiB of memory, more than the {MOST_TABLE_BYTES / 2**30:.0f} "
            "GiB that a layer may take; lower the cap on the address"
        )
