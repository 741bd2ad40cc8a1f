"""The choice within the budget: the best network whose block really fits.

Training estimates LUTs on the way; here each promising candidate is compiled to
Verilog and counted, best validation accuracy first, until one fits.
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
from models.plan import Candidate
from trigger.errors import UserError
from trigger.interface import Interface
from trigger.words import Word
from workflows.recipe import Budget, Firmware

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
            self.area.luts <= budget.luts
            and self.schedule.latency_ns <= budget.latency_ns
        )

    def __str__(self) -> str:
        return (
            f"{self.area.luts} LUTs, {self.schedule.latency_ns:.1f} ns and "
            f"{self.candidate.val_accuracy:.4f} validation accuracy "
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
    """
    ports = tuple(FrozenPort(w.name, w.bits, w.signed) for w in inputs)
    frozen = freeze(candidate.network, ports, classes)
    netlist = lower(frozen, name, clock_mhz=clock_mhz)
    firmware = firmware or Firmware()
    schedule = pipeline(
        netlist,
        clock_mhz,
        max_cycles=firmware.max_cycles or None,
        pad_to=firmware.pad_latency_to or None,
    )
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
    interface = Interface(name, inputs, outputs, classes)
    options = Options(firmware.clock_enable, firmware.ports == "flat")
    rtl = verilog.emit(netlist, schedule, interface, options)
    area = synth.estimate(rtl, name, yosys=yosys, netlist=netlist)
    return Block(candidate, frozen, netlist, schedule, interface, rtl, area, options)


def choose(
    front: Sequence[Candidate],
    budget: Budget,
    compiled: Callable[[Candidate], Block],
) -> tuple[Block, tuple[Block, ...]]:
    """Finds the most accurate candidate that fits.

    Args:
        front: Candidates of the training; any order.
        budget: What the block may cost.
        compiled: Builds the block of a candidate, for instance `build`.

    Returns:
        The chosen block, and all that were compiled on the way, the chosen included.

    Raises:
        UserError: None fits; the nearest is named.
    """
    cycles = budget.latency_ns * budget.clock_mhz / 1000
    hopeful = [
        c for c in front if c.luts <= SLACK * budget.luts and c.cycles <= cycles + 1
    ]
    if not hopeful:
        hopeful = [
            min(front, key=lambda c: max(c.luts / budget.luts, c.cycles / cycles))
        ]
    tried: list[Block] = []
    refused: UserError | None = None
    for candidate in sorted(hopeful, key=lambda c: (-c.val_accuracy, c.luts)):
        try:
            tried.append(compiled(candidate))
        except UserError as error:  # a clock that this network's operations miss
            refused = error
            continue
        if tried[-1].fits(budget):
            return tried[-1], tuple(tried)
    if refused and not tried:
        raise refused
    nearest = min(tried, key=lambda block: _excess(block, budget))
    raise UserError(
        f"no network fits budget.luts={budget.luts} and budget.latency_ns="
        f"{budget.latency_ns:g} at {budget.clock_mhz:g} MHz; the nearest of "
        f"{len(tried)} compiled needs {nearest}; raise the budget or train longer"
    )


def _excess(block: Block, budget: Budget) -> float:
    """How far a block is above its budget: the worse of the two ratios."""
    return max(
        block.area.luts / budget.luts, block.schedule.latency_ns / budget.latency_ns
    )
