"""A float teacher, whose answers soften the labels of a training.

A label says which class a jet is of; the answers of a good network say how sure anybody
can be of that, and a small network learns more from them (G. Hinton, O. Vinyals,
J. Dean, arXiv 1503.02531, here at temperature 1).  The teacher is the mean of a few
perceptrons in floating point, trained on the same jets.  Where there are the numbers that
the words were made of it reads these: what words round away is what it can tell.  It
costs seconds, and nothing of it is in the firmware.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float32, PRNGKeyArray

from models import step
from models.plan import TrainData
from trigger.errors import UserError

WIDTH, DEPTH = 128, 3
"""Units of each hidden layer, and how many of these there are."""

MEMBERS = 2
"""Perceptrons whose answers are averaged; one alone is less sure of what it says."""

EPOCHS, BATCH = 25, 512

TAIL = 0.002
"""Share of the jets at either end of an input that is told apart no further."""

SAMPLE = 20_000
"""Jets, or up to twice as many, that inputs are scaled by."""

RATE, DECAY = 2e-3, 1e-3
"""Adam's step at the start of its only cosine, and its decay of weights."""

ANSWERS: dict[step.Loss, Callable[[Array], Array]] = {
    step.cross_entropy: jax.nn.softmax,
    step.binary_cross_entropy: lambda score: jax.nn.sigmoid(score[:, 0]),
    step.squared_error: lambda score: score[:, 0],
}
"""By loss, what a label would have to be for scores to be right about it."""


class Taught(NamedTuple):
    """What a teacher leaves."""

    targets: Float32[np.ndarray, "train ..."]
    """Of each training jet, what takes the place of its label in the loss: of classes a
    probability each, else a number."""
    metric: float
    """Of the teacher itself on the validation split."""


def teach(
    data: TrainData, loss: step.Loss, metric: step.Loss, *, share: float, seed: int
) -> Taught:
    """Trains a teacher and mixes its answers with the labels.

    Args:
        data: What to train it on, and the validation split that judges it.
        loss: What is trained, one of `ANSWERS`.
        metric: What is judged.
        share: Of a target that is the teacher's answer; the rest is the label.
        seed: Decides starting values and the order of jets.

    Raises:
        UserError: There is no telling what an answer is with this loss.
    """
    if loss not in ANSWERS:
        raise UserError(
            f"train.teacher needs a loss with labels that can be softened, which "
            f"{loss.__qualname__} is not known to be; 0 trains without a teacher, or "
            f"take one of {', '.join(one.__qualname__ for one in ANSWERS)}"
        )
    x, x_val = _scaled(*(data.reals or (data.words_train, data.words_val)))
    answers = _trained(x, data, loss, seed)
    answer, judged = np.asarray(answers(x)), answers(x_val)
    label = data.labels_train.astype(np.float32)
    if answer.ndim == 2:
        label = np.eye(data.classes, dtype=np.float32)[data.labels_train]
    good = metric(
        judged if judged.ndim == 2 else judged[:, None], jnp.asarray(data.labels_val)
    )
    mixed = share * answer + (1 - share) * label
    return Taught(mixed.astype(np.float32), float(good))


def _scaled(train: np.ndarray, validation: np.ndarray) -> tuple[Array, Array]:
    """Both, with the bulk of the training jets around 0 and about 1 wide."""
    some = train[:: max(1, len(train) // SAMPLE)]
    least, most = np.quantile(some, (TAIL, 1 - TAIL), axis=0)
    mean, spread = some.mean(axis=0), some.std(axis=0)
    spread = np.where(spread > 0, spread, 1)

    def scaled(values: np.ndarray) -> Array:
        return jnp.asarray((np.clip(values, least, most) - mean) / spread, jnp.float32)

    return scaled(train), scaled(validation)


def _trained(
    x: Array, data: TrainData, loss: step.Loss, seed: int
) -> Callable[[Array], Array]:
    """The mean answer of `MEMBERS` perceptrons that were trained side by side."""
    label, batch = jnp.asarray(data.labels_train), min(BATCH, len(x))

    def start(key: PRNGKeyArray) -> eqx.nn.MLP:
        sizes = (x.shape[1], data.classes, WIDTH, DEPTH)
        return eqx.nn.MLP(*sizes, jax.nn.silu, key=key)

    keys = jr.split(jr.key(seed), MEMBERS)
    weights, fixed = eqx.partition(eqx.filter_vmap(start)(keys), eqx.is_array)
    steps = EPOCHS * (len(x) // batch)
    rate = optax.cosine_decay_schedule(RATE, steps)
    optimiser = optax.adamw(rate, weight_decay=DECAY)

    def scores(weights: Any, x: Array) -> Array:
        return jax.vmap(eqx.combine(weights, fixed))(x)

    def total(weights: Any, x: Array, label: Array) -> Array:
        each = jax.vmap(lambda one: loss(scores(one, x), label))(weights)
        return jnp.sum(each)  # no member has a part in the gradient of another

    @jax.jit
    def epoch(
        weights: Any, moments: Any, x: Array, label: Array, order: Array
    ) -> tuple[Any, Any]:
        def one(carry: tuple[Any, Any], rows: Array) -> tuple[tuple[Any, Any], None]:
            weights, moments = carry
            slope = jax.grad(total)(weights, x[rows], label[rows])
            update, moments = optimiser.update(slope, moments, weights)
            return (optax.apply_updates(weights, update), moments), None

        return jax.lax.scan(one, (weights, moments), order)[0]

    moments = optimiser.init(weights)
    for number in range(EPOCHS):
        order = step.shuffled((seed, number), len(x), batch, data.weights_train)
        weights, moments = epoch(weights, moments, x, label, order)

    @jax.jit
    def answers(weights: Any, x: Array) -> Array:
        each = jax.vmap(lambda one: ANSWERS[loss](scores(one, x)))(weights)
        return jnp.mean(each, axis=0)

    return lambda x: answers(weights, x)
