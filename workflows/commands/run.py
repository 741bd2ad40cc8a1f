"""`jetlut run`: from ROOT files to a verified bundle and a report."""

import argparse
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from workflows.asked import add_options, asked, asked_reader

EXAMPLE = """\
examples:
  $ jetlut run jsc_hlf
  $ jetlut run jsc_hlf --data 'jets/*.root' --set budget.luts=800 train.epochs=40
  $ jetlut run jsc_hlf_full --data 'train_*.root' --test-data test.root --seed 7 --json
  $ jetlut run jsc_hlf --checkpoint jsc.npz     # cut off? the same command goes on

output of the first:
  result                 jsc_hlf
  ──────────────────────────────────────────────────────────────────────────────
  accuracy               0.6946
  AUC                    g 0.9062  q 0.8890  t 0.9393  w 0.8949  z 0.8812
  LUTs, FFs (estimate)   691, 380
  latency                13.9 ns (5 cycles at 360 MHz)
  proof: network         passed, 0 of 30181
  proof: numpy           passed, 0 of 30181
  proof: cpp             passed, 0 of 30181
  proof: verilog         passed, 0 of 32922
  proof: icarus          passed, 0 of 4978, 2237 of 30181 events played
  proof: vhdl            passed, 0 of 4978, 2237 of 30181 events played
  proof: tables          passed, 0 of 9576
  proof: latency         passed, 0 of 3, 5 cycles seen
  training               10 s, 1,178,815 jets/s
  bundle                 runs/jsc_hlf-seed1-547515de/jsc_hlf_v1_0_0
  report                 runs/jsc_hlf-seed1-547515de/report.html
  summary                runs/jsc_hlf-seed1-547515de/summary.json
  MLflow run             55394411e9b2410e86690ae2ef149283 (see it by: jetlut ui)
"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "run",
        help="train, compile, prove and pack a recipe",
        description="Read jets, train within the budget, compile to Verilog, prove all "
        "forms equal, pack the bundle, record the run in MLflow, write the report.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(parser)
    parser.add_argument("--seed", type=int, help="seed of the training")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the results (default: runs/RECIPE-seedN-SETTINGS)",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="save the training here every half minute; a run that was cut off goes on "
        "from it and ends with the same bytes",
    )
    parser.add_argument(
        "--json", action="store_true", help="print summary.json as the only output"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the recipe and prints where everything is; 1 if a proof failed."""
    from models.machine import keep_programs

    keep_programs(os.environ)  # before anything imports JAX

    from rich.console import Console

    from workflows.progress import terminal

    recipe, read = asked(args), asked_reader(args)
    if args.seed is not None:
        recipe = replace(recipe, seed=args.seed)
    out = (
        args.out or Path("runs") / f"{recipe.name}-seed{recipe.seed}-{recipe.digest()}"
    )

    from workflows import run as workflow
    from workflows.summary import to_json

    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with terminal(Console(stderr=True, highlight=False)) as reporter:
            outcome = workflow.run(
                recipe, out, reporter, checkpoint=args.checkpoint, read=read
            )
    finally:
        signal.signal(signal.SIGTERM, before)
    if args.json:
        print(to_json(outcome.summary))
    else:
        _show(outcome)
    return 0 if outcome.proven else 1


def _working_point(summary: Any) -> list[tuple[str, str]]:
    """What a block with one score passes at its threshold."""
    if len(summary.working_points) != 1:
        return []
    (row,) = summary.working_points
    signal, others = (
        f"{100 * row[name]['value']:.{digits}f} %"
        for name, digits in (("signal_efficiency", 1), ("background_efficiency", 2))
    )
    what = f"{signal} of {row['signal']}, {others} of all others"
    return [(f"score >= {row['threshold']}", what)]


def _stop(number: int, _frame: Any) -> None:
    """Ends the run as Ctrl-C does, so that a batch system leaves no remains."""
    sys.exit(128 + number)


def _show(outcome: Any) -> None:
    """A short table of results and of the places where the rest is."""
    from workflows.console import show
    from workflows.folder import REPORT, SUMMARY

    s = outcome.summary
    rows = [
        ("accuracy", f"{s.accuracy:.4f}"),
        ("AUC", "  ".join(f"{name} {value:.4f}" for name, value in s.auc.items())),
        *_working_point(s),
        ("LUTs, FFs (estimate)", f"{s.luts:,}, {s.ffs:,}"),
        (
            "latency",
            f"{s.latency_ns:.1f} ns ({s.latency_cycles} cycles at {s.clock_mhz:g} MHz)",
        ),
    ]
    rows += [(f"proof: {name}", str(check)) for name, check in outcome.checks.items()]
    rows += [
        ("training", f"{s.train_seconds:.0f} s, {s.samples_per_second:,.0f} jets/s"),
        ("bundle", s.bundle),
        ("report", str(outcome.folder / REPORT)),
        ("summary", str(outcome.folder / SUMMARY)),
        ("MLflow run", f"{s.mlflow_run_id} (see it by: jetlut ui)"),
    ]
    show(("result", s.recipe), rows)
