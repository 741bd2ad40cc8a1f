from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.datasets.card import (
    ENTRY,
    BranchLabel,
    Card,
    Column,
    Cut,
    FlavourLabel,
    Identity,
    MatchLabel,
    NoLabel,
    ParticleList,
)
from trigger.datasets.card_text import dumps, load, loads, save
from trigger.errors import UserError

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
number = st.floats(allow_nan=False, allow_infinity=False)
column = st.builds(
    Column,
    st.sampled_from(["pt", "eta", "phi", "mass.x", 'q"uote']),
    text,
    text,
    text,
    st.sampled_from(["object", "event"]),
    number,
)
columns = st.lists(column, min_size=1, max_size=4, unique_by=lambda c: c.name).map(
    tuple
)
angles = (Column("pt", "a"), Column("eta", "b"), Column("phi", "c"))
labels = st.one_of(
    st.just(NoLabel()),
    st.builds(BranchLabel, text, st.just(("g", "q")),
              st.lists(st.tuples(st.integers(-99, 99), st.sampled_from("gq")), max_size=4,
                       unique_by=lambda pair: pair[0]).map(tuple)),
    st.builds(FlavourLabel, st.just(("g", "tau")), st.just("h"), text, text,
              st.just(()) | st.just(("e", "f")), number, st.lists(text).map(tuple)),
    st.builds(MatchLabel, st.just(("top", "x")), number, st.just("x"), text, text, text),
)  # fmt: skip
lists = st.builds(
    ParticleList,
    st.just(angles),
    st.sampled_from(["index", "pairs", "nested", "delta_r"]),
    st.just("i"),
    st.just("j"),
    number,
    st.sampled_from(["pt", "eta"]),
    st.booleans(),
    st.integers(1, 99),
    number,
    number,
)
cards = st.builds(
    Card,
    name=text,
    tree=text,
    event=st.builds(Identity, text, text, st.just("n")),
    columns=columns.map(
        lambda some: (*angles, *(c for c in some if c.name not in ("pt", "eta", "phi")))
    ),
    objects=st.sampled_from([ENTRY, "Jet"]),
    label=labels,
    selection=st.lists(
        st.builds(Cut, st.just("pt"), st.sampled_from("<>"), number, st.booleans()),
        max_size=3,
    ).map(tuple),
    constituents=st.none() | lists,
    friends=st.lists(text, max_size=2).map(tuple),
    files=st.lists(text, max_size=2).map(tuple),
    checksums=st.dictionaries(text, text, max_size=2).map(lambda d: tuple(d.items())),
    n_gen=st.integers(0, 2**53),
    format=text,
    description=text,
    source=text,
    licence=text,
)


@given(cards)
def test_a_card_comes_back_from_its_text(card):
    assert loads(dumps(card)) == card


GOLDEN = """\
version = 1
name = "jets"
tree = "Events"
objects = "Jet"

[event]
run = "run"
block = "luminosityBlock"
number = "event"

[columns.pt]
branch = "Jet_pt"
unit = "GeV"

[columns.eta]
branch = "Jet_eta"

[columns.phi]
branch = "Jet_phi"
unit = "rad"

[label]
rule = "branch"
branch = "Jet_label"
classes = [
    "g",
    "q",
]
"""


def test_the_text_is_what_it_was(card):
    assert dumps(card) == GOLDEN


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version = 1\n", "", "'c.toml': a card of no version; this program reads 1"),
        ("version = 1", "version = 2", "a card of version 2; this program reads 1"),
        ("version = 1", "version = ", "'c.toml' is not TOML: .*line 1"),
        ("objects", "object", "'c.toml': unknown key 'object'; the most alike .* 'objects'"),
        ('tree = "Events"\n', "", "'c.toml': the key 'tree' is missing"),
        ('tree = "Events"', "tree = 1", "'c.toml: tree' is text, not 1"),
        ("unit", "units", "'c.toml: columns.pt': unknown key 'units'; .* 'unit'"),
        ('branch = "Jet_eta"', "", "'c.toml: columns.eta': the key 'branch' is missing"),
        ('"branch"', '"branchh"', "'c.toml: label': the rule is one of none, .*'branchh'"),
        ('rule = "branch"\n', "", "the rule is one of none, branch, .* none given"),
        ('classes = [\n    "g",\n    "q",\n]', 'classes = "g"', "classes' is a list of texts"),
        (
            '[columns.eta]\nbranch = "Jet_eta"',
            '[columns.eta]\nbranch = "Jet_eta"\nper = "jet"',
            r"per' is one of \('object', 'event'\), not 'jet'",
        ),
        (
            '"Jet"\n',
            '"Jet"\nselection = [{column="ptt", operator=">", bound=1}]\n',
            "'c.toml': the selection of card 'jets': no column 'ptt'",
        ),
        (
            '"Jet"\n',
            '"Jet"\nselection = [{column="pt", operator=">", bound="1"}]\n',
            "selection: bound' is a number, not '1'",
        ),
        ('"Jet"\n', '"Jet"\nselection = 3\n', "selection' is a list of tables, not 3"),
        ('"Jet"\n', '"Jet"\nconstituents = 3\n', "constituents' is a table, not 3"),
        ('"Jet"\n', '"Jet"\nn_gen = 1.5\n', "n_gen' is an integer, not 1.5"),
        ('"Jet"\n', '"Jet"\nn_gen = true\n', "n_gen' is an integer, not True"),
        (
            'branch = "Jet_label"',
            'branch = "Jet_label"\nvalues = {x="g"}',
            "the value 'x' of class 'g' is not an integer",
        ),
    ],
)  # fmt: skip
def test_what_is_no_card_is_one_sentence(old, new, expected):
    assert old in GOLDEN
    with pytest.raises(UserError, match=expected):
        loads(GOLDEN.replace(old, new, 1), "c.toml")


def test_paths_in_a_file_start_from_its_folder(card, tmp_path):
    files = ("data/*.root", "/abs/a.root", "root://x//b.root", "@list.txt", "sub/")
    path = tmp_path / "c.toml"
    save(replace(card, files=files), path)
    assert load(path).files == (
        str(tmp_path / "data/*.root"),
        "/abs/a.root",
        "root://x//b.root",
        f"@{tmp_path / 'list.txt'}",
        f"{tmp_path / 'sub'}/",
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_card_that_cannot_be_read_or_written_is_told(card, tmp_path):
    with pytest.raises(
        UserError, match=r"card '.*no\.toml' cannot be read: No such file"
    ):
        load(tmp_path / "no.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read: it is not text"):
        load(tmp_path / "binary.toml")
    with pytest.raises(UserError, match="cannot be written: No such file or directory"):
        save(card, tmp_path / "none" / "c.toml")
