"""A step of a stack against the same step written out, and what breaks in it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_networks import compiled_once, random_network, same_bytes

from models import step
from models.edges import EdgeFunction
from models.evaluate import ready
from models.layer import evaluate, within_caps
from models.statistic import follow

EVENTS, BATCH, RATE = 60, 20, 0.1


@pytest.fixture(scope="module", autouse=True)
def programs(tmp_path_factory):
    """Many epochs here have the same program."""
    with compiled_once(tmp_path_factory.mktemp("programs")):
        yield


@pytest.fixture(scope="module")
def case():
    made = [random_network((4, 2, 5), (5, 4, 2), seed=k, events=EVENTS) for k in (0, 1)]
    # Members share their constants, as those of one training split do.
    fixed = step.split(made[0][0])[2]
    networks = [eqx.combine(*step.split(one)[:2], fixed) for one, _ in made]
    code = made[0][1]
    label = jnp.asarray(code[:, 0] > 5, jnp.int32)
    return networks, jnp.asarray(code, jnp.int32), label


def program(fixed, x, label, optimiser, batch=BATCH, clock=None):
    terms = step.Terms(
        *(step.cross_entropy, step.accuracy, 0.0), clock is not None, clock, 3
    )
    return step.epoch_program(
        *(fixed, optimiser, terms, x, label),
        batch=batch,
        rate=0.1,
        decay=0.01,
        devices=1,
    )


def prices(*lut, ns=1e-3):
    return step.Prices(jnp.array(lut, jnp.float32), jnp.full(len(lut), ns))


def written_out(network, x, label, key, price, clock):
    """The epoch as anyone would write it, one network and one step at a time."""
    optimiser = optax.sgd(RATE, momentum=0.5)
    terms = step.Terms(
        *(step.cross_entropy, step.accuracy, 0.0), clock is not None, clock, 3
    )
    trained, seen, fixed = step.split(network)
    moments = optimiser.init(trained)

    @jax.jit
    def once(trained, seen, moments, rows):
        def loss(trained, seen):
            network = eqx.combine(trained, seen, fixed)
            return step.objective(
                evaluate(network), network, x[rows], label[rows], price, terms
            )[0]

        value, (slope, shown) = jax.value_and_grad(loss, (0, 1))(trained, seen)
        update, moments = optimiser.update(slope, moments, trained)
        trained = optax.apply_updates(trained, update)
        return value, trained, follow(seen, shown, 0.1, 0.01), moments

    values = []
    for rows in step.shuffled(key, EVENTS, BATCH):
        value, trained, seen, moments = once(trained, seen, moments, rows)
        capped = within_caps(eqx.combine(trained, seen, fixed))
        trained, seen, _ = step.split(capped)
        values.append(value)
    return trained, seen, float(np.mean(values))


@pytest.mark.parametrize(("events", "batch"), [(12, 4), (13, 4), (5, 5)])
def test_an_epoch_takes_every_event_at_most_once_in_an_order_of_its_own(events, batch):
    rows = step.shuffled((1, 0), events, batch)
    assert rows.shape == (events // batch, batch)
    assert len(np.unique(rows)) == rows.size
    assert rows.min() >= 0
    assert rows.max() < events
    assert np.array_equal(rows, step.shuffled((1, 0), events, batch))
    assert not np.array_equal(rows, step.shuffled((1, 1), events, batch))


@given(
    hnp.arrays(np.float64, 7, elements=st.floats(0, 4)).filter(lambda w: w.sum() > 0.1),
    st.integers(0, 2**32),
)
def test_a_weight_is_how_often_an_event_comes(weights, seed):
    drawn = step.shuffled((seed,), 7, 7, weights)
    times = np.bincount(drawn.ravel(), minlength=7)
    wanted = weights * 7 / weights.sum()
    # Once a count of 1 is lost or won to the rounding of the cumulated weights.
    slack = 1e-9
    assert np.all(times >= np.floor(wanted - slack))
    assert np.all(times <= np.ceil(wanted + slack))
    assert not times[weights == 0].any()


def test_with_equal_weights_every_event_comes_once():
    rows = step.shuffled((1, 0), 12, 4, np.full(12, 0.25))
    assert np.array_equal(np.sort(rows.ravel()), np.arange(12))


def test_an_epoch_is_the_steps_of_each_network_written_out(case):
    clock = 360.0
    networks, x, label = case
    optimiser, key = optax.sgd(RATE, momentum=0.5), (5,)
    state, fixed = step.start(networks, optimiser)
    of_all = prices(1e-4, 3e-3)
    state, means = program(fixed, x, label, optimiser, clock=clock)(
        state, step.shuffled(key, EVENTS, BATCH), of_all
    )
    assert int(state.step) == EVENTS // BATCH
    assert np.array_equal(state.broken, [-1, -1])
    for n, network in enumerate(networks):
        price = jax.tree.map(lambda p, n=n: p[n], of_all)
        trained, seen, loss = written_out(network, x, label, key, price, clock)
        assert means.loss[n] == pytest.approx(loss, rel=1e-5)
        # A gradient is a sum over a batch and codes in another order, see
        # `test_native.GRADIENTS`; three steps of it at the rate.
        for a, b in zip(*map(jax.tree.leaves, (state.trained, trained)), strict=True):
            moved = max(np.max(np.abs(b)), 1.0)
            assert np.max(np.abs(a[n] - b)) <= 3 * 5e-6 * moved
        # Shares of a batch of 20, moved three times: rounding of single operations.
        for a, b in zip(*map(jax.tree.leaves, (state.seen, seen)), strict=True):
            assert np.allclose(a[n], b, rtol=0, atol=1e-6)


def test_a_member_is_what_was_stacked(case):
    networks, *_ = case
    state, fixed = step.start(networks, optax.adam(RATE))
    assert same_bytes(step.member(state, fixed, 0), networks[0])
    trained = step.split(networks[1])[:2]
    assert same_bytes(step.split(step.member(state, fixed, 1))[:2], trained)


def test_a_stack_of_different_constants_is_refused():
    networks = [random_network((4, 2), (3, 2), seed=k)[0] for k in (0, 1)]
    with pytest.raises(ValueError, match="network 1 of a stack has other constants"):
        step.start(networks, optax.adam(RATE))


def with_nan(network):
    return eqx.tree_at(
        lambda n: n.layers[1].beta, network, network.layers[1].beta.at[0].set(jnp.nan)
    )


def test_a_member_that_breaks_stays_as_it_was_and_disturbs_no_other(case):
    networks, x, label = case
    optimiser, order = optax.adam(RATE), step.shuffled((5,), EVENTS, BATCH)
    ends = []
    for second in (networks[1], with_nan(networks[1])):
        state, fixed = step.start([networks[0], second], optimiser)
        run = program(fixed, x, label, optimiser)
        state, _ = run(state, order, prices(1e-4, 1e-4))
        state, _ = run(state, order, prices(1e-4, 1e-4))
        ends.append((state, fixed))
    (whole, _), (half, fixed) = ends
    first = [jax.tree.map(lambda leaf: leaf[0], s[:3]) for s in (whole, half)]
    assert same_bytes(*first)
    assert np.array_equal(whole.broken, [-1, -1])
    assert np.array_equal(half.broken, [-1, 0])
    kept = step.split(step.member(half, fixed, 1))[:2]
    assert same_bytes(kept, step.split(with_nan(networks[1]))[:2])
    assert step.first_broken(half, fixed, 1) == "the parameters of layer layers[1]"


def test_tables_that_overflow_are_named_with_their_layer(case):
    networks, x, label = case
    big = eqx.tree_at(
        lambda n: n.layers[2].edges.w_out,
        networks[0],
        networks[0].layers[2].edges.w_out * 1e38,
    )
    assert not np.all(np.isfinite(ready(big).layers[2].filled.entry))
    optimiser = optax.adam(RATE)
    state, fixed = step.start([big], optimiser)
    state, _ = program(fixed, x, label, optimiser)(
        state, step.shuffled((1,), EVENTS, BATCH), prices(0.0)
    )
    assert np.array_equal(state.broken, [0])
    told = step.first_broken(state, fixed, 0)
    assert told == "the tables or weights of layer layers[2]"


def test_a_gradient_that_overflows_is_named_with_its_parameter(case):
    networks, x, label = case
    optimiser = optax.adam(float("inf"))
    state, fixed = step.start(networks[:1], optimiser)
    state, _ = program(fixed, x, label, optimiser)(
        state, step.shuffled((1,), EVENTS, BATCH), prices(0.0)
    )
    told = step.first_broken(state, fixed, 0)
    assert told.startswith("the gradient or the next value of layers[0].edges.")


def test_only_entries_that_are_free_are_rough():
    smooth, _ = random_network((4, 4), (3, 2))
    assert float(step.roughness(smooth)) == 0
    free, _ = random_network((4, 4), (3, 2), tables="direct")
    is_edge = lambda node: isinstance(node, EdgeFunction)  # noqa: E731
    edges = [n for n in jax.tree.leaves(free, is_leaf=is_edge) if is_edge(n)]
    assert float(step.roughness(free)) == pytest.approx(
        sum(float(edge.roughness()) for edge in edges)
    )
    assert float(step.roughness(free)) > 0


def test_losses_and_metrics_are_their_formulas():
    score = jnp.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]])
    label = jnp.array([1, 1, 0])
    p = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    expected = -np.mean(np.log(p[np.arange(3), label]))
    assert float(step.cross_entropy(score, label)) == pytest.approx(expected, rel=1e-6)
    assert float(step.accuracy(score, label)) == pytest.approx(2 / 3)
    wanted = jnp.array([1.0, 0.0, 0.5])
    assert float(step.squared_error(score, wanted)) == pytest.approx((1 + 4 + 0) / 3)
    assert float(step.closeness(score, wanted)) == pytest.approx(-np.sqrt(5 / 3))
    odds = 1 / (1 + np.exp(-np.asarray(score[:, 0])))
    expected = -np.mean(np.log(np.where(np.asarray(label) == 1, odds, 1 - odds)))
    assert float(step.binary_cross_entropy(score, label)) == pytest.approx(
        expected, rel=1e-6
    )


@given(
    st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=40),
    st.floats(0, 1),
)
def test_signal_efficiency_is_that_of_the_loosest_cut_that_is_allowed(events, share):
    score = np.array([float(value) for value, _ in events])
    label = np.array([int(signal) for _, signal in events])
    kept = [0.0]
    for cut in [*np.unique(score), np.inf]:
        passed = score >= cut
        allowed = np.float32(share) * np.float32((label == 0).sum())
        if (passed & (label == 0)).sum() <= allowed:
            kept.append((passed & (label == 1)).sum() / max((label == 1).sum(), 1))
    metric = step.signal_efficiency(share)
    found = float(metric(jnp.asarray(score)[:, None], jnp.asarray(label)))
    assert found == pytest.approx(max(kept), rel=1e-6)
    assert metric.__qualname__ == f"signal_efficiency({share})"
