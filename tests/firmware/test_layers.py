"""The account of a block adds up, whatever the block."""

import json

from hypothesis import given
from hypothesis import strategies as st
from random_netlists import netlists
from random_networks import random_network
from tiny_block import NETLIST

from firmware import area
from firmware.layers import PORTS, account, layer_names, longest_ns, timing_json
from firmware.lower import lower
from firmware.pipeline import pipeline

SLOW_MHZ = 20


@given(netlists(), st.integers(0, 2))
def test_every_operation_lut_and_register_bit_is_in_one_layer(netlist, waiting):
    need = pipeline(netlist, SLOW_MHZ).cycles
    schedule = pipeline(netlist, SLOW_MHZ, pad_to=need + waiting)
    layers = account(netlist, schedule)
    ops = [node.op for node in netlist.nodes]
    assert sum(sum(layer.tables.values()) for layer in layers) == ops.count("table")
    assert sum(layer.adders for layer in layers) == sum(
        op in ("add", "sub", "sum") for op in ops
    )
    assert sum(layer.clips for layer in layers) == ops.count("clip")
    assert sum(layer.register_bits for layer in layers) == schedule.register_bits(
        netlist
    )
    assert sum(layer.luts for layer in layers) == sum(
        area.luts(node, [netlist.nodes[a] for a in node.args]) for node in netlist.nodes
    )
    assert len({layer.name for layer in layers}) == len(layers)


@given(netlists())
def test_no_layer_is_slower_than_the_block_nor_the_block_than_all_layers(netlist):
    layers = account(netlist, pipeline(netlist, SLOW_MHZ))
    longest = longest_ns(netlist)
    assert all(layer.delay_ns <= longest + 1e-9 for layer in layers)


def test_a_node_without_a_layer_belongs_to_its_reader():
    network = lower(random_network(1, shape=(3, 4, 2)), "b")
    names = layer_names(network)
    for i, (node, name) in enumerate(zip(network.nodes, names, strict=True)):
        readers = [k for k, other in enumerate(network.nodes) if i in other.args]
        if node.op == "input":
            assert name == PORTS
        elif node.layer:
            assert name == node.layer
        else:
            assert name == (names[readers[0]] if readers else PORTS)


def test_the_account_of_a_block_written_by_hand():
    ports, lut1, code1 = account(NETLIST, pipeline(NETLIST, 100))
    assert (ports.name, ports.register_bits, ports.luts) == (PORTS, 16, 0.0)
    assert (lut1.tables, lut1.adders, lut1.operands) == ({2: 1, 4: 1}, 1, 2)
    # Tables of 4 and 2 address bits, 3 bits each, at half a LUT; an adder of 5 bits.
    assert lut1.luts == 3 / 2 + 3 / 2 + 5
    assert (code1.clips, code1.luts, code1.stages) == (1, 3.0, (0, 0))


def test_the_timing_report_says_cycles_and_layers_and_that_it_estimates():
    schedule = pipeline(NETLIST, 100, pad_to=4)
    told = json.loads(timing_json(NETLIST, schedule))
    assert told["latency_cycles"] == 4
    assert told["latency_ns"] == 40.0
    assert told["register_bits"] == schedule.register_bits(NETLIST)
    assert "estimate" in told["label"]
    assert "estimate" in told["luts_label"]
    assert [layer["name"] for layer in told["layers"]] == [PORTS, "lut1", "code1"]
