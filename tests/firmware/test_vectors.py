"""Golden vectors: what is in them, and their text."""

import numpy as np
import tiny_block as tiny
from hypothesis import given
from hypothesis import strategies as st

from firmware import interpret, vectors
from firmware.netlist import Netlist, Node

PHYSICS = tiny.every_word()[:5]


@st.composite
def ports(draw):
    """A netlist of input ports of any interval, each passed through."""
    nodes = []
    for k in range(draw(st.integers(1, 5))):
        lo = draw(st.integers(-(2**31), 2**31 - 1))
        hi = draw(st.integers(lo, 2**31 - 1))
        nodes.append(Node("input", (), lo, hi, name=f"p{k}"))
    outputs = tuple((f"o{k}", k) for k in range(len(nodes)))
    return Netlist("ports", tuple(nodes), (), outputs)


@given(ports(), st.integers(0, 20), st.integers(0, 2**32))
def test_every_word_is_inside_its_port(netlist, uniform, seed):
    none = np.zeros((0, len(netlist.nodes)), np.int64)
    made = vectors.make(netlist, none, random=uniform, seed=seed)
    assert np.array_equal(interpret.run(netlist, made.words), made.words)
    assert sum(count for _, count in made.groups) == len(made.words)


def test_groups_follow_each_other_and_physics_comes_first():
    made = vectors.make(tiny.NETLIST, PHYSICS, random=7, seed=1)
    names = ["physics", "random", "extremes", "ports", "bits"]
    assert [name for name, _ in made.groups] == names
    assert dict(made.groups)["random"] == 7
    assert np.array_equal(made.words[:5], PHYSICS)


def test_one_seed_gives_one_set_and_another_seed_another():
    first, again, other = (
        vectors.make(tiny.NETLIST, PHYSICS, random=50, seed=seed).words
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def group(name):
    made = vectors.make(tiny.NETLIST, PHYSICS[:0], random=3, seed=0)
    counts = dict(made.groups)
    start = sum(counts[before] for before in list(counts)[: list(counts).index(name)])
    return [tuple(row) for row in made.words[start : start + counts[name]].tolist()]


def test_extremes_hold_all_ports_at_their_least_and_greatest_zero_and_middle():
    assert group("extremes") == [(-8, 0), (7, 7), (0, 0), (-1, 3)]


def test_each_port_stands_alone_at_each_of_its_extremes():
    rows = group("ports")
    assert {(-8, 3), (7, 3), (-1, 0), (-1, 7)} <= set(rows)
    assert len(rows) == 2 * 2 * 2  # ports, ends, among middle words and random ones


def test_each_single_bit_is_set_alone_the_sign_included():
    rows = group("bits")
    alone = {(1, 0), (2, 0), (4, 0), (-8, 0), (0, 1), (0, 2), (0, 4)}
    assert {row for row in rows if 0 in row} >= alone
    assert {(1, 3), (-8, 3), (-1, 4)} <= set(rows)  # and among middle words
    assert len(rows) == 3 * len(alone)


@given(ports(), st.integers(0, 99))
def test_every_bit_of_every_port_is_high_and_low_at_some_event(netlist, seed):
    none = np.zeros((0, len(netlist.nodes)), np.int64)
    made = vectors.make(netlist, none, random=0, seed=seed)
    full = [n.hi - n.lo + 1 == 2**n.width for n in netlist.nodes]
    for k in np.flatnonzero(full):
        raw = made.words[:, k] & ((1 << netlist.nodes[k].width) - 1)
        assert np.bitwise_or.reduce(raw) == (1 << netlist.nodes[k].width) - 1
        assert np.bitwise_and.reduce(raw) == 0


def test_hex_text_is_twos_complement_of_the_ports_width():
    columns = [Node("input", (), -8, 7), Node("input", (), 0, 300)]
    words = np.array([[-8, 0], [-1, 300], [7, 1]])
    assert vectors.to_hex(words, columns) == "8 000\nf 12c\n7 001\n"


def test_a_bit_of_very_many_stands_among_random_words_alone(monkeypatch):
    of_each = len(group("bits")) // 3
    monkeypatch.setattr(vectors, "MANY_BITS", of_each)
    assert len(group("bits")) == 3 * of_each
    monkeypatch.setattr(vectors, "MANY_BITS", of_each - 1)
    assert len(group("bits")) == of_each
