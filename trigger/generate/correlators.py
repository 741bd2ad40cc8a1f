r"""Energy correlation functions of a jet: sums over its pairs and triples.

With :math:`z_i` the share of a particle in the sum of the transverse momenta and
:math:`\theta_{ij}` the distance in rapidity and azimuth,

.. math::
    e_2^{(\beta)} = \sum_{i<j} z_i z_j \theta_{ij}^\beta \qquad
    {}_v e_3^{(\beta)} = \sum_{i<j<k} z_i z_j z_k
        \prod_{m=1}^{v} \left(\theta^{(m)}\right)^\beta

where :math:`\theta^{(1)} \le \theta^{(2)} \le \theta^{(3)}` are the sides of the
triangle; :math:`{}_3e_3` is the plain :math:`e_3`.

No loop runs over triples: for every pair the third particles are summed at once.  The
product of all sides counts each triangle three times.  The smallest side finds each
triangle once, and so does the largest, to which the product of the two smaller ones
belongs.  Sides of equal length (a calorimeter has many) are told apart by their rank.

Reference:
    A. J. Larkoski, G. P. Salam, J. Thaler, JHEP 06 (2013) 108, arXiv:1305.0007; I. Moult,
    L. Necib, J. Thaler, "New angles on energy correlation functions", JHEP 12 (2016)
    153, arXiv:1609.07483, eq. (2.3) and (3.3).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float64

from trigger.generate.clusters import folded

_BLOCK = 9000
"""Pairs times third particles at once: they stay in the cache, and are too few for the
linear algebra library to share them among threads, which costs more than it brings."""


@final
@dataclass(frozen=True)
class Correlators:
    """All sums that the features need, pure numbers; `_b1` has beta = 1."""

    e2_b0: float
    e2_b1: float
    e2_b2: float
    v1_b1: float
    v1_b2: float
    v2_b1: float
    v2_b2: float
    e3_b1: float
    e3_b2: float


def correlators(
    pt: Float64[np.ndarray, " particles"],
    rapidity: Float64[np.ndarray, " particles"],
    phi: Float64[np.ndarray, " particles"],
) -> Correlators:
    """The sums of one jet.

    Args:
        pt: Transverse momenta, any unit.
        rapidity: Rapidities.
        phi: Azimuths, radians; any branch.
    """
    z = pt / pt.sum()
    angle = np.hypot(rapidity[:, None] - rapidity, folded(phi[:, None] - phi))
    i, j = np.triu_indices(len(z), 1)
    side, weight = angle[i, j], z[i] * z[j]
    order = np.argsort(side, kind="stable")
    # Small integers are compared faster, and int16 holds the ranks of most jets.
    rank = np.zeros(angle.shape, np.int16 if len(side) < 2**15 else np.int32)
    rank[i[order], j[order]] = rank[j[order], i[order]] = np.arange(1, len(side) + 1)
    third = np.empty((5, len(side)))
    pairs = max(1, _BLOCK // len(z))
    for start in range(0, len(side), pairs):
        block = slice(start, start + pairs)
        a, b = i[block], j[block]
        rank_a, rank_b, own = rank[a], rank[b], rank[a, b][:, None]
        # A pair's own particles drop out: their ranks are zero or the pair's own, and
        # the product of their sides is zero.
        third[0, block] = (np.minimum(rank_a, rank_b) > own) @ z
        product = angle[a]
        product *= angle[b]
        square = product * product
        third[1, block], third[2, block] = product @ z, square @ z
        smaller = np.maximum(rank_a, rank_b) < own
        product *= smaller
        square *= smaller
        third[3, block], third[4, block] = product @ z, square @ z
    shortest, plain, plain2, smaller, smaller2 = third * weight
    return Correlators(
        e2_b0=float(weight.sum()),
        e2_b1=float(weight @ side),
        e2_b2=float(weight @ side**2),
        v1_b1=float(shortest @ side),
        v1_b2=float(shortest @ side**2),
        v2_b1=float(smaller.sum()),
        v2_b2=float(smaller2.sum()),
        e3_b1=float(plain @ side) / 3,
        e3_b2=float(plain2 @ side**2) / 3,
    )
