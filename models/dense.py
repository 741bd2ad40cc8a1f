"""Dense layers of arithmetic: a matrix, or any einsum, of quantised weights.

They hold one `models.linear.Linear`, which says all about quantisation, batch
normalisation and costs.
"""

from typing import Any, final

from jaxtyping import PRNGKeyArray

from models.layer import Layer
from models.linear import EvaluatedLinear, Linear
from models.shape import contraction
from trigger.errors import UserError


@final
class Dense(Layer):
    """`y = x W + b` along the last axis; the same weights at all positions before it."""

    linear: Linear

    def __init__(
        self,
        in_shape: int | tuple[int, ...],
        n_out: int,
        *,
        key: PRNGKeyArray,
        **options: Any,
    ):
        """Draws the weights.

        Args:
            in_shape: Shape of an example, or its length if it is a vector.
            n_out: Outputs.
            key: Source of the weights.
            options: Of `models.linear.Linear`: quantisers, batch normalisation, bias.

        Raises:
            UserError: A size is not positive, or a quantiser does not fit.
        """
        shape = (in_shape,) if isinstance(in_shape, int) else tuple(in_shape)
        if not shape or min(*shape, n_out) < 1:
            raise UserError(
                f"a dense layer from inputs of shape {shape} to {n_out} outputs; there "
                "must be an axis, and all sizes at least 1"
            )
        plan = contraction("...i,ij->...j", shape, (shape[-1], n_out))
        self.linear = Linear(plan, key=key, **options)

    def evaluated(self) -> EvaluatedLinear:
        """See `Linear.evaluated`."""
        return self.linear.evaluated()


@final
class EinsumDense(Layer):
    """Any einsum of an example and a kernel, such as `"...ij,jk->...ik"`."""

    linear: Linear

    def __init__(
        self,
        equation: str,
        in_shape: tuple[int, ...],
        kernel_shape: tuple[int, ...],
        *,
        key: PRNGKeyArray,
        **options: Any,
    ):
        """Draws the weights.

        Args:
            equation: For one example, without an axis of the batch.
            in_shape: Shape of an example.
            kernel_shape: Shape of the weights.
            key: Source of the weights.
            options: Of `models.linear.Linear`: quantisers, batch normalisation, bias.

        Raises:
            UserError: Equation, shapes or quantisers do not fit.
        """
        plan = contraction(equation, tuple(in_shape), tuple(kernel_shape))
        self.linear = Linear(plan, key=key, **options)

    def evaluated(self) -> EvaluatedLinear:
        """See `Linear.evaluated`."""
        return self.linear.evaluated()
