from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.datasets.card import FLAVOURS, BranchLabel, FlavourLabel
from trigger.datasets.labels import AMBIGUOUS, NONE, flavours
from trigger.datasets.read import read
from trigger.errors import UserError


def by_hand(hadron, parton, tau):
    """The flavour of one jet as the module's text says, in plain Python."""
    if hadron is None:
        heavy = abs(parton) if abs(parton) in (4, 5) else 0
    else:
        heavy = abs(hadron) if abs(hadron) in (4, 5) else 0
    if tau or hadron in (15, -15) or (hadron is None and abs(parton) == 15):
        return "ambiguous" if heavy else "tau"
    if heavy:
        return {5: "b", 4: "c"}[heavy]
    if parton is None:
        return "light"
    if abs(parton) in (4, 5):
        return "ambiguous"
    return "g" if abs(parton) == 21 else "q" if abs(parton) in (1, 2, 3) else "none"


partons = st.sampled_from([0, 1, -1, 2, 3, -3, 4, -4, 5, 21, 15, 11, 2212])
hadrons = st.sampled_from([0, 4, 5, 15])


@given(st.lists(st.tuples(hadrons, partons, st.booleans())), st.sampled_from("hpb"))
def test_flavours_are_as_the_rule_says(jets, given_branches):
    hadron = np.array([h for h, _, _ in jets], np.int8)
    parton = np.array([p for _, p, _ in jets], np.int16)
    tau = np.array([t for _, _, t in jets], bool)
    use_hadron, use_parton = given_branches != "p", given_branches != "h"
    found = flavours(
        hadron if use_hadron else None, parton if use_parton else None, tau
    )
    names = {NONE: "none", AMBIGUOUS: "ambiguous", **dict(enumerate(FLAVOURS))}
    assert [names[int(f)] for f in found] == [
        by_hand(h if use_hadron else None, p if use_parton else None, t)
        for h, p, t in jets
    ]


def test_values_of_a_branch_map_to_classes_and_others_are_dropped(write, events, card):
    events["Jet_label"] = ak.Array([[21, 5], [-1], [], [2]])
    rule = BranchLabel(
        "Jet_label", ("light", "b"), ((21, "light"), (2, "light"), (5, "b"))
    )
    sample = read(replace(card, label=rule), [write(events)])
    assert sample.label.tolist() == [0, 1, 0]
    assert sample.column("pt").tolist() == [60.5, 30.0, 45.0]
    step = sample.cuts.steps[-1]
    assert (step.name, step.objects) == ("label: 'Jet_label' has a class", 3)
    assert sample.cuts.classes == {"light": 2, "b": 1}


@pytest.fixture
def flavoured(events):
    """Six jets: g, b, c beside a tau, nothing, a quark with a muon, a lone tau."""
    return {
        **{k: v for k, v in events.items() if not k.startswith("Jet_")},
        "Jet_pt": ak.Array([[9.0, 8.0], [7.0, 6.0], [], [5.0, 4.0]]),
        "Jet_eta": ak.Array([[0.0, 1.0], [2.0, -1.0], [], [0.0, 1.5]]),
        "Jet_phi": ak.Array([[0.0, 1.0], [3.1, -1.0], [], [0.0, 1.5]]),
        "Jet_hadron": ak.Array([[0, 5], [4, 0], [], [0, 0]]),
        "Jet_parton": ak.Array([[21, 0], [4, 0], [], [-2, 0]]),
        "Jet_muon": ak.Array([[0, 0], [0, 0], [], [1, 0]]),
        # the first within 0.3 of the jet at phi 3.1, across the cut at pi
        "Tau_eta": ak.Array([[], [2.2], [], [1.5]]),
        "Tau_phi": ak.Array([[], [-3.1], [], [1.4]]),
    }


def test_flavours_taus_and_vetoes_are_counted_one_by_one(write, flavoured, card):
    rule = FlavourLabel(
        ("g", "q", "c", "b", "tau"),
        "Jet_hadron",
        "Jet_parton",
        taus=("Tau_eta", "Tau_phi"),
        radius=0.3,
        veto=("Jet_muon",),
    )
    sample = read(replace(card, label=rule), [write(flavoured)])
    assert sample.cuts.classes == {"g": 1, "q": 0, "c": 0, "b": 1, "tau": 1}
    assert [(s.name, s.objects) for s in sample.cuts.steps] == [
        ("Jet in the files", 6),
        ("label: not of a vetoed kind", 5),
        ("label: one flavour only", 4),
        ("label: has a flavour", 3),
        ("label: flavour has a class", 3),
    ]


def test_a_flavour_that_is_no_class_is_dropped(write, flavoured, card):
    rule = FlavourLabel(("light", "b"), "Jet_hadron", "Jet_parton")
    sample = read(replace(card, label=rule), [write(flavoured)])
    assert sample.label.tolist() == [0, 1, 0]  # g, b, q; c is none of them
    assert sample.cuts.steps[-1].name == "label: flavour has a class"


def test_a_flavour_of_another_type_is_refused(write, flavoured, card):
    flavoured["Jet_parton"] = flavoured["Jet_parton"] * 1.0
    rule = FlavourLabel(("g", "q"), "Jet_hadron", "Jet_parton")
    with pytest.raises(
        UserError, match=r"'Jet_parton' holds var \* float64, not integers"
    ):
        read(replace(card, label=rule), [write(flavoured)])
