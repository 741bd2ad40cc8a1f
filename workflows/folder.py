"""The folder of one run: written under a temporary name, renamed when complete.

A reader sees the results of the last complete run or nothing, never a part.  A run
holds a lock on its temporary folder, which the system drops when the process dies,
however it dies: so the next run can tell the remains of a killed run from the work of
a living one.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trigger.errors import UserError
from trigger.folders import mend, replace

SUMMARY = "summary.json"
RECIPE = "recipe.json"
REPORT = "report.html"
PHYSICS = "physics.json"
FIGURES = "figures"


@contextmanager
def results(target: Path) -> Iterator[Path]:
    """Gives a temporary folder to write in and, at the end, moves it to `target`.

    Args:
        target: Where the results are to be.  The results of an earlier run there are
            replaced; anything else there is left alone and refused.

    Yields:
        The temporary folder, beside the target.  What is in it is thrown away when the
        body raises.

    Raises:
        UserError: The target cannot be written, or holds something else than a run.
    """
    target = target.resolve()
    _refuse_foreign(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        writing = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.new-", dir=target.parent)
        )
        if target.exists():
            (probe := target / ".writable").touch()
            probe.unlink()
    except OSError as error:
        raise UserError(
            f"the output folder {str(target)!r} cannot be written: {error.strerror}; "
            "name another one by --out"
        ) from error
    lock = os.open(writing, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield writing
        writing.chmod(0o777 & ~_umask())
        replace(writing, target)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
        os.close(lock)


def _refuse_foreign(target: Path) -> None:
    """Refuses to replace what no run has written."""
    if not target.exists():
        return
    if not target.is_dir():
        raise UserError(f"the output {str(target)!r} is a file; --out names a folder")
    found = {entry.name for entry in target.iterdir()}
    if not found:
        return
    try:
        bundle = Path(json.loads((target / SUMMARY).read_text())["bundle"]).name
    except (OSError, ValueError, KeyError, TypeError):
        bundle = None
    foreign = sorted(found - {SUMMARY, RECIPE, REPORT, PHYSICS, FIGURES, bundle})
    if bundle is None or foreign:
        raise UserError(
            f"the output folder {str(target)!r} holds {(foreign or sorted(found))[0]!r}, "
            "which no run has written; name an empty or a new folder by --out"
        )


def _sweep(target: Path) -> None:
    """Removes what killed runs have left beside the target, and mends a half swap."""
    mend(target)
    for remains in target.parent.glob(f".{target.name}.new-*"):
        lock = os.open(remains, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(remains, ignore_errors=True)
        except BlockingIOError:
            pass  # a living run
        finally:
            os.close(lock)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
