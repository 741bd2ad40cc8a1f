"""Rare codes refilled before anything is compiled, and what that did to the network.

Off unless the recipe asks for it (`network.refill`); `models.refill` says what it is.
The candidates are measured again, so that the choice is among what will be shipped.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from models.evaluate import measure, ready, scores
from models.plan import Candidate, TrainResult, keep
from models.refill import refill
from workflows.choose import Block
from workflows.dataset import Dataset
from workflows.networks import aim
from workflows.recipe import Recipe


def refilled(recipe: Recipe, data: Dataset, trained: TrainResult) -> TrainResult:
    """The training's result with the rare codes of every candidate refilled.

    Args:
        recipe: Says which codes are rare, and at what clock the block will run.
        data: What was trained on.
        trained: Its front.
    """
    below = recipe.network.refill
    if not below:
        return trained
    words = data.for_training(len(recipe.data.classes))
    x, labels = jnp.asarray(words.words_val, jnp.int32), jnp.asarray(words.labels_val)
    front: list[Candidate] = []
    for old in trained.front:
        network = refill(old.network, words.words_train, below)
        seen = measure(network, x, recipe.budget.clock_mhz)
        new = dataclasses.replace(
            old,
            network=network,
            val_accuracy=float(aim(recipe).metric(seen.scores, labels)),
            luts=seen.luts,
            cycles=seen.cycles,
            before=old,
        )
        front = keep(front, new, latency=True)
    return dataclasses.replace(trained, front=tuple(front))


def effect(
    recipe: Recipe, data: Dataset, chosen: Block, compiled: Callable[[Candidate], Block]
) -> dict[str, Any] | None:
    """What the refilling did to the chosen network; nothing where there was none.

    Args:
        recipe: As of `refilled`.
        data: Its test split is judged.
        chosen: The block that will be shipped.
        compiled: Builds the block of a candidate.
    """
    before = chosen.candidate.before
    if before is None:
        return None
    x = jnp.asarray(data.read(data.test.words), jnp.int32)
    labels = jnp.asarray(data.test.labels)

    def row(block: Block) -> dict[str, float]:
        found = scores(ready(block.candidate.network), x)
        return {
            "validation": round(block.candidate.val_accuracy, 6),
            "test": round(float(aim(recipe).metric(found, labels)), 6),
            "luts": block.area.luts,
        }

    return {
        "below": recipe.network.refill,
        "metric": aim(recipe).metric_name,
        "before": row(compiled(before)),
        "after": row(chosen),
    }


def told(effect: dict[str, Any]) -> str:
    """The effect in a sentence."""
    before, after = effect["before"], effect["after"]
    return (
        f"codes of less than {effect['below']:g} of the training refilled: "
        f"{effect['metric']} {before['validation']:.4f} to {after['validation']:.4f} on "
        f"validation, {before['test']:.4f} to {after['test']:.4f} on test, LUTs "
        f"{before['luts']:,} to {after['luts']:,}"
    )
