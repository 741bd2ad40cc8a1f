"""Slots and budgets: the numbers that menus and firmware notes give, and laws."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trigger.errors import UserError
from trigger.physics.clocks import CROSSING_NS, LHC_MHZ, NOMINAL_MHZ, Slot

CORRELATOR = Slot(tmux=6, clock_mhz=360, jets=16)


@st.composite
def slots(draw):
    jets, instances = draw(st.integers(1, 40)), draw(st.integers(1, 5))
    slot = draw(st.integers(1, 18)), draw(st.sampled_from([200, 240.0, 320, 360, 480]))
    assume(slot[0] * slot[1] / 40 >= -(-jets // instances))
    return Slot(*slot, jets, instances)


@pytest.mark.parametrize(
    ("tmux", "clock", "clocks"),
    [
        (6, 360, 54),
        (1, 360, 9),
        (1, 480, 12),
        (1, 240, 6),
        (18, 360, 162),
        (6, 500, 75),
    ],
)
def test_clocks_per_event_are_those_of_the_boards(tmux, clock, clocks):
    assert Slot(tmux, clock, jets=1).clocks_per_event == clocks


@pytest.mark.parametrize(("jets", "ii"), [(16, 3), (32, 1), (12, 4), (54, 1), (1, 54)])
def test_the_greatest_ii_of_the_correlator_layer(jets, ii):
    assert Slot(6, 360, jets).ii_max == ii


@pytest.mark.parametrize(("ii", "clocks", "ns"), [(1, 25, 69), (3, 55, 153)])
def test_the_last_of_16_scores_leaves_after(ii, clocks, ns):
    assert CORRELATOR.last_score_clocks(10, ii) == clocks
    assert round(CORRELATOR.nanoseconds(clocks)) == ns


def test_an_emulated_tau_of_10_clocks_at_200_mhz_takes_50_ns():
    assert Slot(1, 200, 1).nanoseconds(10) == 50


def test_two_crossings_are_50_ns_and_18_clocks():
    slot = Slot(1, 360, 1)
    assert CROSSING_NS == 1000 / NOMINAL_MHZ
    assert slot.latency_budget(2 * CROSSING_NS) == 18
    assert slot.latency_budget(49.99) == 17
    assert slot.nanoseconds(18) == 50


def test_the_true_clock_changes_nanoseconds_and_nothing_else():
    true = Slot(6, 360, 16, lhc_mhz=LHC_MHZ)
    assert round(true.period_ns, 3) == 2.772
    assert round(1000 / true.period_ns, 1) == 360.7
    assert true.clocks_per_event == 54
    assert true.ii_max == 3
    assert true.latency_budget(50.0) == CORRELATOR.latency_budget(50.0)
    assert true.latency_budget(49.91) == CORRELATOR.latency_budget(49.91) + 1


@given(slots())
def test_the_greatest_ii_fits_and_the_next_does_not(slot):
    busiest = max(
        len(range(k, slot.jets, slot.instances)) for k in range(slot.instances)
    )
    assert slot.jets_per_instance == busiest
    assert busiest * slot.ii_max <= slot.clocks_per_event
    assert busiest * (slot.ii_max + 1) > slot.clocks_per_event


@given(slots())
def test_where_jets_are_shared_evenly_the_formula_of_the_average_holds(slot):
    assume(slot.jets % slot.instances == 0)
    share = Fraction(slot.jets, slot.instances)
    assert slot.ii_max == slot.clocks_per_event // share


@given(slots(), st.integers(1, 3000), st.data())
def test_the_latency_budget_is_used_up(slot, tenths, data):
    ii = data.draw(st.integers(1, slot.ii_max))
    budget = tenths / 10
    wait = slot.last_score_clocks(0, ii)
    exact, period = Fraction(tenths, 10), Fraction(1000) / Fraction(slot.clock_mhz)
    if wait * period > exact:
        with pytest.raises(UserError, match="is over before the last of"):
            slot.latency_budget(budget, ii)
    else:
        latency = slot.latency_budget(budget, ii)
        assert slot.last_score_clocks(latency, ii) * period <= exact
        assert slot.last_score_clocks(latency + 1, ii) * period > exact


def test_a_clock_that_does_not_divide_the_event_is_refused():
    with pytest.raises(UserError) as error:
        Slot(1, 250, 1)
    assert str(error.value) == (
        "an event every 1 crossings of 25 ns would take 6.25 clocks of 250 MHz, and must "
        "take a whole number; the nearest: 240 MHz or 280 MHz"
    )
    assert Slot(4, 250, 1).clocks_per_event == 25


def test_too_many_jets_are_refused_with_the_instances_that_would_do():
    with pytest.raises(UserError) as error:
        Slot(1, 360, 16)
    assert str(error.value) == (
        "16 jets an event do not fit in the 9 clocks of TMUX 1 at 360 MHz with 1 "
        "instances of the block, one jet a clock; 2 instances would do"
    )
    assert Slot(1, 360, 16, instances=2).ii_max == 1


@pytest.mark.parametrize("field", ["tmux", "clock_mhz", "jets", "instances", "lhc_mhz"])
def test_what_is_not_positive_is_refused_by_name(field):
    numbers = {"tmux": 6, "clock_mhz": 360, "jets": 16, field: 0}
    with pytest.raises(UserError, match=f"{field} of a slot must be above 0, got 0"):
        Slot(**numbers)


@pytest.mark.parametrize("ii", [0, 4])
def test_an_ii_out_of_range_is_refused(ii):
    with pytest.raises(UserError, match=rf"16 jets in 54 clocks .*1\.\.3, got {ii}"):
        CORRELATOR.last_score_clocks(10, ii)


def test_a_negative_latency_and_a_budget_of_nothing_are_refused():
    with pytest.raises(UserError, match="a latency is 0 clocks or more, got -1"):
        CORRELATOR.last_score_clocks(-1)
    with pytest.raises(UserError, match="a budget is a time above 0 ns, got 0"):
        CORRELATOR.latency_budget(0.0)


def test_a_budget_that_ends_before_the_last_jet_says_when_that_is():
    with pytest.raises(UserError) as error:
        CORRELATOR.latency_budget(100.0, ii=3)
    assert str(error.value) == (
        "a budget of 100 ns is over before the last of 16 jets comes, 125.0 ns after "
        "the first at II 3; use a lower II or more instances"
    )
