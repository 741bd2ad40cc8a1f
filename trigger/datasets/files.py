"""Which files a pattern means: globs, folders, lists, and addresses.

This module owns the way from what a user types to an ordered list of files without
repetition.  The order is that of the patterns; within a pattern, of the names.

Conventions
-----------
- `data/*.root` is a shell pattern, and `**` descends; `data/` is all its `*.root`.
- `@files.txt` is a list, one path, pattern or address a line; `#` begins a comment.
- `root://...` and `https://...` are read through fsspec, with the extra `remote`.
"""

import glob
from collections.abc import Sequence
from pathlib import Path

import fsspec

from trigger.errors import UserError
from trigger.rootfile import is_remote, need_remote


def expand(patterns: Sequence[str], base: str | Path = ".") -> list[str]:
    """The files that some patterns mean, each once.

    Args:
        patterns: Paths, shell patterns, folders, lists, addresses.
        base: Folder that relative paths start from.

    Returns:
        Paths and addresses in the order of the patterns.  A plain path is taken as it
        is, whether there is such a file or not.

    Raises:
        UserError: There is no pattern; one matches no file; a list is missing; or an
            address needs the extra `remote`.
    """
    if not patterns:
        raise UserError("no input files given; name at least one ROOT file")
    paths: dict[str, str] = {}
    for pattern in patterns:
        for path in _matches(pattern, Path(base)):
            same = path if is_remote(path) else str(Path(path).resolve())
            paths.setdefault(same, path)
    return list(paths.values())


def _matches(pattern: str, base: Path) -> list[str]:
    if pattern.startswith("@"):
        return _listed(base / pattern[1:])
    if is_remote(pattern):
        return _remote(pattern)
    path = str(base / pattern)
    if Path(path).is_dir():
        found = sorted(glob.glob(str(Path(glob.escape(path)) / "*.root")))
        if not found:
            raise UserError(f"folder {path!r} holds no file '*.root'")
        return found
    if Path(path).exists() or not glob.has_magic(path):
        return [path]  # whoever opens it says if there is none
    found = sorted(glob.glob(path, recursive=True))
    if not found:
        raise UserError(f"no such file: nothing matches {path!r}")
    return found


def _listed(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"no such list of files: {str(path)!r}")
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    if not any(lines):
        raise UserError(f"the list {str(path)!r} names no file")
    return [p for line in lines if line for p in _matches(line, path.parent)]


def _remote(pattern: str) -> list[str]:
    # ? is part of an address as often as it is a pattern
    if not any(sign in pattern for sign in "*["):
        return [pattern]
    need_remote(pattern)
    try:
        system, inner = fsspec.core.url_to_fs(pattern)
        names = sorted(str(name) for name in system.glob(inner))
    except Exception as error:  # every file system has its own
        raise UserError(
            f"{pattern!r} cannot be listed: {type(error).__name__}: {error}"
        ) from error
    if not names:
        raise UserError(f"no such file: nothing matches {pattern!r}")
    return [system.unstrip_protocol(name) for name in names]
