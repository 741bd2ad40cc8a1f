import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.decision import Decision
from trigger.errors import UserError
from trigger.front_end import CANDIDATE, FrontEnd
from trigger.interface import Interface, from_json, to_json
from trigger.links import Slice
from trigger.words import Word

MASS = Word("mass", 8, False, 0.5, "GeV", "groomed mass")
ZLOGZ = Word("zlogz", 6, True, 0.125, "", "sum of z log z")
SCORES = (Word("g", 12, True, 2.0**-6, ""), Word("q", 12, True, 2.0**-6, ""))
EXAMPLE = Interface("jets_v1_0_0", (MASS, ZLOGZ), SCORES, ("g", "q"))

FRONT = FrontEnd(2)
LINKED = Interface(
    *("jets_v1_0_0", FRONT.ports(), SCORES, ("g", "q")), slices=FRONT.slices()
)
LINKS = list(enumerate(LINKED.slices))
CUT = Interface(
    *("top_v1_0_0", (MASS,), SCORES[:1], ("top",)),
    decision=Decision(-3, "one in a hundred"),
)

identifiers = st.from_regex(r"[a-z][a-z0-9]{0,5}(_[a-z0-9]{1,3})?", fullmatch=True)


@st.composite
def interfaces(draw):
    """Any interface that can be built."""

    def ports(size):
        names = draw(st.lists(identifiers, min_size=size, max_size=size, unique=True))
        return tuple(
            Word(
                name,
                draw(st.integers(1, 53)),
                draw(st.booleans()),
                2.0 ** draw(st.integers(-960, 960)),
                draw(st.text(max_size=3)),
                draw(st.text(max_size=5)),
            )
            for name in names
        )

    outputs = ports(draw(st.integers(1, 3)))
    classes = tuple(draw(st.text(max_size=3)) for _ in outputs)
    inputs = ports(draw(st.integers(1, 4)))
    return Interface(draw(identifiers), inputs, outputs, classes, draw(st.text()))


@given(interfaces())
def test_reading_undoes_writing_and_the_text_is_stable(interface):
    text = to_json(interface)
    assert from_json(text) == interface
    assert to_json(from_json(text)) == text


def test_the_text_says_what_a_port_is():
    document = json.loads(to_json(EXAMPLE))
    assert (document["format"], document["version"]) == ("jetlut-io", 2)
    assert document["classes"] == ["g", "q"]
    assert document["decision"] == {"rule": "argmax", "ties": "the lowest index"}
    assert document["inputs"][1] == {
        "index": 1,
        "name": "zlogz",
        "bits": 6,
        "signed": True,
        "int_bits": 3,
        "lsb": 0.125,
        "lsb_exponent": -3,
        "unit": "",
        "min": -4.0,
        "max": 3.875,
        "rounding": "truncate",
        "overflow": "saturate",
        "description": "sum of z log z",
    }
    assert document["outputs"][0]["overflow"] == "none: exact sum"


def test_events_are_encoded_port_by_port():
    features = np.array([[80.3, -1.3], [1000.0, -100.0]])
    assert EXAMPLE.encode(features).tolist() == [[160, -11], [255, -32]]


def test_no_events_encode_to_no_words():
    assert EXAMPLE.encode(np.zeros((0, 2))).shape == (0, 2)


def test_a_feature_that_is_not_finite_names_port_and_event():
    with pytest.raises(UserError, match="word 'zlogz': the value at row 1 is nan"):
        EXAMPLE.encode(np.array([[1.0, 0.0], [1.0, np.nan]]))


@pytest.mark.parametrize("name", ["2nd", "a b", "a__b", "a_", "_a", "", "a-b", "é"])
def test_a_name_that_no_language_takes_is_refused(name):
    port = dataclasses.replace(MASS, name=name)
    with pytest.raises(UserError, match=f"'{name}' is no identifier"):
        Interface("block", (port,), SCORES, ("g", "q"))
    with pytest.raises(UserError, match=f"'{name}' is no identifier"):
        Interface(name, (MASS,), SCORES, ("g", "q"))


def test_ports_that_differ_only_in_capitals_are_refused():
    twin = dataclasses.replace(MASS, name="MASS")
    with pytest.raises(UserError, match=r"input names must be distinct .*: mass"):
        Interface("block", (MASS, twin), SCORES, ("g", "q"))


def test_a_block_without_inputs_is_refused():
    with pytest.raises(UserError, match=r"input names must be distinct .* 0 given"):
        Interface("block", (), SCORES, ("g", "q"))


def test_each_class_has_one_output():
    with pytest.raises(UserError, match=r"3 classes \(g, q, t\) need one output each"):
        Interface("block", (MASS,), SCORES, ("g", "q", "t"))


def test_a_block_on_a_link_says_which_bits_of_which_record_its_ports_are():
    document = json.loads(to_json(LINKED))
    assert [layout["name"] for layout in document["records"]] == [
        *("correlator_jet", "puppi_candidate")
    ]
    assert document["inputs"][7 + 2] == {
        "index": 9,
        "name": "c1_phi",
        "bits": 11,
        "signed": True,
        "int_bits": 11,
        "lsb": 1.0,
        "lsb_exponent": 0,
        "unit": "pi/720",
        "min": -1024.0,
        "max": 1023.0,
        "rounding": "as the record says",
        "overflow": "as the record says",
        "description": "of candidate 1",
        "link": {"record": "puppi_candidate", "index": 1, "field": "phi", "offset": 26},
    }
    assert from_json(to_json(LINKED)) == LINKED


def test_a_cut_is_an_integer_with_its_meaning():
    document = json.loads(to_json(CUT))
    assert document["decision"] == {
        "rule": "at least",
        "threshold": -3,
        "threshold_value": -3 * 2.0**-6,
        "meaning": "one in a hundred",
    }
    assert from_json(to_json(CUT)) == CUT


def test_a_cut_on_two_scores_is_refused():
    with pytest.raises(UserError, match="a cut is on one score, there are 2"):
        dataclasses.replace(EXAMPLE, decision=Decision(3, "x"))


def test_ports_are_the_fields_of_their_records():
    with pytest.raises(UserError, match="11 inputs, but 10 fields of records"):
        dataclasses.replace(LINKED, slices=LINKED.slices[:-1])
    turned = (*LINKED.slices[1:], LINKED.slices[0])
    with pytest.raises(
        UserError, match=r"port 'jet_pt' has 14 bits, .* 'eta' of record"
    ):
        dataclasses.replace(LINKED, slices=turned)


def test_two_records_of_one_name_are_refused():
    other = dataclasses.replace(CANDIDATE, bits=128)
    twice = [Slice(other, 0, one.field) if n > 6 else one for n, one in LINKS]
    with pytest.raises(UserError, match="two records are called 'puppi_candidate'"):
        to_json(dataclasses.replace(LINKED, slices=tuple(twice)))


def edited(path, value, of=None):
    """A text with one field set, or removed where the value is `...`."""
    document = json.loads(to_json(of or EXAMPLE))
    *parents, last = path
    record = document
    for key in parents:
        record = record[key]
    if value is ...:
        del record[last]
    else:
        record[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["format"], "other", "format should be 'jetlut-io', got 'other'"),
        (["format"], ..., "format should be 'jetlut-io', got None"),
        (["version"], 1, "is of version 1, this program reads version 2"),
        (["version"], ..., "is of version None"),
        (["block"], ..., "block is missing"),
        (["classes"], "gq", "classes should be list, got 'gq'"),
        (["classes"], [0, 1], r"classes should be names, got \[0, 1\]"),
        (["inputs"], ["mass"], r"inputs\[0\] should be an object, got 'mass'"),
        (["inputs", 0, "bits"], "8", r"inputs\[0\].bits should be int, got '8'"),
        (["inputs", 0, "bits"], True, r"inputs\[0\].bits should be int, got True"),
        (["inputs", 0, "bits"], 99, "1..53 bits is possible, got 99"),
        (["inputs", 0, "signed"], 1, r"inputs\[0\].signed should be bool, got 1"),
        (["inputs", 0, "lsb"], 0.3, "must be a power of two"),
        (["inputs", 0, "lsb"], ..., r"inputs\[0\].lsb is missing"),
        (["inputs", 0, "max"], 3.0, r"inputs\[0\].max is 3.0, but .* make it 127.5"),
        (["inputs", 1, "index"], 0, r"inputs\[1\].index is 0, but .* make it 1"),
        (["inputs", 0, "min"], ..., r"inputs\[0\].min is missing; it should be 0.0"),
        (["inputs", 0, "sign"], 1, r"inputs\[0\].sign is unknown; .*'signed'"),
        (["inputs", 0, "rounding"], "nearest", "rounding is 'nearest', but"),
        (["decision", "ties"], "random", "decision.ties is 'random', but"),
        (["outputs", 0, "name"], "a b", "'a b' is no identifier"),
        (["comment"], "hello", "comment is unknown"),
    ],
)
def test_an_edited_file_is_refused_with_the_field_in_doubt(path, value, expected):
    with pytest.raises(UserError, match=expected):
        from_json(edited(path, value))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"io"'])
def test_a_text_that_is_no_interface_is_refused(text):
    with pytest.raises(UserError, match=r"^io\.json is not "):
        from_json(text)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["inputs", 3, "link", "record"], "pupi", r"inputs\[3\].link.record is 'pupi'"),
        (["inputs", 3, "link", "field"], "et", "'puppi_candidate' has no field 'et'"),
        (["inputs", 3, "link"], ..., r"inputs\[3\].link is missing"),
        (["inputs", 3, "link", "offset"], 3, r"link.offset is 3, but .* make it 0"),
        (["records", 1, "fields", 0, "type"], "ap_uint<9>", "its field 'pt' of record"),
        (["records"], ..., "records is missing"),
    ],
)
def test_an_edited_link_is_refused(path, value, expected):
    with pytest.raises(UserError, match=expected):
        from_json(edited(path, value, LINKED))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["decision", "rule"], "most", "should be 'argmax' or 'at least', got 'most'"),
        (["decision", "threshold"], 0.5, "an integer 'threshold' and a text 'meaning'"),
        (["decision", "threshold_value"], 0, "decision.threshold_value is 0, but"),
        (["decision"], ..., "decision is missing"),
    ],
)
def test_an_edited_cut_is_refused(path, value, expected):
    with pytest.raises(UserError, match=expected):
        from_json(edited(path, value, CUT))
