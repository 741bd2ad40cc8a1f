import dataclasses

import numpy as np
import pytest
from random_networks import evaluate, random_network, random_words

from firmware.interpret import run
from firmware.lower import lower, translate
from firmware.netlist import to_json, validate
from models.frozen import FrozenNetwork, FrozenPort, FrozenRequantise, FrozenTables
from trigger.errors import UserError

SHAPES = [
    {"shape": (16, 20, 5)},
    {"shape": (16, 20, 5), "smooth": False, "density": 1.0, "address": (3, 6)},
    {"shape": (3, 4, 4, 2), "port_bits": (1, 6), "code_bits": (1, 4)},
    {"shape": (5, 2), "address": (1, 5)},
    {"shape": (4, 6, 3), "density": 0.15},
]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_a_lowered_network_computes_what_its_layers_say(options, seed):
    network = random_network(seed, **options)
    words = random_words(network, 500, seed)
    expected = evaluate(network, words)
    plain, lowered = translate(network, "b"), lower(network, "b")
    validate(plain)
    assert np.array_equal(run(plain, words), expected)
    assert np.array_equal(run(lowered, words), expected)


def test_the_same_network_gives_the_same_bytes():
    texts = {to_json(lower(random_network(2), "b")) for _ in range(2)}
    assert len(texts) == 1


def test_ports_and_outputs_keep_their_names_and_order():
    network = random_network(0, density=0.1)
    netlist = lower(network, "b")
    ports = [netlist.nodes[i] for i in netlist.inputs]
    assert [port.name for port in ports] == [port.name for port in network.inputs]
    assert [port.signed for port in ports] == [p.signed for p in network.inputs]
    assert [port.width for port in ports] == [p.bits for p in network.inputs]
    assert tuple(name for name, _ in netlist.outputs) == network.outputs


def test_nodes_name_their_layer():
    netlist = lower(random_network(0), "b")
    layers = {node.layer for node in netlist.nodes if node.op not in ("input", "const")}
    assert layers == {"lut1", "code1", "lut2"}


def table_layer(entries, bits=(2,)):
    return FrozenTables(
        "lut1",
        np.array(bits),
        tuple((np.array(row),) for row in entries),
        np.zeros((len(entries), 1), np.int64),
        np.array([1]),
    )


def network_of(*layers, outputs=("y",)):
    port = FrozenPort("x", 2, signed=True)
    return FrozenNetwork((port,), layers, outputs, 1.0)


def test_a_table_is_indexed_by_the_code_and_not_by_the_word():
    netlist = lower(network_of(table_layer([[10, 20, 40, 30]])), "b")
    words = np.array([[-2], [-1], [0], [1]])
    assert run(netlist, words).ravel().tolist() == [11, 21, 41, 31]


def test_a_table_of_the_wrong_length_is_refused():
    with pytest.raises(UserError, match="from input 0 to unit 0 has 3 entries"):
        lower(network_of(table_layer([[1, 2, 3]])), "b")
    with pytest.raises(UserError, match="has 8 entries; a power of two up to 4"):
        lower(network_of(table_layer([[1] * 8])), "b")


def test_layers_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"reads codes of \[3\] bits.* makes \[2\]"):
        lower(network_of(table_layer([[1, 2]], bits=(3,))), "b")
    two = np.zeros(2, np.int64)
    requantise = FrozenRequantise("code1", two, two, two)
    with pytest.raises(UserError, match="'code1' requantises 2 units"):
        lower(network_of(table_layer([[1, 2]]), requantise), "b")
    with pytest.raises(UserError, match="names 2 outputs, its last layer has 1"):
        lower(network_of(table_layer([[1, 2]]), outputs=("y", "z")), "b")


def test_a_unit_of_no_bits_is_the_code_zero():
    network = random_network(3, shape=(3, 4, 2))
    requantise = network.layers[1]
    assert isinstance(requantise, FrozenRequantise)
    none = dataclasses.replace(requantise, bits=np.zeros(4, np.int64))
    tables = network.layers[2]
    assert isinstance(tables, FrozenTables)
    one = tuple(tuple(entries[:1] for entries in row) for row in tables.tables)
    last = dataclasses.replace(tables, bits=np.zeros(4, np.int64), tables=one)
    dead = dataclasses.replace(network, layers=(network.layers[0], none, last))
    words = random_words(dead, 20)
    netlist = lower(dead, "b")
    assert np.array_equal(run(netlist, words), evaluate(dead, words))
    assert {n.op for n in netlist.nodes} == {"input", "const"}
