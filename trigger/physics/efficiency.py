r"""Efficiencies, k of n, with intervals that hold for every k and n.

The interval is the central one of C. Clopper, E. Pearson, "The use of confidence or
fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934) 404: it
covers the true efficiency at least as often as its level says, for 0 and n of n too.

.. math:: \left[ B^{-1}_{\alpha/2}(k, n - k + 1),\ B^{-1}_{1-\alpha/2}(k + 1, n - k)
          \right], \quad \alpha = 1 - \text{level}

with the quantiles of the beta distribution; 0 is the lower end at k = 0 and 1 the upper
end at k = n.

Conventions
-----------
- Bins are half-open, the last bin is closed.  What is outside is counted, not binned.
- Of nothing (n = 0) the value is NaN and the interval is all of [0, 1].
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Integer
from scipy.special import betaincinv

from trigger.errors import UserError

LEVEL = math.erf(math.sqrt(0.5))
"""68.27 %: one standard deviation to either side of a Gaussian's mean."""


@final
@dataclass(frozen=True, eq=False)
class Efficiency:
    """Shares of jets that pass, each with its interval.

    Attributes:
        passed: Jets that pass.
        total: Jets.
        value: `passed / total`, NaN of none.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    passed: Int64[np.ndarray, "*shape"]
    total: Int64[np.ndarray, "*shape"]
    value: Float64[np.ndarray, "*shape"]
    low: Float64[np.ndarray, "*shape"]
    high: Float64[np.ndarray, "*shape"]


@final
@dataclass(frozen=True, eq=False)
class Binned:
    """An efficiency in bins of a variable.

    Attributes:
        edges: Edges of the bins, in the variable's unit.
        efficiency: One per bin.
        outside: Jets below the first edge or above the last, in no bin.
    """

    edges: Float64[np.ndarray, " edges"]
    efficiency: Efficiency
    outside: int


def clopper_pearson(
    passed: Integer[np.ndarray, "*shape"],
    total: Integer[np.ndarray, "*shape"],
    level: float = LEVEL,
) -> tuple[Float64[np.ndarray, "*shape"], Float64[np.ndarray, "*shape"]]:
    """Lower and upper ends of the central interval.

    Args:
        passed: Jets that pass, k.
        total: Jets, n.
        level: Least probability that the interval covers the truth, `0 < level < 1`.

    Raises:
        UserError: `passed` is negative or more than `total`, or `level` is out of
            range.

    Example:
        >>> low, high = clopper_pearson(np.array([0, 5, 10]), np.array([10, 10, 10]))
        >>> low.round(3), high.round(3)
        (array([0.   , 0.305, 0.832]), array([0.168, 0.695, 1.   ]))
    """
    if not 0 < level < 1:
        raise UserError(
            f"the level of an interval must be in 0 < level < 1, got {level}"
        )
    bad = np.argwhere((passed < 0) | (passed > total))
    if bad.size:
        at = tuple(bad[0])
        raise UserError(
            f"an efficiency is of 0 to n jets that pass among n, got {passed[at]} of "
            f"{total[at]} at index {', '.join(str(i) for i in at)}"
        )
    k, n = passed.astype(np.float64), total.astype(np.float64)
    tail = (1 - level) / 2
    # The distribution needs parameters above 0; where they are not, the end is known.
    low = betaincinv(np.maximum(k, 0.5), n - k + 1, tail)
    high = betaincinv(k + 1, np.maximum(n - k, 0.5), 1 - tail)
    return np.where(k > 0, low, 0.0), np.where(k < n, high, 1.0)


def efficiency(
    passed: Integer[np.ndarray, "*shape"],
    total: Integer[np.ndarray, "*shape"],
    level: float = LEVEL,
) -> Efficiency:
    """Shares with their Clopper-Pearson intervals.

    Args:
        passed: Jets that pass.
        total: Jets.
        level: As of `clopper_pearson`.

    Raises:
        UserError: As `clopper_pearson`.
    """
    low, high = clopper_pearson(passed, total, level)
    value = np.full(np.shape(total), np.nan)
    np.divide(passed, total, out=value, where=total > 0)
    return Efficiency(passed.astype(np.int64), total.astype(np.int64), value, low, high)


def binned(
    passed: Bool[np.ndarray, " jets"],
    variable: Float[np.ndarray, " jets"] | Integer[np.ndarray, " jets"],
    edges: Float64[np.ndarray, " edges"],
    level: float = LEVEL,
) -> Binned:
    """The efficiency in bins of pT, eta, pile-up or whatever else.

    Args:
        passed: Whether each jet passes.
        variable: The jet's value, in the unit of the edges.
        edges: At least two, ascending.
        level: As of `clopper_pearson`.

    Raises:
        UserError: The edges do not ascend, or a value is NaN.
    """
    bin_of = find_bins(variable, edges)
    inside = bin_of >= 0
    bins = len(edges) - 1
    total = np.bincount(bin_of[inside], minlength=bins)
    good = np.bincount(bin_of[inside & passed], minlength=bins)
    outside = int(len(variable) - np.count_nonzero(inside))
    return Binned(edges, efficiency(good, total, level), outside)


def even_edges(
    variable: Float64[np.ndarray, " jets"], bins: int
) -> Float64[np.ndarray, " edges"]:
    """Edges of bins with as many jets each; of fewer bins where values repeat.

    Args:
        variable: The jets' values, at least one.
        bins: How many at most.
    """
    return np.unique(np.quantile(variable, np.linspace(0, 1, bins + 1)))


def find_bins(
    variable: Float[np.ndarray, " jets"] | Integer[np.ndarray, " jets"],
    edges: Float64[np.ndarray, " edges"],
) -> Int64[np.ndarray, " jets"]:
    """The bin of each jet, -1 where it is outside of all.

    Raises:
        UserError: As `binned`.
    """
    if len(edges) < 2 or not np.all(np.diff(edges) > 0):
        raise UserError(
            "bins have at least two edges, each above the one before, got "
            f"{edges.tolist()}"
        )
    bad = np.flatnonzero(np.isnan(variable))
    if bad.size:
        raise UserError(
            f"the variable of row {bad[0]} is NaN, which is in no bin "
            f"({bad.size} of {len(variable)} are)"
        )
    bin_of = np.searchsorted(edges, variable, side="right").astype(np.int64) - 1
    bin_of[variable == edges[-1]] = len(edges) - 2
    bin_of[bin_of == len(edges) - 1] = -1
    return bin_of
