"""From a recipe's files to port words and labels, by split.

The split and the words depend on the data settings alone, not on the seed of the
training: networks of different seeds are judged on the same jets and have the same
interface.  The words are chosen from the training split, so that nothing about the
jets that judge the network can reach its inputs.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64

from models.plan import TrainData
from trigger.errors import UserError
from trigger.jets import JetSample, Source, read_jets
from trigger.split import split
from trigger.words import Word, choose_word
from workflows.recipe import EMBEDDED, Data, Words

SPLITS = ("training", "validation", "test")


@final
@dataclass(frozen=True)
class Jets:
    """One split: port words, a column per port, and the true class of each jet."""

    words: Int64[np.ndarray, "jets ports"]
    labels: Int64[np.ndarray, " jets"]


@final
@dataclass(frozen=True)
class Dataset:
    """The three splits, the words they are in, and the files they came from."""

    ports: tuple[Word, ...]
    training: Jets
    validation: Jets
    test: Jets
    sources: tuple[Source, ...]

    def hash(self) -> str:
        """SHA-256 over the contents of the files, in order; names do not enter."""
        text = "\n".join(source.sha256 for source in self.sources)
        return hashlib.sha256(text.encode()).hexdigest()

    def for_training(self, classes: int) -> TrainData:
        """What the training may see: no test split.

        Args:
            classes: Number of classes.
        """
        return TrainData(
            words_train=self.training.words,
            labels_train=self.training.labels,
            words_val=self.validation.words,
            labels_val=self.validation.labels,
            bits=tuple(word.bits for word in self.ports),
            signed=tuple(word.signed for word in self.ports),
            classes=classes,
        )


def prepare(data: Data, words: Words) -> Dataset:
    """Reads, splits and encodes.

    Raises:
        UserError: What `trigger.jets.read_jets` refuses; a class without jets in one
            of the splits; an event that is in `files` and in `test_files`.
    """
    sample = read_jets(_resolve(data.files), data.schema)
    features, labels, sources = sample.features, sample.label, sample.sources
    fractions = data.fractions
    if data.test_files:
        test = read_jets(_resolve(data.test_files), data.schema)
        _refuse_common(sample, test)
        total = fractions[0] + fractions[1]
        fractions = (fractions[0] / total, fractions[1] / total, 0.0)
        part = split(sample.event, fractions, data.split_seed)
        part = np.concatenate([part, np.full(len(test.event), 2, part.dtype)])
        features = np.concatenate([features, test.features])
        labels = np.concatenate([labels, test.label])
        sources += test.sources
    else:
        part = split(sample.event, fractions, data.split_seed)
    for number, name in enumerate(SPLITS):
        jets = np.bincount(labels[part == number], minlength=len(data.schema.classes))
        for jets_of_class, label in zip(jets, data.schema.classes, strict=True):
            if not jets_of_class:
                raise UserError(
                    f"class {label!r} has no jets in the {name} split of {jets.sum()} "
                    f"jets ({len(labels)} in all); give more data, or other "
                    "data.fractions"
                )
    learn = part == 0
    ports = tuple(
        choose_word(
            name, features[learn, k], bits=words.bits, unit=unit, tail=words.tail
        )
        for k, (name, unit) in enumerate(
            zip(data.schema.features, data.schema.units, strict=True)
        )
    )
    raw = np.stack([w.encode(features[:, k]) for k, w in enumerate(ports)], axis=1)
    training, validation, test_jets = (
        Jets(raw[part == number], labels[part == number]) for number in range(3)
    )
    return Dataset(ports, training, validation, test_jets, sources)


def _resolve(patterns: tuple[str, ...]) -> list[str]:
    """Turns patterns of embedded files into paths; leaves others as they are."""
    embedded = Path(str(files("workflows"))) / "data"
    return [
        str(embedded / pattern.removeprefix(EMBEDDED))
        if pattern.startswith(EMBEDDED)
        else pattern
        for pattern in patterns
    ]


def _refuse_common(train: JetSample, test: JetSample) -> None:
    """Refuses an event on both sides: the test would flatter the network."""
    kind = np.dtype([("run", "u8"), ("block", "u8"), ("event", "u8")])
    ours, theirs = (
        np.unique(np.ascontiguousarray(s.event, np.uint64).view(kind)[:, 0])
        for s in (train, test)
    )
    common = np.intersect1d(ours, theirs)
    if len(common):
        raise UserError(
            f"{len(common)} of {len(theirs)} events of the test files are in the "
            f"training files too (run, block, event = {common[0]}); use files of "
            "different events"
        )
