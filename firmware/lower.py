"""From a frozen network to a netlist: the one place where firmware meets models.

Every edge becomes a table behind a shift, every unit a sum, every requantisation a
constant, a shift and a clip; the passes of `firmware.passes` do the rest.

Conventions
-----------
- A port's code is `raw - lo`.  No node subtracts `lo`: it is a multiple of every
  step an edge truncates to, so truncating the raw word and counting the table's
  entries from the least argument is the same.
- Nodes name the layer that they come from; names mean nothing to the function.
"""

from dataclasses import dataclass
from typing import final

from firmware.build import Builder
from firmware.netlist import Netlist, validate
from firmware.passes import optimise
from models.frozen import FrozenNetwork, FrozenRequantise, FrozenTables
from trigger.errors import UserError


@final
@dataclass(frozen=True)
class _Wire:
    """A value on its way through the layers: node `index` holds `value + base`."""

    index: int
    base: int = 0


def lower(network: FrozenNetwork, block: str) -> Netlist:
    """The integer program of a network, optimised and validated.

    Args:
        network: Frozen tables and requantisations.
        block: The block's id, a legal identifier of Verilog, VHDL and C++.

    Raises:
        UserError: The layers do not fit each other (a width, a count, a table whose
            length is no power of two), or an intermediate needs more than 64 bits.
    """
    netlist = optimise(translate(network, block))
    validate(netlist)
    return netlist


def translate(network: FrozenNetwork, block: str) -> Netlist:
    """The network's layers as nodes, one to one, before any pass."""
    into = Builder(block)
    wires: list[_Wire] = []
    widths: list[int | None] = []
    for port in network.inputs:
        lo = -(1 << (port.bits - 1)) if port.signed else 0
        wires.append(_Wire(into.input(port.name, lo, lo + (1 << port.bits) - 1), lo))
        widths.append(port.bits)
    for layer in network.layers:
        if isinstance(layer, FrozenTables):
            _check_tables(layer, widths)
            wires = _tables(into, layer, wires)
            widths = [None] * len(wires)
        else:
            if len(layer.bits) != len(wires):
                raise UserError(
                    f"layer {layer.name!r} requantises {len(layer.bits)} units, "
                    f"the layer before it has {len(wires)}"
                )
            wires = _requantise(into, layer, wires)
            widths = [int(bits) for bits in layer.bits]
    if len(wires) != len(network.outputs):
        raise UserError(
            f"the network names {len(network.outputs)} outputs, "
            f"its last layer has {len(wires)} units"
        )
    return into.finish(
        [(name, w.index) for name, w in zip(network.outputs, wires, strict=True)]
    )


def _check_tables(layer: FrozenTables, widths: list[int | None]) -> None:
    if [int(bits) for bits in layer.bits] != widths:
        raise UserError(
            f"layer {layer.name!r} reads codes of {[int(b) for b in layer.bits]} bits, "
            f"the layer before it makes {widths}"
        )
    for i, row in enumerate(layer.tables):
        for j, entries in enumerate(row):
            n = len(entries)
            if n.bit_count() != 1 or n > 1 << int(layer.bits[i]):
                raise UserError(
                    f"layer {layer.name!r}: the table from input {i} to unit {j} has "
                    f"{n} entries; a power of two up to {1 << int(layer.bits[i])} is "
                    "needed"
                )


def _tables(into: Builder, layer: FrozenTables, wires: list[_Wire]) -> list[_Wire]:
    units = []
    for j in range(len(layer.bias)):
        terms: list[int] = []
        total = int(layer.bias[j])
        for i, wire in enumerate(wires):
            entries = [int(entry) for entry in layer.tables[i][j]]
            up = int(layer.up[i, j])
            if len(entries) == 1:
                total += entries[0] << up
                continue
            drop = int(layer.bits[i]) - (len(entries).bit_length() - 1)
            address = into.shift(wire.index, -drop, layer.name)
            first = wire.base >> drop
            term = into.table(
                address, lambda v, e=entries, f=first: e[v - f], layer.name
            )
            if into.nodes[term].op == "const":
                total += into.nodes[term].lo << up
            else:
                terms.append(into.shift(term, up, layer.name))
        if total or not terms:
            terms.append(into.const(total))
        units.append(_Wire(into.sum(terms, layer.name)))
    return units


def _requantise(
    into: Builder, layer: FrozenRequantise, wires: list[_Wire]
) -> list[_Wire]:
    codes = []
    for j, wire in enumerate(wires):
        offset = into.const(int(layer.offset[j]))
        moved = into.sum([wire.index, offset], layer.name)
        scaled = into.shift(moved, -int(layer.down[j]), layer.name)
        top = (1 << int(layer.bits[j])) - 1
        codes.append(_Wire(into.clip(scaled, 0, top, layer.name)))
    return codes
