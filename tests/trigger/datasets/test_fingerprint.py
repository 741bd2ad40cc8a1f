import hashlib
import importlib.metadata
import json
import os

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.datasets import fingerprint, sample
from trigger.datasets.fingerprint import changed, code_version, fingerprints
from trigger.datasets.sample import sha256


@pytest.fixture
def old_file(tmp_path, monkeypatch):
    """A file that was last changed long ago, as the clock of the test says."""
    path = tmp_path / "jets.root"
    path.write_bytes(b"root" + bytes(100))
    now = path.stat().st_mtime
    monkeypatch.setattr(fingerprint.time, "time", lambda: now + 60)
    return path


def reads(monkeypatch):
    """The paths that are read from now on."""
    opened = []

    def spy(path):
        opened.append(path)
        return sample.sha256(path)

    monkeypatch.setattr(fingerprint, "sha256", spy)
    return opened


@given(st.binary(max_size=3 << 20))
def test_a_sum_is_that_of_the_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("sum") / "file"
    path.write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    (one,) = fingerprints([str(path)], path.with_name("sums.json"))
    assert one.sha256 == expected == sha256(str(path))


def test_a_second_start_reads_no_file_again(old_file, tmp_path, monkeypatch):
    memory = tmp_path / "new" / "sums.json"
    first = fingerprints([str(old_file)], memory)
    opened = reads(monkeypatch)
    assert fingerprints([str(old_file)], memory) == first
    assert opened == []


def test_the_same_file_by_another_path_is_remembered(old_file, tmp_path, monkeypatch):
    memory = tmp_path / "sums.json"
    (first,) = fingerprints([str(old_file)], memory)
    monkeypatch.chdir(tmp_path)
    opened = reads(monkeypatch)
    (second,) = fingerprints(["jets.root"], memory)
    assert (second.sha256, opened) == (first.sha256, [])


def test_a_file_written_over_in_place_with_its_old_time_is_summed_anew(
    old_file, tmp_path
):
    memory = tmp_path / "sums.json"
    first = fingerprints([str(old_file)], memory)
    before = old_file.stat()
    with old_file.open("r+b") as file:
        file.write(b"ROOT")
    os.utime(old_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert old_file.stat().st_mtime_ns == before.st_mtime_ns
    assert changed(first) == [str(old_file)]
    (second,) = fingerprints([str(old_file)], memory)
    assert second.sha256 == sha256(str(old_file)) != first[0].sha256


def test_a_file_that_just_changed_is_not_remembered(tmp_path):
    # Two writes within a tick of the file system's clock would have the same stamp.
    path, memory = tmp_path / "jets.root", tmp_path / "sums.json"
    path.write_bytes(b"x")
    fingerprints([str(path)], memory)
    assert not memory.exists()


def test_sums_of_other_files_stay_remembered(old_file, tmp_path):
    memory, other = tmp_path / "sums.json", tmp_path / "other.root"
    other.write_bytes(b"other")
    for path in (old_file, other):
        fingerprints([str(path)], memory)
    places = set(json.loads(memory.read_text())["files"])
    assert places == {str(old_file.resolve()), str(other.resolve())}
    assert [p.name for p in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 0}'])
def test_a_damaged_memory_costs_only_time(old_file, tmp_path, content):
    memory = tmp_path / "sums.json"
    memory.write_text(content)
    (one,) = fingerprints([str(old_file)], memory)
    assert one.sha256 == sha256(str(old_file))
    assert json.loads(memory.read_text())["files"]


@pytest.mark.parametrize("path", ["nothing.root", "no-such-protocol://host/a.root"])
def test_what_cannot_be_opened_has_no_sum_and_is_not_remembered(tmp_path, path):
    memory = tmp_path / "sums.json"
    (one,) = fingerprints([path], memory)
    assert (one.sha256, one.stamp, memory.exists()) == ("", (), False)


def put(url, content):
    with fsspec.open(url, "wb") as file:
        file.write(content)  # pyright: ignore[reportAttributeAccessIssue]


def test_a_file_on_a_server_is_known_by_what_the_server_says(tmp_path, monkeypatch):
    url, memory = "memory://jets.root", tmp_path / "sums.json"
    put(url, b"root")
    first = fingerprints([url], memory)
    assert len(first[0].sha256) == 64
    monkeypatch.setattr(fingerprint, "_fetched", lambda address: "fetched")
    assert fingerprints([url], memory) == first
    put(url, b"ROOT")
    assert changed(first) == [url]
    assert fingerprints([url], memory)[0].sha256 != first[0].sha256
    put("memory://other.root", b"root")
    assert fingerprints(["memory://other.root"], memory)[0].sha256 != first[0].sha256


def test_where_the_server_says_the_size_alone_the_bytes_count(tmp_path, monkeypatch):
    url, memory = "memory://jets.root", tmp_path / "sums.json"
    put(url, b"root")
    monkeypatch.setattr(fingerprint, "_REMOTE_STAMPS", ())
    (first,) = fingerprints([url], memory)
    assert first.sha256 == hashlib.sha256(b"root").hexdigest()
    put(url, b"ROOT")
    (second,) = fingerprints([url], memory)
    assert second.sha256 == hashlib.sha256(b"ROOT").hexdigest()
    assert not memory.exists()


def test_the_code_version_depends_on_source_and_libraries(tmp_path, monkeypatch):
    version = code_version()
    assert len(version) == 64
    assert version == code_version()
    plain = importlib.metadata.version

    def newer(name):
        return plain(name) + (".1" if name == "uproot" else "")

    with monkeypatch.context() as context:
        context.setattr(importlib.metadata, "version", newer)
        assert code_version() != version
    copy = tmp_path / "trigger" / "datasets"
    copy.mkdir(parents=True)
    (copy.parent / "rootfile.py").write_text("A = 1\n")
    (copy / "read.py").write_text("B = 1\n")
    monkeypatch.setattr(fingerprint, "__file__", str(copy / "fingerprint.py"))
    seen = {code_version()}
    for file in (copy.parent / "rootfile.py", copy / "read.py", copy / "new.py"):
        file.write_text("C = 1\n")
        seen.add(code_version())
    assert len(seen) == 4
