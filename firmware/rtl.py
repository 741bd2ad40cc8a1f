"""What a block's RTL holds, whichever language it is written in.

A `Plan` says which vectors stand in which stage, which of them are registers, what each
computes and what the ports are called.  Both writers spell it from top to bottom, so
that Verilog and VHDL have the same registers, the same names and the same latency.

Conventions
-----------
- Node `k` of the netlist is the vector `n<k>`, registered for later stages as
  `n<k>_s<stage>`; table `k` is the function `t<k>`.
- The data path has no reset; `rst` clears the chain of valid bits, at the clock edge.
- With a clock enable, clock edges at which `ce` is low change nothing, except that
  `rst` clears the valid bits all the same, as it does in a flip-flop of an FPGA.
- A flat vector holds word 0 in its lowest bits, and the words without gaps.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import final

from firmware import identifiers
from firmware.branches import WIDTH
from firmware.hdl import Assign, Bits, Rom, roms, statements
from firmware.netlist import Netlist, Node, validate
from firmware.pipeline import Schedule, held_bits, lifetimes
from trigger.errors import UserError
from trigger.interface import Interface
from trigger.words import Word


@final
@dataclass(frozen=True)
class Options:
    """How the block is to be wired; the same for both languages."""

    clock_enable: bool = False
    """Whether there is a port `ce` that freezes the pipeline, valid bits included: off,
    for a trigger's block takes an event at every clock."""
    flat: bool = False
    """Whether all words go through one vector each way, `in_words` and `out_words`:
    off, for ports by name cannot be mixed up."""


DEFAULT = Options()


@final
@dataclass(frozen=True)
class Port:
    """A word that goes in or out, and its place in the flat vector."""

    name: str
    width: int
    signed: bool
    low: int

    @property
    def high(self) -> int:
        """Its highest bit in the flat vector."""
        return self.low + self.width - 1


@final
@dataclass(frozen=True)
class Stage:
    """A rank of registers, then the logic behind it; both in the netlist's order."""

    registers: tuple[Assign, ...]
    logic: tuple[Assign, ...]


@final
@dataclass(frozen=True)
class Plan:
    """A block, ready to be spelt."""

    block: str
    cycles: int
    options: Options
    title: tuple[str, ...]
    """Lines of comment that say what the block and its ports are."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    stages: tuple[Stage, ...]
    clocked: tuple[Assign, ...]
    """The output ports that are registers."""
    fixed: tuple[Assign, ...]
    """The output ports that are constants."""
    tables: tuple[Rom, ...]


@lru_cache(maxsize=1)  # all languages ask for the same
def plan(
    netlist: Netlist, schedule: Schedule, interface: Interface, options: Options
) -> Plan:
    """Lays a block out.

    Args:
        netlist: What it computes.
        schedule: When.
        interface: What its ports mean; only comments come from here.
        options: How it is to be wired.

    Raises:
        UserError: The netlist does not hold, a name is not legal in all languages, or
            the interface does not describe the netlist's ports.
    """
    validate(netlist)
    nodes = netlist.nodes
    identifiers.check(
        netlist.block,
        [nodes[i].name for i in netlist.inputs],
        [name for name, _ in netlist.outputs],
    )
    for wrong in disagreements(netlist, interface):
        raise UserError(f"block {netlist.block!r}: {wrong}")
    inputs, outputs = words_of(netlist)
    stages, at_end = _stages(netlist, schedule)
    leaving = [
        (nodes[i].op == "const", Assign(port.name, port.width, source, port.signed))
        for port, (_, i), source in zip(outputs, netlist.outputs, at_end, strict=True)
    ]
    return Plan(
        block=netlist.block,
        cycles=schedule.cycles,
        options=options,
        title=_title(netlist.block, schedule, interface, options, (*inputs, *outputs)),
        inputs=inputs,
        outputs=outputs,
        stages=stages,
        clocked=tuple(port for fixed, port in leaving if not fixed),
        fixed=tuple(port for fixed, port in leaving if fixed),
        tables=roms(netlist),
    )


def disagreements(netlist: Netlist, interface: Interface) -> list[str]:
    """Where an interface describes other ports than the netlist has, port by port."""
    nodes = netlist.nodes
    ports = [("input", nodes[i].name, nodes[i]) for i in netlist.inputs]
    ports += [("output", name, nodes[i]) for name, i in netlist.outputs]
    words = [("input", word) for word in interface.inputs]
    words += [("output", word) for word in interface.outputs]
    have = [(side, name, n.width, n.signed) for side, name, n in ports]
    said = [(side, w.name, w.bits, w.signed) for side, w in words]
    wrong = [
        f"port {k} is {_told(here)} in the netlist and {_told(there)} in the interface"
        for k, (here, there) in enumerate(zip(have, said, strict=False))
        if here != there
    ]
    if len(have) != len(said):
        wrong.append(
            f"the netlist has {len(have)} ports, the interface describes {len(said)}"
        )
    return wrong


def _told(port: tuple[str, str, int, bool]) -> str:
    side, name, bits, signed = port
    return f"{side} {name!r} of {bits} {'signed' if signed else 'unsigned'} bits"


def words_of(netlist: Netlist) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """The words that go in and those that come out, in port order."""
    nodes = netlist.nodes
    ins = [(f"in_{nodes[i].name}", nodes[i]) for i in netlist.inputs]
    outs = [(f"out_{name}", nodes[i]) for name, i in netlist.outputs]

    def placed(words: Sequence[tuple[str, Node]]) -> tuple[Port, ...]:
        ports: list[Port] = []
        for name, node in words:
            low = ports[-1].high + 1 if ports else 0
            ports.append(Port(name, node.width, node.signed, low))
        return tuple(ports)

    return placed(ins), placed(outs)


def outside(words: Sequence[Port], options: Options) -> tuple[Port, ...]:
    """The ports that carry the words of one side: one for each, or one for all."""
    if not options.flat or not words:
        return tuple(words)
    side = words[0].name.split("_")[0]
    return (Port(f"{side}_words", words[-1].high + 1, False, 0),)


def _stages(
    netlist: Netlist, schedule: Schedule
) -> tuple[tuple[Stage, ...], list[Bits]]:
    """The stages, and the vectors that carry the outputs at the end of the last."""
    nodes, stage = netlist.nodes, schedule.stage
    final_stage = schedule.cycles - 2
    last, held = lifetimes(netlist, stage, final_stage), held_bits(netlist)

    def at(index: int, k: int) -> str:
        """The vector that carries a node's value in stage `k`."""
        here = stage[index] == k or nodes[index].op == "const"
        return f"n{index}" if here else f"n{index}_s{k}"

    def register(index: int, name: str, source: str) -> Assign:
        node, low = nodes[index], nodes[index].width - held[index]
        bits = Bits(source, node.width - 1, low)
        return Assign(name, node.width, bits, node.signed, low)

    stages = []
    for k in range(final_stage + 1):
        registers, logic = [], []
        for i, node in enumerate(nodes):
            if held[i] and node.op == "input" and k == 0:
                registers.append(register(i, f"n{i}", f"in_{node.name}"))
            elif held[i] and stage[i] < k <= last[i]:
                registers.append(register(i, f"n{i}_s{k}", at(i, k - 1)))
            if stage[i] == k and node.op != "input":
                logic += statements(netlist, i, [at(a, k) for a in node.args])
        stages.append(Stage(tuple(registers), tuple(logic)))
    at_end = [
        Bits(at(i, final_stage), nodes[i].width - 1, 0) for _, i in netlist.outputs
    ]
    return tuple(stages), at_end


def _title(
    block: str,
    schedule: Schedule,
    interface: Interface,
    options: Options,
    ports: Sequence[Port],
) -> tuple[str, ...]:
    words = (*interface.inputs, *interface.outputs)
    rows = [("port", "bits", "sign", "LSB", "unit", "meaning")]
    rows += [_row(p, word, options) for p, word in zip(ports, words, strict=True)]
    widths = [max(len(row[k]) for row in rows) for k in range(6)]
    table = [
        "  "
        + "  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    clock, cycles = schedule.clock_mhz, schedule.cycles
    enabled = [
        "While ce is low nothing moves: no event is taken, the outputs stay, and the",
        "clock does not count as a cycle; rst clears the valid bits even then.",
    ]
    flat = [
        "All words of an event are one vector, in_words, and so are all answers,",
        "out_words: word 0 is in the low bits, the next word follows without a gap.",
    ]
    return (
        f"{block}: {interface.label}",
        "",
        f"Latency {cycles} cycles, {schedule.latency_ns:.2f} ns at {clock:g} MHz; "
        "one event per cycle.",
        "rst is synchronous, active high, and clears the valid bits only.",
        *(enabled if options.clock_enable else ()),
        *(flat if options.flat else ()),
        "A word is worth its count times the LSB; signed words are two's complement.",
        "",
        *table,
        "",
        f"Classes, in the order of the outputs: {', '.join(interface.classes)}.",
        "Generated by jetlut from the netlist; do not edit.",
    )


def _row(port: Port, word: Word, options: Options) -> tuple[str, ...]:
    side = port.name.split("_")[0]
    place = f"{side}_words {port.high}..{port.low}: {word.name}"
    return (
        place if options.flat else port.name,
        str(word.bits),
        "signed" if word.signed else "unsigned",
        f"{word.lsb:g}",
        word.unit,
        word.description,
    )


def filled(head: str, words: Sequence[str], tail: str) -> list[str]:
    """A list of words in lines of at most 88 characters."""
    indent = " " * (len(head) - len(head.lstrip()) + 4)
    text = head + ", ".join(words) + tail
    steps = [len(word) + 2 for word in words[:-1]]
    ends = [*accumulate(steps, initial=len(head) - 1), len(text)]
    if head[-1] != " ":  # the first word stands in the first line
        del ends[0]
    return _broken(text, ends, indent)


def wrapped(statement: str) -> list[str]:
    """A statement in lines of at most 88 characters, broken where it has a space."""
    if len(statement) <= WIDTH and "\n" not in statement:  # nearly all
        return [statement]
    indent = " " * (len(statement) - len(statement.lstrip()) + 4)
    lines = []
    for line in statement.splitlines():
        if len(line) <= WIDTH:
            lines.append(line)
            continue
        words = line.lstrip().split(" ")
        steps = [len(word) + 1 for word in words]
        ends = [*accumulate(steps, initial=len(line) - sum(steps))][1:]
        lines += _broken(line, ends, indent)
    return lines


def _broken(text: str, ends: Sequence[int], indent: str) -> list[str]:
    """A text in lines, as full as they can be.

    Args:
        text: One line, however long.
        ends: Where a line may end, in order: at some of its spaces, and at its end.
        indent: What the second line and those behind it start with.
    """
    lines, begin, before, room, k = [], 0, "", WIDTH, 0
    while k < len(ends):
        k = max(k + 1, bisect_right(ends, begin + room, k))
        end = ends[k - 1]
        lines.append(before + text[begin:end])
        begin, before, room = end + 1, indent, WIDTH - len(indent)
    return lines
