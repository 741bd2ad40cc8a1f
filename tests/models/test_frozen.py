"""What a frozen program means, and which programs are refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.frozen import (
    FrozenOp,
    FrozenPort,
    FrozenProgram,
    interval,
    run,
    validate,
    wrapped,
)
from trigger.errors import UserError

PROGRAM = FrozenProgram(
    (FrozenPort("a", 3, True), FrozenPort("b", 2, False)),
    (
        FrozenOp("input", (), -4, 3, port=0),
        FrozenOp("input", (), 0, 3, port=1),
        FrozenOp("table", (0,), -9, 9, "one", entries=(5, -9, 0, 2, 9, 1, 1, 3)),
        FrozenOp("sum", (2, 1), -34, 26, "one", weights=(3, -2), bias=-1),
        FrozenOp("shift", (3,), -9, 6, "one", by=-2),
        FrozenOp("clip", (4,), -5, 6, "two"),
        FrozenOp("wrap", (5,), 0, 7, "two", bits=3),
        FrozenOp("wrap", (3,), -16, 15, "two", bits=5, signed=True),
        FrozenOp("const", (), 7, 7),
        FrozenOp("shift", (5,), -40, 48, "two", by=3),
    ),
    (("s", 3), ("c", 5), ("u", 6), ("t", 7), ("k", 8), ("z", 9)),
    0.5,
)


def by_hand(a, b):
    s = 3 * (5, -9, 0, 2, 9, 1, 1, 3)[a + 4] - 2 * b - 1
    c = min(max(s // 4, -5), 6)
    t = s % 32
    return [s, c, c % 8, t if t < 16 else t - 32, 7, 8 * c]


def every_word():
    return np.array([[a, b] for a in range(-4, 4) for b in range(4)])


def test_a_program_drawn_by_hand():
    validate(PROGRAM)
    expected = [by_hand(a, b) for a, b in every_word().tolist()]
    assert np.array_equal(run(PROGRAM, every_word()), expected)


def test_no_events_give_no_answers():
    assert run(PROGRAM, np.zeros((0, 2), np.int64)).shape == (0, 6)


@given(st.integers(-(2**61), 2**61 - 1), st.integers(1, 61), st.booleans())
def test_a_wrapped_value_is_congruent_and_within_the_range(value, bits, signed):
    low = wrapped(value, bits, signed)
    assert (value - low) % 2**bits == 0
    least = -(2 ** (bits - 1)) if signed else 0
    assert least <= low < least + 2**bits
    port = FrozenPort("x", 61, True)
    lo, hi = port.interval
    if lo <= value <= hi:
        least, most = interval(wrap_of(bits, signed), [(lo, hi)])
        ops = (
            FrozenOp("input", (), lo, hi, port=0),
            FrozenOp("wrap", (0,), least, most, bits=bits, signed=signed),
        )
        program = FrozenProgram((port,), ops, (("y", 1),), 1.0)
        assert run(program, np.array([[value]]))[0, 0] == low


@given(st.integers(-70, 70), st.integers(0, 70), st.integers(1, 7), st.booleans())
def test_the_interval_of_a_wrap_is_that_of_its_values(lo, span, bits, signed):
    seen = [wrapped(value, bits, signed) for value in range(lo, lo + span + 1)]
    made = interval(wrap_of(bits, signed), [(lo, lo + span)])
    assert made == (min(seen), max(seen))


@given(
    st.lists(
        st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 9)),
        min_size=1,
        max_size=4,
    ),
    st.integers(-9, 9),
)
def test_the_interval_of_a_sum_is_reached_at_both_ends(terms, bias):
    weights = tuple(weight for weight, _, _ in terms)
    spans = [(lo, lo + span) for _, lo, span in terms]
    op = FrozenOp("sum", (0,) * len(terms), 0, 0, weights=weights, bias=bias)
    ends = [
        sorted((w * lo, w * hi)) for w, (lo, hi) in zip(weights, spans, strict=True)
    ]
    reached = bias + np.sum(ends, axis=0)
    assert interval(op, spans) == tuple(reached.tolist())


def wrap_of(bits, signed):
    return FrozenOp("wrap", (0,), 0, 0, bits=bits, signed=signed)


def with_op(index, **changes):
    ops = list(PROGRAM.ops)
    ops[index] = replace(ops[index], **changes)
    return replace(PROGRAM, ops=tuple(ops))


BROKEN = [
    (with_op(2, args=(2,)), r"operation 2 \(table of layer 'one'\) reads operations"),
    (with_op(3, args=(2,)), "has 1 arguments, it takes 2"),
    (with_op(5, args=(4, 4)), r"5 \(clip of layer 'two'\) has 2 arguments, it takes 1"),
    (with_op(3, args=(), weights=()), "sums nothing; a const does that"),
    (with_op(5, lo=7), r"has an empty interval 7\.\.6"),
    (with_op(0, lo=-3), r"0 \(input\) says -3\.\.3, its port takes -4\.\.3"),
    (with_op(1, port=2), "reads port 2 of 2"),
    (replace(PROGRAM, ops=PROGRAM.ops[:1]), r"read the ports \[0\]; each of the 2"),
    (with_op(2, entries=(1, 2)), r"has 2 entries .* takes 8 values, -4\.\.3"),
    (with_op(4, by=62), "shifts by 62; less than 62 bits are possible"),
    (with_op(6, bits=0), r"keeps 0 bits; 1\.\.61 work"),
    (with_op(3, bias=2**70), "has a weight or bias of more than 62 bits"),
    (with_op(8, lo=2**61, hi=2**61), "62 signed bits are the limit"),
    (with_op(4, hi=7), r"says -9\.\.7, its arguments make -9\.\.6"),
    (replace(PROGRAM, outputs=(("y", 10),)), "output 'y' points to operation 10"),
    (replace(PROGRAM, outputs=()), "it has no output"),
    (replace(PROGRAM, inputs=(FrozenPort("a", 62, True),)), "port 'a' has 62 bits"),
]


@pytest.mark.parametrize(("program", "sentence"), BROKEN)
def test_a_broken_promise_is_named(program, sentence):
    with pytest.raises(UserError, match=sentence):
        validate(program)


def test_an_unknown_operation_is_refused():
    program = with_op(5)
    object.__setattr__(program.ops[5], "kind", "multiply")
    with pytest.raises(UserError, match=r"operation 5 \(multiply.* known are input"):
        validate(program)


def test_words_that_are_not_those_of_the_ports_are_refused():
    with pytest.raises(UserError, match=r"has 2 ports, the words have shape \(4, 3\)"):
        run(PROGRAM, np.zeros((4, 3), np.int64))
    with pytest.raises(UserError, match=r"'b' takes 0\.\.3, .* reach from 0 to 4"):
        run(PROGRAM, np.array([[0, 0], [0, 4]]))
