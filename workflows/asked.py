"""The recipe that a command line asks for: its options, and what they change.

`jetlut run` and `jetlut front` take the same ones.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that `jetlut --help` need not wait for libraries
    from workflows.reading import Reader
    from workflows.recipe import Recipe


def add_options(parser: argparse.ArgumentParser) -> None:
    """The recipe and everything that changes it, seeds aside."""
    parser.add_argument("recipe", help="name of a recipe, see jetlut recipes")
    parser.add_argument(
        "--data", nargs="+", metavar="GLOB", help="ROOT files instead of the recipe's"
    )
    parser.add_argument(
        "--test-data",
        nargs="+",
        metavar="GLOB",
        help="ROOT files that are the test set; the others are then not tested on",
    )
    parser.add_argument(
        "--card",
        type=Path,
        metavar="FILE",
        help="what the files hold, see jetlut data card; its files, if --data is not "
        "given",
    )
    parser.add_argument(
        "--on-bad-file",
        choices=("fail", "skip"),
        help="stop at a file that cannot be read (default), or leave it out and say so",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep what is read from ROOT files in this folder, as Parquet",
    )
    parser.add_argument(
        "--cluster",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="read by a dask cluster: of this scheduler, or of processes here",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="the recipe's short form: the whole chain in a minute or two, less well",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="A.B=C",
        help="change settings, see jetlut recipes RECIPE",
    )


def asked(args: argparse.Namespace) -> "Recipe":
    """The recipe of some parsed options.

    Raises:
        UserError: There is no such recipe, card or setting, or they do not go together.
    """
    from trigger.datasets import card_text
    from workflows.override import override
    from workflows.recipe import with_files
    from workflows.recipes import load

    recipe = load(args.recipe)
    short = [f"{path}={value}" for path, value in recipe.quick] if args.quick else []
    card = card_text.load(args.card) if args.card else None
    recipe = override(recipe, [*short, *args.set], card=card)
    if args.on_bad_file:
        data = replace(recipe.data, on_bad_file=args.on_bad_file)
        recipe = replace(recipe, data=data)
    return with_files(recipe, args.data, args.test_data)


def asked_reader(args: argparse.Namespace) -> "Reader":
    """How the files are read, of some parsed options.

    Raises:
        UserError: In two ways at once.
    """
    from workflows.reading import reader

    return reader(args.cache, args.cluster)
