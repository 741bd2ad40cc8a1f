"""Checkpoints: a training that was cut off goes on and ends with the same bytes.

A checkpoint is one NumPy archive: arrays, and a text that says of which settings, data
and seeds they are, how far the run is, and what its history was.  No object is pickled.
It is written beside its place and renamed, so that there is always a whole one.
"""

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from trigger.errors import UserError

FORMAT, VERSION = "jetlut-checkpoint", 1

EVERY_SECONDS = 30.0
"""Seconds of training between two checkpoints."""


def fingerprint(
    config: Any, data: Any, plans: Any, trees: Any = (), names: tuple[str, ...] = ()
) -> str:
    """A digest of everything that a training depends on.

    Args:
        config: Settings.
        data: Training and validation words.
        plans: Of the members.
        trees: Arrays of the network, of which the shapes count.
        names: What else there is to tell apart, such as the name of a loss.
    """
    text = json.dumps(
        [dataclasses.asdict(config), [dataclasses.asdict(plan) for plan in plans]],
        sort_keys=True,
    )
    digest = hashlib.sha256(text.encode())
    arrays = (data.words_train, data.labels_train, data.words_val, data.labels_val)
    weights = () if data.weights_train is None else (data.weights_train,)
    reals = data.reals if config.teacher and data.reals else ()
    for array in (*arrays, *weights, *reals):
        digest.update(np.ascontiguousarray(array).tobytes())
    shapes = [(leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(trees)]
    said = (data.bits, data.signed, data.classes, shapes, names)
    digest.update(repr(said).encode())
    return digest.hexdigest()


def write(path: Path, key: str, words: dict[str, Any], trees: dict[str, Any]) -> None:
    """Saves arrays by tree, and words about them.

    Args:
        path: Where to; what is there is replaced at once or not at all.
        key: `fingerprint` of the run.
        words: What JSON can hold.
        trees: Trees of arrays by name.
    """
    arrays = {
        f"{name}/{k}": np.asarray(leaf)
        for name, tree in trees.items()
        for k, leaf in enumerate(jax.tree.leaves(tree))
    }
    head = {"format": FORMAT, "version": VERSION, "key": key, "words": words}
    text = np.frombuffer(json.dumps(head).encode(), np.uint8)
    new = path.with_name(path.name + ".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with new.open("wb") as file:
        np.savez(file, allow_pickle=False, head=text, **arrays)
    new.replace(path)


def read(path: Path, key: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The words and the arrays of a checkpoint.

    Raises:
        UserError: It is no checkpoint, or one of other settings, data or seeds.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        head = json.loads(arrays.pop("head").tobytes())
        kind, version, theirs = head["format"], head["version"], head["key"]
        words = head["words"]
    except UNREADABLE as error:
        raise UserError(
            f"{path} is not a whole checkpoint of a training; name another file, or "
            "remove it to start anew"
        ) from error
    if (kind, version) != (FORMAT, VERSION):
        raise UserError(
            f"{path} is {kind!r} version {version}, this program reads {FORMAT!r} "
            f"version {VERSION}; remove it to start anew"
        )
    if theirs != key:
        raise UserError(
            f"{path} is the checkpoint of another recipe: settings, data or seeds "
            f"differ (it says {theirs[:8]}, this run is {key[:8]}); name another "
            "file, or remove it to start anew"
        )
    return words, arrays


UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
"""What a file that is no such archive, or only a part of one, makes NumPy raise."""


def exists(path: Path) -> bool:
    """Whether there is something to go on from; if not, whether it can be written.

    Raises:
        UserError: A checkpoint could not be written there; better said before the
            training than after it.
    """
    if path.exists():
        return True
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.touch()
        new.unlink()
    except OSError as error:
        raise UserError(
            f"the checkpoint {str(path)!r} cannot be written: {error.strerror}; name "
            "another file"
        ) from error
    return False


def restore(like: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """The tree `name` out of the arrays, in the structure of `like`."""
    leaves, structure = jax.tree.flatten(like)
    found = [jnp.asarray(arrays[f"{name}/{k}"]) for k in range(len(leaves))]
    return jax.tree.unflatten(structure, found)
