"""The training run: Adam in table space, a falling area, and the front it leaves behind.

A whole epoch runs on the device as one scan; the host sees one set of means per epoch,
moves the price, measures the validation set and keeps what no other network dominates.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from models.evaluate import network_tables, table_luts, table_scores
from models.grid import codes_of_words
from models.network import LUTNetwork, luts, scores, trainable
from models.price import Price, area_target
from models.settings import TrainConfig
from trigger.errors import UserError


@final
@dataclass(frozen=True)
class TrainData:
    """Port words and labels; raw integers as the links carry them."""

    words_train: Integer[np.ndarray, "train ports"]
    labels_train: Integer[np.ndarray, " train"]
    words_val: Integer[np.ndarray, "val ports"]
    labels_val: Integer[np.ndarray, " val"]
    bits: tuple[int, ...]
    signed: tuple[bool, ...]
    classes: int


@final
@dataclass(frozen=True)
class EpochLog:
    """What one epoch came to; `luts` is the model's estimate."""

    epoch: int
    epochs: int
    loss: float
    train_accuracy: float
    val_accuracy: float
    luts: float
    price: float
    learning_rate: float
    seconds: float


@final
@dataclass(frozen=True)
class Candidate:
    """A network that no other seen in the run beats in both accuracy and area."""

    epoch: int
    val_accuracy: float
    luts: float
    network: LUTNetwork


@final
@dataclass(frozen=True)
class TrainResult:
    """The front, by ascending area, and the history of the run."""

    front: tuple[Candidate, ...]
    log: tuple[EpochLog, ...]
    seconds: float
    samples_per_second: float


def loss_and_counts(
    network: LUTNetwork,
    code: Integer[Array, "batch ports"],
    label: Integer[Array, " batch"],
    price: Float[Array, ""],
) -> tuple[Float[Array, ""], tuple[Float[Array, ""], Float[Array, ""]]]:
    """Cross entropy plus the price of the area; beside it, both accuracy and area."""
    tables = network.tables()
    score = scores(network, tables, code)
    area = luts(tables)
    entropy = optax.softmax_cross_entropy_with_integer_labels(score, label)
    accuracy = jnp.mean(jnp.argmax(score, axis=1) == label)
    return jnp.mean(entropy) + price * area, (accuracy, area)


def train(
    config: TrainConfig,
    data: TrainData,
    *,
    budget_luts: float,
    seed: int,
    on_epoch: Callable[[EpochLog], None] | None = None,
) -> TrainResult:
    """Trains one network down a path of areas.

    Args:
        config: Settings.
        data: Training and validation words.
        budget_luts: What `config.areas` are in units of.
        seed: Decides starting values and the order of jets; nothing else does.
        on_epoch: Called after every epoch.

    Raises:
        UserError: The settings and the data do not fit, or the loss is not a number.
    """
    _check(config, data, budget_luts)
    network, spec, rate, optimiser = _start(config, data, seed)
    parameters, constants = eqx.partition(network, spec)
    state = optimiser.init(parameters)
    code = _codes(network, data.words_train, data)
    label = jnp.asarray(data.labels_train, jnp.int32)
    code_val = _codes(network, data.words_val, data)
    label_val = np.asarray(data.labels_val)
    steps = len(code) // config.batch

    def step(carry: Any, rows: Integer[Array, " batch"]):
        parameters, state, price = carry

        def loss(p: LUTNetwork):
            return loss_and_counts(
                eqx.combine(p, constants), code[rows], label[rows], price
            )

        (value, (accuracy, _)), slope = jax.value_and_grad(loss, has_aux=True)(
            parameters
        )
        update, state = optimiser.update(slope, state, parameters)
        moved = eqx.combine(eqx.apply_updates(parameters, update), constants)
        parameters, _ = eqx.partition(moved.within_caps(), spec)
        return (parameters, state, price), (value, accuracy)

    @jax.jit
    def epoch_of(
        parameters: LUTNetwork,
        state: optax.OptState,
        key: PRNGKeyArray,
        price: Float[Array, ""],
    ):
        order = jr.permutation(key, len(code))[: steps * config.batch]
        (parameters, state, _), seen = jax.lax.scan(
            step, (parameters, state, price), order.reshape(steps, config.batch)
        )
        return parameters, state, jax.tree.map(jnp.mean, seen)

    price = Price(config.price)
    periods = tuple(area * budget_luts for area in config.areas)
    first = float(table_luts(network_tables(network)))
    front: list[Candidate] = []
    log: list[EpochLog] = []
    begin = time.perf_counter()
    compiled = begin
    for epoch in range(config.epochs):
        key = jr.fold_in(jr.key(seed + 1), epoch)
        parameters, state, (loss, accuracy) = epoch_of(
            parameters, state, key, jnp.float32(price.value)
        )
        network = eqx.combine(parameters, constants)
        tables = network_tables(network)
        area = float(table_luts(tables))
        score = np.asarray(table_scores(network, tables, code_val))
        val_accuracy = float(np.mean(np.argmax(score, axis=1) == label_val))
        if not np.isfinite(float(loss)):
            raise UserError(
                f"the loss is {float(loss)} in epoch {epoch} (learning rate "
                f"{config.learning_rate}); a smaller train.learning_rate may help"
            )
        if epoch == 0:
            compiled = time.perf_counter()
        front = _keep(front, Candidate(epoch, val_accuracy, area, network))
        log.append(
            EpochLog(
                epoch=epoch,
                epochs=config.epochs,
                loss=float(loss),
                train_accuracy=float(accuracy),
                val_accuracy=val_accuracy,
                luts=area,
                price=price.value,
                learning_rate=float(np.asarray(rate((epoch + 1) * steps - 1))),
                seconds=time.perf_counter() - begin,
            )
        )
        if on_epoch is not None:
            on_epoch(log[-1])
        target = area_target(epoch, config.epochs, periods, config.ramp, first)
        price = price.follow(area, target, config.price_gain)
    end = time.perf_counter()
    timed = max(config.epochs - 1, 1)  # the first epoch compiles
    speed = (
        timed
        * steps
        * config.batch
        / max(end - (compiled if config.epochs > 1 else begin), 1e-9)
    )
    return TrainResult(tuple(front), tuple(log), end - begin, speed)


def cosine_with_restarts(config: TrainConfig, steps: int) -> optax.Schedule:
    """One cosine from the learning rate to a thousandth of it per target area."""
    periods = len(config.areas)
    length = -(-config.epochs * steps // periods)
    return optax.sgdr_schedule(
        [
            {
                "init_value": config.learning_rate,
                "peak_value": config.learning_rate,
                "warmup_steps": 0,
                "decay_steps": length,
                "end_value": config.learning_rate * 1e-3,
            }
        ]
        * periods
    )


def _start(config: TrainConfig, data: TrainData, seed: int):
    network = LUTNetwork(
        codes_of_words(data.words_train, data.bits, data.signed),
        data.bits,
        (*config.units, data.classes),
        hidden=config.edge_hidden,
        most_address=config.most_address,
        reach=config.reach,
        key=jr.key(seed),
    )
    rate = cosine_with_restarts(config, len(data.words_train) // config.batch)
    return network, trainable(network), rate, optax.adam(rate)


def _codes(
    network: LUTNetwork, words: Integer[np.ndarray, "events ports"], data: TrainData
) -> Integer[Array, "events ports"]:
    code = codes_of_words(words, data.bits, data.signed)
    return jnp.asarray(network.leading(code), jnp.int32)


def _keep(front: list[Candidate], new: Candidate) -> list[Candidate]:
    """The front with `new` in it, or without it if another is no worse in both."""
    if any(c.val_accuracy >= new.val_accuracy and c.luts <= new.luts for c in front):
        return front
    rest = [c for c in front if c.val_accuracy > new.val_accuracy or c.luts < new.luts]
    return sorted([*rest, new], key=lambda c: c.luts)


def _check(config: TrainConfig, data: TrainData, budget_luts: float) -> None:
    if config.batch < 1 or config.batch > len(data.words_train):
        raise UserError(
            f"train.batch is {config.batch}, it must be between 1 and the "
            f"{len(data.words_train)} jets of the training split"
        )
    if config.epochs < 1:
        raise UserError(f"train.epochs is {config.epochs}, it must be at least 1")
    if not config.areas or min(config.areas) <= 0:
        raise UserError(
            f"train.areas is {config.areas}; one positive number per cosine period, "
            "in units of the budget, is needed"
        )
    if budget_luts <= 0:
        raise UserError(f"the area budget is {budget_luts} LUTs, it must be positive")
    if not len(data.words_val):
        raise UserError(
            "the validation split is empty; it decides which network is kept"
        )
    for name in ("edge_hidden", "most_address", "learning_rate", "price", "reach"):
        if getattr(config, name) <= 0:
            raise UserError(
                f"train.{name} is {getattr(config, name)}, it must be positive"
            )
    if not np.isfinite(np.log2(config.reach)) or np.log2(config.reach) % 1:
        raise UserError(f"train.reach is {config.reach}, it must be a power of two")
    if any(units < 1 for units in config.units):
        raise UserError(
            f"train.units is {config.units}; every hidden layer needs at least 1 unit"
        )
    if not 1 <= config.most_address <= 12:
        raise UserError(
            f"train.most_address is {config.most_address}; tables of 1 to 12 address "
            "bits can be built"
        )
