"""`jetlut data`: a card from a file, and whether it fits."""

from pathlib import Path

import pytest

from trigger.datasets.card_text import load
from workflows.cli import main

SAMPLE = str(Path(__file__).parents[2] / "workflows" / "data" / "jsc_sample.root")


@pytest.fixture
def card(tmp_path, capsys):
    path = tmp_path / "card.toml"
    assert main(["data", "card", SAMPLE, "--out", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path}: jetlut sample, Jet of tree 'Events'; g, q, t, w, z"
    assert lines[3].split() == ["pt", "Jet_pt", "GeV", "transverse", "momentum"]
    return path


def test_a_card_is_printed_or_written_alike(card, capsys):
    assert main(["data", "card", SAMPLE]) == 0
    assert capsys.readouterr().out == card.read_text()


def test_a_card_fits_its_file(card, capsys):
    assert main(["data", "check", str(card)]) == 0
    assert (
        capsys.readouterr().out
        == "the files fit the card 'jsc_sample'; licence: unknown\n"
    )


def test_all_of_it_is_read_on_request(card, capsys):
    assert main(["data", "check", str(card), "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["Jet", "in", "the", "files", "100,012", "0", "62,725"]
    assert lines[-1] == "1 file fits the card 'jsc_sample'; licence: unknown"


def test_problems_are_told_line_by_line_and_the_status_is_2(card, capsys, tmp_path):
    bad = tmp_path / "bad.root"
    bad.write_bytes(b"")
    assert main(["data", "check", str(card), SAMPLE, str(bad), "no.root"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("jetlut data check: ") for line in errors)
    assert "is not a ROOT file" in errors[0]
    assert "no such file: 'no.root'" in errors[1]


def test_a_skipped_file_is_never_silent(card, capsys, tmp_path):
    bad = tmp_path / "bad.root"
    bad.write_bytes(b"")
    words = [
        "data",
        "check",
        str(card),
        str(bad),
        SAMPLE,
        "--all",
        "--on-bad-file",
        "skip",
    ]
    assert main(words) == 0
    told = capsys.readouterr()
    assert told.err.startswith("skipped bad.root: file ")
    assert told.out.endswith(
        "1 file fits the card 'jsc_sample', 1 was skipped; licence: unknown\n"
    )


def test_only_bad_files_fail_even_so(card, capsys, tmp_path):
    bad = tmp_path / "bad.root"
    bad.write_bytes(b"")
    words = ["data", "check", str(card), str(bad), "--all", "--on-bad-file=skip"]
    assert main(words) == 2
    assert "none of the 1 files can be read" in capsys.readouterr().err


def test_another_collection_is_asked_for_by_name(capsys):
    assert main(["data", "card", SAMPLE, "--objects", "FatJet"]) == 2
    assert "has no objects 'FatJet'; known here are 'Jet'" in capsys.readouterr().err


def test_a_misspelt_key_is_told(card, capsys):
    card.write_text(card.read_text().replace("objects", "object"))
    assert main(["data", "check", str(card)]) == 2
    assert (
        "unknown key 'object'; the most alike are 'objects'" in capsys.readouterr().err
    )


def test_a_written_card_is_what_was_proposed(card):
    assert load(card).format == "jetlut sample"
