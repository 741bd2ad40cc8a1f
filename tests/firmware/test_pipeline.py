import itertools

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from random_netlists import netlists
from random_networks import random_network
from tiny_block import NETLIST

from firmware.build import rewrite
from firmware.delay import REGISTER_NS, delay_ns
from firmware.lower import lower
from firmware.pipeline import Schedule, pipeline
from trigger.errors import UserError

NETWORK = lower(random_network(0, density=0.4), "b")
SMALL_NS = 1e-9


def holds(netlist, stage, clock_mhz):
    """Whether data flow forwards and every stage fits the clock's period."""
    done = []
    for i, node in enumerate(netlist.nodes):
        if any(stage[a] > stage[i] for a in node.args):
            return False
        same = [done[a] for a in node.args if stage[a] == stage[i]]
        args = [netlist.nodes[a] for a in node.args]
        done.append(max(same, default=0.0) + delay_ns(node, args))
        if done[-1] > 1000 / clock_mhz - REGISTER_NS + SMALL_NS:
            return False
    return True


@pytest.mark.parametrize("clock_mhz", [100, 200, 360, 500])
def test_every_stage_of_a_network_fits_the_clock(clock_mhz):
    schedule = pipeline(NETWORK, clock_mhz)
    assert holds(NETWORK, schedule.stage, clock_mhz)
    assert all(schedule.stage[i] == 0 for i in NETWORK.inputs)
    assert schedule.latency_ns == 1000 * schedule.cycles / clock_mhz
    assert schedule.ii == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(netlists(most=10), st.sampled_from([300, 500, 700]))
def test_no_pipeline_is_shorter_and_none_as_short_has_fewer_registers(netlist, clock):
    netlist = rewrite(netlist, lambda *_: None)  # without dead nodes
    try:
        schedule = pipeline(netlist, clock)
    except UserError:
        reject()
    assert holds(netlist, schedule.stage, clock)
    final = schedule.cycles - 2
    free = [i for i, node in enumerate(netlist.nodes) if node.args]
    if len(free) > 6 or final == 0:
        reject()
    for length in range(final + 1):
        for chosen in itertools.product(range(length + 1), repeat=len(free)):
            stage = [0] * len(netlist.nodes)
            for i, at in zip(free, chosen, strict=True):
                stage[i] = at
            if not holds(netlist, stage, clock):
                continue
            if max(stage) == length:
                assert length == final
                other = Schedule(float(clock), tuple(stage), length + 2)
                assert schedule.register_bits(netlist) <= other.register_bits(netlist)


def test_a_slower_clock_needs_no_more_cycles():
    cycles = [pipeline(NETWORK, clock).cycles for clock in (500, 400, 300, 200, 100)]
    assert cycles == sorted(cycles, reverse=True)
    assert pipeline(NETLIST, 50).cycles == 2  # the two port ranks are always there


def test_registers_are_counted_bit_by_bit():
    # a (4), b without its lowest bit (2), y (3), z (5), two valid bits.
    assert pipeline(NETLIST, 100).register_bits(NETLIST) == 4 + 2 + 3 + 5 + 2


def test_a_clock_that_one_operation_misses_is_refused_with_one_that_works():
    with pytest.raises(
        UserError, match=r"node 5 \(add of layer 'lut1', 5 bits\)"
    ) as no:
        pipeline(NETLIST, 1200)
    works = int(str(no.value).split("up to ")[1].split(" MHz")[0])
    assert pipeline(NETLIST, works).cycles > 2
    with pytest.raises(UserError):
        pipeline(NETLIST, works + 1)


def test_a_clock_must_be_positive():
    with pytest.raises(UserError, match="a clock is positive, got 0 MHz"):
        pipeline(NETLIST, 0)


def test_the_same_netlist_gives_the_same_stages():
    assert pipeline(NETWORK, 360) == pipeline(NETWORK, 360)
