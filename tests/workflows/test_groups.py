"""What the groups of a recipe refuse, and what a slot of the trigger leaves a jet."""

from dataclasses import replace

import pytest

from trigger.datasets.card import NoLabel
from trigger.errors import UserError
from trigger.front_end import FrontEnd
from workflows.groups import (
    Budget,
    Data,
    Firmware,
    Network,
    Physics,
    Verify,
    Weights,
    Words,
)
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
        (lambda: Weights(cap=float("nan")), "weights.cap must be above 0, got nan"),
        (lambda: Weights(pt_edges=(1.0, 2.0)), "give its weights.reference"),
        (lambda: Weights(eta_edges=(0.0, 2.0)), "give its weights.reference"),
        (lambda: Network("deep_sets", per_particle=()), "network.per_particle are"),
        (lambda: Network("mixer", head=(0,)), "network.head are widths"),
        (lambda: Words(bits=17), "1..16 bits a port word, got 17"),
        (lambda: Words(bits=0), "1..16 bits a port word, got 0"),
        (lambda: Budget(luts=0), "budget.luts must be above 0"),
        (lambda: Budget(clock_mhz=0.0), "budget.clock_mhz must be above 0, got 0.0"),
        (lambda: Budget(tmux=6, jets=0), "budget.jets must be above 0, got 0"),
        (lambda: Budget(tmux=6, instances=0), "budget.instances must be above 0"),
        (lambda: Budget(latency_ns=0.0), "budget.latency_ns must be above 0, got 0.0"),
        (
            lambda: Budget(latency_ns=-1.0, tmux=6),
            "must be above 0, got -1.0; 0 is the",
        ),
        (lambda: Budget(tmux=-6), "budget.latency_ns must be above 0"),
        (lambda: Budget(jets=2), "of which there are as many as budget.tmux says"),
        (lambda: Budget(instances=2), "of which there are as many as budget.tmux says"),
        (
            lambda: Budget(tmux=6, jets=55),
            "55 jets an event do not fit in the 54 clocks of TMUX 6 at 360 MHz",
        ),
        (
            lambda: Budget(tmux=1, clock_mhz=350.0),
            r"8\.75 clocks of 350 MHz, .* whole number; the nearest: 320 MHz or 360",
        ),
        (
            lambda: Budget(latency_ns=30.0, tmux=6, jets=16),
            "a budget of 30 ns is over before the last of 16 jets comes, 41.7 ns after",
        ),
        (
            lambda: Budget(latency_ns=41.7, tmux=6, jets=16),
            r"budget\.latency_ns=41\.7 is over when the last of budget\.jets=16 comes",
        ),
        (lambda: Physics(background=1.0), "between 0 and 1, got 1.0"),
        (lambda: Physics(background=0.0), "between 0 and 1, got 0.0"),
        (lambda: Physics(rate_khz=-1.0), "0 or more"),
        (lambda: Physics(jet_rate_khz=-1.0), "0 or more"),
        (lambda: Physics(bunches=0), "at least 1"),
        (lambda: Physics(turn_on="parton_pt"), "give both or none"),
        (lambda: Physics(jet_pt=100.0), "give both or none"),
        (lambda: Verify(random_words=-1), "cannot be below 0"),
        (lambda: Firmware(max_cycles=-1), "firmware.max_cycles is a number of cycles"),
        (lambda: Firmware(pad_latency_to=-1), "firmware.pad_latency_to is a number of"),
        (
            lambda: Firmware(max_cycles=7, pad_latency_to=8),
            "firmware.pad_latency_to=8 is above firmware.max_cycles=7",
        ),
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


def test_a_reference_needs_where_a_jet_is():
    recipe = load("jsc_hlf")
    card = replace(JETS, columns=tuple(c for c in JETS.columns if c.name != "eta"))
    with pytest.raises(UserError, match="needs columns pt and eta, card 'jsc_sample'"):
        replace(
            recipe,
            data=replace(recipe.data, card=card),
            weights=Weights(reference="flat"),
        )


def test_particles_are_not_for_tables_without_places():
    recipe = load("jsc_plf")
    with pytest.raises(UserError, match=r"'tables' reads no particles, .* have 16"):
        replace(recipe, network=Network("tables"))


def test_a_slot_of_six_crossings_leaves_its_jets_what_is_left_of_it():
    # Six crossings are 54 clocks of 360 MHz, nine to a crossing; the last of 16 jets goes
    # in 15 clocks after the first.
    budget = Budget(latency_ns=0.0, clock_mhz=360.0, tmux=6, jets=16)
    assert budget.slot is not None
    assert budget.slot.clocks_per_event == 54
    assert budget.slot.ii_max == 3
    assert budget.jet_ns == pytest.approx((54 - 15) * 1000 / 360)


def test_two_instances_take_the_jets_in_half_the_clocks():
    budget = Budget(latency_ns=100.0, tmux=6, jets=16, instances=2)
    # 100 ns are 36 clocks; eight jets for each instance, the last after 7 clocks.
    assert budget.jet_ns == pytest.approx((36 - 7) * 1000 / 360)


def test_the_last_clock_of_a_latency_counts_and_a_part_of_one_does_not():
    # The sixteenth jet goes in 15 clocks, 41.67 ns, after the first.
    assert Budget(latency_ns=45.0, tmux=6, jets=16).jet_ns == pytest.approx(1e3 / 360)
    assert Budget(latency_ns=47.0, tmux=6, jets=16).jet_ns == pytest.approx(1e3 / 360)
    assert Budget(latency_ns=47.3, tmux=6, jets=16).jet_ns == pytest.approx(2e3 / 360)


def test_a_block_cannot_be_padded_beyond_what_a_slot_leaves_a_jet():
    recipe = load("l1_jets")
    # 54 clocks less 15 are 39.
    assert replace(recipe, firmware=Firmware(pad_latency_to=39)).budget.jets == 16
    with pytest.raises(UserError, match=r"40 cycles are 111\.1 ns .* the 108\.333 ns"):
        replace(recipe, firmware=Firmware(pad_latency_to=40))


def test_without_a_slot_a_jet_has_all_of_its_latency():
    budget = Budget(latency_ns=25.0)
    assert budget.slot is None
    assert budget.jet_ns == 25.0


def test_a_block_has_a_score_for_every_class_or_one():
    assert Data(JETS, HIGH_LEVEL).classes == ("g", "q", "t", "w", "z")
    assert Data(JETS, HIGH_LEVEL, score="t").classes == ("t",)
    assert Data(L1, front_end=FrontEnd(12)).places == 12
    assert Data(PARTICLES, ("pt",), particles=8).places == 8
