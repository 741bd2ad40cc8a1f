"""How often each code of a score occurs: all that thresholds can tell about a sample.

A quantised score takes few values.  This module owns the step from one score per jet
(or event) to one count per value; ROCs, working points, rate scans and histograms are
sums over it, in integers.

Conventions
-----------
- `pass` means score >= threshold.
- A code is the integer in the firmware.  Floats, as of a study before quantisation,
  are taken as they are: each value that occurs is a code.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Int64, Real

from trigger.errors import UserError

_CHUNK = 1 << 20  # scores at a time: what a copy of them takes stays in the cache
_FEW = 1 << 16  # a table of so many counts costs nothing


@final
@dataclass(frozen=True, eq=False)
class Codes:
    """The codes that occur in a sample, ascending, and how often each does.

    Attributes:
        code: Distinct values, ascending; int64, or float64 of float scores.
        count: Jets (or events) of each, at least 1.
    """

    code: Real[np.ndarray, " codes"]
    count: Int64[np.ndarray, " codes"]

    @property
    def total(self) -> int:
        """Number of scores."""
        return int(self.count.sum())

    @property
    def passed(self) -> Int64[np.ndarray, " codes"]:
        """How many scores are at or above each code."""
        return np.cumsum(self.count[::-1])[::-1]

    def passing(
        self, thresholds: Real[np.ndarray, "*shape"]
    ) -> Int64[np.ndarray, "*shape"]:
        """How many scores are at or above any thresholds, used codes or not."""
        above = np.append(self.passed, 0)
        return above[np.searchsorted(self.code, thresholds, side="left")]


def count_codes(score: Real[np.ndarray, " jets"], name: str = "score") -> Codes:
    """Counts the codes of a sample.

    Linear in the number of scores while the codes span fewer values than there are
    scores (or 2**16), else as a sort.

    Args:
        score: One score per jet or event, integers or floats.
        name: What the scores are, for the error message.

    Raises:
        UserError: A score is NaN or infinite, or an integer beyond 64 signed bits.
    """
    if not score.size:
        kind = np.int64 if score.dtype.kind in "iu" else np.float64
        return Codes(np.zeros(0, kind), np.zeros(0, np.int64))
    if score.dtype.kind == "f":
        _refuse_not_finite(score, name)
        return _sorted(score.astype(np.float64))
    low, high = int(score.min()), int(score.max())
    if high >= 1 << 63:
        raise UserError(
            f"{name}: {high} does not fit in 64 signed bits, which thresholds have"
        )
    if high - low < max(_FEW, score.size):
        table = np.zeros(high - low + 1, np.int64)
        for start in range(0, score.size, _CHUNK):
            part = score[start : start + _CHUNK].astype(np.int64) - low
            counts = np.bincount(part)
            table[: len(counts)] += counts
        (used,) = np.nonzero(table)
        return Codes(used.astype(np.int64) + low, table[used])
    return _sorted(score.astype(np.int64))


def common_codes(*samples: Codes) -> tuple[Any, list[Int64[np.ndarray, " codes"]]]:
    """The codes that occur in any sample, and the counts of each sample at all of them.

    Returns:
        The codes, ascending, and for each sample its counts there, 0 where it has none.
    """
    code = _sorted(np.concatenate([sample.code for sample in samples])).code
    counts = []
    for sample in samples:
        count = np.zeros(len(code), np.int64)
        count[np.searchsorted(code, sample.code)] = sample.count
        counts.append(count)
    return code, counts


def _sorted(score: Real[np.ndarray, " jets"]) -> Codes:
    # Of so many distinct values np.unique would make a hash table, which is slower.
    ordered = np.sort(score)
    first = np.insert(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, 0, 0)
    return Codes(ordered[first], np.diff(first, append=len(ordered)).astype(np.int64))


def _refuse_not_finite(score: Real[np.ndarray, " jets"], name: str) -> None:
    finite = np.isfinite(score)
    if not finite.all():
        first = int(np.argmin(finite))
        raise UserError(
            f"{name}: the value at row {first} is {score[first]}, on which no threshold "
            f"can decide ({score.size - np.count_nonzero(finite)} "
            f"of {score.size} are not finite)"
        )
