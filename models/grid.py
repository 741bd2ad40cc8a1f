"""The points at which an edge function is evaluated: one per code of its input.

A table can hold any function of its address, so the coordinate that the edge function
sees is ours to choose.  Two choices are made here:

- *words*: the code of a port word is mapped to the normal quantile of its rank in the
  training split.  This standardises the feature, straightens its tails and costs
  nothing, since the map disappears into the table;
- *sums*: inside the network the code counts steps of a power of two across
  `-reach..reach`, and its coordinate is the middle of the step.

An edge that reads only the leading `w` bits sees cells of `2**(bits - w)` codes, each
represented by one coordinate: the mean over the cell.  Truncation nests, so the cell of
a code is a shift of the code.
"""

from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int64, Integer
from scipy.special import ndtri


@final
class Grid(eqx.Module):
    """Coordinates of the codes of every input; constants, never trained."""

    fine: Float[Array, "n_in codes"]
    """Coordinate of each code."""
    cell: Float[Array, "widths n_in codes"]
    """Coordinate of cell `c` of an address of `w` bits: `cell[w, i, c]`, then zeros."""
    weight: Float[Array, "n_in codes"]
    """Share of the training events at each code; rows sum to 1."""
    bits: tuple[int, ...] = eqx.field(static=True)
    """Width of each input's code."""

    @property
    def most_bits(self) -> int:
        """Width of the widest code; `codes == 2**most_bits`."""
        return self.cell.shape[0] - 1

    def cell_of(
        self, width: Integer[Array, "n_in n_out"]
    ) -> Integer[Array, "n_in codes n_out"]:
        """The cell that each code falls into, for edges that read `width` bits."""
        own = jnp.asarray(self.bits, width.dtype)[:, None]
        code = jnp.arange(self.fine.shape[1], dtype=width.dtype)[None, :]
        code = jnp.minimum(code, 2**own - 1)
        return code[:, :, None] >> jnp.maximum(own - width, 0)[:, None, :]


def codes_of_words(
    words: Integer[np.ndarray, "events ports"],
    bits: tuple[int, ...],
    signed: tuple[bool, ...],
) -> Int64[np.ndarray, "events ports"]:
    """Unsigned codes of port words: `raw - lo`, with `lo` the least value of a port."""
    return words.astype(np.int64) - np.array(lowest(bits, signed))


def lowest(bits: tuple[int, ...], signed: tuple[bool, ...]) -> tuple[int, ...]:
    """The least raw value of each port."""
    return tuple(-(2 ** (b - 1)) if s else 0 for b, s in zip(bits, signed, strict=True))


def grid_of_words(code: Int[np.ndarray, "events n_in"], bits: tuple[int, ...]) -> Grid:
    """The grid of port words, from their codes in the training split.

    Args:
        code: Unsigned codes `0..2**bits - 1` of the training events.
        bits: Width of each input's code.
    """
    count = 2 ** max(bits)
    counts = np.stack([np.bincount(column, minlength=count) for column in code.T])
    weight = counts / counts.sum(axis=1, keepdims=True)
    # Half an event spread over all codes gives the unseen ones a rank as well.
    smooth = (counts + 0.5 / count) / (counts.sum(axis=1, keepdims=True) + 0.5)
    rank = np.cumsum(smooth, axis=1) - smooth / 2
    fine = np.clip(ndtri(np.clip(rank, 1e-6, 1 - 1e-6)), -3.0, 3.0)
    return _grid(fine, smooth, weight, bits)


def grid_of_sums(units: int, bits: int, reach: float) -> Grid:
    """The grid of sums inside the network: `2**bits` equal steps over `-reach..reach`."""
    count = 2**bits
    step = 2 * reach / count
    fine = np.tile((np.arange(count) + 0.5) * step - reach, (units, 1))
    flat = np.full_like(fine, 1 / count)
    return _grid(fine, flat, flat, (bits,) * units)


def _grid(
    fine: np.ndarray,
    mass: np.ndarray,
    weight: np.ndarray,
    bits: tuple[int, ...],
) -> Grid:
    n_in, count = fine.shape
    widest = max(bits)
    own = np.arange(count)[None, :] < 2 ** np.array(bits)[:, None]
    mass = mass * own
    cell = np.zeros((widest + 1, n_in, count))
    for i, b in enumerate(bits):
        for w in range(widest + 1):
            size = 2 ** max(0, b - w)  # codes per cell
            m = mass[i, : 2**b].reshape(-1, size)
            mean = np.sum(m * fine[i, : 2**b].reshape(-1, size), axis=1)
            total = np.sum(m, axis=1)
            cell[w, i, : len(mean)] = np.divide(
                mean, total, out=np.zeros_like(mean), where=total > 0
            )
    # Codes beyond a narrow input stand where its last stands, and change no extreme.
    for i, b in enumerate(bits):
        fine[i, 2**b :] = fine[i, 2**b - 1]
    return Grid(
        fine=jnp.asarray(fine, jnp.float32),
        cell=jnp.asarray(cell, jnp.float32),
        weight=jnp.asarray(weight, jnp.float32),
        bits=tuple(bits),
    )
