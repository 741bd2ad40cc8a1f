"""Accuracy and separation from integer scores."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trigger.decision import Decision
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


@given(hnp.arrays(np.int64, (40, 1), elements=st.integers(-8, 7)), st.integers(-9, 9))
def test_of_one_score_the_cut_says_the_class_and_the_score_the_order(raw, least):
    labels = np.arange(40) % 2
    quality = judge(raw, labels, 0.25, ("top",), Decision(least, "as asked"))
    assert quality.classes == ("others", "top")
    for true in (0, 1):
        passing = sum(int(one >= least) for one in raw[labels == true, 0])
        assert quality.confusion[true].tolist() == [20 - passing, passing]
    assert quality.accuracy == np.trace(quality.confusion) / 40
    own, others = raw[labels == 1], raw[labels == 0].T
    chance = np.mean((own > others) + 0.5 * (own == others))
    assert list(quality.auc) == ["top"]
    assert np.isclose(quality.auc["top"], chance)
    column, truth = quality.told_by("top")
    assert np.array_equal(column, raw[:, 0] * 0.25)
    assert np.array_equal(truth, labels == 1)
