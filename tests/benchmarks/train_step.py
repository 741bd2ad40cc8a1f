"""How fast a full training step is, against the materialised form of the same network.

The step is the one of the demo: both layers in table space with their gradients, batch
normalisation, output quantiser, area term, Adam and the caps of the widths.  The peer
is the same network with every edge evaluated on the batch (`tests/models/materialised`),
differentiated by JAX, with the same optimiser.  The two run in turns; `x` figures are
ratios of the least CPU time of all threads.

    python tests/benchmarks/train_step.py --batch 8192 --json
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
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "models")]

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from materialised import scores as materialised_scores  # noqa: E402

from models.network import LUTNetwork, trainable  # noqa: E402
from models.settings import TrainConfig  # noqa: E402
from models.train import loss_and_counts  # noqa: E402

PORTS, CLASSES = 16, 5


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def problem(batch: int, bits: int, config: TrainConfig):
    """A network of the demo's shape and a batch with feature-like codes."""
    rng = np.random.default_rng(0)
    code = np.clip(rng.normal(0.4, 0.15, (batch, PORTS)), 0, 0.999) * 2**bits
    code = code.astype(np.int64)
    network = LUTNetwork(
        code,
        (bits,) * PORTS,
        (*config.units, CLASSES),
        hidden=config.edge_hidden,
        most_address=config.most_address,
        reach=config.reach,
        key=jr.key(0),
    )
    label = jnp.asarray(rng.integers(0, CLASSES, batch))
    return network, jnp.asarray(code, jnp.int32), label


def temporaries_mb(compiled: Any) -> float:
    """Memory that a compiled step needs beside its arguments and results, in MB."""
    return round(compiled.memory_analysis().temp_size_in_bytes / 2**20, 1)


def stepper(network: LUTNetwork, loss, code, label):
    """A compiled step `state -> state` of the given loss."""
    spec = trainable(network)
    parameters, constants = eqx.partition(network, spec)
    optimiser = optax.adam(5e-3)

    def step(state):
        parameters, moments = state
        value, slope = jax.value_and_grad(
            lambda p: loss(eqx.combine(p, constants), code, label)
        )(parameters)
        update, moments = optimiser.update(slope, moments, parameters)
        moved = eqx.combine(eqx.apply_updates(parameters, update), constants)
        return (eqx.partition(moved.within_caps(), spec)[0], moments), value

    start = (parameters, optimiser.init(parameters))
    return jax.jit(step).lower(start).compile(), start


def in_table_space(network, code, label):
    """The loss of training."""
    return loss_and_counts(network, code, label, jnp.float32(1e-5))[0]


def materialised(network, code, label):
    """The same loss with every edge on the batch; the area term costs the same."""
    score = materialised_scores(network, code)
    entropy = optax.softmax_cross_entropy_with_integer_labels(score, label)
    return jnp.mean(entropy)


def timed(step, state, repeats: int) -> tuple[float, float]:
    """Least wall and CPU milliseconds of a step."""
    wall, cpu = [], []
    for _ in range(repeats):
        t, c = time.perf_counter(), time.process_time()
        state, value = step(state)
        jax.block_until_ready((state, value))
        wall.append(time.perf_counter() - t)
        cpu.append(time.process_time() - c)
    return 1e3 * float(np.median(wall)), 1e3 * min(cpu)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--bits", type=int, default=7, help="bits of a port word")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--no-peer", action="store_true", help="skip the peer")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    args = parser.parse_args()
    config = TrainConfig()
    network, code, label = problem(args.batch, args.bits, config)
    step, state = stepper(network, in_table_space, code, label)
    timed(step, state, 2)
    step_ms, cpu_ms = timed(step, state, args.repeats)
    row = {
        "batch": args.batch,
        "step_ms": round(step_ms, 3),
        "cpu_ms": round(cpu_ms, 3),
        "samples_per_s": round(1e3 * args.batch / step_ms),
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "temporaries_mb": temporaries_mb(step),
        "bits": args.bits,
    }
    if not args.no_peer:
        peer, start = stepper(network, materialised, code, label)
        timed(peer, start, 1)
        pairs = [
            (timed(step, state, 3)[1], timed(peer, start, 1)[1])
            for _ in range(max(1, args.repeats // 7))
        ]
        ours, theirs = (min(column) for column in zip(*pairs, strict=True))
        row |= {
            "materialised_cpu_ms": round(theirs, 1),
            "x_materialised": round(theirs / ours, 1),
            "materialised_temporaries_mb": temporaries_mb(peer),
        }
    if not args.json:
        print((__doc__ or "").splitlines()[0])
        for name, value in row.items():
            print(f"  {name:28} {value}")
    print(json.dumps(row))


if __name__ == "__main__":
    main()
