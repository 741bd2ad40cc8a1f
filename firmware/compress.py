"""How many numbers are added at once: counters of bits, then one adder of two rows.

The bits of all terms stand in columns by weight.  A counter takes three, five or six
bits of a column and writes their number in binary, one bit in its column and the
others above; it is two or three functions of at most six bits, so one level of LUTs.
Levels of counters go on until no column holds more than two bits, and a carry chain
adds these.  A chain per term would take about as many LUTs (each LUT of a counter takes
one bit away, as a bit of an adder does) but a chain's time for every doubling of the
terms, where a level of counters takes a LUT's.  (Dadda, "Some schemes for parallel
multipliers", Alta Frequenza 34 (1965) 349; with counters of six: Parandeh-Afshar, Brisk
and Ienne, "Efficient synthesis of compressor trees on FPGAs", ASP-DAC 2008,
doi:10.1109/ASPDAC.2008.4483927.)

Conventions
-----------
- Everything is modulo `2**width` of the sum, so nothing above it is computed.
- The sign bit of a term has the weight `-2**k`: its inverse goes into the columns with
  the weight `2**k`, and `-2**k` into the one constant of the sum.
- The plan depends on the shapes of the terms alone and is what both languages, the
  delay and the area estimate go by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, final

HEIGHTS = (2, 3, 6, 12, 24, 48, 96, 192, 384)
"""What is left after so many levels less: six bits of every column become three."""

COUNTERS = ((6, 3), (5, 2), (3, 1), (2, 1))
"""Bits that a counter takes, and LUT6 that it costs; five of its bits share a pair."""


@final
class Term(NamedTuple):
    """Shape of a number: `width` wired bits, the lowest of them at bit `low`."""

    low: int
    width: int
    signed: bool


@final
class Bit(NamedTuple):
    """One bit: number `place` of term `term`, of counter `-1 - term`, or constant 1.

    Of a constant `place` is -1.  `inverted` is set for the sign bits of terms.
    """

    term: int
    place: int
    inverted: bool = False


ONE = Bit(0, -1)


@final
class Counter(NamedTuple):
    """The number of ones in `bits`, which all have the weight `2**column`."""

    column: int
    bits: tuple[Bit, ...]
    level: int

    @property
    def width(self) -> int:
        """Bits of the count."""
        return len(self.bits).bit_length()


@final
@dataclass(frozen=True)
class Plan:
    """The counters in an order in which they can be written, and the last two rows.

    Attributes:
        width: Of the sum.
        counters: Counter `k` is what a `Bit` with `term = -1 - k` refers to.
        rows: At most two bits for every column, the lowest first.
    """

    width: int
    counters: tuple[Counter, ...]
    rows: tuple[tuple[Bit, ...], ...]

    @property
    def levels(self) -> int:
        """Levels of counters in front of the adder."""
        return max((counter.level for counter in self.counters), default=0)

    @property
    def carry(self) -> tuple[int, int]:
        """The lowest column with two bits, and columns from there to the top.

        The adder has that many bits; 0 if no column has two.
        """
        low = next((c for c, bits in enumerate(self.rows) if len(bits) > 1), None)
        return (low, self.width - low) if low is not None else (self.width, 0)

    @property
    def luts(self) -> int:
        """LUT6 of the counters and of the adder, one for each of its bits."""
        price = dict(COUNTERS)
        return sum(price[len(c.bits)] for c in self.counters) + self.carry[1]


@lru_cache(maxsize=4096)
def plan(terms: tuple[Term, ...], width: int, constant: int = 0) -> Plan:
    """Plans a sum.

    Args:
        terms: What is added.
        width: Bits of the sum; what is above them is never computed.
        constant: Added too.
    """
    columns: list[list[Bit]] = [[] for _ in range(width)]
    for t, term in enumerate(terms):
        sign = term.low + term.width - 1 if term.signed else -1
        if term.signed:
            constant -= 1 << sign
        for index in range(term.width):
            if term.low + index < width:
                inverted = term.low + index == sign
                columns[term.low + index].append(Bit(t, index, inverted))
    for column, bits in enumerate(columns):
        if constant >> column & 1:
            if bits and column == width - 1:  # nothing is above it: 1 turns the bit
                bits[0] = bits[0]._replace(inverted=not bits[0].inverted)
            else:
                bits.append(ONE)
    counters: list[Counter] = []
    level = 0
    while (height := max(map(len, columns), default=0)) > 2:
        level += 1
        goal = max(h for h in HEIGHTS if h < height)
        columns = _level(columns, goal, level, counters)
    return Plan(width, tuple(counters), tuple(tuple(bits) for bits in columns))


def _level(
    columns: Sequence[list[Bit]], goal: int, level: int, counters: list[Counter]
) -> list[list[Bit]]:
    """One level: every column comes down to `goal` bits, or as near as it can."""
    width = len(columns)
    after: list[list[Bit]] = [[] for _ in range(width)]
    for column, bits in enumerate(columns):
        taken = 0
        for size in _counters(len(bits), len(bits) + len(after[column]) - goal):
            counter = Counter(column, tuple(bits[taken : taken + size]), level)
            taken += size
            for k in range(min(counter.width, width - column)):
                after[column + k].append(Bit(-1 - len(counters), k))
            counters.append(counter)
        after[column] = bits[taken:] + after[column]
    return after


@lru_cache(maxsize=4096)
def _counters(bits: int, excess: int) -> tuple[int, ...]:
    """The counters for a column of `bits` of which `excess` have to go.

    As many bits as counters can take away go at once, for each costs its LUT sooner or
    later.  Two bits are counted only where that is needed: it takes none away, but
    makes room for a carry.
    """
    if bits < 3 and excess <= 0:
        return ()
    sixes, left = divmod(bits, 6)
    sizes = (6,) * sixes
    if left >= 3:
        sizes += (5,) if left == 5 else (3,)
    left = bits - sum(sizes)
    short = max(0, excess - sum(sizes) + len(sizes))
    return sizes + (2,) * min(short, left // 2)
