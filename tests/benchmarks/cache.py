"""A hit of the on-disk cache, and a read by two processes, beside the direct read.

    python tests/benchmarks/cache.py FILE.root...

All give the same sample; the card is the one that is proposed for the first file.  The
direct read and the hit take turns, medians of `--rounds`; the write of the entry and
the cluster, whose start is told apart, are timed once.  `growth` is the growth of the
process's peak memory while an entry is written, MB; run it with one file and with many.
The last line printed is one JSON object.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import awkward as ak
import numpy as np
from distributed import LocalCluster

from trigger.datasets.cache import cached, entry_for
from trigger.datasets.cluster import read_on_cluster
from trigger.datasets.formats import propose
from trigger.datasets.read import read
from trigger.datasets.sample import Sample

WORKERS = 2


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds of one call, and what it gave."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def peak_mb() -> float:
    """The most memory that this process had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def same(one: Sample, two: Sample) -> bool:
    """Whether objects, units and events are equal."""
    return ak.array_equal(
        one.objects, two.objects, check_parameters=True
    ) and np.array_equal(one.event, two.event)


def main() -> None:
    """Prints one JSON line."""
    parser = argparse.ArgumentParser(description="the cache beside the direct read")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step", type=int, default=4_000, help="entries in a chunk")
    args = parser.parse_args()
    card, files, step = propose(args.files[0]), args.files, args.step
    with TemporaryDirectory() as name:
        folder, before = Path(name), peak_mb()
        write_s, entry = timed(lambda: entry_for(card, files, folder=folder, step=step))
        growth = peak_mb() - before
        size = sum(path.stat().st_size for path in entry.folder.iterdir())
        direct = read(card, files, step=step)
        direct_s, hit_s = [], []
        for _ in range(args.rounds):
            direct_s.append(timed(lambda: read(card, files, step=step))[0])
            seconds, hit = timed(lambda: cached(card, files, folder=folder))
            hit_s.append(seconds)
            assert same(direct, hit)
    start_s, cluster = timed(
        lambda: LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        )
    )
    address = cluster.scheduler_address
    with cluster:
        read_on_cluster(card, files[:1], scheduler=address)  # imports on the workers
        cluster_s, spread = timed(
            lambda: read_on_cluster(card, files, scheduler=address, step=step)
        )
    assert same(direct, spread)
    direct_m, hit_m = statistics.median(direct_s), statistics.median(hit_s)
    result = {
        "objects": len(direct.objects),
        "direct_s": round(direct_m, 3),
        "write_s": round(write_s, 3),
        "hit_s": round(hit_m, 3),
        "hit_speedup": round(direct_m / hit_m, 1),
        "entry_mb": round(size / 1e6, 1),
        "growth_mb": round(growth, 1),
        "workers": WORKERS,
        "cluster_start_s": round(start_s, 3),
        "cluster_s": round(cluster_s, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
