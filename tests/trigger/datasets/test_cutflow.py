import json

import pytest

from trigger.datasets.cutflow import CutFlow, Step
from trigger.errors import UserError

ONE = CutFlow((Step("Jet in the files", 1000, 400), Step("pt > 30", 30, 20)), {"g": 30})
OTHER = CutFlow((Step("Jet in the files", 50, 9), Step("pt > 30", 5, 4)), {"q": 5})


def test_flows_add_up_and_an_empty_one_adds_nothing():
    both = ONE + OTHER
    assert both.steps == (Step("Jet in the files", 1050, 409), Step("pt > 30", 35, 24))
    assert both.classes == {"g": 30, "q": 5}
    assert both.kept == 35
    assert ONE + CutFlow() == ONE == CutFlow() + ONE


def test_flows_of_two_cards_do_not_add():
    with pytest.raises(ValueError, match="different steps"):
        ONE + CutFlow((Step("taus", 1, 1),))


def test_the_table_is_what_it_was():
    assert (ONE + OTHER).table() == (
        "step              objects   lost  entries\n"
        "Jet in the files    1,050      0      409\n"
        "pt > 30                35  1,015       24\n"
        "  g                    30\n"
        "  q                     5"
    )


def test_the_json_has_every_number():
    assert json.loads(ONE.to_json()) == {
        "steps": [
            {"step": "Jet in the files", "objects": 1000, "entries": 400},
            {"step": "pt > 30", "objects": 30, "entries": 20},
        ],
        "classes": {"g": 30},
    }


def test_nothing_left_names_the_step_that_left_nothing():
    ONE.require_some("'a.root'")
    steps = (
        Step("jets", 9, 3),
        Step("pt > 1", 4, 2),
        Step("x > 2", 0, 0),
        Step("y", 0, 0),
    )
    with pytest.raises(
        UserError, match=r"'x > 2' leaves none of the 4 that .* of 9 in"
    ):
        CutFlow(steps).require_some("'a.root'")
    with pytest.raises(UserError, match=r"no object at all in 'a\.root'"):
        CutFlow((Step("jets", 0, 0),)).require_some("'a.root'")
    with pytest.raises(UserError, match="no object at all"):
        CutFlow().require_some("'a.root'")
