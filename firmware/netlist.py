"""The integer program: a list of operations on integers whose ranges are known.

A netlist is what is left of a network when every float is gone.  It is the one source
of the RTL, the emulators and the reports, and `firmware.interpret` is the referee of
what it means.

Conventions
-----------
- Nodes stand in topological order; an argument is the index of an earlier node.
- Every node carries the exact interval `lo..hi` that follows from its arguments'; its
  wire is two's complement if `lo < 0`, unsigned otherwise, and just wide enough.
- Tables are total on the interval of their argument: entry `k` answers `arg.lo + k`.
  Nodes that share a table read it from the same `arg.lo`, as one ROM would be wired.
- All values and intermediates fit in 64 signed bits.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, final, get_args

from trigger.errors import UserError

FORMAT = "jetlut-netlist"
VERSION = 3

Op = Literal[
    "input",
    "const",
    "shift",
    "add",
    "sub",
    "sum",
    "mul",
    "clip",
    "wrap",
    "compare",
    "mux",
    "table",
]
"""What a node computes, with `a`, `b` its arguments:

input   the port word called `name`
const   `lo` (which equals `hi`)
shift   `a * 2**by` for `by >= 0`, else `floor(a / 2**-by)`: truncation is wiring
add     `a + b`
sub     `a - b`; with `a` the constant 0, how a minus term of a sum is written
sum     the sum of all arguments, by carry-save counters and one adder in the RTL
mul     `a * b`; only where a program asks for it, constants are shifts and sums
clip    `min(max(a, lo), hi)`: saturation; with `lo` 0 and no `hi` to reach, a ReLU
wrap    the `bits` low bits of `a`, read as two's complement if `twos`: wiring
compare 1 where `a test b` holds, else 0, with `test` one of `<`, `<=`, `==`
mux     `b` where `a` is 1, `c` where it is 0
table   `tables[table][a - a.lo]`
"""

Test = Literal["<", "<=", "=="]
"""What a `compare` asks."""

INT64 = 2**63


@final
class Node(NamedTuple):
    """One operation; fields that its `op` does not use keep their defaults.

    A tuple, for each pass makes every node anew and compares it with others.
    """

    op: Op
    args: tuple[int, ...]
    lo: int
    hi: int
    by: int = 0
    table: int = -1
    name: str = ""
    layer: str = ""
    bits: int = 0
    twos: bool = False
    test: str = ""

    @property
    def signed(self) -> bool:
        """Whether the wire is two's complement."""
        return self.lo < 0

    @property
    def width(self) -> int:
        """Bits of the wire that holds `lo..hi`, at least 1."""
        return width(self.lo, self.hi)


def width(lo: int, hi: int) -> int:
    """Bits that hold every integer of `lo..hi`: unsigned if `lo >= 0`, else signed."""
    if lo >= 0:
        return hi.bit_length() or 1
    return 1 + max(hi.bit_length() if hi > 0 else 0, (-lo - 1).bit_length())


@final
@dataclass(frozen=True)
class Netlist:
    """A whole block: its nodes, their tables, and which nodes leave through ports."""

    block: str
    nodes: tuple[Node, ...]
    tables: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[str, int], ...]

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the input nodes, in port order."""
        return tuple(i for i, node in enumerate(self.nodes) if node.op == "input")


def interval(
    op: Op,
    args: Sequence[Node],
    *,
    by: int = 0,
    entries: Sequence[int] = (),
    bounds: tuple[int, int] = (0, 0),
    bits: int = 0,
    twos: bool = False,
    test: str = "",
) -> tuple[int, int]:
    """The exact interval of an operation's value, from its arguments' intervals.

    Args:
        op: The operation.
        args: The argument nodes.
        by: Of a `shift`.
        entries: Of a `table`.
        bounds: `lo, hi` of an `input`, a `const` or a `clip`.
        bits: Of a `wrap`.
        twos: Of a `wrap`.
        test: Of a `compare`.
    """
    match op:
        case "table":
            return min(entries), max(entries)
        case "input" | "const":
            return bounds
        case "shift":
            (a,) = args
            return shifted(a.lo, by), shifted(a.hi, by)
        case "add" | "sum":
            return sum([a.lo for a in args]), sum([a.hi for a in args])
        case "sub":
            a, b = args
            return a.lo - b.hi, a.hi - b.lo
        case "mul":
            a, b = args
            corners = [x * y for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
            return min(corners), max(corners)
        case "compare":
            a, b = args
            return _compared(a, b, test)
        case "mux":
            choose, *ways = args
            if choose.lo == choose.hi:
                ways = [ways[1 - choose.lo]]
            return min(way.lo for way in ways), max(way.hi for way in ways)
        case "clip":
            (a,) = args
            lo, hi = bounds
            return min(max(a.lo, lo), hi), min(max(a.hi, lo), hi)
        case "wrap":
            (a,) = args
            least = -(1 << (bits - 1)) if twos else 0
            # Counted from the least value on; where no turn lies between, `a` moves
            # by a multiple of the range.
            turn, start = divmod(a.lo - least, 1 << bits)
            if (a.hi - least) >> bits == turn:
                return least + start, least + start + a.hi - a.lo
            return least, least + (1 << bits) - 1


def shifted(value: int, by: int) -> int:
    """`value * 2**by`, floored."""
    return value << by if by >= 0 else value >> -by


def _compared(a: Node, b: Node, test: str) -> tuple[int, int]:
    """Whether a comparison always holds (1, 1), never (0, 0), or may do either."""
    match test:
        case "<":
            always, never = a.hi < b.lo, a.lo >= b.hi
        case "<=":
            always, never = a.hi <= b.lo, a.lo > b.hi
        case _:
            always = a.lo == a.hi == b.lo == b.hi
            never = a.hi < b.lo or b.hi < a.lo
    return int(always), int(not never)


ARITY = {"input": 0, "const": 0, "mux": 3}
ARITY |= dict.fromkeys(("add", "sub", "mul", "compare"), 2)
ARITY |= dict.fromkeys(("shift", "clip", "wrap", "table"), 1)


def validate(netlist: Netlist) -> None:
    """Refuses a netlist that breaks a promise of this module.

    Raises:
        UserError: The first broken promise: order, arity, interval, table length or
            sharing, an interval beyond 64 bits, or an output that points nowhere.
    """

    def refuse(index: int, what: str) -> UserError:
        op = netlist.nodes[index].op
        return UserError(f"netlist {netlist.block!r}: node {index} ({op}) {what}")

    first: dict[int, int] = {}
    known = get_args(Op)
    for i, node in enumerate(netlist.nodes):
        if node.op not in known:
            raise refuse(i, f"is unknown; known are {', '.join(known)}")
        if node.args and not 0 <= min(node.args) <= max(node.args) < i:
            raise refuse(i, f"reads nodes {node.args}, but only 0..{i - 1} come before")
        wanted = ARITY.get(node.op)
        if wanted is not None and len(node.args) != wanted:
            raise refuse(i, f"has {len(node.args)} arguments, it takes {wanted}")
        if node.op == "sum" and not node.args:
            raise refuse(i, "sums nothing; write a const")
        if node.lo > node.hi:
            raise refuse(i, f"has an empty interval {node.lo}..{node.hi}")
        if node.op == "compare" and node.test not in get_args(Test):
            raise refuse(
                i, f"tests {node.test!r}; known are {', '.join(get_args(Test))}"
            )
        if node.op == "mux":
            choose = netlist.nodes[node.args[0]]
            if not 0 <= choose.lo <= choose.hi <= 1:
                raise refuse(i, f"chooses by {choose.lo}..{choose.hi}; 0 and 1 work")
        if node.op == "wrap" and not 1 <= node.bits < 64:
            raise refuse(i, f"keeps {node.bits} bits; 1..63 work")
        args = [netlist.nodes[a] for a in node.args]
        entries: tuple[int, ...] = ()
        if node.op == "table":
            if not 0 <= node.table < len(netlist.tables):
                raise refuse(i, f"names table {node.table} of {len(netlist.tables)}")
            entries = netlist.tables[node.table]
            span = args[0].hi - args[0].lo + 1
            if len(entries) != span:
                raise refuse(
                    i,
                    f"has a table of {len(entries)} entries for an address that "
                    f"takes {span} values, {args[0].lo}..{args[0].hi}",
                )
            if first.setdefault(node.table, args[0].lo) != args[0].lo:
                raise refuse(
                    i,
                    f"reads table {node.table} from {args[0].lo} on, "
                    f"another node reads it from {first[node.table]} on",
                )
        exact = interval(
            node.op,
            args,
            by=node.by,
            entries=entries,
            bounds=(node.lo, node.hi),
            bits=node.bits,
            twos=node.twos,
            test=node.test,
        )
        if exact != (node.lo, node.hi):
            raise refuse(
                i,
                f"says {node.lo}..{node.hi}, its arguments make {exact[0]}..{exact[1]}",
            )
        if node.lo < -INT64 or node.hi >= INT64:
            raise refuse(i, f"needs {node.width} bits; 64 signed bits are the limit")
    for name, index in netlist.outputs:
        if not 0 <= index < len(netlist.nodes):
            raise UserError(
                f"netlist {netlist.block!r}: output {name!r} points to node {index}, "
                f"there are {len(netlist.nodes)}"
            )


UNWRITTEN = {
    "name": "",
    "args": (),
    "by": 0,
    "table": -1,
    "bits": 0,
    "twos": False,
    "test": "",
}
"""What a field of a node holds where it is left out of the text, in its order there."""


def to_json(netlist: Netlist) -> str:
    """The netlist as text, one node or table a line, so that a diff can be read."""

    def node_text(node: Node) -> str:
        row: dict[str, Any] = {"op": node.op}
        for key, default in UNWRITTEN.items():
            if (value := getattr(node, key)) != default:
                row[key] = value
        row["lo"], row["hi"] = node.lo, node.hi
        if node.layer:
            row["layer"] = node.layer
        return json.dumps(row)

    def block(rows: Sequence[str]) -> str:
        return "[\n  " + ",\n  ".join(rows) + "\n ]" if rows else "[]"

    parts = {
        "format": json.dumps(FORMAT),
        "version": str(VERSION),
        "block": json.dumps(netlist.block),
        "outputs": json.dumps([list(output) for output in netlist.outputs]),
        "nodes": block([node_text(node) for node in netlist.nodes]),
        "tables": block([json.dumps(table) for table in netlist.tables]),
    }
    return (
        "{\n" + ",\n".join(f' "{key}": {text}' for key, text in parts.items()) + "\n}\n"
    )


def from_json(text: str) -> Netlist:
    """Reads what `to_json` wrote, and validates it.

    Raises:
        UserError: Not a netlist, a newer version, or a netlist that does not hold.
    """
    try:
        raw: Mapping[str, Any] = json.loads(text)
        kind, version = raw["format"], raw["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"not a {FORMAT} file: {error!r}") from error
    if kind != FORMAT or version != VERSION:
        raise UserError(
            f"the file is {kind!r} version {version}, this program reads "
            f"{FORMAT!r} version {VERSION}"
        )
    try:
        netlist = Netlist(
            block=raw["block"],
            nodes=tuple(
                Node(**{**row, "args": tuple(row.get("args", ()))})
                for row in raw["nodes"]
            ),
            tables=tuple(tuple(table) for table in raw["tables"]),
            outputs=tuple((name, index) for name, index in raw["outputs"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"a broken {FORMAT} file: {error!r}") from error
    validate(netlist)
    return netlist
