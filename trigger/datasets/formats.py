"""What a file is, and the card that follows: recognised by its trees and branches.

This module owns the step from the table of `layouts` to a card for one file.  A layout
that is in no row is taken for what it looks like: a list of things with pt, eta and phi.

Conventions
-----------
- A proposed card names only branches that the file has; it can be read as it is.
- N_gen, licence and origin are in no file: the card leaves them for its owner to fill.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from trigger.datasets.branches import plain, spellings
from trigger.datasets.card import (
    ENTRY,
    BranchLabel,
    Card,
    Column,
    FlavourLabel,
    Identity,
    Label,
    MatchLabel,
    NoLabel,
)
from trigger.datasets.collection import Collection, Layout, kinematics
from trigger.datasets.layouts import LAYOUTS, NANO_VERSIONS
from trigger.datasets.sample import sha256
from trigger.errors import UserError, nearest
from trigger.rootfile import TreeInfo, describe, is_remote

_RUN = ("run", "runNumber", "Run")
_BLOCK = ("luminosityBlock", "lumi", "lumiBlock", "ls")
_NUMBER = ("event", "eventNumber", "evt", "Event_Number", "EventNumber", "evtNumber")


def propose(path: str, objects: str = "") -> Card:
    """A card for a file.

    Args:
        path: A ROOT file, or an address of one.
        objects: The collection that is wanted; "" takes the first that the layout has.

    Returns:
        A card whose branches the file has.

    Raises:
        UserError: The file cannot be read; nothing in it looks like jets with an
            identity; or it has no such collection.
    """
    trees = describe(path)
    found = [
        (name, event, friends, tree, collection)
        for name, event, friends, tree, collections in _recognised(trees)
        for collection in collections
    ]
    if not found:
        shown = ", ".join(f"{t.name!r} ({len(t.branches)} branches)" for t in trees[:5])
        raise UserError(
            f"file {path!r}: no objects with pt, eta and phi and an event number in its "
            f"trees {shown or '(none)'}; write the card by hand"
        )
    named = [row[-1].objects for row in found]
    if objects and objects not in named:
        raise UserError(
            f"file {path!r} has no objects {objects!r}; known here are "
            f"{nearest(objects, dict.fromkeys(named), count=9)}"
        )
    name, event, friends, tree, chosen = found[named.index(objects) if objects else 0]
    local = not is_remote(path)
    return Card(
        name=Path(path).name.removesuffix(".root"),
        tree=tree.name,
        event=event,
        columns=chosen.columns,
        objects=chosen.objects,
        label=chosen.labels[0] if chosen.labels else NoLabel(),
        selection=chosen.selection,
        constituents=chosen.constituents[0] if chosen.constituents else None,
        friends=friends,
        files=(str(Path(path).resolve()) if local else path,),
        checksums=((Path(path).name, sha256(path)),) if local else (),
        format=name,
    )


def _recognised(
    trees: Sequence[TreeInfo],
) -> Iterator[tuple[str, Identity, tuple[str, ...], TreeInfo, list[Collection]]]:
    """Layouts that fit, with what the file has of them."""
    by_name = {tree.name: tree for tree in trees}
    for layout in LAYOUTS:
        for tree in trees:
            if not any(fnmatch(tree.name, pattern) for pattern in layout.trees):
                continue
            friends = tuple(name for name in layout.friends if name in by_name)
            names = _names([tree, *(by_name[name] for name in friends)])
            if not all(any(m in names for m in choice) for choice in layout.marks):
                continue
            event = next((e for e in layout.event if _has(names, e.branches())), None)
            cut = [c for c in map(_present(names), layout.collections) if c]
            if event and cut:
                yield _version(layout, names), event, friends, tree, cut
    for tree in trees:
        yield from _looks_like(tree)


def _names(trees: Sequence[TreeInfo]) -> set[str]:
    """All spellings of all branches."""
    keys = [branch.name for tree in trees for branch in tree.branches]
    return set(spellings(keys))


def _has(names: set[str], branches: Sequence[str]) -> bool:
    return all(b in names or plain(b) in names for b in branches if b)


def _present(names: set[str]):
    """Cuts a collection down to what is there; nothing if its first column is not."""

    def cut(whole: Collection) -> Collection | None:
        columns = _columns(names, whole.columns)
        if whole.columns[0] not in columns:
            return None
        known = {column.name for column in columns}
        particles = [
            replace(p, columns=_columns(names, p.columns))
            for p in whole.constituents
            if _has(names, (p.columns[0].branch, p.index, p.particle_index))
        ]
        return Collection(
            whole.objects,
            columns,
            tuple(rule for rule in whole.labels if _has(names, _branches(rule))),
            tuple(particles),
            tuple(c for c in whole.selection if c.column in known),
        )

    return cut


def _columns(names: set[str], columns: Sequence[Column]) -> tuple[Column, ...]:
    return tuple(column for column in columns if _has(names, (column.branch,)))


def _branches(rule: Label) -> tuple[str, ...]:
    if isinstance(rule, BranchLabel):
        return (rule.branch,)
    if isinstance(rule, FlavourLabel):
        return (rule.hadron, rule.parton, rule.tau, *rule.taus, *rule.veto)
    if isinstance(rule, MatchLabel):
        return (rule.pdg_id, rule.mother, rule.eta, rule.phi, rule.hadron, rule.parton)
    return ()


def _version(layout: Layout, names: set[str]) -> str:
    if layout.name != "NanoAOD":
        return layout.name
    return f"NanoAOD {next(v for mark, v in NANO_VERSIONS if mark in names)}"


def _looks_like(
    tree: TreeInfo,
) -> Iterator[tuple[str, Identity, tuple[str, ...], TreeInfo, list[Collection]]]:
    """Whatever has pt, eta and phi, jets before others."""
    names = _names([tree])
    parts = (next((n for n in c if n in names), "") for c in (_RUN, _BLOCK, _NUMBER))
    event = Identity(*parts)
    if not event.number or not tree.entries:
        return
    collections = []
    for branch in tree.branches:
        base, end = branch.name[:-2], branch.name[-2:]
        counter = branch.name[:1] == "n" and branch.name[1:] in names
        if end != "pt" or counter or not _has(names, (f"{base}eta", f"{base}phi")):
            continue
        listed = "." in base or "[]" in branch.type or "vector" in branch.type
        objects = base.rstrip("_.") if listed else ENTRY
        columns = _columns(names, kinematics(base))
        collections.append(Collection(objects, columns))
    collections.sort(key=lambda c: "jet" not in c.columns[0].branch.lower())
    if collections:
        yield "like NanoAOD", event, (), tree, collections
