"""Cutting a netlist into clock cycles, with as few registers as that takes.

Every node gets the stage in which it computes.  Stage 0 follows the rank of registers
behind the input ports, the last stage ends at the rank before the output ports, and a
value that is read in a later stage than its own is registered once per boundary.

First every node starts as soon as it can, which gives the fewest stages that the clock
allows.  Then nodes move within these stages so that the registers hold the fewest bits:
minimum-area retiming, which is a linear programme whose solution is whole-numbered
(Leiserson and Saxe, "Retiming synchronous circuitry", Algorithmica 6 (1991) 5,
doi:10.1007/BF01759032, section 8).  A block that has to take more cycles than it needs,
so that it keeps its place in a trigger's schedule, waits by the same programme: at the
narrowest cuts of the way.
"""

import bisect
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from firmware.build import users
from firmware.delay import REGISTER_NS, delay_ns
from firmware.netlist import Netlist, Node
from trigger.errors import UserError


@final
@dataclass(frozen=True)
class Schedule:
    """When each node computes.

    Attributes:
        clock_mhz: The clock that it was made for.
        stage: The stage of every node, from 0.
        cycles: Register ranks from the input ports to the output ports.
    """

    clock_mhz: float
    stage: tuple[int, ...]
    cycles: int

    @property
    def latency_ns(self) -> float:
        """From the edge that samples a word to the edge that can sample its answer."""
        return 1000 * self.cycles / self.clock_mhz

    @property
    def ii(self) -> int:
        """Cycles between events: the block takes one on every edge."""
        return 1

    def register_bits(self, netlist: Netlist) -> int:
        """Flip-flops of the data path, of both port ranks, and of the valid chain."""
        return sum(self.registers(netlist)) + self.port_registers(netlist)

    def registers(self, netlist: Netlist) -> list[int]:
        """Flip-flops that hold each node's value, the rank behind the inputs included."""
        last = lifetimes(netlist, self.stage, self.cycles - 2)
        held = held_bits(netlist)
        return [
            held[i] * (last[i] - self.stage[i] + (node.op == "input"))
            for i, node in enumerate(netlist.nodes)
        ]

    def port_registers(self, netlist: Netlist) -> int:
        """Flip-flops of the valid chain, and of the rank before the outputs."""
        leaving = [netlist.nodes[index] for _, index in netlist.outputs]
        return self.cycles + sum(node.width for node in leaving if node.op != "const")


def pipeline(
    netlist: Netlist,
    clock_mhz: float | int,
    *,
    max_cycles: int | None = None,
    pad_to: int | None = None,
) -> Schedule:
    """The shortest pipeline for a clock, then the one of these with fewest registers.

    Args:
        netlist: What to cut.
        clock_mhz: Clock in MHz; delays are the estimates of `firmware.delay`.
        max_cycles: The most cycles that the block may take.
        pad_to: The cycles that the block shall take, however few it needs; the ranks
            that nothing needs stand where they hold the fewest bits.

    Raises:
        UserError: The clock is not positive; a single operation takes longer than one
            of its periods; the clock needs more cycles than `max_cycles` or `pad_to`;
            or `pad_to` is above `max_cycles`.
    """
    if not clock_mhz > 0:
        raise UserError(f"a clock is positive, got {clock_mhz} MHz")
    delay, budget = _delays(netlist), _budget(clock_mhz)
    worst = max(range(len(delay)), key=delay.__getitem__)
    if delay[worst] > budget:
        raise UserError(
            f"block {netlist.block!r}: {_told(netlist, worst)} takes "
            f"{delay[worst] / 1000:.2f} ns, a cycle at {clock_mhz:g} MHz "
            f"leaves {budget / 1000:.2f} ns for logic; up to "
            f"{_fastest(netlist, delay, None)} MHz would work"
        )
    need = max(_as_soon_as_possible(netlist, delay, budget)) + 2
    if max_cycles is not None and need > max_cycles:
        raise UserError(
            f"block {netlist.block!r} needs {need} cycles at {clock_mhz:g} MHz, "
            f"{max_cycles} are allowed: {_longest(netlist, delay)}; "
            + (
                f"up to {_fastest(netlist, delay, max_cycles)} MHz would work"
                if max_cycles >= 2
                else "the ranks at its ports alone take 2, whatever the clock"
            )
        )
    if pad_to is not None and pad_to < need:
        raise UserError(
            f"block {netlist.block!r} needs {need} cycles at {clock_mhz:g} MHz and "
            f"cannot be padded to {pad_to}; {need} or more would work"
        )
    if pad_to is not None and max_cycles is not None and pad_to > max_cycles:
        raise UserError(
            f"block {netlist.block!r} cannot be padded to {pad_to} cycles where "
            f"{max_cycles} are allowed"
        )
    cycles = pad_to or need
    stage = _fewest_registers(netlist, delay, budget, cycles - 2)
    return Schedule(float(clock_mhz), stage, cycles)


def cycle_ns(clock_mhz: float | int) -> float:
    """Nanoseconds that a cycle leaves for logic."""
    return _budget(clock_mhz) / 1000


def cycles_bits(netlist: Netlist, clock_mhz: float | int) -> tuple[int, int] | None:
    """Cycles that a clock needs, and register bits if all starts as soon as it can.

    Cheaper than `pipeline`, which finds the stages with fewest registers; None where a
    single operation takes longer than a cycle.
    """
    delay, budget = _delays(netlist), _budget(clock_mhz)
    if max(delay) > budget:
        return None
    stage = _as_soon_as_possible(netlist, delay, budget)
    schedule = Schedule(float(clock_mhz), tuple(stage), max(stage) + 2)
    return schedule.cycles, schedule.register_bits(netlist)


def lifetimes(
    netlist: Netlist, stage: Sequence[int], final: int | None = None
) -> list[int]:
    """The last stage that reads each node; the last of all for those that leave.

    Args:
        netlist: The block.
        stage: Of every node.
        final: The last of all stages, `cycles - 2`.  A padded block may only wait in
            it; without this it is the last in which something is computed.
    """
    final = max(stage) if final is None else final
    last = list(stage)
    for i, node in enumerate(netlist.nodes):
        for a in node.args:
            last[a] = max(last[a], stage[i])
    for _, index in netlist.outputs:
        last[index] = final
    return last


def held_bits(netlist: Netlist) -> list[int]:
    """Bits that a register of each node holds; low bits that nothing reads are not."""
    leaving = {index for _, index in netlist.outputs}
    held = []
    for i, (node, readers) in enumerate(
        zip(netlist.nodes, users(netlist), strict=True)
    ):
        drops = [_dropped(node, netlist.nodes[u]) for u in readers]
        drop = min(drops, default=node.width) if i not in leaving else 0
        held.append(0 if node.op == "const" else node.width - drop)
    return held


def _dropped(node: Node, reader: Node) -> int:
    """Low bits of `node` that `reader` does without."""
    if reader.lo == reader.hi:
        return node.width
    # A right shift by more than the width still reads the sign.
    return min(-reader.by, node.width - 1) if reader.by < 0 else 0


def _budget(clock_mhz: float | int) -> int:
    """Picoseconds that a cycle leaves for logic."""
    return math.floor(1e6 / clock_mhz) - round(1000 * REGISTER_NS)


def _delays(netlist: Netlist) -> list[int]:
    """Picoseconds that every node takes."""
    return [
        round(1000 * delay_ns(node, [netlist.nodes[a] for a in node.args]))
        for node in netlist.nodes
    ]


def _fastest(netlist: Netlist, delay: Sequence[int], cycles: int | None) -> int:
    """The fastest clock, in whole MHz, that every operation meets.

    Args:
        netlist: The block.
        delay: Of every node, in picoseconds.
        cycles: Within which the block has to be ready; at least 2, and any if None.
    """
    clock = math.floor(1e6 / (max(delay) + round(1000 * REGISTER_NS)))
    if cycles is None:
        return clock

    def missed(clock: int) -> bool:
        stages = _as_soon_as_possible(netlist, delay, _budget(clock))
        return max(stages) + 2 > cycles

    # Cycles never fall as the clock rises; at 0 MHz anything is ready.
    return bisect.bisect_left(range(1, clock + 1), True, key=missed)


def _longest(netlist: Netlist, delay: Sequence[int]) -> str:
    """The path that takes longest from a port to a port, in words."""
    path, before = list(delay), [-1] * len(delay)
    for i, node in enumerate(netlist.nodes):
        if node.args:
            before[i] = max(node.args, key=path.__getitem__)
            path[i] += path[before[i]]
    name, end = max(netlist.outputs, key=lambda output: path[output[1]])
    steps, at = [], end
    while at >= 0:
        steps.append(at)
        at = before[at]
    nodes = netlist.nodes
    layers = dict.fromkeys(nodes[i].layer for i in reversed(steps) if nodes[i].layer)
    through = f" through {', '.join(layers)}" if layers else ""
    slowest = max(steps, key=delay.__getitem__)
    return (
        f"the longest path takes {path[end] / 1000:.2f} ns, from "
        f"{nodes[steps[-1]].name or 'a constant'} to {name}{through}; its slowest "
        f"step is {_told(netlist, slowest)}"
    )


def _told(netlist: Netlist, index: int) -> str:
    """A node in words, for a message."""
    node = netlist.nodes[index]
    layer = f" of layer {node.layer!r}" if node.layer else ""
    return f"node {index} ({node.op}{layer}, {node.width} bits)"


def _as_soon_as_possible(
    netlist: Netlist, delay: Sequence[int], budget: int
) -> list[int]:
    """The earliest stage of every node; its last is the least that the clock allows."""
    stage: list[int] = []
    done: list[int] = []
    for i, node in enumerate(netlist.nodes):
        at = max((stage[a] for a in node.args), default=0)
        start = max((done[a] for a in node.args if stage[a] == at), default=0)
        if start + delay[i] > budget:
            at, start = at + 1, 0
        stage.append(at)
        done.append(start + delay[i])
    return stage


def _too_far(
    netlist: Netlist, delay: Sequence[int], budget: int
) -> list[tuple[int, int]]:
    """Pairs of nodes that one cycle cannot hold: the path through both is too long.

    Of each way out of a node only the first such pair; the others follow from it.
    """
    readers = users(netlist)
    pairs = []
    for first in range(len(netlist.nodes)):
        path = {first: delay[first]}
        queue = [first]
        while queue:  # in the order of the netlist, so that a path is final when taken
            i = heapq.heappop(queue)
            if path[i] > budget:
                pairs.append((first, i))
                continue
            for u in readers[i]:
                if u not in path:
                    heapq.heappush(queue, u)
                path[u] = max(path.get(u, 0), path[i] + delay[u])
    return pairs


def _fewest_registers(
    netlist: Netlist, delay: Sequence[int], budget: int, final: int
) -> tuple[int, ...]:
    """Solves for the stages; unknowns are each node's and the last of several readers'.

    Among equals the earlier wins, by a weight too small to buy a bit.
    """
    n = len(netlist.nodes)
    if final == 0:
        return (0,) * n
    held = held_bits(netlist)
    leaving = {index for _, index in netlist.outputs}
    early = 0.5 / (n * (final + 1))
    cost = [early] * n
    # Each row says: unknown `above` minus unknown `below` is at least `gap`.
    rows = [(i, a, 0) for i, node in enumerate(netlist.nodes) for a in node.args]
    rows += [(b, a, 1) for a, b in _too_far(netlist, delay, budget)]
    for i, readers in enumerate(users(netlist)):
        if i in leaving:  # held to the end, wherever it starts
            cost[i] -= held[i]
        elif readers:
            last = readers[0]
            if len(readers) > 1:
                last = len(cost)
                cost.append(0.0)
                rows += [(last, u, 0) for u in readers]
            cost[last] += held[i]
            cost[i] -= held[i]
    above, below, gap = np.array(rows or [(0, 0, 0)]).T
    row = np.arange(len(above))
    matrix = coo_array(
        (
            np.repeat([-1.0, 1.0], len(row)),
            (np.concatenate([row, row]), np.concatenate([above, below])),
        ),
        shape=(len(row), len(cost)),
    )
    bounds = np.tile([0, final], (len(cost), 1))
    for i, node in enumerate(netlist.nodes):
        if not node.args:
            bounds[i] = 0
    solved = linprog(cost, A_ub=matrix, b_ub=-gap, bounds=bounds, method="highs-ds")
    assert solved.success, solved.message  # the earliest stages are a solution
    return tuple(int(s) for s in np.rint(solved.x[:n]))
