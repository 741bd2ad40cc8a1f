"""What each operation of a netlist is in hardware, in no language yet.

Everything is plain bit vectors of explicit widths: operands are extended or cut by
hand, so that no rule of a language about signs and sizes takes part, and no tool warns.
`firmware.verilog` and `firmware.vhdl` spell the same expressions, and so cannot
disagree about what they mean.

Conventions
-----------
- A vector holds a value in two's complement if the value can be negative, else plain.
- An `Assign` is one wire; a node may need helpers before its own, named `n<index>_...`.
- `Choose` stands at the top of an assignment only: VHDL knows it nowhere else.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, final

from firmware.compress import ONE, Bit
from firmware.delay import low_zeros, plan_sum
from firmware.netlist import Netlist, Node


@final
class Bits(NamedTuple):
    """Bits `high..low` of the vector called `name`."""

    name: str
    high: int
    low: int


@final
class Const(NamedTuple):
    """The number `value`, modulo `2**width`."""

    value: int
    width: int


@final
class Not(NamedTuple):
    """Every bit of `bits` inverted."""

    bits: Bits


@final
class Join(NamedTuple):
    """Vectors side by side, the highest first."""

    parts: "tuple[Bits | Const | Not, ...]"


@final
class Extend(NamedTuple):
    """`bits` in `width` bits, more than it has: by zeros, or by its sign bit."""

    bits: Bits
    more: int
    signed: bool


@final
class Arithmetic(NamedTuple):
    """Terms of `width` bits each, added, subtracted or multiplied modulo `2**width`."""

    sign: Literal["+", "-", "*"]
    terms: "tuple[Vector, ...]"
    width: int


@final
class Count(NamedTuple):
    """How many of some bits are set, in `width` bits."""

    bits: "tuple[Bits | Const | Not, ...]"
    width: int


@final
class Look(NamedTuple):
    """The row of table `table` at an address."""

    table: str
    address: "Bits | Join"


@final
class Compare(NamedTuple):
    """Whether `a test b` holds of two vectors of one width; a single bit."""

    test: Literal["<", "<=", "==", ">"]
    a: "Vector"
    b: "Vector"
    signed: bool


@final
class Any(NamedTuple):
    """Whether a bit of `bits` is set; a single bit."""

    bits: Bits


Vector: TypeAlias = Bits | Const | Not | Join | Extend | Arithmetic | Count | Look
Test: TypeAlias = Bits | Compare | Any
"""A single bit that can be asked for; of `Bits`, exactly one."""


@final
class Choose(NamedTuple):
    """The first of `ways` whose test holds, else `otherwise`."""

    ways: tuple[tuple[Test, Vector], ...]
    otherwise: Vector


Expression: TypeAlias = Vector | Compare | Choose


@final
class Assign(NamedTuple):
    """The vector `name[width-1:low]` and what drives it."""

    name: str
    width: int
    value: Expression
    signed: bool = False
    low: int = 0
    layer: str = ""


@final
class Rom(NamedTuple):
    """A table: its rows by address."""

    name: str
    address: int
    """Bits of the address."""
    width: int
    rows: tuple[int, ...]


def whole(name: str, node: Node) -> Bits:
    """All bits of the vector that carries a node."""
    return Bits(name, node.width - 1, 0)


def extended(name: str, node: Node, width: int) -> Bits | Extend:
    """The value of `node`, which `name` carries, in exactly `width` bits."""
    if width <= node.width:
        return Bits(name, width - 1, 0)
    return Extend(whole(name, node), width - node.width, node.signed)


def statements(netlist: Netlist, index: int, names: Sequence[str]) -> list[Assign]:
    """What node `index` takes: helpers, if any, and last the vector `n<index>`.

    Args:
        netlist: Holds the node.
        index: Of the node.
        names: The vectors that carry its arguments.
    """
    node = netlist.nodes[index]
    helpers: list[Assign] = []
    if node.op == "sum" and node.lo != node.hi:
        helpers, value = _sum(netlist, index, names)
    else:
        value = expression(netlist, index, names)
    made = Assign(f"n{index}", node.width, value, node.signed, layer=node.layer)
    return [*helpers, made]


def _sum(
    netlist: Netlist, index: int, names: Sequence[str]
) -> tuple[list[Assign], Vector]:
    """A sum of any number of terms: its counters, and what adds the last two rows."""
    node = netlist.nodes[index]
    args = [netlist.nodes[a] for a in node.args]
    plan = plan_sum(node, args)
    carriers = [name for name, a in zip(names, args, strict=True) if a.op != "const"]
    lows = [low_zeros(arg) for arg in args if arg.op != "const"]

    def bit(one: Bit) -> Bits | Not | Const:
        if one == ONE:
            return Const(1, 1)
        if one.term < 0:
            wire = Bits(f"n{index}_k{-1 - one.term}", one.place, one.place)
        else:
            at = lows[one.term] + one.place
            wire = Bits(carriers[one.term], at, at)
        return Not(wire) if one.inverted else wire

    helpers = []
    for k, counter in enumerate(plan.counters):
        value = Count(tuple([bit(one) for one in counter.bits]), counter.width)
        helpers.append(Assign(f"n{index}_k{k}", value.width, value, layer=node.layer))
    rows = tuple(
        Join(
            tuple(
                [
                    bit(bits[row]) if row < len(bits) else Const(0, 1)
                    for bits in reversed(plan.rows)
                ]
            )
        )
        for row in range(max(map(len, plan.rows)))
    )
    return helpers, rows[0] if len(rows) == 1 else Arithmetic("+", rows, node.width)


def expression(netlist: Netlist, index: int, names: Sequence[str]) -> Expression:
    """What node `index` computes, with `names` the vectors of its arguments."""
    node = netlist.nodes[index]
    args = [netlist.nodes[a] for a in node.args]
    width = node.width
    if node.lo == node.hi:
        return Const(node.lo, width)

    def all_in(wide: int) -> tuple[Vector, ...]:
        pairs = zip(names, args, strict=True)
        return tuple(extended(name, arg, wide) for name, arg in pairs)

    match node.op:
        case "table":
            return Look(f"t{node.table}", whole(names[0], args[0]))
        case "shift" if node.by > 0:
            return Join((Bits(names[0], width - node.by - 1, 0), Const(0, node.by)))
        case "shift":
            top = args[0].width - 1  # its sign, where nothing else is left
            return Bits(names[0], top, min(-node.by, top))
        case "add":
            return Arithmetic("+", all_in(width), width)
        case "sub":
            return Arithmetic("-", all_in(width), width)
        case "mul":
            return Arithmetic("*", all_in(width), width)
        case "compare":  # in a width that holds both, as signed numbers if one is
            signed = any(arg.signed for arg in args)
            wide = max(arg.width + (signed and not arg.signed) for arg in args)
            a, b = all_in(wide)
            match node.test:
                case "==":  # of bits
                    return Compare("==", a, b, False)
                case "<=":
                    return Compare("<=", a, b, signed)
                case _:
                    return Compare("<", a, b, signed)
        case "mux":
            _, a, b = all_in(width)
            return Choose(((Bits(names[0], 0, 0), a),), b)
        case "clip":
            return _clip(node, args[0], names[0])
        case "wrap":  # the wire is no wider than the bits kept, and says how to read it
            return extended(names[0], args[0], width)
    raise ValueError(f"an {node.op} has no expression")


def _clip(node: Node, arg: Node, name: str) -> Choose | Vector:
    """A saturation; at zero and below a power of two it asks a few bits only."""
    top = arg.width - 1
    ways: list[tuple[Test, Vector]] = []
    if arg.lo < node.lo:
        under: Test = Bits(name, top, top)
        if node.lo != 0:
            under = _beyond(arg, name, "<", node.lo)
        ways.append((under, Const(node.lo, node.width)))
    if arg.hi > node.hi:
        bits = node.hi.bit_length()
        if node.lo == 0 and node.hi == (1 << bits) - 1:
            # A negative value, whose high bits are set too, is caught before.
            over: Test = Any(Bits(name, top - arg.signed, bits))
        else:
            over = _beyond(arg, name, ">", node.hi)
        ways.append((over, Const(node.hi, node.width)))
    inside = extended(name, arg, node.width)
    return Choose(tuple(ways), inside) if ways else inside


def _beyond(arg: Node, name: str, test: Literal["<", ">"], bound: int) -> Compare:
    return Compare(test, whole(name, arg), Const(bound, arg.width), arg.signed)


def roms(netlist: Netlist) -> tuple[Rom, ...]:
    """All tables, in order; some node reads each."""
    readers = {node.table: node for node in reversed(netlist.nodes)}  # the first wins
    found = []
    for k, entries in enumerate(netlist.tables):
        arg = netlist.nodes[readers[k].args[0]]
        held = tuple(rows(arg, entries))
        found.append(Rom(f"t{k}", arg.width, readers[k].width, held))
    return tuple(found)


def rows(arg: Node, entries: Sequence[int]) -> list[int]:
    """A table's entries by address, which is the argument's wire read as unsigned.

    An address that no value takes repeats the entry of the nearest address that
    differs in one bit, the lowest that helps: it leaves least to tell apart.
    """
    size = 1 << arg.width
    if len(entries) == size:
        return [*entries[-arg.lo :], *entries[: -arg.lo]] if arg.lo else list(entries)
    held = [*entries, *[None] * (size - len(entries))]  # from the least value on
    zero = -arg.lo % size
    row = held[zero:] + held[:zero]
    bit = 1
    while None in row:
        row = [row[a ^ bit] if row[a] is None else row[a] for a in range(size)]
        bit = bit * 2 if bit * 2 < size else 1
    return [entry for entry in row if entry is not None]
