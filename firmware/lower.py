"""From a frozen program to a netlist: the one place where firmware meets models.

All operations but the weighted sum are the netlist's own.  Weighted sums of one layer
that read the same values are a constant matrix times a vector, which `firmware.cmvm`
knows how to write with shifts and additions.  The passes of `firmware.passes` do the
rest.

Conventions
-----------
- Nodes name the layer that they come from; names mean nothing to the function.
- A matrix is written where the first of its sums stands, so all that any of its sums
  reads stands before that.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from firmware import cmvm
from firmware.build import Builder
from firmware.front_end import attach, front_netlist
from firmware.netlist import Netlist, validate
from firmware.passes import optimise
from models.frozen import FrozenOp, FrozenProgram
from models.frozen import validate as validate_program
from trigger.front_end import FrontEnd

WORTH = 4
"""Weights, powers of two left out, from which on a matrix is given to the solver."""

LARGEST = 64 * 64
"""Inputs times sums that go to the solver at once.  Its time grows with the square of
that: 0.5 s for 64 x 64, 5 s for 128 x 128."""


def lower(
    program: FrozenProgram,
    block: str,
    *,
    front: FrontEnd | None = None,
    clock_mhz: float | int | None = None,
    solver: bool = True,
) -> Netlist:
    """The netlist of a frozen program, optimised and validated.

    Args:
        program: What `models` has frozen.
        block: The block's id, a legal identifier of Verilog, VHDL and C++.
        front: What makes the words that the network reads of those of a link; the
            block then has the ports of the link.
        clock_mhz: The clock whose cycles the sums shall fit; without one they are flat.
        solver: Whether matrices go to alkaid's solver, where that is installed; the
            function is the same, the area of conventional layers is not.

    Raises:
        UserError: The program does not hold (see `models.frozen.validate`), or an
            intermediate needs more than 64 bits.
    """
    netlist = translate(program, block, solver=solver)
    if front is not None:
        netlist = attach(front_netlist(front, block), netlist)
    netlist = optimise(netlist, clock_mhz)
    validate(netlist)
    return netlist


def translate(program: FrozenProgram, block: str, *, solver: bool = False) -> Netlist:
    """The program's operations as nodes, in their order, before any pass.

    Args:
        program: What `models` has frozen.
        block: The block's id.
        solver: As of `lower`.
    """
    validate_program(program)
    into = Builder(block)
    wanted = Counter(
        (a, cmvm.odd(weight))
        for op in program.ops
        if op.kind == "sum"
        for a, weight in zip(op.args, op.weights, strict=True)
    )
    matrices = {m.sums[0]: m for m in (gather(program) if solver else ())}
    made: list[int] = []
    terms: dict[int, list[int]] = {}
    for index, op in enumerate(program.ops):
        args = [made[a] for a in op.args]
        match op.kind:
            case "input":
                node = into.input(program.inputs[op.port].name, op.lo, op.hi)
            case "const":
                node = into.const(op.lo)
            case "table":
                node = into.table(
                    args[0],
                    _entry(op.entries, program.ops[op.args[0]].lo),
                    op.layer,
                )
            case "sum":
                if index in matrices:
                    found = _multiplied(program, into, matrices[index], made, wanted)
                    terms |= zip(matrices[index].sums, found, strict=False)
                if index not in terms:
                    row = tuple(enumerate(op.weights))
                    several = _several(wanted, op.args)
                    terms[index] = cmvm.plain(into, args, row, op.layer, several)
                bias = [into.const(op.bias)] if op.bias else []
                node = into.sum(terms.pop(index) + bias, op.layer)
            case "shift":
                node = into.shift(args[0], op.by, op.layer)
            case "clip":
                node = into.clip(args[0], op.lo, op.hi, op.layer)
            case "wrap":
                node = into.wrap(args[0], op.bits, op.signed, op.layer)
        made.append(node)
    return into.finish([(name, made[index]) for name, index in program.outputs])


def _entry(entries: tuple[int, ...], first: int) -> Callable[[int], int]:
    """What a table answers, its argument held at the ends of what it can be.

    A sum by signed digits has a wider interval than the values that it takes, as in
    `3x = 4x - x`; the entries of what never comes repeat the nearest.
    """
    return lambda v: entries[min(max(v - first, 0), len(entries) - 1)]


@final
@dataclass(frozen=True)
class Matrix:
    """Sums that share what they read; all numbers are indices of operations.

    Attributes:
        sums: The sums, in order.
        vector: What they read, each with its place, in the order in which they came.
    """

    sums: list[int] = field(default_factory=list)
    vector: dict[int, int] = field(default_factory=dict)

    def takes(self, op: FrozenOp) -> bool:
        """Whether a further sum can be written with the others, and leaves few enough.

        A sum of sums of the same layer cannot: it would have to stand before them.
        """
        size = len(self.vector.keys() | set(op.args)) * (len(self.sums) + 1)
        return max(op.args) < self.sums[0] and size <= LARGEST


def gather(program: FrozenProgram) -> list[Matrix]:
    """The sums of a program by what they read; each is in one matrix.

    A sum joins that matrix of its layer with which it shares most, or starts one.
    """
    matrices: list[Matrix] = []
    readers: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index, op in enumerate(program.ops):
        if op.kind != "sum":
            continue
        near = Counter(m for a in op.args for m in readers[op.layer, a])
        fits = (m for m, _ in near.most_common() if matrices[m].takes(op))
        number = next(fits, len(matrices))
        if number == len(matrices):
            matrices.append(Matrix())
        matrix = matrices[number]
        matrix.sums.append(index)
        for a in op.args:
            if a not in matrix.vector:
                matrix.vector[a] = len(matrix.vector)
                readers[op.layer, a].append(number)
    return matrices


def _multiplied(
    program: FrozenProgram,
    into: Builder,
    matrix: Matrix,
    made: Sequence[int],
    wanted: Counter[tuple[int, int]],
) -> list[list[int]]:
    """The terms of a matrix's sums, if the solver's way is cheaper; else nothing."""
    sums = [program.ops[index] for index in matrix.sums]
    rows = [_row(op, matrix.vector) for op in sums]
    args = [made[a] for a in matrix.vector]
    intervals = [(into.nodes[node].lo, into.nodes[node].hi) for node in args]
    hard = sum(cmvm.odd(weight) > 1 for row in rows for _, weight in row)
    if hard < WORTH or any(lo == hi for lo, hi in intervals):
        return []
    solved = cmvm.solved(rows, intervals)
    if solved is None:
        return []
    several = _several(wanted, list(matrix.vector))

    def plain(into: Builder, args: Sequence[int], layer: str) -> list[list[int]]:
        return [cmvm.plain(into, args, row, layer, several) for row in rows]

    way = cmvm.cheaper((plain, solved), intervals)
    return [] if way is plain else way(into, args, sums[0].layer)


def _row(op: FrozenOp, place: Mapping[int, int]) -> cmvm.Row:
    """A sum's weights by the place of what they weigh, which may come twice."""
    weights: dict[int, int] = defaultdict(int)
    for a, weight in zip(op.args, op.weights, strict=True):
        weights[place[a]] += weight
    return tuple((a, weight) for a, weight in weights.items() if weight)


def _several(
    wanted: Counter[tuple[int, int]], vector: Sequence[int]
) -> Callable[[int, int], bool]:
    """Whether an odd multiple of an element of the vector is wanted more than once."""
    return lambda a, factor: wanted[vector[a], factor] > 1
