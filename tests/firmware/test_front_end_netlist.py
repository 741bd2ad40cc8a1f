"""The front end in gates against the front end in NumPy, and in front of a network."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware import interpret
from firmware.build import Builder
from firmware.front_end import attach, comparators, front_netlist
from firmware.netlist import validate
from firmware.passes import optimise
from firmware.pipeline import pipeline
from trigger.errors import UserError
from trigger.front_end import FEATURES, FrontEnd


def words_of(front: FrontEnd, count: int, seed: int) -> np.ndarray:
    """Counts of all sizes, the ends of every word among them."""
    rng = np.random.default_rng(seed)
    ports = front.ports()
    words = np.stack(
        [rng.integers(w.range[0], w.range[1] + 1, count) for w in ports], axis=1
    )
    words[:, 3::4] >>= rng.integers(0, 15, (count, front.particles))
    words[:, 0] >>= rng.integers(0, 15, count)
    for end in (0, 1):
        for column, word in enumerate(ports):
            words[end * len(ports) + column, column] = word.range[end]
    words[-1], words[-2] = ([w.range[end] for w in ports] for end in (0, 1))
    return words


@settings(deadline=None, max_examples=15)
@given(
    particles=st.integers(1, 6),
    features=st.sets(st.sampled_from(FEATURES), min_size=1),
    order=st.sampled_from(["declared", "sorted"]),
    angle_bits=st.integers(2, 12),
    log_steps=st.sampled_from([1, 4, 16]),
    relative_bits=st.integers(1, 10),
)
def test_gates_compute_the_integers_of_numpy(
    particles, features, order, angle_bits, log_steps, relative_bits
):
    chosen = tuple(sorted(features))
    front = FrontEnd(particles, chosen, order, angle_bits, log_steps, relative_bits)
    netlist = front_netlist(front, "front_v1")
    validate(netlist)
    words = words_of(front, 300, particles)
    np.testing.assert_array_equal(interpret.run(netlist, words), front.run(words))


def test_the_passes_keep_a_whole_front_end():
    front = FrontEnd(4, FEATURES, "sorted")
    netlist = optimise(front_netlist(front, "front_v1"), 360.0)
    validate(netlist)
    assert pipeline(netlist, 360.0).cycles > 1
    words = words_of(front, 2000, 1)
    np.testing.assert_array_equal(interpret.run(netlist, words), front.run(words))


@pytest.mark.parametrize("size", range(1, 12))
def test_comparators_sort_every_row_of_zeros_and_ones(size):
    # The zero-one principle (Knuth 5.3.4Z): a network that sorts these sorts all.
    rows = (np.arange(1 << size)[:, None] >> np.arange(size)) & 1
    for a, b in comparators(size):
        assert 0 <= a < b < size
        pair = rows[:, [a, b]]
        rows[:, a], rows[:, b] = pair.max(axis=1), pair.min(axis=1)
    assert (np.diff(rows, axis=1) <= 0).all()


def body(front: FrontEnd, *, bits: int | None = None):
    """A network that adds all it reads."""
    into = Builder("whole_v1")
    made = [
        into.input(w.name, *(w.range if bits is None else (0, (1 << bits) - 1)))
        for w in front.outputs()
    ]
    return into.finish([("score", into.sum(made))])


def test_a_network_behind_a_front_end_reads_its_words():
    front = FrontEnd(5, ("delta_eta", "log_pt_rel", "charge"))
    whole = attach(front_netlist(front, "front_v1"), body(front))
    validate(whole)
    assert whole.block == "whole_v1"
    words = words_of(front, 500, 2)
    np.testing.assert_array_equal(
        interpret.run(whole, words)[:, 0], front.run(words).sum(axis=1)
    )


def test_a_network_of_other_words_is_refused():
    front, other = FrontEnd(2, ("delta_eta",)), FrontEnd(2, ("delta_phi",))
    with pytest.raises(UserError) as refused:
        attach(front_netlist(front, "front_v1"), body(other))
    assert str(refused.value) == (
        "the front end of block 'whole_v1' gives 2 words (c0_delta_eta, c1_delta_eta, "
        "...), the network reads 2 (c0_delta_phi, c1_delta_phi, ...); the names must be "
        "the same"
    )


def test_a_network_of_narrower_words_is_refused():
    front = FrontEnd(2, ("delta_eta",))
    with pytest.raises(UserError) as refused:
        attach(front_netlist(front, "front_v1"), body(front, bits=3))
    assert "'c0_delta_eta' comes out of the front end as -256..255" in str(
        refused.value
    )
    assert "the network reads 0..7" in str(refused.value)
