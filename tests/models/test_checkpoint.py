"""Checkpoints: killed at any moment, a training ends with the bytes it would have had."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import CACHE, SMALL, compiled_once, easy_data, same_bytes

from models import checkpoint, teacher
from models.edges import Direct
from models.plan import Goal, Plan
from models.train import train, train_many
from trigger.errors import UserError

CONFIG = replace(SMALL, epochs=8, direct_from=0.5, units=(3,))
"""The tables train themselves from epoch 4 on."""
TAUGHT = replace(CONFIG, teacher=0.5)
GOAL = Goal(60.0, 6.0)

PROGRAM = """
import sys
from pathlib import Path
from models import checkpoint
from models.edges import Direct
from models.train import train
from test_checkpoint import CONFIG, GOAL, dump
from small_networks import easy_data

checkpoint.EVERY_SECONDS = 0.0
save = Path(sys.argv[1])
told = lambda log: print(log.epoch, flush=True)
result = train(CONFIG, easy_data(), goal=GOAL, seed=1, on_epoch=told, save=save)
dump(result, Path(sys.argv[2]))
"""


def history(result):
    """What was told of the epochs, without the times."""
    return [replace(log, seconds=0.0) for log in result.log]


def members(result):
    """What is on the front, without the times."""
    return [replace(c, network=None, cpu_seconds=0.0) for c in result.front]


def dump(result, path):
    """Writes all parameters of a front, and its history."""
    words = {"log": [str(log) for log in history(result)]}
    trees = {f"front{k}": c.network for k, c in enumerate(result.front)}
    checkpoint.write(path, "", words, trees)


def bytes_of(path):
    """The contents of such a file; an archive's own bytes hold times."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class KilledError(Exception):
    """Stands for the end of the process."""


def killed_in(epoch):
    def on_epoch(log):
        if log.epoch == epoch:
            raise KilledError

    return on_epoch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def whole(folder):
    """The training in one go."""
    with compiled_once(folder):
        return train(CONFIG, easy_data(), goal=GOAL, seed=1)


@pytest.fixture
def often(monkeypatch, folder):
    """A checkpoint after every epoch, and programs that were compiled before."""
    monkeypatch.setattr(checkpoint, "EVERY_SECONDS", 0.0)
    with compiled_once(folder):
        yield


def test_a_killed_process_goes_on_and_ends_with_the_same_bytes(tmp_path, whole, folder):
    here = Path(__file__).parent
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
    env |= {name.upper(): str(value) for name, value in CACHE.items()}
    env |= {"JAX_COMPILATION_CACHE_DIR": str(folder)}
    save, end = tmp_path / "it.npz", tmp_path / "end.npz"
    begun = []
    kills = (1, 4)  # before the switch, and just behind it
    for last in (*kills, None):
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(save), str(end)],
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        assert child.stdout is not None
        told = []
        for line in child.stdout:
            told.append(int(line))
            if told[-1] == last:
                child.send_signal(signal.SIGKILL)
                break
        child.communicate()
        assert child.returncode == (0 if last is None else -signal.SIGKILL)
        begun.append(told[0])
    assert begun[0] == 0
    # The epoch in which it was killed may have been saved or not.
    assert all(b in (k, k + 1) for b, k in zip(begun[1:], kills, strict=True))
    dump(whole, tmp_path / "whole.npz")
    assert bytes_of(end) == bytes_of(tmp_path / "whole.npz")


def test_what_was_cut_off_goes_on_with_all_its_prices(tmp_path, often, whole):
    epoch = 4  # its checkpoint is the last without tables that train themselves
    save = tmp_path / "it.npz"
    with pytest.raises(KilledError):
        train(
            *(CONFIG, easy_data()),
            goal=GOAL,
            seed=1,
            save=save,
            on_epoch=killed_in(epoch),
        )
    seen = []
    end = train(CONFIG, easy_data(), goal=GOAL, seed=1, save=save, on_epoch=seen.append)
    assert seen[0].epoch == epoch
    assert history(end) == history(whole)
    assert members(end) == members(whole)
    networks = [[c.network for c in result.front] for result in (end, whole)]
    assert same_bytes(*networks)
    # Asked again, it has nothing left to do and says the same.
    again = train(
        CONFIG, easy_data(), goal=GOAL, seed=1, save=save, on_epoch=killed_in(0)
    )
    assert again.log == end.log
    assert same_bytes([c.network for c in again.front], networks[0])
    assert 0 < again.samples_per_second < 1e9


def test_a_stack_of_tables_that_are_direct_from_the_start_is_resumed(tmp_path, often):
    config = replace(CONFIG, direct_from=0.0, epochs=2)
    save = tmp_path / "it.npz"
    plans = (Plan(1, price=1e-4), Plan(2, price=1e-3))
    straight = train_many(config, easy_data(), plans)
    for network in (c.network for c in straight.front):
        assert isinstance(network.layers[0].edges, Direct)
    with pytest.raises(KilledError):
        train_many(config, easy_data(), plans, save=save, on_epoch=killed_in(1))
    resumed = train_many(config, easy_data(), plans, save=save)
    assert same_bytes(
        [c.network for c in straight.front], [c.network for c in resumed.front]
    )


def test_what_is_resumed_has_the_targets_that_it_began_with(
    tmp_path, often, monkeypatch
):
    config, save = replace(SMALL, epochs=4, teacher=0.5), tmp_path / "it.npz"
    whole = train(config, easy_data(), goal=GOAL, seed=1)
    with pytest.raises(KilledError):
        train(
            *(config, easy_data()), goal=GOAL, seed=1, save=save, on_epoch=killed_in(2)
        )
    monkeypatch.setattr(teacher, "teach", None)  # is not asked again
    end = train(config, easy_data(), goal=GOAL, seed=1, save=save)
    assert end.teacher == whole.teacher
    assert [log.loss for log in end.log] == [log.loss for log in whole.log]
    assert same_bytes([c.network for c in end.front], [c.network for c in whole.front])


# ------------------------------------------------------------------------- the file

KEY = "0123456789abcdef"
TREES = {"a": (jnp.arange(3.0), {"b": jnp.int32(4)}), "c": [jnp.zeros((0, 2))]}
WORDS = {"epoch": 3, "log": [{"loss": 0.1}]}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "deep" / "it.npz"
    checkpoint.write(path, KEY, WORDS, TREES)
    return path


def test_what_was_written_is_read(file):
    words, arrays = checkpoint.read(file, KEY)
    assert words == WORDS
    for name, tree in TREES.items():
        assert same_bytes(checkpoint.restore(tree, name, arrays), tree)
    assert [path.name for path in file.parent.iterdir()] == ["it.npz"]


def test_nothing_in_it_is_pickled(file):
    with np.load(file, allow_pickle=False) as archive:
        head = json.loads(archive["head"].tobytes())
        assert all(archive[name].dtype != object for name in archive.files)
    assert head["format"] == "jetlut-checkpoint"


def test_killed_while_writing_leaves_the_one_before(file, monkeypatch):
    def killed(*_, **__):
        raise KilledError

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KilledError):
        checkpoint.write(file, KEY, {"epoch": 4}, TREES)
    assert checkpoint.read(file, KEY)[0] == WORDS


def spoil(path, how):
    data = path.read_bytes()
    match how:
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("a text of someone's")
        case "pickle":
            path.write_bytes(b"\x80\x04N.")
        case "array":
            with path.open("wb") as file:
                np.save(file, np.zeros(3))
        case "flipped":
            middle = data.index(b"jetlut-checkpoint")
            path.write_bytes(data[:middle] + b"JETLUT" + data[middle + 6 :])
        case "archive":
            np.savez(path, a=np.zeros(2))
        case "folder":
            path.unlink()
            path.mkdir()


@pytest.mark.parametrize(
    "how",
    ["truncated", "empty", "text", "pickle", "array", "flipped", "archive", "folder"],
)
def test_a_file_that_is_no_checkpoint_is_refused(file, how):
    spoil(file, how)
    with pytest.raises(
        UserError, match="is not a whole checkpoint of a training; name"
    ):
        checkpoint.read(file, KEY)


def test_a_checkpoint_of_another_version_is_refused(file, monkeypatch):
    monkeypatch.setattr(checkpoint, "VERSION", 2)
    with pytest.raises(UserError, match=r"version 1, this program reads .* version 2"):
        checkpoint.read(file, KEY)


@pytest.mark.parametrize(
    "change", ["seed", "config", "data", "goal", "units", "loss", "bits", "reals"]
)
def test_every_part_of_a_recipe_is_in_its_fingerprint(change):
    def of(config=TAUGHT, data=None, seed=1, goal=GOAL, shape=3, loss="a"):
        trees = {"w": jnp.zeros(shape)}
        return checkpoint.fingerprint(
            config, data or easy_data(), (Plan(seed, goal),), trees, (loss,)
        )

    data = easy_data()
    other = {
        "seed": {"seed": 2},
        "config": {"config": replace(TAUGHT, learning_rate=1e-3)},
        "data": {"data": replace(data, words_train=data.words_train[::-1])},
        "goal": {"goal": Goal(61.0, 6.0)},
        "units": {"shape": 4},
        "loss": {"loss": "b"},
        "bits": {"data": replace(data, bits=(4, 4, 5))},
        "reals": {
            "data": replace(data, reals=(data.words_train / 2, data.words_val / 2))
        },
    }[change]
    assert of() == of()
    assert of(**other) != of()


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, often):
    save = tmp_path / "it.npz"
    checkpoint.write(save, KEY, WORDS, TREES)
    with pytest.raises(UserError, match=r"it\.npz is the checkpoint of another recipe"):
        train(CONFIG, easy_data(), goal=GOAL, seed=1, save=save)


def test_a_place_that_cannot_be_written_is_refused_before_the_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        UserError, match=r"the checkpoint '.*it\.npz' cannot be written"
    ):
        train(
            *(CONFIG, easy_data()), goal=GOAL, seed=1, save=tmp_path / "file" / "it.npz"
        )
