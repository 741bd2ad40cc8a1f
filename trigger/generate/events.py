"""One unit of work: jets of one class, from the collisions to columns.

A unit holds a given number of jets, whatever becomes of its collisions.  Its jets follow
from the settings, the class and the number of the unit alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import final

import awkward as ak
import numpy as np
from jaxtyping import Float64

from trigger.errors import UserError
from trigger.generate.clusters import Jets, find_jets
from trigger.generate.collisions import Draw, hard_collisions
from trigger.generate.detector import observe, soft_killer
from trigger.generate.particles import Candidates
from trigger.generate.pileup import overlay
from trigger.generate.seeds import Stage, generator
from trigger.generate.settings import CLASSES, Settings
from trigger.generate.substructure import FEATURES, features

BLOCK = 1000
"""Jets of one unit: to start PYTHIA for each takes a tenth of its time."""

_BATCH = 100  # collisions; bounds the memory where there is pile-up


@final
@dataclass(frozen=True)
class Unit:
    """A share of the work: its class, its number within it, and how many jets."""

    name: str
    number: int
    jets: int


@final
@dataclass(frozen=True, eq=False)
class Columns:
    """Collisions as records in lists: `jets` and their constituents `candidates`."""

    jets: ak.Array
    candidates: ak.Array


def rounds(settings: Settings) -> list[list[Unit]]:
    """The work of a sample: rounds of one unit of each class, as far as they last."""
    share, left = divmod(settings.n_jets, len(settings.classes))
    wanted = {name: share + (k < left) for k, name in enumerate(settings.classes)}
    return [
        [
            Unit(name, number, min(BLOCK, jets - number * BLOCK))
            for name, jets in wanted.items()
            if jets > number * BLOCK
        ]
        for number in range(-(-max(wanted.values()) // BLOCK))
    ]


def make(settings: Settings, unit: Unit, tick: Callable[[int], None]) -> Columns:
    """Makes the jets of a unit.

    Args:
        settings: The sample.
        unit: Which part of it.
        tick: Is told how many jets have been added.

    Returns:
        The collisions that have jets, of which there are exactly as many as asked for:
        of the last collision the softer jet may be left out.

    Raises:
        UserError: Many collisions in a row have no jet that passes the cuts.
    """
    label = CLASSES.index(unit.name)
    draw = hard_collisions(settings, unit.name, unit.number)
    rng = generator(settings.seed, Stage.OVERLAY, label, unit.number)
    parts: list[Jets] = []
    found = tried = fruitless = 0
    while found < unit.jets:
        # As many as are still needed by the yield so far, one jet each to begin with.
        needed = (unit.jets - found) * (tried + 1) / (found + 1)
        ask = min(_BATCH, max(1, round(needed)))
        jets = _batch(settings, draw, ask, tried, rng)
        tried += ask
        fruitless = 0 if len(jets.pt) else fruitless + ask
        if fruitless >= settings.patience:
            raise _hopeless(settings, unit.name, found, tried, fruitless)
        jets = _leading(jets, unit.jets - found)
        found += len(jets.pt)
        parts.append(jets)
        tick(len(jets.pt))
    return _columns(settings, label, _joined(parts))


def _batch(
    settings: Settings, draw: Draw, ask: int, tried: int, rng: np.random.Generator
) -> Jets:
    """The jets of the next collisions; `tried` numbers the first of these."""
    collisions = draw(ask)
    events = len(collisions.flavour)
    particles = collisions.particles
    if settings.pileup > 0:
        particles = overlay(particles, events, settings, rng)
    candidates = observe(particles, settings.detector, rng)
    if settings.pileup > 0:
        candidates = soft_killer(candidates, events)
    jets = find_jets(candidates, collisions, settings)
    return replace(jets, event=jets.event + tried)


def _leading(jets: Jets, number: int) -> Jets:
    """The first jets, with their constituents."""
    columns = {
        f.name: getattr(jets, f.name)[:number]
        for f in fields(jets)
        if f.name != "members"
    }
    members = jets.members[np.arange(columns["count"].sum())]
    return Jets(**columns, members=members)


def _joined(parts: list[Jets]) -> Jets:
    columns = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(Jets)
        if f.name != "members"
    }
    members = Candidates(
        *(
            np.concatenate([getattr(part.members, f.name) for part in parts])
            for f in fields(Candidates)
        )
    )
    return Jets(**columns, members=members)


def _columns(settings: Settings, label: int, jets: Jets) -> Columns:
    """Collisions with the columns as they are stored."""
    number = np.unique(jets.event, return_counts=True)[1]
    first = np.repeat(np.cumsum(number) - number, number)
    index = np.arange(len(first)) - first  # of a jet in its collision
    values = features(jets.members, jets.count)
    records = {
        "pt": rounded(jets.pt, 12),
        "eta": rounded(jets.eta, 14),
        "phi": rounded(jets.phi, 14),
        "mass": rounded(jets.mass, 12),
        "label": np.full(len(index), label, np.int8),
        "partonFlavour": jets.flavour.astype(np.int8),
        "partonPt": rounded(jets.parton_pt, 12),
        **{
            name: rounded(column, 14)
            for name, column in zip(FEATURES, values.T, strict=True)
        },
        "multiplicity": jets.count.astype(np.int16),
    }
    place = np.arange(jets.count.sum()) - np.repeat(jets.starts(), jets.count)
    stored = place < settings.constituents
    members = jets.members[stored]
    each = np.minimum(jets.count, settings.constituents)
    particles = {
        "pt": rounded(members.pt, 10),
        "eta": rounded(np.round(members.eta * _ANGLES) / _ANGLES, 16),
        "phi": rounded(np.round(members.phi * _ANGLES) / _ANGLES, 16),
        "pdgId": members.pdg_id.astype(np.int16),
        "jetIdx": np.repeat(index, each).astype(np.int8),
    }
    ends = np.add.reduceat(each, np.cumsum(number) - number)
    return Columns(
        ak.unflatten(ak.zip(records), number), ak.unflatten(ak.zip(particles), ends)
    )


_ANGLES = 2048  # steps of a unit of eta or phi, finer than a crystal by 36


def rounded(values: Float64[np.ndarray, " values"], bits: int) -> np.ndarray:
    """Rounds to single precision with a short mantissa, which compresses well.

    NanoAOD does the same.  The order of two values never turns round.

    Args:
        values: Finite numbers.
        bits: Of the mantissa, the leading one not counted; at most 23.
    """
    mantissa, exponent = np.frexp(values)
    scale = 2.0 ** (bits + 1)
    return np.ldexp(np.round(mantissa * scale) / scale, exponent).astype(np.float32)


def _hopeless(
    settings: Settings, name: str, found: int, tried: int, fruitless: int
) -> UserError:
    low, high = settings.pthat
    return UserError(
        f"no jet of class {name!r} passes the cuts: the last {fruitless} of {tried} "
        f"collisions gave none ({found} before) with pT from {settings.pt_min:g} to "
        f"{settings.pt_max:g} GeV and |eta| below {settings.eta_max:g} near its parton; "
        f"their hard scatterings have pTHat from {low:g} to {high:g} GeV, so move one of "
        "the two ranges (--pthat, --pt-min, --pt-max)"
    )
