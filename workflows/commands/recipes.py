"""`jetlut recipes`: what can be run."""

import argparse

from trigger.errors import UserError

EXAMPLE = """\
example:
  $ jetlut recipes
  jsc_hlf          five jet classes from 16 high-level features, half a minute of training
  jsc_hlf_full     five jet classes from 16 high-level features, a few minutes
  jsc_plf          five jet classes from 16 particles of 3 features, permutation invariant
  jsc_plf_wide     five jet classes from 16 particles of 16 features, permutation invariant
  jsc_plf_8        five jet classes from 8 particles of 3 features, permutation invariant
  jsc_plf_8_wide   five jet classes from 8 particles of 16 features, permutation invariant
  jsc_plf_32       five jet classes from 32 particles of 3 features, permutation invariant
  jsc_plf_32_wide  five jet classes from 32 particles of 16 features, permutation invariant
  jsc_plf_64       five jet classes from 64 particles of 3 features, permutation invariant
  jsc_plf_64_wide  five jet classes from 64 particles of 16 features, permutation invariant
  l1_jets          five jet classes from the link words of 16 candidates, pile-up 140
  top_tag          top against quark and gluon, one score, an integer working point at 1 %
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
    parser.add_argument(
        "--card",
        action="store_true",
        help="print that recipe's card instead: what its files hold, to be changed for "
        "other files and given to jetlut run --card",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints one line a recipe, or the settings or the card of a single one.

    Raises:
        UserError: There is no such recipe, or a card of none is asked for.
    """
    from trigger.datasets.card_text import dumps
    from workflows.override import settings
    from workflows.recipes import MODULES, load

    if args.card:
        if not args.recipe:
            raise UserError("a card is a recipe's; say which, as in jsc_hlf --card")
        print(dumps(load(args.recipe).data.card), end="")
        return 0
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
