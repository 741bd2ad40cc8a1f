import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger.datasets.card import (
    ENTRY,
    BranchLabel,
    Column,
    Cut,
    Identity,
    NoLabel,
    ParticleList,
)
from trigger.datasets.cutflow import CutFlow
from trigger.datasets.formats import propose
from trigger.datasets.read import chunks, partition, ranges, read, wanted
from trigger.errors import UserError

EVENT = ("run", "luminosityBlock", "event")


def test_the_embedded_sample_is_what_uproot_reads(sample):
    card = propose(sample)
    found = read(card, [sample], step=20_000)
    tree: Any = uproot.open(sample)["Events"]
    stored = tree.arrays([*EVENT, "Jet_label", *(c.branch for c in card.columns)])
    jets = ak.num(stored["Jet_label"])
    columns = [np.asarray(ak.flatten(stored[c.branch])) for c in card.columns]
    names = tuple(c.name for c in card.columns)
    assert np.array_equal(found.matrix(names), np.stack(columns, axis=1))
    assert np.array_equal(found.label, np.asarray(ak.flatten(stored["Jet_label"])))
    event = [np.repeat(np.asarray(stored[name]), jets) for name in EVENT]
    assert np.array_equal(found.event, np.stack(event, axis=1))
    (source,) = found.sources
    assert (source.name, source.jets) == ("jsc_sample.root", 100_012)
    assert source.sha256 == hashlib.sha256(Path(sample).read_bytes()).hexdigest()
    assert found.skipped == ()


def test_particles_are_those_of_a_loop_over_what_uproot_reads(write):
    rng = np.random.default_rng(7)
    jets = rng.integers(1, 4, 300)
    # in no order; some jets have none
    owner = [rng.integers(0, n, rng.integers(0, 40)) for n in jets]
    number = [len(o) for o in owner]

    def particles(values, kind="float32"):
        return ak.unflatten(np.asarray(values).astype(kind), number)

    total = sum(number)
    path = write(
        {
            "run": np.ones(300, np.uint32),
            "luminosityBlock": np.ones(300, np.uint32),
            "event": np.arange(300, dtype=np.uint64),
            **{
                f"Jet_{name}": ak.unflatten(
                    rng.normal(100, 1, jets.sum()).astype(np.float32), jets
                )
                for name in ("pt", "eta", "phi")
            },
            "Jet_label": ak.unflatten(
                (np.arange(jets.sum()) % 2).astype(np.int8), jets
            ),
            # few values, so that many are equal
            "PFCand_pt": particles(rng.integers(1, 6, total)),
            "PFCand_eta": particles(rng.normal(size=total)),
            "PFCand_phi": particles(rng.normal(size=total)),
            "PFCand_pdgId": particles(rng.choice([211, -211, 22, 130], total), "int16"),
            "PFCand_jetIdx": particles(np.concatenate(owner), "int8"),
        }
    )
    card = propose(path)
    assert card.constituents is not None
    names = [column.name for column in card.constituents.columns]
    branches = [column.branch for column in card.constituents.columns]
    card = replace(
        card,
        label=BranchLabel("Jet_label", ("g", "q")),
        constituents=replace(card.constituents, least_pt=2.0, keep=8),
    )
    ours = read(card, [path], step=70)
    block, count = ours.block(names, 8)
    file: Any = uproot.open(path)
    stored = file["Events"].arrays().to_list()
    pt = branches.index("PFCand_pt")
    expected, kept = np.zeros_like(block), []
    for entry in stored:
        for jet in range(len(entry["Jet_pt"])):
            rows = [
                [entry[name][i] for name in branches]
                for i in range(len(entry[branches[pt]]))
            ]
            mine = [
                row
                for row, place in zip(rows, entry["PFCand_jetIdx"], strict=True)
                if place == jet and row[pt] >= 2.0
            ]
            mine.sort(key=lambda row: -row[pt])  # stable: equals as in the file
            for place, row in enumerate(mine[:8]):
                expected[len(kept), place] = row
            kept.append(len(mine[:8]))
    assert 0 in kept
    assert count.tolist() == kept
    assert np.array_equal(block, expected)


def test_objects_are_in_order_with_units_and_identity(write, events, card):
    (chunk,) = chunks(card, [write(events)])
    objects: Any = chunk.objects
    assert objects["pt"].tolist() == [60.5, 30.0, 90.0, 45.0]
    assert objects["label"].tolist() == [0, 1, 1, 0]
    assert chunk.event.tolist() == [[1, 105, n] for n in (10, 10, 11, 13)]
    layout = ak.to_layout(chunk.objects)
    assert layout["pt"].parameter("unit") == "GeV"
    assert layout["phi"].parameter("unit") == "rad"


def test_an_rntuple_reads_as_a_ttree_does(write, events, card):
    dotted = {k.replace("Jet_", "Jet."): v for k, v in events.items()}
    tree = read(card, [write(events)])
    tuple_ = read(card, [write(dotted, "tuple.root", kind="rntuple")])
    assert tree.objects.to_list() == tuple_.objects.to_list()
    assert tree.objects.type == tuple_.objects.type
    assert np.array_equal(tree.event, tuple_.event)


@settings(max_examples=25)
@given(step=st.integers(1, 130))
def test_where_chunks_end_changes_nothing(sample_of_100, step):
    path, card, whole = sample_of_100
    parts = list(chunks(card, [path], step=step))
    assert sum((part.cuts for part in parts), CutFlow()) == whole.cuts
    assert (
        ak.concatenate([p.objects for p in parts]).to_list() == whole.objects.to_list()
    )
    assert np.array_equal(np.concatenate([p.event for p in parts]), whole.event)
    edges = ranges(card, path, step=step)
    assert edges[0][0] == 0
    assert edges[-1][1] == 100
    assert all(0 < stop - start <= step for start, stop in edges)
    again = [partition(card, path, *edge) for edge in edges]
    assert [p.objects.to_list() for p in again] == [p.objects.to_list() for p in parts]


@pytest.fixture(scope="module")
def sample_of_100(tmp_path_factory):
    """A file of 100 events in clusters of 30, a card with a cut, and all of it."""
    rng = np.random.default_rng(3)
    path = str(tmp_path_factory.mktemp("hundred") / "a.root")
    number = rng.integers(0, 4, 100)
    whole = {
        "event": np.arange(100, dtype=np.uint64),
        "Jet_pt": ak.unflatten(rng.exponential(40, number.sum()), number),
        "Jet_label": ak.unflatten(rng.integers(0, 2, number.sum()), number),
        "PF_pt": ak.unflatten(rng.exponential(4, 1000), [10] * 100),
        "PF_jet": ak.unflatten(
            np.where(np.repeat(number, 10) > 0, rng.integers(-1, 1, 1000), -1),
            [10] * 100,
        ),
    }
    with uproot.recreate(path) as file:
        tree = file.mktree(
            "Events", {k: ak.Array(v).type.content for k, v in whole.items()}
        )
        for start in range(0, 100, 30):
            tree.extend({k: v[start : start + 30] for k, v in whole.items()})
    card = propose(path)
    card = replace(
        card,
        columns=(Column("pt", "Jet_pt"),),
        label=BranchLabel("Jet_label", ("g", "q")),
        selection=(Cut("pt", ">", 20.0),),
        constituents=ParticleList((Column("pt", "PF_pt"),), index="PF_jet", keep=4),
    )
    return path, card, read(card, [path])


def test_ranges_end_where_the_clusters_do(sample_of_100):
    path, card, _ = sample_of_100
    assert ranges(card, path, step=70) == [(0, 60), (60, 100)]


def test_one_call_reads_the_branches_of_a_chunk_and_no_others(
    write, events, card, monkeypatch
):
    asked = []
    plain = uproot.TTree.arrays

    def arrays(self, expressions=None, *args, **more):
        asked.append(expressions)
        return plain(self, expressions, *args, **more)

    monkeypatch.setattr(uproot.TTree, "arrays", arrays)
    path = write({**events, "Jet_other": events["Jet_pt"]})
    read(card, [path])
    assert asked == [["Jet_pt", "Jet_eta", "Jet_phi", *EVENT, "Jet_label"]]


def test_a_damaged_branch_that_no_card_names_does_no_harm(write, card, damage):
    path, branches = damage("Jet_other")
    assert read(card, [path]).matrix(["pt"]).shape == (len(branches["event"]), 1)


@pytest.fixture
def damage(write):
    """A file with one basket of compressed data flipped, and what it held."""

    def make(branch, name="damaged.root"):
        number = 4000
        ones = ak.unflatten(np.ones(number, np.float32), [1] * number)
        branches = {
            "run": np.ones(number, np.uint32),
            "luminosityBlock": np.ones(number, np.uint32),
            "event": np.arange(number, dtype=np.uint64),
            "Jet_pt": ones,
            "Jet_eta": ones,
            "Jet_phi": ones,
            "Jet_other": ones,
            "Jet_label": ak.unflatten(
                (np.arange(number) % 2).astype(np.int8), [1] * number
            ),
        }
        path = write(branches, name, compression=uproot.ZLIB(4))
        whole: Any = uproot.open(path)
        stored = whole["Events"][branch]
        seek = stored.basket_key(0).data_cursor.index
        size = stored.basket(0).compressed_bytes
        with open(path, "r+b") as file:
            file.seek(seek + 9 + 8)  # behind ROOT's header of the compressed block
            content = file.read(size // 2)
            file.seek(seek + 9 + 8)
            file.write(bytes(255 - byte for byte in content))
        return path, branches

    return make


def test_a_corrupted_basket_is_one_sentence(damage, card):
    path, _ = damage("Jet_pt")
    with pytest.raises(
        UserError, match=r"damaged\.root' is a ROOT file, but .* decoded"
    ):
        read(card, [path])


def test_memory_is_flat_in_the_size_of_the_data(tmp_path, card):
    rng = np.random.default_rng(1)
    # Chunks of some megabytes: the tests' type checker remembers kilobytes of each.
    number = 10_000

    def peak(chunk_number):
        path = str(tmp_path / f"{chunk_number}.root")
        with uproot.recreate(path) as file:
            types = {"event": np.uint64, "Jet_label": "var * int8"}
            types |= {f"Jet_{n}": "var * float32" for n in ("pt", "eta", "phi")}
            tree = file.mktree("Events", types)
            for at in range(chunk_number):
                values = ak.unflatten(rng.normal(9, 1, (2 * number)), [2] * number)
                tree.extend(
                    {
                        "event": np.arange(number) + at * number,
                        "Jet_label": ak.values_astype(values > 9, np.int8),
                        **{f"Jet_{n}": values for n in ("pt", "eta", "phi")},
                    }
                )
        chosen = replace(card, event=Identity(number="event"))
        tracemalloc.start()
        kept = sum(len(chunk.objects) for chunk in chunks(chosen, [path], step=number))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert kept == 2 * number * chunk_number
        return most

    peak(1)  # what is imported and remembered on first use
    # 24 times the data: a reader that kept even a tenth of it would double its peak
    assert peak(24) < 2 * peak(1)


def test_one_entry_may_be_one_object(write, card):
    path = write(
        {
            "evt": np.arange(3),
            "jet_pt": np.array([1.5, 2.5, 3.5]),
            "jet_cls": np.array([1, 0, 1]),
        },
        tree="Jets",
    )
    flat = replace(
        card,
        tree="Jets",
        objects=ENTRY,
        event=Identity(number="evt"),
        columns=(Column("pt", "jet_pt"),),
        label=BranchLabel("jet_cls", ("g", "q")),
    )
    sample = read(flat, [path])
    assert sample.column("pt").tolist() == [1.5, 2.5, 3.5]
    assert sample.event.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2]]


def test_a_friend_gives_the_branches_that_the_tree_lacks(tmp_path, card):
    path = str(tmp_path / "friends.root")
    with uproot.recreate(path) as file:
        pt = ak.Array([[5.0], [7.0, 6.0]])
        file.mktree("upgrade/Tree", {"Jet_pt": pt.type.content}).extend({"Jet_pt": pt})
        file.mktree("event/Tree", {"number": np.int64}).extend({"number": [8, 9]})
        file.mktree("short/Tree", {"number": np.int64}).extend({"number": [8]})
    two = replace(
        card,
        tree="upgrade/Tree",
        friends=("event/Tree",),
        event=Identity(number="number"),
        columns=(Column("pt", "Jet_pt"),),
        label=NoLabel(),
    )
    assert read(two, [path]).event[:, 2].tolist() == [8, 9, 9]
    with pytest.raises(
        UserError, match="'short/Tree' has 1 entries, but 'upgrade/Tree'"
    ):
        read(replace(two, friends=("short/Tree",)), [path])


def test_a_number_of_the_event_goes_to_each_of_its_objects(write, events, card):
    events["Pileup"] = np.array([140.0, 200.0, 60.0, 7.0])
    pileup = Column("pileup", "Pileup", per="event", scale=0.5)
    columns = (*card.columns, pileup)
    sample = read(replace(card, columns=columns), [write(events)])
    assert sample.column("pileup").tolist() == [70.0, 70.0, 100.0, 3.5]
    cut = replace(card, columns=columns, selection=(Cut("pileup", "<=", 70.0),))
    assert read(cut, [write(events)]).column("pt").tolist() == [60.5, 30.0, 45.0]
    with pytest.raises(UserError, match="no column is per object, so nothing tells"):
        read(replace(card, columns=(pileup,)), [write(events)])


def test_a_card_without_label_reads_without(write, events, card):
    sample = read(replace(card, label=NoLabel()), [write(events)])
    assert sample.objects.fields == ["pt", "eta", "phi"]
    with pytest.raises(UserError, match="card 'jets' has no label: its rule is 'none'"):
        _ = sample.label


def test_files_of_two_schemas_are_refused(write, events, card):
    one = write(events, "one.root")
    other = {**events, "Jet_pt": ak.values_astype(events["Jet_pt"], np.float64)}
    expected = (
        r"branches differ: 'Jet_pt' holds var \* float64 in '.*two\.root' but "
        r"var \* float32 in '.*one\.root'"
    )
    with pytest.raises(UserError, match=expected):
        read(card, [one, write(other, "two.root")])


def test_all_cut_away_names_the_cut(write, events, card):
    cuts = (Cut("pt", ">", 40.0), Cut("eta", ">", 3.0, absolute=True))
    expected = r"cut away: '\|eta\| > 3' leaves none of the 3 that reached it, of 4 in"
    with pytest.raises(UserError, match=expected):
        read(replace(card, selection=cuts), [write(events)])


def test_entries_without_any_object_are_no_data(write, events, card):
    empty = {k: v[2:3] for k, v in events.items()}
    with pytest.raises(UserError, match=r"no object at all in '.*events\.root'"):
        read(card, [write(empty)])


def test_a_chunk_has_an_entry_at_least(card, sample):
    with pytest.raises(UserError, match="1 entry or more, got step=0"):
        next(chunks(card, [sample], step=0))


def test_what_a_card_uses_is_all_that_is_wanted(card):
    assert wanted(card) == ["Jet_pt", "Jet_eta", "Jet_phi", *EVENT, "Jet_label"]
