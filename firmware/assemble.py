"""Everything that a bundle holds, written and proven, from a netlist and its schedule.

The one place that knows what goes into a bundle, whether a network was trained for it
or a netlist is compiled anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import numpy as np
from jaxtyping import Int64

from firmware import binding, cpp, testbench, vhdl
from firmware.bundle import Contents
from firmware.layers import timing_json
from firmware.netlist import Netlist
from firmware.pipeline import Schedule
from firmware.prove import Check, prove
from firmware.rtl import Options
from firmware.synth import SynthReport
from firmware.vectors import VectorSet
from trigger.interface import Interface, to_json


@final
@dataclass(frozen=True)
class Design:
    """A block that is cut into cycles, wired, and written in Verilog.

    Attributes:
        netlist: What it computes.
        schedule: When.
        interface: What its ports mean.
        options: How it is wired.
        verilog: Text by file name, of which the area was counted.
        area: That count, if there was what counts.
    """

    netlist: Netlist
    schedule: Schedule
    interface: Interface
    options: Options
    verilog: Mapping[str, str]
    area: SynthReport | None


def assemble(
    design: Design,
    tried: VectorSet,
    expected: Int64[np.ndarray, "events outputs"],
    *,
    network: Callable[[Check], Check],
    semver: str,
    provenance: Mapping[str, Any],
    reports: Mapping[str, str] | None = None,
) -> Contents:
    """Writes what is not written yet, and proves all of it.

    Args:
        design: The block.
        tried: Words for its ports.
        expected: What must come out.
        network: The check of the trained network, from that of NumPy on `expected`.
        semver: Version of the block.
        provenance: Further entries of the manifest.
        reports: Further texts for the folder of reports, by file name.
    """
    netlist, schedule = design.netlist, design.schedule
    interface, options = design.interface, design.options
    rtl = {**design.verilog, **vhdl.emit(netlist, schedule, interface, options)}
    emulator = cpp.emit(netlist)
    with TemporaryDirectory(prefix="jetlut-prove-") as folder:
        checks = prove(
            netlist,
            rtl,
            emulator,
            tried.words,
            expected,
            cycles=schedule.cycles,
            folder=Path(folder),
            options=options,
        )
    written = {**(reports or {}), "timing.json": timing_json(netlist, schedule)}
    if design.area:
        written["synth.json"] = design.area.to_json()
    return Contents(
        netlist=netlist,
        interface=to_json(interface),
        rtl=rtl,
        emulator=emulator | binding.emit(netlist),
        testbench=testbench.emit(
            netlist, schedule, interface, tried.words, expected, options
        ),
        vectors=tried,
        expected=expected,
        reports=written,
        checks={"network": network(checks["numpy"]), **checks},
        semver=semver,
        clock_mhz=schedule.clock_mhz,
        cycles=schedule.cycles,
        options=options,
        provenance=provenance,
    )
