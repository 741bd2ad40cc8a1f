"""How fast a full training step is, and how much memory it takes beside its state.

The step is the one of training, `models.step`: both layers in table space with their
gradients, batch normalisation, output quantiser, area term, Adam, caps, statistics and
metrics, many of them in one compiled scan as an epoch is.  Networks get cheaper while
they train, for edges lose bits: so it is measured twice, at the start, where every edge
reads all bits of its input, and after some epochs of the recipe on the embedded jets.
The second is `step_ms` and `cpu_ms`, which most steps of a training are like.

    python tests/benchmarks/train_step.py --batch 8192 --json
"""

import argparse
import json
import os
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from models import step
from models.architectures import lut_mlp
from models.grid import codes_of_words
from models.plan import Goal, TrainData
from models.settings import TrainConfig
from models.train import train
from workflows.dataset import prepare
from workflows.groups import Words
from workflows.recipes import load


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def jets(bits: int) -> TrainData:
    """The embedded jets as words of `bits`."""
    recipe = load("jsc_hlf")
    data = prepare(recipe.data, Words(bits))
    return data.for_training(len(recipe.data.classes))


def fresh(data: TrainData, config: TrainConfig) -> Any:
    """The network before its first step."""
    code = codes_of_words(data.words_train, data.bits, data.signed)
    return lut_mlp(
        *(code, data.bits, data.signed, (*config.units, data.classes)),
        hidden=config.edge_hidden,
        most_address=config.most_address,
        reach=config.reach,
        key=jr.key(0),
    )


def measure(
    network: Any, data: TrainData, batch: int, steps: int, repeats: int
) -> dict[str, float]:
    """Times of a step from a given state on, and the temporaries of the program."""
    rows = np.resize(np.arange(len(data.labels_train)), batch * steps)
    # So small a rate keeps the state, and with it the cost, where it is.
    optimiser = step.adam(1e-7)
    state, fixed = step.start([network], optimiser)
    terms = step.Terms(
        step.cross_entropy, step.accuracy, 0.0, False, None, len(data.bits)
    )
    program = step.epoch_program(
        *(fixed, optimiser, terms),
        jnp.asarray(data.words_train[rows], jnp.int32),
        jnp.asarray(data.labels_train[rows]),
        batch=batch,
        rate=0.02,
        decay=0.01,
        devices=1,
    )
    prices = step.Prices(jnp.full(1, 1e-6), jnp.zeros(1))
    order = step.shuffled((0,), batch * steps, batch)
    compiled = program.lower(state, order, prices).compile()
    wall, cpu, user = [], [], []
    for n in range(repeats + 1):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        t, c = time.perf_counter(), time.process_time()
        order = step.shuffled((n,), batch * steps, batch)
        state, means = compiled(state, order, prices)
        jax.block_until_ready((state, means))
        wall.append(time.perf_counter() - t)
        cpu.append(time.process_time() - c)
        user.append(resource.getrusage(resource.RUSAGE_SELF).ru_utime - before)
    memory: Any = compiled.memory_analysis()
    used = memory.temp_size_in_bytes / 2**20
    return {
        "step_ms": round(1e3 * float(np.median(wall[1:])) / steps, 3),
        "cpu_ms": round(1e3 * min(cpu[1:]) / steps, 3),
        "user_cpu_ms": round(1e3 * min(user[1:]) / steps, 3),
        "temporaries_mb": round(used, 2),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--bits", type=int, default=7, help="bits of a port word")
    parser.add_argument("--hidden", type=int, default=8, help="units of an edge")
    parser.add_argument("--epochs", type=int, default=12, help="of training before")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--no-peer", action="store_true", help="for peers.py: ignored")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    args = parser.parse_args()
    steps = max(2, min(50, 200_000 // args.batch))
    config = replace(load("jsc_hlf").train, epochs=args.epochs, edge_hidden=args.hidden)
    data = jets(args.bits)
    start = measure(fresh(data, config), data, args.batch, steps, args.repeats)
    trained = train(config, data, goal=Goal(1000.0), seed=1).front[-1].network
    now = measure(trained, data, args.batch, steps, args.repeats)
    widths = np.concatenate([np.ravel(one.address) for one in trained.layers])
    row = {
        "batch": args.batch,
        **now,
        "samples_per_s": round(1e3 * args.batch / now["step_ms"]),
        "mean_address": round(float(np.mean(np.clip(np.rint(widths), 0, None))), 2),
        "cpu_ms_at_start": start["cpu_ms"],
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "bits": args.bits,
        "hidden": args.hidden,
    }
    if not args.json:
        print((__doc__ or "").splitlines()[0])
        for name, value in row.items():
            print(f"  {name:28} {value}")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
