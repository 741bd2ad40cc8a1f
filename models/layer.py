"""What a layer is: parameters that become an evaluated form, which then meets examples.

Training, validation, freezing and proof must use the same tables and the same rounded
weights.  So a trainable layer does nothing with an example itself: `Layer.evaluated`
does once all that no example enters, and what it returns is called.  `evaluate` does
so for a whole network of ordinary Equinox code.

An evaluated network can be called on four kinds of values:

- a float array: the numbers of one example, differentiable;
- `models.symbols.Symbols`: wires of an integer program, which freezes the network;
- `models.latency.Arrivals`: the times at which the values are there;
- `models.ranges.Ranges`: what the values can come to.

Operations that only move elements go through `lift` and so work on all of them.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Evaluated(eqx.Module):
    """A layer that is ready for examples: what it holds is what the firmware holds."""

    @abstractmethod
    def __call__(self, x: Any) -> Any:
        """The values of one example, the wires or the arrival times behind the layer."""

    @abstractmethod
    def luts(self) -> Float[Array, ""]:
        """What the layer is priced in LUT6, differentiable in every width.

        What it will take can be less: see `models.ranges`.
        """

    @abstractmethod
    def ebops(self) -> Float[Array, ""]:
        """Effective bit operations as HGQ defines them, to compare with its numbers."""


class Layer(eqx.Module):
    """A trainable layer."""

    @abstractmethod
    def evaluated(self) -> Evaluated:
        """The layer with everything done that needs no example."""

    def __call__(self, x: Any) -> Any:
        """One example through the layer; `jax.vmap` is outside."""
        return self.evaluated()(x)


def evaluate(network: Any) -> Any:
    """The network with every trainable layer in it replaced by its evaluated form."""

    def one(node: Any) -> Any:
        return node.evaluated() if isinstance(node, Layer) else node

    return jax.tree.map(one, network, is_leaf=lambda node: isinstance(node, Layer))


def parts(ready: Any) -> list[Evaluated]:
    """The evaluated layers of an evaluated network, in the order of its fields."""
    found = jax.tree.leaves(ready, is_leaf=lambda node: isinstance(node, Evaluated))
    return [node for node in found if isinstance(node, Evaluated)]


def luts(ready: Any) -> Float[Array, ""]:
    """Price of an evaluated network in LUT6, which the loss charges."""
    return sum((part.luts() for part in parts(ready)), start=jnp.zeros(()))


def ebops(ready: Any) -> Float[Array, ""]:
    """Effective bit operations of an evaluated network."""
    return sum((part.ebops() for part in parts(ready)), start=jnp.zeros(()))


def within_caps(network: Any) -> Any:
    """The network with all trainable widths moved back into what they may be."""

    def capped(node: Any) -> bool:
        return hasattr(node, "within_caps")

    def one(node: Any) -> Any:
        return node.within_caps() if capped(node) else node

    return jax.tree.map(one, network, is_leaf=capped)


def lift(move: Callable[..., Any], *values: Any) -> Any:
    """Applies a function that only moves elements to any of these kinds of values.

    Args:
        move: Takes arrays and returns one; it may call methods that NumPy and JAX share
            (`reshape`, `transpose`, indexing).
        values: All of one kind.
    """
    moved = getattr(values[0], "moved", None)
    return move(*values) if moved is None else moved(move, *values[1:])
