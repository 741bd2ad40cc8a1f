r"""The ROC of a score as counts: one point for each code that is used.

A quantised score makes steps, and so does its ROC; nothing is drawn between them.  The
area is that of Mann and Whitney, the chance that a signal jet scores above a background
jet with ties counted half, from integers:

.. math:: \mathrm{AUC} = \frac{1}{2 S B} \sum_c s_c \left( 2 \sum_{c' < c} b_{c'} + b_c
          \right)

with :math:`s_c, b_c` jets of signal and background at code c and S, B of all (H. Mann,
D. Whitney, Ann. Math. Statist. 18 (1947) 50).  It is also the area under the points
joined by straight lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import final

import numpy as np
from jaxtyping import Float64, Int64, Integer, Real

from trigger.errors import UserError
from trigger.physics.codes import Codes, common_codes, count_codes
from trigger.physics.comparison import Comparison


@final
@dataclass(frozen=True, eq=False)
class Roc:
    """Jets of two samples at each code.

    Attributes:
        threshold: The codes that occur in any of both, ascending.
        signal: Signal jets of each code.
        background: Background jets of each code.
    """

    threshold: Real[np.ndarray, " codes"]
    signal: Int64[np.ndarray, " codes"]
    background: Int64[np.ndarray, " codes"]

    @property
    def signal_passed(self) -> Int64[np.ndarray, " codes"]:
        """Signal jets at or above each threshold."""
        return np.cumsum(self.signal[::-1])[::-1]

    @property
    def background_passed(self) -> Int64[np.ndarray, " codes"]:
        """Background jets at or above each threshold."""
        return np.cumsum(self.background[::-1])[::-1]

    @property
    def signal_total(self) -> int:
        """Signal jets."""
        return int(self.signal.sum())

    @property
    def background_total(self) -> int:
        """Background jets."""
        return int(self.background.sum())

    @property
    def auc(self) -> float:
        """Area under the curve: the nearest double to the exact fraction."""
        below = np.cumsum(self.background) - self.background
        wins = 2 * below + self.background
        whole = 2 * self.signal_total * self.background_total
        # No partial sum exceeds `whole`; Python's integers have no end.
        kind = np.int64 if whole < 1 << 63 else object
        return int(np.dot(self.signal.astype(kind), wins.astype(kind))) / whole

    def curve(
        self,
    ) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]:
        """Background and signal efficiency, from (0, 0) to (1, 1).

        One point for each threshold, and first the one above all codes.
        """
        background = self.background_passed[::-1] / self.background_total
        signal = self.signal_passed[::-1] / self.signal_total
        return np.insert(background, 0, 0.0), np.insert(signal, 0, 0.0)

    def of_signal(self) -> Codes:
        """The codes of signal alone."""
        used = self.signal > 0
        return Codes(self.threshold[used], self.signal[used])

    def of_background(self) -> Codes:
        """The codes of background alone, for a working point."""
        used = self.background > 0
        return Codes(self.threshold[used], self.background[used])


def roc(
    signal: Real[np.ndarray, " signal_jets"],
    background: Real[np.ndarray, " background_jets"],
) -> Roc:
    """The ROC of one score.

    Args:
        signal: Scores of signal jets, integers or floats.
        background: Scores of background jets.

    Raises:
        UserError: One of both is empty, or a score is NaN or infinite.
    """
    for name, score in (("signal", signal), ("background", background)):
        if not score.size:
            raise UserError(
                f"a ROC needs jets of both classes, got {len(signal)} of signal and "
                f"{len(background)} of background: there is no {name}"
            )
    samples = (
        count_codes(signal, "signal score"),
        count_codes(background, "background score"),
    )
    code, (s, b) = common_codes(*samples)
    return Roc(code, s, b)


def pairs(
    scores: Integer[np.ndarray, "jets classes"],
    label: Integer[np.ndarray, " jets"],
    classes: Sequence[str],
    comparison: Comparison,
) -> dict[tuple[str, str], Roc]:
    """The ROC of every ordered pair of classes that both have jets.

    Args:
        scores: Score words as they leave the block.
        label: True class of each jet, an index into `classes`.
        classes: Names, in score order.
        comparison: How the firmware compares the two scores.

    Returns:
        By (signal, background).

    Raises:
        UserError: As `comparison`.
    """
    rows = [np.flatnonzero(label == c) for c in range(len(classes))]
    found = {}
    for s, b in permutations(range(len(classes)), 2):
        if rows[s].size and rows[b].size:
            code = [
                comparison.code(scores[jets, s], scores[jets, b])
                for jets in (rows[s], rows[b])
            ]
            found[classes[s], classes[b]] = roc(*code)
    return found
