"""Sums by counters against plain addition, bit for bit."""

from hypothesis import given
from hypothesis import strategies as st

from firmware.compress import COUNTERS, ONE, Bit, Plan, Term, plan

terms = st.lists(
    st.builds(Term, st.integers(0, 3), st.integers(1, 6), st.booleans()),
    min_size=1,
    max_size=24,
)


def added(planned: Plan, shapes: list[Term], values: list[int]) -> int:
    """What the counters and the last two rows of a plan come to, modulo its width."""
    counts: list[int] = []

    def bit(one: Bit) -> int:
        if one == ONE:
            return 1
        if one.term < 0:
            return counts[-1 - one.term] >> one.place & 1
        raw = values[one.term] >> shapes[one.term].low
        return (raw >> one.place & 1) ^ one.inverted

    for counter in planned.counters:  # one at a time: later ones read earlier ones
        count = sum(map(bit, counter.bits))
        counts.append(count)
    total = sum(
        bit(one) << column for column, bits in enumerate(planned.rows) for one in bits
    )
    return total % (1 << planned.width)


@given(terms, st.integers(1, 14), st.integers(-5000, 5000), st.data())
def test_a_plan_adds_its_terms_and_its_constant(shapes, width, constant, data):
    values = []
    for shape in shapes:
        least = -(1 << (shape.width - 1)) if shape.signed else 0
        raw = data.draw(st.integers(least, least + (1 << shape.width) - 1))
        values.append(raw << shape.low)
    planned = plan(tuple(shapes), width, constant)
    assert added(planned, shapes, values) == (sum(values) + constant) % (1 << width)


@given(terms, st.integers(1, 14), st.integers(-5000, 5000))
def test_two_rows_are_left_and_every_bit_is_counted_once(shapes, width, constant):
    planned = plan(tuple(shapes), width, constant)
    assert len(planned.rows) == width
    assert all(len(bits) <= 2 for bits in planned.rows)
    taken = [one for counter in planned.counters for one in counter.bits]
    taken += [one for bits in planned.rows for one in bits]
    wires = [(one.term, one.place) for one in taken if one != ONE]
    assert len(set(wires)) == len(wires)
    for counter in planned.counters:
        assert len(counter.bits) in dict(COUNTERS)
        before = [
            planned.counters[-1 - b.term].level for b in counter.bits if b.term < 0
        ]
        assert all(level < counter.level for level in before)


def test_levels_are_those_of_counters_of_six():
    levels = [plan((Term(0, 6, False),) * n, 11).levels for n in (2, 3, 6, 12, 24)]
    # Six become three, three become two; the ragged ends may take one more.
    assert levels[:3] == [0, 1, 2]
    assert levels[3] in (3, 4)
    assert levels[4] in (4, 5)


def test_a_constant_in_the_highest_bit_turns_it_for_nothing():
    shapes = (Term(0, 4, False), Term(0, 4, False))
    plain, turned = plan(shapes, 5), plan(shapes, 5, -16)
    assert turned.luts == plain.luts
    assert turned.counters == plain.counters == ()


def test_terms_that_do_not_meet_are_wiring():
    side_by_side = plan((Term(0, 3, False), Term(3, 4, False)), 7)
    assert side_by_side.luts == side_by_side.levels == 0
    assert side_by_side.carry == (7, 0)
