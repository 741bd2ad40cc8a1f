# ruff: noqa: E402 (nothing is imported before it is known to be there)
import fcntl
import resource

import awkward as ak
import numpy as np
import pytest

NO = "no {0}: pip install 'jetlut[generate]'"
pytest.importorskip("pythia8mc", reason=NO.format("pythia8mc"))
pytest.importorskip("fastjet", reason=NO.format("fastjet"))

from trigger.errors import UserError
from trigger.generate.events import Columns
from trigger.generate.write import compression, entries, new_file, write
from trigger.rootfile import open_root


def columns(number, seed=0):
    """Some collisions with one to three jets and particles."""
    rng = np.random.default_rng(seed)
    jets, cands = rng.integers(1, 4, number), rng.integers(1, 9, number)
    return Columns(
        ak.unflatten(ak.zip({"pt": rng.random(jets.sum(), np.float32)}), jets),
        ak.unflatten(ak.zip({"pt": rng.random(cands.sum(), np.float32)}), cands),
    )


def clusters():
    """Two clusters, numbered one after the other."""
    return [entries(columns(7, 1), 3, 0, 0.0), entries(columns(5, 2), 3, 7, 0.0)]


@pytest.mark.parametrize("packed", ["lzma:6", "zstd:5", "zlib:1", "lz4:4", "zstd:0"])
def test_both_kinds_of_tree_hold_the_same_under_any_compression(tmp_path, packed):
    read = {}
    for form in ("ttree", "rntuple"):
        path = tmp_path / f"{form}.root"
        write(path, clusters(), form, compression(packed))
        with open_root(path) as file:
            read[form] = file["Events"].arrays()
    flat, nested = read["ttree"], read["rntuple"]
    for name in ("run", "luminosityBlock", "event", "Pileup_nTrueInt"):
        assert ak.array_equal(flat[name], nested[name])
    for name in ("Jet", "PFCand"):
        assert ak.array_equal(flat[f"{name}_pt"], nested[name].pt)
        assert ak.array_equal(flat[f"n{name}"], ak.num(nested[name]), dtype_exact=False)
    assert np.array_equal(ak.to_numpy(flat["event"]), np.arange(12))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("zst:5", "no compression 'zst'; the most alike are 'zstd'"),
        ("zstd", "the compression 'zstd' lacks a level from 0 to 22"),
        ("lzma:10", "the compression 'lzma:10' lacks a level from 0 to 9"),
        ("zlib:-1", "the compression 'zlib:-1' lacks a level"),
    ],
)
def test_unknown_compression_is_told_with_the_nearest(text, told):
    with pytest.raises(UserError) as error:
        compression(text)
    assert told in str(error.value)


def fill(target, content, *, force=False, fails=False):
    """Writes a few bytes, or half of them."""
    with new_file(target, force=force) as path:
        path.write_bytes(content)
        if fails:
            raise RuntimeError
        return target.exists() and target.read_bytes()


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "a.root"
    with pytest.raises(RuntimeError):
        fill(target, b"half", fails=True)
    assert list(tmp_path.iterdir()) == []
    assert not fill(target, b"whole")  # not there before all of it is
    assert [p.name for p in tmp_path.iterdir()] == ["a.root"]
    assert target.read_bytes() == b"whole"


def test_an_existing_file_is_replaced_only_by_force(tmp_path):
    target = tmp_path / "a.root"
    target.write_bytes(b"old")
    with pytest.raises(UserError, match="exists already; replace it by --force"):
        fill(target, b"new")
    assert target.read_bytes() == b"old"
    assert fill(target, b"new", force=True) == b"old"
    assert target.read_bytes() == b"new"


def test_a_folder_that_is_missing_or_is_the_target_is_told(tmp_path):
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        fill(tmp_path / "nowhere" / "a.root", b"")
    with pytest.raises(UserError, match="is a folder; --out names a file"):
        fill(tmp_path, b"", force=True)


def write_beyond_limit(target, limits):
    """Writes more than the limit on the size of files allows from then on."""
    with new_file(target) as path:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
        write(path, [entries(columns(5000), 1, 0, 0.0)], "ttree", compression("zlib:1"))


def test_a_full_disk_leaves_nothing_and_is_one_sentence(tmp_path):
    # A limit on the size of files ends a write as a full disk does, with another number.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(UserError) as error:
            write_beyond_limit(tmp_path / "a.root", limits)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (
        "cannot be written: File too large; nothing is kept, make room or name"
        in str(error.value)
    )
    assert list(tmp_path.iterdir()) == []


def test_remains_of_a_killed_process_are_swept_up_and_a_living_one_is_spared(tmp_path):
    dead, alive = tmp_path / ".a.root.new-1", tmp_path / ".a.root.new-2"
    other = tmp_path / ".b.root.new-3"
    for path in (dead, alive, other):
        path.write_bytes(b"part")
    with alive.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with new_file(tmp_path / "a.root") as path:
            path.write_bytes(b"whole")
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"a.root", alive.name, other.name}
