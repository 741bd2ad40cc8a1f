"""The on-disk cache: a data set is read from ROOT once.

An *entry* is a folder as `stored` makes it.  Its name is made of two sums: one over
what is read (card, contents of the files), one over what reads (source, libraries).

Conventions
-----------
- An entry is written under a temporary name and renamed: it is whole or not there.
- Of two processes that write the same entry the first to end wins; the second throws
  its own away and uses the winner's.
- Temporary folders carry host and process in their names; those of processes that are
  gone, or older than a day, are cleared away by the next one that comes.
"""

import hashlib
import json
import os
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from trigger.datasets.card import Card
from trigger.datasets.files import expand
from trigger.datasets.fingerprint import (
    Fingerprint,
    changed,
    code_version,
    fingerprints,
)
from trigger.datasets.read import STEP, OnBadFile
from trigger.datasets.sample import Sample
from trigger.datasets.stored import Stored, card_text, open_stored, to_disk, write
from trigger.errors import UserError

SUMS = "sums.json"
_DAY = 86_400.0  # s
_DIGITS = 16  # of each sum in an entry's name: by chance, two agree in 2**-64


def cached(
    card: Card,
    patterns: Sequence[str] | None = None,
    *,
    folder: Path,
    step: int = STEP,
    on_bad_file: OnBadFile = "fail",
    notice: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
) -> Sample:
    """The sample that `read.read` gives, from the disk if it was read before.

    Args:
        card: As for `entry_for`, as all that follow.
        patterns: As for `entry_for`.
        folder: As for `entry_for`.
        step: As for `entry_for`.
        on_bad_file: As for `entry_for`.
        notice: As for `entry_for`.

    Raises:
        UserError: As `entry_for`.
    """
    return entry_for(
        card, patterns, folder=folder, step=step, on_bad_file=on_bad_file, notice=notice
    ).sample()


def entry_for(
    card: Card,
    patterns: Sequence[str] | None = None,
    *,
    folder: Path,
    step: int = STEP,
    on_bad_file: OnBadFile = "fail",
    notice: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
) -> Stored:
    """The entry of a data set, which is read and written if it is not there yet.

    Args:
        card: What to read.
        patterns: As for `read.chunks`.
        folder: Where entries are kept; made if need be.
        step: As for `read.chunks`; another step finds the same entry.
        on_bad_file: As for `read.chunks`.
        notice: Gets a line if an entry is there but cannot be used.

    Returns:
        The entry: `sample()` is what `read.read` gives, `chunks()` streams it.

    Raises:
        UserError: As `read.chunks`; the folder cannot be used; or a file changed while
            it was read.
    """
    paths = expand(card.files if patterns is None else patterns)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        files = fingerprints(paths, folder / SUMS)
        entry = folder / _name(card, files, on_bad_file)
        if entry.exists():
            try:
                return open_stored(entry, card, paths)
            except UserError as error:
                notice(f"{error}; reading the files again")
        elif others := sorted(folder.glob(f"{entry.name[:_DIGITS]}-*")):
            notice(
                f"the cache {str(others[0])!r} is of another version of jetlut or of "
                "its libraries, and may be deleted; reading the files again"
            )
        temporary = _temporary(entry)
        try:
            temporary.mkdir()
            write(temporary, card, files, step=step, on_bad_file=on_bad_file)
            if others := changed(files):
                raise UserError(
                    f"file {others[0]!r} changed while it was read; read again when "
                    "it is complete"
                )
            _publish(temporary, entry, card)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return open_stored(entry, card, paths)
    except OSError as error:
        raise UserError(
            f"the cache {str(folder)!r} cannot be used: {error.strerror or error}; "
            "give another folder, or read without a cache"
        ) from error


def _name(card: Card, files: Sequence[Fingerprint], on_bad_file: OnBadFile) -> str:
    what = {
        "card": card_text(card),
        "files": [file.sha256 for file in files],
        # a file left out is told of by its path
        "skipping": on_bad_file == "skip" and [file.path for file in files],
    }
    total = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    return f"{total[:_DIGITS]}-{code_version()[:_DIGITS]}"


def _publish(temporary: Path, entry: Path, card: Card) -> None:
    """Gives an entry its name, unless another process was faster."""
    try:
        temporary.rename(entry)
    except OSError:
        try:
            open_stored(entry, card)
        except UserError:
            # no winner's, but what was refused before: out of the way
            aside = _temporary(entry)
            with suppress(FileNotFoundError):
                entry.rename(aside)
            temporary.rename(entry)
            shutil.rmtree(aside, ignore_errors=True)
    to_disk(entry.parent)


def _temporary(entry: Path) -> Path:
    unique = uuid.uuid4().hex
    name = f".{entry.name}.{os.getpid()}.{unique}.{socket.gethostname()}.tmp"
    return entry.with_name(name)


def _sweep(folder: Path) -> None:
    """Clears away what killed processes left."""
    for path in folder.glob(".*-*.*.*.*.tmp"):
        _, _, process, _, host = path.name.removesuffix(".tmp").split(".", 4)
        with suppress(OSError):  # another process clears it too
            ours = host == socket.gethostname()
            old = time.time() - path.stat().st_mtime > _DAY
            if old or (ours and not _is_alive(int(process))):
                shutil.rmtree(path)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 asks and does nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True
