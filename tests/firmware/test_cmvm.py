"""Constant matrices: every way of writing one is the product, and the cheaper is taken."""

import json
import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import programs, random_words

from firmware import cmvm, lower
from firmware.build import Builder
from firmware.cmvm import adder_bits, signed_digits
from firmware.interpret import run
from firmware.netlist import to_json, validate
from firmware.passes import fold, optimise
from firmware.tree import plant_trees
from models import frozen
from models.frozen import FrozenPort
from models.symbols import Recorder

solver = pytest.mark.skipif(bool(cmvm.missing()), reason=cmvm.missing() or "there")


def rows_of(matrix):
    return [
        tuple((int(a), int(column[a])) for a in np.flatnonzero(column))
        for column in matrix.T
    ]


def plainly(matrix):
    rows = rows_of(matrix)
    multiples = Counter((a, cmvm.odd(w)) for row in rows for a, w in row)

    def several(a, factor):
        return multiples[a, factor] > 1

    return lambda into, args, layer: [
        cmvm.plain(into, args, row, layer, several) for row in rows
    ]


def written(way, intervals):
    """The netlist of all sums, one output each, without any pass."""
    into = Builder("b")
    args = [into.input(f"x{k}", lo, hi) for k, (lo, hi) in enumerate(intervals)]
    sums = [into.sum(terms, "m") for terms in way(into, args, "m")]
    return into.finish([(f"y{k}", node) for k, node in enumerate(sums)])


def dense(shape, bits, seed=0, density=0.5):
    """A random matrix as of a conventional layer."""
    rng = np.random.default_rng(seed)
    most = 2 ** (bits - 1)
    return rng.integers(1 - most, most, shape) * (rng.random(shape) < density)


@given(st.integers(-(2**40), 2**40))
def test_signed_digits_are_the_weight_and_no_two_are_adjacent(weight):
    digits = signed_digits(weight)
    assert sum(sign << power for sign, power in digits) == weight
    powers = [power for _, power in digits]
    assert all(b - a >= 2 for a, b in pairwise(powers))


@st.composite
def products(draw):
    """A matrix with columns that may be empty, and the interval of each input."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    weight = st.integers(-63, 63) | st.sampled_from((0, 0, 1, -1, 4, -(2**20), 12345))
    flat = draw(
        st.lists(weight, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
    )
    ends = st.tuples(st.integers(-200, 200), st.integers(1, 300))
    starts = draw(st.lists(ends, min_size=shape[0], max_size=shape[0]))
    return np.array(flat).reshape(shape), [(lo, lo + span) for lo, span in starts]


@solver
@settings(max_examples=40)
@given(products())
def test_either_way_is_the_product(case):
    matrix, intervals = case
    rng = np.random.default_rng(0)
    ends = lo, hi = np.array(intervals).T
    words = np.concatenate([ends, rng.integers(lo, hi + 1, (50, len(matrix)))])
    solved = cmvm.solved(rows_of(matrix), intervals)
    assert solved is not None
    for way in (plainly(matrix), solved):
        netlist = written(way, intervals)
        for after in (netlist, optimise(netlist)):
            validate(after)
            assert np.array_equal(run(after, words), words @ matrix)


@solver
@settings(max_examples=40)
@given(programs())
def test_any_program_with_the_solver_is_lowered_exactly(program):
    words = random_words(program, 200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lower, "WORTH", 0)
        patch.setattr(cmvm, "cheaper", lambda ways, _: ways[-1])  # the solver's
        netlist = lower.lower(program, "b")
    assert np.array_equal(run(netlist, words), frozen.run(program, words))


@solver
def test_the_solver_saves_a_tenth_of_the_adders_of_a_dense_layer():
    matrix, intervals = dense((16, 32), 6), [(-128, 127)] * 16
    plain, solved = plainly(matrix), cmvm.solved(rows_of(matrix), intervals)
    assert solved is not None
    bits = [
        adder_bits(plant_trees(fold(written(way, intervals))))
        for way in (plain, solved)
    ]
    assert bits[1] < 0.9 * bits[0]
    assert cmvm.cheaper((plain, solved), intervals) is solved
    assert cmvm.cheaper((solved, plain), intervals) is solved


def test_adder_bits_are_those_of_adders_written_by_hand():
    into = Builder("b")
    a, b = into.input("a", 0, 15), into.input("b", 0, 15)
    outputs = [into.add(a, b), into.sub(a, b), into.sub(a, into.shift(b, 2))]
    netlist = into.finish([(f"y{k}", node) for k, node in enumerate(outputs)])
    # Of a - 4 b the two lowest bits are a's.
    assert [adder_bits(netlist)] == [5 + 5 + (7 - 2)]


def layer(matrix, *, bias=3, port=(8, True)):
    """A frozen program of one dense layer."""
    recorder = Recorder()
    words = [recorder.input(FrozenPort(f"x{i}", *port)) for i in range(len(matrix))]
    with recorder.naming("dense1"):
        sums = [recorder.sum(words, column.tolist(), bias) for column in matrix.T]
    return recorder.finish([(f"y{j}", node) for j, node in enumerate(sums)], 1.0)


@solver
def test_a_dense_layer_is_lowered_with_the_solver_unless_that_is_switched_off():
    program = layer(dense((12, 12), 6))
    words = random_words(program, 300)
    with_it, without = (lower.lower(program, "b", solver=use) for use in (True, False))
    for netlist in (with_it, without):
        assert np.array_equal(run(netlist, words), frozen.run(program, words))
        assert {n.layer for n in netlist.nodes if n.op == "sum"} == {"dense1"}
    assert adder_bits(with_it) < adder_bits(without)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (None, "alkaid is not installed"),
        (SimpleNamespace(ALIR_SPEC_VERSION=5), "version 5, 4 is read"),
    ],
)
def test_without_the_solver_or_with_another_version_sums_are_plain(
    module, reason, monkeypatch
):
    program = layer(dense((6, 6), 6))
    cmvm.missing.cache_clear()
    monkeypatch.setitem(sys.modules, "alkaid.types", module)
    try:
        assert reason in cmvm.missing()
        assert cmvm.solved([((0, 3),)], [(0, 7)]) is None
        plain = lower.lower(program, "b", solver=False)
        assert to_json(lower.lower(program, "b")) == to_json(plain)
    finally:
        cmvm.missing.cache_clear()


@solver
def test_weights_beyond_single_precision_are_not_given_to_the_solver():
    assert cmvm.solved([((0, 2**24 + 1),)], [(0, 7)]) is None
    program = layer(np.array([[2**24 + 1, 3, 5], [7, 11, 13]]))
    words = random_words(program, 50)
    netlist = lower.lower(program, "b")
    assert np.array_equal(run(netlist, words), frozen.run(program, words))


def test_an_operation_of_the_solver_that_is_no_addition_is_a_bug_told():
    multiply = SimpleNamespace(opcode=7, addr=(0, 0), data=())
    program = SimpleNamespace(ops=[multiply], out_idxs=[0])
    with pytest.raises(ValueError, match="operation 7 is no addition"):
        cmvm._translated(Builder("b"), program, [], "")


@solver
def test_the_same_program_gives_the_same_bytes_on_any_number_of_threads(tmp_path):
    program = layer(dense((12, 12), 6))
    code = (
        "import json, sys, numpy as np; sys.path[:0] = json.loads(sys.argv[1]); "
        "from test_cmvm import layer, dense; from firmware import lower, netlist; "
        "sys.stdout.write(netlist.to_json("
        "lower.lower(layer(dense((12, 12), 6)), 'b')))"
    )
    texts = {to_json(lower.lower(program, "b"))}
    for threads in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(sys.path)],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": threads},
        )
        texts.add(done.stdout)
    assert len(texts) == 1


def test_sums_of_one_layer_that_read_the_same_are_one_matrix():
    recorder = Recorder()
    x = [recorder.input(FrozenPort(f"x{i}", 4, True)) for i in range(5)]
    with recorder.naming("one"):
        first = [recorder.sum(x[:3], weights) for weights in ([3, 5, 7], [5, 9, 11])]
        apart = recorder.sum(x[3:], [3, 5])
        above = recorder.sum([*first, x[0]], [1, 1, 1])
    with recorder.naming("two"):
        other = recorder.sum(x[:3], [7, 7, 1])
    outputs = [("x", apart), ("y", other), ("z", above)]
    program = recorder.finish(outputs, 1.0)
    found = [matrix.sums for matrix in lower.gather(program)]
    assert found == [first, [apart], [above], [other]]


def test_a_matrix_beyond_the_limit_is_cut(monkeypatch):
    monkeypatch.setattr(lower, "LARGEST", 12)
    program = layer(np.arange(3, 19).reshape(2, 8))
    assert [len(matrix.sums) for matrix in lower.gather(program)] == [6, 2]
