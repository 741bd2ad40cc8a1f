"""How a cut on the jet's pT turns on against its true pT, alone and with each tag.

A menu asks for both at once: a jet above a threshold that also passes its working
point.  The plateau is then the efficiency of the tag.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from trigger.errors import UserError
from trigger.physics.efficiency import even_edges
from trigger.physics.turn_on import TurnOn, fit_turn_on
from workflows.dataset import Jets
from workflows.efficiency_figures import turn_on_figure
from workflows.groups import Physics
from workflows.physics_style import Figure

BINS = 20
"""Bins of the true pT, with as many jets in each as in the others."""


Tag = tuple[Bool[np.ndarray, " jets"], Bool[np.ndarray, " jets"]]
"""Which jets are of a class, and which of all jets pass its working point."""


def turn_ons(
    asked: Physics, jets: Jets, tags: Mapping[str, Tag]
) -> tuple[dict[str, Any], list[Figure]]:
    """Fits of the cut alone and with each tag, where the recipe asks for them.

    Args:
        asked: `turn_on` names the column of the true pT, `jet_pt` is the cut.
        jets: With the columns `pt` and that one.
        tags: By class.

    Returns:
        Numbers by name, a sentence where there is no fit; and the figure.
    """
    if not asked.turn_on:
        return {}, []
    true, above = jets.columns[asked.turn_on], jets.columns["pt"] >= asked.jet_pt
    every = np.ones(len(true), bool)
    series = {f"pT >= {asked.jet_pt:g} GeV": (every, above)}
    series |= {
        f"{name}, and its tag": (truth, above & passed)
        for name, (truth, passed) in tags.items()
    }
    numbers: dict[str, Any] = {}
    fits: dict[str, TurnOn] = {}
    for name, (chosen, passed) in series.items():
        edges = even_edges(true[chosen], BINS)
        try:
            fits[name] = fit_turn_on(true[chosen], passed[chosen], edges)
        except UserError as error:
            numbers[name] = str(error)
        else:
            numbers[name] = _numbers(fits[name])
    figures = [turn_on_figure(fits, "true jet $p_T$ [GeV]")] if fits else []
    return numbers, figures


def _numbers(fit: TurnOn) -> dict[str, Any]:
    return {
        "plateau": [fit.plateau, fit.plateau_error],
        "point_50": list(fit.point(0.5)),
        "point_95": list(fit.point(0.95)),
        "sigma": [fit.sigma, fit.sigma_error],
        "deviance": fit.deviance,
        "degrees": fit.degrees,
    }
