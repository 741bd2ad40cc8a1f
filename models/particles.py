"""Networks of particles: layers that all particles of an example share, and sums.

An example is the port words of `particles` particles of `features` each, flat and one
particle after the other, or `[particles, features]`.  Particles are read and looked up
with the same tables, whose coordinates come from the particles of all places together.
What is summed over is quantised and saturates first, so that sums have known bits.

Padding
-------
A particle that is absent has words of zeros, and no layer asks whether it is there.  It
adds a trained constant: with `c` the vector that zeros lead to,

    sum over all places of s_p  =  particles * c  +  sum over those present of (s_p - c)

so that zeros are the origin from which present particles count, and the constant in
front disappears into the next tables.  To mask would cost logic and change no function.
"""

import math
from typing import Any, final

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Integer, PRNGKeyArray

from models.architectures import (
    HIDDEN_FRACTION,
    Chain,
    Ports,
    Shaped,
    lut_head,
    lut_layers,
    truncating,
)
from models.combine import Add, Permute, Relu, Sum, mean
from models.dense import Dense
from models.layer import lift
from models.lut import LUTDense
from models.reading import Reading, Words, values, words
from trigger.errors import UserError

MERGED_BITS = 10
"""What the few additions of merged branches are priced as, in bits of a branch."""


def particle_words(
    code: Integer[np.ndarray, "events ports"],
    bits: tuple[int, ...],
    signed: tuple[bool, ...],
    particles: int,
    most_address: int,
) -> Words:
    """Reads the words of one particle, with coordinates that all places share.

    The coordinates follow the particles that are present, those whose words are not all
    zero: padding would only crowd them.

    Args:
        code: Unsigned codes of the ports in the training split.
        bits: Width of each port.
        signed: Whether a port is two's complement.
        particles: Places; the ports are as many groups, in the same order in each.
        most_address: Leading bits that an edge may read at most.

    Raises:
        UserError: The ports are not so many equal groups.
    """
    features = _features(bits, signed, particles)
    own_bits, own_signed = bits[:features], signed[:features]
    each = np.asarray(code).reshape(-1, features)
    zero = [2 ** (b - 1) if s else 0 for b, s in zip(own_bits, own_signed, strict=True)]
    present = each[np.any(each != np.array(zero), axis=1)]
    kept = present if len(present) else each
    return words(kept, own_bits, own_signed, most_address)


def _features(bits: tuple[int, ...], signed: tuple[bool, ...], particles: int) -> int:
    ports = list(zip(bits, signed, strict=True))
    if particles < 1 or not ports or len(ports) % particles:
        raise UserError(
            f"{len(ports)} ports cannot be the words of {particles} particles; each "
            "particle has the same number of ports"
        )
    features = len(ports) // particles
    for at, port in enumerate(ports):
        if port != ports[at % features]:
            raise UserError(
                f"port {at} has {port[0]} bits, signed={port[1]}, and the same feature "
                f"of the first particle {ports[at % features][0]} bits, "
                f"signed={ports[at % features][1]}; particles share their tables, so "
                "their ports must be alike"
            )
    return features


@final
class ParticleNetwork(eqx.Module):
    """HGQ-LUT's network of particles (Sun et al., arXiv 2604.22293; there `gnn_t`).

    Every particle is embedded, and learns of the others by the mean of all:

        x_p = embed(words_p)       s_p = each(x_p)       d = message(mean_p x_p)
        y   = sum_p (s_p + d) / 16                       scores = head(y)

    As nothing is between the addition and the sum, `d` is not added particle by
    particle: it enters `y` once, times the power of two nearest to their number.  For
    such numbers this is exactly the formula, for others its tables take the factor in.
    """

    embed: LUTDense
    each: LUTDense
    message: LUTDense
    mean: Sum
    pool: Sum
    spread: Sum
    join: Add
    head: Chain
    shape: tuple[int, int] = eqx.field(static=True)

    def __init__(
        self,
        reading: Reading,
        particles: int,
        classes: int,
        *,
        units: int = 8,
        head: int = 24,
        most_address: int = 7,
        reach: float = 2.0,
        pool_reach: float = 4.0,
        key: PRNGKeyArray,
        **options: Any,
    ):
        """Draws the tables.

        Args:
            reading: How a particle's features are read: `particle_words` for ports,
                `models.reading.values` for values.
            particles: Places for particles.
            classes: Scores.
            units: Width of the embedding and of the message.
            head: Hidden units behind the sum.
            most_address: Cap on the address width inside, in bits.
            reach: Where values of particles saturate; a power of two.
            pool_reach: Where the sum of all saturates; a power of two.
            key: Source of the starting values.
            options: Of `LUTDense`: hidden, depth, activation, tables.

        Raises:
            UserError: There is no particle, or what the layers refuse.
        """
        if particles < 1:
            raise UserError(f"a network of particles needs places, got {particles}")
        k1, k2, k3, k4 = jr.split(key, 4)
        inner = values(units, most_address, reach=reach)
        table = {"fraction": HIDDEN_FRACTION, "reach": reach, **options}
        table |= {"batch_norm": False}
        self.shape = (particles, reading.grid.fine.shape[0])
        self.embed = LUTDense(reading, units, places=particles, key=k1, **table)
        self.each = LUTDense(inner, units, places=particles, key=k2, **table)
        self.message = LUTDense(inner, units, key=k3, **table)
        wide = (particles, units)
        self.mean = mean(wide, 0, keepdims=True, iq=truncating((1, units), reach=reach))
        self.pool = Sum(wide, 0, scale=-4, iq=truncating((1, units), reach=reach))
        times = round(math.log2(particles))
        self.spread = Sum((1, units), 0, scale=times - 4, input_bits=MERGED_BITS)
        self.join = Add((units,), input_bits=MERGED_BITS)
        pooled = values(units, most_address, reach=pool_reach)
        self.head = lut_head(
            pooled, (head, classes), most_address, reach, key=k4, **options
        )

    def __call__(self, x: Any) -> Any:
        """Scores of one example."""
        x = self.embed(lift(lambda a: a.reshape(self.shape), x))
        told = self.spread(self.message(self.mean(x)))
        return self.head(self.join(self.pool(self.each(x)), told))


def particle_network(
    code: Integer[np.ndarray, "events ports"],
    bits: tuple[int, ...],
    signed: tuple[bool, ...],
    particles: int,
    classes: int,
    *,
    most_address: int = 7,
    key: PRNGKeyArray,
    **options: Any,
) -> ParticleNetwork:
    """HGQ-LUT's network of particles on port words.

    Args:
        code: Unsigned codes of the ports in the training split.
        bits: Width of each port.
        signed: Whether a port is two's complement.
        particles: Places for particles; the ports are as many equal groups.
        classes: Scores.
        most_address: Cap on the address width, in bits.
        key: Source of the starting values.
        options: Of `ParticleNetwork`.

    Raises:
        UserError: The ports are no equal groups, or what the layers refuse.
    """
    reading = particle_words(code, bits, signed, particles, most_address)
    return ParticleNetwork(
        reading, particles, classes, most_address=most_address, key=key, **options
    )


def deep_sets(
    code: Integer[np.ndarray, "events ports"],
    bits: tuple[int, ...],
    signed: tuple[bool, ...],
    particles: int,
    classes: int,
    *,
    per_particle: tuple[int, ...] = (16, 16),
    head: tuple[int, ...] = (24,),
    layers: str = "lut",
    most_address: int = 7,
    reach: float = 2.0,
    key: PRNGKeyArray,
    **options: Any,
) -> Chain:
    """Layers per particle, their mean, layers of tables: Deep Sets.

    (Zaheer et al., arXiv 1703.06114; per particle as in JEDI-linear, Que et al.,
    arXiv 2508.15468.)

    Args:
        code: Unsigned codes of the ports in the training split.
        bits: Width of each port.
        signed: Whether a port is two's complement.
        particles: Places for particles; the ports are as many equal groups.
        classes: Scores.
        per_particle: Outputs of each layer per particle.
        head: Outputs of each layer behind the mean but the last.
        layers: Per particle "lut" tables, or "dense" arithmetic with relu.
        most_address: Cap on the address width, in bits.
        reach: Where values saturate; a power of two.
        key: Source of the starting values.
        options: Of `LUTDense`: hidden, depth, activation, tables.

    Raises:
        UserError: No layer is asked for, its kind is unknown, the ports are no equal
            groups, or what the layers refuse.
    """
    if layers not in ("lut", "dense"):
        raise UserError(f"layers per particle are 'lut' or 'dense', got {layers!r}")
    if not per_particle:
        raise UserError("deep sets need a layer per particle, got per_particle=()")
    features = _features(bits, signed, particles)
    k1, k2 = jr.split(key)
    last = per_particle[-1]
    if layers == "lut":
        reading = particle_words(code, bits, signed, particles, most_address)
        tables, _ = lut_layers(
            *(reading, per_particle, most_address, reach),
            places=particles,
            key=k1,
            **options,
        )
        each: tuple[Any, ...] = (Shaped((particles, features)), *tables)
        iq = truncating((1, last), reach=reach)
    else:
        each = (Ports(bits, signed), Shaped((particles, features)))
        before, iq = features, truncating((1, features))
        for width in per_particle:
            k1, own = jr.split(k1)
            shape = (particles, before)
            layer = Dense(shape, width, iq=iq, batch_norm=True, key=own)
            each = (*each, layer, Relu())
            before, iq = width, truncating((1, width), reach=reach, signed=False)
    pooled = mean((particles, last), 0, iq=iq)
    behind = lut_head(
        *(values(last, most_address, reach=reach), (*head, classes)),
        *(most_address, reach),
        key=k2,
        **options,
    )
    return Chain((*each, pooled, behind))


@final
class MixerBlock(eqx.Module):
    """Tables across the particles of each channel, then across each one's channels."""

    tokens: LUTDense
    channels: LUTDense
    join: Add
    turn: Permute

    def __call__(self, x: Any) -> Any:
        """`[particles, channels]` of one example to the same."""
        mixed = self.turn(self.tokens(self.turn(x)))
        return self.channels(self.join(x, mixed))


def mlp_mixer(
    code: Integer[np.ndarray, "events ports"],
    bits: tuple[int, ...],
    signed: tuple[bool, ...],
    particles: int,
    classes: int,
    *,
    units: int = 8,
    blocks: int = 1,
    head: tuple[int, ...] = (24,),
    most_address: int = 7,
    reach: float = 2.0,
    key: PRNGKeyArray,
    **options: Any,
) -> Chain:
    """An MLP-Mixer of tables: particles in order of pt are not interchangeable here.

    (Tolstikhin et al., arXiv 2105.01601; for jets Sun et al., arXiv 2503.03103.)

    Args:
        code: Unsigned codes of the ports in the training split.
        bits: Width of each port.
        signed: Whether a port is two's complement.
        particles: Places for particles; the ports are as many equal groups.
        classes: Scores.
        units: Channels of a particle.
        blocks: How often particles and channels are mixed.
        head: Outputs of each layer behind the mean but the last.
        most_address: Cap on the address width, in bits.
        reach: Where values saturate; a power of two.
        key: Source of the starting values.
        options: Of `LUTDense`: hidden, depth, activation, tables.

    Raises:
        UserError: The ports are no equal groups, or what the layers refuse.
    """
    reading = particle_words(code, bits, signed, particles, most_address)
    features = reading.grid.fine.shape[0]
    first, last, *keys = jr.split(key, 2 + 2 * blocks)
    table = {"fraction": HIDDEN_FRACTION, "reach": reach, **options}
    layers: list[Any] = [
        Shaped((particles, features)),
        LUTDense(reading, units, places=particles, key=first, **table),
    ]
    across = values(particles, most_address, reach=reach)
    # A value and what is added to it reach twice as far.
    joined = values(units, most_address, reach=2 * reach)
    layers += [
        MixerBlock(
            tokens=LUTDense(across, particles, places=units, key=k1, **table),
            channels=LUTDense(joined, units, places=particles, key=k2, **table),
            join=Add((particles, units), input_bits=MERGED_BITS),
            turn=Permute((1, 0)),
        )
        for k1, k2 in zip(keys[::2], keys[1::2], strict=True)
    ]
    pooled = mean((particles, units), 0, iq=truncating((1, units), reach=reach))
    behind = lut_head(
        *(values(units, most_address, reach=reach), (*head, classes)),
        *(most_address, reach),
        key=last,
        **options,
    )
    return Chain((*layers, pooled, behind))
