"""The choice within the budget: the best network whose block really fits.

Training estimates LUTs on the way; here each promising candidate is compiled to
Verilog and counted, best validation accuracy first, until one fits.  Where it turns out
that the estimates were too high, larger candidates are given their chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from firmware import synth, verilog
from firmware.assemble import Design
from firmware.lower import lower
from firmware.netlist import Netlist
from firmware.pipeline import Schedule, pipeline
from firmware.rtl import DEFAULT, Options
from firmware.tools import Tool
from models.freeze import freeze
from models.frozen import FrozenPort, FrozenProgram
from models.plan import Candidate, Goal
from trigger.errors import UserError
from trigger.front_end import FrontEnd
from trigger.interface import Interface
from trigger.words import Word
from workflows.groups import Budget, Firmware

SLACK = 1.15
"""Candidates are compiled up to this multiple of the budget by the training's estimate,
which is hardly ever further off (`tests/benchmarks/area_model.py`), and up to a cycle
above the latency."""


@final
@dataclass(frozen=True)
class Block:
    """A candidate with everything that was made of it on the way to Verilog."""

    candidate: Candidate
    frozen: FrozenProgram
    netlist: Netlist
    schedule: Schedule
    interface: Interface
    rtl: dict[str, str]
    area: synth.SynthReport
    options: Options = DEFAULT
    metric: str = "accuracy"
    """What the candidate's validation accuracy is."""

    @property
    def design(self) -> Design:
        """What a bundle is made of."""
        return Design(
            self.netlist,
            self.schedule,
            self.interface,
            self.options,
            self.rtl,
            self.area,
        )

    def fits(self, budget: Budget) -> bool:
        """Whether the counted LUTs and the latency are within the budget."""
        return (
            self.area.luts <= budget.luts and self.schedule.latency_ns <= budget.jet_ns
        )

    def __str__(self) -> str:
        return (
            f"{self.area.luts} LUTs, {self.schedule.latency_ns:.1f} ns and "
            f"{self.candidate.val_accuracy:.4f} validation {self.metric} "
            f"(epoch {self.candidate.epoch})"
        )


def build(
    candidate: Candidate,
    name: str,
    inputs: tuple[Word, ...],
    classes: tuple[str, ...],
    clock_mhz: float,
    yosys: Tool,
    firmware: Firmware | None = None,
    front: FrontEnd | None = None,
) -> Block:
    """Takes a trained network to counted Verilog.

    Args:
        candidate: The network.
        name: The block's id.
        inputs: Port words, in port order.
        classes: Class names; output `c` is the score of class `c`.
        clock_mhz: Clock of the pipeline.
        yosys: What counts the LUTs, from `firmware.tools.synthesiser`.
        firmware: How the block is cut into cycles and wired; by default as short as the
            clock allows.
        front: What stands between the port words and the network, if anything does.
    """
    read = front.outputs() if front else inputs
    ports = tuple(FrozenPort(w.name, w.bits, w.signed) for w in read)
    frozen = freeze(candidate.network, ports, classes)
    netlist = lower(frozen, name, front=front, clock_mhz=clock_mhz)
    firmware = firmware or Firmware()
    schedule = pipeline(
        netlist,
        clock_mhz,
        max_cycles=firmware.max_cycles or None,
        pad_to=firmware.pad_latency_to or None,
    )
    slices = front.slices() if front else ()
    outputs = tuple(
        Word(
            port,
            netlist.nodes[node].width,
            netlist.nodes[node].signed,
            frozen.out_lsb,
            "",
            f"score of class {port}",
        )
        for port, node in netlist.outputs
    )
    interface = Interface(name, inputs, outputs, classes, slices=slices)
    options = Options(firmware.clock_enable, firmware.ports == "flat")
    rtl = verilog.emit(netlist, schedule, interface, options)
    area = synth.estimate(rtl, name, yosys=yosys, netlist=netlist)
    return Block(candidate, frozen, netlist, schedule, interface, rtl, area, options)


def choose(
    front: Sequence[Candidate],
    budget: Budget,
    compiled: Callable[[Candidate], Block],
    room: Goal | None = None,
) -> tuple[Block, tuple[Block, ...]]:
    """Finds the most accurate candidate that fits.

    Args:
        front: Candidates of the training; any order.
        budget: What the block may cost.
        compiled: Builds the block of a candidate, for instance `build`.
        room: What of the budget is left for the network alone; by default all.

    Returns:
        The chosen block, and all that were compiled on the way, the chosen included.

    Raises:
        UserError: None fits; the nearest is named.
    """
    luts = room.luts if room and room.luts else float(budget.luts)
    ns = room.latency_ns if room and room.latency_ns else budget.jet_ns
    cycles = ns * budget.clock_mhz / 1000
    waiting = [c for c in front if c.luts <= SLACK * luts and c.cycles <= cycles + 1]
    if not waiting:
        waiting = [min(front, key=lambda c: max(c.luts / luts, c.cycles / cycles))]
    above = [c for c in front if c.luts > SLACK * luts and c.cycles <= cycles + 1]
    tried: list[Block] = []
    best: Block | None = None
    refused: UserError | None = None
    while waiting:
        candidate = min(waiting, key=lambda c: (-c.val_accuracy, c.luts))
        waiting.remove(candidate)
        try:
            block = compiled(candidate)
        except UserError as error:  # a clock that this network's operations miss
            refused = error
            continue
        tried.append(block)
        if block.fits(budget):
            best, reached = block, candidate.val_accuracy
            counted = (block.area.luts - (budget.luts - luts)) / max(candidate.luts, 1)
            waiting = [
                c
                for c in above
                if c.val_accuracy > reached and c.luts * counted <= luts
            ]
            above = [c for c in above if c not in waiting]
    if best:
        return best, tuple(tried)
    if refused and not tried:
        raise refused
    nearest = min(tried, key=lambda block: _excess(block, budget))
    time = f"budget.latency_ns={budget.jet_ns:g}"
    if budget.slot:
        time = f"the {budget.jet_ns:g} ns that the slot leaves a jet"
    raise UserError(
        f"no network fits budget.luts={budget.luts} and {time} at "
        f"{budget.clock_mhz:g} MHz; the nearest of "
        f"{len(tried)} compiled needs {nearest}; raise the budget or train longer"
    )


def _excess(block: Block, budget: Budget) -> float:
    """How far a block is above its budget: the worse of the two ratios."""
    return max(block.area.luts / budget.luts, block.schedule.latency_ns / budget.jet_ns)
