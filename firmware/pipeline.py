"""Cutting a netlist into clock cycles, with as few registers as that takes.

Every node gets the stage in which it computes.  Stage 0 follows the rank of registers
behind the input ports, the last stage ends at the rank before the output ports, and a
value that is read in a later stage than its own is registered once per boundary.

First every node starts as soon as it can, which gives the fewest stages that the clock
allows.  Then nodes move within these stages so that the registers hold the fewest bits:
minimum-area retiming, which is a linear programme whose solution is whole-numbered
(Leiserson and Saxe, "Retiming synchronous circuitry", Algorithmica 6 (1991) 5,
doi:10.1007/BF01759032, section 8).
"""

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
        bits = self.cycles
        last, held = lifetimes(netlist, self.stage), held_bits(netlist)
        for i, node in enumerate(netlist.nodes):
            bits += held[i] * (last[i] - self.stage[i] + (node.op == "input"))
        for _, index in netlist.outputs:
            node = netlist.nodes[index]
            bits += 0 if node.op == "const" else node.width
        return bits


def pipeline(netlist: Netlist, clock_mhz: float | int) -> Schedule:
    """The shortest pipeline for a clock, then the one of these with fewest registers.

    Args:
        netlist: What to cut.
        clock_mhz: Clock in MHz; delays are the estimates of `firmware.delay`.

    Raises:
        UserError: The clock is not positive, or a single operation takes longer than
            one of its periods.
    """
    if not clock_mhz > 0:
        raise UserError(f"a clock is positive, got {clock_mhz} MHz")
    nodes = netlist.nodes
    delay = [
        round(1000 * delay_ns(node, [nodes[a] for a in node.args])) for node in nodes
    ]
    overhead = round(1000 * REGISTER_NS)
    budget = math.floor(1e6 / clock_mhz) - overhead
    worst = max(range(len(nodes)), key=delay.__getitem__)
    if delay[worst] > budget:
        node = nodes[worst]
        layer = f" of layer {node.layer!r}" if node.layer else ""
        raise UserError(
            f"block {netlist.block!r}: node {worst} ({node.op}{layer}, {node.width} "
            f"bits) takes {delay[worst] / 1000:.2f} ns, a cycle at {clock_mhz:g} MHz "
            f"leaves {budget / 1000:.2f} ns for logic; up to "
            f"{math.floor(1e6 / (delay[worst] + overhead))} MHz would work"
        )
    asap = _as_soon_as_possible(netlist, delay, budget)
    final = max(asap)
    stage = _fewest_registers(netlist, delay, budget, final)
    return Schedule(float(clock_mhz), stage, final + 2)


def lifetimes(netlist: Netlist, stage: Sequence[int]) -> list[int]:
    """The last stage that reads each node; the last of all for those that leave."""
    final = max(stage)
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
    return min(max(0, -reader.by), node.width - 1)


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
    """Solves for the stages; unknowns are each node's stage and its last reader's.

    Among equals the earlier wins, by a weight too small to buy a bit.
    """
    n = len(netlist.nodes)
    held = np.array(held_bits(netlist), float)
    reads = [(a, i) for i, node in enumerate(netlist.nodes) for a in node.args]
    # Each row says: unknown `above` minus unknown `below` is at least `gap`.
    rows = [(i, a, 0) for a, i in reads]
    rows += [(n + a, i, 0) for a, i in reads]
    rows += [(n + i, i, 0) for i in range(n)]
    rows += [(b, a, 1) for a, b in _too_far(netlist, delay, budget)]
    above, below, gap = np.array(rows).T
    row = np.arange(len(rows))
    matrix = coo_array(
        (
            np.repeat([-1.0, 1.0], len(rows)),
            (np.concatenate([row, row]), np.concatenate([above, below])),
        ),
        shape=(len(rows), 2 * n),
    )
    bounds = np.tile([0, final], (2 * n, 1))
    for i, node in enumerate(netlist.nodes):
        if not node.args:
            bounds[i] = 0
    for _, index in netlist.outputs:
        bounds[n + index] = final
    early = 0.5 / (2 * n * (final + 1))
    cost = np.concatenate([early - held, held])
    solved = linprog(cost, A_ub=matrix, b_ub=-gap, bounds=bounds, method="highs-ds")
    assert solved.success, solved.message  # the earliest stages are a solution
    return tuple(int(s) for s in np.rint(solved.x[:n]))
