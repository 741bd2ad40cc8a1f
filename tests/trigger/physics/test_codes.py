"""Counts of codes are those of a dictionary, whichever way they are counted."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trigger.errors import UserError
from trigger.physics import codes as module
from trigger.physics.codes import common_codes, count_codes

INTEGERS = st.sampled_from([np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64])
NARROW = INTEGERS.flatmap(lambda kind: hnp.arrays(kind, st.integers(1, 60)))
WIDE = hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(-3, 2**62))
FLOATS = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.sampled_from([-1.5, -0.0, 0.0, 0.1, 3])
)


@given(NARROW | WIDE | FLOATS)
def test_each_code_is_counted_as_by_a_dictionary(score):
    found = count_codes(score)
    assert found.code.tolist() == sorted(set(score.tolist()))
    assert dict(zip(found.code.tolist(), found.count.tolist(), strict=True)) == Counter(
        score.tolist()
    )
    assert found.total == len(score)


@given(hnp.arrays(np.int16, st.integers(1, 60)))
def test_a_table_a_sort_and_chunks_count_alike(score):
    table = count_codes(score)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", 7)
        chunks = count_codes(score)
        patch.setattr(module, "_FEW", 0)
        sort = count_codes(np.append(score.astype(np.int64), 1 << 40))
    assert np.array_equal(chunks.code, table.code)
    assert np.array_equal(chunks.count, table.count)
    assert np.array_equal(sort.code[:-1], table.code)
    assert np.array_equal(sort.count[:-1], table.count)


@given(NARROW | FLOATS, st.lists(st.integers(-300, 300), max_size=5))
def test_what_passes_any_threshold_is_what_is_not_below(score, thresholds):
    found = count_codes(score).passing(np.array(thresholds, np.int64))
    assert found.tolist() == [sum(s >= t for s in score.tolist()) for t in thresholds]


@given(NARROW)
def test_what_passes_a_code_is_what_is_not_below(score):
    found = count_codes(score)
    assert np.array_equal(found.passed, found.passing(found.code))


@given(NARROW, NARROW)
def test_counts_on_common_codes_lose_nothing(one, two):
    code, counts = common_codes(count_codes(one), count_codes(two))
    assert code.tolist() == sorted({*one.tolist(), *two.tolist()})
    for count, score in zip(counts, (one, two), strict=True):
        assert count.tolist() == [score.tolist().count(c) for c in code.tolist()]


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_no_scores_have_no_codes(kind):
    found = count_codes(np.zeros(0, kind))
    assert found.total == 0
    assert found.passing(np.array([0])).tolist() == [0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused_with_its_row(bad):
    with pytest.raises(UserError) as error:
        count_codes(np.array([0.5, bad, bad]), "b score")
    assert str(error.value) == (
        f"b score: the value at row 1 is {bad}, on which no threshold can decide "
        "(2 of 3 are not finite)"
    )


def test_an_integer_beyond_64_signed_bits_is_refused():
    with pytest.raises(UserError, match="18446744073709551615 does not fit in 64"):
        count_codes(np.array([2**64 - 1], np.uint64))
