"""The evaluation pass: the one place where the tables of a network are made to last.

Two compilations of one formula may round a value near a boundary differently.  So there
is a single compiled program that makes tables, `network_tables`; validation, freezing
and the proof all take theirs from it, and what is shipped is what was measured.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int64, Integer

from models.lut_dense import Tables
from models.network import LUTNetwork, luts, scores
from trigger.errors import UserError

EXACT = 2**24
"""Integers up to here are exact in float32, and so are their sums in any order."""


@eqx.filter_jit
def network_tables(network: LUTNetwork) -> tuple[Tables, ...]:
    """The tables of a network, from the one program that makes them."""
    return network.tables()


@eqx.filter_jit
def table_scores(
    network: LUTNetwork,
    tables: tuple[Tables, ...],
    code: Integer[Array, "batch ports"],
) -> Float[Array, "batch classes"]:
    """Scores from given tables, as the training computes them."""
    return scores(network, tables, code)


@eqx.filter_jit
def table_luts(tables: tuple[Tables, ...]) -> Float[Array, ""]:
    """Estimated LUTs from given tables."""
    return luts(tables)


def sum_fraction(tables: Tables, least: float = 0.0) -> Int64[np.ndarray, " n_out"]:
    """Fractional bits of the sums of a layer, checked to be exact.

    Args:
        tables: The layer.
        least: Result for a sum without a fraction.

    Raises:
        UserError: A sum could leave the integers that float32 holds exactly.
    """
    fraction = np.asarray(tables.sum_fraction(least)).astype(np.int64)
    most = np.sum(np.max(np.abs(np.asarray(tables.entry)), axis=1), axis=0)
    counts = most * 2.0**fraction
    if np.max(counts) >= EXACT:
        raise UserError(
            f"output {int(np.argmax(counts))} of a layer sums to {np.max(counts):.0f} "
            f"steps of its LSB, float32 is exact up to {EXACT} only; train with fewer "
            "fractional bits"
        )
    return fraction


def score_fraction(tables: Tables) -> Int64[np.ndarray, " n_out"]:
    """Fractional bits of the scores: one LSB for all, so that words can be compared."""
    own = sum_fraction(tables)
    return np.full_like(own, np.max(own))


def raw_scores(
    network: LUTNetwork, code: Integer[np.ndarray, "events ports"], block: int = 65536
) -> Int64[np.ndarray, "events classes"]:
    """The network's own answer, as the integers that leave the block.

    Args:
        network: A trained network.
        code: Unsigned codes of the port words (`models.grid.codes_of_words`).
        block: Events at a time.

    Returns:
        Scores in counts of the LSB that all outputs share; nothing is rounded here.
    """
    tables = network_tables(network)
    fraction = score_fraction(tables[-1])
    parts = [
        np.asarray(table_scores(network, tables, jnp.asarray(part, jnp.int32)))
        for part in np.split(network.leading(code), range(block, len(code), block))
    ]
    raw = np.concatenate(parts).astype(np.float64) * 2.0**fraction
    whole = np.rint(raw).astype(np.int64)
    assert np.array_equal(whole, raw), "scores are multiples of their LSB"
    return whole
