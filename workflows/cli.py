"""The command line: `jetlut COMMAND ...`, one file per command.

This module owns what all commands share: finding the command, and how an ending is
told.  Exit status 0 is success, 1 a difference that was found, 2 a mistake of the
user told in one sentence, 130 Ctrl-C.  A traceback is always a bug.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, final

from trigger.errors import UserError
from workflows.commands import (
    compile,
    data,
    front,
    inspect,
    recipes,
    run,
    show,
    synth,
    ui,
    verify,
)

COMMANDS = (run, front, recipes, inspect, data, show, compile, synth, verify, ui)

EXAMPLE = """\
example:
  $ jetlut recipes
  jsc_hlf       five jet classes from 16 high-level features, half a minute of training
  ...
  $ jetlut run jsc_hlf
  ...
  bundle                 runs/jsc_hlf-seed1-547515de/jsc_hlf_v1_0_0
  report                 runs/jsc_hlf-seed1-547515de/report.html
"""


@final
class Parser(argparse.ArgumentParser):
    """An argument parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with status 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = Parser(
        prog="jetlut",
        description="From an LHC ROOT file to a verified firmware block.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return top


def main(argv: Sequence[str]) -> int:
    """Runs one command.

    Args:
        argv: The words after `jetlut`.

    Returns:
        The exit status of the process.
    """
    try:
        args = parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    try:
        return args.run(args)
    except UserError as error:
        print(f"jetlut {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"jetlut {args.command}: interrupted, nothing kept", file=sys.stderr)
        return 130


def entry() -> NoReturn:
    """The console script."""
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status)
