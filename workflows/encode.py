"""From what files hold to the words at a block's ports.

Words of real numbers are chosen from the training split alone; a front end has words of
its own, those of the link.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped

from trigger.candidates import link_words
from trigger.datasets.sample import Sample
from trigger.errors import UserError
from trigger.front_end import Difference, differences
from trigger.particles import FEATURES, particle_block
from trigger.words import Word, choose_word
from workflows.groups import Data, Words


@final
@dataclass(frozen=True)
class Encoded:
    """Port words of all jets, and what was found while they were chosen.

    Attributes:
        ports: A word per port.
        raw: Of each jet, a column per port.
        saturated: Share of the training jets that a port saturates for, by port.
        differences: What the integers of a front end cost, by feature.
        fullest: Most particles that a jet of the training split has.
    """

    ports: tuple[Word, ...]
    raw: Int64[np.ndarray, "jets ports"]
    saturated: Mapping[str, float]
    differences: tuple[Difference, ...]
    fullest: int


def encode(
    data: Data,
    words: Words,
    samples: Sequence[Sample],
    columns: Mapping[str, Float64[np.ndarray, " jets"]],
    learn: Bool[np.ndarray, " jets"],
) -> Encoded:
    """Chooses the words and encodes all jets.

    Args:
        data: Which inputs.
        words: How real numbers become words.
        samples: The jets.
        columns: Of all samples, by name.
        learn: Which jets are the training split.

    Raises:
        UserError: A number has no word, or no training jet has a particle.
    """
    if data.front_end is not None:
        front = data.front_end
        raw = np.concatenate([link_words(sample, front) for sample in samples])
        present = raw[learn, 3::4] > 0
        gaps = differences(front, raw[learn])
        return Encoded(front.ports(), raw, {}, gaps, _fullest(present))
    features, count = _features(data, samples, columns)
    ports, rows = _ports(data, words, features[learn], count[learn])
    raw = np.stack([w.encode(features[:, k]) for k, w in enumerate(ports)], axis=1)
    return Encoded(
        *(ports, raw, _saturated(ports, features[learn], rows), ()),
        fullest=int(count[learn].max(initial=0)),
    )


def _features(
    data: Data,
    samples: Sequence[Sample],
    columns: Mapping[str, Float64[np.ndarray, " jets"]],
) -> tuple[Float64[np.ndarray, "jets ports"], Int64[np.ndarray, " jets"]]:
    """Real numbers in port order, and how many particles each jet has."""
    if not data.particles:
        matrix = np.stack([columns[name] for name in data.inputs], axis=1)
        return matrix, np.zeros(len(matrix), np.int64)
    blocks = [particle_block(one, data.inputs, data.particles) for one in samples]
    flat = [block.reshape(len(block), -1) for block, _ in blocks]
    return np.concatenate(flat), np.concatenate([count for _, count in blocks])


def _ports(
    data: Data,
    words: Words,
    features: Float64[np.ndarray, "jets ports"],
    count: Int64[np.ndarray, " jets"],
) -> tuple[tuple[Word, ...], list[Shaped[np.ndarray, " rows"]]]:
    """A word per port, and the rows of the training split that it was chosen from.

    All places of a feature of particles have one word, from the particles there are.
    """
    if not data.particles:
        every = np.ones(len(features), bool)
        units = [data.card.column(name).unit for name in data.inputs]
        chosen = [
            choose_word(
                name, features[:, k], bits=words.bits, unit=unit, tail=words.tail
            )
            for k, (name, unit) in enumerate(zip(data.inputs, units, strict=True))
        ]
        return tuple(chosen), [every] * len(chosen)
    real = np.arange(data.particles) < count[:, None]
    block = features.reshape(len(features), data.particles, len(data.inputs))
    if not real.any():
        raise UserError("no jet of the training split has a particle")
    alike = [
        choose_word(
            name,
            block[:, :, k][real],
            bits=words.bits,
            unit=FEATURES[name].unit,
            tail=words.tail,
        )
        for k, name in enumerate(data.inputs)
    ]
    ports, rows = [], []
    for place in range(data.particles):
        for word in alike:
            ports.append(
                Word(
                    f"p{place}_{word.name}",
                    *(word.bits, word.signed, word.lsb, word.unit),
                    f"of particle {place}",
                )
            )
            rows.append(real[:, place])
    return tuple(ports), rows


def _saturated(
    ports: tuple[Word, ...],
    features: Float64[np.ndarray, "jets ports"],
    rows: list[Shaped[np.ndarray, " rows"]],
) -> dict[str, float]:
    """Share of the values of each port that do not fit its word."""
    shares = {}
    for k, (word, chosen) in enumerate(zip(ports, rows, strict=True)):
        lo, hi = word.range
        values = features[chosen, k]
        outside = (values < lo * word.lsb) | (values >= (hi + 1) * word.lsb)
        shares[word.name] = float(outside.mean()) if values.size else 0.0
    return shares


def _fullest(real: Shaped[np.ndarray, "jets particles"]) -> int:
    return int(real.sum(axis=1).max(initial=0))
