"""LUT-Conv: a LUT-Dense on the patches of an example.

All positions share the tables, and every position is built: the block answers one
example per clock cycle.  Codes are made once per element of the example and then cut
into patches; what is padded has the code of the value 0.
"""

import math
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from models.latency import Arrivals
from models.layer import Evaluated, Layer
from models.lut import LUTDense
from models.patches import Patches, patches
from models.ranges import Ranges
from models.reading import Codes, Reading, Values
from models.symbols import Symbols
from models.tables import Tables
from trigger.errors import UserError


@final
class EvaluatedLUTConv(Evaluated):
    """A convolution with the tables that the firmware holds."""

    tables: Tables
    cut: Patches = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """One example `(*space, channels)` to `(*positions, filters)`.

        Raises:
            UserError: It has another shape than the layer was made for.
        """
        patch = self.cut(x)
        if isinstance(x, Symbols | Arrivals | Ranges):
            return self.tables(patch)
        reading = self.tables.reading
        nothing = reading.codes(jnp.zeros((), x.dtype))
        padded = self.cut.index() < 0

        def of_patches(of_elements: Array, of_zero: Array) -> Array:
            return jnp.where(padded, of_zero, self.cut(of_elements))

        codes = Codes(*map(of_patches, reading.codes(x), nothing))
        return self.tables.sums(codes, patch)

    def luts(self) -> Float[Array, ""]:
        """LUT6 of all positions."""
        return self.tables.luts()

    def ebops(self) -> Float[Array, ""]:
        """Effective bit operations of all positions."""
        return self.tables.ebops()


@final
class LUTConv1D(Layer):
    """A convolution of `(length, channels)` by tables."""

    dense: LUTDense
    cut: Patches = eqx.field(static=True)

    def __init__(
        self,
        reading: Reading,
        in_shape: tuple[int, int],
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: str = "valid",
        key: PRNGKeyArray,
        **options: Any,
    ):
        """Draws the edge functions.

        Args:
            reading: How the channels of an element are read.
            in_shape: Length and channels of an example.
            filters: Output channels.
            kernel: Length of a patch.
            stride: Step from position to position.
            padding: "valid" or "same".
            key: Source of the starting values.
            options: Of `models.lut.LUTDense`.

        Raises:
            UserError: Shapes do not fit, or the layer would read port words.
        """
        self.cut = patches(in_shape, (kernel,), stride, padding)
        self.dense = _shared(reading, self.cut, filters, key=key, **options)

    def evaluated(self) -> EvaluatedLUTConv:
        """See `LUTDense.evaluated`."""
        return EvaluatedLUTConv(self.dense.evaluated(), self.cut)


@final
class LUTConv2D(Layer):
    """A convolution of `(height, width, channels)` by tables."""

    dense: LUTDense
    cut: Patches = eqx.field(static=True)

    def __init__(
        self,
        reading: Reading,
        in_shape: tuple[int, int, int],
        filters: int,
        kernel: tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: str = "valid",
        key: PRNGKeyArray,
        **options: Any,
    ):
        """Draws the edge functions.

        Args:
            reading: How the channels of an element are read.
            in_shape: Height, width and channels of an example.
            filters: Output channels.
            kernel: Height and width of a patch.
            stride: Step from position to position, one for both axes or one each.
            padding: "valid" or "same".
            key: Source of the starting values.
            options: Of `models.lut.LUTDense`.

        Raises:
            UserError: Shapes do not fit, or the layer would read port words.
        """
        self.cut = patches(in_shape, kernel, stride, padding)
        self.dense = _shared(reading, self.cut, filters, key=key, **options)

    def evaluated(self) -> EvaluatedLUTConv:
        """See `LUTDense.evaluated`."""
        return EvaluatedLUTConv(self.dense.evaluated(), self.cut)


def _shared(
    reading: Reading, cut: Patches, filters: int, *, key: PRNGKeyArray, **options: Any
) -> LUTDense:
    """The tables of a patch, which all positions share and each of them has built."""
    places = math.prod(cut.space)
    return LUTDense(_of_patch(reading, cut), filters, places=places, key=key, **options)


def _of_patch(reading: Reading, cut: Patches) -> Values:
    """The reading of all elements of a patch, from that of one element's channels."""
    if not isinstance(reading, Values):
        raise UserError(
            f"a convolution reads by {type(reading).__name__}; it needs one reading for "
            "all elements of a patch, models.reading.values(channels, most_address)"
        )
    grid, channels = reading.grid, cut.in_shape[-1]
    if len(grid.bits) != channels:
        raise UserError(
            f"a convolution of examples of shape {cut.in_shape} reads {channels} "
            f"channels, its reading was made for {len(grid.bits)}"
        )
    times = cut.size // channels
    grid = type(grid)(
        fine=jnp.tile(grid.fine, (times, 1)),
        cell=jnp.tile(grid.cell, (1, times, 1)),
        weight=jnp.tile(grid.weight, (times, 1)),
        bits=grid.bits * times,
    )
    return Values(grid, reading.low, reading.span)
