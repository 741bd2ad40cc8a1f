"""Constituents: the four links, against lists made by hand."""

import math
from dataclasses import replace
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.datasets.branches import Table
from trigger.datasets.card import (
    ENTRY,
    Card,
    Column,
    Cut,
    Identity,
    NoLabel,
    ParticleList,
)
from trigger.datasets.chunk import cut_out
from trigger.datasets.read import read
from trigger.errors import UserError

AXES = [(0.0, 3.0), (0.5, -3.0), (1.0, 0.0)]


@st.composite
def collisions(draw):
    """Per collision: which of `AXES` are jets, and particles (pt, eta, phi, pairs)."""
    particle = st.tuples(
        st.sampled_from([0.5, 1.0, 2.0, 4.0]),
        st.sampled_from([-0.25, 0.0, 0.25, 0.75, 1.0]),
        st.sampled_from([-3.0, -0.25, 0.0, 3.0]),
    )
    events = []
    for _ in range(draw(st.integers(1, 4))):
        jets = draw(st.lists(st.sampled_from(AXES), max_size=3))
        particles = draw(st.lists(particle, max_size=6))
        owner = [draw(st.integers(-1, len(jets) - 1)) for _ in particles]
        events.append((jets, particles, owner))
    return events


def table_of(events, nested):
    """The branches of collisions, with particles in a list or in a list per jet."""

    def lists(of, kind="float64"):
        values = [list(of(event)) for event in events]
        flat = np.array([x for one in values for x in one], kind)
        return ak.unflatten(flat, [len(one) for one in values])

    arrays = {
        "n": np.arange(len(events)),
        "J_eta": lists(lambda e: (j[0] for j in e[0])),
        "J_phi": lists(lambda e: (j[1] for j in e[0])),
        "jet": lists(lambda e: e[2], "int64"),
        "pair_jet": lists(lambda e: reversed(e[2]), "int64"),
        "pair_p": lists(lambda e: reversed(range(len(e[1]))), "int64"),
    }
    for at, name in enumerate(("pt", "eta", "phi")):
        if nested:
            own = [
                [p[at] for p, o in zip(e[1], e[2], strict=True) if o == jet]
                for e in events
                for jet in range(len(e[0]))
            ]
            flat = np.array([x for one in own for x in one], np.float64)
            inner = ak.unflatten(flat, np.array([len(one) for one in own], np.int64))
            outer = np.array([len(e[0]) for e in events], np.int64)
            arrays[f"P_{name}"] = ak.unflatten(inner, outer)
        else:
            arrays[f"P_{name}"] = lists(lambda e, at=at: (p[at] for p in e[1]))
    arrays = {name: ak.Array(array) for name, array in arrays.items()}
    return Table("a.root", 0, len(events), arrays, Identity(number="n"))


CARD = Card(
    name="c",
    tree="t",
    event=Identity(number="n"),
    columns=(Column("eta", "J_eta"), Column("phi", "J_phi")),
    objects="J",
)
COLUMNS = tuple(Column(name, f"P_{name}") for name in ("pt", "eta", "phi"))
LINKS = {
    "index": ParticleList(COLUMNS, "index", "jet"),
    "pairs": ParticleList(COLUMNS, "pairs", "pair_jet", "pair_p"),
    "nested": ParticleList(COLUMNS, "nested"),
    "delta_r": ParticleList(COLUMNS, "delta_r", radius=0.3),
}


def by_hand(events, chosen, low):
    """The particles of each kept jet, in plain Python."""
    found = []
    for jets, particles, owner in events:
        order = range(len(particles))
        if chosen.link == "pairs":
            order = reversed(order)  # the file's order is that of the pairs
        order = list(order)
        for at, (eta, phi) in enumerate(jets):
            if eta < low:
                continue
            if chosen.link == "delta_r":

                def near(p, eta=eta, phi=phi):
                    turn = math.remainder(phi - p[2], 2 * math.pi)
                    return math.hypot(eta - p[1], turn) < chosen.radius

                own = [particles[i] for i in order if near(particles[i])]
            else:
                own = [particles[i] for i in order if owner[i] == at]
            own = [p for p in own if p[0] >= chosen.least_pt]
            sign = -1 if chosen.descending else 1
            at = ("pt", "eta", "phi").index(chosen.sort)
            own.sort(key=lambda p, at=at, sign=sign: sign * p[at])
            found.append(own[: chosen.keep])
    return found


@pytest.mark.parametrize("link", LINKS)
@given(
    events=collisions(),
    keep=st.integers(1, 4),
    least=st.sampled_from([0.0, 1.0]),
    sort=st.sampled_from(["pt", "eta"]),
    descending=st.booleans(),
    low=st.sampled_from([-9.0, 0.4]),
)
def test_particles_are_those_of_a_search_by_hand(
    link, events, keep, least, sort, descending, low
):
    chosen = replace(
        LINKS[link], keep=keep, least_pt=least, sort=sort, descending=descending
    )
    card = replace(CARD, constituents=chosen, selection=(Cut("eta", ">", low),))
    objects: Any = cut_out(card, table_of(events, link == "nested")).objects
    jets = objects["constituents"].to_list()
    found = [[(p["pt"], p["eta"], p["phi"]) for p in jet] for jet in jets]
    assert found == by_hand(events, chosen, low)


def test_one_entry_with_lists_is_one_jet_with_particles(write, card):
    path = write(
        {
            "event": np.arange(3),
            "jet_pt": np.array([50.0, 40.0, 30.0]),
            "jet_puppicand_pt": ak.Array([[1.0, 2.0, 3.0], [], [4.0]]),
            "jet_puppicand_id": ak.Array([[1, 2, 3], [], [4]]),
        },
        tree="Jets",
    )
    columns = (
        Column("pt", "jet_puppicand_pt", "GeV"),
        Column("id", "jet_puppicand_id"),
    )
    flat = replace(
        card,
        tree="Jets",
        objects=ENTRY,
        event=Identity(number="event"),
        columns=(Column("pt", "jet_pt"),),
        label=NoLabel(),
        constituents=ParticleList(columns, "nested", keep=2, padding=-1.0),
    )
    sample = read(flat, [path])
    block, count = sample.block(("id", "pt"), 2)
    assert block.tolist() == [
        [[3.0, 3.0], [2.0, 2.0]],
        [[-1.0, -1.0], [-1.0, -1.0]],
        [[4.0, 4.0], [-1.0, -1.0]],
    ]
    assert count.tolist() == [2, 0, 1]
    particles: Any = sample.objects["constituents"]
    assert particles["pt"].layout.content.parameter("unit") == "GeV"


@pytest.fixture
def particles(events):
    """One particle list for the four collisions with 2, 1, 0 and 1 jets."""
    return {
        **events,
        "P_pt": ak.Array([[1.0, 2.0], [], [], [3.0]]),
        "P_jet": ak.Array([[0, 1], [], [], [0]]),
        "L_jet": ak.Array([[0, 1], [], [], [0]]),
        "L_p": ak.Array([[0, 0], [], [], [0]]),
    }


INDEX = ParticleList((Column("pt", "P_pt"),), "index", "P_jet")
PAIRS = ParticleList((Column("pt", "P_pt"),), "pairs", "L_jet", "L_p")


@pytest.mark.parametrize(
    ("link", "branch", "values", "expected"),
    [
        (INDEX, "P_jet", [[0, 2], [], [], [0]], r"value 1 of entry 0 .* is 2, not the place "
         "of one of the 2 objects"),
        (INDEX, "P_jet", [[0, -2], [], [], [0]], "is -2, not the place of one"),
        (INDEX, "P_jet", [[0], [], [], [0]], "'P_jet' holds 2 values, but 'P_pt' holds 3"),
        (INDEX, "P_jet", [[0.0, 1.0], [], [], [0.0]], "'P_jet' holds .* not integers"),
        (INDEX, "P_pt", [[1.0, float("nan")], [], [], [3.0]], "particle 1 of entry 0 .* nan"),
        (INDEX, "P_pt", [[1.0, -2.0], [], [], [3.0]], "is -2.0, not a momentum of 0"),
        (PAIRS, "L_p", [[0, 0], [], [], [1]], "value 0 of entry 3 .* one of the 1 particles"),
        (PAIRS, "L_p", [[0], [], [], [0]], "'L_jet' holds 3 values, but 'L_p' holds 2"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_particles_is_one_sentence(
    write, particles, card, link, branch, values, expected
):
    path = write({**particles, branch: ak.Array(values)})
    with pytest.raises(UserError, match=expected):
        read(replace(card, constituents=link), [path])


def test_the_columns_of_a_particle_are_equally_long(write, particles, card):
    particles["P_eta"] = ak.Array([[1.0, 2.0], [], [1.0], [3.0]])
    chosen = replace(INDEX, columns=(*INDEX.columns, Column("eta", "P_eta")))
    with pytest.raises(
        UserError, match="in list 2 the branch 'P_eta' holds 1 values, but"
    ):
        read(replace(card, constituents=chosen), [write(particles)])


def test_nested_lists_are_one_per_object(write, events, card):
    events["P_pt"] = ak.Array([[[1.0, 2.0], []], [[3.0]], [[4.0]], []])
    chosen = ParticleList((Column("pt", "P_pt"),), "nested")
    path = write(events, kind="rntuple")
    with pytest.raises(
        UserError, match=r"entry 2 .* 'P_pt' holds 1 lists, but there are 0"
    ):
        read(replace(card, constituents=chosen), [path])


def test_a_particle_may_be_of_two_jets_and_of_none(write, particles, card):
    sample = read(replace(card, constituents=PAIRS), [write(particles)])
    found: Any = sample.objects["constituents"]
    assert found["pt"].to_list() == [[1.0], [1.0], [], [3.0]]
