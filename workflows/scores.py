r"""How good the block is, judged from the integers that leave it.

The class is the largest score, the lowest class on a tie.  Classes are told apart by
the log-odds of the softmax,

.. math:: d_c = s_c - \log \sum_{k \ne c} e^{s_k},

with :math:`s` the scores in units of 1 (count times LSB).  It orders jets as the
softmax probability of class :math:`c` does, and unlike that probability it does not
run into ties at 0 and 1.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float64, Int64, Integer


@final
@dataclass(frozen=True)
class Quality:
    """Accuracy and separation on one set of jets.

    Attributes:
        classes: Class names in score order.
        accuracy: Share of jets whose class is right.
        auc: Area under the one-against-the-rest ROC, by class.
        confusion: Jets by true class (rows) and found class (columns).
    """

    classes: tuple[str, ...]
    accuracy: float
    auc: dict[str, float]
    confusion: Int64[np.ndarray, "classes classes"]
    log_odds: Float64[np.ndarray, "jets classes"]
    labels: Int64[np.ndarray, " jets"]

    @property
    def accuracy_error(self) -> float:
        """One standard deviation of the accuracy, binomial."""
        return float(np.sqrt(self.accuracy * (1 - self.accuracy) / len(self.labels)))

    def roc(
        self, index: int
    ) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]:
        """Background and signal efficiency of one class against the rest."""
        from sklearn.metrics import roc_curve

        false, true, _ = roc_curve(self.labels == index, self.log_odds[:, index])
        return np.asarray(false, np.float64), np.asarray(true, np.float64)


def log_odds(
    raw: Integer[np.ndarray, "jets classes"], lsb: float
) -> Float64[np.ndarray, "jets classes"]:
    """The discriminant of every class, dimensionless.

    Args:
        raw: Score words as they leave the block.
        lsb: Worth of one count of any score.
    """
    scores = raw * lsb
    columns = [
        scores[:, c] - np.logaddexp.reduce(np.delete(scores, c, axis=1), axis=1)
        for c in range(scores.shape[1])
    ]
    return np.stack(columns, axis=1)


def judge(
    raw: Integer[np.ndarray, "jets classes"],
    labels: Integer[np.ndarray, " jets"],
    lsb: float,
    classes: tuple[str, ...],
) -> Quality:
    """Judges score words against the truth.

    Args:
        raw: Score words as they leave the block.
        labels: True class of each jet, an index into `classes`; each class occurs.
        lsb: Worth of one count of any score.
        classes: Names, in score order.
    """
    from sklearn.metrics import roc_auc_score

    labels = labels.astype(np.int64)
    found = np.argmax(raw, axis=1)
    odds = log_odds(raw, lsb)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, found), 1)
    return Quality(
        classes=classes,
        accuracy=float(np.mean(found == labels)),
        auc={
            name: float(roc_auc_score(labels == c, odds[:, c]))
            for c, name in enumerate(classes)
        },
        confusion=confusion,
        log_odds=odds,
        labels=labels,
    )
