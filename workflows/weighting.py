"""How often each training jet counts: by its class, and by where it is in pT and eta."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from trigger.physics.efficiency import even_edges
from trigger.weights import Reweighting, class_weights, fit_reweighting
from workflows.groups import Weights


def weigh(
    weights: Weights,
    classes: Sequence[str],
    pt: Float64[np.ndarray, " jets"] | None,
    eta: Float64[np.ndarray, " jets"] | None,
    label: Int64[np.ndarray, " jets"],
) -> tuple[Float64[np.ndarray, " jets"] | None, Reweighting | None]:
    """The weight of each training jet, and the reweighting that is in it.

    Args:
        weights: What is asked.
        classes: Names of the classes.
        pt: In GeV; for a reweighting only.
        eta: For a reweighting only.
        label: Class of each training jet; give no others.

    Raises:
        UserError: What `fit_reweighting` refuses.
    """
    counts, fitted = None, None
    if weights.reference:
        assert pt is not None
        assert eta is not None
        fitted = fit_reweighting(
            *(pt, eta, label),
            classes=classes,
            reference=weights.reference,
            pt_edges=weights.pt_edges or even_edges(pt, 10).tolist(),
            eta_edges=weights.eta_edges or even_edges(eta, 4).tolist(),
            cap=weights.cap,
        )
        counts = fitted.weights(pt, eta, label)
    if weights.classes:
        each = class_weights(label, classes)
        counts = each if counts is None else counts * each
    return counts, fitted
