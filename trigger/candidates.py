"""Jets and their particles as the words of a link, from columns of physical values.

What a correlator would send of a simulated jet: candidates by falling pt, padded with
zeros, and the axis of the jet, in the types of `trigger.records`.
"""

import math

import numpy as np
from jaxtyping import Float64, Int64

from trigger.datasets.sample import Sample
from trigger.front_end import AXIS, CANDIDATE, FrontEnd
from trigger.layout import Layout
from trigger.particles import COLUMNS
from trigger.records import kind_of_pdg

TURN = 2 * math.pi


def link_words(sample: Sample, front: FrontEnd) -> Int64[np.ndarray, "jets words"]:
    """The words of some jets, in the order of `FrontEnd.ports`.

    Args:
        sample: Columns `pt`, `eta`, `phi` of jets and constituents, and `pdg_id` of
            the latter.
        front: Says how many particles there are.

    Raises:
        UserError: A column is missing, a value is not finite, or a PDG number is none
            of a Puppi candidate's.
    """
    momenta, count = sample.block(COLUMNS, front.particles)
    real = np.arange(front.particles) < count[:, None]
    each = np.zeros((*real.shape, 4), np.int64)
    each[real, :3] = _counts(CANDIDATE, momenta[real, :3])
    each[real, 3] = kind_of_pdg(momenta[real, 3].astype(np.int64))
    each[each[..., 0] == 0] = 0  # of less than half a count: nothing would be sent
    axis = _counts(AXIS, sample.matrix(COLUMNS[:3]))
    return np.concatenate([axis, each.reshape(len(axis), -1)], axis=1)


def _counts(
    layout: Layout, values: Float64[np.ndarray, "rows 3"]
) -> Int64[np.ndarray, "rows 3"]:
    """pt, eta and phi in counts; the azimuth within half a turn of zero."""
    pt, eta, phi = values.T
    # Half a turn itself would round up to what only the other end of the turn has.
    near = phi - TURN * np.floor(phi / TURN + 0.5)
    made = layout.from_physics({"pt": pt, "eta": eta, "phi": near})
    half = round(math.pi / layout["phi"].lsb)
    made["phi"] = np.where(made["phi"] == half, -half, made["phi"])
    return np.stack([made["pt"], made["eta"], made["phi"]], axis=1)
