r"""Two scores compared without a division, as firmware does it.

The share of signal, :math:`D = s_{sig} / (s_{sig} + s_{bkg})`, orders jets well and is
expensive: a divider takes more than the network.  Two forms need none.  `LogRatio` is
for scores that are logarithms (logits): a subtraction.  `Product` is for scores that
are probabilities: two multiplications by constants.

Each is given as an integer code and as the comparison itself; a jet passes threshold t
exactly where its code is at least t, so that ROCs and working points of codes are those
of the comparison.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Int64, Integer

from trigger.errors import UserError

_LIMIT = (1 << 63) - 1


class Comparison(ABC):
    """A way to tell signal from background by two integer scores and a threshold."""

    @abstractmethod
    def code(
        self,
        signal: Integer[np.ndarray, " jets"],
        background: Integer[np.ndarray, " jets"],
    ) -> Int64[np.ndarray, " jets"]:
        """The greatest threshold that each jet passes."""

    @abstractmethod
    def passes(
        self,
        signal: Integer[np.ndarray, " jets"],
        background: Integer[np.ndarray, " jets"],
        threshold: int,
    ) -> Bool[np.ndarray, " jets"]:
        """Whether each jet passes, by the operations of the firmware."""


@final
@dataclass(frozen=True)
class LogRatio(Comparison):
    r"""`s_sig - s_bkg >= t`, of logits with the same LSB.

    Of logits of a softmax the difference is :math:`\log(p_{sig} / p_{bkg})`, and the
    threshold :math:`t \cdot \mathrm{LSB} = \log(D / (1 - D))`.
    """

    def code(
        self,
        signal: Integer[np.ndarray, " jets"],
        background: Integer[np.ndarray, " jets"],
    ) -> Int64[np.ndarray, " jets"]:
        """The difference.

        Raises:
            UserError: A difference could exceed 64 bits.
        """
        if signal.size:
            low = int(signal.min()) - int(background.max())
            high = int(signal.max()) - int(background.min())
            _refuse_overflow("s_sig - s_bkg", max(-low - 1, high))
        return signal.astype(np.int64) - background.astype(np.int64)

    def passes(
        self,
        signal: Integer[np.ndarray, " jets"],
        background: Integer[np.ndarray, " jets"],
        threshold: int,
    ) -> Bool[np.ndarray, " jets"]:
        """`s_sig - s_bkg >= threshold`.

        Raises:
            UserError: As `code`.
        """
        return self.code(signal, background) >= threshold


@final
@dataclass(frozen=True)
class Product(Comparison):
    """`s_sig * (2**bits - t) >= t * s_bkg`, of scores that are never negative.

    Where any score is above zero this is `D >= t / 2**bits`, exactly.  Where both are
    zero, D is 0 / 0 and the products are equal: the jet passes every threshold.  So it
    is in firmware too; a menu that cannot have it also asks for `s_sig > 0`.

    Attributes:
        bits: Of the threshold, `1..62`; it is `0..2**bits`.
    """

    bits: int

    def __post_init__(self):
        """Checks the width.

        Raises:
            UserError: `bits` is out of range.
        """
        if not 1 <= self.bits <= 62:
            raise UserError(
                f"a product comparison has a threshold of 1..62 bits, got {self.bits}"
            )

    def code(
        self,
        signal: Integer[np.ndarray, " jets"],
        background: Integer[np.ndarray, " jets"],
    ) -> Int64[np.ndarray, " jets"]:
        """`floor(2**bits * D)`, and `2**bits` where both scores are zero.

        Raises:
            UserError: A score is negative, or a product could exceed 64 bits.
        """
        s, both = self._checked(signal, background)
        whole = 1 << self.bits
        return np.where(both > 0, s * whole // np.maximum(both, 1), whole)

    def passes(
        self,
        signal: Integer[np.ndarray, " jets"],
        background: Integer[np.ndarray, " jets"],
        threshold: int,
    ) -> Bool[np.ndarray, " jets"]:
        """`s_sig * (2**bits - threshold) >= threshold * s_bkg`.

        Raises:
            UserError: As `code`, or the threshold is not in `0..2**bits`.
        """
        whole = 1 << self.bits
        if not 0 <= threshold <= whole:
            raise UserError(
                f"a product comparison of {self.bits} bits has thresholds 0..{whole}, "
                f"got {threshold}"
            )
        s, both = self._checked(signal, background)
        return s * (whole - threshold) >= threshold * (both - s)

    def _checked(
        self,
        signal: Integer[np.ndarray, " jets"],
        background: Integer[np.ndarray, " jets"],
    ) -> tuple[Int64[np.ndarray, " jets"], Int64[np.ndarray, " jets"]]:
        """Signal, and signal plus background, once no operation can overflow."""
        if signal.size:
            for name, score in (("s_sig", signal), ("s_bkg", background)):
                if score.min() < 0:
                    first = int(np.argmax(score < 0))
                    raise UserError(
                        f"a product comparison needs scores that are never negative, "
                        f"got {name} = {score[first]} at row {first}; compare logits "
                        "by their difference"
                    )
            top = int(signal.max()), int(background.max())
            _refuse_overflow(f"s * 2**{self.bits}", max(top) << self.bits)
            _refuse_overflow("s_sig + s_bkg", sum(top))
        s = signal.astype(np.int64)
        return s, s + background.astype(np.int64)


def _refuse_overflow(what: str, reach: int) -> None:
    if reach > _LIMIT:
        raise UserError(
            f"{what} can reach {reach}, more than the {_LIMIT} of 64 signed bits; "
            "use scores or thresholds of fewer bits"
        )
