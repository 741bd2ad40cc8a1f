"""The class of each object, by the card's rule.

This module owns the rules that read a class or a flavour from branches; the match to
decaying particles is `match`'s.  No rule guesses: what has no class, or two, is dropped,
and the cut flow counts it.

Conventions
-----------
- A class is its place among the card's classes; `-1 - k` says that the object is
  dropped for the k-th reason.  Reasons are told as what kept objects fulfil.
- Hadron flavour: 5 with a b hadron inside, else 4 with a c hadron, else 0; ATLAS adds 15
  for a tau.  Parton flavour: the PDG number of the leading or heaviest parton inside.
- A heavy hadron decides; without one the parton tells quark from gluon, and a heavy
  parton without its hadron is ambiguous.  A generator tau decides against light partons
  and none; beside a heavy hadron it is ambiguous.

Reference:
    Hadron and parton flavour by ghost association: CMS, "Identification of heavy-flavour
    jets with the CMS detector in pp collisions at 13 TeV", JINST 13 (2018) P05011,
    section 4; Cacciari, Salam, "Pileup subtraction using jet areas", Phys. Lett. B 659
    (2008) 119.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from trigger.datasets import match
from trigger.datasets.branches import Table
from trigger.datasets.card import (
    ENTRY,
    FLAVOURS,
    BranchLabel,
    Card,
    FlavourLabel,
    MatchLabel,
)
from trigger.datasets.geometry import cross, delta_r

Codes = Int64[np.ndarray, " kept"]
Place = Callable[[int], str]
NONE, AMBIGUOUS = -1, -2  # instead of a place in FLAVOURS
_GLUON, _TAU, _LIGHT_QUARKS, _HEAVY = 21, 15, (1, 2, 3), (4, 5)


def assign(
    card: Card,
    table: Table,
    offsets: Int64[np.ndarray, " bounds"],
    alive: Int64[np.ndarray, " kept"],
    place: Place,
) -> tuple[Codes, tuple[str, ...]]:
    """Labels objects by the card's rule.

    Args:
        card: The rule, and the columns of the objects' axes.
        table: The branches.
        offsets: Where each entry's objects begin.
        alive: The objects that are still there.
        place: Where the kept object at a position is, for messages.

    Returns:
        A class for each kept object or the code of a reason, and the reasons.

    Raises:
        UserError: A branch is of another shape or type, or a label is of no class.
    """
    rule = card.label

    def of(branch: str) -> Any:
        if not branch:
            return None
        table.integer(branch)
        return table.per_object(branch, offsets, card.objects != ENTRY)[alive]

    def axis(name: str) -> Float64[np.ndarray, " kept"]:
        column = card.column(name)
        stored = table.per_object(column.branch, offsets, card.objects != ENTRY)
        return stored[alive].astype(np.float64) * column.scale

    if isinstance(rule, BranchLabel):
        return _by_branch(rule, table, of(rule.branch), place)
    entry = np.searchsorted(offsets, alive, side="right") - 1
    if isinstance(rule, FlavourLabel):
        tau = np.zeros(len(alive), bool)
        if rule.tau:
            tau |= of(rule.tau) != 0
        if rule.taus:
            tau |= _near_taus(rule, table, entry, axis("eta"), axis("phi"))
        flavour = flavours(of(rule.hadron), of(rule.parton), tau)
        if not rule.veto:
            return _codes(flavour, rule.classes, 0), _FLAVOUR_REASONS
        codes = _codes(flavour, rule.classes, 1)
        for branch in rule.veto:
            codes[of(branch) != 0] = -1
        return codes, ("not of a vetoed kind", *_FLAVOUR_REASONS)
    if isinstance(rule, MatchLabel):
        found = match.resonances(rule, table, entry, axis("eta"), axis("phi"))
        if rule.hadron or rule.parton:
            tau = np.zeros(len(alive), bool)
            flavour = flavours(of(rule.hadron), of(rule.parton), tau)
            codes, more = _codes(flavour, rule.classes, 2), _FLAVOUR_REASONS
        elif rule.otherwise:
            codes, more = np.full(len(alive), rule.classes.index(rule.otherwise)), ()
        else:
            codes, more = np.full(len(alive), -3), ("holds a decay",)
        codes = np.where(found == match.NOTHING, codes, found)
        codes[found == match.PART], codes[found == match.SEVERAL] = -1, -2
        reasons = ("all of a decay inside, or nothing of it", "one decay only")
        return codes, (*reasons, *more)
    return np.zeros(len(alive), np.int64), ()


def flavours(
    hadron: Shaped[np.ndarray, " kept"] | None,
    parton: Shaped[np.ndarray, " kept"] | None,
    tau: Bool[np.ndarray, " kept"],
) -> Codes:
    """The flavour of jets as a place in `FLAVOURS`, or `NONE` or `AMBIGUOUS`.

    Args:
        hadron: Hadron flavours, or nothing where the files have none.
        parton: Parton flavours, or nothing; without them what is not heavy is `light`.
        tau: Which jets have a generator tau inside.
    """
    g, q, c, b, at_tau, light = range(len(FLAVOURS))
    if hadron is None and parton is None:
        raise ValueError("a flavour needs hadrons or partons")
    flavour = np.full(len(tau), light if parton is None else NONE)
    heavy = np.zeros(len(tau), np.int64)
    if parton is not None:
        heavy = np.abs(parton.astype(np.int64))
        flavour[heavy == _GLUON] = g
        flavour[np.isin(heavy, _LIGHT_QUARKS)] = q
        flavour[np.isin(heavy, _HEAVY)] = AMBIGUOUS
    if hadron is not None:
        heavy = np.abs(hadron.astype(np.int64))
    flavour[heavy == _HEAVY[0]], flavour[heavy == _HEAVY[1]] = c, b
    taus = tau | (heavy == _TAU)
    flavour[taus] = np.where(np.isin(heavy[taus], _HEAVY), AMBIGUOUS, at_tau)
    return flavour


_FLAVOUR_REASONS = ("one flavour only", "has a flavour", "flavour has a class")


def _codes(flavour: Codes, classes: Sequence[str], reasons: int) -> Codes:
    """Classes of flavours; codes for `_FLAVOUR_REASONS` come after other reasons."""
    ambiguous, none, no_class = (-1 - reasons - k for k in range(3))
    light = classes.index("light") if "light" in classes else no_class
    of_flavour = [
        classes.index(name)
        if name in classes
        else (light if name in ("g", "q") else no_class)
        for name in FLAVOURS
    ]
    # AMBIGUOUS and NONE are places from the end of the list
    return np.array([*of_flavour, ambiguous, none])[flavour]


def _near_taus(
    rule: FlavourLabel,
    table: Table,
    entry: Int64[np.ndarray, " kept"],
    eta: Float64[np.ndarray, " kept"],
    phi: Float64[np.ndarray, " kept"],
) -> Bool[np.ndarray, " kept"]:
    """Which jets have a generator tau within the radius."""
    (tau_eta, start), (tau_phi, _) = (table.lists(name) for name in rule.taus)
    one, other = cross(entry, start)
    tau_eta, tau_phi = tau_eta.astype(np.float64), tau_phi.astype(np.float64)
    near = delta_r(eta[one] - tau_eta[other], phi[one] - tau_phi[other]) < rule.radius
    return np.bincount(one[near], minlength=len(entry)) > 0


def _by_branch(
    rule: BranchLabel, table: Table, found: Shaped[np.ndarray, " kept"], place: Place
) -> tuple[Codes, tuple[str, ...]]:
    found = found.astype(np.int64)
    if not rule.values:
        named = ", ".join(f"{i}={name}" for i, name in enumerate(rule.classes))
        wrong = (found < 0) | (found >= len(rule.classes))
        what, want = f"label branch {rule.branch!r}", f"one of the classes {named}"
        table.refuse(what, found, wrong, want, place)
        return found, ()
    codes = np.full(len(found), -1)
    for value, name in rule.values:
        codes[found == value] = rule.classes.index(name)
    return codes, (f"{rule.branch!r} has a class",)
