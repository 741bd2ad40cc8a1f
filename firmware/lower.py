"""From a frozen program to a netlist: the one place where firmware meets models.

All operations but the weighted sum are the netlist's own.  A weighted sum becomes
shifts and terms of plus or minus: a weight is written in canonical signed digits, the
form with fewest digits that are not 0 (Avizienis, "Signed-digit number representations
for fast parallel arithmetic", IRE Trans. EC-10 (1961) 389, and Reitwiesner, Advances in
Computers 1 (1960) 231), one term for each; a multiple that several sums need is made
once.  The passes of `firmware.passes` do the rest.

Conventions
-----------
- Minus terms are `Builder.negative`; when sums become trees, they turn subtractions.
- Nodes name the layer that they come from; names mean nothing to the function.
"""

from collections import Counter
from collections.abc import Callable

from firmware.build import Builder
from firmware.netlist import Netlist, validate
from firmware.passes import optimise
from models.frozen import FrozenOp, FrozenProgram
from models.frozen import validate as validate_program


def lower(program: FrozenProgram, block: str) -> Netlist:
    """The netlist of a frozen program, optimised and validated.

    Args:
        program: What `models` has frozen.
        block: The block's id, a legal identifier of Verilog, VHDL and C++.

    Raises:
        UserError: The program does not hold (see `models.frozen.validate`), or an
            intermediate needs more than 64 bits.
    """
    netlist = optimise(translate(program, block))
    validate(netlist)
    return netlist


def translate(program: FrozenProgram, block: str) -> Netlist:
    """The program's operations as nodes, in their order, before any pass."""
    validate_program(program)
    into = Builder(block)
    wanted = Counter(
        (a, _odd(weight))
        for op in program.ops
        if op.kind == "sum"
        for a, weight in zip(op.args, op.weights, strict=True)
    )
    shared = {multiple for multiple, times in wanted.items() if times > 1}
    made: list[int] = []
    for op in program.ops:
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
                node = _sum(into, op, args, shared)
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


def signed_digits(weight: int) -> list[tuple[int, int]]:
    """Pairs of sign and power with `weight = sum(sign * 2**power)`, no two adjacent.

    >>> signed_digits(-7), signed_digits(11)
    ([(1, 0), (-1, 3)], [(-1, 0), (-1, 2), (1, 4)])
    """
    digits = []
    power = 0
    while weight:
        if weight & 1:
            sign = 2 - (weight & 3)  # 1 of ..01, -1 of ..11: then two zeros follow
            digits.append((sign, power))
            weight -= sign
        weight >>= 1
        power += 1
    return digits


def _odd(weight: int) -> int:
    """The magnitude without its factors of two; of 0 it is 0."""
    return abs(weight) // (weight & -weight) if weight else 0


def _sum(
    into: Builder, op: FrozenOp, args: list[int], shared: set[tuple[int, int]]
) -> int:
    """A weighted sum; `shared` has the odd multiples of arguments that are made once.

    All other digits enter the one sum, whose tree then is as flat as it can be.
    """
    terms: list[int] = []
    for old, node, weight in zip(op.args, args, op.weights, strict=True):
        odd = _odd(weight)
        if (old, odd) in shared and odd > 1:  # the builder makes equal nodes once
            multiple = into.sum(_terms(into, node, odd, op.layer), op.layer)
            terms += _terms(into, multiple, weight // odd, op.layer)
        else:
            terms += _terms(into, node, weight, op.layer)
    if op.bias or not terms:
        terms.append(into.const(op.bias))
    return into.sum(terms, op.layer)


def _terms(into: Builder, node: int, weight: int, layer: str) -> list[int]:
    """`weight * node` as terms of a sum, one for each digit."""
    terms = []
    for sign, power in signed_digits(weight):
        term = into.shift(node, power, layer)
        terms.append(term if sign > 0 else into.negative(term, layer))
    return terms
