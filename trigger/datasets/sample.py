"""A data set in memory: columns, matrices and blocks of particles by name.

This module owns the step from awkward arrays with units to the plain arrays that
networks are trained on, and the list of the files that they came from.

Conventions
-----------
- Matrices and blocks are double precision: every number of a file is exact in them.
- `label` counts the card's classes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import awkward as ak
import numpy as np
from jaxtyping import Float64, Int64, UInt64

from trigger.datasets.card import Card
from trigger.datasets.chunk import Chunk
from trigger.datasets.cutflow import CutFlow
from trigger.errors import UserError, nearest
from trigger.rootfile import is_remote


@final
@dataclass(frozen=True)
class Source:
    """A file that objects came from; `name` carries no folder.

    Attributes:
        name: Of the file.
        sha256: Of the bytes in it; "" for an address.
        jets: How many of its objects are kept.
    """

    name: str
    sha256: str
    jets: int


@final
@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why; `name` carries no folder."""

    name: str
    reason: str


@final
@dataclass(frozen=True, eq=False)
class Sample:
    """Objects, one row each, with where they come from.

    Attributes:
        card: How they were read.
        objects: Records as in `Chunk`.
        event: Run, block and number of each object's collision.
        cuts: What was left out.
        sources: The files, with the number of objects kept of each.
        skipped: Files that were left out.
    """

    card: Card
    objects: ak.Array
    event: UInt64[np.ndarray, "objects 3"]
    cuts: CutFlow
    sources: tuple[Source, ...]
    skipped: tuple[Skipped, ...]

    @property
    def label(self) -> Int64[np.ndarray, " objects"]:
        """The class of each object.

        Raises:
            UserError: The card has no label.
        """
        if "label" not in self.objects.fields:
            raise UserError(
                f"card {self.card.name!r} has no label: its rule is 'none'; give a rule"
            )
        return np.asarray(self.objects["label"])

    @property
    def units(self) -> dict[str, str]:
        """Unit of each column of the card, "" for a pure number."""
        return {column.name: column.unit for column in self.card.columns}

    def column(self, name: str) -> Float64[np.ndarray, " objects"]:
        """One column.

        Raises:
            UserError: The card has no such column.
        """
        self.card.column(name)
        return np.asarray(self.objects[name]).astype(np.float64)

    def matrix(self, names: Sequence[str]) -> Float64[np.ndarray, "objects features"]:
        """Columns side by side, in the order of `names`.

        Raises:
            UserError: The card lacks one of them.
        """
        matrix = np.empty((len(self.objects), len(names)))
        for at, name in enumerate(names):
            self.card.column(name)
            matrix[:, at] = np.asarray(self.objects[name])
        return matrix

    def block(
        self, names: Sequence[str], particles: int
    ) -> tuple[
        Float64[np.ndarray, "objects particles features"], Int64[np.ndarray, " objects"]
    ]:
        """The first particles of each object, and how many of the rows are particles.

        Rows from the count on hold the card's padding.

        Args:
            names: Columns of the card's constituents.
            particles: Rows per object, at most as many as the card keeps.

        Raises:
            UserError: The card has no constituents, keeps fewer of them, or lacks one
                of the columns.
        """
        chosen = self.card.constituents
        if chosen is None:
            raise UserError(f"card {self.card.name!r} has no constituents; name some")
        if not 1 <= particles <= chosen.keep:
            raise UserError(
                f"card {self.card.name!r} keeps {chosen.keep} constituents, so a block "
                f"has 1 to {chosen.keep} of them, not {particles}"
            )
        known = [column.name for column in chosen.columns]
        for name in names:
            if name not in known:
                raise UserError(
                    f"card {self.card.name!r}: no constituent column {name!r}; the most "
                    f"alike of its {len(known)} are {nearest(name, known)}"
                )
        layout: Any = ak.to_layout(self.objects["constituents"])
        layout = layout.to_ListOffsetArray64(True)
        offsets = np.asarray(layout.offsets)
        every = np.diff(offsets)
        row = np.repeat(np.arange(len(every)), every)
        rank = np.arange(offsets[-1]) - np.repeat(offsets[:-1], every)
        near = rank < particles
        all_near = bool(near.all())
        at = row * particles + rank
        at = at if all_near else at[near]
        block = np.full((len(every) * particles, len(names)), chosen.padding)
        for place, name in enumerate(names):
            values = np.asarray(layout.content.content(name).data)[: offsets[-1]]
            block[at, place] = values if all_near else values[near]
        shape = (len(every), particles, len(names))
        return block.reshape(shape), np.minimum(every, particles)


def join(
    card: Card,
    parts: Sequence[Chunk],
    skipped: Sequence[Skipped],
    sums: Mapping[str, str] | None = None,
) -> Sample:
    """All parts in order as one sample.

    Args:
        card: What was read.
        parts: At least one.
        skipped: Files that were left out.
        sums: SHA-256 by path, where they are known; else those of local files are made.
    """
    known = sha256 if sums is None else sums.__getitem__
    counts: dict[str, int] = {}
    cuts = CutFlow()
    for part in parts:
        counts[part.source] = counts.get(part.source, 0) + len(part.objects)
        cuts += part.cuts
    whole: list[Any] = [part.objects for part in parts]
    return Sample(
        card,
        ak.concatenate(whole) if len(whole) > 1 else whole[0],
        np.concatenate([part.event for part in parts]),
        cuts,
        tuple(Source(Path(p).name, known(p), n) for p, n in counts.items()),
        tuple(skipped),
    )


def sha256(path: str) -> str:
    """The SHA-256 of a local file; "" for an address, which is not fetched for it."""
    if is_remote(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
