"""The command line: what it says, to whom, and with which exit status."""

import os
import subprocess
import sys

import pytest
import uproot

from workflows.cli import COMMANDS, main


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]


@pytest.mark.parametrize("name", NAMES)
def test_every_help_shows_an_example(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"  $ jetlut {name}" in capsys.readouterr().out


def test_the_help_of_recipes_shows_what_recipes_prints(capsys):
    assert main(["recipes"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert main(["recipes", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all("  " + line in shown for line in printed)


def test_recipes_of_one_recipe_prints_settings_that_can_be_set(capsys):
    assert main(["recipes", "jsc_hlf"]) == 0
    assert "budget.luts=1000\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "jsc_hfl"], "jetlut run: no recipe 'jsc_hfl'; nearest are 'jsc_hlf'"),
        (["run", "jsc_hlf", "--set", "budget.lut=1"], "nearest are 'budget.luts'"),
        (["run", "jsc_hlf", "--set", "budget.luts=x"], "takes an integer, got 'x'"),
        (["run", "jsc_hlf", "--data", "no/*.root"], "no/*.root"),
        (["run", "jsc_hlf", "--data", "mine"], "it is 5 bytes long"),
        (["run", "jsc_hlf", "--out", "mine"], "is a file; --out names a folder"),
        (["run", "jsc_hlf", "--out", "mine/x"], "cannot be written"),
        (["run", "jsc_hlf", "--out", "."], "holds 'mine', which no run has written"),
        (["run", "jsc_hlf", "--seed", "-3"], "seed cannot be below 0"),
        (["run", "jsc_hlf", "--seed", "one"], "invalid int value: 'one'"),
        (["run"], "the following arguments are required: recipe"),
        (["front", "jsc_hfl"], "jetlut front: no recipe 'jsc_hfl'; nearest are"),
        (["front", "jsc_hlf", "--prices", "0"], "--prices is 1..1000, got 0"),
        (["front", "jsc_hlf", "--compile", "0"], "--compile must be at least 1, got 0"),
        (["front", "jsc_hlf", "--prices", "x"], "invalid int value: 'x'"),
        (["front", "jsc_hlf", "--lowest", "0"], "--lowest is a price, a positive loss"),
        (["front", "jsc_hlf", "--highest", "nan"], "--highest is a price, a positive"),
        (["front", "jsc_hlf", "--lowest", "1"], "--lowest 1 is above --highest 0.001"),
        (["front", "jsc_hlf", "--lowest", "1e-3"], "all 16 prices from 0.001 to 0.001"),
        (["front", "jsc_hlf", "--seeds", "1,x"], "--seeds takes integers with commas"),
        (["front", "jsc_hlf", "--seeds", ""], "between, as 1,2,3, got ''"),
        (["front", "jsc_hlf", "--seeds=-1,2"], "a seed cannot be below 0, got -1"),
        (["front", "jsc_hlf", "--seeds", "1,2,1"], "--seeds names 1 2 times"),
        (["front", "jsc_hlf", "--prices", "1001"], "--prices is 1..1000, got 1001"),
        (
            ["front", "jsc_hlf", "--set", "train.units=99999", "train.batch=99999"],
            "48 networks at once, of 2099979 tables of up to 128 codes each, take",
        ),
        (["front", "jsc_hlf", "--data", "no/*.root"], "no/*.root"),
        (["front", "jsc_hlf", "--out", "mine"], "is a file; --out names a folder"),
        (["rnu"], "invalid choice: 'rnu'"),
        (["inspect", "none.root"], "jetlut inspect: no such file: 'none.root'"),
        (["inspect", "mine"], "is not a ROOT file"),
        (["verify", "mine"], "jetlut verify: mine is not a bundle"),
        (["show", "mine"], "jetlut show: mine: not a jetlut-netlist file"),
        (["show", "none.json"], "jetlut show: none.json cannot be read"),
        (["show", "."], "jetlut show: . is a folder without manifest.json; name"),
        (["compile", "mine"], "arguments are required: --out"),
        (
            ["compile", "mine", "--out", "x"],
            "jetlut compile: mine: not a jetlut-netlist",
        ),
        (
            ["compile", "none", "--out", "mine"],
            "mine exists and is not a bundle, so it",
        ),
        (["compile", "mine", "--out", "x", "--max-cycles", "0"], "above 0, got 0"),
        (
            ["compile", "mine", "--out", "x", "--ports", "round"],
            "invalid choice: 'round'",
        ),
        (["synth", "mine"], "jetlut synth: mine: not a jetlut-netlist file"),
        (["recipes", "jsc"], "no recipe 'jsc'"),
        (["ui", "--port", "70000"], "port 70000 of 127.0.0.1 cannot be used"),
    ],
)
def test_a_mistake_is_one_line_status_2_and_nothing_left(
    words, sentence, capsys, empty_folder
):
    (empty_folder / "mine").write_text("hello")
    assert main(words) == 2
    told = capsys.readouterr()
    *remarks, last = told.err.splitlines()
    assert sentence in last
    assert last.startswith("jetlut")
    assert all("read the jets" in remark for remark in remarks)
    assert told.out == ""
    left = {path.name for path in empty_folder.rglob("*")} - {"runs"}
    assert left == {"mine"}


def test_inspect_lists_trees_branches_and_entries(capsys):
    with uproot.recreate("jets.root") as file:
        tree = file.mktree("Jets", {"pt": "float32", "label": "int8"})
        tree.extend({"pt": [1.0, 2.0], "label": [0, 1]})
    assert main(["inspect", "jets.root"]) == 0
    told = capsys.readouterr().out
    assert "Jets: TTree, 2 entries, 2 branches" in told
    assert ["pt", "float"] in [line.split() for line in told.splitlines()]


def printed_by(program):
    """The lines that a program prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--help"], {"jax", "mlflow", "matplotlib", "numpy", "rich"}),
        (["inspect", "none.root"], {"jax", "mlflow", "matplotlib"}),
        (["recipes"], {"jax", "mlflow", "matplotlib", "scipy"}),
        (["show", "none"], {"jax", "equinox", "mlflow", "matplotlib", "models"}),
        (["compile", "none", "--out", "x"], {"jax", "equinox", "mlflow", "models"}),
        (["synth", "none"], {"jax", "equinox", "mlflow", "matplotlib", "models"}),
        (["verify", "none"], {"jax", "equinox", "mlflow", "matplotlib", "models"}),
    ],
)
def test_a_command_imports_only_what_it_needs(words, absent):
    program = (
        "import sys; from workflows.cli import main; "
        f"main({words!r}); print(*sorted({absent!r} & set(sys.modules)))"
    )
    assert printed_by(program)[-1] == ""


@pytest.mark.parametrize("command", ["run", "front"])
def test_programs_are_kept_before_jax_could_be_told_otherwise(command):
    program = (
        "import sys; from models import machine; "
        "machine.keep_programs = lambda environment: print('jax' in sys.modules); "
        f"from workflows.cli import main; main([{command!r}, 'none'])"
    )
    assert printed_by(program) == ["False"]
