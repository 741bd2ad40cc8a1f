"""Trained networks of tables that were compiled and counted, for the tests of costs.

`tests/golden/networks.npz` holds, per network and layer, what the area and latency terms
see of each edge, and per network the packed LUTs at 360 MHz and the cycles at 200, 360
and 500 MHz that the compiler came to.  Trained on the demo's data with 1 or 2 hidden
layers, up to 6, 7, 8 or 9 address bits, for 12 to 150 epochs down a path of areas; every
sum inside saturates at -2..2.
"""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

CLOCKS: tuple[int, ...] = (200, 360, 500)
REACH_BITS = 2
UNITS = 48
GOLDEN = Path(__file__).parents[1] / "golden" / "networks.npz"


class Layer(NamedTuple):
    """One layer of tables, as the cost models want it.

    All are of one size, so that they are compiled once; what is not there is dead.
    """

    soft: Float[Array, "n_in n_out"]
    hard: Float[Array, "n_in n_out"]
    address: Float[Array, "n_in n_out"]
    fraction: Float[Array, "n_in n_out"]
    read: Float[Array, "n_in n_out"]


class Recorded(NamedTuple):
    """A network and what the compiler made of it."""

    layers: tuple[Layer, ...]
    luts: int
    cycles: dict[int, int]


def recorded() -> list[Recorded]:
    """All recorded networks."""
    held = np.load(GOLDEN)
    found = []
    for k, (luts, cycles) in enumerate(zip(held["luts"], held["cycles"], strict=True)):
        layers = []
        while f"steps_{k}_{len(layers)}" in held:
            parts = {}
            for name in ("soft", "steps", "address", "fraction", "read"):
                part = held[f"{name}_{k}_{len(layers)}"].astype(np.float32)
                parts[name] = np.pad(part, [(0, UNITS - n) for n in part.shape])
            parts["hard"] = parts.pop("steps") * 2.0 ** -parts["fraction"]
            layers.append(Layer(**{name: jnp.asarray(p) for name, p in parts.items()}))
        at = dict(zip(CLOCKS, cycles.tolist(), strict=True))
        found.append(Recorded(tuple(layers), int(luts), at))
    return found
