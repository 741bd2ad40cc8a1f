"""The training run: determinism, the front, and the sentences of its refusals."""

import dataclasses
from itertools import pairwise

import jax
import numpy as np
import pytest
from small_networks import random_codes

from models.evaluate import raw_scores
from models.settings import TrainConfig
from models.train import TrainData, train
from trigger.errors import UserError

CONFIG = TrainConfig(
    units=(4,), edge_hidden=3, most_address=4, batch=20, epochs=12, areas=(1.0, 0.5)
)


def easy_data(events=600):
    """Two classes that the first port separates at once."""
    words = random_codes(events, (4, 4, 4), seed=3)
    labels = (words[:, 0] > 5).astype(np.int64)
    half = events // 2
    return TrainData(
        words[:half],
        labels[:half],
        words[half:],
        labels[half:],
        bits=(4, 4, 4),
        signed=(False, False, False),
        classes=2,
    )


@pytest.fixture(scope="module")
def trained():
    seen = []
    data = easy_data()
    result = train(CONFIG, data, budget_luts=60.0, seed=1, on_epoch=seen.append)
    return data, result, seen


def test_an_easy_problem_is_learned(trained):
    _, result, _ = trained
    assert max(c.val_accuracy for c in result.front) > 0.9


def test_every_epoch_is_told_once(trained):
    _, result, seen = trained
    assert tuple(seen) == result.log
    assert [log.epoch for log in seen] == list(range(CONFIG.epochs))


def test_no_network_of_the_front_beats_another(trained):
    _, result, _ = trained
    areas = [c.luts for c in result.front]
    accuracies = [c.val_accuracy for c in result.front]
    assert areas == sorted(areas)
    assert all(a < b for a, b in pairwise(areas))
    assert all(a < b for a, b in pairwise(accuracies))


def test_the_stated_accuracy_is_that_of_the_integer_scores(trained):
    data, result, _ = trained
    for candidate in result.front:
        raw = raw_scores(candidate.network, data.words_val)
        right = np.argmax(raw, axis=1) == data.labels_val
        assert candidate.val_accuracy == float(np.mean(right))


def test_one_seed_gives_one_network(trained):
    data, result, _ = trained
    again = train(CONFIG, data, budget_luts=60.0, seed=1)
    for one, other in zip(result.front, again.front, strict=True):
        for a, b in zip(
            jax.tree.leaves(one.network), jax.tree.leaves(other.network), strict=True
        ):
            assert np.array_equal(a, b)


def test_another_seed_gives_another_network(trained):
    data, result, _ = trained
    other = train(CONFIG, data, budget_luts=60.0, seed=2)
    assert [log.loss for log in other.log] != [log.loss for log in result.log]


def test_signed_words_train_as_their_codes_do(trained):
    data, result, _ = trained
    moved = dataclasses.replace(
        data,
        words_train=data.words_train - 8,
        words_val=data.words_val - 8,
        signed=(True, True, True),
    )
    again = train(CONFIG, moved, budget_luts=60.0, seed=1)
    assert [log.loss for log in again.log] == [log.loss for log in result.log]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch": 301}, "train.batch is 301, it must be between 1 and the 300 jets"),
        ({"batch": 0}, "train.batch is 0"),
        ({"epochs": 0}, "train.epochs is 0, it must be at least 1"),
        ({"areas": ()}, "one positive number per cosine period"),
        ({"areas": (1.0, -1.0)}, "one positive number per cosine period"),
        ({"learning_rate": 0.0}, "train.learning_rate is 0.0, it must be positive"),
        ({"most_address": 13}, "tables of 1 to 12 address bits"),
        ({"units": (0,)}, "train.units"),
        ({"reach": 3.0}, "train.reach"),
        ({"learning_rate": float("nan")}, "the loss is nan in epoch 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        train(
            dataclasses.replace(CONFIG, **change), easy_data(), budget_luts=60.0, seed=1
        )


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(UserError, match=r"budget is 0\.0 LUTs, it must be positive"):
        train(CONFIG, easy_data(), budget_luts=0.0, seed=1)


def test_an_empty_validation_split_is_refused():
    data = easy_data()
    empty = dataclasses.replace(
        data, words_val=data.words_val[:0], labels_val=data.labels_val[:0]
    )
    with pytest.raises(UserError, match="validation split is empty"):
        train(CONFIG, empty, budget_luts=60.0, seed=1)
