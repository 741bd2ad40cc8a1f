"""Rewriting a netlist into a smaller one that computes exactly the same.

Each pass is a function from netlist to netlist and can be tested, left out or moved on
its own.  What always holds is not a pass but a habit of `firmware.build.Builder`:
equal nodes and equal tables exist once, constants and clips that never bite vanish,
dead nodes are dropped.

The order matters: the passes of `SIMPLIFY` keep sums whole and their tables unsigned,
which shows most chances.  After one round of them `fill` looks for addresses that no
word reaches and `collapse` for words that one table can give; then they run until
nothing changes.  After that `split` makes two tables of a very wide one and `join` one
table of several small ones.  In the end `firmware.tree` cuts sums into adders and hides
the constants.  Until then a subtraction is a sum with a minus term, `Builder.negative`.
"""

import math
import operator
from collections.abc import Callable, Iterable, Sequence

from firmware.build import Builder, alone, is_negative, lookup, rewrite
from firmware.collapse import collapse
from firmware.dont_care import fill
from firmware.join import join
from firmware.netlist import Netlist, Node
from firmware.pipeline import cycle_ns, cycles_bits
from firmware.split import split
from firmware.tree import chain_shifts, plant_trees

CLOCKED = (5, 1.0)
"""Address bits and saved LUTs of `join` in a block with registers inside.

There joined tables of six bits cost as often as they save, on the networks that were
measured: what Yosys shares between a table and what stands around it ends at registers,
and a LUT of five inputs is half of one."""

COLLAPSED = 0.5
"""`worth` of `collapse` in a block with registers inside, for the same reason."""

SHARES: tuple[float, ...] = (1.0, 0.75, 0.5, 0.4)
"""Parts of a cycle that one sum may take: each is tried, the best pipeline wins."""


def optimise(netlist: Netlist, clock_mhz: float | int | None = None) -> Netlist:
    """Runs every pass, in the order that the module names.

    Args:
        netlist: What to optimise.
        clock_mhz: The clock that sums shall fit; without one they are flat, which is
            the least area and the least delay of a block without registers inside.
    """
    for simplify in SIMPLIFY:
        netlist = simplify(netlist)
    netlist = fill(netlist)
    if clock_mhz is None:
        netlist = _simplified(collapse(netlist))
        return chain_shifts(plant_trees(join(split(netlist))))
    cycle = cycle_ns(clock_mhz)
    netlist = _simplified(collapse(netlist, COLLAPSED))
    few = join(netlist, *CLOCKED)
    # What saves LUTs comes first; what may cost some wins by a cycle less.
    tried = dict.fromkeys((join(split(netlist), *CLOCKED), few), SHARES)
    tried.setdefault(join(netlist), SHARES[:1])
    planted: dict[Netlist, int] = {}
    for rank, (one, shares) in enumerate(tried.items()):
        for share in shares:  # equal ones once
            planted.setdefault(chain_shifts(plant_trees(one, share * cycle)), rank)
    found = [(cycles_bits(one, clock_mhz), rank, one) for one, rank in planted.items()]
    able = [((need[0], rank, need[1]), one) for need, rank, one in found if need]
    if able:
        return min(able, key=lambda way: way[0])[1]
    # Where no sum fits, whoever cuts the block into cycles says what is too long.
    return chain_shifts(plant_trees(few, SHARES[-1] * cycle))


def _simplified(netlist: Netlist) -> Netlist:
    """`SIMPLIFY` until nothing changes."""
    settled: set[Callable[[Netlist], Netlist]] = set()  # would change nothing
    while True:
        before = netlist
        for simplify in SIMPLIFY:
            if simplify not in settled:
                netlist, last = simplify(netlist), netlist
                settled = settled | {simplify} if netlist == last else set()
        if netlist == before:
            return netlist


def fold(netlist: Netlist) -> Netlist:
    """Sums swallow adders, subtractions, sums and constants; clips swallow clips."""
    own = alone(netlist)
    if not any(_folds(netlist, own, node) for node in netlist.nodes):
        return netlist

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = netlist.nodes[i]
        if node.op in ("add", "sum"):
            terms: list[int] = []
            total = 0
            for old, new in zip(node.args, args, strict=True):
                inner = into.nodes[new]
                opened = inner.op == "sum" and own[old] and node.args.count(old) == 1
                for term in inner.args if opened else (new,):
                    if into.nodes[term].op == "const":
                        total += into.nodes[term].lo
                    else:
                        terms.append(term)
            constant = [into.const(total)] if total else []
            return into.sum(terms + constant, node.layer)
        if node.op == "sub":
            inner = into.nodes[args[1]]
            opened = inner.op == "sum" and own[node.args[1]]
            inside = inner.args if opened else (args[1],)
            minus = [into.negative(term, node.layer) for term in inside]
            first = into.nodes[args[0]]
            plus = [] if first.lo == first.hi == 0 else [args[0]]
            return into.sum(plus + minus, node.layer)
        if node.op == "clip" and into.nodes[args[0]].op == "clip":
            inner = into.nodes[args[0]]
            lo = min(max(inner.lo, node.lo), node.hi)
            hi = min(max(inner.hi, node.lo), node.hi)
            return into.clip(inner.args[0], lo, hi, node.layer)
        return None

    return rewrite(netlist, rule)


def _folds(netlist: Netlist, own: Sequence[bool], node: Node) -> bool:
    """Whether `fold` might write a node otherwise."""
    inner = [netlist.nodes[a] for a in node.args]
    match node.op:
        case "sum":
            pairs = zip(node.args, inner, strict=True)
            opened = any(own[a] and one.op == "sum" for a, one in pairs)
            return opened or sum([one.op == "const" for one in inner]) > 1
        case "sub":
            bare = inner[1].op not in ("const", "shift", "sub", "sum")
            return not (bare and inner[0].lo == inner[0].hi == 0)
        case "clip":
            return inner[0].op == "clip"
        case op:
            return op == "add"


def narrow(netlist: Netlist) -> Netlist:
    """Tables read only the address bits that they depend on; some are mere wires.

    A minus sign before or behind a table goes into it.
    """
    own = alone(netlist)

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = netlist.nodes[i]
        if is_negative(netlist.nodes, i) and into.nodes[args[1]].op == "table":
            old, table = node.args[1], into.nodes[args[1]]
            if not own[old]:
                return None
            entries, zero = into.entries(args[1]), into.nodes[table.args[0]].lo
            return into.table(table.args[0], lambda v: -entries[v - zero], table.layer)
        if node.op != "table":
            return None
        entry, arg, layer = lookup(netlist, i), into.nodes[args[0]], node.layer
        lo, hi, old = arg.lo, arg.hi, netlist.nodes[node.args[0]]
        if arg.op == "shift" and arg.by > 0:
            by = arg.by
            return into.table(arg.args[0], lambda v: entry(v << by), layer)
        if is_negative(into.nodes, args[0]):
            return into.table(arg.args[1], lambda v: entry(-v), layer)
        drop, entries = 0, netlist.tables[node.table]
        if (lo, hi) != (old.lo, old.hi):
            entries = tuple([entry(v) for v in range(lo, hi + 1)])
        while (hi >> drop) - (lo >> drop) > 1 and _steps_alike(entries, lo, 1 << drop):
            drop += 1
        if drop:
            address = into.shift(args[0], -drop, layer)
            return into.table(
                address, lambda v: entry(min(max(v << drop, lo), hi)), layer
            )
        keep = (hi - lo).bit_length()
        while keep > 1 and entries[1 << (keep - 1) :] == entries[: -1 << (keep - 1)]:
            keep -= 1
        if keep < (hi - lo).bit_length():
            address = into.wrap(args[0], keep, False, layer)
            return into.table(
                address, lambda v: entry(lo + (v - lo) % (1 << keep)), layer
            )
        if entries[0] == lo and entries == tuple(range(lo, hi + 1)):
            return args[0]
        return None

    return rewrite(netlist, rule)


def normalise(netlist: Netlist) -> Netlist:
    """Tables in a sum start at 0 and lose their low zero bits; sums keep the rest.

    `T = (T' << k) + c` with `T'` unsigned; the `c` of all tables become one constant.
    """

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = netlist.nodes[i]
        if node.op not in ("add", "sum"):
            return None
        terms: list[int] = []
        for new in args:
            term, up = into.nodes[new], 0
            if term.op == "shift" and term.by > 0:
                new, up = term.args[0], term.by
                term = into.nodes[new]
            minus = is_negative(into.nodes, new)
            if minus:  # of a table that others read too, else `narrow` had turned it
                new = term.args[1]
                term = into.nodes[new]
            if term.op != "table":
                new = into.negative(new, node.layer) if minus else new
                terms.append(into.shift(new, up, node.layer))
                continue
            least, bare = term.lo, into.entries(new)
            if least:
                bare = tuple([entry - least for entry in bare])
            k = _low_zeros(bare)
            if k:
                bare = tuple([entry >> k for entry in bare])
            if bare[:2] == (0, 1) and bare == tuple(range(len(bare))):
                wire = term.args[0]
                least -= into.nodes[wire].lo << k
            else:
                wire = into.rom(term.args[0], bare, term.layer)
            wire = into.negative(wire, node.layer) if minus else wire
            terms.append(into.shift(wire, k + up, node.layer))
            if least:
                terms.append(into.const((-least if minus else least) << up))
        return into.sum(terms, node.layer)

    return rewrite(netlist, rule)


def push_shifts(netlist: Netlist) -> Netlist:
    """`clip(a) >> s` becomes `clip(a >> s)`, where nothing reads the low bits."""
    nodes = netlist.nodes
    drops: dict[int, int] = {}  # of every clip, low bits that no node reads
    for node in nodes:
        for a in node.args:
            if nodes[a].op == "clip":
                down = max(0, -node.by)
                drops[a] = min(drops.get(a, down), down)
    drops |= dict.fromkeys([index for _, index in netlist.outputs], 0)
    if not any(drops.values()):
        return netlist

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = nodes[i]
        drop = drops.get(node.args[0], 0) if node.op == "shift" else 0
        if not drop or into.nodes[args[0]].op != "clip":
            return None
        clip = into.nodes[args[0]]
        low = into.shift(clip.args[0], -drop, clip.layer)
        tight = into.clip(low, clip.lo >> drop, clip.hi >> drop, clip.layer)
        return into.shift(tight, node.by + drop, node.layer)

    return rewrite(netlist, rule)


def trim(netlist: Netlist) -> Netlist:
    """`sum >> d` loses the low bits whose carry into the rest is always the same.

    So go a constant's bits below every table's lowest, and the lowest bits of a table
    that stands alone there.
    """
    own = alone(netlist)

    def rule(into: Builder, i: int, args: tuple[int, ...]) -> int | None:
        node = netlist.nodes[i]
        if node.op != "shift" or node.by >= 0 or into.nodes[args[0]].op != "sum":
            return None
        if not own[node.args[0]]:
            return None
        terms = into.nodes[args[0]].args
        for drop in range(-node.by, 0, -1):
            carry = _carry(into, terms, drop)
            if carry is not None:
                kept = [_high_part(into, term, drop) for term in terms]
                kept.append(into.const(carry))
                total = into.sum(kept, into.nodes[args[0]].layer)  # not its reader's
                return into.shift(total, node.by + drop, node.layer)
        return None

    return rewrite(netlist, rule)


SIMPLIFY: tuple[Callable[[Netlist], Netlist], ...] = (
    fold,
    narrow,
    normalise,
    fold,
    push_shifts,
    trim,
)


def _steps_alike(entries: Sequence[int], lo: int, step: int) -> bool:
    """Whether an entry is the one before where the address is an odd multiple of `step`.

    The address of the first entry, of which nothing is asked, is `lo`.
    """
    first = (step - lo - 1) % (2 * step) + 1
    before = entries[first - 1 :: 2 * step]
    return all(map(operator.eq, entries[first :: 2 * step], before))


def _values(into: Builder, term: int) -> list[int] | None:
    """Every value that a table or constant takes, through a shift; else None."""
    node, up = into.nodes[term], 0
    if node.op == "shift":
        term, up = node.args[0], node.by
        node = into.nodes[term]
    if node.op == "const":
        return [node.lo]
    if node.op != "table" or up < 0:
        return None
    return [entry << up for entry in set(into.entries(term))]


def _carry(into: Builder, terms: Sequence[int], drop: int) -> int | None:
    """What the `drop` low bits of some terms carry, where it is always the same."""
    lo = hi = 0
    for term in terms:
        least, most = _low_part(into, term, drop)
        lo, hi = lo + least, hi + most
        if (hi - lo) >> drop:
            return None
    return lo >> drop if lo >> drop == hi >> drop else None


def _low_part(into: Builder, term: int, drop: int) -> tuple[int, int]:
    """Least and greatest value of the `drop` low bits of a term."""
    values = _values(into, term)
    if values is not None:
        low = [value & ((1 << drop) - 1) for value in values]
        return min(low), max(low)
    node = into.nodes[term]
    zeros = node.by if node.op == "shift" and node.by > 0 else 0
    inner = node.args[0] if zeros else term
    if is_negative(into.nodes, inner) and zeros < drop:
        # Anything: cut, it would be no minus term any more but a negation of its own.
        return 0, 1 << drop
    return 0, max(0, (1 << drop) - (1 << min(zeros, drop)))


def _high_part(into: Builder, term: int, drop: int) -> int:
    """`term >> drop`, inside the table where the term is one."""
    node = into.nodes[term]
    up = 0
    if node.op == "shift" and 0 < node.by < drop:
        up, inner = node.by, node.args[0]
    else:
        inner = term
    table = into.nodes[inner]
    if table.op != "table":
        return into.shift(term, -drop, node.layer)
    entries, lo = into.entries(inner), into.nodes[table.args[0]].lo
    return into.table(
        table.args[0], lambda v: (entries[v - lo] << up) >> drop, table.layer
    )


def _low_zeros(values: Iterable[int]) -> int:
    """Low bits that are zero in all of the values."""
    common = math.gcd(*values)
    return (common & -common).bit_length() - 1 if common else 0
