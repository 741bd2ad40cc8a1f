"""What a data set was read from, and by which code, as SHA-256 sums.

A sum over gigabytes takes seconds, so that it is remembered with what the file system
says of the file: as long as that is the same, the file is taken to be the same.

Conventions
-----------
- A file that cannot be opened has the sum `""`: whether that matters is the reader's
  affair, and the day that it can be opened its sum is another.
- A file on a server is not fetched for its sum: the sum is of its address and of what
  the server says of it (size, entity tag, time of change).  Only where the server says
  no more than the size, its bytes are summed, and that each time.
"""

import hashlib
import importlib.metadata
import json
import os
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

import fsspec

from trigger.datasets.sample import sha256
from trigger.rootfile import is_remote

_FORMAT, _VERSION = "jetlut-sums", 1
_SETTLED = 2.0  # s; clocks of file systems tick this coarsely, at worst
_REMOTE_STAMPS = ("etag", "last-modified", "mtime", "created", "checksum")
_LIBRARIES = ("awkward", "uproot", "pyarrow", "numpy")


@final
@dataclass(frozen=True)
class Fingerprint:
    """A file, how the file system tells it from others, and the sum of its bytes.

    Attributes:
        path: The file, as it was asked for.
        stamp: What changes when the file does; empty where nothing is known to.
        sha256: In hexadecimal: of the bytes, or of address and stamp for a file on a
            server; "" for a file that cannot be opened.
    """

    path: str
    stamp: tuple[int | str, ...]
    sha256: str


def fingerprints(paths: Sequence[str], memory: Path) -> tuple[Fingerprint, ...]:
    """The sums of some files; those remembered under the same stamp are not read.

    Args:
        paths: Local files or URLs.
        memory: A JSON file to remember sums in.  It is made and replaced as a whole;
            what another process adds meanwhile may be lost, which costs only time.
    """
    known = _recall(memory)
    # hashlib and the file system both work outside the interpreter's lock
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = tuple(pool.map(lambda path: _fingerprint(path, known), paths))
    fresh = {
        os.path.realpath(one.path): [list(one.stamp), one.sha256]
        for one in found
        if one.sha256 and not is_remote(one.path) and _is_settled(one.stamp)
    }
    if any(known.get(place) != entry for place, entry in fresh.items()):
        _remember(memory, {**_recall(memory), **fresh})
    return found


def changed(files: Sequence[Fingerprint]) -> list[str]:
    """The files that are others by now than when their sums were taken."""
    return [one.path for one in files if _stamp(one.path) != one.stamp]


def code_version() -> str:
    """A sum over all that decides what is read from given files by a given card.

    That is the source of this package and of what opens files for it, and the versions
    of the libraries that decode them.
    """
    here = Path(__file__).parent
    sources = [*sorted(here.glob("*.py")), here.parent / "rootfile.py"]
    total = hashlib.sha256()
    for source in sources:
        total.update(f"{source.name}\n".encode() + source.read_bytes())
    total.update(json.dumps(libraries()).encode())
    return total.hexdigest()


def libraries() -> dict[str, str]:
    """The versions of the libraries that decode and keep what is read."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def _fingerprint(path: str, known: dict[str, Any]) -> Fingerprint:
    stamp = _stamp(path)
    if is_remote(path) and stamp:
        said = "\n".join([path, *map(str, stamp)])
        return Fingerprint(path, stamp, hashlib.sha256(said.encode()).hexdigest())
    entry = known.get(os.path.realpath(path))
    if stamp and entry and entry[0] == list(stamp):
        return Fingerprint(path, stamp, entry[1])
    try:
        return Fingerprint(
            path, stamp, _fetched(path) if is_remote(path) else sha256(path)
        )
    except Exception:  # of a server, of a protocol without its package, of the disk
        return Fingerprint(path, stamp, "")


def _fetched(address: str) -> str:
    total = hashlib.sha256()
    with cast("Any", fsspec.open(address, "rb")) as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _stamp(path: str) -> tuple[int | str, ...]:
    """Size, times of change, and which file of which disk it is; or the server's word."""
    if not is_remote(path):
        try:
            now = os.stat(path)
        except OSError:
            return ()
        # the time of the last change of the inode cannot be set back, as mtime can
        return now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_dev
    try:
        system, inner = fsspec.url_to_fs(path)
        info = {str(key).lower(): value for key, value in system.info(inner).items()}
    except Exception:
        return ()
    said = [f"{key}={info[key]}" for key in _REMOTE_STAMPS if info.get(key)]
    return (str(info.get("size")), *said) if said else ()


def _is_settled(stamp: tuple[int | str, ...]) -> bool:
    """Whether a later change of the file would change its stamp for certain."""
    times = [value for value in stamp[1:3] if isinstance(value, int)]
    return bool(times) and time.time() - max(times) / 1e9 > _SETTLED


def _recall(memory: Path) -> dict[str, Any]:
    try:
        document = json.loads(memory.read_text())
    except (OSError, ValueError):  # none yet, or damaged: sums are taken anew
        return {}
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        return {}
    return document["files"]


def _remember(memory: Path, known: dict[str, Any]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    document = {"format": _FORMAT, "version": _VERSION, "files": known}
    temporary = memory.with_name(f".{memory.name}.{uuid.uuid4().hex}.tmp")
    temporary.write_text(json.dumps(document, indent=1))
    temporary.replace(memory)
