"""The laws of the latency term, and its agreement with what the compiler does."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_networks import CLOCKS, REACH_BITS, recorded

from firmware import delay, tree
from firmware.compress import Term, plan
from firmware.netlist import Node
from firmware.pipeline import pipeline
from models import latency
from models.cost import sum_bits
from models.latency import (
    Arrivals,
    at_ports,
    cycles,
    logic_ns,
    table_ns,
    through_add,
    through_clip,
    through_sum,
    through_tables,
)
from models.layer import lift

NETWORKS = recorded()


@jax.jit
def through_layer(arrivals, layer):
    """One layer of tables, and the saturation behind it."""
    sums = sum_bits(layer.soft, layer.hard, layer.fraction)
    live = (layer.hard > 0).astype(jnp.float32)
    summed = through_tables(arrivals, layer.address, live, sums)
    finest = jnp.max(jnp.where(layer.hard > 0, layer.fraction, -1.0), axis=0)
    telling = jnp.maximum(sums - finest - REACH_BITS + 1, 1.0)
    return summed, through_clip(summed, telling)


def through(network, clock):
    """A recorded network's arrivals, as its layers would be called."""
    arrivals = summed = at_ports((network.layers[0].hard.shape[0],), clock)
    for layer in network.layers:
        summed, arrivals = through_layer(arrivals, layer)
    return summed


def test_the_constants_are_those_of_the_compiler():
    for name in ("LEVEL_NS", "MUX_NS", "ADD_NS", "CARRY_NS", "REGISTER_NS"):
        assert getattr(latency, name) == getattr(delay, name)
    assert latency.SIZES == tree.SIZES
    byte = Node("input", (), 0, 255)
    nine = Node("add", (0, 0), 0, 510)
    assert latency.adder_ns(jnp.float32(9)) == pytest.approx(
        delay.add_ns(nine, [byte, byte])
    )
    widths = jnp.arange(25.0)
    assert np.array_equal(
        table_ns(widths), np.array([delay.table_ns(w) for w in range(25)], np.float32)
    )


def test_a_table_is_later_with_every_address_bit():
    slope = jax.vmap(jax.grad(table_ns))(jnp.arange(0.5, 20))
    assert np.all(np.asarray(slope) > 0)


def test_the_cycles_of_every_recorded_network_are_those_of_the_compiler_within_one():
    off = {clock: [] for clock in CLOCKS}
    for network in NETWORKS:
        for clock in CLOCKS:
            predicted = int(cycles(through(network, float(clock))))
            off[clock].append(abs(predicted - network.cycles[clock]))
    assert max(off[200]) <= 1
    assert max(off[360]) <= 1
    # Two stages of a common adder just do not fit 500 MHz: the widths of single adders
    # decide, which nobody knows before the tree is planted.
    assert max(off[500]) <= 2
    assert np.mean(np.array(off[500]) <= 1) >= 0.75


@pytest.mark.parametrize("terms", [2, 3, 4, 6, 9, 12, 16, 24])
def test_a_sum_takes_as_long_as_the_counters_that_the_compiler_plans(terms):
    shape = (Term(0, 6, False),) * terms
    bits = (63 * terms).bit_length()
    planned = plan(shape, bits)
    predicted = latency.sum_ns(jnp.float32(terms), jnp.float32(bits))
    exact = latency.LEVEL_NS * planned.levels + latency.ADD_NS
    exact += latency.CARRY_NS * planned.carry[1]
    # The mean of many shapes: one level off for these, and two bits of carry.
    assert (
        abs(float(predicted) - exact) <= latency.LEVEL_NS + 2 * latency.CARRY_NS + 1e-6
    )


@given(st.lists(st.floats(0, 5), min_size=2, max_size=20))
def test_a_sum_begins_with_its_last_term(times):
    ns, live = jnp.array(times, jnp.float32), jnp.ones(len(times))
    done = through_sum(Arrivals(ns, ns), live, jnp.float32(10))
    at_once = through_sum(at_ports((len(times),)), live, jnp.float32(10))
    # One rounding of float32 at 10 ns.
    assert float(done.ns) == pytest.approx(max(times) + float(at_once.ns), abs=2e-6)


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(("clip", "wide", "add8", "add16")), max_size=12),
    st.sampled_from((200.0, 360.0, 500.0)),
)
def test_no_operation_straddles_two_cycles(operations, clock):
    period = round(1000 * logic_ns(clock))
    arrivals, stage, done = at_ports((1,), clock), 0, 0
    for name in operations:
        if name.startswith("add"):
            bits = int(name[3:])
            arrivals = through_add(arrivals, arrivals, jnp.float32(bits))
            took = 750 + 25 * bits
        else:
            arrivals = through_clip(arrivals, jnp.float32(6 if name == "wide" else 1))
            took = 800 if name == "wide" else 400
        if done + took > period:
            stage, done = stage + 1, 0
        done += took
    # Float32 is good for a tenth of a picosecond at 30 ns.
    assert arrivals.clocked[0] == pytest.approx(
        (stage * period + done) / 1000, abs=1e-3
    )
    assert cycles(arrivals) == stage + 2


@pytest.mark.parametrize("clock", CLOCKS)
def test_cycles_agree_with_the_pipeline_of_a_chain_of_adders(clock):
    """The firmware's own scheduler on a netlist of the same operations."""
    from firmware.build import Builder

    into = Builder("b")
    a, b = into.input("a", 0, 255), into.input("b", 0, 255)
    total, arrivals = into.add(a, b), at_ports((1,), float(clock))
    arrivals = through_add(arrivals, arrivals, jnp.float32(9))
    for _ in range(6):
        total = into.add(into.clip(total, 0, 255), b)
        arrivals = through_clip(arrivals, jnp.float32(1))
        arrivals = through_add(arrivals, arrivals, jnp.float32(9))
    netlist = into.finish([("y", total)])
    assert cycles(arrivals) == pipeline(netlist, clock).cycles


def test_no_slope_is_negative_or_infinite():
    layer = NETWORKS[4].layers[0]
    sums = sum_bits(layer.soft, layer.hard, layer.fraction)
    live = (layer.hard > 0).astype(jnp.float32)
    for clock in (None, 360.0):

        def last(ports, address, live, clock=clock):
            arrivals = Arrivals(ports, ports, clock)
            out = through_tables(arrivals, address, live, sums)
            return latency.latest(out.clocked)

        ports = jnp.zeros(layer.hard.shape[0])
        slopes = jax.grad(last, argnums=(0, 1, 2))(ports, layer.address, live)
        for slope in slopes:
            assert np.all(np.isfinite(slope))
            assert np.all(np.asarray(slope) >= 0)
            assert np.any(np.asarray(slope) > 0)
        # All that is later is later together: the shares of the ports make a whole,
        # but for those of outputs that no port reaches.
        assert 0.95 < float(jnp.sum(slopes[0])) < 1.0 + 1e-5
        assert np.all(np.asarray(slopes[1])[np.asarray(live) == 0] == 0)


def test_a_sum_is_flat_and_at_once_where_no_term_is_live():
    zero, ns = jnp.zeros(4), jnp.arange(4.0)

    def last(live):
        return through_sum(Arrivals(ns, ns), live, jnp.float32(0)).ns

    assert last(zero) == 0
    assert np.array_equal(jax.grad(last)(zero), zero)


def test_fewer_live_edges_are_never_later():
    ns = jnp.zeros(16)
    times = [
        float(
            through_sum(Arrivals(ns, ns), (jnp.arange(16) < n) * 1.0, jnp.float32(8)).ns
        )
        for n in range(1, 17)
    ]
    assert times == sorted(times)
    assert times[0] == 0
    # The second term brings the adder, the third and the fifth a level of counters.
    assert np.all(np.diff(times)[[0, 1, 3]] > 0)


def test_a_term_of_many_digits_counts_as_many_terms():
    one, eight = jnp.zeros(1), jnp.full(1, 8.0)
    digits = through_sum(at_ports((1,)), eight, jnp.float32(11))
    terms = through_sum(at_ports((8,)), jnp.ones(8), jnp.float32(11))
    assert digits.ns == terms.ns
    assert through_sum(at_ports((1,)), one + 1, jnp.float32(8)).ns == 0


def test_a_slower_clock_needs_no_more_cycles():
    for network in NETWORKS[:4]:
        needed = [
            int(cycles(through(network, clock))) for clock in (500.0, 360.0, 200.0)
        ]
        assert needed == sorted(needed, reverse=True)


def test_without_logic_the_two_ranks_of_the_ports_remain():
    assert cycles(at_ports((3,), 360.0)) == 2


def test_arrivals_move_like_the_values_they_stand_for():
    ns = jnp.arange(6.0)
    arrivals = Arrivals(ns, 2 * ns, 360.0)
    moved = lift(lambda a: a.reshape(2, 3).T, arrivals)
    assert moved.shape == (3, 2)
    assert np.array_equal(moved.clocked, (2 * ns).reshape(2, 3).T)
    assert np.array_equal(arrivals[2:4].ns, ns[2:4])
    both = lift(lambda a, b: jnp.concatenate([a, b]), arrivals, arrivals)
    assert both.shape == (12,)
    assert both.clock_mhz == 360.0


def test_the_time_of_a_cycle_is_what_the_registers_leave():
    for clock in CLOCKS:
        budget = math.floor(1e6 / clock) - round(1000 * delay.REGISTER_NS)
        assert logic_ns(float(clock)) == pytest.approx(budget / 1000)


def test_cycles_need_a_clock():
    with pytest.raises(ValueError, match=r"at_ports\(shape, clock_mhz\)"):
        cycles(at_ports((2,)))
