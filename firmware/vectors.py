"""Golden vectors: the words on which every implementation has to agree.

Physics words alone would leave most addresses and every saturation unvisited, so
uniform random words and the corners of the port ranges go with them.

Conventions
-----------
- Words are raw port words, inside the interval of their port.
- In hex text one line is one event, one group of digits per port in port order, two's
  complement of the port's width; `$readmemh` reads it as events x ports entries.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Int64, Integer

from firmware.netlist import Netlist, Node


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
    """Physics words, then `random` uniform words, then the corners.

    Args:
        netlist: Says what words its ports take.
        physics: Words of real jets; may be empty.
        random: Number of uniform events.
        seed: Source of the uniform words and of those that surround a corner.

    Returns:
        The groups `physics`, `random` and `corners`.
    """
    rng = np.random.default_rng(seed)
    ports = [netlist.nodes[i] for i in netlist.inputs]
    lo = np.array([port.lo for port in ports], np.int64)
    hi = np.array([port.hi for port in ports], np.int64)
    groups = {
        "physics": physics.astype(np.int64),
        "random": rng.integers(lo, hi, (random, len(ports)), endpoint=True),
        "corners": corners(lo, hi, rng),
    }
    return VectorSet(
        words=np.concatenate(list(groups.values())),
        groups=tuple((name, len(words)) for name, words in groups.items()),
    )


def corners(
    lo: Int64[np.ndarray, " ports"],
    hi: Int64[np.ndarray, " ports"],
    rng: np.random.Generator,
) -> Int64[np.ndarray, "events ports"]:
    """Events at the edges of the input space.

    All ports at their least, greatest, zero and middle word; then every port alone at
    its least and greatest word and at each single bit, once among middle words and
    once among random ones.
    """
    zero = np.clip(0, lo, hi)
    middle = lo + (hi - lo) // 2
    rows = [lo, hi, zero, middle]
    for port in range(len(lo)):
        bits = [1 << k for k in range(62) if lo[port] <= 1 << k <= hi[port]]
        for word in (int(lo[port]), int(hi[port]), *bits):
            for around in (middle, rng.integers(lo, hi, endpoint=True)):
                row = around.copy()
                row[port] = word
                rows.append(row)
    return np.array(rows)


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
