"""Codes that training never met: their entries are free, and the nearest is cheapest.

A table has an entry for every code of its input, also for those that no jet of the
training reaches.  What stands there was never trained: it is where the edge function
happens to go.  Here such a code answers what the nearest code that was met does, so
that less of the address tells anything and the logic is smaller (the idea of ReducedLUT,
Cassidy et al., arXiv 2412.18579).

This changes the network, not its implementation: what leaves is an evaluated network
like any other, which is measured, frozen and proven as it stands.  On the training jets
nothing changes as long as only codes are refilled that none of them reaches.

Conventions
-----------
- An edge reads the leading bits of a code, so it is whole cells of codes that were met
  or not, and a cell takes the entry of the nearest cell; of two, the lower.
- Places of an example that share tables are met together.
- Tables behind quantisers of their own (`models.lut_quantised`) stay as they are.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int64, Integer

from models.evaluate import ready
from models.forms import Filled
from models.reading import Values, Words
from models.tables import Tables, all_tables, with_tables

Shares = Float[np.ndarray, "*stack n_in codes"]


def refill(
    network: Any,
    words: Integer[np.ndarray, "events ports"],
    below: float,
    block: int = 65536,
) -> Any:
    """The evaluated network with its rare codes refilled.

    Args:
        network: A trained network.
        words: Port words of the training jets.
        below: Codes that a smaller share of the inputs reaches count as not met; with
            less than one in all of them, only those that none reaches.
        block: Events at a time.
    """
    evaluated = ready(network)
    met = shares(evaluated, words, block)
    made = [
        _refilled(t, s, below) for t, s in zip(all_tables(evaluated), met, strict=True)
    ]
    return with_tables(evaluated, made)


def shares(
    evaluated: Any, words: Integer[np.ndarray, "events ports"], block: int = 65536
) -> list[Shares]:
    """Which share of what each layer of tables reads is at each code.

    Args:
        evaluated: An evaluated network.
        words: Port words of events.
        block: Events at a time.
    """
    total = [
        np.zeros(tables.filled.entry.shape[:-1]) for tables in all_tables(evaluated)
    ]
    for part in np.split(words, range(block, len(words), block)):
        observed = _observed(evaluated, jnp.asarray(part, jnp.int32))
        share = len(part) / len(words)
        total = [
            before + share * np.asarray(one, np.float64)
            for before, one in zip(total, observed, strict=True)
        ]
    # Layers that read ports observe nothing; they were built with the shares.
    return [
        np.asarray(tables.reading.grid.weight, np.float64)
        if isinstance(tables.reading, Words)
        else seen
        for tables, seen in zip(all_tables(evaluated), total, strict=True)
    ]


@eqx.filter_jit
def _observed(evaluated: Any, x: Integer[Array, "events ports"]) -> list[Array]:
    """Occupancies of the codes: what a batch leaves as cotangents of statistics."""

    def answer(occupancies: list[Array]) -> Float[Array, ""]:
        watched = [
            eqx.tree_at(lambda t: t.occupancy, t, o, is_leaf=lambda node: node is None)
            for t, o in zip(all_tables(evaluated), occupancies, strict=True)
        ]
        return jnp.sum(jax.vmap(with_tables(evaluated, watched))(x))

    return jax.grad(answer)(
        [jnp.zeros(tables.filled.entry.shape[:-1]) for tables in all_tables(evaluated)]
    )


def _refilled(tables: Tables, met: Shares, below: float) -> Tables:
    """One layer, or a stack of them, with the entries of rare codes replaced."""
    if not isinstance(tables.reading, Words | Values):
        return tables
    entry, address = np.array(tables.filled.entry), np.array(tables.address)
    bits = tables.reading.grid.bits
    for at in np.ndindex(entry.shape[:-2]):  # every input, of every table of a stack
        own = bits[at[-1]]
        share = np.broadcast_to(met, entry.shape[:-1])[at][: 1 << own]
        often = share >= max(below, 1e-30)
        for j in range(entry.shape[-1]):
            column, width = entry[(*at, slice(None), j)], int(address[(*at, j)])
            source = _nearest(often, min(width, own))
            column[: 1 << own] = column[source]
            column[1 << own :] = column[(1 << own) - 1]
            address[(*at, j)] = _address(column[: 1 << own], min(width, own))
    made = jnp.asarray(entry)
    span = jnp.ptp(made, axis=-2)
    filled = Filled(made, tables.filled.slope, span, span)
    return eqx.tree_at(
        lambda t: (t.filled, t.address), tables, (filled, jnp.asarray(address))
    )


def _nearest(
    often: Bool[np.ndarray, " codes"], width: int
) -> Int64[np.ndarray, " codes"]:
    """The code that each code takes its entry from, for an edge of `width` bits."""
    cells = often.reshape(1 << width, -1)
    known = np.flatnonzero(cells.any(axis=1))
    if not known.size:
        return np.arange(often.size)
    distance = np.abs(np.arange(1 << width)[:, None] - known)
    return (
        np.repeat(known[np.argmin(distance, axis=1)], cells.shape[1]) * cells.shape[1]
    )


def _address(column: Float[np.ndarray, " codes"], width: int) -> int:
    """Leading bits that the entries still tell apart."""
    while width and np.all(_cells(column, width)[::2] == _cells(column, width)[1::2]):
        width -= 1
    return width


def _cells(
    column: Float[np.ndarray, " codes"], width: int
) -> Float[np.ndarray, " cells"]:
    return column.reshape(1 << width, -1)[:, 0]
