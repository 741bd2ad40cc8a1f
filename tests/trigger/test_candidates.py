"""Words of a link from jets, against integers by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_of_jets import sample_of

from trigger.candidates import link_words
from trigger.errors import UserError
from trigger.front_end import FrontEnd
from trigger.records import pdg_of_kind

STEP = math.pi / 720  # of eta and phi; momenta are in steps of 0.25 GeV

kinds = st.integers(0, 7)
counts = st.tuples(
    *(st.integers(1, 2**14 - 1), st.integers(-1000, 1000), st.integers(-720, 719)),
    kinds,
)


@st.composite
def jets_in_counts(draw):
    """Jets as integers on the link, each with some particles of falling momentum."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        axis = draw(counts)[:3]
        particles = draw(st.lists(counts, max_size=6))
        found.append((axis, sorted(particles, key=lambda one: -one[0])))
    return found


def physical(count):
    """Momentum and angles of some counts, and the PDG number where there is a kind."""
    pt, eta, phi, *kind = count
    pdg = pdg_of_kind(np.array(kind)).tolist() if kind else ()
    return (pt * 0.25, eta * STEP, phi * STEP, *pdg)


@given(jets_in_counts(), st.integers(1, 8))
def test_words_are_the_counts_jet_by_jet_and_padded_with_zeros(found, places):
    jets = [(physical(axis), [physical(p) for p in mine]) for axis, mine in found]
    expected = []
    for axis, mine in found:
        each = [*mine[:places], *[(0, 0, 0, 0)] * (places - len(mine))]
        expected.append([*axis, *(number for one in each for number in one)])
    words = link_words(sample_of(jets), FrontEnd(places))
    assert words.tolist() == expected


@given(jets_in_counts(), st.integers(-3, 3))
def test_whole_turns_change_no_word(found, turns):
    def turned(one):
        pt, eta, phi, *kind = physical(one)
        return (pt, eta, phi + turns * 2 * math.pi, *kind)

    plain = [(physical(axis), [physical(p) for p in mine]) for axis, mine in found]
    other = [(turned(axis), [turned(p) for p in mine]) for axis, mine in found]
    front = FrontEnd(4)
    assert np.array_equal(
        link_words(sample_of(plain), front), link_words(sample_of(other), front)
    )


def words_of(axis=(50.0, 0.0, 0.0), particle=(10.0, 0.0, 0.0, 22)):
    return link_words(sample_of([(axis, [particle])]), FrontEnd(1))[0].tolist()


@pytest.mark.parametrize("phi", [math.pi, -math.pi, math.nextafter(math.pi, 0)])
def test_half_a_turn_is_the_negative_end_of_the_turn(phi):
    assert words_of(axis=(50.0, 0.0, phi))[2] == -720
    assert words_of(particle=(10.0, 0.0, phi, 22))[5] == -720


def test_a_momentum_beyond_the_word_saturates():
    words = words_of(axis=(5000.0, 0.0, 0.0), particle=(4096.0, 0.0, 0.0, 22))
    assert (words[0], words[3]) == (2**14 - 1, 2**14 - 1)


@pytest.mark.parametrize(
    ("pt", "count"), [(0.125, 1), (0.374, 1), (0.375, 2), (10.1, 40)]
)
def test_momenta_are_rounded_to_the_nearest_count_and_halves_up(pt, count):
    assert words_of(particle=(pt, 0.0, 0.0, 22))[3] == count


@pytest.mark.parametrize("pt", [0.0, 0.1])
def test_what_is_less_than_half_a_count_is_an_empty_place(pt):
    assert words_of(particle=(pt, 1.0, 1.0, 211))[3:] == [0, 0, 0, 0]


def test_jets_without_particles_have_words_of_zeros_and_no_features():
    empty = ((50.0, 1.0, 1.0), [])
    front = FrontEnd(3)
    words = link_words(sample_of([empty, empty]), front)
    assert words.shape == (2, 15)
    assert not words[:, 3:].any()
    assert not front.run(words).any()


def test_a_kind_that_no_candidate_has_is_refused():
    with pytest.raises(UserError, match=r"a Puppi candidate has one of .*, got 321"):
        words_of(particle=(10.0, 0.0, 0.0, 321))
