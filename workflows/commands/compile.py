"""`jetlut compile`: a netlist as RTL and emulators, for another clock or latency."""

import argparse
from dataclasses import replace
from pathlib import Path

from trigger.errors import UserError
from workflows.commands.show import add_source, clock_of

EXAMPLE = """\
example:
  $ jetlut compile runs/jsc_hlf-seed1-547515de/jsc_hlf_v1_0_0 --out slow --clock-mhz 240
  result           jsc_hlf_v1_0_0
  ─────────────────────────────────────────────────────────────────────────
  latency          12.5 ns (3 cycles at 240 MHz)
  proof: network   passed, 0 of 30181, taken over from jsc_hlf_v1_0_0
  proof: numpy     passed, 0 of 30181
  proof: cpp       passed, 0 of 30181
  proof: verilog   passed, 0 of 32928
  ...
  bundle           slow
"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "compile",
        help="write and prove a netlist's RTL and emulators at another clock",
        description="Write RTL, emulators and a test bench of a netlist for a clock, a "
        "latency or an id of your choice, prove them, and pack them as a bundle. From a "
        "bundle it takes ports and vectors, and nothing is trained. Exit status 1 if a "
        "proof failed.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_source(parser)
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="the new bundle; an older bundle there is replaced, nothing else is",
    )
    parser.add_argument(
        "--max-cycles", type=int, metavar="N", help="refuse if it takes more cycles"
    )
    parser.add_argument(
        "--pad-latency-to",
        type=int,
        metavar="N",
        help="take exactly N cycles, so that the block keeps its place in a schedule",
    )
    parser.add_argument(
        "--ports",
        choices=("words", "flat"),
        help="a port for each word, or one vector each way (default: the bundle's, or "
        "words)",
    )
    parser.add_argument(
        "--clock-enable",
        action=argparse.BooleanOptionalAction,
        help="add a port that freezes the block (default: the bundle's, or none)",
    )
    parser.add_argument(
        "--id", default="", metavar="NAME", help="a new id of the block"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compiles, proves and packs; 1 if a proof failed."""
    for name in ("max_cycles", "pad_latency_to"):
        cycles = getattr(args, name)
        if cycles is not None and cycles < 1:
            told = name.replace("_", "-")
            raise UserError(f"--{told} is a number of cycles above 0, got {cycles}")

    from firmware import bundle, tools
    from firmware import source as sources
    from firmware.recompile import Request, recompile
    from firmware.rtl import Options
    from workflows.console import show
    from workflows.versions import installed

    bundle.check_target(args.out)
    source = sources.read(args.source)
    old = source.bundle.options if source.bundle else Options()
    new = {
        "clock_enable": args.clock_enable,
        "flat": args.ports and args.ports == "flat",
    }
    new = {name: value for name, value in new.items() if value is not None}
    contents = recompile(
        source,
        Request(
            clock_mhz=clock_of(source, args.clock_mhz),
            max_cycles=args.max_cycles,
            pad_to=args.pad_latency_to,
            block=args.id,
            options=replace(old, **new),
        ),
        yosys=tools.synthesiser(),
        versions=installed(),
    )
    bundle.pack(contents, args.out)
    latency = 1000 * contents.cycles / contents.clock_mhz
    rows = [
        (
            "latency",
            f"{latency:.1f} ns ({contents.cycles} cycles at {contents.clock_mhz:g} MHz)",
        ),
        *((f"proof: {name}", str(check)) for name, check in contents.checks.items()),
        ("bundle", str(args.out)),
    ]
    show(("result", contents.netlist.block), rows)
    return int(any(check.status == "failed" for check in contents.checks.values()))
