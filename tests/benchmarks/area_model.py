"""How far training's estimates of LUTs and cycles are from those of the emitted block.

Trains the demo's network down a wide path of areas, compiles a spread of the networks
on its front, counts each as the bundle's report does, and compares.  The numbers of
`models.count` were fitted to such rows; take a seed that they were not fitted to.

    python tests/benchmarks/area_model.py --seed 11 --json
    python tests/benchmarks/area_model.py --seed 12 --units 32 --most-address 8 --budget 2000
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from firmware import tools
from firmware.lower import lower
from firmware.pipeline import pipeline
from models import evaluate, latency
from models.plan import Goal
from models.train import train
from trigger.errors import UserError
from workflows.choose import build
from workflows.dataset import prepare
from workflows.recipes import load

CLOCKS = (200.0, 360.0, 500.0)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--units", type=int, nargs="+", default=[20])
    parser.add_argument("--most-address", type=int, default=7)
    parser.add_argument("--budget", type=float, default=1000.0, help="LUTs")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    args = parser.parse_args()
    recipe = load("jsc_hlf")
    data = prepare(recipe.data, recipe.words)
    classes = recipe.data.classes
    config = replace(
        recipe.train,
        epochs=args.epochs,
        areas=(4.0, 1.5, 0.5, 0.2),
        units=tuple(args.units),
        most_address=args.most_address,
    )
    begin = time.perf_counter()
    front = train(
        config,
        data.for_training(len(classes)),
        goal=Goal(luts=args.budget),
        seed=args.seed,
    ).front
    yosys = tools.synthesiser()
    rows: list[tuple[float, int]] = []
    off: dict[float, list[int]] = {clock: [] for clock in CLOCKS}
    for k in np.unique(np.linspace(0, len(front) - 1, args.networks).astype(int)):
        network = front[k].network
        block = build(front[k], "area_v1_0_0", data.ports, classes, 360.0, yosys)
        rows.append((front[k].luts, block.area.luts))
        told = [f"LUTs {front[k].luts:6.0f} of {block.area.luts:6d}"]
        for clock in CLOCKS:
            out = evaluate.ready(network)(latency.at_ports((len(data.ports),), clock))
            predicted = int(latency.cycles(out))
            try:
                cut = lower(block.frozen, block.netlist.block, clock_mhz=clock)
                made = pipeline(cut, clock).cycles
            except UserError:  # a single operation is too slow
                continue
            off[clock].append(predicted - made)
            told.append(f"cycles at {clock:.0f} MHz {predicted} of {made}")
        if not args.json:
            print(", ".join(told))
    ratio = np.array([estimated / counted for estimated, counted in rows])
    line = {
        "networks": len(rows),
        "luts_least": min(counted for _, counted in rows),
        "luts_most": max(counted for _, counted in rows),
        "rms_error": round(float(np.sqrt(np.mean((ratio - 1) ** 2))), 4),
        "worst_error": round(float(np.max(np.abs(ratio - 1))), 4),
        "cycles_off": {f"{clock:.0f}": sorted(off[clock]) for clock in CLOCKS},
        "seconds": round(time.perf_counter() - begin, 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
