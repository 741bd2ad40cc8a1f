"""The evaluation pass: one program makes the tables, and all ask it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import ports, random_network

from models import latency
from models.evaluate import measure, raw_scores, ready, scores
from models.freeze import freeze
from models.frozen import run
from models.ranges import counted
from trigger.errors import UserError

CLOCK = 360.0


@pytest.fixture(scope="module")
def small():
    network, code = random_network((4, 2, 5), (6, 3), seed=4)
    return network, code, jnp.asarray(code, jnp.int32)


def test_all_who_ask_get_the_same_tables(small):
    network, code, x = small
    one, other = ready(network), ready(network)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.array_equal(a, b)
    frozen = freeze(network, ports((4, 2, 5)), ("a", "b", "c"))
    seen = measure(network, x, CLOCK)
    counts = raw_scores(network, code, frozen.out_lsb)
    assert np.array_equal(seen.scores, counts * frozen.out_lsb)
    assert np.array_equal(run(frozen, code), counts)


def test_an_event_is_answered_alike_alone_and_in_any_batch(small):
    network, _, x = small
    evaluated = ready(network)
    whole = scores(evaluated, x)
    assert np.array_equal(scores(evaluated, x[:7]), whole[:7])
    assert np.array_equal(evaluated(x[5]), whole[5])
    assert np.array_equal(network(x[5]), whole[5])


def test_the_costs_are_those_of_the_evaluated_layers(small):
    network, _, x = small
    seen = measure(network, x, CLOCK)
    evaluated = ready(network)
    assert seen.luts == pytest.approx(float(counted(evaluated, 3)), rel=1e-6)
    out = evaluated(latency.at_ports((3,), CLOCK))
    assert seen.ns == float(jnp.max(out.ns))
    assert seen.cycles == float(latency.cycles(out))
    assert seen.cycles >= seen.depth > seen.cycles - 2


def test_scores_that_float32_does_not_hold_exactly_are_refused(small):
    network, code, _ = small
    with pytest.raises(UserError, match="steps of its LSB, float32 is exact up to"):
        raw_scores(network, code, 2.0**-30)
