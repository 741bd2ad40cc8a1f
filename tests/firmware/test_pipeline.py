import itertools
from dataclasses import replace

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


@pytest.mark.parametrize("clock_mhz", [100.0, 200.0, 360.0, 500.0])
def test_every_stage_of_a_network_fits_the_clock(clock_mhz):
    network = lower(random_network(0, density=0.4), "b", clock_mhz=clock_mhz)
    schedule = pipeline(network, clock_mhz)
    assert holds(network, schedule.stage, clock_mhz)
    assert all(schedule.stage[i] == 0 for i in network.inputs)
    assert schedule.latency_ns == 1000 * schedule.cycles / clock_mhz
    assert schedule.ii == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
@given(netlists(most=10), st.sampled_from([300, 500, 700]), st.integers(0, 1))
def test_no_pipeline_is_shorter_and_none_as_short_has_fewer_registers(
    netlist, clock, waiting
):
    netlist = rewrite(netlist, lambda *_: None)  # without dead nodes
    try:
        need = pipeline(netlist, clock).cycles
    except UserError:
        reject()
    schedule = pipeline(netlist, clock, pad_to=need + waiting)
    assert holds(netlist, schedule.stage, clock)
    assert schedule.cycles == need + waiting
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
                assert length >= final - waiting
                other = Schedule(float(clock), tuple(stage), final + 2)
                assert schedule.register_bits(netlist) <= other.register_bits(netlist)


def test_a_slower_clock_needs_no_more_cycles():
    cycles = [pipeline(NETWORK, clock).cycles for clock in (360, 300, 240, 200, 100)]
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


def test_a_block_waits_where_that_takes_the_fewest_registers():
    # 6 bits behind the ports, 8 before y and z; between them z, of 5 bits, can wait
    # alone, for y is made of it.
    assert pipeline(NETLIST, 100, pad_to=5).register_bits(NETLIST) == 6 + 3 * 5 + 8 + 5
    narrow = replace(
        NETLIST, outputs=NETLIST.outputs[:1]
    )  # y, of 3 bits: it waits after
    padded = pipeline(narrow, 100, pad_to=5)
    assert padded.register_bits(narrow) == 6 + 4 * 3 + 5
    assert max(padded.stage) == 0


@pytest.mark.parametrize("cycles", [4, 5, 7, 12])
def test_a_padded_block_takes_exactly_that_long_and_is_not_cut_otherwise(cycles):
    need = pipeline(NETWORK, 360).cycles
    padded = pipeline(NETWORK, 360, pad_to=need + cycles)
    assert padded.cycles == need + cycles
    assert holds(NETWORK, padded.stage, 360)
    # A rank more never needs more bits than the outputs and a valid bit.
    bits = sum(NETWORK.nodes[i].width for _, i in NETWORK.outputs)
    most = pipeline(NETWORK, 360).register_bits(NETWORK) + cycles * (bits + 1)
    assert padded.register_bits(NETWORK) <= most


def test_padding_below_the_need_names_the_need():
    need = pipeline(NETWORK, 360).cycles
    assert pipeline(NETWORK, 360, pad_to=need) == pipeline(NETWORK, 360)
    with pytest.raises(UserError, match=f"padded to {need - 1}; {need} or more would"):
        pipeline(NETWORK, 360, pad_to=need - 1)
    with pytest.raises(UserError, match="padded to 9 cycles where 8 are allowed"):
        pipeline(NETWORK, 360, max_cycles=8, pad_to=9)


@pytest.mark.parametrize("cycles", [2, 3, 4])
def test_too_few_cycles_name_the_path_and_the_fastest_clock_that_works(cycles):
    need = pipeline(NETWORK, 360).cycles
    assert need > cycles
    assert pipeline(NETWORK, 360, max_cycles=need).cycles == need
    told = f"needs {need} cycles at 360 MHz, {cycles} are allowed: the longest path"
    with pytest.raises(UserError, match=told) as no:
        pipeline(NETWORK, 360, max_cycles=cycles)
    assert "through lut1, code1, lut2; its slowest step is node" in str(no.value)
    works = int(str(no.value).split("up to ")[1].split(" MHz")[0])
    assert pipeline(NETWORK, works, max_cycles=cycles).cycles == cycles
    with pytest.raises(UserError):
        pipeline(NETWORK, works + 1, max_cycles=cycles)


def test_the_ranks_at_the_ports_cannot_be_refused():
    with pytest.raises(UserError, match="ports alone take 2, whatever the clock"):
        pipeline(NETLIST, 10, max_cycles=1)


def test_a_clock_must_be_positive():
    with pytest.raises(UserError, match="a clock is positive, got 0 MHz"):
        pipeline(NETLIST, 0)


def test_the_same_netlist_gives_the_same_stages():
    assert pipeline(NETWORK, 360) == pipeline(NETWORK, 360)
