"""The teacher: answers near the truth, targets that mix, and trainings that use them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import SMALL, compiled_once, easy_data, random_codes

from models import step, teacher
from models.plan import Goal, Plan, TrainData
from models.train import train, train_many
from trigger.errors import UserError

TAUGHT = dataclasses.replace(SMALL, epochs=4, teacher=0.5)
GOAL = Goal(60.0)
BITS = (4, 4, 4)


@pytest.fixture(scope="module", autouse=True)
def programs(tmp_path_factory):
    """Many trainings here have the same programs."""
    with compiled_once(tmp_path_factory.mktemp("programs")):
        yield


def chance(words):
    """Probability of label 1, which the first port alone decides."""
    return 1 / (1 + np.exp(-(words[:, 0] - 5.0)))


def noisy_data(events=10_000, weights=None):
    """Labels drawn with a probability that is known."""
    words = random_codes(events, BITS, seed=5)
    label = (np.random.default_rng(7).random(events) < chance(words)).astype(np.int64)
    half = events // 2
    return TrainData(
        *(words[:half], label[:half], words[half:], label[half:]),
        bits=BITS,
        signed=(False,) * 3,
        classes=2,
        weights_train=weights,
    )


@pytest.fixture(scope="module")
def data():
    return noisy_data()


@pytest.fixture(scope="module")
def answers(data):
    """What the teacher alone says of classes."""
    return teacher.teach(data, step.cross_entropy, step.accuracy, share=1.0, seed=1)


def test_its_answers_are_near_the_probabilities_that_labels_were_drawn_with(
    data, answers
):
    truth = chance(data.words_train)
    off = np.abs(answers.targets[:, 1] - truth)
    # 16 values of the port that matters, of which some 300 jets each: the statistical
    # error of a share is at most 0.5 / sqrt(300) = 0.03, labels themselves are .27 off.
    assert off.mean() < 0.03
    labels_off = np.abs(data.labels_train - truth)
    assert off.mean() < labels_off.mean() / 5
    best = np.mean((chance(data.words_val) > 0.5) == data.labels_val)
    assert best - 0.02 < answers.metric <= best + 0.01


def test_a_target_is_the_answer_and_the_label_by_their_shares(data, answers):
    mixed = teacher.teach(data, step.cross_entropy, step.accuracy, share=0.25, seed=1)
    one_hot = np.eye(2, dtype=np.float32)[data.labels_train]
    # Two roundings of numbers up to 1.
    assert np.allclose(
        mixed.targets, 0.25 * answers.targets + 0.75 * one_hot, rtol=0, atol=2**-23
    )
    assert mixed.metric == answers.metric
    assert np.allclose(mixed.targets.sum(axis=1), 1, rtol=0, atol=2**-21)


def test_one_score_has_a_probability_and_a_regression_a_number(data):
    single = dataclasses.replace(data, classes=1)
    for loss, metric in (
        (step.binary_cross_entropy, step.signal_efficiency(0.1)),
        (step.squared_error, step.closeness),
    ):
        told = teacher.teach(single, loss, metric, share=1.0, seed=1)
        assert told.targets.shape == data.labels_train.shape
        assert np.abs(told.targets - chance(data.words_train)).mean() < 0.05


def test_what_weighs_more_is_believed_more(data, answers):
    weights = np.where(data.labels_train == 1, 1.5, 0.5)
    heavy = dataclasses.replace(data, weights_train=weights / weights.mean())
    told = teacher.teach(heavy, step.cross_entropy, step.accuracy, share=1.0, seed=1)
    truth = chance(data.words_train)
    ones = [t.targets[:, 1].mean() for t in (told, answers)]
    assert ones[1] == pytest.approx(truth.mean(), abs=0.03)
    # Label 1 comes three times as often beside label 0 as it did.
    assert ones[0] == pytest.approx((3 * truth / (1 + 2 * truth)).mean(), abs=0.03)


def test_ports_that_never_change_and_few_jets_do_no_harm():
    data = easy_data(200)
    words = data.words_train.copy()
    words[:, 1] = 3
    told = teacher.teach(
        dataclasses.replace(data, words_train=words),
        *(step.cross_entropy, step.accuracy),
        share=1.0,
        seed=0,
    )
    assert np.all(np.isfinite(told.targets))


def test_labels_as_certain_probabilities_are_the_same_loss():
    score = jax.random.normal(jax.random.key(0), (50, 3))
    label = jnp.arange(50) % 3
    # Both sum the same three terms, two of them times zero.
    hard, soft = (
        step.cross_entropy(score, target)
        for target in (label, jax.nn.one_hot(label, 3))
    )
    assert np.allclose(hard, soft, rtol=4 * 2**-23, atol=0)


def test_a_training_with_a_teacher_is_judged_by_labels(data):
    config = dataclasses.replace(TAUGHT, batch=100)
    taught = train(config, data, goal=GOAL, seed=1)
    plain = train(dataclasses.replace(config, teacher=0.0), data, goal=GOAL, seed=1)
    assert taught.teacher is not None
    assert plain.teacher is None
    assert taught.log[0].loss != plain.log[0].loss
    assert abs(taught.log[-1].train_accuracy - plain.log[-1].train_accuracy) < 0.03


def test_a_teacher_that_is_wrong_is_followed(data, monkeypatch):
    wrong = teacher.Taught(
        np.eye(2, dtype=np.float32)[1 - data.labels_train], metric=0.0
    )
    monkeypatch.setattr(teacher, "teach", lambda *_, **__: wrong)
    config = dataclasses.replace(TAUGHT, batch=100, teacher=1.0)
    result = train(config, data, goal=GOAL, seed=1)
    assert result.log[-1].train_accuracy < 0.4


def test_a_front_has_one_teacher_for_all_members(monkeypatch):
    calls = []
    plain = teacher.teach
    monkeypatch.setattr(
        teacher, "teach", lambda *a, **k: calls.append(1) or plain(*a, **k)
    )
    plans = (Plan(1, price=1e-4), Plan(2, price=1e-3))
    result = train_many(TAUGHT, easy_data(), plans)
    assert len(calls) == 1
    assert result.teacher is not None


def test_a_loss_of_which_no_answer_is_known_is_refused_before_anything_is_trained():
    def odd(score, label):
        return jnp.mean(score)

    with pytest.raises(UserError, match=r"odd is not known to be; 0 trains without a"):
        train_many(TAUGHT, easy_data(), (Plan(1, GOAL),), loss=odd)


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_is_between_zero_and_one(share):
    config = dataclasses.replace(TAUGHT, teacher=share)
    with pytest.raises(UserError, match=f"train.teacher is {share}, it is a share"):
        train(config, easy_data(), goal=GOAL, seed=1)
