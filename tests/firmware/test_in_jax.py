"""The emulator in JAX: its answers, its limits, what it costs to compile."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_block as tiny
from every_operation import every_operation, every_word
from hypothesis import given, settings
from random_netlists import all_words, netlists
from random_networks import random_network, random_words
from test_cpp import wide_netlist

from firmware import in_jax, interpret, vectors
from firmware.build import Builder
from firmware.lower import lower, translate
from firmware.netlist import Netlist, Node
from trigger.errors import UserError


def test_it_equals_the_drawing_on_every_word():
    words = tiny.every_word()
    assert np.array_equal(in_jax.compile(tiny.NETLIST)(words), tiny.evaluate(words))


def test_it_equals_the_referee_on_each_operation_in_each_form():
    netlist, words = every_operation(), every_word()
    assert np.array_equal(in_jax.compile(netlist)(words), interpret.run(netlist, words))


@settings(max_examples=40)
@given(netlists())
def test_it_equals_the_referee_on_every_word_of_any_netlist(netlist):
    words = all_words(netlist)
    assert np.array_equal(in_jax.compile(netlist)(words), interpret.run(netlist, words))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("make", [lower, translate])
def test_it_equals_the_referee_on_a_network(make, seed):
    network = random_network(seed, shape=(8, 6, 3))
    netlist, words = make(network, "b"), random_words(network, 3000)
    assert np.array_equal(in_jax.compile(netlist)(words), interpret.run(netlist, words))


@pytest.mark.parametrize("seed", range(2))
def test_wide_values_need_64_bits_and_are_exact_with_them(seed):
    netlist = wide_netlist(seed)
    nothing = np.zeros((0, len(netlist.inputs)), np.int64)
    words = vectors.make(netlist, nothing, random=300, seed=seed).words
    with pytest.raises(UserError, match=r"node \d+ \(.*jax_enable_x64"):
        in_jax.compile(netlist)
    with jax.enable_x64(True):
        answers = in_jax.compile(netlist)(words)
    assert answers.dtype == np.int64
    assert np.array_equal(answers, interpret.run(netlist, words))


def test_a_sum_that_overflows_on_the_way_comes_back():
    into = Builder("b")
    a, b = into.input("a", 0, 2**30), into.input("b", 0, 2**30)
    far = into.clip(into.sub(a, b), -5, 5)
    wide = into.sum([a, a, into.const(5 - 2**31), far])
    netlist = into.finish([("y", wide)])
    words = np.array([[2**30, 0], [0, 2**30], [2**30, 2**30], [7, 2]])
    assert np.array_equal(in_jax.compile(netlist)(words), interpret.run(netlist, words))


@pytest.mark.parametrize("bits", [31, 32, 40])
@pytest.mark.parametrize("twos", [True, False])
def test_a_wrap_to_as_many_bits_as_a_value_has_keeps_it(bits, twos):
    into = Builder("b")
    a = into.input("a", 0, 2**31 - 1)
    netlist = into.finish([("y", into.wrap(a, bits, twos))])
    words = np.array([[0], [1], [2**30 - 1], [2**30], [2**31 - 1]])
    assert np.array_equal(in_jax.compile(netlist)(words), interpret.run(netlist, words))


@pytest.mark.parametrize("events", [0, 1, 4, 5, 31])
def test_every_number_of_events_is_answered(events):
    words = np.resize(tiny.every_word(), (events, 2))
    answers = in_jax.compile(tiny.NETLIST, together=5)(words)
    assert answers.shape == (events, 2)
    assert events == 0 or np.array_equal(answers, tiny.evaluate(words))


def test_words_outside_a_port_saturate():
    beyond = np.array([[-9, 8], [-(2**40), 2**40], [8, -1]])
    nearest = np.array([[-8, 7], [-8, 7], [7, 0]])
    run = in_jax.compile(tiny.NETLIST)
    assert np.array_equal(run(beyond), run(nearest))


def test_it_runs_inside_other_jitted_functions():
    run = in_jax.compile(tiny.NETLIST)
    rate = jax.jit(lambda words, cut: jnp.mean(run(words)[:, 0] >= cut))
    words = tiny.every_word()
    expected = np.mean(tiny.evaluate(words)[:, 0] >= 3)
    assert float(rate(jnp.asarray(words), 3)) == pytest.approx(expected)


def test_another_number_of_columns_is_refused():
    with pytest.raises(UserError, match=r"2 input ports.*\(5, 3\)"):
        in_jax.compile(tiny.NETLIST)(np.zeros((5, 3), np.int64))


def test_a_netlist_of_constants_answers():
    netlist = Netlist("c", (Node("const", (), 7, 7),), (), (("y", 0),))
    answers = in_jax.compile(netlist)(np.zeros((3, 0), np.int64))
    assert np.array_equal(answers, [[7]] * 3)


def test_a_large_network_takes_few_steps():
    netlist = translate(random_network(5, shape=(16, 32, 20, 5)), "b")
    assert len(netlist.nodes) > 1500
    words = jnp.zeros((8, 16), jnp.int32)
    program = str(jax.make_jaxpr(in_jax.compile(netlist))(words))
    assert program.count("dynamic_update_slice") < 60


def test_what_verifies_a_bundle_does_not_import_jax():
    asked = "import firmware.verify, sys; sys.exit('jax' in sys.modules)"
    root = Path(in_jax.__file__).parents[1]
    subprocess.run([sys.executable, "-c", asked], cwd=root, check=True)
