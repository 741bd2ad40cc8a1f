"""How long one operation takes: a simple model of a modern FPGA.

Estimates, all of them.  They stand for a fabric of 6-input LUTs with MUXF7/8/9 and
carry chains of 8 bits, of the UltraScale+ kind, at a common speed grade, with the
routing that a placed and routed block of this size sees.  They are meant to place
registers sensibly, not to replace the timing report of a vendor's tool.

Where the numbers come from
---------------------------
alkaid (0.8.2) models an adder as 1.094 + 0.0254 ns per bit and a table as 0.075 ns,
0.2 ns more for each of MUXF7/8/9 and 0.8 ns for each address bit above them.  With
these a network of 16 -> 20 -> 5 units comes to 12.5 ns, where 9.2 ns after place and
route have been published for one of that size (HGQ-LUT, FCCM 2026, xcvu13p).  Hence a
cheaper adder here; and the net in front of a table is counted with the table.
"""

from collections.abc import Sequence
from functools import lru_cache

from firmware.compress import Plan, Term, plan
from firmware.netlist import Node

LEVEL_NS = 0.40
"""One LUT6 and the net that leads to it."""

MUX_NS = 0.20
"""One dedicated multiplexer (MUXF7, F8, F9) behind the LUTs."""

ADD_NS = 0.75
"""The net, the LUT in front of a carry chain, the way in and out of the chain."""

CARRY_NS = 0.025
"""One bit along a carry chain."""

REGISTER_NS = 0.15
"""What a pair of registers takes of every period: clock to output, and set-up."""


def delay_ns(node: Node, args: Sequence[Node]) -> float:
    """Nanoseconds from the last argument to the value of `node`, an estimate.

    Args:
        node: Any operation; a `sum` counts as a balanced tree of adders.
        args: The nodes that it reads.
    """
    match node.op:
        case "input" | "const" | "shift" | "wrap":
            return 0.0
        case "add" | "sub":
            return add_ns(node, args)
        case "sum":
            plan = plan_sum(node, args)
            chain = ADD_NS + CARRY_NS * plan.carry[1] if plan.carry[1] else 0.0
            return plan.levels * LEVEL_NS + chain
        case "mul":  # the rows of one factor, added two by two
            rows = min(arg.width for arg in args)
            return (rows - 1).bit_length() * (ADD_NS + CARRY_NS * node.width)
        case "compare":
            return ADD_NS + CARRY_NS * max(arg.width for arg in args)
        case "mux":
            return LEVEL_NS
        case "clip":
            return clip_ns(node, args[0])
        case "table":
            return table_ns(args[0].width)


def table_ns(address: int) -> float:
    """A table of `address` bits: one LUT level up to 6, then MUXF7, F8, F9.

    Beyond 9 bits every two more cost a further level, a LUT6 being a 4:1 multiplexer.
    One bit is a wire or an inverter, which the next LUT takes in.
    """
    if address <= 1:
        return 0.0
    muxes = min(max(address - 6, 0), 3)
    levels = 1 + (max(address - 9, 0) + 1) // 2
    return levels * LEVEL_NS + muxes * MUX_NS


def add_ns(node: Node, args: Sequence[Node]) -> float:
    """An adder or subtractor: nothing where it is wiring."""
    if node.op == "add" and disjoint(*args):
        return 0.0
    return ADD_NS + CARRY_NS * carry(node, args)


def carry(node: Node, args: Sequence[Node]) -> int:
    """Bits of the carry chain of an `add` or a `sub`; 0 where it is wiring.

    A sum starts at the lowest bit that both operands have; a difference borrows from
    the lowest bit that is taken away.
    """
    if node.op == "sub":
        return node.width - low_zeros(args[1])
    if disjoint(*args):
        return 0
    return node.width - max(low_zeros(arg) for arg in args)


def disjoint(a: Node, b: Node) -> bool:
    """Whether no bit of one meets a bit of the other, so that adding is wiring."""
    return any(
        low.lo >= 0 and low.width <= low_zeros(high) for low, high in ((a, b), (b, a))
    )


def plan_sum(node: Node, args: Sequence[Node]) -> Plan:
    """How the terms of a `sum` are added, its constants taken together."""
    return _plan_sum(node.width, tuple(args))


@lru_cache(maxsize=4096)
def _plan_sum(width: int, args: tuple[Node, ...]) -> Plan:
    terms = tuple(
        [
            Term(zeros, arg.width - zeros, arg.signed)
            for arg in args
            if arg.op != "const"
            for zeros in (low_zeros(arg),)
        ]
    )
    return plan(terms, width, sum([arg.lo for arg in args if arg.op == "const"]))


def clip_ns(node: Node, arg: Node) -> float:
    """A saturation: the bits that tell and one that is told fit a LUT6, or two levels."""
    telling = arg.width - node.width if node.lo >= 0 else arg.width
    return LEVEL_NS if telling <= 5 else 2 * LEVEL_NS


def low_zeros(node: Node) -> int:
    """Low bits of the value that are wired to zero."""
    if node.op == "shift" and node.by > 0:
        return node.by
    if node.op == "const" and node.lo:
        return (node.lo & -node.lo).bit_length() - 1
    return 0
