"""Verilog expressions for the operations of a netlist, on plain bit vectors.

Everything is bit vectors of explicit widths: operands are extended or cut by hand, so
that no rule of Verilog about signs and sizes takes part, and no tool warns.  `Wires`
also remembers which bits were read; the rest is said to be unused, out loud.
"""

from collections.abc import Sequence
from typing import final

from firmware.netlist import Netlist, Node


@final
class Wires:
    """Declared vectors by name, and which of their bits something has read."""

    def __init__(self):
        """Starts with no vector."""
        self._range: dict[str, tuple[int, int]] = {}
        self._read: dict[str, int] = {}

    def declare(self, name: str, width: int, low: int = 0) -> str:
        """Notes vector `name[width-1:low]`; returns its range, as a declaration."""
        self._range[name] = (width - 1, low)
        self._read[name] = 0
        return "" if width == 1 else f"[{width - 1}:{low}] "

    def read(self, name: str, high: int, low: int = 0) -> str:
        """Bits `high..low` of a vector."""
        self._read[name] |= (1 << (high + 1)) - (1 << low)
        if (high, low) == self._range[name]:
            return name
        return f"{name}[{high}]" if high == low else f"{name}[{high}:{low}]"

    def extended(self, name: str, node: Node, width: int) -> str:
        """The value of `node`, which `name` carries, in exactly `width` bits."""
        more = width - node.width
        if more <= 0:
            return self.read(name, width - 1)
        text = self.read(name, node.width - 1)
        if not node.signed:
            return f"{{{more}'d0, {text}}}"
        sign = self.read(name, node.width - 1, node.width - 1)
        return f"{{{{{more}{{{sign}}}}}, {text}}}"

    def unread(self) -> list[str]:
        """The bits that nothing has read, as expressions, in order of declaration."""
        left = []
        for name, (high, low) in self._range.items():
            bits = [b for b in range(low, high + 1) if not self._read[name] >> b & 1]
            while bits:
                run = next(
                    (k for k, b in enumerate(bits) if b != bits[0] + k), len(bits)
                )
                left.append((name, bits[run - 1], bits[0]))
                bits = bits[run:]
        return [self.read(*part) for part in left]


def constant(value: int, width: int) -> str:
    """A constant in two's complement."""
    return f"{width}'d{value % (1 << width)}"


def expression(netlist: Netlist, index: int, names: Sequence[str], wires: Wires) -> str:
    """What node `index` computes, with `names` the vectors of its arguments."""
    node = netlist.nodes[index]
    args = [netlist.nodes[a] for a in node.args]
    width = node.width
    if node.lo == node.hi:
        return constant(node.lo, width)
    match node.op:
        case "shift" if node.by > 0:
            return f"{{{wires.read(names[0], width - node.by - 1)}, {node.by}'d0}}"
        case "shift":
            top = args[0].width - 1  # its sign, where nothing else is left
            return wires.read(names[0], top, min(-node.by, top))
        case "add" | "sub" | "sum":
            sign = " - " if node.op == "sub" else " + "
            return sign.join(
                wires.extended(name, arg, width)
                for name, arg in zip(names, args, strict=True)
            )
        case "mul":
            return " * ".join(
                wires.extended(name, arg, width)
                for name, arg in zip(names, args, strict=True)
            )
        case "compare":  # in a width that holds both, as signed numbers if one is
            a, b = args
            signed = a.signed or b.signed
            wide = max(arg.width + (signed and not arg.signed) for arg in args)
            texts = [
                wires.extended(name, arg, wide)
                for name, arg in zip(names, args, strict=True)
            ]
            if signed and node.test != "==":
                texts = [f"$signed({text})" for text in texts]
            return f" {node.test} ".join(texts)
        case "mux":
            ways = [
                wires.extended(name, arg, width)
                for name, arg in zip(names[1:], args[1:], strict=True)
            ]
            return f"{wires.read(names[0], 0)} ? {ways[0]} : {ways[1]}"
        case "clip":
            return _clip(node, args[0], names[0], wires)
        case "wrap":  # the wire is no wider than the bits kept, and says how to read it
            return wires.extended(names[0], args[0], width)
        case "table":
            whole = wires.read(names[0], args[0].width - 1)
            return f"t{node.table}({whole})"
    raise ValueError(f"an {node.op} has no expression")


def _clip(node: Node, arg: Node, name: str, wires: Wires) -> str:
    """A saturation; at zero and below a power of two it asks a few bits only."""
    text = wires.extended(name, arg, node.width)
    top = arg.width - 1
    if arg.hi > node.hi:
        bits = node.hi.bit_length()
        if node.lo == 0 and node.hi == (1 << bits) - 1:
            # A negative value, whose high bits are set too, is caught before.
            high = wires.read(name, top - arg.signed, bits)
            over = f"(|{high})"
        else:
            over = _compare(arg, name, ">", node.hi, wires)
        text = f"{over} ? {constant(node.hi, node.width)} : {text}"
    if arg.lo < node.lo:
        if node.lo == 0:
            under = wires.read(name, top, top)
        else:
            under = _compare(arg, name, "<", node.lo, wires)
        text = f"{under} ? {constant(node.lo, node.width)} : {text}"
    return text


def _compare(arg: Node, name: str, sign: str, bound: int, wires: Wires) -> str:
    whole, limit = wires.read(name, arg.width - 1), constant(bound, arg.width)
    if arg.signed:
        return f"($signed({whole}) {sign} $signed({limit}))"
    return f"({whole} {sign} {limit})"


def rows(arg: Node, entries: Sequence[int]) -> list[int]:
    """A table's entries by address, which is the argument's wire read as unsigned.

    An address that no value takes repeats the entry of the nearest address that
    differs in one bit, the lowest that helps: it leaves least to tell apart.
    """
    size = 1 << arg.width
    row: list[int | None] = [None] * size
    for k, entry in enumerate(entries):
        row[(arg.lo + k) % size] = entry
    bit = 1
    while None in row:
        row = [row[a ^ bit] if row[a] is None else row[a] for a in range(size)]
        bit = bit * 2 if bit * 2 < size else 1
    return [entry for entry in row if entry is not None]
