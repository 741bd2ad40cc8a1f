"""`jetlut verify`: whether a bundle is what it says."""

import argparse
from pathlib import Path

EXAMPLE = """\
example:
  $ jetlut verify runs/jsc_hlf-seed1-547515de/jsc_hlf_v1_0_0
  jsc_hlf_v1_0_0
  check     outcome   differences   remark
  ───────────────────────────────────────────────────────────────────
  files     passed        0 of 20
  ports     passed        0 of 21
  network   passed     0 of 30181   recorded when the bundle was made
  numpy     passed     0 of 30181
  cpp       passed     0 of 30181
  verilog   passed     0 of 32922
  icarus    passed      0 of 4978   2237 of 30181 events played
  vhdl      passed      0 of 4978   2237 of 30181 events played
  tables    passed      0 of 9576
  latency   passed         0 of 3   5 cycles seen
  accepted
"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "verify",
        help="check a bundle: hashes, NumPy, C++ and Verilog on its vectors",
        description="Check a bundle: recompute the hashes, recompile the C++ emulator, "
        "rerun the vectors through NumPy, C++ and the simulated Verilog. Exit status "
        "1 if anything differs or could not be checked.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bundle", type=Path, help="the bundle's folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the acceptance table; 0 only if all was checked and nothing differs."""
    from firmware.verify import verify
    from workflows.console import show

    acceptance = verify(args.bundle)
    rows = [
        (
            name,
            check.status,
            "" if check.status == "not run" else f"{check.mismatches} of {check.words}",
            check.reason,
        )
        for name, check in acceptance.checks.items()
    ]
    show(
        ("check", "outcome", "differences", "remark"),
        rows,
        numeric=("differences",),
        title=acceptance.id,
    )
    if not acceptance.ok:
        print("NOT ACCEPTED: something differs")
    elif not acceptance.complete:
        print("NOT ACCEPTED: nothing differs, but not every check was run")
    else:
        print("accepted")
    return 0 if acceptance.ok and acceptance.complete else 1
