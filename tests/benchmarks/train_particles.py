"""How fast a full training step of the particle network is.

The step is the one of training: `models.step` with the shuffle of a batch, tables of
all layers, look-ups and histograms over the particles of all jets, area term, Adam,
statistics and the caps of the widths.  The network is HGQ-LUT's `gnn_t`, which
`peer_particles.py` times in the reference; words and labels are random.  One blocked
step at a time is timed; of the CPU times, over all threads, the least counts.

    python tests/benchmarks/train_particles.py --batch 2790 --json
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402

from models import step  # noqa: E402
from models.grid import codes_of_words  # noqa: E402
from models.native import ready  # noqa: E402
from models.particles import particle_network  # noqa: E402

CLASSES = 5


def problem(batch: int, particles: int, features: int, bits: int) -> tuple[Any, ...]:
    """A network and a batch of words as standardised features fill them."""
    rng = np.random.default_rng(0)
    top = 2 ** (bits - 1)
    word = np.rint(rng.normal(size=(batch, particles * features)) * top / 4)
    word = np.clip(word, -top, top - 1).astype(np.int64)
    ports = (bits,) * word.shape[1], (True,) * word.shape[1]
    network = particle_network(
        *(codes_of_words(word, *ports), *ports, particles, CLASSES),
        most_address=bits,
        key=jr.key(0),
    )
    label = jnp.asarray(rng.integers(0, CLASSES, batch))
    return network, jnp.asarray(word, jnp.int32), label


def stepper(network: Any, word: Any, label: Any) -> tuple[Any, step.State]:
    """The compiled step `state -> state, means` and the state it starts from."""
    optimiser = step.adam(3e-3)
    state, fixed = step.start([network], optimiser)
    terms = step.Terms(
        loss=step.cross_entropy,
        metric=step.accuracy,
        smoothness=0.0,
        timed=False,
        clock_mhz=None,
        ports=word.shape[1],
    )
    program = step.epoch_program(
        *(fixed, optimiser, terms, word, label),
        batch=len(label),
        rate=0.02,
        decay=0.01,
        devices=1,
    )
    prices = step.Prices(jnp.full(1, 1e-6), jnp.zeros(1))
    order = step.shuffled((0,), len(label), len(label))
    return program.lower(state, order, prices).compile(), state


def timed(
    program: Any, state: step.State, events: int, repeats: int
) -> dict[str, float]:
    """Median wall and least CPU milliseconds of a step."""
    prices = step.Prices(jnp.full(1, 1e-6), jnp.zeros(1))
    wall, cpu, user = [], [], []
    for turn in range(repeats + 2):
        t, c, u = time.perf_counter(), time.process_time(), os.times().user
        state, means = program(state, step.shuffled((turn,), events, events), prices)
        jax.block_until_ready((state, means))
        wall.append(1e3 * (time.perf_counter() - t))
        cpu.append(1e3 * (time.process_time() - c))
        user.append(1e3 * (os.times().user - u))
    # The first calls allocate.
    return {
        "step_ms": round(float(np.median(wall[2:])), 3),
        "cpu_ms": round(min(cpu[2:]), 3),
        "user_cpu_ms": round(min(user[2:]), 3),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=2790, help="jets in a batch")
    parser.add_argument("--particles", type=int, default=64)
    parser.add_argument("--features", type=int, default=16, help="per particle")
    parser.add_argument("--bits", type=int, default=7, help="bits of words and codes")
    parser.add_argument("--repeats", type=int, default=10, help="timed steps")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    args = parser.parse_args()
    network, word, label = problem(args.batch, args.particles, args.features, args.bits)
    start = time.perf_counter()
    program, state = stepper(network, word, label)
    compile_s = time.perf_counter() - start
    times = timed(program, state, args.batch, args.repeats)
    temporaries = program.memory_analysis().temp_size_in_bytes / 2**20
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = {
        "batch": args.batch,
        **times,
        "samples_per_s": round(1e3 * args.batch / times["step_ms"]),
        "temporaries_mb": round(temporaries, 1),
        "peak_rss_mb": round(rss, 1),
        "compile_s": round(compile_s, 2),
        "bits": args.bits,
        "native": ready(),
    }
    if not args.json:
        print((__doc__ or "").splitlines()[0])
        for name, value in row.items():
            print(f"  {name:28} {value}")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
