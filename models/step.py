"""One step of training for a stack of networks, and a whole epoch of them.

A stack is a network whose arrays have one more axis in front: members of other prices
and seeds that share the batch.  An epoch is one compiled program: it takes all steps in
a scan and returns means of what it saw; the host sees nothing in between.

With several devices every batch is cut into equal parts; gradients and observations
are averaged over the parts (ranges take the greatest), so that the result is that of
one device but for the order of sums.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, Integer

from models import latency
from models.edges import EdgeFunction
from models.layer import Layer, evaluate, luts, within_caps
from models.reading import Reading
from models.statistic import Constant, follow, is_statistic, part

Loss = Callable[[Array, Array], Array]
"""From the scores of a batch and its labels to one number."""


class Prices(NamedTuple):
    """What a LUT and a nanosecond of latency cost, per member."""

    lut: Float[Array, "*members"]
    ns: Float[Array, "*members"]


class State(NamedTuple):
    """All that a step changes, a stack each; arrays only."""

    trained: Any
    seen: Any
    moments: Any
    step: Int[Array, ""]
    broken: Int[Array, " members"]
    """Step at which a loss or gradient stopped being a number, or -1."""
    culprit: Int[Array, " members"]
    """Then the first leaf of `trained` that this step would have spoilt; -1 if it was
    the loss itself."""


class Means(NamedTuple):
    """Over the steps of an epoch, per member."""

    loss: Float[Array, " members"]
    metric: Float[Array, " members"]


@final
class Terms(eqx.Module):
    """What the loss is made of besides the data."""

    loss: Loss = eqx.field(static=True)
    metric: Loss = eqx.field(static=True)
    smoothness: float = eqx.field(static=True)
    timed: bool = eqx.field(static=True)
    """Whether latency has a price."""
    clock_mhz: float | None = eqx.field(static=True)
    """Clock whose cycles are priced; none if it is the path without any."""
    ports: int = eqx.field(static=True)


def cross_entropy(score: Array, label: Array) -> Array:
    """Mean softmax cross entropy of classes, or of a probability for each of them."""
    if label.ndim == 2:
        return jnp.mean(optax.softmax_cross_entropy(score, label))
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(score, label))


def accuracy(score: Array, label: Array) -> Array:
    """Share of the events whose highest score is that of their class."""
    return jnp.mean(jnp.argmax(score, axis=-1) == label)


def binary_cross_entropy(score: Array, label: Array) -> Array:
    """Mean cross entropy of the only output as the log-odds of label 1 against 0.

    A label between is the probability of 1.
    """
    return jnp.mean(optax.sigmoid_binary_cross_entropy(score[:, 0], label))


def signal_efficiency(background: float) -> Loss:
    """A metric: the share of signal that a cut on the only output keeps.

    The cut is the loosest at which at most the share `background` of label 0 passes,
    and passing is to reach it: scores that are equal pass together.

    Args:
        background: Share of label 0 that may pass.
    """

    def metric(score: Array, label: Array) -> Array:
        score, other = score[:, 0], label == 0
        least = jnp.sort(jnp.where(other, score, -jnp.inf))
        passing = len(score) - jnp.searchsorted(least, score, side="left")
        kept = (label == 1) & (passing <= background * jnp.sum(other))
        return jnp.sum(kept) / jnp.maximum(jnp.sum(label == 1), 1)

    metric.__qualname__ = f"signal_efficiency({background})"
    return metric


def squared_error(score: Array, label: Array) -> Array:
    """Mean squared error of the only output, for regressions."""
    return jnp.mean((score[:, 0] - label) ** 2)


def closeness(score: Array, label: Array) -> Array:
    """Minus the root of the mean squared error: more is better, as for accuracies."""
    return -jnp.sqrt(squared_error(score, label))


def split(network: Any) -> tuple[Any, Any, Any]:
    """A network as what trains, what is observed and what is constant."""
    return part(network, lambda node: isinstance(node, Reading | Constant))


def objective(
    ready: Any,
    network: Any,
    x: Array,
    label: Array,
    prices: Prices,
    terms: Terms,
    target: Array | None = None,
) -> tuple[Array, Array]:
    """Loss of a batch with the prices of everything; beside it the metric.

    Args:
        ready: The evaluated network.
        network: The network itself, for its priors.
        x: `[batch, ports]`.
        label: `[batch]`.
        prices: Of one member.
        terms: What the loss is made of.
        target: What the loss takes for the label, where a teacher has softened it.
    """
    score = jax.vmap(ready)(x)
    total = terms.loss(score, label if target is None else target)
    total = total + prices.lut * luts(ready)
    if terms.timed:
        ports = latency.at_ports((terms.ports,), terms.clock_mhz)
        out = ready(ports)
        total = total + prices.ns * latency.latest(out.clocked.reshape(-1))
    if terms.smoothness:
        total = total + terms.smoothness * roughness(network)
    return total, terms.metric(score, label)


def roughness(network: Any) -> Float[Array, ""]:
    """What the priors of all edge functions say."""
    nodes = jax.tree.leaves(
        network, is_leaf=lambda node: isinstance(node, EdgeFunction)
    )
    edges = [node for node in nodes if isinstance(node, EdgeFunction)]
    return sum((edge.roughness() for edge in edges), start=jnp.zeros(()))


def adam(rate: float | optax.Schedule) -> optax.GradientTransformation:
    """Adam (Kingma and Ba, arXiv 1412.6980) as a training takes it.

    On one vector: one program for all parameters, where there would be one for each.
    """
    return optax.flatten(optax.adam(rate))


def start(
    networks: list[Any], optimiser: optax.GradientTransformation
) -> tuple[State, Any]:
    """The state of a stack of networks before the first step, and its constants.

    Raises:
        ValueError: The networks do not share their constants, as a stack does.
    """
    parts = [split(network) for network in networks]
    for n, (_, _, constants) in enumerate(parts):
        if not eqx.tree_equal(constants, parts[0][2]):
            raise ValueError(
                f"network {n} of a stack has other constants than the first; what "
                "builds them may take them from the data, not from the seed"
            )
    trained = stack([p[0] for p in parts])
    seen = stack([p[1] for p in parts])
    moments = jax.vmap(optimiser.init)(trained)
    members = len(networks)
    state = State(
        trained,
        seen,
        moments,
        jnp.zeros((), jnp.int32),
        jnp.full(members, -1, jnp.int32),
        jnp.full(members, -1, jnp.int32),
    )
    return state, parts[0][2]


def stack(trees: list[Any]) -> Any:
    """Trees of one structure as one, with an axis in front."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def member(state: State, fixed: Any, n: int) -> Any:
    """Network `n` of a stack."""
    one = jax.tree.map(lambda leaf: leaf[n], (state.trained, state.seen))
    return eqx.combine(*one, fixed)


def epoch_program(
    fixed: Any,
    optimiser: optax.GradientTransformation,
    terms: Terms,
    x: Integer[Array, "events ports"] | Float[Array, "events ports"],
    label: Array,
    *,
    batch: int,
    rate: float,
    decay: float,
    devices: int,
    target: Array | None = None,
) -> jax.stages.Wrapped:
    """Compiles an epoch.

    Args:
        fixed: Constants that all members share.
        optimiser: Of every member.
        terms: What the loss is made of.
        x: Inputs of all events.
        label: Labels of all events.
        batch: Events per step, over all devices.
        rate: Of the statistics, see `Statistic.towards`.
        decay: Of the ranges.
        devices: How many share a batch.
        target: As of `objective`, of all events.
    """
    sharded = devices > 1

    def one(trained: Any, seen: Any, moments: Any, prices: Prices, rows: Array):
        def loss(trained: Any, seen: Any):
            network = eqx.combine(trained, seen, fixed)
            return objective(
                *(evaluate(network), network, x[rows], label[rows], prices, terms),
                None if target is None else target[rows],
            )

        (value, metric), (slope, shown) = jax.value_and_grad(
            loss, argnums=(0, 1), has_aux=True
        )(trained, seen)
        if sharded:
            value, metric, slope = jax.lax.pmean((value, metric, slope), "events")
            shown = jax.tree.map(
                lambda s: type(s)(
                    (jax.lax.pmean if s.kind == "mean" else jax.lax.pmax)(
                        s.value, "events"
                    ),
                    s.kind,
                ),
                shown,
                is_leaf=is_statistic,
            )
        update, moments = optimiser.update(slope, moments, trained)
        trained = optax.apply_updates(trained, update)
        seen = follow(seen, shown, rate, decay)
        network = within_caps(eqx.combine(trained, seen, fixed))
        trained, seen, _ = split(network)
        # The first that holds no numbers, the loss before all.  One index: XLA would work
        # out anything cheaper again inside each of the programs that keep what was good.
        parts = zip(*map(jax.tree.leaves, (slope, trained)), strict=True)
        spoilt = [~jnp.isfinite(value)] + [
            ~(jnp.all(jnp.isfinite(a)) & jnp.all(jnp.isfinite(b))) for a, b in parts
        ]
        found = jnp.argmax(jnp.stack([*spoilt, jnp.array(True)]))
        finite, culprit = found == len(spoilt), found - 1
        return trained, seen, moments, value, metric, (finite, culprit)

    def step(carry: tuple[State, Prices], rows: Array):
        state, prices = carry
        now = (state.trained, state.seen, state.moments)
        trained, seen, moments, value, metric, (finite, culprit) = jax.vmap(
            one, in_axes=(0, 0, 0, 0, None)
        )(*now, prices, rows)
        whole = state.broken < 0
        good = finite & whole

        # A broken member stays as it last was good, for the host to look into.
        def keep(new: Array, old: Array) -> Array:
            return jnp.where(good.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        trained, seen, moments = jax.tree.map(keep, (trained, seen, moments), now)
        first = whole & ~finite
        broken = jnp.where(first, state.step, state.broken)
        culprit = jnp.where(first, culprit, state.culprit).astype(jnp.int32)
        state = State(trained, seen, moments, state.step + 1, broken, culprit)
        return (state, prices), (value, metric)

    def epoch(state: State, order: Array, prices: Prices) -> tuple[State, Means]:
        (state, _), (value, metric) = jax.lax.scan(step, (state, prices), order)
        return state, Means(jnp.mean(value, axis=0), jnp.mean(metric, axis=0))

    if sharded:
        mesh = Mesh(np.array(jax.devices()[:devices]), ("events",))
        epoch = jax.shard_map(
            epoch,
            mesh=mesh,
            in_specs=(
                PartitionSpec(),
                PartitionSpec(None, "events"),
                PartitionSpec(),
            ),
            out_specs=PartitionSpec(),
            check_vma=False,
        )

    return jax.jit(epoch)


def shuffled(
    seed: tuple[int, ...],
    events: int,
    batch: int,
    weights: Float[np.ndarray, " events"] | None = None,
) -> Int[np.ndarray, "steps batch"]:
    """The rows of every step of an epoch; those left over wait.

    NumPy shuffles a hundred times faster than a sort of random numbers on a device.
    Weights act by how often an event comes and not on the loss, so that any loss can be
    weighted and no event has a step of its own size: `w` times, rounded up or down by
    systematic resampling (Kitagawa, J. Comput. Graph. Stat. 5 (1996) 1, appendix).

    Args:
        seed: Decides the order, and nothing else does.
        events: Of which each is taken at most once, where there are no weights.
        batch: Per step.
        weights: Not negative; their mean stands for once.
    """
    random = np.random.default_rng(seed)
    order = np.arange(events)
    if weights is not None:
        edges = np.cumsum(weights, dtype=np.float64)
        points = (order + random.random()) * (edges[-1] / events)
        # The last point may round up to the very end, which belongs to no event.
        last = int(np.flatnonzero(weights)[-1])
        order = np.minimum(np.searchsorted(edges, points, side="right"), last)
    order = random.permutation(order).astype(np.int32)
    steps = events // batch
    return order[: steps * batch].reshape(steps, batch)


def first_broken(state: State, fixed: Any, n: int) -> str:
    """Where the first number that is none stands, in network `n`, which broke.

    Its parameters are those before the step that broke it.
    """

    def finite(tree: Any) -> bool:
        leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
        return all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in leaves)

    def place(path: Any) -> str:
        return jax.tree_util.keystr(path).lstrip(".")

    network = member(state, fixed, n)
    for path, node in jax.tree_util.tree_leaves_with_path(
        network, is_leaf=lambda node: isinstance(node, Layer)
    ):
        if not isinstance(node, Layer):
            continue
        if not finite(split(node)[0]):
            return f"the parameters of layer {place(path)}"
        if not finite(node.evaluated()):
            return f"the tables or weights of layer {place(path)}"
    if int(state.culprit[n]) < 0:
        return "the loss itself, while all tables and weights are numbers"
    leaves = jax.tree_util.tree_leaves_with_path(state.trained)
    return (
        f"the gradient or the next value of {place(leaves[int(state.culprit[n])][0])}"
    )
