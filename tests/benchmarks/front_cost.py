"""What a front of many prices costs, in units of one training of one price.

Both are trainings by `models.train.train_many` with the same settings, data and epochs,
validation of every member after every epoch included; nothing is compiled to Verilog.
A front is one network until its prices part (`TrainConfig.shared`) and a stack of all
of them after that, so that two kinds of epoch are timed and weighed by their shares.
Epochs that compile are left out.  CPU seconds are those of all threads of this process.

    python tests/benchmarks/front_cost.py --batch 512 --epochs 16 --prices 16
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from models import native
from models.plan import EpochLog, Plan, TrainData
from models.settings import TrainConfig
from models.train import train_many
from workflows.commands.front import Sweep
from workflows.dataset import prepare
from workflows.override import override
from workflows.recipe import Recipe
from workflows.recipes import load


def epochs(
    config: TrainConfig, data: TrainData, plans: Sequence[Plan]
) -> tuple[list[float], list[int]]:
    """CPU seconds of every epoch but the first, and how many networks each had."""
    cpu: list[float] = []
    members: list[int] = []

    def on_epoch(log: EpochLog) -> None:
        if log.member == log.members - 1:
            cpu.append(time.process_time())
            members.append(log.members)

    train_many(config, data, plans, on_epoch=on_epoch)
    return np.diff(cpu).tolist(), members[1:]


def words_of(recipe: Recipe) -> TrainData:
    """The recipe's words and labels, as the training takes them."""
    data = prepare(recipe.data, recipe.words)
    return data.for_training(len(recipe.data.classes))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="jsc_hlf")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=16, help="12 or more")
    parser.add_argument("--prices", type=int, default=16)
    args = parser.parse_args()
    changes = [f"train.batch={args.batch}", f"train.epochs={args.epochs}"]
    recipe = override(load(args.recipe), changes)
    data = words_of(recipe)
    prices = [price for price, _ in Sweep(prices=args.prices, seeds=(1,)).members()]
    middle = float(np.sqrt(prices[0] * prices[-1]))
    one, _ = epochs(recipe.train, data, [Plan(1, None, middle)])
    plans = [Plan(1, None, price) for price in prices]
    front, members = epochs(recipe.train, data, plans)
    common = [s for s, n in zip(front, members, strict=True) if n == 1]
    apart = [s for s, n in zip(front, members, strict=True) if n > 1]
    steps = len(data.words_train) // args.batch
    shared = recipe.train.shared
    single = float(np.median(one))
    # The first epoch of the stack compiles it.
    cost = shared * float(np.median(common)) + (1 - shared) * float(
        np.median(apart[1:])
    )
    row = {
        "one_cpu_s": round(single, 4),
        "front_cpu_s": round(cost, 4),
        "ratio": round(cost / single, 2),
        "ratio_of_a_stack_of_all": round(float(np.median(apart[1:])) / single, 2),
        "shared": shared,
        "one_step_cpu_ms": round(1e3 * single / steps, 3),
        "stack_step_cpu_ms": round(1e3 * float(np.median(apart[1:])) / steps, 3),
        "batch": args.batch,
        "epochs": args.epochs,
        "prices": args.prices,
        "native": native.ready(),
    }
    print((__doc__ or "").splitlines()[0])
    for name, value in row.items():
        print(f"  {name:20} {value}")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
