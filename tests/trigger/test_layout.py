import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.errors import UserError
from trigger.fixed import Fixed, parse
from trigger.layout import Field, Layout

A = Field("a", parse("ap_uint<4>"), "GeV", 0.25, "an energy")
B = Field("b", parse("ap_int<6>"), "rad", math.pi / 720, rounding="RND_INF")
SMALL = Layout("small", 64, (A, B, Field("c", parse("ap_uint<2>"), offset=60)))


@st.composite
def layouts(draw):
    """A record of up to 256 bits, its fields shuffled and with gaps between them."""
    fields, free = [], 0
    for index in range(draw(st.integers(1, 8))):
        signed = draw(st.booleans())
        bits = draw(st.integers(1, 64 if signed else 63))
        offset = free + draw(st.integers(0, 20))
        if offset + bits > 256:
            break
        free = offset + bits
        point = draw(st.integers(-5, 70))
        scale = draw(st.sampled_from([1.0, 0.05, math.pi / 720]))
        number = Fixed(bits, point, signed, "RND", "SAT")
        fields.append(Field(f"f{index}", number, "GeV", scale, "some", None, offset))
    if not fields:
        fields, free = [Field("only", parse("ap_uint<1>"), offset=0)], 1
    width = draw(st.integers(free, 256))
    return Layout("any", width, tuple(draw(st.permutations(fields))))


@st.composite
def layouts_and_columns(draw):
    """A record, and some rows of counts that fit."""
    layout = draw(layouts())
    rows = draw(st.integers(0, 4))
    counts = {
        field.name: st.lists(
            st.integers(*field.type.range), min_size=rows, max_size=rows
        )
        for field in layout.fields
    }
    return layout, {
        name: np.array(draw(column), np.int64) for name, column in counts.items()
    }


def packed(layout, row):
    """The words of one row of counts, in Python's integers alone."""
    record = 0
    for field in layout.fields:
        record |= (row[field.name] % 2**field.type.bits) << field.offset
    return [record >> 64 * word & (2**64 - 1) for word in range(-(-layout.bits // 64))]


@given(layouts_and_columns())
def test_packing_puts_every_bit_where_the_layout_says(case):
    layout, columns = case
    words = layout.pack(columns)
    rows = len(next(iter(columns.values())))
    expected = [
        packed(layout, {name: int(column[i]) for name, column in columns.items()})
        for i in range(rows)
    ]
    assert words.shape == (rows, layout.words)
    assert words.tolist() == expected


@given(layouts_and_columns())
def test_unpacking_undoes_packing(case):
    layout, columns = case
    back = layout.unpack(layout.pack(columns))
    assert back.keys() == columns.keys()
    assert all(np.array_equal(back[name], columns[name]) for name in columns)


@given(layouts(), st.data())
def test_packing_undoes_unpacking_where_spare_bits_are_zero(layout, data):
    one = st.lists(
        st.integers(0, 2**64 - 1), min_size=layout.words, max_size=layout.words
    )
    rows = data.draw(st.lists(one, max_size=3))
    words = np.array(rows, np.uint64).reshape(-1, layout.words)
    used = sum((2**f.type.bits - 1) << f.offset for f in layout.fields)
    masks = [used >> 64 * word & (2**64 - 1) for word in range(layout.words)]
    expected = words & np.array(masks, np.uint64)
    assert np.array_equal(layout.pack(layout.unpack(words)), expected)


@given(layouts())
def test_a_layout_survives_json(layout):
    assert Layout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


@given(layouts())
def test_every_bit_belongs_to_one_field_or_is_spare(layout):
    bits = [b for f in layout.fields for b in range(f.offset, f.offset + f.type.bits)]
    assert len(set(bits)) == len(bits) == layout.bits - layout.spare
    assert set(bits) <= set(range(layout.bits))


def test_fields_follow_each_other_where_no_offset_is_given():
    assert [field.offset for field in SMALL.fields] == [0, 4, 60]
    assert SMALL.names == ("a", "b", "c")
    assert SMALL.spare == 52


def test_physical_values_are_rounded_as_the_field_says():
    raw = SMALL.from_physics(
        {
            "a": np.array([0.0, 0.6, 1.0, 3.99]),
            "b": np.array([0.5, 0.49, -0.5, -31.6]) * math.pi / 720,
            "c": np.array([0, 1, 2, 3]),
        }
    )
    assert raw["a"].tolist() == [0, 2, 4, 15]  # ap_uint drops the fraction
    assert raw["b"].tolist() == [1, 0, -1, -32]  # halves away from zero
    assert raw["c"].tolist() == [0, 1, 2, 3]
    values = SMALL.to_physics(raw)
    assert values["a"].tolist() == [0.0, 0.5, 1.0, 3.75]
    assert values["b"].tolist() == [n * (math.pi / 720) for n in (1, 0, -1, -32)]


def test_single_precision_is_divided_in_single_precision():
    step, tie = np.float32(math.pi / 720), np.float32(0.5 * math.pi / 720)
    values = np.arange(-31, 31, dtype=np.float32) * step + tie
    expected = [math.floor(abs(q) + 0.5) * (1 if q > 0 else -1) for q in values / step]
    assert B.encode(values).tolist() == expected
    # The same numbers in double precision fall on other sides of their ties.
    assert B.encode(values.astype(np.float64)).tolist() != expected


def test_the_lsb_is_the_size_of_a_count():
    field = Field("z0", parse("ap_fixed<10,9>"), "cm", 0.1)
    assert field.lsb == 0.05
    assert field.decode(np.array([1, -2])).tolist() == [0.05, -0.1]


def test_spare_bits_are_not_looked_at():
    words = np.array([[0xFFF0]], np.uint64)
    columns = SMALL.unpack(words)
    assert {name: column.tolist() for name, column in columns.items()} == {
        "a": [0],
        "b": [-1],
        "c": [0],
    }


@pytest.mark.parametrize(
    ("bits", "fields", "message"),
    [
        (
            64,
            (A, replace(B, offset=3)),
            r"'a' in bits 0..3 and 'b' in bits 3..8 overlap",
        ),
        (
            64,
            (B, replace(A, offset=0)),
            r"'a' in bits 0..3 and 'b' in bits 0..5 overlap",
        ),
        (9, (A, B), r"field 'b' is in bits 4..9, the record has bits 0..8"),
        (9, (replace(A, offset=-1),), r"field 'a' is in bits -1..2"),
        (64, (A, A), r"2 given, more than once: a"),
        (64, (), r"0 given, more than once: none"),
    ],
)
def test_fields_without_bits_of_their_own_are_refused(bits, fields, message):
    with pytest.raises(UserError, match=f"layout 'bad': .*{message}"):
        Layout("bad", bits, fields)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_that_is_no_size_is_refused(scale):
    with pytest.raises(UserError, match=f"field 'a': the scale is .*, got {scale}"):
        Field("a", parse("ap_int<3>"), scale=scale)


def test_a_count_that_does_not_fit_is_refused_with_field_row_and_range():
    columns = {"a": [1, 2, 3], "b": [0, 31, 32], "c": [0, 0, 0]}
    message = (
        r"layout 'small', field 'b': count 32 at row 2 does not fit in 6 signed bits, "
        r"which hold -32\.\.31 \(1 of 3"
    )
    with pytest.raises(UserError, match=message):
        SMALL.pack({name: np.array(column) for name, column in columns.items()})


def test_columns_must_be_those_of_the_record():
    ones = np.ones(2, np.int64)
    with pytest.raises(UserError, match=r"'small': column 'c' is missing; .* are 'a'"):
        SMALL.pack({"a": ones, "b": ones})
    with pytest.raises(UserError, match=r"'small' has no field 'cc'; .* 3 are 'c', "):
        SMALL.pack({"a": ones, "b": ones, "c": ones, "cc": ones})
    with pytest.raises(UserError, match=r"'small' has no field 'cc'; .* 3 are 'c', "):
        SMALL.from_physics({"cc": ones})
    with pytest.raises(UserError, match=r"equally long, got 'a' 2, 'b' 1, 'c' 2"):
        SMALL.pack({"a": ones, "b": ones[:1], "c": ones})


def test_words_must_be_those_of_the_record():
    with pytest.raises(UserError, match="a record has 1 words of 64 bits, got 2"):
        SMALL.unpack(np.zeros((3, 2), np.uint64))


def test_values_that_are_not_finite_are_refused_with_the_field():
    with pytest.raises(UserError, match="field 'a': the value at row 1 is nan"):
        SMALL.from_physics({"a": np.array([0.0, np.nan])})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("name"), "layout: 'name' should be a text, got nothing"),
        (lambda d: d.update(bits="64"), "'bits' should be a whole number, got '64'"),
        (lambda d: d.update(bits=True), "'bits' should be a whole number, got True"),
        (lambda d: d.update(fields={}), "'fields' should be a list, got {}"),
        (
            lambda d: d["fields"].append(3),
            r"fields\[3\]: 'scale' should be a number or",
        ),
        (lambda d: d["fields"][1].update(type="int"), "'int' is no fixed-point type"),
        (lambda d: d["fields"][1].update(rounding="UP"), "no rounding mode 'UP'"),
        (
            lambda d: d["fields"][1].update(rounding=2),
            "should be a text or null, got 2",
        ),
        (lambda d: d["fields"][1].update(offset=2), "'a' in bits 0..3 and 'b'"),
    ],
)
def test_an_edited_layout_is_refused(change, message):
    document = SMALL.to_dict()
    change(document)
    with pytest.raises(UserError, match=message):
        Layout.from_dict(document)


def test_what_is_no_layout_is_refused():
    with pytest.raises(UserError, match="layout: 'name' should be a text, got nothing"):
        Layout.from_dict([])
