"""What the groups of a recipe refuse, and what a slot of the trigger leaves a jet."""

from dataclasses import replace

import pytest

from trigger.datasets.card import NoLabel
from trigger.errors import UserError
from trigger.front_end import FrontEnd
from workflows.groups import Budget, Data, Network, Physics, Verify, Weights, Words
from workflows.recipes import load
from workflows.recipes.samples import HIGH_LEVEL, JETS, L1, PARTICLES


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: Data(JETS, ("pt",), files=()), "names no file"),
        (lambda: Data(JETS, ("pt",), fractions=(0.5, 0.2, 0.2)), "1 in sum"),
        (lambda: Data(JETS, ("pt",), fractions=(0.8, 0.2, 0.0)), "all above 0"),
        (lambda: Data(JETS, ("ptt",)), "has no column 'ptt'; .* 'pt'"),
        (lambda: Data(JETS, ("pt", "pt")), "distinct and at least one"),
        (lambda: Data(JETS, ()), "distinct and at least one"),
        (lambda: Data(JETS, ("pt",), score="top"), "no class of card 'jsc_sample'"),
        (lambda: Data(JETS, ("pt",), folds=1), "0 or at least 2 and data.fold below"),
        (lambda: Data(JETS, ("pt",), folds=3, fold=3), "data.fold below it, got 3 and"),
        (lambda: Data(JETS, ("pt",), fold=1), "got 0 and 1"),
        (
            lambda: Data(JETS, ("pt",), folds=3, test_files=("a.root",)),
            "both say what is tested on",
        ),
        (lambda: Data(JETS, ("pt",), particles=8), "has no constituents"),
        (lambda: Data(PARTICLES, ("pt",), particles=-1), "cannot be below 0"),
        (lambda: Data(PARTICLES, ("ptt",), particles=8), "no feature of particles 'pt"),
        (lambda: Data(JETS, front_end=FrontEnd(8)), "has no constituents"),
        (lambda: Data(L1, ("pt",), front_end=FrontEnd(8)), "leave them out"),
        (lambda: Data(L1, particles=8, front_end=FrontEnd(8)), "leave them out"),
        (lambda: Weights(cap=0.0), "weights.cap must be above 0"),
        (lambda: Weights(pt_edges=(1.0, 2.0)), "give its weights.reference"),
        (lambda: Network("deep_sets", per_particle=()), "network.per_particle are"),
        (lambda: Network("mixer", head=(0,)), "network.head are widths"),
        (lambda: Words(bits=17), "1..16 bits"),
        (lambda: Budget(luts=0), "budget.luts must be above 0"),
        (lambda: Budget(latency_ns=0.0), "budget.latency_ns must be above 0, got 0.0"),
        (lambda: Budget(jets=2), "of which there are as many as budget.tmux says"),
        (
            lambda: Budget(latency_ns=30.0, tmux=6, jets=16),
            "a budget of 30 ns is over before the last of 16 jets comes, 41.7 ns after",
        ),
        (
            lambda: Budget(latency_ns=41.7, tmux=6, jets=16),
            r"budget\.latency_ns=41\.7 is over when the last of budget\.jets=16 comes",
        ),
        (lambda: Physics(background=1.0), "between 0 and 1"),
        (lambda: Physics(rate_khz=-1.0), "0 or more"),
        (lambda: Physics(bunches=0), "at least 1"),
        (lambda: Physics(turn_on="parton_pt"), "give both or none"),
        (lambda: Physics(jet_pt=100.0), "give both or none"),
        (lambda: Verify(random_words=-1), "cannot be below 0"),
    ],
)
def test_what_cannot_be_is_one_sentence(made, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        made()
    assert "\n" not in str(caught.value)


def test_a_card_without_classes_cannot_train():
    with pytest.raises(UserError, match=r"two classes or more, .* labels 0"):
        Data(replace(JETS, label=NoLabel()), ("pt",))


@pytest.mark.parametrize(
    ("group", "change", "sentence"),
    [
        ("weights", {"reference": "b"}, "is a class of card 'jsc_sample' or 'flat'"),
        ("physics", {"turn_on": "true_pt", "jet_pt": 9.0}, "needs column 'true_pt'"),
        ("physics", {"rate_khz": 5.0}, "needs a rate of what is read"),
        ("network", {"kind": "deep_sets"}, "reads particles, the data have none"),
    ],
)
def test_groups_that_do_not_go_together_are_refused(group, change, sentence):
    recipe = load("jsc_hlf")
    changed = replace(getattr(recipe, group), **change)
    with pytest.raises(UserError, match=sentence):
        replace(recipe, **{group: changed})


def test_a_slot_of_six_crossings_leaves_its_jets_what_is_left_of_it():
    # Six crossings are 54 clocks of 360 MHz, nine to a crossing; the last of 16 jets goes
    # in 15 clocks after the first.
    budget = Budget(latency_ns=0.0, clock_mhz=360.0, tmux=6, jets=16)
    assert budget.slot is not None
    assert budget.slot.ii_max == 3
    assert budget.jet_ns == pytest.approx((54 - 15) * 1000 / 360)


def test_two_instances_take_the_jets_in_half_the_clocks():
    budget = Budget(latency_ns=100.0, tmux=6, jets=16, instances=2)
    # 100 ns are 36 clocks; eight jets for each instance, the last after 7 clocks.
    assert budget.jet_ns == pytest.approx((36 - 7) * 1000 / 360)


def test_without_a_slot_a_jet_has_all_of_its_latency():
    budget = Budget(latency_ns=25.0)
    assert budget.slot is None
    assert budget.jet_ns == 25.0


def test_a_block_has_a_score_for_every_class_or_one():
    assert Data(JETS, HIGH_LEVEL).classes == ("g", "q", "t", "w", "z")
    assert Data(JETS, HIGH_LEVEL, score="t").classes == ("t",)
    assert Data(L1, front_end=FrontEnd(12)).places == 12
    assert Data(PARTICLES, ("pt",), particles=8).places == 8
