r"""Working points: integer thresholds, and what passes on both sides of the step.

.. math:: t^* = \min\{ t : R(t) \le R_{target} \}

Scores are quantised, so the rate makes steps and mostly no threshold meets the target:
the rate at t* is below it and that at t* - 1 above.  Both are reported, and nothing is
interpolated.

Conventions
-----------
- `pass` means score >= threshold.
- A target is read as the decimal that it prints as (0.29 is 29/100), and compared with
  N_pass / N exactly.
- Where even the least code that occurs meets the target, t* is that code, and as many
  pass at t* - 1.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import numpy as np

from trigger.errors import UserError
from trigger.physics.codes import Codes
from trigger.physics.rate import Normalisation, Rates, of_jets, rates


@final
@dataclass(frozen=True)
class WorkingPoint:
    """An integer threshold and why it is that one.

    Attributes:
        threshold: t*.
        target: What was asked for, at most.
        unit: `kHz`, or `background efficiency`.
        passed: Background (jets or events) at or above t*.
        passed_below: The same of t* - 1.
        normalisation: What these are a share of.
    """

    threshold: int
    target: float | int
    unit: str
    passed: int
    passed_below: int
    normalisation: Normalisation

    @property
    def rates(self) -> Rates:
        """Shares and rates with errors at t* and at t* - 1, in this order."""
        return rates(
            np.array([self.threshold, self.threshold - 1]),
            np.array([self.passed, self.passed_below]),
            self.normalisation,
        )


def at_rate(
    background: Codes,
    target_khz: float | int,
    normalisation: Normalisation,
    highest: int | None = None,
) -> WorkingPoint:
    """The least threshold whose rate is no more than a target.

    Args:
        background: Codes of the score, one per event or jet as the normalisation says.
        target_khz: Greatest rate, kHz.
        normalisation: `trigger.physics.rate.of_events`, or `of_jets` with a rate.
        highest: Greatest threshold that the firmware's word can hold.

    Raises:
        UserError: The target is not a positive number, the normalisation has no rate,
            no threshold up to `highest` is high enough, or the scores are no integers.
    """
    share = _decimal(target_khz, "a target rate", "kHz") / normalisation.exact_khz
    return _choose(background, share, target_khz, "kHz", normalisation, highest)


def at_efficiency(
    background: Codes,
    target: float | int,
    normalisation: Normalisation | None = None,
    highest: int | None = None,
) -> WorkingPoint:
    """The least threshold whose background efficiency is no more than a target.

    Args:
        background: Codes of the score, one per background jet.
        target: Greatest background efficiency, `0 < target <= 1`.
        normalisation: Default: shares of these jets.
        highest: Greatest threshold that the firmware's word can hold.

    Raises:
        UserError: The target is out of range, there are no jets, no threshold up to
            `highest` is high enough, or the scores are no integers.
    """
    share = _decimal(target, "a background efficiency", "")
    if share > 1:
        raise UserError(f"a background efficiency is a share up to 1, got {target}")
    if normalisation is None:
        normalisation = of_jets(background.total)
    unit = "background efficiency"
    return _choose(background, share, target, unit, normalisation, highest)


def _choose(
    codes: Codes,
    share: Fraction,
    target: float | int,
    unit: str,
    normalisation: Normalisation,
    highest: int | None,
) -> WorkingPoint:
    if codes.code.dtype.kind != "i" or not len(codes.code):
        raise UserError(
            "a working point is an integer threshold on quantised scores, got "
            f"{len(codes.code)} different scores of type {codes.code.dtype}; quantise "
            "the scores first"
        )
    most = math.floor(min(share, 1) * normalisation.total)  # so many may pass
    above = np.append(codes.passed, 0)
    at = int(np.searchsorted(-above, -most))  # the first code with so many or fewer
    threshold = int(codes.code[at - 1]) + 1 if at else int(codes.code[0])
    if highest is not None and threshold > highest:
        raise UserError(
            f"no threshold up to {highest} brings {target:g} {unit}: at {highest}, "
            f"{codes.passing(np.array([highest]))[0]} of {normalisation.total} pass "
            f"and {most} may; widen the score or raise its LSB, so that fewer saturate"
        )
    below = int(above[at - 1]) if at else int(above[0])
    return WorkingPoint(threshold, target, unit, int(above[at]), below, normalisation)


def _decimal(number: float | int, what: str, unit: str) -> Fraction:
    if not 0 < number < math.inf:
        raise UserError(
            f"{what} is a number above 0 {unit}".rstrip() + f", got {number}"
        )
    return Fraction(repr(float(number)))
