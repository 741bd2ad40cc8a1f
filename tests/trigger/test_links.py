import dataclasses

import pytest

from trigger.errors import UserError
from trigger.fixed import parse
from trigger.layout import Field, Layout
from trigger.links import Slice, check, layouts
from trigger.words import Word

ODD = Layout(
    "odd", 32, (Field("a", parse("ap_uint<5>")), Field("b", parse("ap_int<9>")))
)
EVEN = Layout("even", 16, (Field("a", parse("ap_ufixed<8,4>")),))
SLICES = (Slice(ODD, 0, "a"), Slice(EVEN, 0, "a"), Slice(ODD, 1, "b"))
WORDS = (
    Word("x", 5, False, 1.0, ""),
    Word("y", 8, False, 0.0625, ""),
    Word("z", 9, True, 1.0, ""),
)


def test_layouts_come_once_each_in_the_order_of_the_slices():
    assert layouts(SLICES) == (ODD, EVEN)
    assert layouts(SLICES[::-1]) == (ODD, EVEN)
    assert layouts(SLICES[1:2]) == (EVEN,)
    assert layouts(()) == ()


def test_two_layouts_of_one_name_are_refused():
    other = dataclasses.replace(EVEN, name="odd")
    with pytest.raises(UserError, match="two records are called 'odd'; rename one"):
        layouts((*SLICES, Slice(other, 0, "a")))


def test_a_slice_says_which_record_and_where_in_it():
    assert SLICES[2].to_dict() == {
        "record": "odd",
        "index": 1,
        "field": "b",
        "offset": 5,
    }


def test_ports_that_are_their_fields_pass():
    check("block", WORDS, SLICES)


@pytest.mark.parametrize("change", [{"bits": 8}, {"signed": False}])
def test_a_port_of_another_width_or_sign_is_refused(change):
    wrong = (*WORDS[:2], dataclasses.replace(WORDS[2], **change))
    expected = r"'block': port 'z' has . bits, signed=.*, its field 'b' of record 'odd'"
    with pytest.raises(UserError, match=expected):
        check("block", wrong, SLICES)


def test_each_port_is_one_field():
    with pytest.raises(UserError, match="2 inputs, but 3 fields of records"):
        check("block", WORDS[:2], SLICES)
