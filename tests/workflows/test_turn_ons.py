"""Turn-ons of a pT cut, alone and with a tag."""

import numpy as np
import pytest

from workflows.dataset import Jets
from workflows.groups import Physics
from workflows.turn_ons import turn_ons

ASKED = Physics(turn_on="true_pt", jet_pt=150.0)


def jets(**columns):
    """Jets of which nothing else is known."""
    count = len(columns["pt"])
    event = np.zeros((count, 3), np.uint64)
    return Jets(
        np.zeros((count, 0), np.int64), np.zeros(count, np.int64), event, columns
    )


@pytest.fixture(scope="module")
def found():
    """A resolution of 10 GeV and a tag that keeps 60 % of its class."""
    random = np.random.default_rng(3)
    true = random.uniform(80, 260, 60_000)
    pt = true + random.normal(0, 10, len(true))
    truth = random.random(len(true)) < 0.5
    rare = np.arange(len(true)) < 5
    tags = {
        "top": (truth, random.random(len(true)) < 0.6),
        "w": (rare, np.ones(len(true), bool)),
    }
    return turn_ons(ASKED, jets(true_pt=true, pt=pt), tags)


def near(number, expected):
    # Bins of 9 GeV widen the resolution; five errors leave nothing to chance.
    value, error = number
    assert abs(value - expected) < 5 * error + 0.5


def test_the_cut_turns_on_where_it_stands_with_its_resolution(found):
    numbers, _ = found
    cut = numbers["pT >= 150 GeV"]
    near(cut["point_50"], 150)
    near(cut["sigma"], np.hypot(10, 9 / np.sqrt(12)))
    near(cut["plateau"], 1)


def test_with_a_tag_the_plateau_is_its_efficiency(found):
    numbers, _ = found
    near(numbers["top, and its tag"]["plateau"], 0.6)
    near(numbers["top, and its tag"]["point_50"], 150)


def test_where_there_is_no_fit_a_sentence_says_why(found):
    numbers, figures = found
    assert "at least 20 jets" in numbers["w, and its tag"]
    assert [figure.name for figure in figures] == ["turn_on"]


def test_who_does_not_ask_gets_none():
    assert turn_ons(Physics(), jets(pt=np.ones(3)), {}) == ({}, [])
