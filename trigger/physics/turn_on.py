r"""Turn-on curves: the efficiency against the true pT, fitted.

.. math:: \epsilon(x) = \frac{p}{2} \left( 1 + \mathrm{erf}\, \frac{x - \mu}{\sqrt 2\,
          \sigma} \right)

with the plateau p, the point of half of it :math:`\mu` and the resolution
:math:`\sigma`.  The fit maximises the likelihood of k of n jets in each bin, which are
binomial; it takes bins of any occupation, and no errors on efficiencies go in.

Conventions
-----------
- x is in any unit, pT in GeV mostly; points and :math:`\sigma` are in the same.
- A bin stands at the mean x of its jets.  Its width w then adds about
  :math:`w^2 / 12` to :math:`\sigma^2`: bins of half of :math:`\sigma` cost it 1 %.
- Errors are those of the inverse Hessian of :math:`-\ln L` at the maximum, parabolic and
  at one standard deviation.  A plateau that ends at its bound of 1 is held there: it
  has no error (0), and the other two are for that plateau.
- The deviance is :math:`2 \ln(L_{saturated} / L)` (S. Baker, R. Cousins, Nucl. Instrum.
  Meth. 221 (1984) 437, eq. 17); with well filled bins it follows a chi2 distribution of
  `degrees` degrees of freedom.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri, xlogy

from trigger.errors import UserError
from trigger.physics.efficiency import find_bins

LEAST = 20
"""Jets that must pass, and jets that must fail: with fewer, errors are no parabola's."""

_TINY = 1e-12  # of an efficiency or inefficiency: no jet costs more than 28 in -ln L


@final
@dataclass(frozen=True, eq=False)
class TurnOn:
    """A fitted turn-on.

    Attributes:
        plateau: Efficiency far above the threshold.
        middle: x where the efficiency is half of the plateau.
        sigma: Width, in the unit of x.
        covariance: Of these three, in this order.
        deviance: Of the fit, as chi2.
        degrees: Bins with jets, less the parameters.
        x: Mean x of the jets in each bin that has any.
        passed: Jets that pass in these.
        total: Jets in these.
    """

    plateau: float
    middle: float
    sigma: float
    covariance: Float64[np.ndarray, "3 3"]
    deviance: float
    degrees: int
    x: Float64[np.ndarray, " bins"]
    passed: Int64[np.ndarray, " bins"]
    total: Int64[np.ndarray, " bins"]

    @property
    def plateau_error(self) -> float:
        """One standard deviation of the plateau; 0 where it is held at 1."""
        return math.sqrt(self.covariance[0, 0])

    @property
    def sigma_error(self) -> float:
        """One standard deviation of the width."""
        return math.sqrt(self.covariance[2, 2])

    def point(self, share: float) -> tuple[float, float]:
        """Where the efficiency is a share of the plateau, with its error.

        The 95 % point is what menus call the offline threshold.

        Args:
            share: `0 < share < 1`; 0.5 is the middle.
        """
        z = float(ndtri(share))
        slope = np.array([0.0, 1.0, z])
        error = math.sqrt(slope @ self.covariance @ slope)
        return self.middle + z * self.sigma, error

    def curve(
        self, x: Float64[np.ndarray, " points"]
    ) -> Float64[np.ndarray, " points"]:
        """The fitted efficiency."""
        return self.plateau * ndtr((x - self.middle) / self.sigma)


def fit_turn_on(
    x: Float[np.ndarray, " jets"],
    passed: Bool[np.ndarray, " jets"],
    edges: Float64[np.ndarray, " edges"],
) -> TurnOn:
    """Fits plateau, middle and width.

    Args:
        x: True (offline) pT of each jet, GeV, or what else turns on.
        passed: Whether each jet passes.
        edges: Edges of the bins; jets outside do not take part.

    Raises:
        UserError: Too few jets pass or fail, fewer than 4 bins have jets, there is no
            turn-on in the range or it is sharper than the bins, or the 95 % point is
            above the range.
    """
    bin_of = find_bins(x, edges)
    inside = bin_of >= 0
    bins = len(edges) - 1
    total = np.bincount(bin_of[inside], minlength=bins)
    good = np.bincount(bin_of[inside & passed], minlength=bins)
    span = f"{edges[0]:g}..{edges[-1]:g}"
    if min(good.sum(), (total - good).sum()) < LEAST or np.count_nonzero(total) < 4:
        raise UserError(
            f"a turn-on is fitted to at least {LEAST} jets that pass, {LEAST} that fail "
            f"and 4 bins with jets: in {span} {good.sum()} of {total.sum()} pass, in "
            f"{np.count_nonzero(total)} bins"
        )
    used = total > 0
    mean = np.bincount(bin_of[inside], x[inside].astype(np.float64), bins)[used]
    total, good = total[used].astype(np.int64), good[used].astype(np.int64)
    mean /= total
    narrow = float(np.min(np.diff(edges)))
    theta = _maximise(mean, good, total, narrow, float(edges[-1] - edges[0]))
    plateau, middle, sigma = (float(value) for value in theta)
    _refuse_no_turn_on(theta, edges, narrow)
    cost, _, hessian = _derivatives(theta, mean, good, total)
    free = np.array([plateau < 1, True, True])
    covariance = np.zeros((3, 3))
    try:
        inverse = np.linalg.inv(hessian[np.ix_(free, free)])
        np.linalg.cholesky(inverse)  # fails unless it is a covariance
    except np.linalg.LinAlgError as error:
        raise UserError(
            f"the turn-on in {span} does not determine plateau, middle and width (the "
            f"Hessian has no inverse at {plateau:.3g}, {middle:.4g}, {sigma:.3g}); use "
            "more jets, finer bins or a wider range"
        ) from error
    covariance[np.ix_(free, free)] = inverse
    share = good / total
    saturated = np.sum(xlogy(good, share) + xlogy(total - good, 1 - share))
    return TurnOn(
        plateau=plateau,
        middle=middle,
        sigma=sigma,
        covariance=covariance,
        deviance=2 * (cost + float(saturated)),
        degrees=len(total) - int(np.count_nonzero(free)),
        x=mean,
        passed=good,
        total=total,
    )


def _maximise(
    x: Float64[np.ndarray, " bins"],
    good: Int64[np.ndarray, " bins"],
    total: Int64[np.ndarray, " bins"],
    narrow: float,
    width: float,
) -> Float64[np.ndarray, "3"]:
    """The parameters of the greatest likelihood, within bounds wider than sensible."""
    share = good / total
    top = min(max(float(share[len(share) // 2 :].max()), 0.05), 0.99)
    middle = float(x[np.argmax(share >= top / 2)])
    # In units of the guess, so that all three are of the order of one.
    scale = np.array([1.0, max(width / 10, narrow), max(width / 10, narrow)])
    shift = np.array([0.0, middle, 0.0])

    def cost(u: Float64[np.ndarray, "3"]) -> tuple[float, Any]:
        value, slope, _ = _derivatives(u * scale + shift, x, good, total)
        return value / total.sum(), slope * scale / total.sum()

    low = np.array([1e-6, x[0] - width, narrow / 1000])
    high = np.array([1.0, x[-1] + width, 10 * width])
    found = minimize(
        cost,
        np.array([top, 0.0, 0.7]),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip((low - shift) / scale, (high - shift) / scale, strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000},
    )
    return np.clip(found.x * scale + shift, low, high)


def _derivatives(
    theta: Float64[np.ndarray, "3"],
    x: Float64[np.ndarray, " bins"],
    good: Int64[np.ndarray, " bins"],
    total: Int64[np.ndarray, " bins"],
) -> tuple[float, Float64[np.ndarray, "3"], Float64[np.ndarray, "3 3"]]:
    """`-ln L` without its constant, its gradient and its Hessian, by hand."""
    p, mu, sigma = theta
    z = (x - mu) / sigma
    bell = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    pass_ = np.maximum(p * ndtr(z), _TINY)
    # The complement from its own tail, which 1 - pass_ would round away.
    fail_ = np.maximum(1 - p + p * ndtr(-z), _TINY)
    bad = total - good
    value = -float(np.sum(xlogy(good, pass_) + xlogy(bad, fail_)))
    # Derivatives of the efficiency by (p, mu, sigma), first and second.
    first = np.stack([ndtr(z), -p * bell / sigma, -p * bell * z / sigma])
    second = np.zeros((3, 3, len(x)))
    second[0, 1] = second[1, 0] = -bell / sigma
    second[0, 2] = second[2, 0] = -bell * z / sigma
    second[1, 1] = -p * z * bell / sigma**2
    second[1, 2] = second[2, 1] = p * bell * (1 - z * z) / sigma**2
    second[2, 2] = p * bell * z * (2 - z * z) / sigma**2
    pull = good / pass_ - bad / fail_
    weight = good / pass_**2 + bad / fail_**2
    hessian = np.einsum("ib,jb,b->ij", first, first, weight) - second @ pull
    return value, -(first @ pull), hessian


def _refuse_no_turn_on(
    theta: Float64[np.ndarray, "3"], edges: Float64[np.ndarray, " edges"], narrow: float
) -> None:
    _, middle, sigma = theta
    span = f"{edges[0]:g}..{edges[-1]:g}"
    if not edges[0] < middle < edges[-1]:
        raise UserError(
            f"there is no turn-on in {span}: the fitted half point is at {middle:.4g}; "
            "use a range around the threshold"
        )
    if sigma < narrow / 10:
        raise UserError(
            f"the turn-on at {middle:.4g} is sharper than the bins of {narrow:g} can "
            f"tell (fitted width {sigma:.2g}); use finer bins there"
        )
    reach = middle + float(ndtri(0.95)) * sigma
    if reach > edges[-1]:
        raise UserError(
            f"the turn-on never reaches its plateau in {span}: its 95 % point would be "
            f"at {reach:.4g}; use a range that goes beyond"
        )
