"""Ranges of quantisers that wrap: set by examples, and enforced as the firmware does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from models.layer import evaluate
from models.quantiser import Quantiser
from models.statistic import Statistic, is_statistic
from trigger.errors import UserError

MOST_PASSES = 8
"""Passes over the examples after which calibration gives up waiting for the grids."""


def each_quantiser(network: Any, change: Callable[[Quantiser], Quantiser]) -> Any:
    """The network with every quantiser in it changed."""

    def one(node: Any) -> Any:
        return change(node) if isinstance(node, Quantiser) else node

    return jax.tree.map(one, network, is_leaf=lambda node: isinstance(node, Quantiser))


def strict(network: Any) -> Any:
    """The network with "WRAP" leaving its range as the firmware does."""
    return each_quantiser(network, lambda q: replace(q, strict=True))


def calibrate(
    network: Any,
    inputs: Float[Array, "examples *shape"],
    *,
    reset: bool = True,
    block: int = 1024,
) -> Any:
    """Sets the range of every "WRAP" quantiser to what a set of examples needs.

    Afterwards nothing wraps on these examples, which is checked.

    Args:
        network: Trainable; `evaluate(network)` takes one example.
        inputs: The examples.
        reset: Forget the ranges of training; otherwise they are only raised, as for
            further sets.
        block: Examples at a time.

    Raises:
        UserError: There is no example, or some value fits no range: it is negative where the
            quantiser is unsigned, or above its caps.
    """
    if not len(inputs):
        raise UserError("calibration got no example; ranges cannot follow from nothing")
    parts = [inputs[k : k + block] for k in range(0, len(inputs), block)]

    @eqx.filter_jit
    @eqx.filter_grad
    def look(network: Any, part: Array):
        answers = jax.tree.leaves(jax.vmap(evaluate(network))(part))
        return sum((jnp.sum(answer) for answer in answers), start=jnp.zeros(()))

    for _ in range(MOST_PASSES):
        seen = [_ranges(look(network, part)) for part in parts]
        needed = [jnp.stack(grain).max(axis=0) for grain in zip(*seen, strict=True)]
        now = _ranges(network)
        if not reset:
            needed = [jnp.maximum(*both) for both in zip(now, needed, strict=True)]
        network = _with_ranges(network, needed)
        if not now or all(map(jnp.array_equal, now, needed)):
            break
        # A changed range moves the grid of form "kbi", and so what comes behind.
        reset = False
    ready = evaluate(network)
    answers = eqx.filter_jit(lambda network: jax.vmap(network)(inputs))
    answer, kept = answers(ready), answers(evaluate(strict(network)))
    same = jax.tree.map(lambda a, b: np.array_equal(a, b), answer, kept)
    if not all(jax.tree.leaves(same)):
        raise UserError(
            "after calibration the network still wraps on its own examples: a "
            "quantiser with overflow 'WRAP' reads negative values and is unsigned, or "
            "needs more bits than its caps allow; make it signed or saturating"
        )
    return network


def _ranges(network: Any) -> list[Any]:
    """The values of all range statistics, in the order of the tree."""
    nodes = jax.tree.leaves(network, is_leaf=is_statistic)
    return [node.value for node in nodes if _is_range(node)]


def _with_ranges(network: Any, ranges: list[Any]) -> Any:
    """The network with the values that `_ranges` would find replaced."""
    rest = iter(ranges)

    def one(node: Any) -> Any:
        return Statistic(next(rest), "range") if _is_range(node) else node

    return jax.tree.map(one, network, is_leaf=is_statistic)


def _is_range(node: Any) -> bool:
    return is_statistic(node) and node.kind == "range"
