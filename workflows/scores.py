r"""How good the block is, judged from the integers that leave it.

The class is the largest score, the lowest class on a tie; of one score, what a cut says.
Classes are told apart by that one score, or by the log-odds of the softmax,

.. math:: d_c = s_c - \log \sum_{k \ne c} e^{s_k},

with :math:`s` the scores in units of 1 (count times LSB).  It orders jets as the
softmax probability of class :math:`c` does, and unlike that probability it does not
run into ties at 0 and 1.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from trigger.decision import ARGMAX, Decision
from trigger.physics.roc import roc


@final
@dataclass(frozen=True)
class Quality:
    """Accuracy and separation on one set of jets.

    Attributes:
        classes: Class names in score order; with one score all others come first.
        accuracy: Share of jets whose class is right.
        auc: Area under the one-against-the-rest ROC, by class that has a score.
        confusion: Jets by true class (rows) and found class (columns).
        log_odds: A column for each class in `auc`, in its order.
    """

    classes: tuple[str, ...]
    accuracy: float
    auc: dict[str, float]
    confusion: Int64[np.ndarray, "classes classes"]
    log_odds: Float64[np.ndarray, "jets scores"]
    labels: Int64[np.ndarray, " jets"]

    @property
    def accuracy_error(self) -> float:
        """One standard deviation of the accuracy, binomial."""
        return float(np.sqrt(self.accuracy * (1 - self.accuracy) / len(self.labels)))

    def roc(
        self, name: str
    ) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]:
        """Background and signal efficiency of one class against the rest."""
        column, truth = self.told_by(name)
        return roc(column[truth], column[~truth]).curve()

    def told_by(
        self, name: str
    ) -> tuple[Float64[np.ndarray, " jets"], Bool[np.ndarray, " jets"]]:
        """By which number a class is told from all others, and which jets are of it."""
        column = self.log_odds[:, list(self.auc).index(name)]
        return column, self.labels == self.classes.index(name)


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
    raw: Integer[np.ndarray, "jets scores"],
    labels: Integer[np.ndarray, " jets"],
    lsb: float,
    classes: tuple[str, ...],
    decision: Decision = ARGMAX,
) -> Quality:
    """Judges score words against the truth.

    Args:
        raw: Score words as they leave the block.
        labels: True class of each jet, an index into `classes`; each class occurs.  Of
            a block with one score 1 for its class, 0 for all others.
        lsb: Worth of one count of any score.
        classes: Names, in score order.
        decision: How a class is found; with one score a cut.
    """
    labels = labels.astype(np.int64)
    if raw.shape[1] == 1:
        assert decision.at_least is not None
        scored, classes = classes, ("others", *classes)
        found = (raw[:, 0] >= decision.at_least).astype(np.int64)
        odds = raw * lsb  # the score is the log-odds of its class already
    else:
        scored, found = classes, np.argmax(raw, axis=1)
        odds = log_odds(raw, lsb)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, found), 1)
    return Quality(
        classes=classes,
        accuracy=float(np.mean(found == labels)),
        auc={
            name: _auc(odds[:, k], labels == classes.index(name))
            for k, name in enumerate(scored)
        },
        confusion=confusion,
        log_odds=odds,
        labels=labels,
    )


def _auc(odds: Float64[np.ndarray, " jets"], truth: Bool[np.ndarray, " jets"]) -> float:
    return roc(odds[truth], odds[~truth]).auc
