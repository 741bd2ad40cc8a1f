"""`jetlut inspect`: what is in a ROOT file."""

import argparse

EXAMPLE = """\
example:
  $ jetlut inspect workflows/data/jsc_sample.root
  Events: TTree, 62,725 entries, 25 branches
  branch            type
  ──────────────────────────
  run               uint32_t
  luminosityBlock   uint32_t
  event             uint64_t
  nJet              int32_t
  Jet_pt            float[]
  ...
"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "inspect",
        help="list the trees and branches of a ROOT file",
        description="List the trees of a ROOT file (TTree or RNTuple), their branches, "
        "types and entries.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", help="a ROOT file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints a table a tree."""
    from trigger.rootfile import describe
    from workflows.console import show

    trees = describe(args.file)
    if not trees:
        print(f"{args.file}: no tree in it")
    for tree in trees:
        show(
            ("branch", "type"),
            [(branch.name, branch.type) for branch in tree.branches],
            title=f"{tree.name}: {tree.kind}, {tree.entries:,} entries, "
            f"{len(tree.branches)} branches",
        )
    return 0
