r"""The 16 high-level features of the jet substructure benchmark.

============== =====================================================================
`zlogz`        :math:`\sum z \ln z` over all constituents, z the share of the energy
`c1_b0_mmdt`   :math:`e_2^{(0)}`; so do `c1_b1`, `c1_b2` with beta 1 and 2
`c2_b1_mmdt`   :math:`e_3 / (e_2)^2`
`d2_b1_mmdt`   :math:`e_3 / (e_2)^3`
`d2_a1_b2_mmdt` :math:`e_3^{(1)} / (e_2^{(2)})^{3/2}`; `d2_a1_b1` equals `d2_b1`
`m2_b1_mmdt`   :math:`{}_1e_3 / e_2`
`n2_b1_mmdt`   :math:`{}_2e_3 / (e_2)^2`
`mass_mmdt`    groomed mass, GeV
`multiplicity` number of all constituents
============== =====================================================================

All with `_mmdt` are those of the groomed jet; a jet of which less than two particles
are left has zeros there.

Reference:
    E. Coleman et al., JINST 13 (2018) T01003, arXiv:1709.08705, section 4; C1 and C2 of
    arXiv:1305.0007, D2 of A. J. Larkoski, I. Moult, D. Neill, JHEP 12 (2014) 009,
    arXiv:1409.6298 (with two angular exponents, eq. (1.4)), M2 and N2 of
    arXiv:1609.07483.
"""

import numpy as np
from jaxtyping import Float64, Int64

from trigger.generate.correlators import correlators
from trigger.generate.grooming import groom
from trigger.generate.particles import Candidates

FEATURES = (
    "zlogz",
    "c1_b0_mmdt",
    "c1_b1_mmdt",
    "c1_b2_mmdt",
    "c2_b1_mmdt",
    "c2_b2_mmdt",
    "d2_b1_mmdt",
    "d2_b2_mmdt",
    "d2_a1_b1_mmdt",
    "d2_a1_b2_mmdt",
    "m2_b1_mmdt",
    "m2_b2_mmdt",
    "n2_b1_mmdt",
    "n2_b2_mmdt",
    "mass_mmdt",
    "multiplicity",
)


def features(
    members: Candidates, count: Int64[np.ndarray, " jets"]
) -> Float64[np.ndarray, "jets 16"]:
    """The features of jets, in the order of `FEATURES`.

    Args:
        members: Constituents of the jets, jet after jet.
        count: How many each jet has, at least one.
    """
    out = np.zeros((len(count), len(FEATURES)))
    if not len(out):
        return out
    momenta = members.four_momenta()
    first = np.cumsum(count) - count
    energy = momenta[3]
    share = energy / np.repeat(np.add.reduceat(energy, first), count)
    out[:, 0] = np.add.reduceat(share * np.log(share), first)
    out[:, 15] = count
    kept = groom(momenta, count)
    sums = np.add.reduceat(momenta * kept, first, axis=1)
    mass2 = sums[3] ** 2 - np.sum(sums[:3] ** 2, axis=0)
    out[:, 14] = np.sqrt(np.maximum(mass2, 0.0))
    rapidity = np.arcsinh(momenta[2] / np.hypot(members.pt, members.mass))
    for jet, (start, size) in enumerate(zip(first, count, strict=True)):
        rows = start + np.flatnonzero(kept[start : start + size])
        out[jet, 1:14] = _ratios(members.pt[rows], rapidity[rows], members.phi[rows])
    return out


def _ratios(
    pt: Float64[np.ndarray, " particles"],
    rapidity: Float64[np.ndarray, " particles"],
    phi: Float64[np.ndarray, " particles"],
) -> Float64[np.ndarray, " 13"]:
    """From `c1_b0_mmdt` to `n2_b2_mmdt`."""
    e = correlators(pt, rapidity, phi)
    if not e.e2_b2 > 0:
        return np.array([e.e2_b0, e.e2_b1, e.e2_b2] + [0.0] * 10)
    d2_b1 = e.e3_b1 / e.e2_b1**3
    return np.array(
        [
            e.e2_b0,
            e.e2_b1,
            e.e2_b2,
            e.e3_b1 / e.e2_b1**2,
            e.e3_b2 / e.e2_b2**2,
            d2_b1,
            e.e3_b2 / e.e2_b2**3,
            d2_b1,
            e.e3_b1 / e.e2_b2**1.5,
            e.v1_b1 / e.e2_b1,
            e.v1_b2 / e.e2_b2,
            e.v2_b1 / e.e2_b1**2,
            e.v2_b2 / e.e2_b2**2,
        ]
    )
