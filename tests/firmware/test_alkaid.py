"""An outside opinion: alkaid builds the same functions and gives the same numbers.

The builder is that of the benchmark, which writes a netlist as somebody who knows alkaid
would: its tables, sums, saturation, wrapping and multiplexers, interpreted by its own
C++ interpreter.  Conventional layers are written as it takes them, `x @ W`.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from every_operation import every_operation, every_word
from hypothesis import Phase, assume, given, settings
from random_netlists import all_words, netlists
from random_networks import random_network, random_words
from test_cmvm import dense, layer

from firmware import cmvm
from firmware.interpret import run
from firmware.lower import lower, translate
from firmware.netlist import Netlist, to_json
from models import frozen

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

alkaid = pytest.importorskip("alkaid.trace", reason="alkaid is not installed")
peer = pytest.importorskip("peer_alkaid")
pytestmark = pytest.mark.skipif(bool(cmvm.missing()), reason=cmvm.missing() or "there")


def in_alkaid(netlist: Netlist, words: np.ndarray) -> np.ndarray:
    """What alkaid's interpreter says; it counts in doubles."""
    raw = json.loads(to_json(netlist))
    answers = [
        alkaid.trace(*peer.build(raw, bias_inside=inside)).predict(
            np.ascontiguousarray(words, np.float64)
        )
        for inside in (True, False)
    ]
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], np.rint(answers[0]))
    return answers[0].reshape(len(words), -1).astype(np.int64)


def test_every_operation_is_what_alkaid_says():
    netlist, words = every_operation(), every_word()
    assert np.array_equal(in_alkaid(netlist, words), run(netlist, words))


def settled(netlist: Netlist, words: np.ndarray) -> bool:
    """Whether a value never changes though its interval would allow it to, as `a - a`.

    alkaid makes a plain number of it, which its tables do not take.
    """
    every = tuple((f"n{i}", i) for i in range(len(netlist.nodes)))
    values = run(replace(netlist, outputs=every), words)
    still = np.all(values == values[0], axis=0)
    return any(s and n.lo < n.hi for s, n in zip(still, netlist.nodes, strict=True))


@settings(max_examples=60, phases=[Phase.generate])  # shrinking takes minutes
@given(netlists())
def test_any_netlist_is_what_alkaid_says(netlist):
    words = all_words(netlist)
    assume(not settled(netlist, words))
    assert np.array_equal(in_alkaid(netlist, words), run(netlist, words))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("smooth", [True, False])
def test_a_network_of_tables_is_what_alkaid_says_before_and_after_the_passes(
    seed, smooth
):
    network = random_network(seed, shape=(8, 8, 3), smooth=smooth)
    words = random_words(network, 5000, seed)
    plain = translate(network, "b")
    answers = in_alkaid(plain, words)
    assert np.array_equal(answers, run(lower(network, "b"), words))
    assert np.array_equal(answers, in_alkaid(lower(network, "b"), words))


def test_dense_layers_are_what_alkaid_says_of_the_matrix():
    matrix = dense((12, 10), 6)
    program = layer(matrix, bias=-7)
    words = random_words(program, 2000)
    inputs = alkaid.FVArrayInput((len(matrix),))
    one = np.ones(len(matrix), int)
    sums = inputs.quantize(one, 7 * one, 0 * one) @ matrix.astype(float) - 7.0
    answers = alkaid.trace(inputs, sums).predict(words.astype(np.float64))
    expected = frozen.run(program, words)
    assert np.array_equal(answers, expected)
    for solver in (True, False):
        netlist = lower(program, "b", solver=solver)
        assert np.array_equal(run(netlist, words), expected)


def test_the_opinion_is_one_that_can_differ():
    netlist, words = every_operation(), every_word()
    table = (netlist.tables[0][0] ^ 1, *netlist.tables[0][1:])
    wrong = json.loads(to_json(netlist))
    wrong["tables"][0] = list(table)
    answers = alkaid.trace(*peer.build(wrong, bias_inside=True)).predict(
        words.astype(np.float64)
    )
    assert not np.array_equal(answers, run(netlist, words))
