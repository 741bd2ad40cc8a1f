"""Golden vectors: the words on which every implementation has to agree.

Physics words alone would leave most addresses and every saturation unvisited, so
uniform random words and the edges of the port ranges go with them.

Conventions
-----------
- Words are raw port words, inside the interval of their port.
- In hex text one line is one event, one group of digits per port in port order, two's
  complement of the port's width; `$readmemh` reads it as events x ports entries.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64, Integer

from firmware.netlist import Netlist, Node, width
from trigger.errors import UserError

MANY_BITS = 2048
"""Bits at the ports from which on the simulation of each in three ways would take longer
than all other words."""


@final
@dataclass(frozen=True)
class VectorSet:
    """Words in groups that lie one after the other: name and number of events."""

    words: Int64[np.ndarray, "events ports"]
    groups: tuple[tuple[str, int], ...]


def make(
    netlist: Netlist,
    physics: Integer[np.ndarray, "jets ports"],
    *,
    random: int,
    seed: int,
) -> VectorSet:
    """Physics words, then `random` uniform words, then the edges of the input space.

    Args:
        netlist: Says what words its ports take.
        physics: Words of real jets; may be empty.
        random: Number of uniform events.
        seed: Source of the uniform words and of those that surround a chosen one.

    Returns:
        The groups `physics`; `random`; `extremes`, all ports at their least, greatest,
        zero and middle word; `ports`, each alone at its least and its greatest word; and
        `bits`, each single bit of each port.  A word stands among middle words and among
        random ones, a bit among zeros too; where there are more than `MANY_BITS`, it
        stands among random ones alone.
    """
    rng = np.random.default_rng(seed)
    ports = [netlist.nodes[i] for i in netlist.inputs]
    lo = np.array([port.lo for port in ports], np.int64)
    hi = np.array([port.hi for port in ports], np.int64)
    zero, middle = np.clip(0, lo, hi), lo + (hi - lo) // 2
    bits = _bits(lo, hi)
    few = sum(map(len, bits)) <= MANY_BITS
    groups = {
        "physics": physics.astype(np.int64),
        "random": rng.integers(lo, hi, (random, len(ports)), endpoint=True),
        "extremes": np.array([lo, hi, zero, middle]),
        "ports": _one_by_one(
            lo, hi, (middle,), np.stack([lo, hi], axis=1).tolist(), rng
        ),
        "bits": _one_by_one(lo, hi, (zero, middle) if few else (), bits, rng),
    }
    return VectorSet(
        words=np.concatenate(list(groups.values())),
        groups=tuple((name, len(words)) for name, words in groups.items()),
    )


def _bits(
    lo: Int64[np.ndarray, " ports"], hi: Int64[np.ndarray, " ports"]
) -> list[list[int]]:
    """The words of each port that have a single bit set, a sign bit included."""
    words = []
    for least, most in zip(lo.tolist(), hi.tolist(), strict=True):
        single = [1 << k for k in range(63) if least <= 1 << k <= most]
        sign = -(1 << width(least, most) - 1)
        words.append([*single, *([sign] if least == sign else [])])
    return words


def _one_by_one(
    lo: Int64[np.ndarray, " ports"],
    hi: Int64[np.ndarray, " ports"],
    around: Sequence[Int64[np.ndarray, " ports"]],
    words: Sequence[Sequence[int]],
    rng: np.random.Generator,
) -> Int64[np.ndarray, "events ports"]:
    """Each port at each of its `words`, the others as `around` and at random."""
    rows = []
    for port, chosen in enumerate(words):
        for word in chosen:
            for others in (*around, rng.integers(lo, hi, endpoint=True)):
                row = others.copy()
                row[port] = word
                rows.append(row)
    return np.array(rows, np.int64).reshape(-1, len(lo))


def to_hex(words: Integer[np.ndarray, "events columns"], columns: list[Node]) -> str:
    """Words as hexadecimal text, one event a line, one group of digits a column.

    Args:
        words: Raw words.
        columns: The node behind each column, which says its width.
    """
    texts = []
    for k, node in enumerate(columns):
        digits = (node.width + 3) // 4
        masked = words[:, k].astype(np.int64) & ((1 << node.width) - 1)
        texts.append([f"{word:0{digits}x}" for word in masked.tolist()])
    return "".join(" ".join(row) + "\n" for row in zip(*texts, strict=True))


def read(file: Path, columns: int) -> Int64[np.ndarray, "events columns"]:
    """The words of a `.npy` file of a bundle.

    Args:
        file: `inputs.npy` or `expected.npy`.
        columns: How many words an event has to have.

    Raises:
        UserError: The file is missing or holds anything else.
    """
    try:
        words = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file} is not an array of words: {error}") from error
    if not isinstance(words, np.ndarray) or words.dtype.kind != "i":
        raise UserError(f"{file} is not an array of integers")
    if words.ndim != 2 or words.shape[1] != columns or not len(words):
        raise UserError(
            f"{file} has shape {words.shape}; (events, {columns}) with at least one "
            "event is needed"
        )
    return words.astype(np.int64)
