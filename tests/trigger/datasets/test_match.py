import math
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger.datasets.branches import Table
from trigger.datasets.card import RESONANCES, Identity, MatchLabel
from trigger.datasets.match import NOTHING, PART, SEVERAL, resonances
from trigger.datasets.read import read
from trigger.errors import UserError

CLASSES = ("top", "w", "z", "higgs", "tau")


def match(particles, jets, classes=CLASSES, radius=0.8):
    """Labels of jets in one collision; particles are (pdgId, mother, eta, phi)."""
    columns = list(zip(*particles, strict=True)) or [[]] * 4
    names = ("GenPart_pdgId", "GenPart_genPartIdxMother", "GenPart_eta", "GenPart_phi")
    kinds = (np.int32, np.int16, np.float32, np.float32)
    arrays = {
        name: ak.unflatten(np.array(column, kind), [len(column)])
        for name, column, kind in zip(names, columns, kinds, strict=True)
    }
    table = Table("a.root", 0, 1, {**arrays, "n": ak.Array([1])}, Identity(number="n"))
    eta, phi = (np.array(column, float) for column in zip(*jets, strict=True))
    rule = MatchLabel(classes, radius)
    found = resonances(rule, table, np.zeros(len(jets), np.int64), eta, phi)
    names = {
        NOTHING: "nothing",
        PART: "part",
        SEVERAL: "several",
        **dict(enumerate(classes)),
    }
    return [names[int(code)] for code in found]


TOP = [  # t -> t(copy) -> b W, W -> W(copy) -> u d, b at eta 0.3
    (6, -1, 0.0, 0.0),
    (21, 0, 0.1, 0.0),  # radiated by the first copy: no leg
    (6, 0, 0.0, 0.0),
    (5, 2, 0.3, 0.0),
    (24, 2, 0.0, 0.0),
    (24, 4, 0.0, 0.0),
    (2, 5, 0.0, 0.2),
    (-1, 5, 0.0, -0.2),
    (2, 6, 3.0, 0.2),  # a quark of the quark is no leg either
]


def moved(particles, which, eta):
    return [
        (*p[:2], eta if at in which else p[2], p[3]) for at, p in enumerate(particles)
    ]


def test_a_jet_with_all_three_quarks_is_a_top_and_not_its_w():
    assert match(TOP, [(0.0, 0.0)]) == ["top"]


def test_without_the_b_it_is_a_w():
    assert match(moved(TOP, [3], 2.0), [(0.0, 0.0)]) == ["w"]


def test_the_b_alone_is_a_part():
    assert match(moved(TOP, [3], 2.0), [(2.0, 0.0), (-2.0, 0.0)]) == ["part", "nothing"]


def test_one_quark_of_the_w_missing_is_a_part():
    assert match(moved(TOP, [7], 2.0), [(0.0, 0.0)]) == ["part"]


def test_a_w_that_is_no_class_is_a_part_where_the_top_is_not_full():
    assert match(moved(TOP, [3], 2.0), [(0.0, 0.0)], ("top",)) == ["part"]


def test_a_leptonic_top_is_never_full():
    leptonic = [*TOP[:6], (-11, 5, 0.0, 0.2), (12, 5, 0.0, -0.2)]
    assert match(leptonic, [(0.0, 0.0)]) == ["part"]
    # without the b and the electron nothing of it is seen: the neutrino is not
    assert match(moved(leptonic, [3, 6], 4.0), [(0.0, 0.0)]) == ["nothing"]


def test_two_decays_in_one_jet_are_several():
    z = [(23, -1, 0.0, 0.0), (1, 0, 0.0, 0.1), (-1, 0, 0.1, 0.0)]
    w = [(24, -1, 0.0, 0.0), (1, 3, 0.0, 0.1), (-2, 3, 0.1, 0.0)]
    assert match([*z, *w], [(0.0, 0.0)]) == ["several"]
    assert match(z, [(0.0, 0.0)]) == ["z"]


def test_two_decays_of_one_class_are_that_class():
    two = [(23, -1, 0.0, 0.0), (1, 0, 0.0, 0.1), (-1, 0, 0.1, 0.0)]
    more = [(23, -1, 0.0, 0.0), (1, 3, 0.0, 0.1), (-1, 3, 0.1, 0.0)]
    assert match([*two, *more], [(0.0, 0.0)]) == ["z"]


def test_a_higgs_of_four_quarks_needs_all_four():
    four = [
        (25, -1, 0.0, 0.0),
        (24, 0, 0.0, 0.0),
        (-24, 0, 0.0, 0.0),
        *[(2, 1, 0.1, 0.0), (-1, 1, 0.0, 0.1), (1, 2, -0.1, 0.0), (-2, 2, 0.0, -0.1)],
    ]
    assert match(four, [(0.0, 0.0)]) == ["higgs"]
    assert match(moved(four, [3, 4], 3.0), [(0.0, 0.0), (3.0, 0.0)]) == ["w", "w"]


def test_a_tau_is_matched_by_what_is_seen_of_it_or_by_itself():
    seen = [(15, -1, 0.0, 0.0), (16, 0, 5.0, 0.0), (-211, 0, 0.1, 0.0)]
    assert match(seen, [(0.0, 0.0)]) == ["tau"]
    assert match([(15, -1, 0.1, 0.0), (16, 0, 5.0, 0.0)], [(0.0, 0.0)]) == ["tau"]
    electron = [*seen[:2], (11, 0, 0.1, 0.0), (-12, 0, 0.0, 0.0)]
    assert match(electron, [(0.0, 0.0)]) == ["part"]


def test_a_z_of_two_taus_lends_its_taus_to_two_jets():
    z = [
        (23, -1, 0.0, 0.0),
        *[(15, 0, 2.0, 0.0), (-15, 0, -2.0, 0.0)],
        *[(-211, 1, 2.1, 0.0), (16, 1, 2.0, 0.0), (211, 2, -2.1, 0.0)],
    ]
    assert match(z, [(2.0, 0.0), (-2.0, 0.0)]) == ["tau", "tau"]
    assert match(z, [(2.0, 0.0)], ("z",)) == ["part"]


def test_distance_is_folded_in_azimuth():
    z = [(23, -1, 0.0, 3.1), (1, 0, 0.0, 3.1), (-1, 0, 0.1, -3.1)]
    assert match(z, [(0.0, math.pi)], radius=0.3) == ["z"]


def by_hand(particles, jet, radius, classes):
    """One jet by walking up from every particle, in plain Python."""
    kind = [abs(p[0]) for p in particles]
    mother = [p[1] for p in particles]
    known = [6, 24, 23, 25, *([15] if "tau" in classes else [])]
    children = [[c for c in range(len(particles)) if mother[c] == p]
                for p in range(len(particles))]  # fmt: skip
    last = [
        kind[p] in known and all(kind[c] != kind[p] for c in children[p])
        for p in range(len(particles))
    ]

    def legs(p):
        """Visible legs of a decay, and whether a lepton of its own is lost."""
        if kind[p] == 15 and not any(kind[c] not in (12, 14, 16) for c in children[p]):
            return [p], False
        out, lost = [], False
        for c in children[p]:
            if kind[c] in known:
                down = c
                while not last[down]:
                    down = next(d for d in children[down] if kind[d] == kind[down])
                more, its = legs(down)
                out, lost = out + more, lost or its
            elif kind[c] in (12, 14, 16):
                lost = lost or kind[p] != 15
            else:
                out.append(c)
                lost = lost or kind[c] in (11, 13, 15)
        return out, lost

    def near(p):
        dphi = math.remainder(jet[1] - particles[p][3], 2 * math.pi)
        return math.hypot(jet[0] - particles[p][2], dphi) < radius

    name = {number: name for name, number in RESONANCES.items()}
    decays = {p: legs(p) for p in range(len(particles)) if last[p]}
    full = {
        p for p, (out, lost) in decays.items()
        if out and not lost and name[kind[p]] in classes and all(map(near, out))
    }  # fmt: skip
    inside = {q for out, _ in decays.values() for q in out if near(q)}
    found = set()
    for leg in inside:
        owners = [p for p in full if leg in decays[p][0]]
        if not owners:
            return "part"
        found.add(name[kind[max(owners, key=lambda p: len(decays[p][0]))]])
    if len(found) > 1:
        return "several"
    return found.pop() if found else "nothing"


@st.composite
def records(draw):
    """A generator record of a few decays, each particle behind its mother."""
    particles = []
    angle = st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.5])

    def add(kind, mother):
        particles.append((kind, mother, draw(angle), draw(angle)))
        at = len(particles) - 1
        if abs(kind) in (6, 23, 24, 25) and draw(st.booleans()):
            particles.append((kind, at, draw(angle), draw(angle)))
            at += 1
        if abs(kind) == 6:
            add(5, at)
            add(24, at)
        elif abs(kind) in (23, 24):
            pair = draw(st.sampled_from([(1, 2), (11, 12), (15, 16), (3, 4)]))
            for daughter in pair:
                add(daughter, at)
        elif abs(kind) == 25:
            pair = draw(st.sampled_from([(5, -5), (24, -24), (21, 21)]))
            for daughter in pair:
                add(daughter, at)
        elif abs(kind) == 15:
            for daughter in draw(st.sampled_from([(), (16,), (16, 211), (16, 11, 12)])):
                add(daughter, at)

    for kind in draw(
        st.lists(st.sampled_from([6, -6, 23, 24, 25, 15, 1, 21]), max_size=3)
    ):
        add(kind, -1)
    return particles


@settings(max_examples=300)
@given(
    records(), st.sampled_from([CLASSES, ("top",), ("w", "z"), ("top", "w", "higgs")])
)
def test_matches_are_those_of_a_walk_by_hand(particles, classes):
    jets = [(0.0, 0.0), (0.4, 0.3), (1.4, 1.4)]
    # float32 as the table holds; all angles drawn are exact in it
    expected = [by_hand(particles, jet, 0.8, classes) for jet in jets]
    assert match(particles, jets, classes) == expected


@pytest.fixture
def generated(events):
    """The four collisions with a hadronic W in the first and nothing in the others."""
    w = {
        "pdgId": ([24, 1, -2], np.int32),
        "genPartIdxMother": ([-1, 0, 0], np.int16),
        "eta": ([2.5, 2.4, 2.6], np.float32),
        "phi": ([3.1, 3.1, -3.1], np.float32),
    }
    return {
        **events,
        "Jet_parton": ak.Array([[2, 21], [21], [], [1]]),
        **{
            f"GenPart_{k}": ak.unflatten(np.array(v, kind), [3, 0, 0, 0])
            for k, (v, kind) in w.items()
        },
    }


def test_jets_without_a_decay_get_the_other_class(write, generated, card):
    rule = MatchLabel(("w", "qcd"), 0.4, "qcd")
    sample = read(replace(card, label=rule), [write(generated)])
    assert sample.cuts.classes == {"w": 1, "qcd": 3}
    assert sample.label.tolist() == [0, 1, 1, 1]


def test_or_their_flavour(write, generated, card):
    rule = MatchLabel(("w", "g"), 0.4, parton="Jet_parton")
    sample = read(replace(card, label=rule), [write(generated)])
    assert sample.label.tolist() == [0, 1, 1]
    assert sample.cuts.steps[-1].name == "label: flavour has a class"


def test_or_none(write, generated, card):
    sample = read(replace(card, label=MatchLabel(("w",), 0.4)), [write(generated)])
    assert sample.label.tolist() == [0]
    assert sample.cuts.steps[-1].name == "label: holds a decay"


def test_a_mother_out_of_the_list_is_refused(write, generated, card):
    generated["GenPart_genPartIdxMother"] = ak.Array([[-1, 0, 3], [], [], []])
    with pytest.raises(
        UserError, match=r"particle 2 of entry 0 .* is 3, not the place of a"
    ):
        read(replace(card, label=MatchLabel(("w",))), [write(generated)])
