"""The proof at its full length: six forms of one network agree on a million words."""

import numpy as np
from random_networks import random_network
from test_verilog import interface_of

from firmware import binding, cpp, in_jax, interpret, vectors, verilog
from firmware.lower import lower
from firmware.pipeline import pipeline
from firmware.prove import compare, passed, prove
from models import frozen

EVENTS = 1_000_000


def jets(network, events):
    """Words as physics has them: most near the middle, some at the ends of the ports."""
    rng = np.random.default_rng(5)
    ends = np.array([port.interval for port in network.inputs])
    middle, spread = ends.mean(axis=1), np.ptp(ends, axis=1) / 5
    common = rng.normal(size=(events, 1))  # what makes the ports depend on each other
    words = middle + spread * (
        0.7 * common + 0.7 * rng.normal(size=(events, len(ends)))
    )
    return np.clip(np.rint(words), *ends.T).astype(np.int64)


def test_all_forms_of_a_network_agree_on_a_million_words(tmp_path):
    network = random_network(3, shape=(8, 6, 3), density=0.9)
    netlist = lower(network, "million_v1_0_0")
    made = vectors.make(
        netlist, jets(network, 300_000), random=EVENTS - 300_000, seed=1
    )
    words = made.words
    assert len(words) > EVENTS

    expected = frozen.run(network, words)
    assert np.array_equal(interpret.run(netlist, words), expected)
    assert np.array_equal(in_jax.compile(netlist)(words), expected)
    schedule = pipeline(netlist, 360)
    checks = prove(
        netlist,
        verilog.emit(netlist, schedule, interface_of(netlist)),
        cpp.emit(netlist) | binding.emit(netlist),
        words,
        expected,
        cycles=schedule.cycles,
        folder=tmp_path,
    )
    assert passed({"network": compare(expected, expected), **checks})
    assert checks["numpy"].words == checks["cpp"].words == len(words)
    assert checks["verilog"].words > len(words)  # gaps and resets come on top
    assert all(len(np.unique(column)) > 50 for column in expected.T)
