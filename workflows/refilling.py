"""Rare codes refilled before anything is compiled, and what that did to the network.

Off unless the recipe asks for it (`network.refill`); `models.refill` says what it is.
The candidates are measured again, so that the choice is among what will be shipped.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from models.evaluate import measure, ready, scores
from models.plan import Candidate, TrainData, TrainResult, keep
from models.refill import refill
from models.step import Loss
from workflows.dataset import Dataset
from workflows.networks import aim
from workflows.recipe import Recipe


def refilled(recipe: Recipe, data: TrainData, trained: TrainResult) -> TrainResult:
    """The training's result with the rare codes of every candidate refilled.

    Args:
        recipe: Says which codes are rare, and at what clock the block will run.
        data: What was trained on.
        trained: Its front.
    """
    below = recipe.network.refill
    if not below:
        return trained
    x, labels = jnp.asarray(data.words_val, jnp.int32), jnp.asarray(data.labels_val)
    front: list[Candidate] = []
    for old in trained.front:
        network = refill(old.network, data.words_train, below)
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
    recipe: Recipe, data: Dataset, chosen: Candidate, luts: Callable[[Candidate], int]
) -> dict[str, Any] | None:
    """What the refilling did to the chosen network; nothing where there was none.

    Args:
        recipe: As of `refilled`.
        data: Its validation and test splits are judged.
        chosen: The candidate that was compiled.
        luts: Counts the block of a candidate.
    """
    if chosen.before is None:
        return None
    metric = aim(recipe).metric

    def row(candidate: Candidate) -> dict[str, float]:
        return {
            "validation": _quality(candidate, data, "validation", metric),
            "test": _quality(candidate, data, "test", metric),
            "luts": luts(candidate),
        }

    return {
        "below": recipe.network.refill,
        "metric": aim(recipe).metric_name,
        "before": row(chosen.before),
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


def _quality(candidate: Candidate, data: Dataset, split: str, metric: Loss) -> float:
    jets = getattr(data, split)
    x = jnp.asarray(data.read(jets.words), jnp.int32)
    found = scores(ready(candidate.network), x)
    return round(float(metric(found, jnp.asarray(jets.labels))), 6)
