"""ROOT files on disk: opening them, and saying what is inside.

This module owns the ways in which a file can be no ROOT file at all, or one that was
cut short: whoever opens a file here gets one sentence about it, not a traceback from
the depths of a decoder.

Conventions
-----------
- A *tree* is a TTree or an RNTuple; both are columns of equal length.
- Paths are local, or addresses (`root://`, `https://`, ...) that fsspec can read.
- Names inside a file carry no cycle; the newest cycle is meant.
"""

import importlib.util
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

import uproot

from trigger.errors import UserError, nearest

# What reads an address, by its scheme; both are in the extra `remote`.
_REMOTE = {"http": "aiohttp", "https": "aiohttp", "root": "fsspec_xrootd"}
_TREES = {"TTree": "TTree", "TNtuple": "TTree", "ROOT::RNTuple": "RNTuple"}


@final
@dataclass(frozen=True)
class BranchInfo:
    """One column of a tree: its name and its type as ROOT spells it."""

    name: str
    type: str


@final
@dataclass(frozen=True)
class TreeInfo:
    """One tree of a file; `kind` is `TTree` or `RNTuple`."""

    name: str
    kind: str
    title: str
    entries: int
    branches: tuple[BranchInfo, ...]


@contextmanager
def open_root(path: str | Path) -> Iterator[Any]:
    """Opens a ROOT file for reading, and turns damage found in it into one sentence.

    Reads inside the `with` block are guarded too: compressed data that cannot be
    unpacked shows only when it is read.

    Args:
        path: A local file, or an address.

    Yields:
        The file's top directory, as uproot gives it.

    Raises:
        UserError: There is no such file, it is not a ROOT file, it is shorter than its
            header says, or something in it cannot be decoded.

    Reference:
        The header's layout: class TFile of the ROOT reference guide, "The structure of
        a ROOT file is shown in TFile::TFile".
    """
    shown = str(path)
    remote = is_remote(shown)
    try:
        if remote:
            need_remote(shown)
        else:
            _check_header(Path(path), shown)
        # ":" in a path would be taken for the name of an object; arrays are read once,
        # so a cache of them would only hold memory
        opening = cast("Any", uproot.open)({path: None}, array_cache=None)
        with opening as directory:
            yield directory
    except UserError:
        raise
    except Exception as error:  # a decoder fed with damaged bytes may raise anything
        raise UserError(_reason(error, shown, remote)) from error


def describe(path: str | Path) -> list[TreeInfo]:
    """Lists the trees of a file with their branches, in the order of the file.

    Raises:
        UserError: As `open_root`.
    """
    with open_root(path) as directory:
        return [
            _describe_tree(directory[name], name, kind)
            for name, kind in trees(directory).items()
        ]


def trees(directory: Any) -> dict[str, str]:
    """The trees in an open file: name, sub-directories included, to kind."""
    classes = directory.classnames(recursive=True, cycle=False)
    return {name: _TREES[kind] for name, kind in classes.items() if kind in _TREES}


def find_tree(directory: Any, name: str, path: str) -> Any:
    """One tree of an open file, by name.

    Raises:
        UserError: The file has no such tree; the names that are most alike are listed.
    """
    known = trees(directory)
    if name not in known:
        raise UserError(
            f"file {path!r} has no tree {name!r}; its trees are {nearest(name, known)}"
        )
    return directory[name]


def columns(tree: Any) -> list[str]:
    """The names of a tree's columns; of an RNTuple without the time that `keys` takes."""
    return list(_fields(tree)) if hasattr(tree, "ntuple") else tree.keys()


def is_remote(path: str) -> bool:
    """Whether a path is an address, such as `https://...`."""
    return "://" in path


def need_remote(address: str) -> None:
    """Refuses an address that nothing installed can read.

    Raises:
        UserError: The package that reads its scheme is missing.
    """
    scheme = address.partition("://")[0]
    package = _REMOTE.get(scheme)
    if package is None:
        raise UserError(
            f"address {address!r}: cannot read {scheme!r}, only {', '.join(_REMOTE)}"
        )
    if importlib.util.find_spec(package) is None:
        raise UserError(
            f"address {address!r} needs the package {package!r}: "
            "pip install 'jetlut[remote]'"
        )


def _reason(error: Exception, shown: str, remote: bool) -> str:
    """What to say of an error while opening or reading."""
    # uproot's own texts run over many lines
    first = (str(error).splitlines() or [""])[0] or type(error).__name__
    if remote:  # whatever stands behind an address may raise anything as well
        nothing = isinstance(error, FileNotFoundError)
        return f"address {shown!r} cannot be read: {'not found' if nothing else first}"
    if isinstance(error, OSError):
        return f"file {shown!r} cannot be read: {error.strerror or first}"
    return (
        f"file {shown!r} is a ROOT file, but what is in it cannot be decoded "
        f"({type(error).__name__}); the copy is probably damaged, fetch it again"
    )


def _check_header(path: Path, shown: str) -> None:
    if not path.exists():
        raise UserError(f"no such file: {shown!r}")
    if path.is_dir():
        raise UserError(
            f"{shown!r} is a folder, not a ROOT file; to read every file in it, "
            f"say {str(path / '*.root')!r}"
        )
    with path.open("rb") as file:
        head = file.read(20)
    size = path.stat().st_size
    if head[:4] != b"root":
        raise UserError(
            f"file {shown!r} is not a ROOT file: it is {size} bytes long and begins "
            f"with {head[:4]!r} instead of b'root'"
        )
    if len(head) < 20:
        raise UserError(
            f"file {shown!r} is truncated: it has {size} bytes, fewer than the header "
            "of a ROOT file; fetch or write it again"
        )
    # fVersion, fBEGIN, fEND: all big-endian, fEND of 8 bytes from version 1000000 on
    version, _, end = struct.unpack(">iii", head[4:16])
    if version >= 1_000_000:
        (end,) = struct.unpack(">q", head[12:20])
    if end > size:
        raise UserError(
            f"file {shown!r} is truncated: its header promises {end} bytes, it has "
            f"{size}; fetch or write it again"
        )


def _describe_tree(tree: Any, name: str, kind: str) -> TreeInfo:
    types = _fields(tree) if kind == "RNTuple" else tree.typenames()
    branches = tuple(
        BranchInfo(branch, typename or "collection")
        for branch, typename in types.items()
    )
    title = tree.title if kind == "TTree" else tree.description
    return TreeInfo(name, kind, str(title), int(tree.num_entries), branches)


def _fields(tree: Any) -> dict[str, str]:
    """Names and types of an RNTuple's fields.

    The same as uproot's `typenames`, which looks for the children of each field among
    all fields: seconds for the thousand fields of an ATLAS file.
    """
    return {
        field.path: field.typename
        for field in tree.ntuple.all_fields
        if not (field.is_anonymous or field.in_variant)
    }
