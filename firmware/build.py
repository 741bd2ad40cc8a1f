"""Writing netlists: nodes get their intervals, and equal nodes exist once.

Lowering and every pass write through a `Builder`, so that no other code has to think
about intervals, about the order of the address of a table, or about dead nodes.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import final

from firmware.netlist import Netlist, Node, Op, interval, shifted


@final
class Builder:
    """A netlist in the making; every method answers the index of a node."""

    def __init__(self, block: str):
        """Starts an empty netlist for `block`."""
        self.block = block
        self.nodes: list[Node] = []
        self._ports: list[int] = []
        self._tables: dict[tuple[int, tuple[int, ...]], int] = {}
        self._entries: list[tuple[int, ...]] = []
        self._index: dict[tuple[object, ...], int] = {}

    def input(self, name: str, lo: int, hi: int) -> int:
        """A port; ports are never merged nor dropped."""
        self._ports.append(len(self.nodes))
        self.nodes.append(Node("input", (), lo, hi, name=name))
        return self._ports[-1]

    def const(self, value: int) -> int:
        """The constant `value`."""
        return self._node("const", (), value, value)

    def shift(self, a: int, by: int, layer: str = "", *, merge: bool = True) -> int:
        """`a * 2**by`, floored; shifts of shifts become one where that is exact."""
        if by == 0:
            return a
        node = self.nodes[a]
        if node.op == "const":
            return self.const(shifted(node.lo, by))
        if merge and node.op == "shift" and (node.by > 0 or by < 0):
            return self.shift(node.args[0], node.by + by, layer)
        lo, hi = shifted(node.lo, by), shifted(node.hi, by)
        return self._node("shift", (a,), lo, hi, by=by, layer=layer)

    def add(self, a: int, b: int, layer: str = "") -> int:
        """`a + b`."""
        return self._made("add", (min(a, b), max(a, b)), layer)

    def sub(self, a: int, b: int, layer: str = "") -> int:
        """`a - b`."""
        return self._made("sub", (a, b), layer)

    def negative(self, a: int, layer: str = "") -> int:
        """`-a`, a minus term of a sum; a shift up stays the last thing done to it."""
        node = self.nodes[a]
        if node.op == "const":
            return self.const(-node.lo)
        if node.op == "shift" and node.by > 0:
            return self.shift(self.negative(node.args[0], layer), node.by, layer)
        if is_negative(self.nodes, a):
            return node.args[1]
        return self.sub(self.const(0), a, layer)

    def sum(self, args: Sequence[int], layer: str = "") -> int:
        """The sum of any number of nodes; of none, the constant 0."""
        if not args:
            return self.const(0)
        if len(args) == 1:
            return args[0]
        return self._made("sum", tuple(sorted(args)), layer)

    def mul(self, a: int, b: int, layer: str = "") -> int:
        """`a * b`."""
        return self._made("mul", (min(a, b), max(a, b)), layer)

    def compare(self, a: int, test: str, b: int, layer: str = "") -> int:
        """1 where `a test b`, else 0; `test` is `<`, `<=` or `==`."""
        lo, hi = interval("compare", (self.nodes[a], self.nodes[b]), test=test)
        return self._node("compare", (a, b), lo, hi, test=test, layer=layer)

    def mux(self, choose: int, a: int, b: int, layer: str = "") -> int:
        """`a` where `choose` is 1, `b` where it is 0."""
        select = self.nodes[choose]
        if a == b or select.lo == select.hi:
            return a if a == b or select.lo else b
        return self._made("mux", (choose, a, b), layer)

    def clip(self, a: int, lo: int, hi: int, layer: str = "") -> int:
        """`a` saturated to `lo..hi`; nothing at all where `a` stays inside."""
        node = self.nodes[a]
        if lo <= node.lo and node.hi <= hi:
            return a
        lo, hi = interval("clip", (node,), bounds=(lo, hi))
        return self._node("clip", (a,), lo, hi, layer=layer)

    def wrap(self, a: int, bits: int, twos: bool, layer: str = "") -> int:
        """The `bits` low bits of `a`; nothing at all where that changes no value."""
        node = self.nodes[a]
        if node.op == "wrap" and bits <= node.bits:
            return self.wrap(node.args[0], bits, twos, layer)
        lo, hi = interval("wrap", (node,), bits=bits, twos=twos)
        if (lo, hi) == (node.lo, node.hi):
            return a
        return self._node("wrap", (a,), lo, hi, bits=bits, twos=twos, layer=layer)

    def beside(self, args: Sequence[int], layer: str = "") -> int:
        """The bits of some nodes side by side, the first lowest: an address, by wiring."""
        word, up = self.const(0), 0
        for a in args:
            width = self.nodes[a].width
            raw = self.shift(self.wrap(a, width, False, layer), up, layer)
            word = self.add(word, raw, layer) if up else raw
            up += width
        return word

    def table(self, a: int, entry: Callable[[int], int], layer: str = "") -> int:
        """`entry(a)`, looked up; `entry` is asked for the reachable values of `a`."""
        node = self.nodes[a]
        return self.rom(a, [int(entry(v)) for v in range(node.lo, node.hi + 1)], layer)

    def rom(
        self,
        a: int,
        entries: Sequence[int],
        layer: str = "",
        bounds: tuple[int, int] | None = None,
    ) -> int:
        """`entries[a - a.lo]`, an entry for each value that `a` can have.

        Whoever knows their least and greatest may say these.
        """
        entries = tuple(entries)
        lo, hi = bounds or interval("table", (), entries=entries)
        if lo == hi:
            return self.const(lo)
        key = (self.nodes[a].lo, entries)
        table = self._tables.setdefault(key, len(self._entries))
        if table == len(self._entries):
            self._entries.append(entries)
        return self._node("table", (a,), lo, hi, table=table, layer=layer)

    def entries(self, index: int) -> tuple[int, ...]:
        """The entries of table node `index`, from its argument's least value up."""
        return self._entries[self.nodes[index].table]

    def finish(self, outputs: Sequence[tuple[str, int]]) -> Netlist:
        """The netlist without its dead nodes and tables, in the order of writing."""
        live = needed(self.nodes, [*self._ports, *(index for _, index in outputs)])
        if len(live) == len(self.nodes):
            written = tuple(self.nodes), tuple(self._entries)
            return Netlist(self.block, *written, tuple(outputs))
        moved = [-1] * len(self.nodes)
        tables: dict[int, int] = {-1: -1}
        nodes: list[Node] = []
        for i in live:
            node = self.nodes[i]
            moved[i] = len(nodes)
            args = tuple([moved[a] for a in node.args])
            table = tables.setdefault(node.table, len(tables) - 1)
            if args != node.args or table != node.table:
                op, _, lo, hi, by, _, name, layer, bits, twos, test = node
                node = Node(op, args, lo, hi, by, table, name, layer, bits, twos, test)
            nodes.append(node)
        return Netlist(
            self.block,
            tuple(nodes),
            tuple([self._entries[old] for old in tables if old >= 0]),
            tuple([(name, moved[index]) for name, index in outputs]),
        )

    def _made(self, op: Op, args: tuple[int, ...], layer: str) -> int:
        """A node that is nothing but its operation and its arguments."""
        lo, hi = interval(op, [self.nodes[a] for a in args])
        return self._node(op, args, lo, hi, layer=layer)

    def _node(
        self,
        op: Op,
        args: tuple[int, ...],
        lo: int,
        hi: int,
        *,
        by: int = 0,
        table: int = -1,
        bits: int = 0,
        twos: bool = False,
        test: str = "",
        layer: str = "",
    ) -> int:
        """The one node of these fields, whatever its layer; a constant if it is one."""
        if lo == hi and op != "const":
            return self.const(lo)
        key = (op, args, lo, hi, by, table, bits, twos, test)
        index = self._index.setdefault(key, len(self.nodes))
        if index == len(self.nodes):
            fields = (op, args, lo, hi, by, table, "", layer, bits, twos, test)
            self.nodes.append(tuple.__new__(Node, fields))  # half of the time of Node
        return index


def needed(nodes: Sequence[Node], leaving: Iterable[int]) -> list[int]:
    """The nodes that those of `leaving` depend on, themselves included, in order.

    A value that never changes depends on none.
    """
    live = [False] * len(nodes)
    for i in leaving:
        live[i] = True
    for i in range(len(nodes) - 1, -1, -1):
        if live[i] and nodes[i].lo != nodes[i].hi:
            for a in nodes[i].args:
                live[a] = True
    return [i for i, wanted in enumerate(live) if wanted]


def is_negative(nodes: Sequence[Node], index: int) -> bool:
    """Whether a node is a minus term, `0 - a`."""
    node = nodes[index]
    if node.op != "sub":
        return False
    first = nodes[node.args[0]]
    return first.lo == first.hi == 0


def copy(
    netlist: Netlist,
    index: int,
    args: Sequence[int],
    into: Builder,
) -> int:
    """Writes node `index` of `netlist` again, on the arguments `args` of `into`.

    The new arguments must compute what the old ones did.  If their intervals are
    tighter, tables shrink with them; if they are looser, entries that no value
    reaches repeat the nearest one.
    """
    node = netlist.nodes[index]
    match node.op:
        case "table":
            old, new = netlist.nodes[node.args[0]], into.nodes[args[0]]
            if (old.lo, old.hi) == (new.lo, new.hi):
                entries, bounds = netlist.tables[node.table], (node.lo, node.hi)
                return into.rom(args[0], entries, node.layer, bounds)
            return into.table(args[0], lookup(netlist, index), node.layer)
        case "shift":
            return into.shift(args[0], node.by, node.layer)
        case "input":
            return into.input(node.name, node.lo, node.hi)
        case "const":
            return into.const(node.lo)
        case "add":
            return into.add(args[0], args[1], node.layer)
        case "sub":
            return into.sub(args[0], args[1], node.layer)
        case "sum":
            return into.sum(args, node.layer)
        case "mul":
            return into.mul(args[0], args[1], node.layer)
        case "compare":
            return into.compare(args[0], node.test, args[1], node.layer)
        case "mux":
            return into.mux(args[0], args[1], args[2], node.layer)
        case "clip":
            return into.clip(args[0], node.lo, node.hi, node.layer)
        case "wrap":
            return into.wrap(args[0], node.bits, node.twos, node.layer)


def lookup(netlist: Netlist, index: int) -> Callable[[int], int]:
    """What table node `index` answers to a value of its argument, held at its ends."""
    node = netlist.nodes[index]
    entries = netlist.tables[node.table]
    lo = netlist.nodes[node.args[0]].lo
    return lambda v: entries[min(max(v - lo, 0), len(entries) - 1)]


def users(netlist: Netlist) -> list[list[int]]:
    """For every node, the nodes that read it, in order; ports do not count."""
    read: list[list[int]] = [[] for _ in netlist.nodes]
    for i, node in enumerate(netlist.nodes):
        for a in node.args if len(node.args) < 2 else dict.fromkeys(node.args):
            read[a].append(i)
    return read


def alone(netlist: Netlist) -> list[bool]:
    """Of every node, whether a single other one reads it and no port does."""
    found = [len(readers) == 1 for readers in users(netlist)]
    for _, index in netlist.outputs:
        found[index] = False
    return found


def rewrite(
    netlist: Netlist,
    rule: Callable[[Builder, int, tuple[int, ...]], int | None],
) -> Netlist:
    """Copies a netlist node by node, with `rule` free to write something else.

    Args:
        netlist: What is copied.
        rule: Asked with the builder, the index of the old node and the new indices of
            its arguments; answers the index of an equal node, or None to copy.
    """
    into = Builder(netlist.block)
    moved: list[int] = []
    for i, node in enumerate(netlist.nodes):
        old = node.args
        args = (moved[old[0]],) if len(old) == 1 else tuple([moved[a] for a in old])
        new = rule(into, i, args)
        moved.append(copy(netlist, i, args, into) if new is None else new)
    return into.finish([(name, moved[index]) for name, index in netlist.outputs])
