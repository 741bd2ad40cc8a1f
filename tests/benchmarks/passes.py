"""What each pass of the netlist compiler saves: packed LUTs without it, against all.

Takes translated netlists, before any pass, as `firmware.netlist.to_json` writes them,
and compiles each with all passes and with all but one.  A pass that others make up for
seems to save little; one that saves less than nothing hurts.

    python tests/benchmarks/passes.py --netlists DIR
    python tests/benchmarks/passes.py --netlists DIR --clock-mhz 360 --passes fill join

Without a clock the block is combinational between the ranks at its ports.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from firmware import passes, synth, tools, verilog
from firmware.netlist import Netlist, from_json
from firmware.pipeline import pipeline
from firmware.recompile import plain_interface

COMBINATIONAL_MHZ = 20.0
"""So slow that nothing is cut: one cycle between the ranks at the ports."""

AFTER = ("fill", "collapse", "split", "join", "plant_trees", "chain_shifts")
"""What follows the passes of `SIMPLIFY`."""


@contextmanager
def without(name: str) -> Iterator[None]:
    """All passes but one; of no name, all."""
    kept = tuple(one for one in passes.SIMPLIFY if one.__name__ != name)
    with patch.object(passes, "SIMPLIFY", kept):
        if name not in AFTER:
            yield
            return
        with patch.object(passes, name, lambda netlist, *_: netlist):
            yield


def counted(netlist: Netlist, clock_mhz: float | None) -> tuple[int, int]:
    """Packed LUTs and cycles of a translated netlist."""
    made = passes.optimise(netlist, clock_mhz)
    schedule = pipeline(made, clock_mhz or COMBINATIONAL_MHZ)
    rtl = verilog.emit(made, schedule, plain_interface(made))
    report = synth.estimate(rtl, made.block, yosys=tools.synthesiser())
    return report.luts, schedule.cycles


def compared(
    netlist: Netlist, names: Sequence[str], clock_mhz: float | None
) -> dict[str, tuple[float, int]]:
    """Per cent of the LUTs, and cycles, that each pass saves."""
    luts, cycles = counted(netlist, clock_mhz)
    print(f"{netlist.block}: {luts} LUTs, {cycles} cycles", flush=True)
    saved = {}
    for name in names:
        with without(name):
            more, longer = counted(netlist, clock_mhz)
        saved[name] = 100 * (1 - luts / more), longer - cycles
        told = f"{saved[name][0]:6.2f} %, {saved[name][1]} cycles"
        print(f"  {name:<12} {told}", flush=True)
    return saved


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    every = [*dict.fromkeys(one.__name__ for one in passes.SIMPLIFY), *AFTER]
    parser.add_argument("--netlists", type=Path, required=True, metavar="DIR")
    parser.add_argument("--clock-mhz", type=float, help="without it: combinational")
    parser.add_argument("--passes", nargs="+", choices=every, default=every)
    args = parser.parse_args()
    netlists = [from_json(p.read_text()) for p in sorted(args.netlists.glob("*.json"))]
    if not netlists:
        parser.error(f"no netlist *.json in {args.netlists}")
    rows = [compared(one, args.passes, args.clock_mhz) for one in netlists]
    line: dict[str, object] = {"networks": len(rows), "clock_mhz": args.clock_mhz}
    for name in args.passes:
        saved = [row[name] for row in rows]
        line[name] = {
            "percent_mean": round(float(np.mean([luts for luts, _ in saved])), 2),
            "percent_worst": round(min(luts for luts, _ in saved), 2),
            "cycles": sum(cycles for _, cycles in saved),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
