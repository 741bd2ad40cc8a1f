import re
import struct

import numpy as np
import pytest
import uproot

from trigger.errors import UserError
from trigger.rootfile import BranchInfo, TreeInfo, describe, find_tree, open_root


def test_describe_names_trees_branches_types_and_entries(write, columns):
    (tree,) = describe(write(columns))
    assert (tree.name, tree.kind, tree.entries) == ("Events", "TTree", 4)
    assert BranchInfo("event", "uint64_t") in tree.branches
    assert BranchInfo("Jet_mass", "float[]") in tree.branches


def test_describe_reads_rntuples_too(write, columns):
    (tree,) = describe(write(columns, kind="rntuple"))
    assert (tree.name, tree.kind, tree.entries) == ("Events", "RNTuple", 4)
    assert BranchInfo("Jet.mass", "float") in tree.branches


def test_describe_finds_trees_in_folders_and_passes_over_other_objects(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("folder/Tree", {"x": np.float64}).extend({"x": np.arange(3.0)})
        file["histogram"] = np.histogram(np.arange(3.0))
    branches = (BranchInfo("x", "double"),)
    found = describe(tmp_path / "a.root")
    assert found == [TreeInfo("folder/Tree", "TTree", "", 3, branches)]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"^no such file: '.*nothing\.root'$"):
        describe(tmp_path / "nothing.root")


def test_a_folder_is_no_file_and_the_sentence_says_how_to_read_it(tmp_path):
    with pytest.raises(UserError, match=r"is a folder.*say '.*\*\.root'"):
        describe(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1 this is parquet", b"ro"])
def test_a_file_of_another_kind_is_no_root_file(tmp_path, content):
    path = tmp_path / "other.root"
    path.write_bytes(content)
    expected = f"is not a ROOT file: it is {len(content)} bytes long and begins with"
    with pytest.raises(UserError, match=expected):
        describe(path)


@pytest.mark.parametrize("kept", [4, 19, 20, 200, 0.5, 0.99, -1])
def test_a_file_cut_anywhere_is_truncated(write, columns, tmp_path, kept):
    with open(write(columns), "rb") as file:
        whole = file.read()
    cut = whole[: int(kept * len(whole)) if isinstance(kept, float) else kept]
    path = tmp_path / "cut.root"
    path.write_bytes(cut)
    with pytest.raises(UserError, match=rf"truncated: .*{len(cut)}"):
        describe(path)


def test_the_end_of_a_large_file_is_read_from_eight_bytes(tmp_path):
    head = struct.pack(">4siiqi", b"root", 1_062_400, 100, 5_000_000_000, 0)
    (tmp_path / "large.root").write_bytes(head + bytes(100))
    with pytest.raises(UserError, match="promises 5000000000 bytes, it has 124"):
        describe(tmp_path / "large.root")


def test_damage_inside_a_file_is_one_sentence(write, columns, tmp_path):
    with open(write(columns), "rb") as file:
        whole = bytearray(file.read())
    whole[150:-150] = b"\xa5" * (len(whole) - 300)
    path = tmp_path / "damaged.root"
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"cannot be decoded \(\w+\); the copy is"):
        describe(path)


def test_a_missing_tree_lists_those_that_exist(write, columns):
    path = write(columns, tree="Events")
    expected = re.escape("has no tree 'Event'; its trees are 'Events'")
    with (
        pytest.raises(UserError, match=expected),
        open_root(path) as directory,
    ):
        find_tree(directory, "Event", path)
