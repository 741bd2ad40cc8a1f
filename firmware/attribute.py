"""Which layer each LUT and register of a mapped block belongs to.

Mapping renames and merges everything inside, so names do not tell.  Values do: the
mapped block is run on random words, and a LUT or register that shows the very bit that
some value of the netlist shows, or its inverse, belongs to the layer of the first such
value.  What shows no value's bit is the inside of a table or of an adder, and belongs
to the layer of what reads it.

So the layers are read off the mapping of the whole block, and add up to it: nothing is
mapped twice, nor differently.  Two different bits may look alike on all words drawn,
which moves a LUT from one layer to another and loses none.

Conventions
-----------
- Registers are wires here: the same event is looked at in every stage.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Int64

from firmware import interpret
from firmware.layers import PORTS, layer_names
from firmware.netlist import Netlist

EVENTS = 2048
"""Random events on which values are told apart."""

Net = int | str
"""A net of Yosys by number, or a constant, `"0"`, `"1"` or `"x"`."""

Values = Bool[np.ndarray, " events"]


@final
@dataclass(frozen=True)
class Lut:
    """A lookup table: the nets it reads, lowest address bit first, and the net driven.

    `table` are its entries as Yosys writes them: the one of the highest address first.
    """

    inputs: tuple[Net, ...]
    out: int
    table: str

    @cached_property
    def reads(self) -> frozenset[int]:
        """The nets that it reads, without constants."""
        return frozenset(net for net in self.inputs if isinstance(net, int))


def attribute(
    ports: Mapping[str, Any],
    luts: Sequence[Lut],
    registers: Sequence[Lut],
    netlist: Netlist,
) -> tuple[list[str], list[str]]:
    """Finds the layer of every LUT and of every register.

    Args:
        ports: The ports of the mapped module, as Yosys describes them.
        luts: The mapped logic.
        registers: What each takes over at its clock edge, as a table of one or two nets.
        netlist: What the module was made of.

    Returns:
        Names of layers: of the LUTs, and of the registers, each in order.
    """
    drawn = _words(netlist)
    known = _known(netlist, drawn)
    cells = {cell.out: cell for cell in (*luts, *registers)}
    order = list(
        TopologicalSorter(
            {out: cell.reads & cells.keys() for out, cell in cells.items()}
        ).static_order()
    )
    values = _inputs(ports, netlist, drawn)
    for out in order:
        args = [_value(net, values) for net in cells[out].inputs]
        values[out] = _look_up(cells[out], args)
    layer: dict[int, str] = {}
    for out in reversed(order):  # what reads a net is known before the net
        own = known.get(values[out].tobytes())
        layer[out] = own if own is not None else layer.get(out, PORTS)
        for net in cells[out].reads:
            layer.setdefault(net, layer[out])
    return [layer[lut.out] for lut in luts], [layer[cell.out] for cell in registers]


def _words(netlist: Netlist) -> Int64[np.ndarray, "events ports"]:
    """Uniform words of the ports, the same at every call."""
    ports = [netlist.nodes[i] for i in netlist.inputs]
    rng = np.random.default_rng(0)
    lo, hi = [port.lo for port in ports], [port.hi for port in ports]
    return rng.integers(lo, hi, (EVENTS, len(ports)), endpoint=True)


def _known(
    netlist: Netlist, words: Int64[np.ndarray, "events ports"]
) -> dict[bytes, str]:
    """The layer of every bit of every value, by how the bit and its inverse look."""
    every = tuple((f"n{i}", i) for i in range(len(netlist.nodes)))
    values = interpret.run(replace(netlist, outputs=every), words)
    known: dict[bytes, str] = {}
    names = layer_names(netlist)
    for i, node in enumerate(netlist.nodes):
        if node.op == "const":
            continue
        for bit in range(node.width):
            seen = (values[:, i] >> bit & 1).astype(bool)
            if seen.any() and not seen.all():  # else it looks like a constant
                known.setdefault(seen.tobytes(), names[i])
                known.setdefault((~seen).tobytes(), names[i])
    return known


def _inputs(
    ports: Mapping[str, Any], netlist: Netlist, words: Int64[np.ndarray, "events ports"]
) -> dict[int, Values]:
    """The nets of the ports that carry words: one for each, or one for all of them."""
    nodes = [netlist.nodes[i] for i in netlist.inputs]
    names = [f"in_{node.name}" for node in nodes]
    if all(name in ports for name in names):
        nets = [net for name in names for net in ports[name]["bits"]]
    else:
        nets = ports["in_words"]["bits"]
    bits = [(column, bit) for column, n in enumerate(nodes) for bit in range(n.width)]
    return {
        net: (words[:, column] >> bit & 1).astype(bool)
        for net, (column, bit) in zip(nets, bits, strict=True)
    }


def _value(net: Net, values: Mapping[int, Values]) -> Values:
    """What a net shows; what is neither word nor logic, as the valid bit, shows 0."""
    if isinstance(net, int) and net in values:
        return values[net]
    return np.full(EVENTS, net == "1")


def _look_up(lut: Lut, args: Sequence[Values]) -> Values:
    address = np.zeros(EVENTS, np.intp)
    for bit, arg in enumerate(args):
        address |= arg.astype(np.intp) << bit
    entries = np.array([entry == "1" for entry in reversed(lut.table)])
    return entries[address]
