"""The training run: determinism, the front, budgets, and its refusals."""

import dataclasses
from itertools import pairwise

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import (
    SMALL,
    compiled_once,
    easy_data,
    ports,
    random_network,
    same_bytes,
)

from models import step
from models.architectures import Chain
from models.evaluate import measure, raw_scores, scores
from models.freeze import freeze
from models.frozen import run
from models.plan import Goal, Plan
from models.settings import TrainConfig
from models.train import train, train_many
from trigger.errors import UserError

GOAL = Goal(60.0)


def exactly(network, data, words=None):
    """Integer scores of validation words by the frozen program."""
    frozen = freeze(network, ports(data.bits, data.signed), ("a", "b"))
    words = data.words_val if words is None else words
    return run(frozen, words), frozen.out_lsb


@pytest.fixture(scope="module", autouse=True)
def programs(tmp_path_factory):
    """Many trainings here have the same programs."""
    with compiled_once(tmp_path_factory.mktemp("programs")):
        yield


@pytest.fixture(scope="module")
def trained():
    seen = []
    data = easy_data()
    result = train(SMALL, data, goal=GOAL, seed=1, on_epoch=seen.append)
    return data, result, seen


def test_an_easy_problem_is_learned(trained):
    _, result, _ = trained
    assert max(c.val_accuracy for c in result.front) > 0.9


def test_every_epoch_is_told_once(trained):
    _, result, seen = trained
    assert tuple(seen) == result.log
    assert [log.epoch for log in seen] == list(range(SMALL.epochs))


def test_no_network_of_the_front_beats_another(trained):
    _, result, _ = trained
    areas = [c.luts for c in result.front]
    accuracies = [c.val_accuracy for c in result.front]
    assert all(a < b for a, b in pairwise(areas))
    assert all(a < b for a, b in pairwise(accuracies))


def test_the_stated_accuracy_is_that_of_the_frozen_integers(trained):
    data, result, _ = trained
    for candidate in result.front:
        counts, lsb = exactly(candidate.network, data)
        assert np.array_equal(
            counts, raw_scores(candidate.network, data.words_val, lsb)
        )
        right = np.argmax(counts, axis=1) == data.labels_val
        # `step.accuracy` divides in float32, and so it is done here.
        stated = np.float32(np.sum(right)) / np.float32(len(right))
        assert candidate.val_accuracy == pytest.approx(float(stated), abs=2**-24)
        assert round(candidate.val_accuracy * len(right)) == np.sum(right)


def test_the_stated_costs_are_those_of_the_network(trained):
    data, result, _ = trained
    x = jnp.asarray(data.words_val, jnp.int32)
    for candidate in result.front:
        seen = measure(candidate.network, x, GOAL.clock_mhz)
        assert (seen.luts, seen.cycles) == (candidate.luts, candidate.cycles)
        log = result.log[candidate.epoch]
        assert (log.luts, log.val_accuracy) == (candidate.luts, candidate.val_accuracy)


def test_one_seed_gives_one_network(trained):
    data, result, _ = trained
    again = train(SMALL, data, goal=GOAL, seed=1)
    for one, other in zip(result.front, again.front, strict=True):
        assert same_bytes(one.network, other.network)


def test_another_seed_gives_another_network(trained):
    data, result, _ = trained
    short = dataclasses.replace(SMALL, epochs=1)
    other = train(short, data, goal=GOAL, seed=2)
    assert other.log[0].loss != result.log[0].loss


def test_signed_words_train_as_their_codes_do(trained):
    data, result, _ = trained
    moved = dataclasses.replace(
        data,
        words_train=data.words_train - 8,
        words_val=data.words_val - 8,
        signed=(True, True, True),
    )
    again = train(SMALL, moved, goal=GOAL, seed=1)
    assert [log.loss for log in again.log] == [log.loss for log in result.log]


def test_members_of_a_stack_are_told_apart_and_share_one_front():
    plans = (Plan(1, price=1e-6), Plan(2, price=3e-3))
    config = dataclasses.replace(SMALL, epochs=6)
    result = train_many(config, easy_data(), plans)
    assert [log.member for log in result.log] == [0, 1] * 6
    cheap, dear = (result.log[k].luts for k in (-2, -1))
    assert dear < cheap
    prices = [log.price for log in result.log if log.member == 1]
    assert prices == sorted(prices)
    assert prices[-1] == pytest.approx(3e-3)


# ------------------------------------------------------------------------- latency

DEEP = TrainConfig(
    units=(4, 4),
    edge_hidden=3,
    most_address=4,
    batch=20,
    epochs=30,
    areas=(1.0,),
    latency_price=3e-2,
)
FAST = 800.0
"""A clock in MHz at which the layers take several cycles."""


@pytest.fixture(scope="module")
def unhurried():
    result = train(DEEP, easy_data(), goal=Goal(1e5, 1e3, FAST), seed=1)
    assert len({log.latency_price for log in result.log}) == 1
    return result


def test_a_tight_latency_is_met_where_a_loose_one_is_left_unused(unhurried):
    cycles = min(c.cycles for c in unhurried.front) - 1
    goal = Goal(1e5, (cycles + 0.01) * 1e3 / FAST, FAST)
    assert goal.cycles == cycles
    hurried = train(DEEP, easy_data(), goal=goal, seed=1)
    within = [c for c in hurried.front if c.cycles <= cycles]
    assert max(c.val_accuracy for c in within) > 0.9
    assert min(c.cycles for c in unhurried.front) > cycles
    prices = [log.latency_price for log in hurried.log]
    assert max(prices) > prices[0]


# ------------------------------------------------------------- what is not a number


def spoilt(seed):
    """A network with a parameter of the second layer that is not a number."""
    network, _ = random_network((4, 4, 4), (4, 2), seed=seed)
    return eqx.tree_at(
        lambda n: n.layers[1].edges.w_out,
        network,
        network.layers[1].edges.w_out.at[0, 1, 2].set(jnp.nan),
    )


def broken(config, data=None, **more):
    with pytest.raises(UserError) as error:
        train_many(config, data or easy_data(), (Plan(1, GOAL),), **more)
    return str(error.value)


def test_a_parameter_that_is_no_number_is_named_with_its_layer():
    told = broken(SMALL, build=spoilt)
    assert "the loss is not a number in epoch 0, step 0 of 15" in told
    assert "first in the parameters of layer layers[1]" in told


def test_a_learning_rate_that_is_none_is_named_with_what_it_spoils():
    told = broken(dataclasses.replace(SMALL, learning_rate=float("nan")))
    assert "in epoch 0, step 0 of 15, first in the gradient or the next" in told
    assert "value of layers[0]." in told


def test_a_learning_rate_that_diverges_is_stopped_at_the_step(tmp_path):
    seen, save = [], tmp_path / "it.npz"
    config = dataclasses.replace(SMALL, learning_rate=1e38)
    told = broken(config, on_epoch=seen.append, save=save)
    assert "the loss is not a number in epoch 0, step" in told
    assert "layers[" in told
    assert "a smaller train.learning_rate may help" in told
    assert told.endswith("the state before this epoch is in it.npz")
    assert seen == []
    assert broken(config, save=save) == told  # and from there on it ends alike


def test_a_label_that_is_none_is_not_blamed_on_a_layer():
    data = easy_data()
    labels = data.labels_train.astype(np.float32)
    labels[7] = np.inf
    numbers = dataclasses.replace(
        data, labels_train=labels, labels_val=data.labels_val.astype(np.float32)
    )
    told = broken(
        SMALL, numbers, loss=step.squared_error, metric=step.closeness, build=regressor
    )
    assert "in epoch 0, step" in told
    assert "first in the loss itself, while all tables and weights are numbers" in told


def regressor(seed):
    """A network of one output."""
    network, _ = random_network((4, 4, 4), (4, 1), seed=seed)
    assert isinstance(network, Chain)
    return network


# ------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch": 301}, "train.batch is 301, it must be between 1 and the 300 jets"),
        ({"batch": 0}, "train.batch is 0"),
        ({"epochs": 0}, "train.epochs is 0, it must be at least 1"),
        ({"areas": ()}, "one positive number per cosine period"),
        ({"areas": (1.0, -1.0)}, "one positive number per cosine period"),
        ({"learning_rate": 0.0}, "train.learning_rate is 0.0, it must be positive"),
        ({"price": -1.0}, "train.price is -1.0, it must be positive"),
        ({"latency_price": 0.0}, "train.latency_price is 0.0, it must be positive"),
        ({"most_address": 13}, "tables of 1 to 12 address bits"),
        ({"units": (0,)}, "train.units"),
        ({"reach": 3.0}, "train.reach"),
        ({"direct_from": 1.5}, "train.direct_from is 1.5, it is a share"),
        ({"devices": 0}, "train.devices is 0, it must be positive"),
        ({"devices": 99}, "train.devices is 99, JAX sees .* here"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, sentence):
    with pytest.raises(UserError, match=sentence):
        train(dataclasses.replace(SMALL, **change), easy_data(), goal=GOAL, seed=1)


def test_tables_that_no_memory_holds_are_refused_with_what_they_would_take():
    wide = dataclasses.replace(easy_data(), bits=(12, 12, 12))
    config = dataclasses.replace(SMALL, most_address=12, units=(20_000,))
    with pytest.raises(UserError, match=r"3 x 20000 edges, .* take 4\.6 GiB"):
        train(config, wide, goal=GOAL, seed=1)


@pytest.mark.parametrize("value", [0.0, -5.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["luts", "latency_ns", "clock_mhz"])
def test_a_budget_of_nothing_is_refused(name, value):
    with pytest.raises(UserError, match=f"the budget of {name} is {value}"):
        Goal(**{"luts": 60.0, "latency_ns": 10.0, name: value})


def test_a_budget_that_states_nothing_is_refused():
    with pytest.raises(UserError, match="it states none"):
        Goal(None)


def test_a_training_of_nothing_is_refused():
    with pytest.raises(UserError, match="there is no price and no budget"):
        train_many(SMALL, easy_data(), ())


def test_an_empty_validation_split_is_refused():
    data = easy_data()
    empty = dataclasses.replace(
        data, words_val=data.words_val[:0], labels_val=data.labels_val[:0]
    )
    with pytest.raises(UserError, match="validation split is empty"):
        train(SMALL, empty, goal=GOAL, seed=1)


@pytest.mark.parametrize(
    "weights", [np.zeros(300), np.full(300, -1.0), np.full(300, np.nan)]
)
def test_weights_that_are_none_are_refused(weights):
    data = dataclasses.replace(easy_data(), weights_train=weights)
    with pytest.raises(
        UserError, match="weights of the training jets are one for each"
    ):
        train(SMALL, data, goal=GOAL, seed=1)


def test_what_weighs_nothing_is_not_learned():
    data = easy_data()
    weights = (data.labels_train != 1).astype(float)
    blind = train(
        SMALL, dataclasses.replace(data, weights_train=weights), goal=GOAL, seed=1
    )
    network = blind.front[-1].network
    found = np.argmax(scores(network, jnp.asarray(data.words_val)), axis=1)
    assert not np.any(found == 1)
    assert np.any(found == 0)
