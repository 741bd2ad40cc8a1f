"""Minimum-bias collisions laid over the hard one.

A pool of them is made once and drawn from again and again.  Each draw is turned by its
own angle and mirrored along the beam or not, both of which leave proton collisions as
likely as they were: so a collision that is used twice does not look the same.
"""

from dataclasses import fields, replace
from functools import lru_cache

import numpy as np

from trigger.generate.collisions import minimum_bias
from trigger.generate.particles import Particles
from trigger.generate.settings import Settings

_BATCH = 50  # collisions; bounds the memory


@lru_cache(maxsize=1)  # units of one process share it
def pool(settings: Settings) -> Particles:
    """The collisions of the pool; the same in every process."""
    draw = minimum_bias(settings)
    parts: list[Particles] = []
    made = 0
    while made < settings.pileup_pool:
        batch = draw(min(_BATCH, settings.pileup_pool - made))
        parts.append(replace(batch.particles, event=batch.particles.event + made))
        made += len(batch.flavour)
    return _joined(parts)


def overlay(
    particles: Particles, events: int, settings: Settings, rng: np.random.Generator
) -> Particles:
    """Adds pile-up to each event of a batch.

    Args:
        particles: Of the hard collisions.
        events: How many of these there are.
        settings: Mean number of overlaid collisions, and their pool.
        rng: Decides how many there are (Poisson), which, and how they are turned.

    Returns:
        All particles, by event; those of the pile-up are marked.
    """
    bank = pool(settings)
    number = rng.poisson(settings.pileup, events)
    event = np.repeat(np.arange(events), number)
    pick = rng.integers(0, settings.pileup_pool, len(event))
    angle = rng.uniform(0, 2 * np.pi, len(event))
    mirror = rng.choice((-1.0, 1.0), len(event))
    bounds = np.searchsorted(bank.event, np.arange(settings.pileup_pool + 1))
    size = np.diff(bounds)[pick]
    draw = np.repeat(np.arange(len(pick)), size)
    place = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    drawn = bank[bounds[pick][draw] + place]
    cos, sin = np.cos(angle)[draw], np.sin(angle)[draw]
    extra = Particles(
        event[draw],
        cos * drawn.px - sin * drawn.py,
        sin * drawn.px + cos * drawn.py,
        mirror[draw] * drawn.pz,
        drawn.energy,
        drawn.pdg_id,
        drawn.charge,
        np.ones(len(draw), bool),
    )
    both = _joined([particles, extra])
    return both[np.argsort(both.event, kind="stable")]


def _joined(parts: list[Particles]) -> Particles:
    return Particles(
        *(
            np.concatenate([getattr(p, f.name) for p in parts])
            for f in fields(Particles)
        )
    )
