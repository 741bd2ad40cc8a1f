from dataclasses import replace

import pytest

from trigger.datasets.card import (
    BranchLabel,
    Card,
    Column,
    Cut,
    FlavourLabel,
    Identity,
    MatchLabel,
    NoLabel,
    ParticleList,
)
from trigger.errors import UserError

PT, ETA, PHI = (Column(name, f"P_{name}") for name in ("pt", "eta", "phi"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"columns": ()}, r"columns of card 'jets': one or more distinct names, got \[\]"),
        ({"columns": (PT, PT)}, r"distinct names, got \['pt', 'pt'\]"),
        ({"columns": (Column("label", "x"),)}, "'label' is the reader's own .* 'truth'"),
        (
            {"columns": (PT, Column("constituents", "x"))},
            "'constituents' is the reader's own column; call it 'particles'",
        ),
        ({"event": Identity()}, "identifies no collision: give at least one of"),
        (
            {"selection": (Cut("ptt", ">", 1.0),)},
            "the selection of card 'jets': no column 'ptt'; the most alike .* 'pt'",
        ),
        ({"n_gen": -1}, "n_gen is -1, not 0 or more"),
        (
            {"label": MatchLabel(("top",)), "columns": (PT, ETA)},
            "the Delta R of card 'jets': no column 'phi'",
        ),
        (
            {
                "label": FlavourLabel(("g",), "h", taus=("a", "b")),
                "columns": (PT, PHI),
            },
            "the Delta R of card 'jets': no column 'eta'",
        ),
        (
            {
                "constituents": ParticleList((PT, ETA, PHI), "delta_r"),
                "columns": (PT,),
            },
            "the Delta R of card 'jets': no column 'eta'",
        ),
        ({"label": NoLabel(("g",))}, r"classes \('g',\) need a rule"),
        ({"label": BranchLabel("x", ())}, "the label's classes must be distinct"),
        ({"label": BranchLabel("x", ("g", "g"))}, "the label's classes must be distinct"),
        (
            {"label": BranchLabel("x", ("g", "q"), ((1, "gg"),))},
            "the label's classes have no 'gg'; nearest 'g'",
        ),
        (
            {"label": FlavourLabel(("g", "bb"), "h", "p")},
            "the label's classes have no 'bb'; nearest 'b'",
        ),
        ({"label": FlavourLabel(("g",))}, "a flavour needs a branch hadron or parton"),
        (
            {"label": FlavourLabel(("light", "g"), "h")},
            "classes are light or g and q, not both",
        ),
        (
            {"label": MatchLabel(("top", "gcd"), otherwise="qcd")},
            "classes have no 'qcd'; nearest 'gcd'",
        ),
        ({"label": MatchLabel(("tops",))}, "classes have no 'tops'; nearest 'top'"),
    ],
)  # fmt: skip
def test_a_card_whose_parts_disagree_is_refused(card, change, expected):
    with pytest.raises(UserError, match=expected):
        replace(card, **change)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: Cut("pt", "=>", 1.0),
            "cut on 'pt': no operator '=>'; it is one of < <=",
        ),
        (lambda: ParticleList(()), "constituent columns: one or more distinct names"),
        (
            lambda: ParticleList((PT,), "idx"),
            "no link 'idx'; it is one of index, pairs",
        ),
        (lambda: ParticleList((PT,)), "link 'index' needs the branch 'index'"),
        (
            lambda: ParticleList((PT,), "pairs", "i"),
            "link 'pairs' needs the branch 'particle_index'",
        ),
        (lambda: ParticleList((PT,), "nested", keep=0), "keep at least 1, got 0"),
        (
            lambda: ParticleList((PT,), "nested", sort="pT2"),
            "constituents: no column 'pT2'; the most alike of its 1 are 'pt'",
        ),
        (lambda: ParticleList((PT, ETA), "delta_r"), "constituents: no column 'phi'"),
        (
            lambda: ParticleList((ETA,), "nested", sort="eta", least_pt=1.0),
            "constituents: no column 'pt'",
        ),
    ],
)
def test_parts_of_a_card_are_checked(make, expected):
    with pytest.raises(UserError, match=expected):
        make()


def test_a_cut_reads_as_a_formula():
    assert Cut("eta", "<", 2.4, absolute=True).text() == "|eta| < 2.4"
    assert Cut("pt", ">=", 30.0).text("GeV") == "pt >= 30 GeV"


def test_a_column_is_found_by_name_or_the_nearest_are_told(card):
    assert card.column("phi").unit == "rad"
    with pytest.raises(
        UserError, match=r"card 'jets': no column 'pth'; .* of its 3 are 'pt'"
    ):
        card.column("pth")


def test_a_card_can_be_a_key(card):
    assert {card: 1}[replace(card)] == 1
    assert isinstance(card, Card)
