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
    last = asked(parsed("jsc_hlf", "--set", "train.epochs=7", "--quick"))
    assert last == changed
    assert load("jsc_hlf").train.epochs != 40


def test_settings_may_come_in_several_options_of_which_the_last_holds():
    words = ("--set", "seed=2", "train.epochs=7", "--set", "seed=3")
    recipe = asked(parsed("jsc_hlf", *words))
    assert (recipe.seed, recipe.train.epochs) == (3, 7)


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


def test_a_card_without_files_leaves_those_of_the_recipe(tmp_path):
    path = tmp_path / "mine.toml"
    card_text.save(replace(JETS, name="mine"), path)
    recipe = asked(parsed("jsc_hlf", "--card", str(path)))
    assert recipe.data.files == load("jsc_hlf").data.files


def test_a_card_of_other_classes_needs_a_score_of_them(tmp_path):
    path = tmp_path / "mine.toml"
    card_text.save(replace(JETS, name="mine"), path)
    with pytest.raises(UserError, match="'top', which is no class of card 'mine'"):
        asked(parsed("top_tag", "--card", str(path)))
    words = ("--card", str(path), "--set", "data.score=t")
    assert asked(parsed("top_tag", *words)).data.classes == ("t",)


def test_what_a_given_card_says_is_said_in_the_card_alone(tmp_path):
    path = tmp_path / "mine.toml"
    card_text.save(replace(JETS, name="mine"), path)
    words = ("--card", str(path), "--set", "data.card.tree=Jets")
    with pytest.raises(UserError, match=r"no setting 'data\.card\.tree'"):
        asked(parsed("jsc_hlf", *words))
    assert asked(parsed("jsc_hlf", *words[2:])).data.card.tree == "Jets"


def test_bad_files_are_a_setting_of_their_own_option():
    assert asked(parsed("jsc_hlf", "--on-bad-file", "skip")).data.on_bad_file == "skip"
    kept = asked(parsed("jsc_hlf", "--set", "data.on_bad_file=skip"))
    assert kept.data.on_bad_file == "skip"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("jsc_hfl",), "no recipe 'jsc_hfl'"),
        (("jsc_hlf", "--set", "data.crad=x"), "no setting 'data.crad'"),
        (("jsc_hlf", "--set", "train.epochs"), "'train.epochs' has no '='"),
        (("jsc_hlf", "--set", "train.epochs=few"), "takes an integer, got 'few'"),
        (("jsc_hlf", "--set", "data.inputs=ptt"), "has no column 'ptt'; .* 'pt'"),
        (("jsc_hlf", "--card", "none.toml"), "'none.toml' cannot be read: No such"),
        (("jsc_hlf", "--card", "prose.toml"), "'prose.toml' is not TOML"),
        (("jsc_hlf", "--card", "."), r"card '\.' cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prose.toml").write_text("jets of five classes")
    with pytest.raises(UserError, match=sentence) as caught:
        asked(parsed(*words))
    assert "\n" not in str(caught.value)


def test_two_ways_to_read_are_one_too_many():
    with pytest.raises(UserError, match="give one of them"):
        asked_reader(parsed("jsc_hlf", "--cache", "kept", "--cluster"))
