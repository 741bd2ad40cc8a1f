from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot

from trigger.datasets.check import check
from trigger.datasets.sample import sha256


def test_a_card_that_fits_has_no_problems(write, events, card):
    path = write(events)
    assert check(card, [path]) == []
    fitting = replace(card, files=(path,), checksums=(("events.root", sha256(path)),))
    assert check(fitting) == []


def test_all_missing_branches_are_told_at_once(write, events, card):
    del events["Jet_eta"], events["run"]
    one, other = check(card, [write(events)])
    assert "has no branch 'Jet_eta'; the most alike of its" in one
    assert "has no branch 'run'" in other


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tree": "Evts"}, "has no tree 'Evts'; its trees are 'Events'"),
        ({"files": ("no/*.root",)}, "no such file: nothing matches"),
        ({"files": ("no.root",)}, "no such file: 'no.root'"),
        ({"files": ()}, "no input files given"),
        (
            {"checksums": (("events.root", "12ab"),)},
            "but the card says 12ab; it is another",
        ),
        (
            {"checksums": (("other.root", "12ab"),)},
            "the card's file 'other.root' is not among its files",
        ),
        ({"friends": ("short",)}, "tree 'short' has 1 entries, but 'Events' has 4"),
    ],
)
def test_each_problem_is_a_sentence(write, events, card, change, expected):
    path = write(events)
    with uproot.update(path) as file:
        file.mktree("short", {"x": np.int64}).extend({"x": [1]})
    changed = replace(card, **{"files": (path,), **change})
    (problem,) = check(changed)
    assert expected in problem


def test_shapes_types_and_values_are_looked_at(write, events, card):
    flat = {**events, "Jet_eta": np.ones(4)}
    (problem,) = check(card, [write(flat)])
    assert "branch 'Jet_eta' holds float64, not a list of numbers per entry" in problem
    label = {**events, "Jet_label": ak.Array([[3, 0], [0], [], [0]])}
    (problem,) = check(card, [write(label)])
    assert "is 3, not one of the classes 0=g, 1=q" in problem


def test_files_that_differ_are_told(write, events, card):
    other = {**events, "Jet_pt": ak.values_astype(events["Jet_pt"], np.float64)}
    (problem,) = check(card, [write(events), write(other, "other.root")])
    assert "'Jet_pt' holds var * float64 in" in problem
    assert "other.root' but var * float32 in" in problem


def test_an_empty_tree_is_told(write, events, card):
    (problem,) = check(card, [write({k: v[:0] for k, v in events.items()})])
    assert problem.endswith("is empty: it has no entries")


def test_a_damaged_file_is_told_and_the_others_are_looked_at(
    write, events, card, tmp_path
):
    (tmp_path / "bad.root").write_bytes(b"")
    del events["run"]
    one, other = check(card, [str(tmp_path / "bad.root"), write(events)])
    assert "is not a ROOT file" in one
    assert "has no branch 'run'" in other
