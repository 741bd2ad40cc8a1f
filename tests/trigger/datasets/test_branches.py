import math
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st

from trigger.datasets.branches import Table, locate, plain, spellings
from trigger.datasets.card import Identity
from trigger.datasets.geometry import cross, delta_r
from trigger.errors import UserError
from trigger.rootfile import columns, describe


def test_a_branch_is_found_under_each_of_its_spellings():
    found = spellings(["Jet/Jet.PT", "Jet.pt", "AuxDyn:pt", "run"])
    for name in ("Jet/Jet.PT", "Jet.PT", "Jet_PT"):
        assert found[name] == "Jet/Jet.PT"
    assert found["Jet_pt"] == "Jet.pt"
    assert found["AuxDyn_pt"] == "AuxDyn:pt"
    assert plain("AuxDyn.pt") == plain("AuxDyn:pt") == "AuxDyn_pt"


def test_an_exact_name_wins_over_a_spelling():
    found = spellings(["Jet.pt", "Jet_pt"])
    assert (found["Jet.pt"], found["Jet_pt"]) == ("Jet.pt", "Jet_pt")


class Tree:
    """What `locate` asks of a tree."""

    def __init__(self, name, *keys):
        self.name, self._keys = name, keys

    def keys(self):
        return list(self._keys)


def test_the_tree_is_looked_at_before_its_friends():
    trees = (Tree("a", "x", "A.y"), Tree("b", "x", "z"))
    assert locate(trees, ["x", "A_y", "z"], "f") == {
        "x": (0, "x"),
        "A_y": (0, "A.y"),
        "z": (1, "z"),
    }
    with pytest.raises(
        UserError, match=r"tree 'a' of file 'f' has no branch 'xx'; .* 4 are"
    ):
        locate(trees, ["xx"], "f")


def table(**arrays):
    arrays = {name: ak.Array(array) for name, array in arrays.items()}
    entries = len(next(iter(arrays.values())))
    return Table("f", 100, entries, arrays, Identity(number="n"))


@given(
    st.lists(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=3), min_size=1)
)
def test_lists_come_apart_into_values_and_offsets(lists):
    deep = ak.values_astype(
        ak.concatenate([ak.Array([[[0]]]), ak.Array(lists)])[1:], np.int64
    )
    values, outer, inner = table(x=deep).nested("x")
    again = ak.unflatten(ak.unflatten(values, np.diff(inner)), np.diff(outer))
    assert again.to_list() == lists


def test_a_view_of_a_longer_array_is_taken_apart_as_what_it_shows():
    whole = ak.Array([[1, 2], [3], [], [4, 5, 6]])
    values, offsets = table(x=whole[[3, 1]]).lists("x")
    assert (values.tolist(), offsets.tolist()) == ([4, 5, 6, 3], [0, 3, 4])
    values, offsets = table(x=whole[1:3]).lists("x")
    assert (values.tolist(), offsets.tolist()) == ([3], [0, 1, 1])


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (["text", "more"], "string"),
        ([{"a": 1}, {"a": 2}], "{a: int64}"),
        ([[1], [2, 3]], r"var \* int64"),
        ([None, 1], r"\?int64"),
    ],
)
def test_what_is_no_number_per_entry_is_told(array, shape):
    with pytest.raises(UserError, match=f"'x' holds {shape}, not one number per entry"):
        table(x=array).flat("x")


def test_numbers_of_events_wrap_and_missing_parts_are_zero():
    events = table(n=np.array([-1, 5])).event()
    assert events.tolist() == [[0, 0, 2**64 - 1], [0, 0, 5]]
    assert table(n=np.array([7, 5])).place(1) == "entry 101 (n 5)"


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1),
    st.randoms(use_true_random=False),
)
def test_pairs_are_all_pairs_of_one_entry(counts, random):
    ones = [e for e, (n, _) in enumerate(counts) for _ in range(n)]
    random.shuffle(ones)
    others = [e for e, (_, n) in enumerate(counts) for _ in range(n)]
    offsets = np.cumsum([0, *(n for _, n in counts)])
    one, other = cross(np.array(ones, np.int64), offsets)
    expected = [
        (a, b) for a, at in enumerate(ones) for b, to in enumerate(others) if at == to
    ]
    assert list(zip(one.tolist(), other.tolist(), strict=True)) == expected


@given(st.floats(-3, 3), st.floats(-7, 7), st.integers(-2, 2))
def test_whole_turns_are_no_distance(eta, phi, turns):
    near = delta_r(np.array([eta]), np.array([phi + 2 * math.pi * turns]))[0]
    direct = math.hypot(eta, math.remainder(phi, 2 * math.pi))
    # phi of up to three turns, 20 rad, is known to 20 * 2**-52, and so is the difference
    assert abs(near - direct) <= 4 * 20 * 2**-52


def test_the_columns_of_an_rntuple_are_those_that_uproot_lists(write):
    nested = {"Jet.pt": [[1.0], []], "Jet.deep": [[[1, 2]], []], "x": [1, 2]}
    path = write(nested, kind="rntuple")
    file: Any = uproot.open(path)
    tree = file["Events"]
    assert columns(tree) == tree.keys()
    (described,) = describe(path)
    types = {branch.name: branch.type for branch in described.branches}
    assert types == {k: v or "collection" for k, v in tree.typenames().items()}
