"""How long a full rate scan takes, from one score per event to rates with errors.

Scores of three widths: 8 bits (a tag field of the global trigger's jet), 16 bits, and
31 bits, where nearly every score is a code of its own.  Beside it a plain NumPy baseline
that gives thresholds and counts only: np.sort, then where the values change.  Times are
medians; nothing else should run.

    python tests/benchmarks/rates.py --scores 10000000 --json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from trigger.physics.rate import of_events, scan
from trigger.physics.roc import roc

WIDTHS = {8: np.uint8, 16: np.uint16, 31: np.int32}
GOAL_S = 1.0


def baseline(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Used codes and how many scores are at or above each, by a sort."""
    ordered = np.sort(score)
    first = np.insert(np.flatnonzero(np.diff(ordered)) + 1, 0, 0)
    return ordered[first], len(ordered) - first


def timed(call: Callable[[], Any], repeats: int) -> float:
    """Median seconds of a call."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def measure(bits: int, scores: int, repeats: int) -> dict[str, Any]:
    """Times of one width; the counts of both ways are compared first."""
    rng = np.random.default_rng(bits)
    score = np.rint(np.clip(rng.normal(0.3, 0.1, scores), 0, 1) * (2**bits - 1))
    score = score.astype(WIDTHS[bits])
    events = of_events(10 * scores)
    found, (code, passed) = scan(score, events), baseline(score)
    if not np.array_equal(found.threshold[:-1], code):
        raise AssertionError("the thresholds differ")
    if not np.array_equal(found.passed[:-1], passed):
        raise AssertionError("the counts differ")
    scan_s = timed(lambda: scan(score, events), repeats)
    sort_s = timed(lambda: baseline(score), repeats)
    half = scores // 2
    return {
        "bits": bits,
        "codes_used": len(code),
        "scan_s": round(scan_s, 4),
        "sort_s": round(sort_s, 4),
        "sort_over_scan": round(sort_s / scan_s, 2),
        "roc_s": round(timed(lambda: roc(score[:half], score[half:]).auc, repeats), 4),
        "met": scan_s < GOAL_S,
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scores", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the last line only")
    args = parser.parse_args()
    rows = [measure(bits, args.scores, args.repeats) for bits in WIDTHS]
    if not args.json:
        print((__doc__ or "").splitlines()[0])
        for row in rows:
            print("  " + "  ".join(f"{name} {value}" for name, value in row.items()))
    result = {"scores": args.scores, "goal_s": GOAL_S, "cases": rows}
    print(json.dumps({**result, "met": all(row["met"] for row in rows)}))


if __name__ == "__main__":
    main()
