"""Accuracy against LUTs and nanoseconds, beside the front of HGQ2 on the same jets.

Trains the 16-feature tagger down a path of areas, once per seed, on the training,
validation and test files that the peer had, compiles what training leaves undominated,
counts packed LUT6, and compares with the peer's front as its own script wrote it.  What
is compiled is chosen by validation accuracy and estimates alone; the test accuracies are
looked at once, for the table and the figure.

    python tests/benchmarks/front_quality.py --data ../shared/data --peer front.json \
        --epochs 280 --seeds 1 2 3 --out quality.json

Nanoseconds are those of the peer's compiler for both sides: combinational delay by its
model (alkaid 0.8.2: an adder 1.094 ns and 0.0254 ns a bit, a table 0.075 ns and 0.2 ns
for each of F7, F8 and F9; a level of counters costs what a third operand adds to an
adder in that model, .31 of it), without registers.  Whole cycles at 360 MHz stand beside.
CPU seconds are of all threads and include compilation and validation, as the peer's do.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax.numpy as jnp
import matplotlib as mpl
import numpy as np

from firmware import tools
from firmware.delay import disjoint, low_zeros, plan_sum
from firmware.lower import lower
from firmware.netlist import Netlist
from firmware.pipeline import pipeline
from models.evaluate import ready, scores
from models.plan import Candidate, Goal, TrainData, keep
from models.settings import TrainConfig
from models.train import train
from trigger.datasets import read as reader
from trigger.datasets.sample import Sample
from trigger.words import Word, choose_word
from workflows.choose import Block, build
from workflows.recipes.samples import CLASSES, HIGH_LEVEL, JETS

COMBINATIONAL_MHZ = 20.0
"""Between the ranks at its ports the block is one cycle, as the peer's is counted."""

CLOCK_MHZ = 360.0
"""Of the whole cycles."""

PORT_BITS = 7

LOWEST = 0.655
"""Validation accuracy below which networks are left out; the peer's least is .662."""


def peer_ns(netlist: Netlist) -> float:
    """Combinational delay of a netlist by the delay model of the peer's compiler."""
    at: list[float] = []
    for node in netlist.nodes:
        args = [netlist.nodes[a] for a in node.args]
        delay = 0.0
        if node.op in ("add", "sub") and not (node.op == "add" and disjoint(*args)):
            carry = node.width - max(low_zeros(arg) for arg in args)
            delay = 1.094 + 0.0254 * carry
        elif node.op == "sum":
            plan = plan_sum(node, args)
            adder = 1.094 + 0.0254 * plan.carry[1]
            delay = (1.0 if plan.carry[1] else 0.0) * adder + 0.31 * plan.levels * adder
        elif node.op == "table" and args[0].width > 1:
            wide = args[0].width
            delay = 0.075 + 0.2 * min(max(wide - 6, 0), 3) + 0.8 * max(wide - 9, 0)
        elif node.op == "clip":  # the bits that tell and the one that is told: a table
            telling = args[0].width - node.width + 1
            delay = 0.075 + 0.2 * min(max(telling - 6, 0), 3)
        at.append(max((at[a] for a in node.args), default=0.0) + delay)
    return max(at[index] for _, index in netlist.outputs)


def read(
    folder: Path, bits: int = PORT_BITS
) -> tuple[tuple[Word, ...], TrainData, Sample]:
    """The peer's split: four files to train on, one to choose with, one to test on."""
    train_jets, val, test = (
        reader.read(JETS, [str(folder / f"jsc_pythia_{name}.root") for name in names])
        for names in ([f"train_{k}" for k in range(4)], ["val_0"], ["test_0"])
    )
    ports = tuple(
        choose_word(
            name, train_jets.column(name), bits=bits, unit=JETS.column(name).unit
        )
        for name in HIGH_LEVEL
    )
    data = TrainData(
        encoded(ports, train_jets),
        train_jets.label,
        encoded(ports, val),
        val.label,
        bits=tuple(port.bits for port in ports),
        signed=tuple(port.signed for port in ports),
        classes=len(CLASSES),
        reals=(train_jets.matrix(HIGH_LEVEL), val.matrix(HIGH_LEVEL)),
    )
    return ports, data, test


def encoded(ports: Sequence[Word], jets: Sample) -> np.ndarray:
    """The port words of some jets."""
    return np.stack([port.encode(jets.column(port.name)) for port in ports], axis=1)


def one_seed(
    configs: Sequence[TrainConfig],
    ports: tuple[Word, ...],
    data: TrainData,
    test: Sample,
    seed: int,
) -> dict[str, Any]:
    """Trains, compiles, counts."""
    front: list[Candidate] = []
    cpu = 0.0
    for config in configs:
        result = train(config, data, goal=Goal(1000.0), seed=seed)
        cpu += result.cpu_seconds
        for candidate in result.front:
            front = keep(front, candidate, latency=True)
    yosys = tools.synthesiser()
    words = jnp.asarray(encoded(ports, test), jnp.int32)

    def compiled(candidate: Candidate) -> tuple[Candidate, Block]:
        return candidate, build(
            candidate, "quality_v1_0_0", ports, CLASSES, COMBINATIONAL_MHZ, yosys
        )

    with ThreadPoolExecutor(2) as pool:
        good = [c for c in front if c.val_accuracy >= LOWEST]
        blocks = list(pool.map(compiled, good))
    points = []
    for candidate, block in blocks:
        score = np.asarray(scores(ready(candidate.network), words))
        points.append(
            {
                "val_accuracy": candidate.val_accuracy,
                "test_accuracy": float(np.mean(np.argmax(score, axis=1) == test.label)),
                "luts": block.area.luts,
                "luts_surrogate": round(candidate.luts, 1),
                "peer_ns": round(peer_ns(block.netlist), 3),
                "latency_cycles": cycles(block),
                "cycles_surrogate": candidate.cycles,
                "epoch": candidate.epoch,
                "cpu_seconds": round(candidate.cpu_seconds, 1),
                "seed": seed,
            }
        )
    return {
        "seed": seed,
        "cpu_seconds": round(cpu, 1),
        "points": points,
    }


def cycles(block: Block) -> int:
    """Of the same network as a pipeline at the benchmark's clock."""
    netlist = lower(block.frozen, block.netlist.block, clock_mhz=CLOCK_MHZ)
    return pipeline(netlist, CLOCK_MHZ).cycles


def cheapest(points: Sequence[dict[str, Any]], accuracy: float, key: str) -> Any:
    """The point with the least of `key` among those at least so accurate on the test."""
    good = [p for p in points if p["test_accuracy"] >= accuracy]
    return min(good, key=lambda p: p[key]) if good else None


def both(points: Sequence[dict[str, Any]], row: dict[str, Any]) -> float | None:
    """The least worst ratio, LUTs to 0.6 and nanoseconds to 0.7, of one single point."""
    good = [p for p in points if p["test_accuracy"] >= row["test"]]
    return min(
        (
            max(p["luts"] / row["luts"] / 0.6, p["peer_ns"] / row["ns"] / 0.7)
            for p in good
        ),
        default=None,
    )


def table(
    peer: list[dict[str, Any]], runs: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """For each point of the peer, what every seed needs for its test accuracy."""
    rows = []
    for row in peer:
        found: dict[str, list[Any]] = {"our_luts": [], "our_ns": [], "both": []}
        for run in runs:
            for name, key in (("our_luts", "luts"), ("our_ns", "peer_ns")):
                best = cheapest(run["points"], row["test"], key)
                found[name].append(best[key] if best else None)
            worst = both(run["points"], row)
            found["both"].append(None if worst is None else round(worst, 2))
        rows.append(row | found)
    return rows


def mean_ratios(rows: list[dict[str, Any]]) -> list[float]:
    """Of each seed, the geometric mean of its LUTs over the peer's at equal accuracy.

    The peer's networks round at the inputs of tables, ours truncate.
    """
    means = []
    for luts in zip(*(row["our_luts"] for row in rows), strict=True):
        pairs = zip(luts, rows, strict=True)
        logs = [np.log(mine / row["luts"]) for mine, row in pairs if mine]
        means.append(round(float(np.exp(np.mean(logs))), 3))
    return means


def peer_points(path: Path) -> tuple[list[dict[str, Any]], float]:
    """The compiled points of the peer's front file, and its CPU seconds."""
    raw = json.loads(path.read_text())
    rows = [
        {
            "test": p["test_acc"],
            "luts": p["lut6_packed"],
            "ns": p["alkaid_ns"],
            "cpu_seconds": p["cpu_seconds"],
        }
        for p in raw["front"]
        if p.get("lut6_packed")
    ]
    return sorted(rows, key=lambda r: r["luts"]), raw["total"]["cpu_seconds"]


def draw(peer: list[dict[str, Any]], runs: list[dict[str, Any]], path: Path) -> None:
    """The figure: test accuracy against LUTs and against nanoseconds."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
    for panel, key, theirs, label in (
        (axes[0], "luts", "luts", "packed LUT6"),
        (axes[1], "peer_ns", "ns", "ns, delay model of the peer's compiler"),
    ):
        for run in runs:
            x = [p[key] for p in run["points"]]
            y = [p["test_accuracy"] for p in run["points"]]
            panel.plot(x, y, ".", label=f"jetlut, seed {run['seed']}")
        panel.plot(
            [r[theirs] for r in peer], [r["test"] for r in peer], "k+-", label="HGQ2"
        )
        panel.set_xlabel(label)
    axes[0].set_xscale("log")
    axes[0].set_ylabel("test accuracy")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the jets")
    parser.add_argument("--peer", type=Path, required=True, help="the peer's front")
    parser.add_argument("--epochs", type=int, default=280)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument(
        "--ns-prices", type=float, nargs="+", default=[0.02, 0.1], help="one job each"
    )
    parser.add_argument(
        "--areas",
        type=float,
        nargs="+",
        default=[4.0, 2.0, 1.0, 0.5, 0.25, 0.12, 0.06],
        help="area at the end of each period, in units of 1,000 LUTs",
    )
    parser.add_argument("--bits", type=int, default=PORT_BITS, help="of a port")
    parser.add_argument("--most-address", type=int, default=7)
    parser.add_argument("--teacher", type=float, default=0.0, help="train.teacher")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("quality.json"))
    parser.add_argument("--json", action="store_true", help="print the last line only")
    args = parser.parse_args()
    begin = time.perf_counter()
    ports, data, test = read(args.data, args.bits)
    base = replace(
        TrainConfig(),
        epochs=args.epochs,
        batch=args.batch,
        units=(args.units,),
        teacher=args.teacher,
        most_address=args.most_address,
        areas=tuple(args.areas),
        learning_rate=args.learning_rate,
    )
    configs = [replace(base, ns_price=price) for price in args.ns_prices]
    runs = [one_seed(configs, ports, data, test, seed) for seed in args.seeds]
    peer, peer_cpu = peer_points(args.peer)
    rows = table(peer, runs)
    if not args.json:
        print(
            "peer: test accuracy, LUTs, ns; ours, a number per seed: the least LUTs, the"
        )
        print("least ns, and the worse excess of one network over .6 LUTs and .7 ns")
        for row in rows:
            print(
                f"{row['test']:.4f} {row['luts']:8d} {row['ns']:6.2f}   "
                f"{row['our_luts']}  {row['our_ns']}  {row['both']}"
            )
    report = {
        "epochs": args.epochs,
        "cpu_seconds": [run["cpu_seconds"] for run in runs],
        "peer_cpu_seconds": peer_cpu,
        "luts_mean_ratio": mean_ratios(rows),
        "rows": rows,
        "runs": runs,
        "seconds": round(time.perf_counter() - begin, 1),
    }
    args.out.write_text(json.dumps(report, indent=1) + "\n")
    draw(peer, runs, args.out.with_suffix(".svg"))
    print(
        json.dumps({key: report[key] for key in report if key not in ("rows", "runs")})
    )


if __name__ == "__main__":
    main()
