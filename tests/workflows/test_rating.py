"""What rates are a share of: generated events, or jets whose rate is stated."""

from dataclasses import replace

import numpy as np
import pytest

from trigger.errors import UserError
from workflows import rating
from workflows.dataset import Jets
from workflows.recipes import load


def recipe(n_gen=1_000_000, **data):
    top = load("top_tag")
    card = replace(top.data.card, n_gen=n_gen)
    return replace(top, data=replace(top.data, card=card, **data))


def test_a_split_has_its_share_of_the_generated_events():
    known = rating.of_split(recipe(), "test", 50, complete=True)
    assert (known.per, known.total) == ("event", 200_000)
    assert known.full_khz == pytest.approx(2760 * 11.246)
    validation = rating.of_split(recipe(), "validation", 50, complete=True)
    assert validation.total == 100_000


def test_a_fold_has_its_share_and_leaves_the_rest_in_proportion():
    asked = recipe(folds=4, fold=1)
    assert rating.of_split(asked, "test", 50, complete=True).total == 250_000
    # One eighth of what is left, as 0.1 is of 0.7 + 0.1.
    assert rating.of_split(asked, "validation", 50, complete=True).total == 93_750


@pytest.mark.parametrize(
    ("data", "complete"), [({"test_files": ("other.root",)}, True), ({}, False)]
)
def test_a_card_does_not_count_other_files_or_fewer(data, complete):
    known = rating.of_split(recipe(**data), "test", 50, complete=complete)
    assert (known.per, known.total, known.full_khz) == ("jet", 50, None)


def test_a_card_with_files_counts_those_alone():
    asked = recipe()
    card = replace(asked.data.card, files=("a.root",))
    asked = replace(asked, data=replace(asked.data, card=card, files=("b.root",)))
    assert rating.events(asked, complete=True) == 0


def test_a_stated_rate_of_jets_is_theirs():
    asked = recipe(n_gen=0)
    asked = replace(asked, physics=replace(asked.physics, jet_rate_khz=750.0))
    known = rating.of_split(asked, "test", 50, complete=True)
    assert (known.per, known.full_khz) == ("jet", 750.0)
    assert "as stated by the recipe" in rating.why(asked, known)


def test_without_either_there_is_no_rate_and_it_says_why():
    known = rating.of_split(recipe(n_gen=0), "test", 50, complete=True)
    assert known.full_khz is None
    assert "no rate in kHz" in rating.why(recipe(n_gen=0), known)


def test_events_count_once_and_jets_without_the_signal():
    event = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 2]], np.uint64)
    code, signal = np.array([3, 7, 5]), np.array([False, True, False])
    jets = Jets(code[:, None], signal.astype(np.int64), event, {})
    events = rating.of_split(recipe(), "test", 2, complete=True)
    assert rating.codes(events, jets, code, signal).code.tolist() == [5, 7]
    others = rating.of_split(recipe(n_gen=0), "test", 2, complete=True)
    assert rating.codes(others, jets, code, signal).code.tolist() == [3, 5]


def test_a_rate_to_aim_at_needs_one_that_is_known():
    top = load("top_tag")
    with pytest.raises(UserError, match=r"n_gen in the card, or physics\.jet"):
        replace(top, physics=replace(top.physics, rate_khz=14.0))
