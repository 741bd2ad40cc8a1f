"""Leaves that are observed, not trained: moments, ranges, occupancies.

A statistic leaves the step by the way of gradients: the layer that uses it passes its
value through a function whose backward pass returns what the batch showed, and
the training step then moves the value there instead of down a slope.  (Float8 training
keeps its scales in the same way.)  So one reverse pass brings gradients and
observations, layers need no second return value, and sharded batches are summed for
both alike.
"""

from collections.abc import Callable
from typing import Any, Literal, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array


@final
class Statistic(eqx.Module):
    """A running observation; in a tree of gradients, the observation of one batch."""

    value: Array
    kind: Literal["mean", "range"] = eqx.field(static=True, default="mean")
    """How it follows: an exponential average, or at once upwards and slowly down."""

    def towards(self, seen: "Statistic", rate: float, decay: float) -> "Statistic":
        """The statistic after one batch.

        Args:
            seen: What the batch showed.
            rate: Share of the way that an average goes.
            decay: What a range loses per step if nothing holds it.
        """
        if self.kind == "mean":
            return Statistic(self.value + rate * (seen.value - self.value), self.kind)
        return Statistic(jnp.maximum(self.value - decay, seen.value), self.kind)


@final
class Constant(eqx.Module):
    """Numbers that a layer was built with and that nothing changes."""

    value: Array


def is_statistic(node: Any) -> bool:
    """Whether a node of a tree is a statistic."""
    return isinstance(node, Statistic)


def part(network: Any, constant: Callable[[Any], bool]) -> tuple[Any, Any, Any]:
    """A network as what trains, what is observed, and all the rest.

    Args:
        network: Any tree.
        constant: Nodes below which nothing trains.

    Returns:
        Three trees for `equinox.combine`.
    """

    def fixed(node: Any) -> bool:
        return is_statistic(node) or constant(node)

    def trains(node: Any) -> Any:
        if fixed(node):
            return jax.tree.map(lambda _: False, node)
        return eqx.is_inexact_array(node)

    def observed(node: Any) -> Any:
        return jax.tree.map(lambda _: is_statistic(node), node)

    spec = jax.tree.map(trains, network, is_leaf=fixed)
    trained, rest = eqx.partition(network, spec)
    spec = jax.tree.map(observed, rest, is_leaf=is_statistic)
    seen, rest = eqx.partition(rest, spec)
    return trained, seen, rest


def follow(network: Any, seen: Any, rate: float, decay: float) -> Any:
    """Moves every statistic of a network towards what a batch showed.

    Args:
        network: Holds the statistics; everything else is returned as it is.
        seen: A tree of the same structure, as `jax.grad` returns it.
        rate: See `Statistic.towards`.
        decay: See `Statistic.towards`.
    """

    def one(now: Any, new: Any) -> Any:
        return now.towards(new, rate, decay) if is_statistic(now) else now

    return jax.tree.map(one, network, seen, is_leaf=is_statistic)
