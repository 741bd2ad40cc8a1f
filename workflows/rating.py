"""What a rate counts: events where the card counts them, else background jets.

A rate in kHz stands only where events were generated without selection and the card
counts all of them, or where the recipe states the rate of jets.
"""

import numpy as np
from jaxtyping import Bool, Int64

from trigger.physics.codes import Codes, count_codes
from trigger.physics.rate import Normalisation, event_scores, of_events, of_jets
from workflows.dataset import Jets
from workflows.recipe import Recipe


def of_split(
    recipe: Recipe, split: str, background: int, *, complete: bool
) -> Normalisation:
    """What counts of one split are a share of.

    Args:
        recipe: Its card may count events, its `physics` may state the rate of jets.
        split: "validation" or "test".
        background: Background jets in it.
        complete: Whether no file was left out.
    """
    if not (whole := events(recipe, complete=complete)):
        return of_jets(background, recipe.physics.jet_rate_khz or None)
    _, validation, test = recipe.data.fractions
    if folds := recipe.data.folds:
        validation, test = validation / (1 - test) * (1 - 1 / folds), 1 / folds
    share = test if split == "test" else validation
    return of_events(round(whole * share), recipe.physics.bunches)


def events(recipe: Recipe, *, complete: bool) -> int:
    """Generated events behind what was read; 0 where nothing says how many.

    The card counts those of its own files: with some left out, or others to test on,
    its number is not that of what was read.
    """
    asked = recipe.data
    others = bool(asked.card.files) and asked.files != asked.card.files
    return 0 if not complete or asked.test_files or others else asked.card.n_gen


def codes(
    known: Normalisation,
    jets: Jets,
    code: Int64[np.ndarray, " jets"],
    signal: Bool[np.ndarray, " jets"],
) -> Codes:
    """The scores that are counted: the best of each event, or of background jets."""
    if known.per == "event":
        return count_codes(event_scores(jets.event, code))
    return count_codes(code[~signal])


def why(recipe: Recipe, known: Normalisation) -> str:
    """Where a rate comes from, or why there is none."""
    if known.per == "event":
        return (
            f"n_gen={recipe.data.card.n_gen} of the card, the share of the test split, "
            f"{recipe.physics.bunches} colliding bunches"
        )
    if known.full_khz is not None:
        return "physics.jet_rate_khz, as stated by the recipe"
    return (
        "no rate in kHz: no n_gen of the card counts the events of what was read, and "
        "the recipe states no physics.jet_rate_khz; shares are of background jets"
    )
