"""The ROOT file of a sample, as TTree or RNTuple: whole or not there at all.

One entry is one collision; the layout is NanoAOD's, with `Jet_*` and `PFCand_*` columns
and the counters `nJet` and `nPFCand` (an RNTuple has the collections `Jet` and `PFCand`
instead).  It is written under a hidden name beside its place and renamed when complete.
A lock, which the system drops when a process dies, tells the remains of a killed
process from the work of a living one: the next run sweeps up the former.
"""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from trigger.errors import UserError, nearest
from trigger.generate.events import Columns

TREE = "Events"
FORMATS = ("ttree", "rntuple")
_ALGORITHMS = {
    "zstd": (uproot.ZSTD, 22),
    "lzma": (uproot.LZMA, 9),
    "zlib": (uproot.ZLIB, 9),
    "lz4": (uproot.LZ4, 12),
}


def compression(text: str) -> Any:
    """Reads `zstd:5` and the like: the algorithm and its level, 0 for none at all.

    Raises:
        UserError: There is no such algorithm, or it has no such level.
    """
    name, _, level = text.partition(":")
    if name not in _ALGORITHMS:
        raise UserError(
            f"no compression {name!r}; the most alike are {nearest(name, _ALGORITHMS)}, "
            "with a level as in zstd:5"
        )
    algorithm, highest = _ALGORITHMS[name]
    if not level.isdecimal() or int(level) > highest:
        raise UserError(
            f"the compression {text!r} lacks a level from 0 to {highest}; an example is "
            f"{name}:{min(5, highest)}"
        )
    return algorithm(int(level))


def entries(
    columns: Columns, seed: int, first_event: int, pileup: float
) -> dict[str, Any]:
    """The entries of some collisions, numbered from `first_event` on."""
    size = len(columns.jets)
    return {
        "run": np.ones(size, np.uint32),
        "luminosityBlock": np.full(size, seed, np.uint32),
        "event": np.arange(first_event, first_event + size, dtype=np.uint64),
        "Pileup_nTrueInt": np.full(size, pileup, np.float32),
        "Jet": columns.jets,
        "PFCand": columns.candidates,
    }


def write(
    path: Path, clusters: Iterable[dict[str, Any]], form: str, compressed: Any
) -> None:
    """Writes clusters of entries, one after the other.

    Args:
        path: The file.
        clusters: Entries of equal columns; each becomes a basket or page of its own.
        form: One of `FORMATS`.
        compressed: As `compression` gives it.
    """
    tree = None
    with uproot.recreate(path, compression=compressed) as file:
        for cluster in clusters:
            if form == "rntuple":
                if tree is None:
                    tree = file.mkrntuple(TREE, cluster)
                else:
                    tree.extend(cluster)
                continue
            if tree is None:
                types = {
                    name: value.dtype
                    if isinstance(value, np.ndarray)
                    else value.type.content
                    for name, value in cluster.items()
                }
                tree = file.mktree(
                    TREE,
                    types,
                    title="simulated jets",
                    counter_name=lambda name: f"n{name}",
                )
            tree.extend(
                {
                    name: ak.to_packed(value) if isinstance(value, ak.Array) else value
                    for name, value in cluster.items()
                }
            )


@contextmanager
def new_file(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Gives a temporary path to write to and, at the end, moves it to `target`.

    Args:
        target: Where the file is to be.
        force: Whether a file that is there already may be replaced.

    Yields:
        The temporary path, beside the target.  It is removed when the body raises.

    Raises:
        UserError: The target is there already, or its folder is not; or the disk is
            full or cannot be written.
    """
    _check_target(target, force)
    writing = None
    try:
        _sweep(target)
        number, name = tempfile.mkstemp(
            prefix=f".{target.name}.new-", dir=target.parent
        )
        writing = Path(name)
        with os.fdopen(number) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield writing
            _check_target(target, force)  # another process may have been faster
            writing.chmod(0o666 & ~_umask())
            writing.replace(target)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise UserError(
            f"the output {str(target)!r} cannot be written: {error.strerror or error}; "
            f"nothing is kept, {'make room or ' if full else ''}name another place by "
            "--out"
        ) from error
    finally:
        if writing is not None:
            writing.unlink(missing_ok=True)


def _check_target(target: Path, force: bool) -> None:
    if not target.parent.is_dir():
        raise UserError(
            f"there is no folder {str(target.parent)!r} for the output "
            f"{target.name!r}; make it first, or name another by --out"
        )
    if target.is_dir():
        raise UserError(f"the output {str(target)!r} is a folder; --out names a file")
    if target.exists() and not force:
        raise UserError(
            f"the output {str(target)!r} exists already; replace it by --force, or name "
            "another file by --out"
        )


def _sweep(target: Path) -> None:
    """Removes what killed processes have left beside the target."""
    for remains in target.parent.glob(f".{target.name}.new-*"):
        with remains.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # of a living process
            remains.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
