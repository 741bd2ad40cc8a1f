"""A pipelined netlist as one Verilog-2001 module that a person can read.

One file, one module, no primitive, no parameter, no include: every node is a wire named
`n<index>` after the netlist, every table a function `t<index>`, and a value that a
later stage reads is registered as `n<index>_s<stage>`.

Conventions
-----------
- The data path has no reset; `rst` clears the chain of valid bits, at the clock edge.
- An event is taken at every clock edge at which `in_valid` is high; its answer can be
  sampled `LATENCY` edges later, with `out_valid`.
- Words of events that are not valid may travel along; nothing looks at them.
- Bits that nothing reads are gathered in the wire `unused`, so that no tool warns.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import final

from firmware import hdl, rtl
from firmware.branches import Branch, branches
from firmware.hdl import Assign, Bits, Choose, Compare, Const, Expression, Rom
from firmware.netlist import Netlist
from firmware.pipeline import Schedule
from trigger.interface import Interface


def emit(
    netlist: Netlist,
    schedule: Schedule,
    interface: Interface,
    options: rtl.Options = rtl.DEFAULT,
) -> dict[str, str]:
    """Writes the block.

    Args:
        netlist: What it computes.
        schedule: When.
        interface: What its ports mean; only comments come from here.
        options: How it is to be wired.

    Returns:
        Text by file name: `<block>.v`.

    Raises:
        UserError: The netlist does not hold, a name is not legal, or the interface does
            not describe the ports.
    """
    plan = rtl.plan(netlist, schedule, interface, options)
    lines = [
        *(f"// {line}".rstrip() for line in plan.title),
        "",
        *_ports(plan),
        *_body(plan),
        *(line for table in plan.tables for line in _table(table)),
        "endmodule",
        "",
    ]
    return {f"{plan.block}.v": "\n".join(lines)}


@final
class _Speller:
    """Spells expressions, and remembers which bits of which vectors were read."""

    def __init__(self):
        """Starts with no vector."""
        self._range: dict[str, tuple[int, int]] = {}
        self._read: dict[str, int] = {}

    def declare(self, name: str, width: int, low: int = 0) -> None:
        """Notes the vector `name[width-1:low]`."""
        self._range[name] = (width - 1, low)
        self._read[name] = 0

    def bits(self, bits: Bits) -> str:
        """Bits of a vector that was declared."""
        name, high, low = bits.name, bits.high, bits.low
        self._read[name] |= (1 << (high + 1)) - (1 << low)
        if (high, low) == self._range[name]:
            return name
        return f"{name}[{high}]" if high == low else f"{name}[{high}:{low}]"

    def spell(self, value: Expression) -> str:
        """An expression, as it stands behind an equals sign."""
        match value:
            case Bits():
                return self.bits(value)
            case Const():
                return _constant(value.value, value.width)
            case hdl.Not():
                return f"~{self.bits(value.bits)}"
            case hdl.Join():
                return f"{{{', '.join([self.spell(part) for part in value.parts])}}}"
            case hdl.Extend():
                text = self.bits(value.bits)
                if not value.signed:
                    return f"{{{value.more}'d0, {text}}}"
                top = value.bits.high
                sign = self.bits(Bits(value.bits.name, top, top))
                return f"{{{{{value.more}{{{sign}}}}}, {text}}}"
            case hdl.Arithmetic():
                return f" {value.sign} ".join(
                    [self.spell(term) for term in value.terms]
                )
            case hdl.Count():
                zeros = _constant(0, value.width - 1)
                terms = [f"{{{zeros}, {self.spell(bit)}}}" for bit in value.bits]
                return " + ".join(terms)
            case hdl.Look():
                return f"{value.table}({self.spell(value.address)})"
            case Compare():
                sides = [self.spell(side) for side in (value.a, value.b)]
                if value.signed:
                    sides = [f"$signed({side})" for side in sides]
                return f" {value.test} ".join(sides)
            case Choose():
                ways = [f"{self._asked(t)} ? {self.spell(v)} : " for t, v in value.ways]
                return "".join(ways) + self.spell(value.otherwise)

    def _asked(self, test: hdl.Test) -> str:
        """A test, in front of a question mark."""
        match test:
            case Bits():
                return self.bits(test)
            case hdl.Any():
                return f"(|{self.bits(test.bits)})"
            case Compare():
                return f"({self.spell(test)})"

    def unread(self) -> list[str]:
        """The bits that nothing has read, as expressions, in order of declaration."""
        left = []
        for name, (high, low) in self._range.items():
            bits = [b for b in range(low, high + 1) if not self._read[name] >> b & 1]
            while bits:
                run = next(
                    (k for k, b in enumerate(bits) if b != bits[0] + k), len(bits)
                )
                left.append(Bits(name, bits[run - 1], bits[0]))
                bits = bits[run:]
        return [self.bits(part) for part in left]


@lru_cache(maxsize=4096)
def _constant(value: int, width: int) -> str:
    return f"{width}'d{value % (1 << width)}"


def _vector(width: int, signed: bool, low: int = 0) -> str:
    sign = "signed " if signed else ""
    return f"{sign}[{width - 1}:{low}] " if width > 1 else sign


def _ports(plan: rtl.Plan) -> list[str]:
    fixed = {port.name for port in plan.fixed}
    ports = ["input wire clk", "input wire rst"]
    ports += ["input wire ce"] * plan.options.clock_enable
    ports.append("input wire in_valid")
    for port in rtl.outside(plan.inputs, plan.options):
        ports.append(f"input wire {_vector(port.width, port.signed)}{port.name}")
    ports.append("output wire out_valid")
    for port in rtl.outside(plan.outputs, plan.options):
        kind = "wire" if plan.options.flat or port.name in fixed else "reg"
        ports.append(f"output {kind} {_vector(port.width, port.signed)}{port.name}")
    return [
        f"module {plan.block} (",
        *(f"  {port}," for port in ports[:-1]),
        f"  {ports[-1]}",
        ");",
    ]


def _body(plan: rtl.Plan) -> list[str]:
    """Stage by stage: a rank of registers, then the logic behind it."""
    speller = _Speller()
    edge = "  always @(posedge clk)"
    enable = " if (ce)" * plan.options.clock_enable

    def rank(registers: Sequence[Assign]) -> list[str]:
        moves = [f"    {r.name} <= {speller.spell(r.value)};" for r in registers]
        return [f"{edge}{enable} begin", *moves, "  end"] if moves else []

    lines = [
        f"  localparam LATENCY = {plan.cycles};  // clock edges from in to out",
        "",
        "  reg [LATENCY-1:0] valid;",
        edge,
        "    if (rst) valid <= {LATENCY{1'b0}};",
        f"    else{enable} valid <= {{valid[LATENCY-2:0], in_valid}};",
        "  assign out_valid = valid[LATENCY-1];",
    ]
    for port in plan.inputs:
        speller.declare(port.name, port.width)
    if plan.options.flat:
        lines += ["", "  // ---- words ----"]
        for port in plan.inputs:
            span = f"[{port.high}:{port.low}]" if port.width > 1 else f"[{port.low}]"
            if len(plan.inputs) == port.width == 1:
                span = ""
            vector = _vector(port.width, port.signed)
            lines.append(f"  wire {vector}{port.name} = in_words{span};")
    for k, stage in enumerate(plan.stages):
        lines += ["", f"  // ---- stage {k} ----"]
        for r in stage.registers:
            lines.append(f"  reg {_vector(r.width, r.signed, r.low)}{r.name};")
        lines += rank(stage.registers)
        for r in stage.registers:
            speller.declare(r.name, r.width, r.low)
        layer = ""
        for wire in stage.logic:
            if wire.layer not in ("", layer):
                layer = wire.layer
                lines.append(f"  // {layer}")
            text = speller.spell(wire.value)
            speller.declare(wire.name, wire.width)
            vector = _vector(wire.width, wire.signed)
            lines += rtl.wrapped(f"  wire {vector}{wire.name} = {text};")
    lines += ["", "  // ---- outputs ----"]
    if plan.options.flat:
        fixed = {port.name for port in plan.fixed}
        for port in plan.outputs:
            kind = "wire" if port.name in fixed else "reg"
            lines.append(f"  {kind} {_vector(port.width, port.signed)}{port.name};")
        names = [port.name for port in reversed(plan.outputs)]
        lines += rtl.filled("  assign out_words = {", names, "};")
    for port in plan.fixed:
        lines.append(f"  assign {port.name} = {speller.spell(port.value)};")
    lines += rank(plan.clocked)
    unread = speller.unread()
    if unread:
        lines += ["", "  // What truncation leaves behind."]
        lines += rtl.filled("  wire unused = &{1'b0, ", unread, "};")
    return lines


@lru_cache(maxsize=4096)
def _hexadecimal(value: int, width: int) -> str:
    return f"{width}'h{value % (1 << width):0{(width + 3) // 4}x}"


BRANCH = Branch(_hexadecimal, "", ": @ = ", ";")


def _table(table: Rom) -> list[str]:
    """A table as a function, its rows in the order of the address."""
    name = table.name
    return [
        "",
        f"  function {_vector(table.width, False)}{name};",
        f"    input {_vector(table.address, False)}a;",
        "    case (a)",
        branches(table, BRANCH),
        f"      default: {name} = {_hexadecimal(table.rows[0], table.width)};",
        "    endcase",
        "  endfunction",
    ]
