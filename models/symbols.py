"""Wires of an integer program: the third kind of value that a network can be called on.

A `Recorder` writes a `models.frozen.FrozenProgram` operation by operation; a `Symbols`
is a NumPy array of wires, so that all that moves elements is NumPy's own.  Calling an
evaluated network on the wires of its ports, as `trace` does, records what it computes.

Conventions
-----------
- A node is the index of an operation in its recorder.
- A wire is a node and an exponent: its value is `raw * 2**-exponent`.
- Equal operations exist once and belong to the layer that recorded them first;
  constants are folded, and operations that do nothing are not recorded.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from models.frozen import (
    MOST_BITS,
    FrozenOp,
    FrozenPort,
    FrozenProgram,
    fits,
    interval,
    validate,
)
from trigger.errors import UserError

MOST_ADDRESSES = 2**16
"""Values of an argument beyond which no table is made of it."""


@final
class Recorder:
    """A frozen program in the making; operations answer the index of their node."""

    def __init__(self):
        """Starts an empty program."""
        self._ports: list[FrozenPort] = []
        self._ops: list[FrozenOp] = []
        self._index: dict[FrozenOp, int] = {}
        self._layer = ""

    @contextmanager
    def naming(self, layer: str) -> Iterator[None]:
        """Within this context, operations belong to `layer`."""
        before, self._layer = self._layer, layer
        try:
            yield
        finally:
            self._layer = before

    def interval(self, node: int) -> tuple[int, int]:
        """The least and the greatest value of a node."""
        return self._ops[node].lo, self._ops[node].hi

    def op(self, node: int) -> FrozenOp:
        """What a node computes, of which nodes."""
        return self._ops[node]

    def unbiased(self, node: int) -> tuple[int, int]:
        """A node before a constant was added to it, and that constant.

        The two add up to `node`; where nothing was added they are it and 0.  A shift up
        in between is no obstacle.
        """
        op = self._ops[node]
        if op.kind == "sum" and op.weights == (1,):
            return op.args[0], op.bias
        if op.kind == "shift" and op.by > 0:
            inner, bias = self.unbiased(op.args[0])
            return (self.shift(inner, op.by), bias << op.by) if bias else (node, 0)
        return node, 0

    def input(self, port: FrozenPort) -> int:
        """The raw word of a further port; ports are never merged nor dropped."""
        lo, hi = port.interval
        self._ports.append(port)
        self._ops.append(FrozenOp("input", (), lo, hi, port=len(self._ports) - 1))
        return len(self._ops) - 1

    def const(self, value: int) -> int:
        """The constant `value`."""
        return self._record(FrozenOp("const", (), int(value), int(value)))

    def table(self, a: int, entry: Callable[[int], int]) -> int:
        """`entry(a)`, asked for every value that `a` can have.

        Raises:
            UserError: These are more than 65,536.
        """
        lo, hi = self.interval(a)
        if hi - lo >= MOST_ADDRESSES:
            raise UserError(
                f"layer {self._layer!r} makes a table of a value that takes "
                f"{hi - lo + 1} values, {lo}..{hi}; up to {MOST_ADDRESSES} are "
                "possible: quantise it to fewer bits first"
            )
        entries = tuple(int(entry(value)) for value in range(lo, hi + 1))
        return self._record(FrozenOp("table", (a,), 0, 0, entries=entries))

    def sum(
        self, args: Sequence[int], weights: Sequence[int] | None = None, bias: int = 0
    ) -> int:
        """`sum_i weights[i] * args[i] + bias`.

        Args:
            args: The terms; one that comes twice has the sum of its weights.
            weights: Integers of any sign; all 1 if not given.
            bias: The constant term.
        """
        factor: dict[int, int] = {}
        given = [1] * len(args) if weights is None else weights
        total = int(bias)
        for a, weight in zip(args, given, strict=True):
            if self._ops[a].kind == "const":
                total += int(weight) * self._ops[a].lo
            else:
                factor[a] = factor.get(a, 0) + int(weight)
        terms = sorted((a, weight) for a, weight in factor.items() if weight)
        if not terms:
            return self.const(total)
        ((a, weight), *more) = terms
        if not (more or total) and weight > 0 and weight.bit_count() == 1:
            return self.shift(a, weight.bit_length() - 1)
        return self._record(
            FrozenOp(
                "sum",
                tuple(a for a, _ in terms),
                0,
                0,
                weights=tuple(weight for _, weight in terms),
                bias=total,
            )
        )

    def shift(self, a: int, by: int) -> int:
        """`a * 2**by`, floored; shifts of shifts become one where that is exact."""
        op, by = self._ops[a], int(by)
        if by == 0:
            return a
        if op.kind == "shift" and (op.by > 0 or by < 0):
            return self.shift(op.args[0], op.by + by)
        return self._record(FrozenOp("shift", (a,), 0, 0, by=by))

    def clip(self, a: int, lo: int, hi: int) -> int:
        """`a` saturated to `lo..hi`; nothing at all where `a` stays inside."""
        if lo > hi:
            raise ValueError(f"a clip to {lo}..{hi} in layer {self._layer!r} is empty")
        least, most = self.interval(a)
        if lo <= least and most <= hi:
            return a
        return self._record(FrozenOp("clip", (a,), int(lo), int(hi)))

    def wrap(self, a: int, bits: int, signed: bool) -> int:
        """The `bits` low bits of `a`, in two's complement if `signed`."""
        if not 1 <= bits < MOST_BITS:
            raise UserError(
                f"layer {self._layer!r} wraps a value to {bits} bits; "
                f"1..{MOST_BITS - 1} are possible"
            )
        op = self._ops[a]
        if op.kind == "wrap" and bits <= op.bits:
            return self.wrap(op.args[0], bits, signed)
        made = FrozenOp("wrap", (a,), 0, 0, bits=int(bits), signed=bool(signed))
        # Where no value changes it is nothing: the interval then stays what it was.
        unchanged = interval(made, [self.interval(a)]) == self.interval(a)
        return a if unchanged else self._record(made)

    def to_exponent(self, wire: "Wire", exponent: int) -> int:
        """The node of a wire's value in counts of the finer `2**-exponent`.

        Raises:
            ValueError: The wire itself is finer, so that bits would be lost.
        """
        if exponent < wire.exponent and self.interval(wire.node) != (0, 0):
            raise ValueError(
                f"a wire in counts of 2**-{wire.exponent} is not a whole number of "
                f"2**-{exponent}; shift it first"
            )
        return self.shift(wire.node, exponent - wire.exponent)

    def finish(
        self, outputs: Sequence[tuple[str, int]], out_lsb: float
    ) -> FrozenProgram:
        """The program without what no output needs, validated.

        Args:
            outputs: Names and nodes, in order.
            out_lsb: What one count of any output is worth.
        """
        live = {node for _, node in outputs}
        for i in range(len(self._ops) - 1, -1, -1):
            if i in live:
                live.update(self._ops[i].args)
        moved: dict[int, int] = {}
        ops: list[FrozenOp] = []
        for i, op in enumerate(self._ops):
            if i in live or op.kind == "input":
                moved[i] = len(ops)
                ops.append(replace(op, args=tuple(moved[a] for a in op.args)))
        program = FrozenProgram(
            tuple(self._ports),
            tuple(ops),
            tuple((name, moved[node]) for name, node in outputs),
            out_lsb,
        )
        validate(program)
        return program

    def _record(self, op: FrozenOp) -> int:
        lo, hi = interval(op, [self.interval(a) for a in op.args])
        if not fits(lo, hi):
            raise UserError(
                f"layer {self._layer!r}: a {op.kind} takes {lo}..{hi}; {MOST_BITS} "
                "signed bits are the limit: train with fewer bits"
            )
        if lo == hi:
            op = FrozenOp("const", (), lo, lo)
        key = replace(op, lo=lo, hi=hi)
        if key not in self._index:
            self._index[key] = len(self._ops)
            self._ops.append(replace(key, layer=self._layer))
        return self._index[key]


@final
@dataclass(frozen=True)
class Wire:
    """A value in the program: `raw * 2**-exponent`, with `raw` what `node` computes."""

    node: int
    exponent: int


@final
class Symbols:
    """An array of wires of one recorder; it is indexed and reshaped as NumPy's are."""

    def __init__(self, wires: Any, recorder: Recorder):
        """Holds wires.

        Args:
            wires: An array, a (nested) sequence, or one `Wire`.
            recorder: What the wires are nodes of.
        """
        self.wires: np.ndarray = np.array(wires, dtype=object)
        self.recorder = recorder

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.wires.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.wires.ndim

    @property
    def size(self) -> int:
        """Number of wires."""
        return self.wires.size

    @property
    def T(self) -> "Symbols":  # noqa: N802  (NumPy's name)
        """The transpose."""
        return self.transpose()

    def __len__(self) -> int:
        return len(self.wires)

    def __getitem__(self, index: Any) -> "Symbols":
        return Symbols(self.wires[index], self.recorder)

    def __iter__(self) -> Iterator["Symbols"]:
        return (self[k] for k in range(len(self)))

    def item(self) -> Wire:
        """The wire of an array of one."""
        return self.wires.item()

    def reshape(self, *shape: Any) -> "Symbols":
        """The same wires in another shape."""
        return Symbols(self.wires.reshape(*shape), self.recorder)

    def transpose(self, *axes: Any) -> "Symbols":
        """The axes in another order."""
        return Symbols(self.wires.transpose(*axes), self.recorder)

    def moved(self, move: Callable[..., Any], *others: "Symbols") -> "Symbols":
        """What a function that only moves elements makes of this array and others.

        Raises:
            ValueError: The others are wires of another recorder.
        """
        if any(other.recorder is not self.recorder for other in others):
            raise ValueError("wires of two programs cannot meet; record both in one")
        wires = move(self.wires, *(other.wires for other in others))
        return Symbols(wires, self.recorder)


def trace(
    ready_network: Callable[[Symbols], Any],
    ports: tuple[FrozenPort, ...],
    outputs: tuple[str, ...],
) -> FrozenProgram:
    """Records what an evaluated network computes from the raw words of its ports.

    Args:
        ready_network: Evaluated, see `models.layer.evaluate`; called once, on wires of
            shape `[ports]` that count raw words.
        ports: The words it reads, in order.
        outputs: Names of its outputs, in order.

    Returns:
        The program; all outputs have the finest exponent among them, so that their raw
        words can be compared.

    Raises:
        UserError: The network answers something else than wires, or not one for each
            name; or a value needs more than 62 bits.
    """
    recorder = Recorder()
    words = Symbols([Wire(recorder.input(port), 0) for port in ports], recorder)
    answer = ready_network(words)
    if not isinstance(answer, Symbols):
        raise UserError(
            f"the network turned wires into {type(answer).__name__}; to be frozen, "
            "every layer has to answer Symbols with Symbols, see models.symbols"
        )
    if answer.shape != (len(outputs),):
        raise UserError(
            f"the network has outputs of shape {answer.shape}, {len(outputs)} are "
            "named; one name for each of a single axis is needed"
        )
    wires = [one.item() for one in answer]
    exponent = max((wire.exponent for wire in wires), default=0)
    nodes = [recorder.to_exponent(wire, exponent) for wire in wires]
    return recorder.finish(
        list(zip(outputs, nodes, strict=True)), float(2.0**-exponent)
    )
