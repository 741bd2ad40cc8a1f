import os

import pytest

from trigger.datasets import files
from trigger.datasets.files import expand
from trigger.errors import UserError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.root", "a.root", "note.txt", "sub/c.root"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(found, folder):
    return [os.path.relpath(path, folder) for path in found]


def test_patterns_keep_their_order_and_are_sorted_within(folder):
    found = expand([str(folder / "sub/*.root"), str(folder / "*.root")])
    assert names(found, folder) == ["sub/c.root", "a.root", "b.root"]
    found = expand([str(folder / "**/*.root")])
    assert names(found, folder) == ["a.root", "b.root", "sub/c.root"]


def test_a_file_is_read_once_however_it_is_named(folder):
    (folder / "link.root").symlink_to(folder / "b.root")
    found = expand(
        ["b.root", "./b.root", "link.root", "sub/../b.root", "*.root"], folder
    )
    assert names(found, folder) == ["b.root", "a.root"]


def test_a_folder_is_its_root_files(folder):
    assert names(expand(["."], folder), folder) == ["a.root", "b.root"]
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=r"folder '.*empty' holds no file '\*\.root'"):
        expand(["empty"], folder)


def test_a_list_names_files_relative_to_itself(folder):
    (folder / "sub/list.txt").write_text(
        "# train\nc.root\n\n../*.root  # both\nhttps://x.y/z.root\n"
    )
    found = expand(["@sub/list.txt"], folder)
    assert found.pop() == "https://x.y/z.root"
    assert names(found, folder) == ["sub/c.root", "a.root", "b.root"]
    (folder / "none.txt").write_text("# nothing\n")
    with pytest.raises(UserError, match=r"the list '.*none\.txt' names no file"):
        expand(["@none.txt"], folder)
    with pytest.raises(UserError, match=r"no such list of files: '.*no\.txt'"):
        expand(["@no.txt"], folder)


def test_nothing_given_and_nothing_matched_are_told(folder):
    with pytest.raises(UserError, match="no input files given"):
        expand([])
    with pytest.raises(UserError, match=r"nothing matches '.*\*\.rot'"):
        expand(["*.rot"], folder)


def test_a_plain_path_is_left_to_whoever_opens_it(folder):
    assert names(expand(["no.root"], folder), folder) == ["no.root"]


def test_an_address_with_a_question_mark_is_no_pattern():
    address = "https://x.y/a.root?token=1"
    assert expand([address, address]) == [address]


def test_patterns_of_addresses_are_listed_through_fsspec(monkeypatch):
    class System:
        def glob(self, inner):
            assert inner == "/d/*.root"
            return ["/d/2.root", "/d/1.root"]

        def unstrip_protocol(self, name):
            return f"root://host/{name}"

    monkeypatch.setattr(files, "need_remote", lambda address: None)
    monkeypatch.setattr(
        files.fsspec.core, "url_to_fs", lambda url: (System(), "/d/*.root")
    )
    assert expand(["root://host//d/*.root"]) == [
        "root://host//d/1.root",
        "root://host//d/2.root",
    ]
    monkeypatch.setattr(System, "glob", lambda self, inner: [])
    with pytest.raises(UserError, match="no such file: nothing matches 'root://"):
        expand(["root://host//d/*.root"])
    monkeypatch.setattr(System, "glob", lambda self, inner: 1 / 0)
    with pytest.raises(UserError, match="cannot be listed: ZeroDivisionError"):
        expand(["root://host//d/*.root"])


def test_a_name_with_pattern_characters_is_a_name_where_it_exists(folder):
    (folder / "jets[1].root").touch()
    (folder / "jets1.root").touch()
    found = expand(["jets[1].root"], folder)
    assert names(found, folder) == ["jets[1].root"]
