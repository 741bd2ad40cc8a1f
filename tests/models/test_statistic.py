"""Statistics: they follow what was observed, and leave the step as a cotangent."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_networks import random_network

from models import step
from models.evaluate import ready
from models.layer import evaluate
from models.reading import Reading
from models.statistic import Constant, Statistic, follow, part

numbers = st.floats(-100, 100, width=32)


@given(numbers, numbers, st.floats(0, 1, width=32))
def test_a_mean_goes_its_share_of_the_way(now, seen, rate):
    old, new = Statistic(jnp.float32(now)), Statistic(jnp.float32(seen))
    moved = float(old.towards(new, rate, 0.5).value)
    expected = (1 - rate) * now + rate * seen
    # Three float32 operations on numbers of at most 200.
    assert abs(moved - expected) <= 3 * 200 * 2**-23
    assert float(old.towards(new, 0.0, 0.5).value) == np.float32(now)


@given(numbers, numbers, st.floats(0, 1, width=32))
def test_a_range_rises_at_once_and_falls_slowly(now, seen, decay):
    old = Statistic(jnp.float32(now), "range")
    moved = old.towards(Statistic(jnp.float32(seen), "range"), 0.02, decay)
    assert moved.kind == "range"
    expected = max(np.float32(now) - np.float32(decay), np.float32(seen))
    assert np.asarray(moved.value) == expected


def test_only_statistics_follow():
    tree = {"w": jnp.ones(2), "s": Statistic(jnp.zeros(2)), "n": 3}
    seen = {"w": jnp.full(2, 9.0), "s": Statistic(jnp.ones(2)), "n": 3}
    moved = follow(tree, seen, 0.25, 0.0)
    assert np.array_equal(moved["w"], tree["w"])
    assert np.array_equal(moved["s"].value, [0.25, 0.25])
    assert moved["n"] == 3


def arrays(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if eqx.is_array(leaf)]


def test_a_network_parts_into_what_trains_what_is_seen_and_the_rest():
    network, _ = random_network((4, 2), (5, 4, 3))
    trained, seen, rest = part(network, lambda node: isinstance(node, Reading))
    whole = eqx.combine(trained, seen, rest)
    assert eqx.tree_equal(whole, network)
    count = len(arrays(network))
    assert count == len(arrays(trained)) + len(arrays(seen)) + len(arrays(rest))
    assert [leaf.shape for leaf in arrays(seen)] == [(5, 16)]
    reading = [layer.reading for layer in network.layers]
    assert len(arrays(rest)) == len(arrays(reading))


def test_nothing_below_a_constant_trains_but_statistics_may_stand_beside_it():
    tree = (jnp.ones(2), Constant(jnp.ones(3)), Statistic(jnp.ones(4)), jnp.arange(5))
    trained, seen, rest = part(tree, lambda node: isinstance(node, Constant))
    assert [leaf.size for leaf in arrays(trained)] == [2]
    assert [leaf.size for leaf in arrays(seen)] == [4]
    assert [leaf.size for leaf in arrays(rest)] == [3, 5]


def second_layer_codes(network, x):
    """Codes that the second layer reads, found by hand from the first one's sums."""
    evaluated = ready(network)
    y = np.asarray(jax.vmap(evaluated.layers[0])(jnp.asarray(x, jnp.int32)))
    reading = network.layers[1].reading
    steps = reading.grid.fine.shape[1]
    code = np.floor((y - reading.low) / reading.span * steps)
    return np.clip(code, 0, steps - 1).astype(int)


def test_the_cotangent_of_an_occupancy_is_the_share_of_the_batch_at_each_code():
    members = 2
    network, code = random_network((4, 2, 5), (6, 4, 3), events=64)
    trained, seen, fixed = step.split(network)

    def loss(trained, seen):
        evaluated = evaluate(eqx.combine(trained, seen, fixed))
        return jnp.sum(jax.vmap(evaluated)(jnp.asarray(code, jnp.int32)) ** 2)

    of_all = jax.vmap(jax.grad(loss, argnums=1))
    stacked = jax.tree.map(lambda a: jnp.stack([a] * members), (trained, seen))
    shown = of_all(*stacked)
    (found,) = jax.tree.leaves(shown)
    codes = second_layer_codes(network, code)
    share = [np.bincount(column, minlength=16) / len(code) for column in codes.T]
    # Sixty-fourths are exact in float32.
    assert np.array_equal(found, np.stack([share] * members))
