"""What a block is made of, layer by layer: tables, adders, registers, time.

An account of the netlist and its schedule as they are, for people who decide where to
save.  Every node and every register bit is counted in one layer, so that the columns add
up to the block.

Conventions
-----------
- A node without a layer of its own belongs to the first that reads it, for it stands
  there for that one's sake.  Ports are a layer of their own, `PORTS`: it has the
  registers behind the inputs, those before the outputs, and the chain of valid bits.
- LUTs and nanoseconds are estimates, of `firmware.area` and `firmware.delay`.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import final

from firmware import area
from firmware.build import users
from firmware.delay import delay_ns
from firmware.netlist import Netlist
from firmware.pipeline import Schedule

PORTS = "ports"

NOTE = (
    "cycles are exact; that the clock closes is an estimate of the delay model, not the "
    "result of place and route"
)


@final
@dataclass(frozen=True)
class Layer:
    """One layer's share of a block.

    Attributes:
        tables: Number of table look-ups, the edges that are alive, by address bits.
        adders: Operations that add: `add`, `sub` and `sum`.
        operands: What these take together; a plain adder takes two.
        clips: Saturations.
        others: Further operations that are more than wires: multiply, compare, mux.
        register_bits: Flip-flops that hold its values.
        luts: LUT6, an estimate.
        delay_ns: Its longest path alone, an estimate.
        stages: First and last stage in which it computes; empty if it is wires alone.
    """

    name: str
    tables: Mapping[int, int]
    adders: int
    operands: int
    clips: int
    others: int
    register_bits: int
    luts: float
    delay_ns: float
    stages: tuple[int, ...]


def layer_names(netlist: Netlist) -> list[str]:
    """The layer of every node; what only a port reads, and ports, are of `PORTS`."""
    names = [node.layer for node in netlist.nodes]
    readers = users(netlist)
    for i in range(len(names) - 1, -1, -1):
        if netlist.nodes[i].op == "input":
            names[i] = PORTS
        elif not names[i]:
            names[i] = next((names[u] for u in readers[i]), PORTS)
    return names


def account(netlist: Netlist, schedule: Schedule) -> list[Layer]:
    """The layers, in the order in which they first compute; the ports stand first."""
    nodes, names = netlist.nodes, layer_names(netlist)
    registers = Counter({PORTS: schedule.port_registers(netlist)})
    for name, bits in zip(names, schedule.registers(netlist), strict=True):
        registers[name] += bits
    delay = [delay_ns(node, [nodes[a] for a in node.args]) for node in nodes]
    path: list[float] = []
    for i, node in enumerate(nodes):
        before = [path[a] for a in node.args if names[a] == names[i]]
        path.append(delay[i] + max(before, default=0.0))
    members: dict[str, list[int]] = {PORTS: []}
    for i, name in enumerate(names):
        members.setdefault(name, []).append(i)
    layers = []
    for name, inside in members.items():
        stages = [schedule.stage[i] for i in inside if delay[i]]
        layers.append(
            _layer(
                netlist,
                name,
                inside,
                register_bits=registers[name],
                delay_ns=max((path[i] for i in inside), default=0.0),
                stages=(min(stages), max(stages)) if stages else (),
            )
        )
    return layers


def longest_ns(netlist: Netlist) -> float:
    """The longest path from port to port without any register, an estimate."""
    path: list[float] = []
    for node in netlist.nodes:
        args = [netlist.nodes[a] for a in node.args]
        before = max((path[a] for a in node.args), default=0.0)
        path.append(before + delay_ns(node, args))
    return max(path, default=0.0)


def timing_json(netlist: Netlist, schedule: Schedule) -> str:
    """The text of `reports/timing.json`.  Ends in a newline."""
    report = {
        "clock_mhz": schedule.clock_mhz,
        "latency_cycles": schedule.cycles,
        "latency_ns": round(schedule.latency_ns, 3),
        "ii": schedule.ii,
        "register_bits": schedule.register_bits(netlist),
        "label": NOTE,
        "longest_path_ns": round(longest_ns(netlist), 3),
        "layers": [
            asdict(layer) | {"delay_ns": round(layer.delay_ns, 3)}
            for layer in account(netlist, schedule)
        ],
        "luts_label": area.LABEL,
    }
    return json.dumps(report, indent=1) + "\n"


def _layer(
    netlist: Netlist,
    name: str,
    inside: list[int],
    *,
    register_bits: int,
    delay_ns: float,
    stages: tuple[int, ...],
) -> Layer:
    nodes = netlist.nodes
    ops = Counter(nodes[i].op for i in inside)
    addresses = Counter(
        nodes[nodes[i].args[0]].width for i in inside if nodes[i].op == "table"
    )
    adders = [nodes[i] for i in inside if nodes[i].op in ("add", "sub", "sum")]
    return Layer(
        name=name,
        tables=dict(sorted(addresses.items())),
        adders=len(adders),
        operands=sum(len(node.args) for node in adders),
        clips=ops["clip"],
        others=ops["mul"] + ops["compare"] + ops["mux"],
        register_bits=register_bits,
        luts=sum(
            area.luts(nodes[i], [nodes[a] for a in nodes[i].args]) for i in inside
        ),
        delay_ns=delay_ns,
        stages=stages,
    )
