"""A netlist made into a whole new bundle: at another clock, latency, or under a new id.

Nothing is trained and no function changes; sums are cut anew for another clock.  RTL,
emulators, bench and reports are written anew and proven anew, on the vectors of the
bundle that the netlist comes from; what stood there about the network and its data
stays true and is taken over.

Conventions
-----------
- A netlist alone has no network to be compared with and no physics words: that check
  is then not run, the vectors are random ones and edges, and ports are plain integers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from firmware import interpret, synth, vectors, verilog
from firmware.assemble import Design, assemble
from firmware.bundle import Contents
from firmware.netlist import Netlist
from firmware.passes import optimise
from firmware.pipeline import pipeline
from firmware.prove import Check
from firmware.rtl import DEFAULT, Options
from firmware.source import Source
from firmware.tools import Tool
from trigger.interface import Interface
from trigger.words import Word

RANDOM, SEED = 10_000, 0
"""Random words for a netlist that comes without vectors."""

OWN = frozenset(
    {
        *("format", "version", "id", "semver", "clock_mhz", "latency_cycles"),
        *("latency_ns", "ii", "wiring", "complete", "checks", "files"),
    }
)
"""Entries of a manifest that a bundle says of itself; the others say where it is from."""


@final
@dataclass(frozen=True)
class Request:
    """What is asked of a netlist.

    Attributes:
        clock_mhz: Clock of the pipeline.
        max_cycles: The most cycles it may take, if that is limited.
        pad_to: The cycles that it shall take, if that is fixed.
        block: A new id; empty keeps the old one.
        options: How the RTL is wired.
    """

    clock_mhz: float
    max_cycles: int | None = None
    pad_to: int | None = None
    block: str = ""
    options: Options = DEFAULT


def recompile(
    source: Source,
    request: Request,
    *,
    yosys: Tool,
    versions: Mapping[str, str],
) -> Contents:
    """Writes and proves everything that a bundle holds.

    Args:
        source: The netlist, alone or with its bundle.
        request: Clock, latency and id.
        yosys: Makes the area report, which is left out without it.
        versions: Of the tools, for the manifest.

    Raises:
        UserError: The clock or the latency cannot be met, the id is no identifier, or
            a port is too wide for the emulator.
    """
    block = request.block or source.netlist.block
    netlist = replace(_fitted(source, request.clock_mhz), block=block)
    if source.bundle:
        interface = _fitting(source.bundle.interface, netlist)
        tried, expected = source.bundle.vectors, source.bundle.expected
    else:
        interface = plain_interface(netlist)
        none = np.zeros((0, len(netlist.inputs)), np.int64)
        tried = vectors.make(netlist, none, random=RANDOM, seed=SEED)
        expected = interpret.run(netlist, tried.words)
    schedule = pipeline(
        netlist,
        request.clock_mhz,
        max_cycles=request.max_cycles,
        pad_to=request.pad_to,
    )
    options = request.options
    text = verilog.emit(netlist, schedule, interface, options)
    area = None
    if not yosys.missing:
        area = synth.estimate(text, block, yosys=yosys, netlist=netlist)
    return assemble(
        Design(netlist, schedule, interface, options, text, area),
        tried,
        expected,
        network=lambda numpy: _network(source, numpy),
        semver=source.semver,
        provenance=_provenance(source, versions),
    )


def plain_interface(netlist: Netlist) -> Interface:
    """Ports that are integers and nothing else, for a netlist of which no more is known.

    Raises:
        UserError: A name is no identifier, or a port wider than 53 bits.
    """

    def word(name: str, index: int) -> Word:
        node = netlist.nodes[index]
        return Word(name, node.width, node.signed, 1.0, "", "an integer")

    return Interface(
        netlist.block,
        tuple(word(netlist.nodes[i].name, i) for i in netlist.inputs),
        tuple(word(name, i) for name, i in netlist.outputs),
        tuple(name for name, _ in netlist.outputs),
        label="integers, as the netlist names them",
    )


def _fitted(source: Source, clock_mhz: float) -> Netlist:
    """The netlist with sums that fit the clock; that of its own clock is left alone."""
    if not clock_mhz > 0 or clock_mhz == source.clock_mhz:
        return source.netlist
    return optimise(source.netlist, clock_mhz)


def _fitting(interface: Interface, netlist: Netlist) -> Interface:
    """What the ports mean; an output may have lost bits that no answer needs."""
    outputs = [
        replace(word, bits=netlist.nodes[i].width, signed=netlist.nodes[i].signed)
        for word, (_, i) in zip(interface.outputs, netlist.outputs, strict=True)
    ]
    return replace(interface, block=netlist.block, outputs=tuple(outputs))


def _network(source: Source, numpy: Check) -> Check:
    """What is known of the network: all that was, as long as the answers are the same."""
    if source.bundle is None:
        return Check("not run", reason="compiled from a netlist, there is no network")
    try:
        before = Check(**source.bundle.manifest["checks"]["network"])
    except (KeyError, TypeError):
        return Check("not run", reason="the bundle had no record of it")
    if numpy.status != "passed":
        return Check("not run", reason="the answers are not those of the bundle")
    if before.status == "not run":
        return before
    where = f"taken over from {source.netlist.block}"
    return replace(before, reason=", ".join(filter(None, (before.reason, where))))


def _provenance(source: Source, versions: Mapping[str, str]) -> dict[str, Any]:
    before = source.bundle.manifest if source.bundle else {}
    kept = {key: value for key, value in before.items() if key not in OWN}
    made_from: dict[str, Any] = {"id": source.netlist.block, "sha256": source.sha256}
    if source.clock_mhz is not None:
        made_from["clock_mhz"] = source.clock_mhz
    return {**kept, "tools": dict(versions), "compiled_from": made_from}
