"""`jetlut data`: what the program must know of a data set, and whether it fits."""

import argparse
import sys
from pathlib import Path

from workflows.commands import generate

EXAMPLE = """\
examples:
  $ jetlut data card workflows/data/jsc_sample.root --out jsc.toml
  $ jetlut data check jsc.toml --all
  step              objects  lost  entries
  ────────────────────────────────────────
  Jet in the files  100,012     0   62,725
  ...
  1 file fits the card 'jsc_sample'; licence: unknown
"""
CARD_EXAMPLE = """\
example:
  $ jetlut data card workflows/data/jsc_sample.root
  version = 1
  name = "jsc_sample"
  tree = "Events"
  objects = "Jet"
  ...
"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "data",
        help="dataset cards: propose one from a file, check one; generate jets",
        description="Dataset cards: which tree, columns, units, cuts and labels make a "
        "data set of ROOT files.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subcommands = parser.add_subparsers(
        dest="subcommand", metavar="SUBCOMMAND", required=True
    )
    card = subcommands.add_parser(
        "card",
        help="propose a card from a ROOT file",
        description="Recognise the layout of a ROOT file and propose a card for it. "
        "Licence, origin and N_gen are in no file: fill them in.",
        epilog=CARD_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    card.add_argument("file", help="a ROOT file, or an address of one")
    card.add_argument("--objects", default="", help="collection, such as FatJet")
    card.add_argument("--out", type=Path, help="write the card there; default: print")
    card.set_defaults(run=run_card)
    check = subcommands.add_parser(
        "check",
        help="check a card against its files",
        description="Check that the files of a card are there and hold what it says. "
        "Exit status 2 if anything is missing or of another kind.",
        allow_abbrev=False,
    )
    check.add_argument("card", help="a card, as `jetlut data card` writes it")
    check.add_argument("files", nargs="*", help="other files than the card's own")
    check.add_argument(
        "--all", action="store_true", help="read every entry and print the cut flow"
    )
    check.add_argument(
        "--on-bad-file",
        choices=("fail", "skip"),
        default="fail",
        help="with --all: stop at a bad file, or leave it out and say so",
    )
    check.set_defaults(run=run_check)
    generate.add_parser(subcommands)


def run_card(args: argparse.Namespace) -> int:
    """Prints or writes a proposed card."""
    from trigger.datasets.card_text import dumps, save
    from trigger.datasets.formats import propose
    from workflows.console import show

    card = propose(args.file, args.objects)
    if args.out is None:
        print(dumps(card), end="")
        return 0
    save(card, args.out)
    rows = [(c.name, c.branch, c.unit, c.about) for c in card.columns]
    label = ", ".join(card.label.classes) or "no label"
    what = f"{args.out}: {card.format}, {card.objects} of tree {card.tree!r}; {label}"
    if card.constituents:
        rows += [
            (f"particle's {c.name}", c.branch, c.unit, c.about)
            for c in card.constituents.columns
        ]
    show(("column", "branch", "unit", "what it is"), rows, title=what)
    print("n_gen, source, licence: in no file; add them to the card where known")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Prints one line a problem, on standard error; with `--all` the cut flow."""
    from trigger.datasets.card_text import load
    from trigger.datasets.check import check

    card = load(args.card)
    patterns = args.files or None
    skip = args.all and args.on_bad_file == "skip"
    problems = [] if skip else check(card, patterns)
    for problem in problems:
        print(f"jetlut data check: {problem}", file=sys.stderr)
    if problems:
        return 2
    read, skipped = _read(card, patterns, args.on_bad_file) if args.all else (0, 0)
    fit = {0: "the files fit", 1: "1 file fits"}.get(read, f"{read} files fit")
    without = (
        f", {skipped} {'was' if skipped == 1 else 'were'} skipped" if skipped else ""
    )
    licence = card.licence or "unknown"
    print(f"{fit} the card {card.name!r}{without}; licence: {licence}")
    return 0


def _read(card, patterns, on_bad_file) -> tuple[int, int]:
    """Reads everything, prints the cut flow, counts the files read and skipped."""
    from trigger.datasets.cutflow import CutFlow
    from trigger.datasets.read import chunks
    from workflows.console import show

    skipped: list = []
    flow, sources = CutFlow(), set()
    for chunk in chunks(card, patterns, on_bad_file=on_bad_file, skipped=skipped):
        flow += chunk.cuts
        sources.add(chunk.source)
    columns = ("step", "objects", "lost", "entries")
    classes = [(f"  {name}", f"{n:,}", "", "") for name, n in flow.classes.items()]
    show(columns, [*flow.rows(), *classes], numeric=columns[1:])
    for file in skipped:
        print(f"skipped {file.name}: {file.reason}", file=sys.stderr)
    return len(sources), len(skipped)
