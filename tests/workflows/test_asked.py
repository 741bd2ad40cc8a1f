"""From the words of a command line to a recipe."""

import argparse
from dataclasses import replace

import pytest

from trigger.datasets import card_text
from trigger.errors import UserError
from workflows.asked import add_options, asked, asked_reader
from workflows.reading import serial
from workflows.recipes import load
from workflows.recipes.samples import JETS


def parsed(*words):
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(words)


def test_a_name_alone_is_the_recipe_itself():
    assert asked(parsed("jsc_hlf")) == load("jsc_hlf")
    assert asked_reader(parsed("jsc_hlf")) is serial


def test_what_is_set_outdoes_the_short_form():
    quick = asked(parsed("jsc_hlf", "--quick"))
    assert quick.train.epochs == 40
    changed = asked(parsed("jsc_hlf", "--quick", "--set", "train.epochs=7"))
    assert changed.train.epochs == 7
    assert changed.verify == quick.verify


def test_a_card_brings_its_files_and_data_outdo_them(tmp_path):
    path = tmp_path / "mine.toml"
    card_text.save(replace(JETS, name="mine", files=("mine.root",)), path)
    recipe = asked(parsed("jsc_hlf", "--card", str(path)))
    assert recipe.data.card.name == "mine"
    assert recipe.data.files == recipe.data.card.files
    words = ("--data", "a.root", "b.root", "--test-data", "c.root")
    recipe = asked(parsed("jsc_hlf", "--card", str(path), *words))
    assert recipe.data.files == ("a.root", "b.root")
    assert recipe.data.test_files == ("c.root",)


def test_a_card_and_its_inputs_are_looked_at_together(tmp_path):
    path = tmp_path / "mine.toml"
    card_text.save(replace(JETS, name="mine", columns=JETS.columns[:3]), path)
    with pytest.raises(UserError, match="card 'mine' has no column 'zlogz'"):
        asked(parsed("jsc_hlf", "--card", str(path)))
    words = ("--card", str(path), "--set", "data.inputs=pt,eta")
    assert asked(parsed("jsc_hlf", *words)).data.inputs == ("pt", "eta")


def test_bad_files_are_a_setting_of_their_own_option():
    assert asked(parsed("jsc_hlf", "--on-bad-file", "skip")).data.on_bad_file == "skip"
    kept = asked(parsed("jsc_hlf", "--set", "data.on_bad_file=skip"))
    assert kept.data.on_bad_file == "skip"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("jsc_hfl",), "no recipe 'jsc_hfl'"),
        (("jsc_hlf", "--set", "data.crad=x"), "no setting 'data.crad'"),
        (("jsc_hlf", "--card", "none.toml"), "none.toml"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        asked(parsed(*words))


def test_two_ways_to_read_are_one_too_many():
    with pytest.raises(UserError, match="give one of them"):
        asked_reader(parsed("jsc_hlf", "--cache", "kept", "--cluster"))
