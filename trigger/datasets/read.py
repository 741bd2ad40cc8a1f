"""Reading a data set by its card: a stream of chunks, or all of it.

This module owns the way over files and entries: which branches are read, in which
ranges, and what happens when a file is bad.  What is made of a range is `chunk`'s.

Conventions
-----------
- Objects are in the order of the files, of the entries, and of the lists in an entry.
- A chunk is a range of entries of one file.  Where chunks begin and end changes nothing
  but the memory that they take.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trigger.datasets.branches import Located, Table, clusters, load, locate
from trigger.datasets.card import BranchLabel, Card, FlavourLabel, MatchLabel
from trigger.datasets.chunk import Chunk, cut_out
from trigger.datasets.cutflow import CutFlow
from trigger.datasets.files import expand
from trigger.datasets.sample import Sample, Skipped, join
from trigger.errors import UserError
from trigger.rootfile import find_tree, is_remote, open_root

STEP = 50_000  # entries: some 100 MB of columns, and long enough to decode well
OnBadFile = Literal["fail", "skip"]


def chunks(
    card: Card,
    patterns: Sequence[str] | None = None,
    *,
    step: int = STEP,
    on_bad_file: OnBadFile = "fail",
    skipped: list[Skipped] | None = None,
) -> Iterator[Chunk]:
    """Streams a data set; memory does not grow with its size.

    Args:
        card: What to read.
        patterns: Paths, patterns, folders, lists or addresses; the card's own if none
            are given.
        step: Entries in a chunk, at most.
        on_bad_file: `fail` stops at the first bad file.  `skip` leaves it out as a
            whole; for that, each file is read twice.
        skipped: Where to note the files left out; without it, each is warned of.

    Yields:
        Chunks, in order; one may have no objects.

    Raises:
        UserError: A file is damaged, lacks a branch, is empty, is of another schema
            than the first, or holds what the card excludes; all files are bad; or no
            object is left at the end, and then the step that left none is named.
    """
    if step < 1:
        raise UserError(f"a chunk has 1 entry or more, got step={step}")
    paths = expand(card.files if patterns is None else patterns)
    if on_bad_file == "fail":
        for path in paths:  # now, not after an hour of reading
            if not is_remote(path) and not Path(path).exists():
                raise UserError(f"no such file: {path!r}")
    left_out: list[Skipped] = []
    schema: tuple[str, dict[str, str]] | None = None
    total = CutFlow()
    for path in paths:
        begun = False
        try:
            if on_bad_file == "skip":  # nothing of a file that is bad further on
                for table in _tables(card, path, step, schema):
                    cut_out(card, table)
            for table in _tables(card, path, step, schema):
                schema = schema or (path, table.types())
                chunk = cut_out(card, table)
                total += chunk.cuts
                begun = True
                yield chunk
        except UserError as error:
            if on_bad_file == "fail" or begun:  # what was given cannot be taken back
                raise
            left_out.append(Skipped(Path(path).name, str(error)))
            if skipped is None:
                warnings.warn(f"skipped: {error}", stacklevel=2)
            else:
                skipped.append(left_out[-1])
    if len(left_out) == len(paths):
        raise UserError(
            f"none of the {len(paths)} files can be read; the first: "
            f"{left_out[0].reason}"
        )
    total.require_some(named(paths))


def read(
    card: Card,
    patterns: Sequence[str] | None = None,
    *,
    step: int = STEP,
    on_bad_file: OnBadFile = "fail",
) -> Sample:
    """Reads a whole data set into memory.

    Args:
        card: What to read.
        patterns: As for `chunks`.
        step: Entries in a chunk, at most.
        on_bad_file: As for `chunks`; `Sample.skipped` has what was left out.

    Raises:
        UserError: As `chunks`.
    """
    skipped: list[Skipped] = []
    parts = list(
        chunks(card, patterns, step=step, on_bad_file=on_bad_file, skipped=skipped)
    )
    return join(card, parts, skipped)


def partition(card: Card, path: str, start: int, stop: int) -> Chunk:
    """Reads a range of entries of one file.

    Args:
        card: What to read.
        path: A file, or an address.
        start: First entry.
        stop: One past the last; the file's end at most.

    Raises:
        UserError: As `chunks`, but for what takes more than these entries to see.
    """
    with _opened(card, path) as (trees, located):
        table = load(path, trees, located, card.event, start, stop)
    return cut_out(card, table)  # outside: a bug there is no damage of the file


def ranges(card: Card, path: str, *, step: int = STEP) -> list[tuple[int, int]]:
    """Ranges of entries for `partition`, of `step` at most, cut where the file is.

    Raises:
        UserError: The file cannot be read, lacks a branch or is empty.
    """
    with _opened(card, path) as (trees, located):
        return _ranges(trees, located, step)


def wanted(card: Card) -> list[str]:
    """The branches that a card uses, each once; the objects' first column is first."""
    rule, particles = card.label, card.constituents
    names = [column.branch for column in card.columns]
    names += card.event.branches()
    if isinstance(rule, BranchLabel):
        names += [rule.branch]
    elif isinstance(rule, FlavourLabel):
        names += [rule.hadron, rule.parton, rule.tau, *rule.taus, *rule.veto]
    elif isinstance(rule, MatchLabel):
        names += [rule.pdg_id, rule.mother, rule.eta, rule.phi]
        names += [rule.hadron, rule.parton]
    if particles:
        names += [column.branch for column in particles.columns]
        names += [particles.index, particles.particle_index]
    return [name for name in dict.fromkeys(names) if name]


@contextmanager
def _opened(card: Card, path: str) -> Iterator[tuple[list[Any], Located]]:
    with open_root(path) as directory:
        trees = [find_tree(directory, t, path) for t in (card.tree, *card.friends)]
        located = locate(trees, wanted(card), path)
        entries = int(trees[0].num_entries)
        if entries == 0:
            raise UserError(
                f"tree {card.tree!r} of file {path!r} is empty: it has no entries"
            )
        for name, tree in zip(card.friends, trees[1:], strict=True):
            if tree.num_entries != entries:
                raise UserError(
                    f"file {path!r}: tree {name!r} has {tree.num_entries} entries, but "
                    f"{card.tree!r} has {entries}; friends are of equal length"
                )
        yield trees, located


def _tables(
    card: Card, path: str, step: int, schema: tuple[str, dict[str, str]] | None
) -> Iterator[Table]:
    with _opened(card, path) as (trees, located):
        for start, stop in _ranges(trees, located, step):
            table = load(path, trees, located, card.event, start, stop)
            if schema and (other := difference(table.path, table.types(), *schema)):
                raise UserError(other)
            yield table


def difference(
    path: str, found: Mapping[str, str], first: str, types: Mapping[str, str]
) -> str:
    """What to say of a file whose branches are not of the first one's types, if so."""
    for name, kind in found.items():
        if kind != types[name]:
            return (
                f"the files' branches differ: {name!r} holds {kind} in {path!r} but "
                f"{types[name]} in {first!r}; read files of one production"
            )
    return ""


def _ranges(trees: list[Any], located: Located, step: int) -> list[tuple[int, int]]:
    entries = int(trees[0].num_entries)
    edges = [0]
    offsets = np.array(clusters(trees, located) or [0, entries])
    while edges[-1] < entries:
        furthest = min(edges[-1] + step, entries)
        edge = int(offsets[np.searchsorted(offsets, furthest, side="right") - 1])
        edges.append(edge if edge > edges[-1] else furthest)
    return list(pairwise(edges))


def named(paths: Sequence[str]) -> str:
    """The first files of some, and how many more there are."""
    return ", ".join(repr(path) for path in paths[:3]) + (
        f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    )
