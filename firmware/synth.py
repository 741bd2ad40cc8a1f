"""An area estimate without a vendor tool: LUT6, flip-flops and logic depth by Yosys.

Yosys maps the RTL to lookup tables for area, and what is left is counted the way an
UltraScale+ slice is filled: a LUT7 takes two LUT6 and a LUT8 four, since the muxes
behind them (F7, F8) are free, and two tables that together read at most five nets share
one LUT6, which has two outputs.  A bit of an adder is two tables of the same three nets
and so comes to one LUT6, as it does on a carry chain.

This is an estimate, never a measurement; `CALIBRATION` says how good.

Conventions
-----------
- Yosys runs in a process of its own (`python -m firmware.synth`), since it prints where
  it likes and a fault in it must not take the caller along.
- Inverters count nothing: the next table absorbs them.
"""

import importlib
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

from firmware.tools import Tool, call

CALIBRATION = (
    "Estimate: Yosys area mapping with LUT pairs packed. On the two published designs "
    "that Vivado placed and routed on a VU13P, the recipe that this follows counts 5376 "
    "against 5667 LUTs (-5.1 %) and 5769 against 6042 (-4.5 %). Depth counts LUT "
    "levels with adders as look-ahead logic, not as carry chains."
)

MAPPING = (
    *("proc", "flatten", "opt_expr", "opt_clean", "opt -nodffe -nosdff", "wreduce"),
    *("peepopt", "opt_clean", "alumacc", "opt", "memory_map", "opt -undriven -fine"),
    *("techmap", "opt -fast", "simplemap", "opt"),
    *("abc -luts 1,1,1,1,1,1,2,4 -script area.abc", "opt_clean"),
)
"""Yosys passes from RTL to `$lut` cells.

The calibration belongs to exactly these: classic ABC for area, no carry cells, since
`synth_xilinx` restructures tables for delay and counts half as much again as Vivado.
"""

PAIR_INPUTS = 5
"""Distinct nets that the two halves of a dual-output LUT6 may read."""

SCAN = 400
"""Partners looked at per net: bounds the time where one net feeds thousands of LUTs."""


@final
@dataclass(frozen=True)
class SynthReport:
    """What the estimate found; `depth` is in LUT levels between registers."""

    luts: int
    ffs: int
    depth: int
    luts_by_size: dict[str, int]
    seconds: float
    tool: str
    label: str = "estimate"
    calibration: str = CALIBRATION

    def to_json(self) -> str:
        """The report as it lies in the bundle."""
        return json.dumps(asdict(self), indent=1) + "\n"


def estimate(rtl: Mapping[str, str], top: str, *, yosys: Tool) -> SynthReport:
    """Estimates what a block takes on an FPGA of six-input LUTs.

    Args:
        rtl: Verilog text by file name.
        top: Name of the top module.
        yosys: From `tools.synthesiser`, and there.

    Raises:
        ToolError: Yosys refused the text or broke down.
    """
    start = time.monotonic()
    with TemporaryDirectory(prefix="jetlut-synth-") as name:
        folder = Path(name)
        for file, text in rtl.items():
            (folder / file).write_text(text)
        call(
            [sys.executable, "-m", "firmware.synth", top, *sorted(rtl)],
            folder,
            PYTHONPATH=str(Path(__file__).resolve().parents[1]),
        )
        cells = json.loads((folder / "mapped.json").read_text())["modules"][top][
            "cells"
        ]
    return count(cells, seconds=time.monotonic() - start, tool=yosys.version)


def count(cells: Mapping[str, Any], *, seconds: float, tool: str) -> SynthReport:
    """Counts the cells of a mapped module, in the JSON form of Yosys.

    Args:
        cells: The module's cells by name: `$lut` and single-bit registers.
        seconds: How long the mapping took.
        tool: What mapped it.
    """
    luts: list[tuple[frozenset[int], int]] = []
    ffs = 0
    for cell in cells.values():
        nets = cell["connections"]
        if cell["type"] == "$lut":
            reads = frozenset(net for net in nets["A"] if isinstance(net, int))
            luts.append((reads, nets["Y"][0]))
        elif "DFF" in cell["type"].upper():
            ffs += len(nets["Q"])
    sizes = Counter(len(reads) for reads, _ in luts)
    small = [reads for reads, _ in luts if 2 <= len(reads) <= PAIR_INPUTS]
    whole = sizes[6] + 2 * sizes[7] + 4 * sizes[8]
    return SynthReport(
        luts=whole + len(small) - pairs(small),
        ffs=ffs,
        depth=depth(luts),
        luts_by_size={str(size): sizes[size] for size in sorted(sizes)},
        seconds=round(seconds, 2),
        tool=tool,
    )


def pairs(luts: Sequence[Collection[int]]) -> int:
    """How many pairs of LUTs fit into one dual-output LUT6 each.

    Greedy: pairs that share the most nets first, and among those the widest LUTs, which
    have the fewest partners.  Only LUTs that share a net pair, as placers prefer.

    Args:
        luts: The nets that each LUT reads, two to five.
    """
    reads = [frozenset(nets) for nets in luts]
    readers: dict[int, list[int]] = defaultdict(list)
    for lut, nets in enumerate(reads):
        for net in sorted(nets):
            readers[net].append(lut)
    free = [True] * len(reads)

    def partners(lut: int, least: int) -> Iterator[tuple[int, int]]:
        """Free LUTs that fit beside `lut`, with the number of shared nets."""
        for net in sorted(reads[lut]):
            for other in readers[net][:SCAN]:
                if other == lut or not free[other]:
                    continue
                shared = len(reads[lut] & reads[other])
                union = len(reads[lut]) + len(reads[other]) - shared
                wanted = min(least, len(reads[lut]), len(reads[other]))
                if union <= PAIR_INPUTS and shared >= wanted:
                    yield shared, other

    found = 0
    widest_first = sorted(range(len(reads)), key=lambda lut: -len(reads[lut]))
    for least in range(PAIR_INPUTS, 0, -1):
        for lut in widest_first:
            if free[lut]:
                best = max(partners(lut, least), default=None, key=lambda pair: pair[0])
                if best is not None:
                    free[lut] = free[best[1]] = False
                    found += 1
    return found


def depth(luts: Sequence[tuple[Collection[int], int]]) -> int:
    """The most LUTs in a row between registers or ports; inverters count nothing.

    Args:
        luts: Nets read and net driven, of each LUT.
    """
    driver = {out: reads for reads, out in luts}
    level: dict[int, int] = {}
    for net in driver:
        stack = [net]
        while stack:
            reads = driver[stack[-1]]
            waiting = [n for n in reads if n in driver and n not in level]
            if waiting:
                stack += waiting
            else:
                below = max((level.get(n, 0) for n in reads), default=0)
                level[stack.pop()] = below + (len(reads) > 1)
    return max(level.values(), default=0)


def main(top: str, files: Sequence[str]) -> None:
    """Maps `files` of the current folder and leaves `mapped.json` there."""
    # Loads the whole of Yosys, so only in this process; it has no type stubs.
    libyosys = importlib.import_module("pyosys.libyosys")

    Path("area.abc").write_text("strash\nif -a\n")
    design = libyosys.Design()
    passes = [f"read_verilog -sv ./{file}" for file in files]
    passes += [f"hierarchy -check -top {top}", *MAPPING, "write_json mapped.json"]
    for step in passes:
        libyosys.run_pass(step, design)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
