r"""Trigger rates with errors, from counts of events that pass.

.. math:: R = n_{bunch} f_{rev} \frac{N_{pass}}{N_{gen}}

N_gen is every minimum-bias event that was generated, also those without a jet: a
denominator of events with jets only would bias the rate up.  Where no such number
exists there is no rate in kHz, only a background efficiency; or the user states the
rate of jets, :math:`R = R_{jets}\, \epsilon`.

A trigger fires once for an event, whatever number of its jets pass, and jets of an event
are not independent: rates are of `event_scores`, the greatest score of each event.

Intervals, at 68 %:

- 25 events or more: :math:`\sigma_R = R / \sqrt{N_{pass}}`, as of a Poisson count, but
  never above the rate of all crossings.
- 1 to 24: the central interval of Clopper and Pearson (`trigger.physics.efficiency`).
- none: an upper limit.  The efficiency :math:`\epsilon` that gives no event among
  N_gen with a chance of 32 %, :math:`(1 - \epsilon)^{N_{gen}} = 1 - 0.68`: one-sided,
  all of the 32 % above it.  For large N_gen it is :math:`-\ln(0.32) = 1.14` events.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import numpy as np
from jaxtyping import Float64, Int64, Integer, Real, UInt64

from trigger.errors import UserError
from trigger.physics.codes import Codes, count_codes
from trigger.physics.efficiency import clopper_pearson

BUNCHES = 2760
"""Colliding bunches of an orbit of 3564 crossings, as in the Phase-2 menu tools."""

REVOLUTION_HZ = 11246.0
"""Orbits per second; 2760 bunches make 31,038.96 kHz of crossings."""

POISSON = 25
"""Events from which on the error is that of a Poisson count."""

LIMIT_LEVEL = 0.68
"""Level of the upper limit where nothing passes."""


@final
@dataclass(frozen=True)
class Normalisation:
    """What a number of passing events (or jets) is a share of, and of which rate.

    Attributes:
        total: Events (or jets) in all.
        full_khz: The rate if all passed; None where it is not known.
        per: `event` or `jet`.
    """

    total: int
    full_khz: float | int | None
    per: str

    @property
    def exact_khz(self) -> Fraction:
        """`full_khz` as the decimal that it prints as.

        Raises:
            UserError: It is not known.
        """
        if self.full_khz is None:
            raise UserError(
                "a rate in kHz needs minimum-bias events and their generated number "
                "(n_gen of the card), or the rate of jets as you state it; without "
                "these ask for a background efficiency"
            )
        return Fraction(repr(float(self.full_khz)))


@final
@dataclass(frozen=True, eq=False)
class Rates:
    """What passes at each of some thresholds, with errors.

    Attributes:
        threshold: A jet or event passes at `score >= threshold`.
        passed: Events (or jets) that pass.
        share: `passed` over the total of the normalisation.
        low: Lower end of the share's interval, 0 where nothing passes.
        high: Upper end; the upper limit where nothing passes.
        normalisation: Of what these are shares.
    """

    threshold: Real[np.ndarray, " points"]
    passed: Int64[np.ndarray, " points"]
    share: Float64[np.ndarray, " points"]
    low: Float64[np.ndarray, " points"]
    high: Float64[np.ndarray, " points"]
    normalisation: Normalisation

    @property
    def khz(self) -> Float64[np.ndarray, "3 points"] | None:
        """Rate and the ends of its interval in kHz; None where there is no rate."""
        if self.normalisation.full_khz is None:
            return None
        shares = np.stack([self.share, self.low, self.high])
        return self.normalisation.full_khz * shares

    @property
    def interval(self) -> tuple[str, ...]:
        """How the interval of each point was made."""
        kinds = ("upper limit, 68 %", "Clopper-Pearson", "Poisson")
        which = np.searchsorted([1, POISSON], self.passed, side="right")
        return tuple(kinds[k] for k in which)


def of_events(
    n_gen: int | None,
    bunches: int = BUNCHES,
    revolution_hz: float | int = REVOLUTION_HZ,
) -> Normalisation:
    """Shares of all generated minimum-bias events, and crossings per second.

    Args:
        n_gen: Generated events, those without jets included.
        bunches: Colliding bunches per orbit.
        revolution_hz: Orbits per second.

    Raises:
        UserError: `n_gen` is not known or not positive, or so are the other two.
    """
    if n_gen is None or n_gen <= 0:
        raise UserError(
            "a rate is a share of all generated minimum-bias events, and n_gen is "
            f"{n_gen}; give their number in the data card, state the rate of jets, or "
            "ask for a background efficiency"
        )
    if bunches <= 0 or not 0 < revolution_hz < math.inf:
        raise UserError(
            "a rate needs colliding bunches and orbits per second above 0, got "
            f"{bunches} bunches and {revolution_hz} Hz"
        )
    return Normalisation(n_gen, bunches * revolution_hz / 1000, "event")


def of_jets(jets: int, jet_rate_khz: float | int | None = None) -> Normalisation:
    """Shares of background jets: an efficiency, and a rate only if that of jets is told.

    Args:
        jets: Background jets in all.
        jet_rate_khz: Rate of such jets at the trigger's input, as the user states it.

    Raises:
        UserError: There are no jets, or the rate is not a positive number.
    """
    if jets <= 0:
        raise UserError(f"a background efficiency needs background jets, got {jets}")
    if jet_rate_khz is not None and not 0 < jet_rate_khz < math.inf:
        raise UserError(f"a rate of jets is above 0 kHz, got {jet_rate_khz}")
    return Normalisation(jets, jet_rate_khz, "jet")


def event_scores(
    event: UInt64[np.ndarray, "jets 3"], score: Integer[np.ndarray, " jets"]
) -> Integer[np.ndarray, " events"]:
    """The greatest score of each event, so that counts are of events.

    Args:
        event: Run, luminosity block and event number of each jet; jets of an event may
            stand anywhere.
        score: Score of each jet.

    Returns:
        One score per event that has a jet, by ascending run, block and number.
    """
    if not len(score):
        return score
    # Jets of an event mostly stand together: only one row of each such run is sorted.
    first = _starts(event)
    greatest, event = np.maximum.reduceat(score, first), event[first]
    order = np.lexsort(event.T[::-1])
    return np.maximum.reduceat(greatest[order], _starts(event[order]))


def rates(
    threshold: Real[np.ndarray, " points"],
    passed: Int64[np.ndarray, " points"],
    normalisation: Normalisation,
) -> Rates:
    """Rates of some counts.

    Args:
        threshold: Of each count.
        passed: Events (or jets) that pass it.
        normalisation: What they are a share of.

    Raises:
        UserError: More pass than there are.
    """
    total = normalisation.total
    if passed.size and int(passed.max()) > total:
        unit = normalisation.per
        raise UserError(
            f"{passed.max()} {unit}s pass and there are {total} in all: the total must "
            f"count every generated {unit}, and each may be given once"
        )
    share = passed / total
    error = np.sqrt(passed) / total
    low, high = share - error, np.minimum(share + error, 1.0)
    few = passed < POISSON
    low[few], high[few] = clopper_pearson(
        passed[few], np.full(np.count_nonzero(few), total)
    )
    high[passed == 0] = -math.expm1(math.log1p(-LIMIT_LEVEL) / total)
    return Rates(threshold, passed, share, low, high, normalisation)


def scan(
    score: Real[np.ndarray, " events"] | Codes, normalisation: Normalisation
) -> Rates:
    """The rate at every threshold where it changes.

    Args:
        score: One score per event (`event_scores`) or jet, or their counts.
        normalisation: `of_events` or `of_jets`.

    Returns:
        One point for each code that occurs, ascending, and for integers one more above
        them all, where nothing passes.  The rate of a threshold between two codes is
        that of the upper one.

    Raises:
        UserError: A score is NaN or infinite, or there are more scores than events.
    """
    codes = score if isinstance(score, Codes) else count_codes(score)
    threshold, passed = codes.code, codes.passed
    if len(threshold) and threshold.dtype.kind == "i" and threshold[-1] < 2**63 - 1:
        threshold = np.append(threshold, threshold[-1] + 1)
        passed = np.append(passed, 0)
    return rates(threshold, passed, normalisation)


def _starts(rows: UInt64[np.ndarray, "rows 3"]) -> Int64[np.ndarray, " starts"]:
    """Where a row differs from the one before."""
    changes = np.any(rows[1:] != rows[:-1], axis=1)
    return np.insert(np.flatnonzero(changes) + 1, 0, 0)
