"""Every way in which a file can be bad is one sentence, and `skip` counts it."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from trigger.datasets import read as read_module
from trigger.datasets.card import Cut
from trigger.datasets.read import chunks, read
from trigger.errors import UserError


def _bytes(change):
    """A fault of the file's bytes."""

    def spoil(write, events, name):
        path = Path(write(events, name))
        path.write_bytes(change(path.read_bytes()))
        return str(path)

    return spoil


def _branch(**changes):
    """A fault of branches: others instead of them, or none."""

    def spoil(write, events, name):
        changed = {**events, **changes}
        return write({k: v for k, v in changed.items() if v is not None}, name)

    return spoil


def _missing(write, events, name):
    Path(write(events, name)).unlink()
    return str(Path(write(events, "x.root")).parent / name)


FAULTS = {
    "missing": (_missing, r"no such file: '.*bad\.root'"),
    "zero-byte": (_bytes(lambda b: b""), "not a ROOT file: it is 0 bytes long"),
    "magic": (
        _bytes(lambda b: b"toor" + b[4:]),
        "not a ROOT file: .* begins with b'toor'",
    ),
    "truncated": (
        _bytes(lambda b: b[: len(b) // 2]),
        "is truncated: its header promises",
    ),
    "no tree": (
        lambda write, events, name: write(events, name, tree="Event"),
        "has no tree 'Events'; its trees are 'Event'",
    ),
    "no branch": (
        _branch(Jet_eta=None, Jet_etta=ak.Array([[1.0, 2.0], [1.0], [], [0.0]])),
        "has no branch 'Jet_eta'; the most alike of its .* are 'Jet_etta'",
    ),
    "type": (
        _branch(Jet_label=ak.Array([[0.0, 1.0], [1.0], [], [0.0]])),
        r"branch 'Jet_label' holds var \* float64, not integers",
    ),
    "flat": (
        _branch(Jet_eta=np.ones(4)),
        "branch 'Jet_eta' holds float64, not a list of numbers per entry",
    ),
    "jagged": (
        _branch(event=ak.Array([[1, 2], [2], [3], [4]])),
        r"branch 'event' holds var \* int64, not one number per entry",
    ),
    "lengths": (
        _branch(Jet_eta=ak.Array([[1.0, 2.0], [1.0], [5.0], [0.0]])),
        r"in entry 2 \(run 1, luminosityBlock 105, event 12\) the branch 'Jet_eta' holds "
        "1 values, but there are 0 objects",
    ),
    "no entries": (
        lambda write, events, name: write({k: v[:0] for k, v in events.items()}, name),
        "tree 'Events' of file .* is empty: it has no entries",
    ),
    "nan": (
        _branch(Jet_eta=ak.Array([[1.0, 2.0], [float("nan")], [], [float("inf")]])),
        r"branch 'Jet_eta' of Jet 0 of entry 1 \(run 1, luminosityBlock 105, event 11\) "
        r"is nan, not a finite number \(2 of 4 values are not\)",
    ),
    "negative": (
        _branch(Jet_pt=ak.Array([[1.0, 2.0], [3.0], [], [-4.5]])),
        r"branch 'Jet_pt' of Jet 0 of entry 3 .* is -4.5, not a momentum of 0 or more",
    ),
    "label": (
        _branch(Jet_label=ak.Array([[0, 1], [7], [], [0]])),
        r"label branch 'Jet_label' of Jet 0 of entry 1 .* is 7, not one of the classes "
        r"0=g, 1=q \(1 of 4 values are not\)",
    ),
    "identity": (
        _branch(run=np.ones(4)),
        "branch 'run' holds float64, not integers",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_one_sentence(write, events, card, fault):
    spoil, expected = FAULTS[fault]
    with pytest.raises(UserError, match=expected) as error:
        read(card, [spoil(write, events, "bad.root")])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_is_skipped_and_noted(write, events, card, fault):
    spoil, expected = FAULTS[fault]
    bad = spoil(write, events, "bad.root")
    good = write(events, "good.root")
    sample = read(card, [bad, good], on_bad_file="skip")
    assert sample.label.tolist() == [0, 1, 1, 0]
    assert [source.name for source in sample.sources] == ["good.root"]
    (skipped,) = sample.skipped
    assert skipped.name == "bad.root"
    assert re.search(expected, skipped.reason)


@pytest.mark.parametrize("fault", FAULTS)
def test_only_bad_files_still_fail(write, events, card, fault):
    spoil, expected = FAULTS[fault]
    bad = spoil(write, events, "bad.root")
    with pytest.raises(UserError, match=f"none of the 1 files can be read.*{expected}"):
        read(card, [bad], on_bad_file="skip")


def test_a_skip_is_warned_of_where_nobody_notes_it(write, events, card, tmp_path):
    good = write(events)
    (tmp_path / "bad.root").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"skipped: file '.*bad\.root' is not a ROOT"):
        (chunk,) = chunks(card, [good, str(tmp_path / "bad.root")], on_bad_file="skip")
    assert len(chunk.objects) == 4


def test_a_file_that_is_bad_far_down_gives_nothing(tmp_path, write, events, card):
    long = str(tmp_path / "long.root")
    with uproot.recreate(long) as file:
        types = {k: ak.Array(v).type.content for k, v in events.items()}
        tree = file.mktree("Events", types)
        tree.extend(events)
        broken = {**events, "Jet_pt": events["Jet_pt"] * np.float32("nan")}
        tree.extend(broken)
    good = str(tmp_path / "good.root")
    shutil.copy(write(events), good)
    sample = read(card, [long, good], step=4, on_bad_file="skip")
    assert len(sample.label) == 4
    assert "of entry 4 " in sample.skipped[0].reason


def test_a_nan_that_is_cut_away_does_no_harm(write, events, card):
    nan = ak.Array([[1.0, float("nan")], [1.0], [], [0.0]])
    path = write({**events, "Jet_eta": nan})
    high = replace(card, selection=(Cut("pt", ">", 40.0),))
    assert read(high, [path]).column("eta").tolist() == [1.0, 1.0, 0.0]
    cut_on_it = replace(card, selection=(Cut("eta", "<", 9.0),))
    with pytest.raises(UserError, match=r"'Jet_eta' of Jet 1 of entry 0 .* is nan"):
        read(cut_on_it, [path])


def test_a_file_that_fails_when_it_was_sound_before_is_no_skip(
    write, events, card, monkeypatch
):
    calls = []
    plain = read_module.cut_out

    def fails_late(card, table):
        calls.append(table.start)
        if len(calls) == 4:
            raise UserError("the server has gone")
        return plain(card, table)

    monkeypatch.setattr(read_module, "cut_out", fails_late)
    with pytest.raises(UserError, match="the server has gone"):
        list(chunks(card, [write(events)], step=2, on_bad_file="skip"))
    assert calls == [0, 2, 0, 2]
