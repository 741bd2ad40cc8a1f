"""Patches: what a convolution sees from each of its positions, as a plain array.

A convolution is a dense layer on patches (im2col).  They are made by moving elements
alone, so that they are the same for numbers, wires and arrival times.

Conventions
-----------
- Examples are `(*space, channels)`; space has one axis or two, or any number.
- A patch is flat, its elements ordered as a kernel of shape `(*kernel, channels)`.
- Padding "same" is that of XLA and TensorFlow: `ceil(n / stride)` positions, the odd
  element of the padding behind.  What is padded is 0 and there at once.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from models.latency import Arrivals
from models.layer import lift
from models.ranges import Ranges
from models.symbols import Symbols, Wire
from trigger.errors import UserError


@final
@dataclass(frozen=True)
class Patches:
    """The geometry of a convolution; call it to cut an example into patches."""

    in_shape: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Literal["valid", "same"]

    @property
    def space(self) -> tuple[int, ...]:
        """Positions along every axis of space."""
        return tuple(
            -(-n // s) if self.padding == "same" else (n - k) // s + 1
            for n, k, s in zip(
                self.in_shape[:-1], self.kernel, self.stride, strict=True
            )
        )

    @property
    def size(self) -> int:
        """Elements of a patch."""
        return math.prod(self.kernel) * self.in_shape[-1]

    def index(self) -> Int[np.ndarray, "*space size"]:
        """Where in the flattened example each element of each patch is; -1 if padded."""
        place = np.arange(math.prod(self.in_shape)).reshape(self.in_shape)
        border, taken = [], []
        sizes = zip(
            self.in_shape[:-1], self.kernel, self.stride, self.space, strict=True
        )
        for n, k, s, count in sizes:
            missing = max((count - 1) * s + k - n, 0) if self.padding == "same" else 0
            border.append((missing // 2, missing - missing // 2))
            taken.append(s * np.arange(count)[:, None] + np.arange(k))
        place = np.pad(place, [*border, (0, 0)], constant_values=-1)
        grids = (_along(at, axis, len(taken)) for axis, at in enumerate(taken))
        return place[tuple(grids)].reshape(*self.space, self.size)

    def __call__(self, x: Any) -> Any:
        """The patches of one example, shape `(*space, size)`.

        Args:
            x: An array, `Symbols` or `Arrivals` of shape `in_shape`.

        Raises:
            UserError: It has another shape.
        """
        if tuple(x.shape) != self.in_shape:
            raise UserError(
                f"a convolution was made for examples of shape {self.in_shape} and got "
                f"{tuple(x.shape)}; layers take one example, jax.vmap takes batches"
            )
        index = self.index()
        if np.all(index >= 0):
            return lift(lambda a: a.reshape(-1)[index], x)

        def take(a: Any, nothing: Any) -> Any:
            xp = jnp if isinstance(a, jax.Array) else np
            return xp.concatenate([a.reshape(-1), nothing.reshape(1)])[index]

        return lift(take, x, _nothing(x))


def _along(at: Int[np.ndarray, "count k"], axis: int, rank: int) -> np.ndarray:
    """Indices of one axis of space, to broadcast to `(*space, *kernel)`."""
    shape = [1] * (2 * rank)
    shape[axis], shape[rank + axis] = at.shape
    return at.reshape(shape)


def _nothing(x: Any) -> Any:
    """A zero of the kind of `x`."""
    if isinstance(x, Symbols):
        return Symbols([Wire(x.recorder.const(0), 0)], x.recorder)
    if isinstance(x, Arrivals | Ranges):
        return x.moved(lambda a: jnp.zeros(1, a.dtype))
    return jnp.zeros(1, x.dtype)


def patches(
    in_shape: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    padding: str = "valid",
) -> Patches:
    """The geometry of a convolution.

    Args:
        in_shape: Shape of an example, `(*space, channels)`.
        kernel: Length of a patch along every axis of space.
        stride: Step from position to position, one for all axes or one each.
        padding: "valid", patches that lie within the example; or "same".

    Raises:
        UserError: The numbers of axes differ, a size is not positive, the padding is
            neither, or the kernel is larger than the example.
    """
    steps = (stride,) * len(kernel) if isinstance(stride, int) else tuple(stride)
    if len(in_shape) != len(kernel) + 1 or len(steps) != len(kernel):
        raise UserError(
            f"a convolution with a kernel of shape {kernel} and strides {steps} needs "
            f"examples of {len(kernel)} axes of space and one of channels, got shape "
            f"{in_shape}"
        )
    if min(*in_shape, *kernel, *steps) < 1:
        raise UserError(
            f"a convolution with a kernel of shape {kernel} and strides {steps} on "
            f"examples of shape {in_shape}; all of these must be at least 1"
        )
    if padding not in ("valid", "same"):
        raise UserError(
            f"the padding of a convolution is {padding!r}, it must be 'valid' or 'same'"
        )
    made = Patches(
        tuple(in_shape), tuple(kernel), steps, "same" if padding == "same" else "valid"
    )
    if min(made.space) < 1:
        raise UserError(
            f"a kernel of shape {kernel} is larger than examples of shape {in_shape}; "
            "use padding='same' or a smaller kernel"
        )
    return made
