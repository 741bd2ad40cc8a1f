from dataclasses import replace

import numpy as np
import pytest

from trigger.datasets.card import Column, ParticleList
from trigger.datasets.read import read
from trigger.datasets.sample import sha256
from trigger.errors import UserError


@pytest.fixture
def jets(write, events, card):
    return read(card, [write(events)])


def test_columns_and_matrices_are_doubles_in_the_order_asked_for(jets):
    assert jets.column("eta").dtype == np.float64
    # float32 -2.4 as a double is exactly what the file holds
    assert jets.column("eta").tolist() == [2.5, float(np.float32(-2.4)), 0.5, -1.0]
    matrix = jets.matrix(["phi", "pt"])
    assert np.array_equal(
        matrix, np.stack([jets.column("phi"), jets.column("pt")], axis=1)
    )
    assert jets.units == {"pt": "GeV", "eta": "", "phi": "rad"}


@pytest.mark.parametrize(
    "ask", [lambda s: s.column("ptt"), lambda s: s.matrix(["ptt"])]
)
def test_an_unknown_column_is_told_with_the_nearest(jets, ask):
    with pytest.raises(
        UserError, match="no column 'ptt'; the most alike of its 3 are 'pt'"
    ):
        ask(jets)


def test_a_block_needs_constituents_of_that_name_and_number(write, events, card, jets):
    with pytest.raises(UserError, match="card 'jets' has no constituents"):
        jets.block(["pt"], 3)
    columns = (Column("pt", "Jet_pt"),)
    chosen = ParticleList(columns, "index", "Jet_label", keep=4)
    sample = read(replace(card, constituents=chosen), [write({**events, "Jet_label": 0 *
                  events["Jet_label"]})])  # fmt: skip
    with pytest.raises(
        UserError, match=r"keeps 4 constituents, .* 1 to 4 of them, not 5"
    ):
        sample.block(["pt"], 5)
    with pytest.raises(
        UserError, match=r"no constituent column 'pdg'; .* of its 1 are 'pt'"
    ):
        sample.block(["pdg"], 2)
    block, count = sample.block(["pt"], 1)
    assert block[:, 0, 0].tolist() == [60.5, 0.0, 90.0, 45.0]
    assert count.tolist() == [1, 0, 1, 1]


def test_sources_say_which_file_gave_how_many(write, events, card):
    one = write(events)
    other = write({k: v[1:] for k, v in events.items()}, "other.root")
    sample = read(card, [one, other])
    assert [(s.name, s.jets) for s in sample.sources] == [
        ("events.root", 4),
        ("other.root", 2),
    ]
    assert sample.sources[0].sha256 == sha256(one)
    assert sha256("https://x.y/a.root") == ""
