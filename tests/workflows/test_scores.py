"""Accuracy and separation from integer scores."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workflows.scores import judge, log_odds

RAW = hnp.arrays(np.int64, (40, 3), elements=st.integers(-64, 63))
LABELS = np.arange(40) % 3


@given(RAW)
def test_log_odds_are_those_of_the_softmax(raw):
    lsb = 0.125
    weight = np.exp(raw * 0.125)
    share = weight / weight.sum(axis=1, keepdims=True)
    assert np.allclose(log_odds(raw, lsb), np.log(share / (1 - share)), atol=1e-9)


@given(RAW)
def test_the_area_is_the_chance_of_a_right_order(raw):
    quality = judge(raw, LABELS, 1.0, ("a", "b", "c"))
    for c, name in enumerate(quality.classes):
        own = quality.log_odds[c == LABELS, c][:, None]
        others = quality.log_odds[c != LABELS, c][None, :]
        chance = np.mean((own > others) + 0.5 * (own == others))
        assert np.isclose(quality.auc[name], chance)


@given(RAW)
def test_accuracy_is_the_diagonal_of_the_confusion(raw):
    quality = judge(raw, LABELS, 0.5, ("a", "b", "c"))
    assert np.array_equal(quality.confusion.sum(axis=1), np.bincount(LABELS))
    assert np.isclose(quality.accuracy, np.trace(quality.confusion) / 40)


def test_a_tie_goes_to_the_lowest_class():
    quality = judge(np.zeros((3, 3), int), np.arange(3), 1.0, ("a", "b", "c"))
    assert quality.confusion[:, 0].tolist() == [1, 1, 1]
