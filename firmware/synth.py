"""An area estimate without a vendor tool: LUT6, flip-flops and logic depth by Yosys.

Yosys maps the RTL to lookup tables for area, and what is left is counted the way an
UltraScale+ slice is filled (`firmware.pack`).  A bit of an adder is two tables of the
same three nets and so comes to one LUT6, as it does on a carry chain.

This is an estimate, never a measurement; `CALIBRATION` says how good.

Conventions
-----------
- Inverters count nothing: the next table absorbs them.
- With the netlist at hand, every LUT and register is also counted in one of its layers,
  out of the same mapping of the whole block (`firmware.attribute`).
"""

import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

from firmware.attribute import Lut, Net, attribute
from firmware.netlist import Netlist
from firmware.pack import PAIR_INPUTS, SITES, depth, paired
from firmware.tools import Tool, write_texts
from firmware.yosys import run

CALIBRATION = (
    "Estimate: Yosys area mapping with LUT pairs packed. On the two published designs "
    "that Vivado placed and routed on a VU13P, the recipe that this follows counts 5376 "
    "against 5667 LUTs (-5.1 %) and 5769 against 6042 (-4.5 %). Depth counts LUT "
    "levels with adders as look-ahead logic, not as carry chains."
)

MAPPED, ADDERS = "mapped.json", "adders.il"
"""What Yosys leaves in its folder: the mapped module, and its adders before that."""

MAPPING = (
    *("proc", "flatten", "opt_expr", "opt_clean", "opt -nodffe -nosdff", "wreduce"),
    *("peepopt", "opt_clean", "alumacc"),
    # Only looks at the adders before they become LUTs; `write_json` would move some.
    f"tee -q -o {ADDERS} dump t:$alu t:$add t:$sub t:$macc*",
    *("opt", "memory_map", "opt -undriven -fine"),
    *("techmap", "opt -fast", "simplemap", "opt"),
    *("abc -luts 1,1,1,1,1,1,2,4 -script area.abc", "opt_clean"),
)
"""Yosys passes from RTL to `$lut` cells.

The calibration belongs to exactly these: classic ABC for area, no carry cells, since
`synth_xilinx` restructures tables for delay and counts half as much again as Vivado.
"""


@final
@dataclass(frozen=True)
class Share:
    """What one layer has of the block; two halves of a LUT may be of two layers.

    `depth` is the most LUTs of this layer in a row between registers.
    """

    layer: str
    luts: float
    ffs: int
    depth: int


@final
@dataclass(frozen=True)
class SynthReport:
    """What the estimate found; `depth` is in LUT levels between registers.

    `carry_bits` are the bits of all adders and comparisons that Yosys found, each a bit
    of a carry chain if a vendor's tool makes chains of them; their LUTs are in `luts`.
    `layers` add up to `luts` and `ffs`, and are empty if no netlist was given.
    """

    luts: int
    ffs: int
    depth: int
    luts_by_size: dict[str, int]
    seconds: float
    tool: str
    label: str = "estimate"
    calibration: str = CALIBRATION
    carry_bits: int = 0
    layers: tuple[Share, ...] = ()

    def to_json(self) -> str:
        """The report as it lies in the bundle."""
        return json.dumps(asdict(self), indent=1) + "\n"


def estimate(
    rtl: Mapping[str, str], top: str, *, yosys: Tool, netlist: Netlist | None = None
) -> SynthReport:
    """Estimates what a block takes on an FPGA of six-input LUTs.

    Args:
        rtl: Verilog text by file name.
        top: Name of the top module.
        yosys: From `tools.synthesiser`, and there.
        netlist: What `rtl` was made of; the report then has its layers.

    Raises:
        ToolError: Yosys refused the text or broke down.
    """
    start = time.monotonic()
    with TemporaryDirectory(prefix="jetlut-synth-") as name:
        folder = Path(name)
        write_texts(folder, {**rtl, "area.abc": "strash\nif -a\n"})
        passes = [f"read_verilog -sv ./{file}" for file in sorted(rtl)]
        passes += [f"hierarchy -check -top {top}", *MAPPING, f"write_json {MAPPED}"]
        run(passes, folder)
        mapped = json.loads((folder / MAPPED).read_text())["modules"][top]
        adders = (folder / ADDERS).read_text()
    report = count(mapped, netlist)
    return replace(
        report,
        carry_bits=carry_bits(adders),
        seconds=round(time.monotonic() - start, 2),
        tool=yosys.version,
    )


def count(module: Mapping[str, Any], netlist: Netlist | None = None) -> SynthReport:
    """Counts the cells of a mapped module, in the JSON form of Yosys.

    Args:
        module: Its cells are `$lut` and single-bit registers.
        netlist: What it was made of; the report then has its layers.
    """
    luts: list[Lut] = []
    registers: list[Lut] = []
    for cell in module["cells"].values():
        nets = cell["connections"]
        if cell["type"] == "$lut":
            table = cell["parameters"]["LUT"]
            luts.append(Lut(tuple(nets["A"]), nets["Y"][0], table))
        elif "DFF" in cell["type"].upper():
            registers.append(_register(cell["type"], nets))
    reads = [lut.reads for lut in luts]
    sizes = Counter(map(len, reads))
    small = [k for k, nets in enumerate(reads) if 2 <= len(nets) <= PAIR_INPUTS]
    found = paired([reads[k] for k in small])
    report = SynthReport(
        luts=sum(SITES[size] * count for size, count in sizes.items()) - len(found),
        ffs=len(registers),
        depth=depth([(lut.reads, lut.out) for lut in luts]),
        luts_by_size={str(size): sizes[size] for size in sorted(sizes)},
        seconds=0.0,
        tool="",
    )
    if netlist is None:
        return report
    halves = {small[k] for pair in found for k in pair}
    takes = [
        0.5 if k in halves else float(SITES[len(nets)]) for k, nets in enumerate(reads)
    ]
    of_lut, of_register = attribute(module["ports"], luts, registers, netlist)
    return replace(report, layers=_shares(luts, takes, of_lut, of_register))


def _register(kind: str, nets: Mapping[str, Sequence[Net]]) -> Lut:
    """What a single-bit register takes over at its clock edge, if it is enabled.

    Yosys makes an AND in front of a register its reset: `$_SDFF_PP0_` is one that
    becomes 0 where `R` is 1.
    """
    (data,), (out,) = nets["D"], nets["Q"]
    assert isinstance(out, int)
    reset = re.search(r"_[NP]([NP])([01])[NP]?_$", kind)
    if not reset:
        return Lut((data,), out, "10")
    held = 2 * reset[2]
    table = held + "10" if reset[1] == "P" else "10" + held
    return Lut((data, nets["R"][0]), out, table)


def _shares(
    luts: Sequence[Lut],
    takes: Sequence[float],
    of_lut: Sequence[str],
    of_register: Sequence[str],
) -> tuple[Share, ...]:
    """What each layer has, the largest first."""
    area: dict[str, float] = dict.fromkeys((*of_lut, *of_register), 0.0)
    for layer, sites in zip(of_lut, takes, strict=True):
        area[layer] += sites
    held = Counter(of_register)
    return tuple(
        Share(
            layer,
            sites,
            held[layer],
            depth(
                [
                    (lut.reads, lut.out)
                    for lut, name in zip(luts, of_lut, strict=True)
                    if name == layer
                ]
            ),
        )
        for layer, sites in sorted(area.items(), key=lambda row: (-row[1], row[0]))
    )


def carry_bits(adders: str) -> int:
    r"""Bits of the sums of all adders, from their text in the language of Yosys.

    >>> carry_bits("cell $alu $1\n  parameter \\Y_WIDTH 8\nend\n")
    8
    """
    return sum(map(int, re.findall(r"parameter \\Y_WIDTH (\d+)", adders)))
