r"""Jets matched to decaying particles by :math:`\Delta R` to all of their daughters.

This module owns the generator's record: which top quark, W, Z, Higgs boson or tau is the
last copy of itself, what it decays to, and whether a jet holds all of that.

Conventions
-----------
- A *leg* is what a decay ends in here: a quark, gluon, lepton or photon whose mother is
  the last copy of a decaying particle and which does not decay further in this sense.
  The legs of a top are those of its W and the b.  Neutrinos leave nothing in a jet.
- A decay is *full* in a jet that is within the radius of all of its legs.  A top, W, Z or
  Higgs with an electron, muon or neutrino among its legs is never full.
- Where the record leaves out what a tau decays to, its leg is the tau itself.
- Of two full decays, one within the other, the outer one counts: a top, not its W.
- A jet with a leg inside that belongs to no full decay holds part of something: it is
  neither signal nor background.

Reference:
    All partons of a decay within the jet's radius: Qu, Li, Qian, "Particle Transformer
    for jet tagging", arXiv 2202.03772, whose JetClass jets are labelled so.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from trigger.datasets.branches import Table
from trigger.datasets.card import RESONANCES, MatchLabel
from trigger.datasets.geometry import cross, delta_r

NOTHING, PART, SEVERAL = -1, -2, -3  # instead of a class
_ELECTRON, _MUON, _TAU = 11, 13, 15
_NEUTRINOS = (12, 14, 16)


@final
@dataclass(frozen=True, eq=False)
class Decays:
    """The decays of some collisions, as flat lists.

    Attributes:
        leg: Positions of visible legs among the particles, rising.
        of: For each membership of a leg in a decay, the place in `leg`; rising.
        decay: The particle that decays, its position among the particles.
        depth: How far out: 0 for the leg's own mother.
        legs: Visible legs per particle.
        lost: Which particles have an electron, muon or neutrino of their own as a leg.
    """

    leg: Int64[np.ndarray, " legs"]
    of: Int64[np.ndarray, " members"]
    decay: Int64[np.ndarray, " members"]
    depth: Int64[np.ndarray, " members"]
    legs: Int64[np.ndarray, " particles"]
    lost: Bool[np.ndarray, " particles"]


def resonances(
    rule: MatchLabel,
    table: Table,
    entry: Int64[np.ndarray, " kept"],
    eta: Float64[np.ndarray, " kept"],
    phi: Float64[np.ndarray, " kept"],
) -> Int64[np.ndarray, " kept"]:
    """The class of the decay that each jet holds.

    Args:
        rule: Branches of the particles, radius and classes.
        table: The branches.
        entry: The entry of each jet.
        eta: Pseudorapidity of each jet.
        phi: Azimuth of each jet, radians.

    Returns:
        A place among the classes, or `NOTHING`, `PART` or `SEVERAL`.

    Raises:
        UserError: A branch is of another shape or type, or a mother is not in the list.
    """
    kind, mother, start = _record(rule, table)
    wanted = [n for n in RESONANCES if n in rule.classes]
    chain = [number for name, number in RESONANCES.items() if name != "tau"]
    decays = follow(kind, mother, [*chain, *([_TAU] if "tau" in wanted else [])])
    of_particle = np.full(len(kind), -1)
    for name in wanted:
        of_particle[kind == RESONANCES[name]] = rule.classes.index(name)
    particle_eta, particle_phi = (
        table.lists(name)[0].astype(np.float64) for name in (rule.eta, rule.phi)
    )
    # pairs of a jet and a leg inside it
    jet, leg = cross(entry, np.searchsorted(decays.leg, start))
    at = decays.leg[leg]
    inside = delta_r(eta[jet] - particle_eta[at], phi[jet] - particle_phi[at])
    jet, leg = jet[inside < rule.radius], leg[inside < rule.radius]
    # each pair with the decays that the leg belongs to
    first = np.searchsorted(decays.of, np.arange(len(decays.leg) + 1))
    pair, member = cross(leg, first)
    decay, depth = decays.decay[member], decays.depth[member]
    _, same, number = np.unique(
        jet[pair] * len(kind) + decay, return_inverse=True, return_counts=True
    )
    full = (number[same] == decays.legs[decay]) & ~decays.lost[decay]
    full &= of_particle[decay] >= 0
    outer = np.full(len(leg), -1)
    np.maximum.at(outer, pair, np.where(full, depth, -1))
    lowest, highest = np.full(len(entry), len(rule.classes)), np.full(len(entry), -1)
    chosen = full & (depth == outer[pair])
    classes = of_particle[decay[chosen]]
    np.minimum.at(lowest, jet[pair[chosen]], classes)
    np.maximum.at(highest, jet[pair[chosen]], classes)
    result = np.where(highest < 0, NOTHING, highest)
    result[highest > lowest] = SEVERAL
    result[jet[outer < 0]] = PART
    return result


def follow(
    kind: Int64[np.ndarray, " particles"],
    mother: Int64[np.ndarray, " particles"],
    decaying: list[int],
) -> Decays:
    """Finds the decays in a generator record.

    Args:
        kind: PDG numbers without sign.
        mother: Position of the mother; -1 for none.
        decaying: PDG numbers of what is followed.
    """
    number = len(kind)
    followed = np.isin(kind, decaying)
    born = mother >= 0
    copied = np.zeros(number, bool)
    copied[mother[born & (kind == kind[mother])]] = True
    last = followed & ~copied
    child = born & last[mother]
    visible = ~np.isin(kind, _NEUTRINOS)
    has_visible = np.zeros(number, bool)
    has_visible[mother[child & visible]] = True
    bare = last & (kind == _TAU) & ~has_visible  # its own leg
    inner = followed & ~bare
    mark = (child & ~inner) | bare
    own = np.where(bare, np.arange(number), mother)
    leg = np.flatnonzero(mark & visible)
    parts = [(np.flatnonzero(mark), own[mark], np.zeros(np.count_nonzero(mark), int))]
    while len(parts[-1][0]):
        what, above, depth = parts[-1]
        above = mother[above]
        above = _last_above(above, kind, mother, followed, last)
        going = above >= 0
        parts.append((what[going], above[going], depth[going] + 1))
    what, decay, depth = (np.concatenate(column) for column in zip(*parts, strict=True))
    lost = np.zeros(number, bool)
    from_tau = kind[own[what]] == _TAU
    neutrino = np.isin(kind[what], _NEUTRINOS) & ~from_tau
    lepton = np.isin(kind[what], (_ELECTRON, _MUON))
    tau = (kind[what] == _TAU) & ~bare[what]
    lost[decay[neutrino | lepton | tau]] = True
    seen = visible[what]
    what, decay, depth = what[seen], decay[seen], depth[seen]
    order = np.argsort(what, kind="stable")
    return Decays(
        leg,
        np.searchsorted(leg, what[order]),
        decay[order],
        depth[order],
        np.bincount(decay, minlength=number),
        lost,
    )


def _last_above(
    above: Int64[np.ndarray, " legs"],
    kind: Int64[np.ndarray, " particles"],
    mother: Int64[np.ndarray, " particles"],
    followed: Bool[np.ndarray, " particles"],
    last: Bool[np.ndarray, " particles"],
) -> Int64[np.ndarray, " legs"]:
    """The next decaying particle at or above positions; -1 where there is none.

    Earlier copies are stepped over; anything else ends the way.
    """
    while True:
        there = above >= 0
        ends = there & ~followed[above]
        steps = there & followed[above] & ~last[above]
        if not (ends.any() or steps.any()):
            return above
        above = np.where(ends, -1, np.where(steps, mother[above], above))


def _record(
    rule: MatchLabel, table: Table
) -> tuple[Any, Any, Int64[np.ndarray, " bounds"]]:
    """PDG numbers without sign, positions of the mothers, and where entries begin."""
    for name in (rule.pdg_id, rule.mother):
        table.integer(name)
    kind, start = table.lists(rule.pdg_id)
    mother = table.per_object(rule.mother, start, True).astype(np.int64)
    for name in (rule.eta, rule.phi):
        table.per_object(name, start, True)
    entry = np.repeat(np.arange(table.entries), np.diff(start))

    def place(at: int) -> str:
        return f"particle {at - start[entry[at]]} of {table.place(int(entry[at]))}"

    number = np.diff(start)[entry]
    what = f"branch {rule.mother!r}"
    want = "the place of a particle of the entry, or -1"
    table.refuse(what, mother, mother >= number, want, place)
    return (
        np.abs(kind.astype(np.int64)),
        np.where(mother < 0, -1, mother + start[entry]),
        start,
    )
