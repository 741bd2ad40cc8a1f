"""Whether a card and its files agree, told in full instead of at the first fault.

This module owns the questions that are asked of each file: is it there, is it the one
that the card means, has it the trees and branches, are they of the right shape and type.

Conventions
-----------
- A problem is a sentence.  No problems means that `read` will not complain about the
  shape of the files; their first entries are read, the rest is not.
"""

from collections.abc import Sequence
from pathlib import Path

from trigger.datasets.branches import load, locate
from trigger.datasets.card import Card
from trigger.datasets.chunk import cut_out
from trigger.datasets.files import expand
from trigger.datasets.read import wanted
from trigger.datasets.sample import sha256
from trigger.errors import UserError
from trigger.rootfile import find_tree, is_remote, open_root

_ENTRIES = (
    1000  # looked at of each file: enough to meet every column with something in it
)


def check(card: Card, patterns: Sequence[str] | None = None) -> list[str]:
    """Looks for what does not fit between a card and files.

    Args:
        card: The card.
        patterns: Paths, patterns, folders, lists, addresses; the card's own if none.

    Returns:
        Problems, each one sentence; none if all is well.
    """
    try:
        paths = expand(card.files if patterns is None else patterns)
    except UserError as error:
        return [str(error)]
    problems: list[str] = []
    types: dict[str, tuple[str, str]] = {}
    sums = dict(card.checksums)
    for path in paths:
        problems += _of_file(card, path, types)
        expected = sums.pop(Path(path).name, None)
        if expected and not is_remote(path) and Path(path).is_file():
            found = sha256(path)
            if found != expected:
                problems.append(
                    f"file {path!r} has SHA-256 {found}, but the card says {expected}; "
                    "it is another file, or a damaged copy"
                )
    if patterns is None:
        problems += [
            f"the card's file {name!r} is not among its files" for name in sums
        ]
    return problems


def _of_file(card: Card, path: str, types: dict[str, tuple[str, str]]) -> list[str]:
    """Problems of one file; `types` collects what the files before it hold."""
    problems = []
    table = None
    try:
        with open_root(path) as directory:
            trees = [find_tree(directory, t, path) for t in (card.tree, *card.friends)]
            entries = int(trees[0].num_entries)
            if entries == 0:
                problems.append(
                    f"tree {card.tree!r} of file {path!r} is empty: it has no entries"
                )
            problems += [
                f"file {path!r}: tree {name!r} has {tree.num_entries} entries, but "
                f"{card.tree!r} has {entries}; friends are of equal length"
                for name, tree in zip(card.friends, trees[1:], strict=True)
                if tree.num_entries != entries
            ]
            located = {}
            for branch in wanted(card):
                try:
                    located |= locate(trees, [branch], path)
                except UserError as error:
                    problems.append(str(error))
            if not problems:
                stop = min(entries, _ENTRIES)
                table = load(path, trees, located, card.event, 0, stop)
    except UserError as error:
        return [*problems, str(error)]
    if table is None:
        return problems
    for name, found in table.types().items():
        first, expected = types.setdefault(name, (path, found))
        if found != expected:
            problems.append(
                f"the files' branches differ: {name!r} holds {found} in {path!r} but "
                f"{expected} in {first!r}"
            )
    try:
        cut_out(card, table)
    except UserError as error:
        problems.append(str(error))
    return problems
