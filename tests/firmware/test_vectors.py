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
    assert [name for name, _ in made.groups] == ["physics", "random", "corners"]
    assert dict(made.groups)["random"] == 7
    assert np.array_equal(made.words[:5], PHYSICS)


def test_one_seed_gives_one_set_and_another_seed_another():
    first, again, other = (
        vectors.make(tiny.NETLIST, PHYSICS, random=50, seed=seed).words
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_corners_hold_all_extremes_and_each_port_alone_at_each_of_its_own():
    made = vectors.make(tiny.NETLIST, PHYSICS[:0], random=0, seed=0)
    rows = {tuple(row) for row in made.words.tolist()}
    assert {(-8, 0), (7, 7), (0, 0), (-1, 3)} <= rows
    assert {(-8, 3), (7, 3), (-1, 0), (-1, 7)} <= rows  # one at its end, one in mid
    assert {(1, 3), (2, 3), (4, 3), (-1, 1), (-1, 2), (-1, 4)} <= rows  # single bits


def test_hex_text_is_twos_complement_of_the_ports_width():
    columns = [Node("input", (), -8, 7), Node("input", (), 0, 300)]
    words = np.array([[-8, 0], [-1, 300], [7, 1]])
    assert vectors.to_hex(words, columns) == "8 000\nf 12c\n7 001\n"
