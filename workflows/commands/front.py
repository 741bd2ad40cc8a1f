"""`jetlut front`: what accuracy costs, from one training of many prices."""

import argparse
import hashlib
import json
import math
import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from trigger.errors import UserError
from workflows.asked import add_options, asked, asked_reader

EXAMPLE = """\
examples:
  $ jetlut front jsc_hlf
  $ jetlut front jsc_hlf --prices 4 --seeds 1 --compile 6 --set train.epochs=20
  $ jetlut front jsc_hlf_full --data 'train_*.root' --test-data test.root --json

output of the second:
  K     test   valid.    LUTs   estim.     ns     price   seed   epoch   CPU s
  ────────────────────────────────────────────────────────────────────────────
  0   0.6800   0.6777     575      625   11.1   1.0e-03      1      19       9
  1   0.6978   0.6959   2,522    2,485   13.9   1.3e-04      1      19       9
  2   0.6979   0.6998   3,390    3,247   13.9   1.0e-03      1      17       9
  3   0.6997   0.7002   4,541    4,330   13.9   1.6e-05      1      18       9
  4   0.7018   0.7005   4,937    4,728   13.9   1.6e-05      1      17       9
  5   0.7016   0.7021   5,505    5,124   13.9   2.0e-06      1      11       4

  result         jsc_hlf
  ──────────────────────────────────────────────────────────────────────
  networks       6 of 6 that were compiled
  proof: numpy   0 of 118662 answers differ
  training       4 members, 9 s, 9 s of CPU, 364,442 jets/s
  netlist K      runs/jsc_hlf-front-7a7c5f1d/netlists/front_K.json
  Verilog K      runs/jsc_hlf-front-7a7c5f1d/rtl/front_K
  front          runs/jsc_hlf-front-7a7c5f1d/front.json
  figure         runs/jsc_hlf-front-7a7c5f1d/front.svg
  MLflow run     f7a192679ea04c09b9338fa62e0a9532 (see it by: jetlut ui)
"""

MOST_PRICES = 1000
"""Prices that differ by a hundredth tell nothing new."""


@final
@dataclass(frozen=True)
class Sweep:
    """What a front is made of: every price with every seed."""

    prices: int = 16
    """How many; equal steps of the logarithm from the lowest to the highest."""
    lowest: float = 2e-6
    """Loss per LUT; a jet tagger keeps nearly all that it can use."""
    highest: float = 1e-3
    """Loss per LUT; a jet tagger keeps little more than its best features."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Decide starting values; the first also decides the order of jets."""
    compile: int = 24
    """Networks that are compiled and counted at most."""

    def __post_init__(self) -> None:
        if not 1 <= self.prices <= MOST_PRICES:
            raise UserError(f"--prices is 1..{MOST_PRICES}, got {self.prices}")
        if self.compile < 1:
            raise UserError(f"--compile must be at least 1, got {self.compile}")
        for name in ("lowest", "highest"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(
                    f"--{name} is a price, a positive loss per LUT such as "
                    f"{getattr(Sweep, name):g}, got {getattr(self, name):g}"
                )
        if self.lowest > self.highest:
            raise UserError(
                f"--lowest {self.lowest:g} is above --highest {self.highest:g}; "
                "swap them"
            )
        if self.lowest == self.highest and self.prices > 1:
            raise UserError(
                f"all {self.prices} prices from {self.lowest:g} to {self.highest:g} "
                "are the same; ask for --prices 1 or raise --highest"
            )
        for seed in self.seeds:
            if seed < 0:
                raise UserError(f"a seed cannot be below 0, got {seed} in --seeds")
            if self.seeds.count(seed) > 1:
                raise UserError(
                    f"--seeds names {seed} {self.seeds.count(seed)} times, which "
                    "would train the same networks again; name each seed once"
                )

    def members(self) -> list[tuple[float, int]]:
        """Price and seed of each network; a single price is the lowest."""
        ratio = self.highest / self.lowest
        shares = [k / max(self.prices - 1, 1) for k in range(self.prices)]
        return [(self.lowest * ratio**k, s) for k in shares for s in self.seeds]

    def digest(self, recipe: Any) -> str:
        """Eight hexadecimal digits: equal exactly for equal settings."""
        text = recipe.digest() + json.dumps(asdict(self))
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "front",
        help="train many prices at once, count the accuracy-area front",
        description="Train one network per price of a LUT and per seed, all in one job, "
        "compile a spread of the best, count their LUTs, and write those that no other "
        "beats in accuracy, LUTs and latency, each with its netlist and Verilog.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(parser)
    parser.add_argument(
        "--prices",
        type=int,
        metavar="N",
        default=Sweep.prices,
        help="how many prices of a LUT (default: %(default)s)",
    )
    parser.add_argument(
        "--lowest",
        type=float,
        metavar="PRICE",
        default=Sweep.lowest,
        help="lowest price, in loss per LUT (default: %(default)s)",
    )
    parser.add_argument(
        "--highest",
        type=float,
        metavar="PRICE",
        default=Sweep.highest,
        help="highest price (default: %(default)s)",
    )
    parser.add_argument(
        "--seeds",
        metavar="N,N",
        default=",".join(map(str, Sweep.seeds)),
        help="seeds that every price is trained with (default: %(default)s)",
    )
    parser.add_argument(
        "--compile",
        type=int,
        metavar="N",
        default=Sweep.compile,
        help="networks that are compiled and counted at most (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the results (default: runs/RECIPE-front-SETTINGS)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print front.json as the only output"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Trains the front and prints it; 1 if a netlist differs from its network."""
    from models.machine import keep_programs

    keep_programs(os.environ)  # before anything imports JAX

    from rich.console import Console

    from workflows.progress import terminal

    recipe, read = asked(args), asked_reader(args)
    sweep = Sweep(
        args.prices, args.lowest, args.highest, _seeds(args.seeds), args.compile
    )
    out = args.out or Path("runs") / f"{recipe.name}-front-{sweep.digest(recipe)}"

    from models.plan import Plan
    from workflows import front as workflow

    plans = [Plan(seed, None, price) for price, seed in sweep.members()]
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with terminal(Console(stderr=True, highlight=False)) as reporter:
            outcome = workflow.front(
                recipe, plans, sweep.compile, out, reporter, read=read
            )
    finally:
        signal.signal(signal.SIGTERM, before)
    if args.json:
        print(json.dumps(outcome.report))
    else:
        _show(outcome)
    return 0 if outcome.exact else 1


def _seeds(text: str) -> tuple[int, ...]:
    """Reads `1,2,3`.

    Raises:
        UserError: Not integers with commas between.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UserError(
            f"--seeds takes integers with commas between, as 1,2,3, got {text!r}"
        ) from None


def _stop(number: int, _frame: Any) -> None:
    """Ends the job as Ctrl-C does, so that a batch system leaves no remains."""
    sys.exit(128 + number)


def _show(outcome: Any) -> None:
    """A row per network of the front, then the places where everything is."""
    from workflows.console import show
    from workflows.front import FIGURE, FRONT, NETLISTS, RTL

    report = outcome.report
    rows = [
        (
            str(k),
            f"{row['test_accuracy']:.4f}",
            f"{row['val_accuracy']:.4f}",
            f"{row['luts']:,}",
            f"{row['luts_surrogate']:,.0f}",
            f"{row['latency_ns']:.1f}",
            f"{row['price']:.1e}",
            str(row["seed"]),
            str(row["epoch"]),
            f"{row['cpu_seconds']:.0f}",
        )
        for k, row in enumerate(report["front"])
    ]
    columns = (
        *("K", "test", "valid.", "LUTs", "estim.", "ns", "price", "seed", "epoch"),
        "CPU s",
    )
    show(columns, rows, numeric=columns)
    print()
    wrong = sum(row["mismatches"] for row in report["front"])
    found = [
        ("networks", f"{len(rows)} of {report['compiled']} that were compiled"),
        (
            "proof: numpy",
            f"{wrong} of {len(rows) * report['test_jets']} answers differ",
        ),
        (
            "training",
            f"{report['members']} members, {report['train_seconds']:.0f} s, "
            f"{report['train_cpu_seconds']:.0f} s of CPU, "
            f"{report['samples_per_second']:,.0f} jets/s",
        ),
        ("netlist K", str(outcome.folder / NETLISTS / "front_K.json")),
        ("Verilog K", str(outcome.folder / RTL / "front_K")),
        ("front", str(outcome.folder / FRONT)),
        ("figure", str(outcome.folder / FIGURE)),
        ("MLflow run", f"{report['mlflow_run_id']} (see it by: jetlut ui)"),
    ]
    show(("result", report["recipe"]), found)
