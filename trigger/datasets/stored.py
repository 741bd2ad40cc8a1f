"""A data set as it was read, in a folder: the objects as Parquet, and a manifest.

The Parquet file has a row group for each chunk of the read; what is no column (cut
flows, files, skipped files) is in the manifest.  This module owns both, and the checks
that make a folder trustworthy; when one is made or used is the cache's affair.

Conventions
-----------
- The manifest is written last and holds the sum of the Parquet file.
- A folder is good for one card and one version of the program and its libraries.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trigger.datasets.card import Card
from trigger.datasets.card_text import dumps, loads
from trigger.datasets.chunk import Chunk
from trigger.datasets.cutflow import CutFlow, Step
from trigger.datasets.fingerprint import Fingerprint, code_version, libraries
from trigger.datasets.read import OnBadFile, chunks
from trigger.datasets.sample import Sample, Skipped, join, sha256
from trigger.errors import UserError
from trigger.rootfile import is_remote

OBJECTS, MANIFEST = "objects.parquet", "manifest.json"
_FORMAT, _VERSION = "jetlut-cache", 1


def write(
    folder: Path,
    card: Card,
    files: Sequence[Fingerprint],
    *,
    step: int,
    on_bad_file: OnBadFile,
) -> None:
    """Reads a data set into a folder, chunk by chunk: memory is flat in its size.

    On return all of it is on the disk.

    Args:
        folder: An empty folder.
        card: What to read.
        files: Where from.
        step: As for `read.chunks`.
        on_bad_file: As for `read.chunks`.

    Raises:
        UserError: As `read.chunks`.
        OSError: The folder cannot be written, or the disk is full.
    """
    place = {one.path: at for at, one in enumerate(files)}
    skipped: list[Skipped] = []
    written: list[dict[str, Any]] = []
    writer = None
    try:
        for chunk in chunks(
            card, list(place), step=step, on_bad_file=on_bad_file, skipped=skipped
        ):
            columns: dict[str, Any] = {"objects": chunk.objects, "event": chunk.event}
            # the extension types keep what Parquet has no word for, such as the units
            table: pa.Table = ak.to_arrow_table(
                ak.zip(columns, depth_limit=1), extensionarray=True
            )
            if writer is None:
                writer = pq.ParquetWriter(
                    folder / OBJECTS, table.schema, compression="lz4"
                )
            writer.write_table(table, row_group_size=max(len(table), 1))
            written.append(
                {
                    "file": place[chunk.source],
                    "rows": len(chunk.objects),
                    "steps": [(s.name, s.objects, s.entries) for s in chunk.cuts.steps],
                    "classes": chunk.cuts.classes,
                }
            )
    finally:
        if writer is not None:
            writer.close()
    manifest = {
        "format": _FORMAT,
        "version": _VERSION,
        "code": code_version(),
        "libraries": libraries(),
        "card": card_text(card),
        "sha256": sha256(str(folder / OBJECTS)),
        "files": [
            {"path": one.path, "sha256": "" if is_remote(one.path) else one.sha256}
            for one in files
        ],
        "chunks": written,
        "skipped": [vars(one) for one in skipped],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    for path in (folder / OBJECTS, folder / MANIFEST, folder):
        to_disk(path)


@final
@dataclass(frozen=True, eq=False)
class Stored:
    """A folder that was found to be whole; `open_stored` makes it.

    Attributes:
        card: What the folder was read by.
        folder: The folder.
        paths: The files; they are not opened.
        manifest: What the folder says of itself.
    """

    card: Card
    folder: Path
    paths: tuple[str, ...]
    manifest: dict[str, Any]

    def chunks(self) -> Iterator[Chunk]:
        """Streams the objects in the chunks in which they were read."""
        with pq.ParquetFile(self.folder / OBJECTS) as file:
            for group, row in enumerate(self.manifest["chunks"]):
                rows: Any = ak.from_arrow(file.read_row_group(group))
                steps = tuple(Step(*step) for step in row["steps"])
                yield Chunk(
                    rows["objects"],
                    np.ascontiguousarray(ak.to_numpy(rows["event"])),
                    self.paths[row["file"]],
                    CutFlow(steps, row["classes"]),
                )

    def sample(self) -> Sample:
        """All of it, equal to what `read.read` gives."""
        files = zip(self.paths, self.manifest["files"], strict=True)
        sums = {path: file["sha256"] for path, file in files}
        skipped = [Skipped(**one) for one in self.manifest["skipped"]]
        return join(self.card, list(self.chunks()), skipped, sums)


def open_stored(
    folder: Path, card: Card | None = None, paths: Sequence[str] = ()
) -> Stored:
    """Opens a folder, if all of it can be relied on.

    Args:
        folder: The folder.
        card: What it should have been read by; if not given, the sample gets the
            stored card, which names no files.
        paths: Where the files are now; where they were, if not given.

    Raises:
        UserError: There is no such folder; it is of another version of the program or
            its libraries, or of another card; or it is damaged.
    """
    shown = repr(str(folder))
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        version = manifest["format"], manifest["version"], manifest["code"]
        told, total = manifest["card"], manifest["sha256"]
    except OSError as error:
        raise UserError(
            f"{shown} is no cache: its {MANIFEST} cannot be read ({error.strerror})"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the cache {shown} is damaged: its {MANIFEST} is no manifest"
        ) from error
    if version != (_FORMAT, _VERSION, code_version()):
        raise UserError(
            f"the cache {shown} is of another version of jetlut or of its libraries; "
            "make it anew from the ROOT files"
        )
    if card is not None and told != card_text(card):
        raise UserError(
            f"the cache {shown} is of another card than {card.name!r} is now; make it "
            "anew from the ROOT files"
        )
    objects = folder / OBJECTS
    found = sha256(str(objects)) if objects.is_file() else "nothing"
    if found != total:
        raise UserError(
            f"the cache {shown} is damaged: the sum of its {OBJECTS} should begin with "
            f"{total[:8]}, found {found[:8]}"
        )
    return Stored(
        loads(told) if card is None else card,
        folder,
        tuple(paths) or tuple(file["path"] for file in manifest["files"]),
        manifest,
    )


def card_text(card: Card) -> str:
    """What of a card decides on what is read: all but where the files are."""
    return dumps(replace(card, files=(), checksums=()))


def to_disk(path: Path) -> None:
    """Returns when what was written of a file or folder would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
