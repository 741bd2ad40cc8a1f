import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from equal_samples import assert_same

from trigger.datasets import cache, fingerprint, read, stored
from trigger.datasets.cache import cached, entry_for
from trigger.datasets.card import (
    BranchLabel,
    Card,
    Column,
    Cut,
    Identity,
)
from trigger.datasets.stored import MANIFEST, OBJECTS, open_stored
from trigger.errors import UserError

# The embedded sample: jets in lists, a label, an identity.
CARD = Card(
    name="embedded",
    tree="Events",
    event=Identity("run", "luminosityBlock", "event"),
    columns=(
        Column("mass", "Jet_mass_mmdt", "GeV"),
        Column("mass_mev", "Jet_mass_mmdt", "MeV", scale=1000.0),
        Column("multiplicity", "Jet_multiplicity"),
    ),
    objects="Jet",
    label=BranchLabel("Jet_label", ("g", "q", "t", "w", "z")),
    selection=(Cut("mass", ">", 40.0),),
)


@pytest.fixture
def small(write, events):
    """A file of four events; the card of the folder's fixtures reads it."""
    return write(events)


@pytest.fixture
def notices():
    return []


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "made" / "cache"


def entries(folder):
    """The entries of a cache; nothing temporary may be left beside them."""
    assert list(folder.glob(".*")) == []
    return sorted(path for path in folder.iterdir() if path.is_dir())


def never_read(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("the ROOT files were read again")

    monkeypatch.setattr(stored, "chunks", refuse)


@pytest.mark.parametrize("step", [3_000, 50_000])
def test_the_cache_gives_what_the_direct_read_gives(
    sample, folder, monkeypatch, notices, step
):
    expected = read.read(CARD, [sample])
    options = {"folder": folder, "notice": notices.append}
    assert_same(cached(CARD, [sample], step=step, **options), expected)
    never_read(monkeypatch)
    for again in (step, step + 1):
        assert_same(cached(CARD, [sample], step=again, **options), expected)
    assert notices == []
    assert len(entries(folder)) == 1


def test_skipped_files_survive(write, events, card, folder, small, monkeypatch):
    bad = write({k: v for k, v in events.items() if k != "Jet_pt"}, "bad.root")
    expected = read.read(card, [bad, small], on_bad_file="skip")
    assert [one.name for one in expected.skipped] == ["bad.root"]
    for _ in range(2):
        entry = entry_for(card, [bad, small], folder=folder, on_bad_file="skip")
        found = entry.sample()
        assert_same(found, expected)
        never_read(monkeypatch)
    # what was read by skipping is no answer to who would not skip
    monkeypatch.undo()
    with pytest.raises(UserError, match="has no branch 'Jet_pt'"):
        entry_for(card, [bad, small], folder=folder)
    assert len(entries(folder)) == 1


def test_a_moved_file_is_found_under_its_new_name(small, card, folder, monkeypatch):
    entry_for(card, [small], folder=folder)
    moved = small.replace("events", "moved")
    shutil.move(small, moved)
    never_read(monkeypatch)
    found = cached(card, [moved], folder=folder)
    assert [source.name for source in found.sources] == ["moved.root"]


def test_only_what_of_a_card_decides_on_the_read_makes_another_entry(
    small, card, folder, notices, monkeypatch
):
    entry_for(card, [small], folder=folder, notice=notices.append)
    edited = dataclasses.replace(card, selection=(Cut("pt", ">", 40.0),))
    found = cached(edited, [small], folder=folder, notice=notices.append)
    assert_same(found, read.read(edited, [small]))
    assert len(found.objects) == 3
    assert len(entries(folder)) == 2
    never_read(monkeypatch)
    named = dataclasses.replace(card, files=(small,))
    assert entry_for(named, folder=folder).sample().card == named
    assert notices == []


def test_a_file_with_other_content_is_read_again(
    small, card, folder, write, events, monkeypatch
):
    now = time.time()
    monkeypatch.setattr(fingerprint.time, "time", lambda: now + 60)  # sums are kept
    entry_for(card, [small], folder=folder)
    before = os.stat(small)
    events["Jet_eta"] = -events["Jet_eta"]
    other = write(events, "others.root")
    assert os.stat(other).st_size == before.st_size
    with open(small, "r+b") as file:  # in place: the same inode
        file.write(Path(other).read_bytes())
    os.utime(small, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = cached(card, [small], folder=folder)
    assert np.array_equal(found.column("eta"), read.read(card, [other]).column("eta"))
    assert len(entries(folder)) == 2


def test_a_file_that_changes_while_it_is_read_is_refused(
    small, card, folder, monkeypatch
):
    plain = stored.chunks

    def chunks(*args, **options):
        yield from plain(*args, **options)
        with open(small, "ab") as file:
            file.write(b"more")

    monkeypatch.setattr(stored, "chunks", chunks)
    with pytest.raises(UserError, match=r"events.root' changed while it was read"):
        entry_for(card, [small], folder=folder)
    assert entries(folder) == []


def test_another_version_is_read_again_with_a_notice(
    small, card, folder, notices, monkeypatch
):
    old = entry_for(card, [small], folder=folder, notice=notices.append)
    for module in (cache, stored):
        monkeypatch.setattr(module, "code_version", lambda: "f" * 64)
    new = entry_for(card, [small], folder=folder, notice=notices.append)
    assert_same(new.sample(), read.read(card, [small]))
    (notice,) = notices
    assert notice == (
        f"the cache {str(old.folder)!r} is of another version of jetlut or of its "
        "libraries, and may be deleted; reading the files again"
    )
    with pytest.raises(UserError, match=r"another version of jetlut.*make it anew"):
        open_stored(old.folder)


def truncate(entry):
    with (entry / OBJECTS).open("r+b") as file:
        file.truncate(100)


def flip(entry):
    content = bytearray((entry / OBJECTS).read_bytes())
    content[len(content) // 2] ^= 1
    (entry / OBJECTS).write_bytes(content)


DAMAGE = {
    "a truncated file": (truncate, f"the sum of its {OBJECTS} should begin with"),
    "a flipped bit": (flip, f"the sum of its {OBJECTS} should begin with"),
    "no objects": (lambda entry: (entry / OBJECTS).unlink(), "found nothing"),
    "no manifest": (lambda entry: (entry / MANIFEST).unlink(), "is no cache"),
    "half a manifest": (lambda e: (e / MANIFEST).write_text('{"for'), "no manifest"),
    "a list": (lambda e: (e / MANIFEST).write_text("[]"), "no manifest"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_entry_is_made_anew_or_refused_where_it_was_named(
    small, card, folder, notices, kind
):
    damage, expected = DAMAGE[kind]
    entry = entry_for(card, [small], folder=folder).folder
    damage(entry)
    with pytest.raises(UserError, match=expected):
        open_stored(entry, card)
    again = entry_for(card, [small], folder=folder, notice=notices.append)
    assert_same(again.sample(), read.read(card, [small]))
    assert len(notices) == 1
    assert expected in notices[0]
    assert notices[0].endswith("reading the files again")
    assert entries(folder) == [entry]
    never = entry_for(card, [small], folder=folder, notice=notices.append)
    assert (never.folder, len(notices)) == (entry, 1)


def test_the_notice_is_a_line_on_standard_error(small, card, folder, capsys):
    flip(entry_for(card, [small], folder=folder).folder)
    entry_for(card, [small], folder=folder)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1


def test_a_bad_file_leaves_nothing_behind(small, card, folder):
    with open(small, "r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match="truncated"):
        entry_for(card, [small], folder=folder)
    assert entries(folder) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(small, card, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/cache' cannot be used: Not a directory"):
        entry_for(card, [small], folder=tmp_path / "file" / "cache")


def race(path, folder, card, barrier, results):
    barrier.wait(60)
    found = cached(card, [path], folder=Path(folder), step=4_000)
    total = hashlib.sha256(np.asarray(found.objects["mass"]).tobytes())
    results.put((len(found.objects), total.hexdigest()))


def test_two_processes_at_once_make_one_entry(sample, folder):
    expected = read.read(CARD, [sample])
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    both = [
        # daemons: where one dies, the other does not keep this process from ending
        context.Process(
            target=race,
            args=(sample, str(folder), CARD, barrier, results),
            daemon=True,
        )
        for _ in range(2)
    ]
    for process in both:
        process.start()
    found = [results.get(timeout=120) for _ in both]
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    mass = np.asarray(expected.objects["mass"]).tobytes()
    total = hashlib.sha256(mass).hexdigest()
    assert found == [(len(expected.objects), total)] * 2
    (entry,) = entries(folder)
    assert_same(open_stored(entry, CARD).sample(), expected)


@pytest.mark.parametrize("winner", ["sound", "damaged"])
def test_who_comes_second_uses_a_sound_winner_only(
    small, card, folder, monkeypatch, winner, tmp_path
):
    first = entry_for(card, [small], folder=tmp_path / "first").folder
    plain = stored.chunks

    def chunks(*args, **options):
        yield from plain(*args, **options)
        shutil.copytree(first, folder / first.name)  # the other process ends before us
        (folder / first.name / "theirs").touch()
        if winner == "damaged":
            flip(folder / first.name)

    monkeypatch.setattr(stored, "chunks", chunks)
    found = entry_for(card, [small], folder=folder)
    assert_same(found.sample(), read.read(card, [small]))
    assert (found.folder / "theirs").exists() == (winner == "sound")
    assert entries(folder) == [folder / first.name]


def test_a_killed_write_leaves_no_entry_and_is_cleared_away(small, card, folder):
    script = """
        import os, signal, sys
        from pathlib import Path
        from trigger.datasets import card_text, stored
        from trigger.datasets.cache import cached

        plain = stored.chunks

        def chunks(*args, **options):
            for number, chunk in enumerate(plain(*args, **options)):
                yield chunk
                if number == 1:
                    os.kill(os.getpid(), signal.SIGKILL)

        stored.chunks = chunks
        card = card_text.loads(sys.argv[1])
        cached(card, [sys.argv[2]], folder=Path(sys.argv[3]), step=1)
    """
    text = stored.card_text(card)
    command = [sys.executable, "-c", textwrap.dedent(script), text, small, str(folder)]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    # beside it may be the sums, which are kept of files that are old enough
    (rest,) = (path for path in folder.iterdir() if path.is_dir())
    assert rest.name.startswith(".")
    assert (rest / OBJECTS).exists()
    assert not (rest / MANIFEST).exists()
    found = cached(card, [small], folder=folder)
    assert_same(found, read.read(card, [small]))
    assert len(entries(folder)) == 1


def test_only_temporaries_of_the_dead_and_the_old_are_cleared_away(
    small, card, folder, monkeypatch
):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    host = cache.socket.gethostname()
    names = {
        "alive": f".a-b.{os.getpid()}.1.{host}.tmp",
        "dead": f".a-b.{ended.pid}.2.{host}.tmp",
        "elsewhere": f".a-b.{ended.pid}.3.other.host.tmp",
        "old": f".a-b.{os.getpid()}.4.other.host.tmp",
    }
    for name in names.values():
        (folder / name).mkdir(parents=True)
    day = time.time() - 90_000
    os.utime(folder / names["old"], (day, day))
    entry_for(card, [small], folder=folder)
    left = {name for name, path in names.items() if (folder / path).exists()}
    assert left == {"alive", "elsewhere"}


def test_a_second_start_sums_no_file_again(small, card, folder, monkeypatch):
    now = time.time()
    monkeypatch.setattr(fingerprint.time, "time", lambda: now + 60)
    entry_for(card, [small], folder=folder)
    assert list(json.loads((folder / cache.SUMS).read_text())["files"]) == [small]

    def refuse(path):
        raise AssertionError("the file was summed again")

    monkeypatch.setattr(fingerprint, "sha256", refuse)
    assert len(entry_for(card, [small], folder=folder).sample().objects) == 4
