"""The branches of a table's `case` statement, a few in every line.

Tables are most of what is written.  Both languages write a number of so many bits in
so many characters, so all but the entries is the same for most tables of an address,
and is made once.
"""

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias, final

from firmware.hdl import Rom

WIDTH = 88
"""Characters of a line, unless a single word has more."""

INDENT = 6 * " "

LISTED = 12
"""Bits of an entry up to which all numbers are spelt beforehand."""


Constant: TypeAlias = Callable[[int, int], str]
"""A number, modulo 2 to so many bits, in a length that follows from these bits."""


@final
class Branch(NamedTuple):
    """How a language writes one branch: `before` address `between` entry `after`.

    `@` stands for the name of the table.
    """

    constant: Constant
    before: str
    between: str
    after: str

    def size(self, table: Rom) -> int:
        """Characters of a branch and of the space behind it."""
        numbers = self.constant(0, table.address) + self.constant(0, table.width)
        words = self.before + self.between + self.after + " "
        return len(words.replace("@", table.name) + numbers)


def branches(table: Rom, branch: Branch) -> str:
    """All rows of a table by address, in indented lines of as many, a power of two."""
    width = table.width
    if width <= LISTED:
        # A negative entry counts from the end, as two's complement does.
        entries = map(_spelt(branch.constant, width).__getitem__, table.rows)
    else:
        entries = (branch.constant(entry, width) for entry in table.rows)
    line = WIDTH - len(INDENT)
    each = 1 << max(0, (line // branch.size(table)).bit_length() - 1)
    heads = _heads(branch, table.address, each)
    text = "".join(map(operator.add, heads, entries)) + branch.after
    return text.replace("@", table.name)


@lru_cache(maxsize=64)
def _spelt(constant: Constant, width: int) -> tuple[str, ...]:
    """Every number of so many bits."""
    return tuple([constant(value, width) for value in range(1 << width)])


@lru_cache(maxsize=64)
def _heads(branch: Branch, address: int, each: int) -> list[str]:
    """What stands before every entry, from the end of the one before it on."""
    constant, before, between, after = branch
    return [
        (after if a else "")
        + (" " if a % each else "\n" * (a > 0) + INDENT)
        + before
        + constant(a, address)
        + between
        for a in range(1 << address)
    ]
