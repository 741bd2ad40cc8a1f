import dataclasses
import hashlib

import awkward as ak
import numpy as np
import pytest
import uproot

from trigger.errors import UserError
from trigger.jets import JetSchema, read_jets


@pytest.mark.parametrize("kind", ["ttree", "rntuple"])
def test_rows_are_the_jets_of_all_events_in_order(write, columns, schema, kind):
    sample = read_jets([write(columns, kind=kind)], schema)
    expected = np.stack([columns["Jet_mass"], columns["Jet_zlogz"]], axis=1)
    assert np.array_equal(sample.features, expected)
    assert np.array_equal(sample.label, columns["Jet_label"])
    assert np.array_equal(sample.event[:, 2], [10, 10, 11, 13])
    assert np.array_equal(sample.event[:, :2], np.tile([1, 105], (4, 1)))


def test_a_tree_with_one_entry_per_jet_reads_alike(tmp_path, columns, schema):
    flat = {k: v for k, v in columns.items() if k != "Jet_pt"}
    with uproot.recreate(tmp_path / "flat.root") as file:
        file["Events"] = flat
    sample = read_jets([str(tmp_path / "flat.root")], schema)
    assert np.array_equal(sample.features[:, 0], columns["Jet_mass"])
    assert np.array_equal(sample.event[:, 2], columns["event"])


def test_patterns_read_each_file_once_and_sources_say_what_was_read(
    write, columns, schema, tmp_path
):
    paths = [write(columns, name=f"{name}.root") for name in "ba"]
    sample = read_jets([paths[0], str(tmp_path / "*.root"), paths[1]], schema)
    assert [(s.name, s.jets) for s in sample.sources] == [("b.root", 4), ("a.root", 4)]
    with open(paths[0], "rb") as file:
        assert sample.sources[0].sha256 == hashlib.sha256(file.read()).hexdigest()
    assert len(sample.label) == 8


def test_a_name_with_pattern_characters_is_a_name_where_it_exists(
    write, columns, schema
):
    path = write(columns, name="jets[1].root")
    assert read_jets([path], schema).sources[0].name == "jets[1].root"


def test_no_files_at_all_is_an_error(schema):
    with pytest.raises(UserError, match="no input files given"):
        read_jets([], schema)


@pytest.mark.parametrize("pattern", ["nothing.root", "none/*.root", "*.rot"])
def test_a_pattern_that_matches_nothing_is_named(tmp_path, schema, pattern):
    with pytest.raises(UserError, match="no such file.*" + pattern.replace("*", r"\*")):
        read_jets([str(tmp_path / pattern)], schema)


def test_a_missing_tree_is_named_with_the_nearest(write, columns, schema):
    with pytest.raises(UserError, match="no tree 'Events'; its trees are 'Event'"):
        read_jets([write(columns, tree="Event")], schema)


def test_a_missing_branch_is_named_with_the_nearest(write, columns, schema):
    columns["Jet_mas"] = columns.pop("Jet_mass")
    expected = "has no branch 'Jet_mass'; the most alike of its 8 are 'Jet_mas'"
    with pytest.raises(UserError, match=expected):
        read_jets([write(columns)], schema)


def test_an_empty_tree_is_refused(tmp_path, columns, schema):
    with uproot.recreate(tmp_path / "empty.root") as file:
        file["Events"] = {k: v[:0] for k, v in columns.items()}
    with pytest.raises(UserError, match=r"'Events' of file '.*empty.root' is empty"):
        read_jets([str(tmp_path / "empty.root")], schema)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_not_finite_is_named_with_its_jet(
    write, columns, schema, value
):
    columns["Jet_zlogz"][2] = value
    expected = (
        rf"jets.root': feature 'Jet_zlogz' of jet 2 \(run 1, luminosityBlock 105, "
        rf"event 11\) is {value}, .* \(1 of 8 values"
    )
    with pytest.raises(UserError, match=expected):
        read_jets([write(columns)], schema)


def test_a_column_that_is_not_read_may_hold_anything(write, columns, schema):
    columns["Jet_pt"][2] = np.nan
    assert len(read_jets([write(columns)], schema).label) == 4


@pytest.mark.parametrize("label", [2, -1])
def test_a_label_outside_the_classes_is_named(write, columns, schema, label):
    columns["Jet_label"][1] = label
    expected = rf"label {label} of jet 1 .* outside the classes 0=g, 1=q \(1 of 4"
    with pytest.raises(UserError, match=expected):
        read_jets([write(columns)], schema)


def test_a_class_without_jets_is_named(write, columns, schema):
    schema = dataclasses.replace(schema, classes=("g", "q", "t", "W"))
    with pytest.raises(UserError, match="no jets of class t, W among the 4 jets"):
        read_jets([write(columns)], schema)


def test_files_whose_branches_differ_in_type_are_refused(write, columns, schema):
    first = write(columns, name="a.root")
    columns["Jet_mass"] = columns["Jet_mass"].astype(np.float64)
    second = write(columns, name="b.root")
    expected = (
        r"branches differ: 'Jet_mass' holds var \* float64 in '.*b.root' but "
        r"var \* float32 in '.*a.root'"
    )
    with pytest.raises(UserError, match=expected):
        read_jets([first, second], schema)


def test_a_branch_that_only_one_file_has_is_named_with_the_file(write, columns, schema):
    first = write(columns, name="a.root")
    del columns["Jet_zlogz"]
    with pytest.raises(UserError, match=r"b.root' has no branch 'Jet_zlogz'"):
        read_jets([first, write(columns, name="b.root")], schema)


def test_columns_of_unequal_length_are_refused(tmp_path, columns, schema):
    record = {k: v for k, v in columns.items() if not k.startswith("Jet_")}
    record["Jet_label"] = ak.Array([[0, 1], [1], [], [0]])
    record["Jet_mass"] = ak.Array([[1.0, 2.0], [3.0], [], [4.0]])
    record["Jet_zlogz"] = ak.Array([[1.0, 2.0], [3.0], [5.0], [4.0]])
    path = tmp_path / "unequal.root"
    with uproot.recreate(path) as file:
        types = {k: ak.Array(v).type.content for k, v in record.items()}
        file.mktree("Events", types).extend(record)
    expected = (
        "in entry 2 the branch 'Jet_zlogz' holds 1 values, but 'Jet_label' holds 0"
    )
    with pytest.raises(UserError, match=expected):
        read_jets([str(path)], schema)


def test_a_branch_of_text_is_no_feature(tmp_path, columns, schema):
    flat = {k: v for k, v in columns.items() if k != "Jet_pt"}
    flat["Jet_mass"] = ak.Array(["a", "b", "c", "d"])
    with uproot.recreate(tmp_path / "text.root") as file:
        file["Events"] = flat
    with pytest.raises(UserError, match=r"'Jet_mass' holds .*, not a number per jet"):
        read_jets([str(tmp_path / "text.root")], schema)


@pytest.mark.parametrize(
    ("branch", "expected"),
    [("Jet_label", "label branch 'Jet_label'"), ("event", "event branch 'event'")],
)
def test_labels_and_event_numbers_are_integers(
    write, columns, schema, branch, expected
):
    columns[branch] = columns[branch].astype(np.float32)
    with pytest.raises(UserError, match=expected):
        read_jets([write(columns)], schema)


@pytest.mark.parametrize(
    "wrong",
    [
        {"units": ("GeV",)},
        {"features": ("Jet_mass", "Jet_mass")},
        {"features": (), "units": ()},
        {"classes": ("g",)},
        {"classes": ("g", "g")},
    ],
)
def test_a_schema_whose_names_do_not_pair_up_cannot_be_built(schema, wrong):
    values = {f.name: getattr(schema, f.name) for f in dataclasses.fields(schema)}
    with pytest.raises(ValueError, match=r"features|classes"):
        JetSchema(**(values | wrong))
