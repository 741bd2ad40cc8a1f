"""Putting a finished folder in the place of an older one, so that none is ever lost.

The older folder steps aside under a hidden name until the new one stands; whatever
ends the program between the two renames, the next `mend` brings a whole folder back.
"""

import shutil
from pathlib import Path


def replace(new: Path, target: Path) -> None:
    """Renames `new` to `target`; an older `target` goes, but only after that.

    Raises:
        OSError: A rename failed; the older folder is back in its place.
    """
    aside = _aside(target)
    if target.exists():
        target.rename(aside)
    try:
        new.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def mend(target: Path) -> None:
    """Ends a `replace` that was killed: restores the older folder, or clears it away."""
    aside = _aside(target)
    if not aside.exists():
        return
    if target.exists():
        shutil.rmtree(aside)
    else:
        aside.rename(target)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")
