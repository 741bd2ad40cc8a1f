from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from random_networks import programs, random_network, random_words

from firmware.delay import disjoint
from firmware.interpret import run
from firmware.lower import lower, translate
from firmware.netlist import to_json, validate
from models import frozen
from models.frozen import FrozenPort
from models.symbols import Recorder
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
def test_a_lowered_network_computes_what_its_program_says(options, seed):
    network = random_network(seed, **options)
    words = random_words(network, 500, seed)
    expected = frozen.run(network, words)
    plain, lowered = translate(network, "b"), lower(network, "b")
    validate(plain)
    assert np.array_equal(run(plain, words), expected)
    assert np.array_equal(run(lowered, words), expected)


@given(programs())
def test_any_program_is_lowered_exactly(program):
    frozen.validate(program)
    corners = [[p.interval[0], p.interval[1]] for p in program.inputs]
    extreme = np.stack(np.meshgrid(*corners), axis=-1).reshape(-1, 2)
    words = np.concatenate([extreme, random_words(program, 200)])
    expected = frozen.run(program, words)
    for netlist in (translate(program, "b"), lower(program, "b")):
        validate(netlist)
        assert np.array_equal(run(netlist, words), expected)


def lowered_sums(*rows, biases=None, bits=8):
    """The netlist of one weighted sum of signed words for every row of weights."""
    recorder = Recorder()
    words = [
        recorder.input(FrozenPort(f"x{i}", bits, True)) for i in range(len(rows[0]))
    ]
    sums = [
        recorder.sum(words, row, bias)
        for row, bias in zip(rows, biases or [0] * len(rows), strict=True)
    ]
    outputs = [(f"y{j}", node) for j, node in enumerate(sums)]
    return lower(recorder.finish(outputs, 1.0), "b", solver=False)


def adders(netlist):
    """Additions of two, a sum of `n` terms counting `n - 1`; some are mere wiring."""
    counted = 0
    for node in netlist.nodes:
        args = [netlist.nodes[a] for a in node.args]
        if node.op in ("sub", "sum") or (node.op == "add" and not disjoint(*args)):
            counted += len(args) - 1
    return counted


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        ([(1, 1, 1)], 2),
        ([(1, -1, 4)], 2),
        ([(8, -16)], 1),
        ([(7, 0)], 1),  # 8 x - x
        ([(-7, 0)], 1),  # x - 8 x
        ([(-1, -2, -4)], 3),  # two additions and one negation
        ([(11, 1)], 3),  # 16 x - 4 x - x + y
        ([(5, 1), (1, -20)], 4),  # of either word its own multiple
        ([(5, 1), (-20, 1), (10, 3)], 5),  # 5 x is made once; 3 y is 4 y - y
    ],
    ids=str,
)
def test_a_sum_takes_one_adder_for_each_digit_but_one(rows, count):
    netlist = lowered_sums(*rows)
    assert adders(netlist) == count
    words = np.random.default_rng(0).integers(-128, 128, (50, len(rows[0])))
    assert np.array_equal(run(netlist, words), words @ np.array(rows).T)


def test_a_bias_is_one_more_term():
    assert adders(lowered_sums((3, -1), biases=[5])) == 3
    assert adders(lowered_sums((-1,), biases=[5])) == 1


def test_minus_terms_are_added_among_themselves_and_taken_away_at_the_end():
    netlist = lowered_sums((1, 1, 1, -1, 1, -1, 1, 1))
    kinds = Counter(n.op for n in netlist.nodes if n.op != "input")
    assert kinds == {"sum": 1, "add": 1, "sub": 1}


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
    assert [n for n, _ in netlist.outputs] == [n for n, _ in network.outputs]


def test_nodes_name_their_layer():
    netlist = lower(random_network(0), "b")
    layers = {node.layer for node in netlist.nodes if node.op not in ("input", "const")}
    assert layers == {"lut1", "code1", "lut2"}


def test_a_table_is_indexed_by_its_argument_from_the_least_on():
    recorder = Recorder()
    table = recorder.table(
        recorder.input(FrozenPort("x", 2, signed=True)),
        lambda v: {-2: 11, -1: 21, 0: 41, 1: 31}[v],
    )
    netlist = lower(recorder.finish([("y", table)], 1.0), "b")
    words = np.array([[-2], [-1], [0], [1]])
    assert run(netlist, words).ravel().tolist() == [11, 21, 41, 31]


def test_a_program_that_does_not_hold_is_refused():
    program = random_network(0, shape=(2, 2))
    broken = frozen.FrozenProgram(program.inputs, program.ops, (("y", 99),), 1.0)
    with pytest.raises(UserError, match="output 'y' points to operation 99"):
        lower(broken, "b")


def test_a_unit_of_no_bits_is_the_code_zero():
    recorder = Recorder()
    word = recorder.input(FrozenPort("x", 4, signed=False))
    code = recorder.clip(recorder.shift(word, -1), 0, 0)
    table = recorder.table(code, lambda v: v + 3)
    program = recorder.finish([("y", table)], 1.0)
    netlist = lower(program, "b")
    words = random_words(program, 20)
    assert np.array_equal(run(netlist, words), np.full((20, 1), 3))
    assert {n.op for n in netlist.nodes} == {"input", "const"}
