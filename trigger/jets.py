"""Jets as columns: features, truth label and event number, read from ROOT files.

The trees hold one entry per collision with a list of jets in it, as NanoAOD does, or
one entry per jet.  This module owns the way from there to one flat row per jet, and
every doubt about the content of the files: what comes out of `read_jets` is finite,
labelled and has jets of every class.

Conventions
-----------
- Rows are jets in the order of the files, of the entries, and of the jets in an entry.
- The label is the index into `classes`.
- A schema says branch names as NanoAOD does, `Jet_pt`; in an RNTuple the same column is
  the field `pt` of the collection `Jet`, and is found under either name.
"""

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import awkward as ak
import numpy as np
from jaxtyping import Float64, Int64, UInt64

from trigger.errors import UserError, nearest
from trigger.rootfile import find_tree, open_root


@final
@dataclass(frozen=True)
class JetSchema:
    """Which columns of which tree make a jet.

    Attributes:
        tree: Name of the TTree or RNTuple.
        features: Branches of the features, in the order of the block's ports.
        units: Unit of each feature, "" for a pure number.
        label: Branch of the truth label, an integer `0..len(classes) - 1`.
        event: Branches of run, luminosity block and event number.
        classes: Names of the classes, in the order of the labels.
    """

    tree: str
    features: tuple[str, ...]
    units: tuple[str, ...]
    label: str
    event: tuple[str, str, str]
    classes: tuple[str, ...]

    def __post_init__(self):
        """Checks that the names pair up.

        Raises:
            ValueError: A feature has no unit or is listed twice, or there are fewer
                than two classes.
        """
        if len(self.units) != len(self.features):
            raise ValueError(
                f"{len(self.features)} features need as many units, "
                f"got {len(self.units)}"
            )
        if len(set(self.features)) != len(self.features) or not self.features:
            raise ValueError(f"features must be distinct, got {self.features}")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"two or more distinct classes, got {self.classes}")


@final
@dataclass(frozen=True)
class Source:
    """One file that jets came from; `name` carries no folder."""

    name: str
    sha256: str
    jets: int


@final
@dataclass(frozen=True, eq=False)
class JetSample:
    """Jets as flat columns, one row per jet."""

    features: Float64[np.ndarray, "jets features"]
    label: Int64[np.ndarray, " jets"]
    event: UInt64[np.ndarray, "jets 3"]
    schema: JetSchema
    sources: tuple[Source, ...]


def read_jets(patterns: Sequence[str], schema: JetSchema) -> JetSample:
    """Reads all jets of some ROOT files.

    Only the columns of the schema are read.  A file that several patterns match is
    read once.

    Args:
        patterns: Paths, or shell patterns such as `data/*.root`; `**` descends.
        schema: The tree and its columns.

    Returns:
        The jets, with the SHA-256 of each file.

    Raises:
        UserError: A pattern matches no file; a file is damaged or no ROOT file; the
            tree or a branch is missing; the tree is empty; a feature is NaN or
            infinite; a label is outside the classes; two files disagree about the type
            of a branch; or a class has no jets.
    """
    paths = _expand(patterns)
    tables = [_read_file(path, schema) for path in paths]
    for path, table in zip(paths[1:], tables[1:], strict=True):
        _check_same_types(paths[0], tables[0], path, table)
    columns = [
        _flatten(path, table, schema) for path, table in zip(paths, tables, strict=True)
    ]
    features, label, event = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    counts = np.bincount(label, minlength=len(schema.classes))
    missing = [name for name, n in zip(schema.classes, counts, strict=True) if not n]
    if missing:
        raise UserError(
            f"no jets of class {', '.join(missing)} among the {len(label)} jets of "
            f"{_names(paths)}; every class of {', '.join(schema.classes)} needs some"
        )
    sources = tuple(
        Source(Path(path).name, _sha256(path), len(part[1]))
        for path, part in zip(paths, columns, strict=True)
    )
    return JetSample(features, label, event, schema, sources)


def _expand(patterns: Sequence[str]) -> list[str]:
    if not patterns:
        raise UserError("no input files given; name at least one ROOT file")
    paths: dict[Path, str] = {}
    for pattern in patterns:
        plain = Path(pattern).exists() or not glob.has_magic(pattern)
        found = [pattern] if plain else sorted(glob.glob(pattern, recursive=True))
        if not found:
            raise UserError(f"no such file: nothing matches {pattern!r}")
        for path in found:
            paths.setdefault(Path(path).resolve(), path)
    return list(paths.values())


def _read_file(path: str, schema: JetSchema) -> dict[str, ak.Array]:
    """The columns of one file as they are stored, by the schema's names."""
    wanted = (*schema.event, schema.label, *schema.features)
    with open_root(path) as directory:
        tree = find_tree(directory, schema.tree, path)
        known = {name.replace(".", "_"): name for name in tree.keys()}  # noqa: SIM118 (iterating over an uproot tree is not the same)
        for name in wanted:
            if name.replace(".", "_") not in known:
                raise UserError(
                    f"tree {schema.tree!r} of file {path!r} has no branch {name!r}; the "
                    f"most alike of its {len(known)} are "
                    f"{nearest(name, known.values())}"
                )
        if tree.num_entries == 0:
            raise UserError(
                f"tree {schema.tree!r} of file {path!r} is empty: it has no entries"
            )
        return {name: tree[known[name.replace(".", "_")]].array() for name in wanted}


def _check_same_types(
    first: str, one: dict[str, ak.Array], path: str, other: dict[str, ak.Array]
) -> None:
    for name in one:
        expected, found = _type(one[name]), _type(other[name])
        if expected != found:
            raise UserError(
                f"the files' branches differ: {name!r} holds {found} in {path!r} but "
                f"{expected} in {first!r}; read files of one production"
            )


def _flatten(
    path: str, table: dict[str, ak.Array], schema: JetSchema
) -> tuple[
    Float64[np.ndarray, "jets features"],
    Int64[np.ndarray, " jets"],
    UInt64[np.ndarray, "jets 3"],
]:
    """One row per jet: features, label, event; checked."""
    label, counts = _column(path, schema.label, table[schema.label])
    columns = []
    for name in schema.features:
        values, per_entry = _column(path, name, table[name])
        entry = np.flatnonzero(per_entry != counts)
        if entry.size:
            raise UserError(
                f"file {path!r}: in entry {entry[0]} the branch {name!r} holds "
                f"{per_entry[entry[0]]} values, but {schema.label!r} holds "
                f"{counts[entry[0]]}; the columns of a jet must be equally long"
            )
        columns.append(values.astype(np.float64))
    numbers = []
    for name in schema.event:
        if table[name].ndim != 1 or not _is_integer(table[name]):
            raise UserError(
                f"file {path!r}: the event branch {name!r} holds "
                f"{_type(table[name])}, not one integer per entry"
            )
        # astype wraps a negative number to a distinct positive one: still a good key
        numbers.append(np.repeat(ak.to_numpy(table[name]).astype(np.uint64), counts))
    features, event = np.stack(columns, axis=1), np.stack(numbers, axis=1)
    _check_finite(path, schema, features, event)
    if not _is_integer(table[schema.label]):
        raise UserError(
            f"file {path!r}: the label branch {schema.label!r} holds "
            f"{_type(table[schema.label])}, not integers"
        )
    _check_label(path, schema, label)
    return features, label.astype(np.int64), event


def _column(
    path: str, name: str, array: ak.Array
) -> tuple[np.ndarray, Int64[np.ndarray, " entries"]]:
    """A column's values, flat, and how many of them each entry has."""
    if array.ndim == 1 and not array.fields:
        flat, counts = array, np.ones(len(array), np.int64)
    elif array.ndim == 2 and not array.fields:
        flat, counts = ak.flatten(array), ak.to_numpy(ak.num(array)).astype(np.int64)
    else:
        flat, counts = None, np.zeros(0, np.int64)
    try:
        values = ak.to_numpy(flat)
    except (TypeError, ValueError):
        values = np.zeros(0, object)
    if flat is None or values.dtype.kind not in "biuf":
        raise UserError(
            f"file {path!r}: branch {name!r} holds {_type(array)}, not a number per "
            "jet (one per entry, or a list of them)"
        )
    return values, counts


def _check_finite(
    path: str,
    schema: JetSchema,
    features: Float64[np.ndarray, "jets features"],
    event: UInt64[np.ndarray, "jets 3"],
) -> None:
    bad = np.argwhere(~np.isfinite(features))
    if bad.size:
        jet, feature = (int(i) for i in bad[0])
        where = ", ".join(
            f"{name} {number}"
            for name, number in zip(schema.event, event[jet], strict=True)
        )
        raise UserError(
            f"file {path!r}: feature {schema.features[feature]!r} of jet {jet} "
            f"({where}) is {features[jet, feature]}, not a finite number "
            f"({len(bad)} of {features.size} values are not); repair or drop these jets"
        )


def _check_label(path: str, schema: JetSchema, label: np.ndarray) -> None:
    bad = np.flatnonzero((label < 0) | (label >= len(schema.classes)))
    if bad.size:
        names = ", ".join(f"{i}={name}" for i, name in enumerate(schema.classes))
        raise UserError(
            f"file {path!r}: label {label[bad[0]]} of jet {bad[0]} in branch "
            f"{schema.label!r} is outside the classes {names} "
            f"({bad.size} of {label.size} labels are)"
        )


def _type(array: ak.Array) -> str:
    """The type of one entry, as awkward spells it: `float32`, `var * int8`, ..."""
    return str(array.type.content)


def _is_integer(array: ak.Array) -> bool:
    return _type(array).split(" * ")[-1].startswith(("int", "uint"))


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(paths: Sequence[str]) -> str:
    return ", ".join(repr(path) for path in paths[:3]) + (
        f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    )
