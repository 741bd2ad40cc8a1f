"""How lookup tables fill the LUTs of an FPGA: which share one, and how deep they stand.

An UltraScale+ slice has LUTs of six inputs with two outputs.  Two tables that together
read at most five nets share one; a LUT7 takes two of them and a LUT8 four, since the
muxes behind them (F7, F8) are free.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

SITES = (0, 0, 1, 1, 1, 1, 1, 2, 4)
"""LUT6 for a table by the nets that it reads."""

PAIR_INPUTS = 5
"""Distinct nets that the two halves of a dual-output LUT6 may read."""

SCAN = 400
"""Partners looked at per net: bounds the time where one net feeds thousands of LUTs."""


def paired(luts: Sequence[Collection[int]]) -> list[tuple[int, int]]:
    """Pairs of LUTs that fit into one dual-output LUT6 each.

    Greedy: pairs that share the most nets first, and among those the widest LUTs, which
    have the fewest partners.  Only LUTs that share a net pair, as placers prefer.

    Args:
        luts: The nets that each LUT reads, two to five.
    """
    reads = [frozenset(nets) for nets in luts]
    readers: dict[int, list[int]] = defaultdict(list)
    for lut, nets in enumerate(reads):
        for net in sorted(nets):
            readers[net].append(lut)
    free = [True] * len(reads)

    def partners(lut: int, least: int) -> Iterator[tuple[int, int]]:
        """Free LUTs that fit beside `lut`, with the number of shared nets."""
        for net in sorted(reads[lut]):
            for other in readers[net][:SCAN]:
                if other == lut or not free[other]:
                    continue
                shared = len(reads[lut] & reads[other])
                union = len(reads[lut]) + len(reads[other]) - shared
                wanted = min(least, len(reads[lut]), len(reads[other]))
                if union <= PAIR_INPUTS and shared >= wanted:
                    yield shared, other

    found = []
    widest_first = sorted(range(len(reads)), key=lambda lut: -len(reads[lut]))
    for least in range(PAIR_INPUTS, 0, -1):
        for lut in widest_first:
            if free[lut]:
                best = max(partners(lut, least), default=None, key=lambda pair: pair[0])
                if best is not None:
                    free[lut] = free[best[1]] = False
                    found.append((lut, best[1]))
    return found


def depth(luts: Sequence[tuple[Collection[int], int]]) -> int:
    """The most LUTs in a row between registers or ports; inverters count nothing.

    Args:
        luts: Nets read and net driven, of each LUT.
    """
    driver = {out: reads for reads, out in luts}
    level: dict[int, int] = {}
    for net in driver:
        stack = [net]
        while stack:
            reads = driver[stack[-1]]
            waiting = [n for n in reads if n in driver and n not in level]
            if waiting:
                stack += waiting
            else:
                below = max((level.get(n, 0) for n in reads), default=0)
                level[stack.pop()] = below + (len(reads) > 1)
    return max(level.values(), default=0)
