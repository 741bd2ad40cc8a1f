"""Pairs of things in one collision, and how far apart they are.

Conventions
-----------
- Lists are flat, with offsets that say where each entry's part begins.
- Angles are radians, any branch.
"""

import numpy as np
from jaxtyping import Float64, Int64


def cross(
    entry: Int64[np.ndarray, " ones"], offsets: Int64[np.ndarray, " bounds"]
) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """Pairs each thing with all of a list that are of the same entry.

    Args:
        entry: The entry of each thing.
        offsets: Where each entry's part of the list begins.

    Returns:
        Positions of the things, rising, and positions in the list.
    """
    number = np.diff(offsets)[entry]
    first = np.cumsum(number) - number
    one = np.repeat(np.arange(len(entry)), number)
    other = np.arange(number.sum()) - np.repeat(first - offsets[entry], number)
    return one, other


def delta_r(
    eta: Float64[np.ndarray, " pairs"], phi: Float64[np.ndarray, " pairs"]
) -> Float64[np.ndarray, " pairs"]:
    r"""Distance :math:`\sqrt{\Delta\eta^2 + \Delta\phi^2}` from differences.

    Args:
        eta: Differences of pseudorapidity.
        phi: Differences of azimuth; folded here to half a turn.
    """
    return np.hypot(eta, phi - 2 * np.pi * np.round(phi / (2 * np.pi)))
