"""Random frozen networks, and what they compute by definition.

Shared by the tests of this folder.  `evaluate` follows the docstrings of
`models.frozen` word for word and knows nothing of netlists, so it is the independent
opinion that lowered networks are compared with.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, Integer

from models.frozen import FrozenNetwork, FrozenPort, FrozenRequantise, FrozenTables


def random_tables(
    name: str,
    bits: Sequence[int],
    units: int,
    rng: np.random.Generator,
    *,
    density: float,
    address: tuple[int, int],
    entry: tuple[int, int],
    smooth: bool,
) -> FrozenTables:
    """One layer of tables: smooth or white entries, edges pruned at random.

    Args:
        name: Of the layer.
        bits: Width of each input's code.
        units: Number of sums.
        rng: Source of everything random.
        density: Share of the edges that is kept.
        address: Least and most address bits of a kept edge; a code caps it.
        entry: Least and most bits of an entry, signed.
        smooth: Waves as training makes them, instead of white noise, which is the
            worst case for a synthesiser.
    """
    n_in = len(bits)
    up = rng.integers(0, 3, (n_in, units))
    rows = []
    for width in bits:
        row = []
        for _ in range(units):
            if width == 0 or rng.random() >= density:
                row.append(np.zeros(1, np.int64))
                continue
            w = min(width, int(rng.integers(address[0], address[1] + 1)))
            half = 2 ** (int(rng.integers(entry[0], entry[1] + 1)) - 1)
            if smooth:
                x = np.linspace(-1, 1, 2**w)
                wave = np.tanh(rng.normal() * 3 * x + rng.normal()) + rng.normal(
                    scale=0.3
                ) * np.sin(4 * x + rng.normal())
                entries = np.clip(np.round(half * wave), -half, half - 1)
            else:
                entries = rng.integers(-half, half, 2**w)
            row.append(entries.astype(np.int64))
        rows.append(tuple(row))
    bias = rng.integers(-20, 21, units)
    return FrozenTables(name, np.array(bits, np.int64), tuple(rows), up, bias)


def random_requantise(
    name: str,
    layer: FrozenTables,
    rng: np.random.Generator,
    bits: tuple[int, int],
) -> FrozenRequantise:
    """Codes that cover the middle of the sums' range, so that most units clip."""
    units = len(layer.bias)
    width = rng.integers(bits[0], bits[1] + 1, units)
    width[rng.random(units) < 0.05] = 0
    down, offset = np.zeros(units, np.int64), np.zeros(units, np.int64)
    for j in range(units):
        column = [row[j] << layer.up[i, j] for i, row in enumerate(layer.tables)]
        spread = 1.5 * float(np.sqrt(sum(np.var(entries) for entries in column))) + 1
        centre = float(sum(np.mean(entries) for entries in column)) + layer.bias[j]
        down[j] = max(0, int(np.ceil(np.log2(2 * spread))) - int(width[j]))
        offset[j] = round(2.0 ** (down[j] + width[j] - 1) - centre)
    return FrozenRequantise(name, offset, down, width.astype(np.int64))


def random_network(
    seed: int,
    *,
    shape: Sequence[int] = (16, 20, 5),
    density: float = 0.6,
    port_bits: tuple[int, int] = (8, 8),
    code_bits: tuple[int, int] = (3, 7),
    address: tuple[int, int] = (3, 7),
    entry: tuple[int, int] = (3, 6),
    smooth: bool = True,
) -> FrozenNetwork:
    """A frozen network that looks like a trained one.

    Args:
        seed: Everything random follows from it.
        shape: Ports, hidden units of each layer, outputs.
        density: Share of the edges that is kept.
        port_bits: Least and most bits of a port; about half of the ports are signed.
        code_bits: Least and most bits between the layers.
        address: Least and most address bits of a table.
        entry: Least and most bits of a table's entry.
        smooth: Waves instead of white noise.
    """
    rng = np.random.default_rng(seed)
    ports = tuple(
        FrozenPort(
            f"x{i}",
            int(rng.integers(port_bits[0], port_bits[1] + 1)),
            bool(rng.random() < 0.5),
        )
        for i in range(shape[0])
    )
    bits = [port.bits for port in ports]
    layers: list[FrozenTables | FrozenRequantise] = []
    for depth, units in enumerate(shape[1:], start=1):
        tables = random_tables(
            f"lut{depth}",
            bits,
            units,
            rng,
            density=density,
            address=address,
            entry=entry,
            smooth=smooth,
        )
        layers.append(tables)
        if depth < len(shape) - 1:
            requantise = random_requantise(f"code{depth}", tables, rng, code_bits)
            layers.append(requantise)
            bits = [int(b) for b in requantise.bits]
    outputs = tuple(f"y{j}" for j in range(shape[-1]))
    return FrozenNetwork(ports, tuple(layers), outputs, 0.125)


def random_words(
    network: FrozenNetwork, events: int, seed: int = 0
) -> Int64[np.ndarray, "events ports"]:
    """Uniform words over the whole range of each port, the corners first."""
    rng = np.random.default_rng(seed)
    lo = np.array([-(2 ** (p.bits - 1)) if p.signed else 0 for p in network.inputs])
    hi = lo + np.array([2**p.bits - 1 for p in network.inputs])
    words = rng.integers(lo, hi + 1, (events, len(lo)))
    words[:2] = np.stack([lo, hi])[: len(words)]
    return words


def evaluate(
    network: FrozenNetwork, words: Integer[np.ndarray, "events ports"]
) -> Int64[np.ndarray, "events outputs"]:
    """The network by the definition of its layers."""
    least = [-(2 ** (p.bits - 1)) if p.signed else 0 for p in network.inputs]
    value = words.astype(np.int64) - np.array(least)
    for layer in network.layers:
        match layer:
            case FrozenTables():
                out = np.tile(layer.bias, (len(value), 1))
                for i, row in enumerate(layer.tables):
                    for j, entries in enumerate(row):
                        address = len(entries).bit_length() - 1
                        code = value[:, i] >> (layer.bits[i] - address)
                        out[:, j] += entries[code] << layer.up[i, j]
                value = out
            case FrozenRequantise():
                top = (1 << layer.bits) - 1
                value = np.clip((value + layer.offset) >> layer.down, 0, top)
    return value
