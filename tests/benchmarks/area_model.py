"""How far the training's LUT estimate is from the counted LUTs of the emitted block.

Trains the demo's network down a wide path of areas, compiles a spread of the networks
on its front, counts each as the bundle's report does, and compares.  The rows are what
`models.cost.LUT_PER_BIT` is fitted to.

    python tests/benchmarks/area_model.py --seed 1 --json
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
from models.train import TrainData, train
from workflows.choose import build
from workflows.dataset import prepare
from workflows.recipes import load


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--json", action="store_true", help="print the last line only")
    args = parser.parse_args()
    recipe = load("jsc_hlf")
    data = prepare(recipe.data, recipe.words)
    classes = recipe.data.schema.classes
    config = replace(recipe.train, epochs=args.epochs, areas=(4.0, 1.5, 0.5, 0.2))
    begin = time.perf_counter()
    front = train(
        config,
        TrainData(
            data.training.words,
            data.training.labels,
            data.validation.words,
            data.validation.labels,
            bits=tuple(word.bits for word in data.ports),
            signed=tuple(word.signed for word in data.ports),
            classes=len(classes),
        ),
        budget_luts=1000.0,
        seed=args.seed,
    ).front
    picked = sorted(
        set(np.linspace(0, len(front) - 1, args.networks).astype(int).tolist())
    )
    yosys = tools.synthesiser()
    rows = []
    for k in picked:
        block = build(front[k], "area_v1_0_0", data.ports, classes, 360.0, yosys)
        rows.append((front[k].luts, block.area.luts))
        if not args.json:
            print(f"estimated {front[k].luts:6.0f}  counted {block.area.luts:6d}")
    ratio = np.array([estimated / counted for estimated, counted in rows])
    line = {
        "networks": len(rows),
        "luts_least": min(counted for _, counted in rows),
        "luts_most": max(counted for _, counted in rows),
        "rms_error": round(float(np.sqrt(np.mean((ratio - 1) ** 2))), 4),
        "worst_error": round(float(np.max(np.abs(ratio - 1))), 4),
        "seconds": round(time.perf_counter() - begin, 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
