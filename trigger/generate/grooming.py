r"""Modified mass drop: soft wide-angle radiation taken off a jet.

The constituents are clustered anew by angle (Cambridge/Aachen).  From the last merging
backwards, the softer prong is dropped until the two share the momentum well enough,
:math:`\min(p_{T1}, p_{T2}) / (p_{T1} + p_{T2}) > z_{cut}`.

FastJet's contributed `SoftDrop` does the same in one call, but through the Python
interface takes ten times as long as the clustering that it rests on.  Here the harder
prong is clustered by itself instead: a sequence that merges the closest pair first
merges the particles of one prong in the same order whether the others are there or not.

Reference:
    M. Dasgupta, A. Fregoso, S. Marzani, G. P. Salam, "Towards an understanding of jet
    substructure", JHEP 09 (2013) 029, arXiv:1307.0007; equal to soft drop with beta = 0,
    A. J. Larkoski et al., JHEP 05 (2014) 146, arXiv:1402.2657, eq. (1.1).
"""

from typing import Any

import awkward as ak
import fastjet
import numpy as np
from jaxtyping import Bool, Float64, Int64

from trigger.generate.clusters import momentum_records

Z_CUT = 0.1
"""As in the public benchmark (arXiv:1709.08705)."""

_ANY_ANGLE = 1000.0  # the largest radius of FastJet: nothing is left outside of the jet


def groom(
    momenta: Float64[np.ndarray, "4 members"],
    count: Int64[np.ndarray, " jets"],
    z_cut: float = Z_CUT,
) -> Bool[np.ndarray, " members"]:
    """Which constituents stay.

    Args:
        momenta: px, py, pz and energy of the constituents in GeV, jet after jet.
        count: Constituents of each jet, at least one.
        z_cut: Least share of the softer prong.

    Returns:
        True for what stays; of every jet at least one constituent does.
    """
    kept = np.ones(momenta.shape[1], bool)
    algorithm = fastjet.JetDefinition(fastjet.cambridge_algorithm, _ANY_ANGLE)
    rows, size = np.arange(momenta.shape[1]), count
    while True:
        # A single particle has no prongs.
        rows, size = rows[np.repeat(size > 1, size)], size[size > 1]
        if not len(size):
            return kept
        records = ak.unflatten(momentum_records(momenta[:, rows]), size)
        sequence: Any = fastjet.ClusterSequence(records, algorithm)
        prongs = sequence.exclusive_jets_constituent_index(njets=2)
        length = ak.to_numpy(ak.flatten(ak.num(prongs, axis=2))).astype(np.int64)
        local = ak.to_numpy(ak.ravel(prongs)).astype(np.int64)
        jet_first = np.repeat(np.cumsum(size) - size, size)  # both prongs: all members
        rows = rows[jet_first + local]
        first = np.cumsum(length) - length
        pt = np.hypot(*np.add.reduceat(momenta[:2, rows], first, axis=1)).reshape(-1, 2)
        harder = np.argmax(pt, axis=1)[:, None] == np.arange(2)
        failed = np.min(pt, axis=1) <= z_cut * np.sum(pt, axis=1)
        dropped = failed[:, None] & ~harder
        follow = failed[:, None] & harder
        kept[rows[np.repeat(dropped.ravel(), length)]] = False
        rows, size = rows[np.repeat(follow.ravel(), length)], length[follow.ravel()]
