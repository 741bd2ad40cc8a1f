"""What a front of many prices costs, in units of one training of one price.

Both are whole trainings of one recipe by `models.train.train_many`, validation of every
member after every epoch included, with the same settings, data and epochs; nothing is
compiled to Verilog.  The price of the single one is the middle of the front's.  The
first epoch, which compiles, is left out of both.  CPU seconds are those of all threads
of this process, so that other load on the machine hardly matters.

    python tests/benchmarks/front_cost.py --batch 512 --epochs 4 --prices 16
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
from workflows.recipe import Recipe, override
from workflows.recipes import load


def epochs(
    config: TrainConfig, data: TrainData, plans: Sequence[Plan]
) -> tuple[list[float], list[float]]:
    """CPU and wall seconds of every epoch but the first."""
    cpu: list[float] = []
    wall: list[float] = []

    def on_epoch(log: EpochLog) -> None:
        if log.member == len(plans) - 1:
            cpu.append(time.process_time())
            wall.append(time.perf_counter())

    train_many(config, data, plans, on_epoch=on_epoch)
    return np.diff(cpu).tolist(), np.diff(wall).tolist()


def words_of(recipe: Recipe) -> TrainData:
    """The recipe's words and labels, as the training takes them."""
    data = prepare(recipe.data, recipe.words)
    return data.for_training(len(recipe.data.schema.classes))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="jsc_hlf")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=5, help="2 or more")
    parser.add_argument("--prices", type=int, default=16)
    args = parser.parse_args()
    changes = [f"train.batch={args.batch}", f"train.epochs={args.epochs}"]
    recipe = override(load(args.recipe), changes)
    data = words_of(recipe)
    prices = [price for price, _ in Sweep(prices=args.prices, seeds=(1,)).members()]
    middle = float(np.sqrt(prices[0] * prices[-1]))
    one_cpu, one_wall = epochs(recipe.train, data, [Plan(1, None, middle)])
    plans = [Plan(1, None, price) for price in prices]
    front_cpu, front_wall = epochs(recipe.train, data, plans)
    steps = len(data.words_train) // args.batch
    row = {
        "one_cpu_s": round(sum(one_cpu), 3),
        "front_cpu_s": round(sum(front_cpu), 3),
        "ratio": round(sum(front_cpu) / sum(one_cpu), 2),
        # The least epochs: what is left when nobody disturbs the caches.
        "ratio_least": round(min(front_cpu) / min(one_cpu), 2),
        "one_wall_s": round(sum(one_wall), 3),
        "front_wall_s": round(sum(front_wall), 3),
        "one_step_cpu_ms": round(1e3 * min(one_cpu) / steps, 3),
        "front_step_cpu_ms": round(1e3 * min(front_cpu) / steps, 3),
        "batch": args.batch,
        "epochs": args.epochs - 1,
        "prices": args.prices,
        "native": native.ready(),
    }
    print((__doc__ or "").splitlines()[0])
    print("the first epoch, which compiles, is left out of both")
    for name, value in row.items():
        print(f"  {name:20} {value}")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
