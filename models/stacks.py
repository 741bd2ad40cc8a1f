"""Any nesting of `jax.vmap` over a kernel, as one stack of networks.

The kernels take operands with one axis in front: that of a stack of networks, or of
length 1 where all of them share the operand.  A rule for vmap that is made of these two
functions adds an outer stack to an inner one, so that however many are nested, the
kernel sees one.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array


def merged(size: int, mapped: Sequence[bool], operands: Sequence[Array]) -> list[Array]:
    """Operands of a stack of stacks, as those of one longer stack.

    Args:
        size: Length of the outer stack.
        mapped: Which operands have its axis, in front of their own.
        operands: The operands.
    """
    axis = [
        part.shape[1 if on else 0] for part, on in zip(operands, mapped, strict=True)
    ]
    inner = max(axis)

    def one(part: Array, on: bool) -> Array:
        if not on and part.shape[0] == 1:
            return part  # all networks share it, and it is not copied
        part = part if on else part[None]
        part = jnp.broadcast_to(part, (size, inner, *part.shape[2:]))
        return part.reshape(size * inner, *part.shape[2:])

    return [one(part, on) for part, on in zip(operands, mapped, strict=True)]


def split(size: int, part: Array) -> Array:
    """The axis of a longer stack as the two that it was made of."""
    return part.reshape(size, -1, *part.shape[1:])
