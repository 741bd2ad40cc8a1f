"""`jetlut recipes`: what can be run."""

import argparse

EXAMPLE = """\
example:
  $ jetlut recipes
  jsc_hlf       five jet classes from 16 high-level features, half a minute of training
  jsc_hlf_full  five jet classes from 16 high-level features, some ten minutes
"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "recipes",
        help="list the recipes, one line each",
        description="List the recipes, one line each.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "recipe", nargs="?", help="show all settings of this one instead"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints one line a recipe, or one line a setting of a single recipe."""
    from workflows.override import settings
    from workflows.recipes import MODULES, load

    if args.recipe:
        rows = [
            (path, ",".join(map(str, value)) if isinstance(value, tuple) else value)
            for path, _, value in settings(load(args.recipe))
        ]
        line = "{}={}"
    else:
        rows = [(name, load(name).description) for name in MODULES]
        line = "{:<" + str(max(len(name) for name in MODULES)) + "}  {}"
    for row in rows:
        print(line.format(*row))
    return 0
