"""The reference's training step of the particle network, run by the peer's Python.

Builds the particle network of HGQ-LUT (Sun et al., arXiv 2604.22293; there `gnn_t`, JSC
PLF) with the public interface of HGQ2 and Keras, and times its compiled training step
on one resident batch of synthetic particles: forward, backward, cost of the area,
regularisers, Adam and the constraints of the widths, as in Keras's guide "Writing a
training loop in JAX".  It imports nothing of this project.  One JSON line is printed.

    peer-python tests/benchmarks/peer_particles.py --batch 128
"""
# pyright: reportMissingImports=false
# keras and hgq are in the peer's environment, not in this project's.

import argparse
import json
import math
import os
import resource
import statistics
import time
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

CLASSES = 5


def build(keras: Any, particles: int, features: int) -> Any:
    """The network: tables per particle, a message of their mean, a sum, a classifier.

    Input quantisers have widths per (particle, input, output), 7 fraction bits at
    first, and wrap; so do the tables' outputs (7 bits).
    """
    from hgq.config import LayerConfigScope, QuantizerConfigScope
    from hgq.constraints import MinMax
    from hgq.layers import QAdd, QDenseT, QSum

    every = {"overflow_mode": "WRAP", "i0": 0, "homogeneous_axis": (0,)}
    wires = every | {"f0": 7, "ic": MinMax(0, 12), "i_decay_speed": 1e-3}
    with (
        LayerConfigScope(beta0=0.0),
        QuantizerConfigScope(place="datalane", default_q_type="kif", **wires),
        QuantizerConfigScope(place="table", default_q_type="kbi", b0=7, **every),
    ):
        inputs = keras.layers.Input((particles, features))
        each = QDenseT(8)(inputs)
        mean = QSum(axes=1, scale=2.0 ** -round(math.log2(particles)), keepdims=True)
        x = QAdd()([QDenseT(8)(each), QDenseT(8)(mean(each))])
        x = QSum(axes=1, scale=1 / 16)(x)
        x = QDenseT(24, batch_norm=True)(x)
        return keras.Model(inputs, QDenseT(CLASSES)(x))


def stepper(keras: Any, model: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
    """The compiled step `state -> state, loss` and the state it starts from."""
    import jax

    optimiser = keras.optimizers.Adam(3e-3)
    optimiser.build(model.trainable_variables)
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(trainable, others, x, y):
        score, others, added = model.stateless_call(
            trainable, others, x, training=True, return_losses=True
        )
        return entropy(y, score) + sum(added), others

    def step(state, x, y):
        trainable, others, moments = state
        (value, others), slope = jax.value_and_grad(loss, has_aux=True)(
            trainable, others, x, y
        )
        trainable, moments = optimiser.stateless_apply(moments, slope, trainable)
        return (trainable, others, moments), value

    start = tuple(
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            optimiser.variables,
        )
    )
    return jax.jit(step, donate_argnums=0).lower(start, *batch).compile(), start


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=2790, help="jets in a batch")
    parser.add_argument("--particles", type=int, default=64)
    parser.add_argument("--features", type=int, default=16, help="per particle")
    parser.add_argument("--repeats", type=int, default=5, help="timed steps")
    args = parser.parse_args()

    import jax
    import keras

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    shape = (args.batch, args.particles, args.features)
    x = jax.device_put(rng.normal(size=shape).astype(np.float32))
    y = jax.device_put(rng.integers(0, CLASSES, args.batch))
    model = build(keras, args.particles, args.features)
    start = time.perf_counter()
    step, state = stepper(keras, model, (x, y))
    compile_s = time.perf_counter() - start
    state, value = step(state, x, y)  # the first call allocates
    wall, cpu, user = [], [], []
    for _ in range(args.repeats):
        jax.block_until_ready((state, value))
        t, c, u = time.perf_counter(), time.process_time(), os.times().user
        state, value = step(state, x, y)
        jax.block_until_ready((state, value))
        wall.append(1e3 * (time.perf_counter() - t))
        cpu.append(1e3 * (time.process_time() - c))
        user.append(1e3 * (os.times().user - u))
    row = {
        "lib": "hgq2",
        "arch": f"particles:{args.particles}x{args.features}-8-8-24-{CLASSES}",
        "mode": "step",
        "batch": args.batch,
        "samples_per_s": round(1e3 * args.batch / statistics.median(wall), 1),
        "step_ms": round(statistics.median(wall), 3),
        "cpu_ms": round(min(cpu), 3),
        # the rest is the system's: fresh pages for the temporaries, gigabytes of them
        "user_cpu_ms": round(min(user), 3),
        "xla_temp_mb": round(step.memory_analysis().temp_size_in_bytes / 2**20, 1),
        "peak_rss": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "params": int(model.count_params()),
        "compile_s": round(compile_s, 2),
        "loss": float(value),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
