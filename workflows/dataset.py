"""From a recipe's files to port words and labels, by split.

The split and the words depend on the data settings alone, not on the seed of the
training: networks of different seeds are judged on the same jets and have the same
interface.  The words are chosen from the training split, so that nothing about the
jets that judge the network can reach its inputs.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float64, Int8, Int64, Shaped, UInt64

from models.plan import TrainData
from trigger.datasets.cutflow import CutFlow
from trigger.datasets.sample import Skipped, Source
from trigger.errors import UserError
from trigger.front_end import Difference, FrontEnd
from trigger.leakage import refuse_common
from trigger.split import TEST, TRAIN, folds, split
from trigger.weights import Reweighting
from trigger.words import Word
from workflows.encode import encode
from workflows.groups import EMBEDDED, Data, Weights, Words
from workflows.reading import Reader, serial
from workflows.weighting import weigh

SPLITS = ("training", "validation", "test")


@final
@dataclass(frozen=True)
class Jets:
    """One split.

    Attributes:
        words: Of the block's ports, a column per port.
        labels: True class of each jet; with one score 1 for its class, else 0.
        event: Run, luminosity block and event number.
        columns: The card's columns by name, in its units.
    """

    words: Int64[np.ndarray, "jets ports"]
    labels: Int64[np.ndarray, " jets"]
    event: UInt64[np.ndarray, "jets 3"]
    columns: Mapping[str, Float64[np.ndarray, " jets"]]


@final
@dataclass(frozen=True)
class Dataset:
    """The three splits, the words they are in, and the files they came from.

    Attributes:
        ports: Words of the block's ports.
        front: What stands between them and the network, if anything does.
        saturated: Share of the training jets that a port saturates for, by port, where
            ports were chosen for real numbers.
        differences: What the integers of the front end cost, by feature.
        weights: How often each training jet counts; all the same if not given.
        weighting: The reweighting in pT and eta that is in them, if there is one.
        cuts: What was read and what was left out.
        skipped: Files that were left out.
        fullest: Most particles that a jet of the training split has.
    """

    ports: tuple[Word, ...]
    front: FrontEnd | None
    training: Jets
    validation: Jets
    test: Jets
    sources: tuple[Source, ...]
    saturated: Mapping[str, float]
    differences: tuple[Difference, ...]
    weights: Float64[np.ndarray, " training"] | None
    weighting: Reweighting | None
    cuts: CutFlow
    skipped: tuple[Skipped, ...]
    fullest: int

    def hash(self) -> str:
        """SHA-256 over the contents of the files, in order; names do not enter."""
        text = "\n".join(source.sha256 for source in self.sources)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def inner(self) -> tuple[Word, ...]:
        """The words that the network reads."""
        return self.front.outputs() if self.front else self.ports

    def read(
        self, words: Int64[np.ndarray, "jets ports"]
    ) -> Int64[np.ndarray, "jets inner"]:
        """What the network reads of some port words."""
        return self.front.run(words) if self.front else words

    def for_training(self, outputs: int, *, reals: bool = False) -> TrainData:
        """What the training may see: no test split.

        Args:
            outputs: Number of scores.
            reals: Whether a teacher will read the numbers that words were made of.
        """
        return TrainData(
            words_train=self.read(self.training.words),
            labels_train=self.training.labels,
            words_val=self.read(self.validation.words),
            labels_val=self.validation.labels,
            bits=tuple(word.bits for word in self.inner),
            signed=tuple(word.signed for word in self.inner),
            classes=outputs,
            weights_train=self.weights,
            reals=self._reals() if reals else None,
        )

    def _reals(self) -> tuple[np.ndarray, np.ndarray] | None:
        """What the port words were before they were rounded, if columns of the card."""
        names = [port.name for port in self.ports]
        if self.front or not all(name in self.training.columns for name in names):
            return None
        train, validation = (
            np.stack([jets.columns[name] for name in names], axis=1)
            for jets in (self.training, self.validation)
        )
        return train, validation


def prepare(
    data: Data, words: Words, read: Reader = serial, weights: Weights | None = None
) -> Dataset:
    """Reads, splits and encodes.

    Args:
        data: What, and how it is shared out.
        words: How real numbers become port words.
        read: How files are read.
        weights: How much each training jet counts; by default the same.

    Raises:
        UserError: What `trigger.datasets.read.read` refuses; a class without jets in
            one of the splits; an event that is in `files` and in `test_files`.
    """
    samples = [read(data.card, _resolve(data.files), data.on_bad_file)]
    part = _parts(data, samples[0].event)
    if data.test_files:
        patterns = _resolve(data.test_files)
        samples.append(read(data.card, patterns, data.on_bad_file))
        events = {"training files": samples[0].event, "test files": samples[1].event}
        refuse_common(events)
        part = np.concatenate([part, np.full(len(samples[1].event), TEST, part.dtype)])
    label = np.concatenate([sample.label for sample in samples])
    _check_classes(part, label, data.card.label.classes)
    event = np.concatenate([sample.event for sample in samples])
    columns = {
        column.name: np.concatenate([one.column(column.name) for one in samples])
        for column in data.card.columns
    }
    learn = part == TRAIN
    counts, fitted = None, None
    if weights is not None:
        pt, eta = (columns[n][learn] if n in columns else None for n in ("pt", "eta"))
        classes = data.card.label.classes
        counts, fitted = weigh(weights, classes, pt, eta, label[learn])
    if data.score:
        label = (label == data.card.label.classes.index(data.score)).astype(np.int64)
    coded = encode(data, words, samples, columns, learn)
    return Dataset(
        coded.ports,
        data.front_end,
        *(
            _jets(part == number, coded.raw, label, event, columns)
            for number in range(len(SPLITS))
        ),
        sources=tuple(s for sample in samples for s in sample.sources),
        saturated=coded.saturated,
        differences=coded.differences,
        cuts=sum((sample.cuts for sample in samples), CutFlow()),
        skipped=tuple(s for sample in samples for s in sample.skipped),
        fullest=coded.fullest,
        weights=counts,
        weighting=fitted,
    )


def _parts(
    data: Data, event: UInt64[np.ndarray, "jets 3"]
) -> Int8[np.ndarray, " jets"]:
    """Which split each jet of the files is in.

    Where test files or a fold are the test set, training and validation share the rest.
    """
    train, validation, test = data.fractions
    if not data.test_files and not data.folds:
        return split(event, (train, validation, test), data.split_seed)
    total = train + validation
    part = split(event, (train / total, validation / total, 0.0), data.split_seed)
    if data.folds:
        part[folds(event, data.folds, data.split_seed) == data.fold] = TEST
    return part


def _jets(
    chosen: Shaped[np.ndarray, " jets"],
    raw: Int64[np.ndarray, "jets ports"],
    label: Int64[np.ndarray, " jets"],
    event: UInt64[np.ndarray, "jets 3"],
    columns: Mapping[str, Float64[np.ndarray, " jets"]],
) -> Jets:
    some = {name: column[chosen] for name, column in columns.items()}
    return Jets(raw[chosen], label[chosen], event[chosen], some)


def _check_classes(
    part: Shaped[np.ndarray, " jets"],
    label: Int64[np.ndarray, " jets"],
    classes: tuple[str, ...],
) -> None:
    for number, name in enumerate(SPLITS):
        jets = np.bincount(label[part == number], minlength=len(classes))
        for jets_of_class, one in zip(jets, classes, strict=True):
            if not jets_of_class:
                raise UserError(
                    f"class {one!r} has no jets in the {name} split of {jets.sum()} "
                    f"jets ({len(label)} in all); give more data or other "
                    f"data.fractions, or take {one!r} out of the card's label.classes"
                )


def _resolve(patterns: tuple[str, ...]) -> list[str]:
    """Turns patterns of embedded files into paths; leaves others as they are."""
    embedded = Path(str(files("workflows"))) / "data"
    return [
        str(embedded / pattern.removeprefix(EMBEDDED))
        if pattern.startswith(EMBEDDED)
        else pattern
        for pattern in patterns
    ]
