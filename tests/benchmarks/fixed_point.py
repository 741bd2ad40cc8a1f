"""How many values a second become fixed-point counts, beside plain NumPy.

The values are normal, a few of a hundred of them beyond the ends of the type, as features
are.  The baseline is the same conversion as one NumPy expression over the whole array,
in the precision of the values and with the tie of `AP_RND` left to `floor(x + 0.5)`; its
counts must be the same.  Both in one thread, in turns, best of `--rounds`.

    python tests/benchmarks/fixed_point.py --values 20000000 --json
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from trigger.fixed import parse
from trigger.records import L1GT_JET, PUPPI

GOAL = 100.0
"""Millions of words a second on one core."""

TYPES = (
    "ap_fixed<16,8,AP_TRN,AP_SAT>",
    "ap_fixed<16,8,AP_RND,AP_SAT>",
    "ap_fixed<16,8,AP_RND_CONV,AP_WRAP>",
)
_SPREAD = 60.0  # 3.3 % of the values saturate: the types hold -128 to 128

BASELINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    TYPES[0]: lambda x: np.clip(np.floor(x * 256), -32768, 32767).astype(np.int64),
    TYPES[1]: lambda x: np.clip(np.floor(x * 256 + 0.5), -32768, 32767).astype(
        np.int64
    ),
    TYPES[2]: lambda x: (np.rint(x * 256).astype(np.int64) + 32768) % 65536 - 32768,
}


def seconds(functions: list[Callable[[], Any]], rounds: int) -> list[float]:
    """The least time of each function, all of them once a round."""
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for i, function in enumerate(functions):
            begin = time.perf_counter()
            function()
            best[i] = min(best[i], time.perf_counter() - begin)
    return best


def encoding(values: np.ndarray, rounds: int) -> list[dict[str, Any]]:
    """Rates of every type, for counts of 64 and of 16 bits, and of the baseline."""
    rows = []
    for text in TYPES:
        number, baseline = parse(text), BASELINES[text]
        if not np.array_equal(number.encode(values), baseline(values)):
            raise SystemExit(f"{text}: the baseline has other counts")
        ways = [
            lambda f=number: f.encode(values),
            lambda f=number: f.encode(values, dtype=np.int16),
            lambda f=baseline: f(values),
        ]
        rates = [values.size / s / 1e6 for s in seconds(ways, rounds)]
        row = {"type": text, "values": values.dtype.name}
        row |= dict(zip(("int64", "int16", "numpy"), map(round, rates), strict=True))
        rows.append(row)
    return rows


def records(rows: int, rounds: int) -> dict[str, int]:
    """Millions of records a second that are packed and unpacked."""
    draw = np.random.default_rng(2)
    jets = {
        field.name: draw.integers(*field.type.range, rows, endpoint=True)
        for field in L1GT_JET.fields
    }
    kinds = draw.integers(0, 8, rows)
    candidates = {"id": kinds}
    for values, layout in PUPPI.cases:
        for field in layout.fields:
            if field.name != "id":
                counts = draw.integers(*field.type.range, rows, endpoint=True)
                own = np.isin(kinds, values) | (field.name in ("pt", "eta", "phi"))
                candidates[field.name] = np.where(own, counts, 0)
    words = L1GT_JET.pack(jets), PUPPI.pack(candidates)
    ways = {
        "l1gt_jet_pack": lambda: L1GT_JET.pack(jets),
        "l1gt_jet_unpack": lambda: L1GT_JET.unpack(words[0]),
        "puppi_pack": lambda: PUPPI.pack(candidates),
        "puppi_unpack": lambda: PUPPI.unpack(words[1]),
    }
    times = seconds(list(ways.values()), rounds)
    return {name: round(rows / s / 1e6) for name, s in zip(ways, times, strict=True)}


def main() -> None:
    """Measures and prints; one JSON line last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    options = parser.parse_args()
    draw = np.random.default_rng(1).normal(0, _SPREAD, options.values)
    rows = []
    for dtype in (np.float32, np.float64):
        rows += encoding(draw.astype(dtype), options.rounds)
    if not options.json:
        print(f"{'M words/s':36} {'values':8} {'int64':>6} {'int16':>6} {'numpy':>6}")
        for row in rows:
            print("{type:36} {values:8} {int64:6} {int16:6} {numpy:6}".format(**row))
    least = min(row["int64"] for row in rows)
    report = {
        "benchmark": "fixed_point",
        "values": options.values,
        "baseline": "one NumPy expression over the whole array, to int64",
        "goal_mwords_s": GOAL,
        "least_mwords_s": least,
        "reached": least >= GOAL,
        "encode_mwords_s": rows,
        "records_m_s": records(options.values // 10, options.rounds),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
