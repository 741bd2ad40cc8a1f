"""A trained network as integers: what leaves `models` and all that `firmware` gets.

A frozen program is a list of operations on integer scalars, each written once and
after what it reads.  Nothing here knows JAX.  The integers are the ones of the
evaluation pass, so the network and everything built from the program can be compared
with `array_equal`; `run` says what a program means.

Conventions
-----------
- Every operation carries the exact interval `lo..hi` that follows from its arguments'.
- A table is total on its argument's interval: entry `k` answers the value `lo + k`.
- Values have at most 62 signed bits, so that an adder of two still fits 64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final, get_args

import numpy as np
from jaxtyping import Int64, Integer

from trigger.errors import UserError

MOST_BITS = 62
"""Bits of any value, sign included."""

Kind = Literal["input", "const", "table", "sum", "shift", "clip", "wrap"]
"""What an operation computes, with `a`, `b`, ... its arguments:

input   the raw word of port number `port`
const   `lo` (which equals `hi`)
table   `entries[a - a.lo]`
sum     `weights[0] * a + weights[1] * b + ... + bias`
shift   `a * 2**by` for `by >= 0`, else `floor(a / 2**-by)`
clip    `min(max(a, lo), hi)`: saturation
wrap    the `bits` low bits of `a`, read as two's complement if `signed`
"""


@final
@dataclass(frozen=True)
class FrozenPort:
    """One word at the block's edge: `value = raw * lsb`."""

    name: str
    bits: int
    signed: bool

    @property
    def interval(self) -> tuple[int, int]:
        """The least and the greatest raw word."""
        lo = -(1 << (self.bits - 1)) if self.signed else 0
        return lo, lo + (1 << self.bits) - 1


@final
@dataclass(frozen=True)
class FrozenOp:
    """One operation; fields that its `kind` does not use keep their defaults."""

    kind: Kind
    args: tuple[int, ...]
    lo: int
    hi: int
    layer: str = ""
    port: int = -1
    entries: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    bias: int = 0
    by: int = 0
    bits: int = 0
    signed: bool = False


@final
@dataclass(frozen=True)
class FrozenProgram:
    """The whole network; one count of any output is worth `out_lsb`.

    `outputs` pairs the name of an output with the index of its operation.
    """

    inputs: tuple[FrozenPort, ...]
    ops: tuple[FrozenOp, ...]
    outputs: tuple[tuple[str, int], ...]
    out_lsb: float


def wrapped(value: int, bits: int, signed: bool) -> int:
    """The `bits` low bits of a value, read as two's complement if `signed`."""
    low = value & ((1 << bits) - 1)
    return low - (1 << bits) if signed and low >> (bits - 1) else low


def interval(op: FrozenOp, args: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The least interval that holds all values of `op`.

    Args:
        op: The operation; its own `lo`, `hi` are read as the bounds of an `input`, a
            `const` or a `clip`, and not at all otherwise.
        args: The intervals of its arguments, taken to vary independently.
    """
    match op.kind:
        case "input" | "const":
            return op.lo, op.hi
        case "table":
            return min(op.entries), max(op.entries)
        case "sum":
            ends = [
                sorted((w * lo, w * hi))
                for w, (lo, hi) in zip(op.weights, args, strict=True)
            ]
            return (
                op.bias + sum(least for least, _ in ends),
                op.bias + sum(most for _, most in ends),
            )
        case "shift":
            ((lo, hi),) = args
            by = op.by
            return (lo << by, hi << by) if by >= 0 else (lo >> -by, hi >> -by)
        case "clip":
            ((lo, hi),) = args
            return min(max(lo, op.lo), op.hi), min(max(hi, op.lo), op.hi)
        case "wrap":
            ((lo, hi),) = args
            ends = wrapped(lo, op.bits, op.signed), wrapped(hi, op.bits, op.signed)
            if ends[1] - ends[0] == hi - lo:  # no end of the range lies between
                return ends
            least = -(1 << (op.bits - 1)) if op.signed else 0
            return least, least + (1 << op.bits) - 1


def fits(lo: int, hi: int) -> bool:
    """Whether `lo..hi` lies within the values that a program may have."""
    return lo >= -(1 << (MOST_BITS - 1)) and hi < 1 << (MOST_BITS - 1)


_ARITY = {"input": 0, "const": 0, "table": 1, "shift": 1, "clip": 1, "wrap": 1}


def validate(program: FrozenProgram) -> None:
    """Refuses a program that breaks a promise of this module.

    Raises:
        UserError: The first broken promise: ports, order, arity, parameters, an
            interval that is not the exact one or beyond 62 bits, or outputs.
    """
    for port in program.inputs:
        if not 1 <= port.bits < MOST_BITS:
            raise UserError(
                f"port {port.name!r} has {port.bits} bits; 1..{MOST_BITS - 1} work"
            )
    for i, op in enumerate(program.ops):
        fault = _fault(program, i, op)
        if fault:
            layer = f" of layer {op.layer!r}" if op.layer else ""
            raise UserError(f"frozen program: operation {i} ({op.kind}{layer}) {fault}")
    read = [op.port for op in program.ops if op.kind == "input"]
    if read != list(range(len(program.inputs))):
        raise UserError(
            f"frozen program: its inputs read the ports {read}; each of the "
            f"{len(program.inputs)} ports is read once, in order"
        )
    if not program.outputs:
        raise UserError("frozen program: it has no output; name at least one")
    for name, index in program.outputs:
        if not 0 <= index < len(program.ops):
            raise UserError(
                f"frozen program: output {name!r} points to operation {index}, there "
                f"are {len(program.ops)}"
            )


def _fault(program: FrozenProgram, i: int, op: FrozenOp) -> str:
    """What is wrong with operation `i`, if anything."""
    if op.kind not in get_args(Kind):
        return f"is unknown; known are {', '.join(get_args(Kind))}"
    if any(not 0 <= a < i for a in op.args):
        return f"reads operations {op.args}; those before it are 0..{i - 1}"
    takes = _ARITY.get(op.kind, len(op.weights))
    if len(op.args) != takes:
        return f"has {len(op.args)} arguments, it takes {takes}"
    if op.kind == "sum" and not op.args:
        return "sums nothing; a const does that"
    if op.lo > op.hi:
        return f"has an empty interval {op.lo}..{op.hi}"
    if op.kind == "input":
        if not 0 <= op.port < len(program.inputs):
            return f"reads port {op.port} of {len(program.inputs)}"
        if (op.lo, op.hi) != program.inputs[op.port].interval:
            lo, hi = program.inputs[op.port].interval
            return f"says {op.lo}..{op.hi}, its port takes {lo}..{hi}"
    args = [(program.ops[a].lo, program.ops[a].hi) for a in op.args]
    if op.kind == "table" and len(op.entries) != args[0][1] - args[0][0] + 1:
        lo, hi = args[0]
        return (
            f"has {len(op.entries)} entries for an argument that takes "
            f"{hi - lo + 1} values, {lo}..{hi}"
        )
    if op.kind == "shift" and op.by >= MOST_BITS:
        return f"shifts by {op.by}; less than {MOST_BITS} bits are possible"
    if op.kind == "wrap" and not 1 <= op.bits < MOST_BITS:
        return f"keeps {op.bits} bits; 1..{MOST_BITS - 1} work"
    if op.kind == "sum" and not all(fits(w, w) for w in (*op.weights, op.bias)):
        return f"has a weight or bias of more than {MOST_BITS} bits"
    if not fits(op.lo, op.hi):
        return f"takes {op.lo}..{op.hi}; {MOST_BITS} signed bits are the limit"
    exact = interval(op, args)
    if exact != (op.lo, op.hi):
        return f"says {op.lo}..{op.hi}, its arguments make {exact[0]}..{exact[1]}"
    return ""


def run(
    program: FrozenProgram, words: Integer[np.ndarray, "events ports"]
) -> Int64[np.ndarray, "events outputs"]:
    """Evaluates a program on port words, all events at once.

    Args:
        program: A valid program.
        words: Raw words within their ports' intervals, ports in order.

    Returns:
        Raw outputs in order; one count is worth `program.out_lsb`.

    Raises:
        UserError: The number of columns is not the number of ports, or a word is
            outside its port's interval.
    """
    if words.ndim != 2 or words.shape[1] != len(program.inputs):
        raise UserError(
            f"the program has {len(program.inputs)} ports, the words have shape "
            f"{words.shape}; one column per port is needed"
        )
    for port, column in zip(program.inputs, words.T, strict=True):
        lo, hi = port.interval
        if np.any((column < lo) | (column > hi)):
            raise UserError(
                f"port {port.name!r} takes {lo}..{hi}, its words reach from "
                f"{column.min()} to {column.max()}"
            )
    values: list[np.ndarray] = []
    for op in program.ops:
        a = values[op.args[0]] if op.args else np.zeros(len(words), np.int64)
        match op.kind:
            case "input":
                value = words[:, op.port].astype(np.int64)
            case "const":
                value = np.full(len(words), op.lo, np.int64)
            case "table":
                value = np.array(op.entries, np.int64)[a - program.ops[op.args[0]].lo]
            case "sum":
                # Integers modulo 2**64: a sum that fits is right however it gets there.
                value = np.full(len(words), op.bias, np.int64)
                for weight, term in zip(op.weights, op.args, strict=True):
                    value = value + np.int64(weight) * values[term]
            case "shift":
                value = a << op.by if op.by >= 0 else a >> min(-op.by, 63)
            case "clip":
                value = np.clip(a, op.lo, op.hi)
            case "wrap":
                value = a & ((1 << op.bits) - 1)
                if op.signed:
                    value = value - ((value >> (op.bits - 1)) << op.bits)
        values.append(value)
    return np.stack([values[index] for _, index in program.outputs], axis=1)
