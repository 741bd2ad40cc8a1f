"""What is said of a training beside its results."""

from dataclasses import replace

import pytest
from rich.console import Console
from toy_jets import CARD, write_jets

from models.plan import Candidate, TrainResult
from models.settings import TrainConfig
from workflows import remarks
from workflows.dataset import prepare
from workflows.groups import Data, Words
from workflows.progress import Terminal
from workflows.recipes import load


def reporter():
    return Terminal(Console(stderr=True, width=1000))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Of 900 jets of two classes and three features."""
    path = tmp_path_factory.mktemp("toy") / "toy.root"
    write_jets(path)
    data = Data(CARD, ("a", "b", "c"), files=(str(path),), fractions=(0.5, 0.2, 0.3))
    return replace(load("jsc_hlf"), data=data, words=Words(bits=6))


def test_files_splits_and_ports_are_counted(recipe, capsys):
    made = prepare(recipe.data, recipe.words)
    remarks.on_data(recipe, made, reporter())
    said = capsys.readouterr().err
    assert "toy.root (900 jets)" in said
    counts = [len(jets.labels) for jets in (made.training, made.validation, made.test)]
    assert "{} training, {} validation, {} test; 3 ports".format(*counts) in said
    assert "WARNING" not in said


def test_ports_that_saturate_often_are_warned_of(recipe, capsys):
    made = prepare(recipe.data, replace(recipe.words, tail=0.5))
    remarks.on_data(recipe, made, reporter())
    worst, share = max(made.saturated.items(), key=lambda item: item[1])
    assert share > 0.02
    assert (
        f"{worst} for {100 * share:.1f} %; raise words.tail" in capsys.readouterr().err
    )


def test_a_file_that_was_left_out_is_warned_of(recipe, tmp_path, capsys):
    bad = tmp_path / "bad.root"
    bad.write_bytes(b"root, but no more")
    files = (*recipe.data.files, str(bad))
    data = replace(recipe.data, files=files, on_bad_file="skip")
    remarks.on_data(recipe, prepare(data, recipe.words), reporter())
    assert "WARNING: left out bad.root: " in capsys.readouterr().err


@pytest.mark.parametrize(("epochs", "few"), [(10, True), (1000, False)])
def test_a_schedule_of_few_steps_is_warned_of(recipe, epochs, few, capsys):
    made = prepare(recipe.data, recipe.words)
    train = TrainConfig(epochs=epochs, batch=len(made.training.labels))
    remarks.on_schedule(replace(recipe, train=train), made, reporter())
    said = capsys.readouterr().err
    assert (f"are {epochs} steps of training, at least 500 are needed" in said) == few
    assert bool(said) == few


@pytest.mark.parametrize(
    ("teacher", "told"),
    [
        (None, ""),
        (0.695, "the teacher, in floating point, has accuracy 0.6950 on validation"),
        (0.6, "A network of tables has 0.7000: try train.teacher=0, for this teacher"),
    ],
)
def test_a_teacher_that_knows_less_than_its_pupils_is_warned_of(
    recipe, teacher, told, capsys
):
    recipe = replace(recipe, train=TrainConfig(teacher=0.5))
    front = tuple(Candidate(0, accuracy, 100.0, None) for accuracy in (0.6, 0.7))
    trained = TrainResult(front, (), 1.0, 1.0, 1.0, teacher)
    remarks.on_teacher(recipe, trained, reporter())
    said = capsys.readouterr().err
    assert told in said
    assert ("warn" in said.lower()) == (teacher == 0.6)
    assert bool(said) == bool(told)
