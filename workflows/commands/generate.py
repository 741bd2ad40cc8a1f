"""`jetlut data generate`: simulated jets in a ROOT file."""

import argparse
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trigger.errors import UserError
from trigger.generate.settings import CLASSES, DETECTORS, Settings

EXAMPLE = """\
examples:
  $ jetlut data generate --n-jets 2000 --seed 11 --out jets.root
  2000 jets (g 400, q 400, t 400, w 400, z 400) in 1265 collisions
  4.1 s, 486 jets/s, 2 processes
  jets.root, SHA-256 e5e08188387bdb73df4553881c58022b705d7ab5de5e15bc44b7a1698212e163
  $ jetlut data generate --n-jets 5000 --detector l1 --pileup 140 --mpi --radius 0.8 \\
      --pt-min 800 --seed 12 --out l1.root

The same settings and seed give the same jets, on any number of processes.
Please cite PYTHIA 8 (arXiv:2203.11601) and FastJet (arXiv:1111.6097) with results.
"""

PACKAGES = ("pythia8mc", "fastjet")
_DEFAULT = Settings(n_jets=len(CLASSES))


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "generate",
        help="simulate jets with PYTHIA and FastJet (needs jetlut[generate])",
        description="Simulate proton collisions and write their jets, with the 16 "
        "high-level features and the leading constituents, as a tree in the layout of "
        "NanoAOD. Needs the packages of jetlut[generate].",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--n-jets", type=int, required=True, metavar="N", help="of all classes together"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="the ROOT file to write"
    )
    add = parser.add_argument
    shown = "(default: %(default)s)"
    add("--seed", type=int, default=_DEFAULT.seed, help=shown)
    add(
        "--classes",
        default=",".join(CLASSES),
        help=f"some of gluon, light quark, top, W, Z {shown}",
    )
    add("--pt-min", type=float, default=_DEFAULT.pt_min, help=f"of jets, GeV {shown}")
    add("--pt-max", type=float, default=_DEFAULT.pt_max, help=f"of jets, GeV {shown}")
    add(
        "--pthat",
        type=float,
        nargs=2,
        default=_DEFAULT.pthat,
        metavar=("LOW", "HIGH"),
        help=f"pT of the hard scattering, GeV {shown}",
    )
    add(
        "--radius", type=float, default=_DEFAULT.radius, help=f"of anti-kT jets {shown}"
    )
    add(
        "--detector",
        choices=DETECTORS,
        default=_DEFAULT.detector,
        help=f"stable particles, or what a level-1 trigger sees {shown}",
    )
    add(
        "--pileup",
        type=float,
        default=_DEFAULT.pileup,
        metavar="MU",
        help=f"mean number of overlaid collisions {shown}",
    )
    add("--mpi", action="store_true", help="with underlying event")
    add(
        "--constituents",
        type=int,
        default=_DEFAULT.constituents,
        metavar="K",
        help=f"leading ones stored of each jet {shown}",
    )
    add("--format", choices=("ttree", "rntuple"), default="ttree", help=shown)
    add(
        "--compression",
        default="lzma:6",
        metavar="ALGORITHM:LEVEL",
        help=f"zstd, lzma, zlib or lz4, and a level {shown}",
    )
    add(
        "--processes",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="P",
        help="(default: one for each core)",
    )
    add("--force", action="store_true", help="replace a file that is there already")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Makes the sample and tells what is in it."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"jets are simulated by {' and '.join(PACKAGES)}, but {', '.join(missing)} "
            "cannot be found; pip install 'jetlut[generate]'"
        )
    settings = Settings(
        n_jets=args.n_jets,
        seed=args.seed,
        classes=tuple(args.classes.split(",")),
        pt_min=args.pt_min,
        pt_max=args.pt_max,
        pthat=tuple(args.pthat),
        radius=args.radius,
        mpi=args.mpi,
        detector=args.detector,
        pileup=args.pileup,
        constituents=args.constituents,
    )
    from trigger.generate.run import generate

    with _bar(settings.n_jets) as progress:
        made = generate(
            settings,
            args.out,
            processes=args.processes,
            form=args.format,
            compressed=args.compression,
            force=args.force,
            progress=progress,
        )
    each = ", ".join(f"{name} {jets}" for name, jets in made.jets.items())
    total = sum(made.jets.values())
    print(f"{total} jets ({each}) in {made.events} collisions")
    used = f"{args.processes} process{'es' if args.processes > 1 else ''}"
    print(f"{made.seconds:.1f} s, {total / made.seconds:.0f} jets/s, {used}")
    print(f"{made.path}, SHA-256 {made.sha256}")
    return 0


@contextmanager
def _bar(total: int) -> Iterator:
    """A bar on standard error, or a line every tenth where that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _tenths(console.print, total)
        return
    columns = (
        TextColumn("jets"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)


def _tenths(say, total: int):
    """Tells each tenth of the way once."""
    told = 0

    def progress(done: int) -> None:
        nonlocal told
        if 10 * done // total > told:
            told = 10 * done // total
            say(f"{done}/{total} jets")

    return progress
