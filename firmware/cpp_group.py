"""One group of events in C++: which values become arrays, and the loops that fill them.

A look-up of a byte is a byte shuffle on the processors that have one and a sum of bytes
is a vector addition, so the text is arranged for both: arrays of the narrowest integer,
loops of constant length without a branch, tables looked up a group at a time.

Conventions
-----------
- Node `i` is the array `n<i>` over the events of a group if it is read twice, leaves, is
  looked up or looks something up; otherwise it is part of the expression that reads it.
- A port and a value that addresses a table are kept as `value - lo`, unsigned.
- Arrays that one expression alone reads stand in its block, so that the compiler can
  use their room again.
- An expression is computed in 32 bits where no partial result can overflow, else in 64;
  terms whose sum fits a byte are added as bytes.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from firmware.build import needed
from firmware.netlist import Netlist, Node

INLINE = 48
"""Operations in one expression, beyond which a value is stored: keeps compiling fast."""

ROW = 16
"""Ports that are taken out of the rows of words together."""

BYTES = ("std::int8_t", "std::uint8_t")

LOOP = "for (std::size_t e = 0; e < kGroup; ++e)"

RING = frozenset(("add", "sub", "sum", "mul", "wrap"))
"""Operations whose low bits need no more than the low bits of what they read."""


@final
@dataclass(frozen=True)
class Group:
    """The body of a function that takes one group of events.

    Attributes:
        lines: C++ statements; `in` and `out` are rows of words, `kGroup` the events.
        looked: Tables that are looked up a group at a time, by `look`.
    """

    lines: tuple[str, ...]
    looked: frozenset[int]


def plan(netlist: Netlist) -> Group:
    """Arranges a valid netlist whose ports fit 32 bits."""
    writer = _Writer(netlist)
    lines = list(writer.words())
    layer = ""
    for i in writer.stored:
        node = netlist.nodes[i]
        if node.op == "input":
            continue
        if node.layer != layer:
            layer = node.layer
            lines += ["", f"// {layer}"]
        lines += [writer.declaration(i), *writer.filling(i)]
    count = len(netlist.outputs)
    lines += ["", f"alignas(64) std::int32_t y[{count}][kGroup];"]
    for j, (name, i) in enumerate(netlist.outputs):
        lines.append(f"{LOOP} y[{j}][e] = {writer.expression(i)};  // {name}")
    # Columns become rows in a loop of its own: as stores that are one row apart, in the
    # loops above, they take compilers very long.
    lines += [
        LOOP,
        f"  for (std::size_t j = 0; j < {count}; ++j) out[{count} * e + j] = y[j][e];",
    ]
    looked = {netlist.nodes[i].table for i in writer.arrays if writer.by_bytes(i)}
    return Group(tuple(lines), frozenset(looked))


@lru_cache(maxsize=4096)
def kind(lo: int, hi: int) -> str:
    """The narrowest integer type for `lo..hi`, unsigned only below 32 bits.

    >>> kind(-1, 127), kind(0, 128), kind(0, 2**31)
    ('std::int8_t', 'std::uint8_t', 'std::int64_t')
    """
    for bits in (8, 16, 32):
        half = 1 << (bits - 1)
        if lo >= -half and hi < half:
            return f"std::int{bits}_t"
        if bits < 32 and lo >= 0 and hi < 2 * half:
            return f"std::uint{bits}_t"
    return "std::int64_t"


@lru_cache(maxsize=4096)
def literal(value: int, bits: int = 32) -> str:
    """A literal of `int`, or of 64 bits where that is asked for or needed."""
    if value == -(2**63):
        return "INT64_MIN"
    if bits == 64 or not -(2**31) <= value < 2**31:
        return f"INT64_C({value})"
    return "INT32_MIN" if value == -(2**31) else str(value)


@final
class _Writer:
    """The texts of one netlist's arrays and expressions.

    Attributes:
        arrays: The nodes that are arrays.
        stored: Those that several expressions read, in order; each of the others belongs
            to the expression that reads it.
    """

    def __init__(self, netlist: Netlist):
        """Decides which nodes are arrays; nodes that no output needs are left out."""
        self.netlist, self.nodes = netlist, netlist.nodes
        leaving = {index for _, index in netlist.outputs}
        readers: Counter[int] = Counter()
        live = needed(self.nodes, leaving)
        self.addresses: set[int] = set()
        for i in live:
            node = self.nodes[i]
            if _is_constant(node):
                continue
            readers.update(node.args)
            if node.op == "table":
                self.addresses.update(node.args)
        self.arrays: set[int] = set()
        self.stored: list[int] = []
        length = [0] * len(self.nodes)
        for i in live:
            node = self.nodes[i]
            length[i] = 1 + sum(length[a] for a in node.args)
            if _is_constant(node):
                continue
            shared = readers[i] > 1 or i in leaving or i in self.addresses
            if shared or node.op == "input" or length[i] > INLINE:
                self.stored.append(i)
            elif node.op != "table":
                continue
            self.arrays.add(i)
            length[i] = 1
        self.own = self.arrays - set(self.stored)
        ports = [self.nodes[i] for i in self.stored if self.nodes[i].op == "input"]
        self.port = _unsigned(max((port.hi - port.lo for port in ports), default=0))

    def offset(self, i: int) -> int:
        """What is missing from a node's array to its value."""
        node = self.nodes[i]
        return node.lo if i in self.addresses or node.op == "input" else 0

    def kind(self, i: int) -> str:
        """The type of a node's array."""
        node = self.nodes[i]
        if node.op == "input":
            return self.port
        if i in self.addresses:
            return _unsigned(node.hi - node.lo)
        return self.entry(i) if node.op == "table" else kind(node.lo, node.hi)

    def entry(self, i: int) -> str:
        """The type of the table that a node reads, all of whose entries it can be."""
        return kind(self.nodes[i].lo, self.nodes[i].hi)

    def by_bytes(self, i: int) -> bool:
        """Whether a node is a look-up of bytes by bytes, which `look` does."""
        node = self.nodes[i]
        return (
            node.op == "table"
            and self.kind(node.args[0]) == "std::uint8_t"
            and self.entry(i) in BYTES
            and i not in self.addresses
        )

    def words(self) -> Iterator[str]:
        """Statements that turn rows of words into the ports' arrays.

        In two steps, both of which vectorise: the codes of some ports are computed
        along the row, those of a few events packed into one word; then the short rows
        that they leave are taken apart.
        """
        ports, stored = self.netlist.inputs, set(self.stored)
        bits = int(re.sub(r"\D", "", self.port))
        word, packed = f"std::uint{max(32, bits)}_t", max(1, 32 // bits)
        loop = f"for (std::size_t e = 0; e < kGroup / {packed}; ++e)"
        for first in range(0, len(ports), ROW):
            some = ports[first : first + ROW]
            live = [(p, i) for p, i in enumerate(some) if i in stored]
            if not live:
                continue
            stride = 1 << (len(some) - 1).bit_length()
            least = ", ".join(literal(self.nodes[i].lo) for i in some)
            most = ", ".join(literal(self.nodes[i].hi) for i in some)
            parts = []
            for k in range(packed):
                at = f"{len(ports)} * ({packed} * e + {k}) + {first} + p"
                part = f"code<{word}>(in[{at}], least[p], most[p])"
                parts.append(f"{part} << place({k}, {bits})" if packed > 1 else part)
            for _, i in live:
                yield f"{self.declaration(i)}  // {self.nodes[i].name}"
            yield from (
                "{",
                f"  constexpr std::int32_t least[] = {{{least}}};",
                f"  constexpr std::int32_t most[] = {{{most}}};",
                f"  alignas(64) {word} row[kGroup / {packed}][{stride}];",
                f"  alignas(64) {word} column[{stride}][kGroup / {packed}];",
                f"  {loop}",
                f"    for (std::size_t p = 0; p < {len(some)}; ++p)",
                "      row[e][p] =",
                *(f"          {part} |" for part in parts[:-1]),
                f"          {parts[-1]};",
                f"  {loop} {{",
                *(f"    column[{p}][e] = row[e][{p}];" for p, _ in live),
                "  }",
                *(f"  std::memcpy(n{i}, column[{p}], sizeof n{i});" for p, i in live),
                "}",
            )

    def declaration(self, i: int) -> str:
        """The array of a node."""
        return f"alignas(64) {self.kind(i)} n{i}[kGroup];"

    def filling(self, i: int) -> list[str]:
        """Statements that fill a node's array, below the arrays that it alone reads."""
        node = self.nodes[i]
        if self.by_bytes(i):
            return [f"look(t{node.table}, n{node.args[0]}, n{i});"]
        value = _moved(self.expression(i, top=True), -self.offset(i))
        loop = f"{LOOP} n{i}[e] = {_cast(self.kind(i), value)};"
        own = self._own(i)
        if not own:
            return [loop]
        lines = ["{"]
        for a in own:
            lines.append(f"  {self.declaration(a)}")
            lines += [f"  {line}" for line in self.filling(a)]
        return [*lines, f"  {loop}", "}"]

    def _own(self, i: int) -> list[int]:
        """The arrays that the expression of a node alone reads."""
        found: set[int] = set()
        waiting = list(self.nodes[i].args)
        while waiting:
            a = waiting.pop()
            if a in self.own:
                found.add(a)
            elif a not in self.arrays and not _is_constant(self.nodes[a]):
                waiting += self.nodes[a].args
        return sorted(found)

    def expression(self, i: int, *, top: bool = False) -> str:
        """The expression of a node: its array's element if it has one, unless `top`."""
        node = self.nodes[i]
        if _is_constant(node):
            return literal(node.lo)
        if i in self.arrays and not top:
            return _moved(f"n{i}[e]", self.offset(i))
        if node.op == "table":
            return f"t{node.table}[n{node.args[0]}[e]]"
        operands = [self.nodes[a] for a in node.args]
        args = [self.expression(a) for a in node.args]
        if node.op not in RING and (node.op != "shift" or node.by < 0):
            # A narrow type tells the compiler a range, so that lanes can be narrow.
            args = [
                _cast(kind(operand.lo, operand.hi), arg)
                for arg, operand in zip(args, operands, strict=True)
            ]
        bits = _bits(node, operands)
        if bits == 64:
            args = [f"std::int64_t{{{arg}}}" for arg in args]
        text = _operation(node, operands, args, bits)
        if bits == 64 and _is_narrow(node):
            text = _cast("std::int32_t", text)
        return text


def _operation(
    node: Node, operands: Sequence[Node], args: Sequence[str], bits: int
) -> str:
    """The expression of a node from those of its arguments, all of so many bits."""
    match node.op:
        case "add" | "sum":
            parts = _byte_sums(operands, args) if bits == 32 else args
            return "(" + " + ".join(parts) + ")"
        case "sub":
            return f"({args[0]} - {args[1]})"
        case "mul":
            return f"({args[0]} * {args[1]})"
        case "compare":
            return f"({args[0]} {node.test} {args[1]})"
        case "mux":
            return f"({args[0]} ? {args[1]} : {args[2]})"
        case "shift" if node.by >= 0:
            return f"({args[0]} * {literal(1 << node.by, bits)})"
        case "shift":
            return f"({args[0]} >> {min(-node.by, bits - 1)})"
        case "wrap":
            half = 1 << (node.bits - 1)
            text = f"({args[0]} & {literal(2 * half - 1, bits)})"
            turn = literal(half, bits)
            return f"(({text} ^ {turn}) - {turn})" if node.twos else text
        case _:
            (a,) = operands
            wide = kind(min(a.lo, node.lo), max(a.hi, node.hi))
            ends = f"{literal(node.lo, bits)}, {literal(node.hi, bits)}"
            return f"saturate<{wide}>({args[0]}, {ends})"


def _byte_sums(operands: Sequence[Node], args: Sequence[str]) -> list[str]:
    """The terms of a sum, those together whose sum fits a byte: many are added at once."""
    order = sorted(range(len(args)), key=lambda k: operands[k].hi - operands[k].lo)
    sums: list[tuple[int, int, list[str]]] = []
    for k in order:
        lo, hi = operands[k].lo, operands[k].hi
        if sums:
            total = sums[-1][0] + lo, sums[-1][1] + hi
            if kind(*total) in BYTES:
                sums[-1] = (*total, [*sums[-1][2], args[k]])
                continue
        sums.append((lo, hi, [args[k]]))
    return [
        _cast(kind(lo, hi), " + ".join(terms)) if len(terms) > 1 else terms[0]
        for lo, hi, terms in sums
    ]


def _bits(node: Node, operands: Sequence[Node]) -> int:
    """Bits in which an operation and every partial result of it fit, 32 or 64."""
    if not all(map(_is_narrow, [node, *operands])):
        return 64
    if node.op == "wrap" and node.bits > 30:  # the mask is an operand too
        return 64
    if node.op in ("add", "sum"):
        lo = hi = 0
        for term in operands:
            lo, hi = lo + term.lo, hi + term.hi
            if lo < -(2**31) or hi >= 2**31:
                return 64
    return 32


def _moved(value: str, by: int) -> str:
    return f"({value} + {literal(by)})" if by else value


def _unsigned(most: int) -> str:
    """The narrowest integer type for `0..most`, unsigned below 32 bits."""
    return kind(0, max(most, 2**7 if most < 2**8 else 2**15))


def _cast(to: str, text: str) -> str:
    return f"static_cast<{to}>({text})"


def _is_narrow(node: Node) -> bool:
    return node.lo >= -(2**31) and node.hi < 2**31


def _is_constant(node: Node) -> bool:
    return node.lo == node.hi
