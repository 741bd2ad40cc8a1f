"""Convolutions of arithmetic: a dense layer on the patches of an example.

All positions share the weights, and every position is built: the block answers one
example per clock cycle.
"""

from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from models.layer import Evaluated, Layer
from models.linear import EvaluatedLinear, Linear, fitting
from models.patches import Patches, patches
from models.quantiser import Quantiser
from models.shape import contraction
from trigger.errors import UserError


@final
class EvaluatedConv(Evaluated):
    """A convolution with the weights that the firmware holds."""

    iq: Quantiser | None
    linear: EvaluatedLinear
    cut: Patches = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """One example `(*space, channels)` to `(*positions, filters)`."""
        if self.iq is not None and tuple(x.shape) == self.cut.in_shape:
            x = self.iq(x)  # else the patches say what is wrong with the shape
        return self.linear(self.cut(x))

    def luts(self) -> Float[Array, ""]:
        """LUTs of all positions."""
        return self.linear.luts()

    def ebops(self) -> Float[Array, ""]:
        """Effective bit operations of all positions."""
        return self.linear.ebops()


def _conv(
    in_shape: tuple[int, ...],
    filters: int,
    cut: Patches,
    *,
    iq: Quantiser | None,
    key: PRNGKeyArray,
    **options: Any,
) -> Linear:
    if filters < 1:
        raise UserError(f"a convolution with {filters} filters; it needs at least 1")
    fitting(iq, in_shape, "inputs")
    shape = (*cut.space, cut.size)
    plan = contraction("...i,ij->...j", shape, (cut.size, filters))
    return Linear(plan, key=key, **options)


def _evaluated(iq: Quantiser | None, linear: Linear, cut: Patches) -> EvaluatedConv:
    bits = None
    if iq is not None:
        bits = cut(jnp.broadcast_to(iq.factor_bits(), cut.in_shape))
    elif linear.input_bits is not None:
        bits = jnp.float32(linear.input_bits)
    return EvaluatedConv(iq, linear.reading(bits), cut)


@final
class Conv1D(Layer):
    """A convolution of `(length, channels)`."""

    iq: Quantiser | None
    linear: Linear
    cut: Patches = eqx.field(static=True)

    def __init__(
        self,
        in_shape: tuple[int, int],
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: str = "valid",
        iq: Quantiser | None = None,
        key: PRNGKeyArray,
        **options: Any,
    ):
        """Draws the weights.

        Args:
            in_shape: Length and channels of an example.
            filters: Output channels.
            kernel: Length of a patch.
            stride: Step from position to position.
            padding: "valid" or "same".
            iq: Quantiser of the example, before patches are cut.
            key: Source of the weights.
            options: Of `models.linear.Linear`: quantisers, batch normalisation, bias.

        Raises:
            UserError: Shapes or quantisers do not fit.
        """
        self.cut = patches(in_shape, (kernel,), stride, padding)
        self.iq = iq
        self.linear = _conv(in_shape, filters, self.cut, iq=iq, key=key, **options)

    def evaluated(self) -> EvaluatedConv:
        """See `Linear.evaluated`."""
        return _evaluated(self.iq, self.linear, self.cut)


@final
class Conv2D(Layer):
    """A convolution of `(height, width, channels)`."""

    iq: Quantiser | None
    linear: Linear
    cut: Patches = eqx.field(static=True)

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        filters: int,
        kernel: tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: str = "valid",
        iq: Quantiser | None = None,
        key: PRNGKeyArray,
        **options: Any,
    ):
        """Draws the weights; arguments are those of `Conv1D`, with two axes of space.

        Raises:
            UserError: Shapes or quantisers do not fit.
        """
        self.cut = patches(in_shape, kernel, stride, padding)
        self.iq = iq
        self.linear = _conv(in_shape, filters, self.cut, iq=iq, key=key, **options)

    def evaluated(self) -> EvaluatedConv:
        """See `Linear.evaluated`."""
        return _evaluated(self.iq, self.linear, self.cut)
