import json
from dataclasses import replace

import numpy as np
import pytest

from trigger.errors import UserError
from trigger.fixed import parse
from trigger.layout import Field, Layout
from trigger.variants import Variants

# One bit chooses: an unsigned number of three bits, or a signed one of five.
WHICH = Field("which", parse("ap_uint<1>"))
SHORT = Layout("short", 8, (WHICH, Field("u", parse("ap_uint<3>"))))
LONG = Layout("long", 8, (WHICH, Field("s", parse("ap_int<5>"))))
EITHER = Variants("either", "which", (((0,), SHORT), ((1,), LONG)))


def test_the_selector_chooses_the_layout_of_every_row():
    columns = {
        "which": np.array([0, 1, 1, 0]),
        "u": np.array([5, 0, 0, 7]),
        "s": np.array([0, -1, 15, 0]),
    }
    words = EITHER.pack(columns)
    assert words.tolist() == [[0b1010], [0b111111], [0b011111], [0b1110]]
    back = EITHER.unpack(words)
    assert {name: column.tolist() for name, column in back.items()} == {
        name: column.tolist() for name, column in columns.items()
    }
    assert EITHER.names == ("which", "u", "s")


def test_fields_of_all_variants_have_physical_values():
    raw = EITHER.from_physics({"u": np.array([2.5]), "s": np.array([-2.5])})
    assert (raw["u"].tolist(), raw["s"].tolist()) == ([2], [-2])
    assert EITHER.to_physics(raw)["s"].tolist() == [-2.0]


def test_a_value_in_a_field_that_the_row_has_not_is_refused():
    message = (
        r"'either': 's' is 3 at row 1, which is of layout 'short' and has no such "
        r"field; it should be 0"
    )
    one = np.array([1, 0])
    with pytest.raises(UserError, match=message):
        EITHER.pack({"which": one, "u": np.array([0, 1]), "s": np.array([9, 3])})


def test_what_does_not_fit_a_variant_is_refused_with_its_row():
    zero = np.zeros(2, np.int64)
    with pytest.raises(UserError, match=r"'long', field 's': count 16 at row 1"):
        EITHER.pack({"which": zero + 1, "u": zero, "s": np.array([0, 16])})
    with pytest.raises(UserError, match=r"field 'which': count 2 at row 0"):
        EITHER.pack({"which": zero + 2, "u": zero, "s": zero})
    with pytest.raises(UserError, match=r"record 'either': column 's' is missing"):
        EITHER.pack({"which": zero, "u": zero})
    with pytest.raises(UserError, match=r"record 'either' has no field 't'"):
        EITHER.to_physics({"t": zero})


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ((((0,), SHORT),), r"every value 0\.\.1 of 'which' chooses .* for \[0\]"),
        ((((0, 1), SHORT), ((1,), LONG)), r"got layouts for \[0, 1, 1\]"),
        (
            (((0,), SHORT), ((1,), replace(LONG, bits=9))),
            "one width, got 'short' 8, 'long' 9",
        ),
        (
            (((0,), SHORT), ((1,), Layout("other", 8, (replace(WHICH, offset=1),)))),
            "field 'which' is not the same in all layouts",
        ),
        (
            (((0, 1), Layout("other", 8, (replace(WHICH, name="w"),))),),
            "no field 'which'",
        ),
    ],
)
def test_variants_that_no_field_can_choose_are_refused(cases, message):
    with pytest.raises(UserError, match=message):
        Variants("bad", "which", cases)


def test_variants_say_their_layouts():
    document = json.loads(json.dumps(EITHER.to_dict()))
    assert document["selector"] == "which"
    assert [case["values"] for case in document["cases"]] == [[0], [1]]
    read = [Layout.from_dict(case["layout"]) for case in document["cases"]]
    assert read == [SHORT, LONG]
