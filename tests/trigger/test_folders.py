from pathlib import Path

import pytest

from trigger.folders import mend, replace


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "text").write_text(text)
    return path


def test_the_new_folder_stands_and_the_old_is_gone(tmp_path):
    target = folder(tmp_path / "one", "old")
    replace(folder(tmp_path / "new", "new"), target)
    assert (target / "text").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_rename_that_fails_leaves_the_old_folder(tmp_path):
    target = folder(tmp_path / "one", "old")
    with pytest.raises(OSError, match="No such file"):
        replace(tmp_path / "absent", target)
    assert (target / "text").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_kill_between_the_renames_left_is_mended(tmp_path):
    target = tmp_path / "one"
    folder(tmp_path / ".one.old", "old")
    mend(target)
    assert (target / "text").read_text() == "old"


def test_what_a_kill_after_the_renames_left_is_cleared(tmp_path):
    target = folder(tmp_path / "one", "new")
    folder(tmp_path / ".one.old", "old")
    mend(target)
    assert (target / "text").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]
