import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trigger.errors import UserError
from trigger.leakage import refuse_common

# few values, so that parts have events in common often
numbers = st.sampled_from([0, 1, 2, 2**32, 2**64 - 1])
events = hnp.arrays(
    np.uint64, st.tuples(st.integers(0, 6), st.just(3)), elements=numbers
)
values = st.sampled_from([-1.5, -0.0, 0.0, 1.0])
features = hnp.arrays(np.float64, (6, 4), elements=values)


def refused(parts, columns=None):
    try:
        refuse_common(parts, columns)
    except UserError as error:
        return str(error)
    return ""


def apart(count, first):
    """`count` events that no other `first` a thousand away has."""
    event = np.ones((count, 3), np.uint64)
    event[:, 2] = np.arange(first, first + count)
    return event


@given(events, events, events)
def test_a_common_event_is_found_exactly_where_python_finds_one(one, two, three):
    sets = [{tuple(row) for row in part.tolist()} for part in (one, two, three)]
    text = refused({"a": one, "b": two, "c": three})
    for (i, mine), (j, theirs) in [("0a", "1b"), ("0a", "2c"), ("1b", "2c")]:
        common = sets[int(i)] & sets[int(j)]
        part = (one, two, three)[int(j)]
        hits = [tuple(row) for row in part.tolist() if tuple(row) in common]
        told = (
            f"{len(hits)} of the {len(part)} jets of '{theirs}' are of the "
            f"{len(common)} events that '{mine}' has too (the first: run, block, "
            f"event = {', '.join(map(str, hits[0])) if hits else ''})"
        )
        assert (told in text) == bool(common)


@given(features, features)
def test_a_common_jet_is_found_exactly_where_python_finds_one(one, two):
    parts = {"train": apart(6, 0), "test": apart(6, 1000)}
    # Python's tuples compare as numbers do: minus zero is zero
    jets = {tuple(row) for row in one.tolist()}
    hits = [i for i, row in enumerate(two.tolist()) if tuple(row) in jets]
    text = refused(parts, {"train": one, "test": two})
    assert bool(text) == bool(hits)
    if hits:
        twin = [tuple(row) for row in one.tolist()].index(tuple(two[hits[0]].tolist()))
        assert text.startswith(
            f"{len(hits)} of the 6 jets of 'test' have all 4 features equal to those of "
            f"a jet of 'train' (the first: run, block, event = 1, 1, {1000 + hits[0]}, "
            f"which is 1, 1, {twin} in 'train')"
        )


@given(features)
def test_equal_jets_within_one_part_are_no_leak(jets):
    assume(len(np.unique(jets, axis=0)) < 6)
    other = jets + 100
    parts = {"train": apart(6, 0), "test": apart(6, 1000)}
    assert refused(parts, {"train": jets, "test": other}) == ""


def test_jets_are_compared_only_on_request():
    refuse_common({"train": apart(3, 0), "test": apart(3, 1000)})


def test_the_sentence_names_the_first_event_of_the_later_part():
    train, test = apart(100, 0), np.repeat(apart(10, 97), 2, axis=0)
    expected = (
        "6 of the 20 jets of 'test' are of the 3 events that 'training' has too (the "
        "first: run, block, event = 1, 1, 97); use files of different events"
    )
    with pytest.raises(UserError, match=re.escape(expected)):
        refuse_common({"training": train, "test": test})


def test_columns_do_not_stand_for_each_other():
    one, two = np.array([[1, 2, 3]], np.uint64), np.array([[3, 2, 1]], np.uint64)
    refuse_common({"a": one, "b": two, "c": np.zeros((0, 3), np.uint64)})


def test_single_and_double_precision_of_one_jet_are_equal():
    jet = np.array([[0.1, 2.5]], np.float32)
    parts = {"train": apart(1, 0), "test": apart(1, 1000)}
    with pytest.raises(UserError, match="the same jets were probably stored twice"):
        refuse_common(parts, {"train": jet, "test": jet.astype(np.float64)})


def test_features_of_other_parts_are_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="features of"):
        refuse_common({"train": apart(1, 0)}, {"test": np.zeros((1, 2))})
