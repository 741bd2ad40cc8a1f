"""The evaluation pass: the one place where the tables of a network are made to last.

Two compilations of one formula may round a value near a boundary differently.  So there
is a single compiled program that makes tables, `ready`; validation, freezing and the
proof all take theirs from it, and what is shipped is what was measured.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int64, Integer

from models import latency, layer
from models.calibrate import strict
from models.ranges import counted
from trigger.errors import UserError

EXACT = 2**24
"""Integers up to here are exact in float32, and so are their sums in any order."""


@eqx.filter_jit
def ready(network: Any) -> Any:
    """The evaluated network, from the one program that makes its tables."""
    return layer.evaluate(strict(network))


@eqx.filter_jit
def scores(
    evaluated: Any, x: Integer[Array, "events ports"]
) -> Float[Array, "events outputs"]:
    """What an evaluated network answers to raw port words."""
    return jax.vmap(evaluated)(x)


class Measured(NamedTuple):
    """What an evaluation comes to."""

    scores: Float[Array, "events outputs"]
    luts: float
    cycles: float
    """Whole cycles of the clock, port registers included."""
    depth: float
    """The same before rounding, for controllers."""
    ns: float
    """The longest path without any clock."""


@eqx.filter_jit
def _costs(evaluated: Any, ports: int, clock_mhz: float):
    out = evaluated(latency.at_ports((ports,), clock_mhz))
    last = jnp.max(out.clocked) / out.period + 1.0
    return counted(evaluated, ports), latency.cycles(out), last, jnp.max(out.ns)


def measure(
    network: Any, x: Integer[Array, "events ports"], clock_mhz: float
) -> Measured:
    """Scores and estimated costs of a network."""
    evaluated = ready(network)
    costs = _costs(evaluated, x.shape[1], clock_mhz)
    return Measured(scores(evaluated, x), *map(float, costs))


def raw_scores(
    network: Any,
    x: Integer[np.ndarray, "events ports"],
    out_lsb: float,
    block: int = 65536,
) -> Int64[np.ndarray, "events outputs"]:
    """The network's own answer, as the integers that leave the block.

    Args:
        network: A trained network.
        x: Raw port words.
        out_lsb: What a count of any output is worth (`models.frozen`).
        block: Events at a time.

    Returns:
        Scores in counts of the LSB that all outputs share; nothing is rounded here.

    Raises:
        UserError: A score could have left the integers that float32 holds exactly.
    """
    evaluated = ready(network)
    parts = [
        np.asarray(scores(evaluated, jnp.asarray(part, jnp.int32)))
        for part in np.split(x, range(block, len(x), block))
    ]
    raw = np.concatenate(parts).astype(np.float64) / out_lsb
    most = np.max(np.abs(raw), initial=0)
    if most >= EXACT:
        raise UserError(
            f"a score comes to {most:.0f} steps of its LSB, float32 is exact up to "
            f"{EXACT} only; train with fewer fractional bits"
        )
    counts = np.rint(raw).astype(np.int64)
    assert np.array_equal(counts, raw), "scores are multiples of their LSB"
    return counts
