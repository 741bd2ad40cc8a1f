"""Shapes of an einsum: which axes of an example, of a kernel and of the result meet.

A `Contraction` is an equation for one example, read once for given shapes; layers ask
it which axes are summed, which bring outputs, and how to lay an operand out.
"""

import math
import string
from dataclasses import dataclass
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from trigger.errors import UserError


@final
@dataclass(frozen=True)
class Contraction:
    """An einsum of one example and a kernel, with every axis a letter.

    An axis is *contracted* (in both, not in the result), *shared* (in all three), a
    *position* (of the example alone) or an *output* (of the kernel alone).
    """

    x: str
    kernel: str
    out: str
    x_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]

    @property
    def equation(self) -> str:
        """As `jnp.einsum` takes it."""
        return f"{self.x},{self.kernel}->{self.out}"

    @property
    def contracted(self) -> str:
        """Axes that are summed over."""
        return "".join(a for a in self.kernel if a in self.x and a not in self.out)

    @property
    def shared(self) -> str:
        """Axes along which everything happens separately."""
        return "".join(a for a in self.kernel if a in self.x and a in self.out)

    @property
    def outputs(self) -> str:
        """Axes that the kernel brings."""
        return "".join(a for a in self.kernel if a not in self.x)

    @property
    def positions(self) -> str:
        """Axes along which the same weights are used again."""
        return "".join(a for a in self.x if a not in self.kernel)

    @property
    def channels(self) -> str:
        """Axes of the result that weights differ along; a bias has these."""
        return "".join(a for a in self.out if a in self.kernel)

    def shape(self, axes: str) -> tuple[int, ...]:
        """Lengths of axes."""
        length = dict(zip(self.x, self.x_shape, strict=True))
        length |= dict(zip(self.kernel, self.kernel_shape, strict=True))
        return tuple(length[a] for a in axes)

    def size(self, axes: str) -> int:
        """Number of elements along axes."""
        return math.prod(self.shape(axes))

    def terms(self, array: Any, axes: str) -> Any:
        """An operand laid out as `(terms of one sum, *result)`, without a copy of NumPy's.

        Args:
            array: Of NumPy or JAX.
            axes: Its axes.
        """
        order = self.contracted + self.out
        xp = jnp if isinstance(array, jax.Array) else np
        full = xp.broadcast_to(relabel(array, axes, order), self.shape(order))
        return full.reshape(self.size(self.contracted), *self.shape(self.out))


def relabel(array: Any, have: str, want: str) -> Any:
    """An array with its axes in another order, and of length 1 where it has none."""
    moved = array.transpose([have.index(a) for a in want if a in have])
    lengths = iter(moved.shape)
    return moved.reshape([next(lengths) if a in have else 1 for a in want])


def contraction(
    equation: str, x_shape: tuple[int, ...], kernel_shape: tuple[int, ...]
) -> Contraction:
    """Reads an equation for arrays of given shapes.

    Args:
        equation: For one example, e.g. `"...ij,jk->...ik"`.
        x_shape: Of an example.
        kernel_shape: Of the weights.

    Raises:
        UserError: It is not of the form `x,kernel->result`, an axis comes twice in one
            operand or is summed within one operand alone, or the shapes do not fit.
    """
    parts = equation.replace(" ", "").replace("->", ",").split(",")
    plain = [part.replace("...", "", 1) for part in parts]
    if (
        len(parts) != 3
        or equation.count("->") != 1
        or "..." in parts[1]
        or not all(part == "" or part.isalpha() for part in plain)
        or any(len(set(part)) != len(part) for part in plain)
    ):
        raise UserError(
            f"the equation {equation!r} is not of the form 'x,kernel->result' with every "
            "axis a letter that comes once in each, such as '...ij,jk->...ik'"
        )
    rest = len(x_shape) - len(plain[0])
    if (
        rest < 0
        or ("..." not in parts[0] and rest)
        or len(kernel_shape) != len(plain[1])
    ):
        raise UserError(
            f"the equation {equation!r} does not fit inputs of shape {x_shape} and a "
            f"kernel of shape {kernel_shape}: it names {len(plain[0])} and "
            f"{len(plain[1])} axes"
        )
    free = [a for a in string.ascii_letters if a not in "".join(plain)]
    ellipsis = "".join(free[:rest])
    x, kernel, out = (part.replace("...", ellipsis) for part in parts)
    lengths: dict[str, int] = {}
    for a, n in (
        *zip(x, x_shape, strict=True),
        *zip(kernel, kernel_shape, strict=True),
    ):
        if lengths.setdefault(a, n) != n:
            raise UserError(
                f"axis {a!r} of {equation!r} has length {lengths[a]} in inputs of shape "
                f"{x_shape} and {n} in a kernel of shape {kernel_shape}"
            )
    for a in lengths:
        if a not in out and not (a in x and a in kernel):
            name = "inputs" if a in x else "kernel"
            axis = "'...'" if a in ellipsis else repr(a)
            raise UserError(
                f"axis {axis} of {equation!r} is summed within the {name} alone; it must "
                "be in the result too, or sum it in a layer of its own"
            )
    unknown = [a for a in out if a not in lengths]
    if unknown:
        raise UserError(
            f"axis {unknown[0]!r} of the result of {equation!r} is in neither operand"
        )
    return Contraction(x, kernel, out, tuple(x_shape), tuple(kernel_shape))
