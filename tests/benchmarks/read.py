"""Reading by a card beside a bare uproot read, and the memory that streaming takes.

    python tests/benchmarks/read.py --features F.root --constituents P.root

Speed: interleaved pairs of the same branches of the same file in one process.  The bare
read is `TTree.arrays` of all entries, to awkward arrays as they are stored; ours is
`read`, with the checks, the labels, the SHA-256 of the file and the matrix or block of
doubles that training takes.  Ratio: median over the pairs of bare over ours.  The same
pair again on a copy without compression, where there is nothing to hide behind.
Memory: peak of traced allocations while streaming the file once and `--copies` times, by
chunks of `--step` entries; flat if the two are alike.
"""

import argparse
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import uproot

from trigger.datasets.card import Card
from trigger.datasets.formats import propose
from trigger.datasets.read import chunks, read, wanted


def timed(action: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def bare(card: Card, path: str) -> None:
    """The branches of a card as awkward arrays, no more."""
    file: Any = uproot.open(path)
    file[card.tree].arrays(wanted(card))


def ours(card: Card, path: str) -> None:
    """The same branches, as what training takes."""
    sample = read(card, [path])
    sample.matrix([column.name for column in card.columns])
    if card.constituents:
        names = [column.name for column in card.constituents.columns]
        sample.block(names, card.constituents.keep)


def pairs(card: Card, path: str, rounds: int) -> dict[str, float]:
    """Times of both in turns, after one round that warms the file cache."""
    bare(card, path), ours(card, path)
    times = []
    for turn in range(rounds):
        both = [lambda: bare(card, path), lambda: ours(card, path)]
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        seconds = {which: timed(both[which]) for which in order}
        times.append((seconds[0], seconds[1]))
    return {
        "bare_s": round(statistics.median(b for b, _ in times), 4),
        "ours_s": round(statistics.median(o for _, o in times), 4),
        "ratio": round(statistics.median(b / o for b, o in times), 3),
    }


def uncompressed(card: Card, path: str, folder: str) -> str:
    """A copy of the card's branches without compression."""
    source: Any = uproot.open(path)
    tree = source[card.tree]
    arrays = tree.arrays(wanted(card), how=dict)
    copy = str(Path(folder) / Path(path).name)
    with uproot.recreate(copy, compression=None) as file:
        out: Any = file.mktree(
            card.tree, {name: array.type.content for name, array in arrays.items()}
        )
        for start in range(0, tree.num_entries, 10_000):
            out.extend({n: a[start : start + 10_000] for n, a in arrays.items()})
    return copy


def peak_mb(card: Card, path: str, copies: int, step: int, folder: str) -> float:
    """Peak of traced allocations of a stream over a file, told `copies` times over."""
    paths = []
    for number in range(copies):
        link = Path(folder) / f"{copies}_{number}.root"
        # a hard link would be the same file, which is read once
        link.write_bytes(Path(path).read_bytes())
        paths.append(str(link))
    tracemalloc.start()
    for chunk in chunks(card, paths, step=step):
        del chunk
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round(peak / 1e6, 2)


def main() -> None:
    """Prints one JSON line."""
    parser = argparse.ArgumentParser(description="reading beside a bare uproot read")
    parser.add_argument("--features", required=True, help="a file of features")
    parser.add_argument("--constituents", required=True, help="a file of particles")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--step", type=int, default=4_000, help="entries in a chunk")
    args = parser.parse_args()
    result: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        for name, path in (
            ("features", args.features),
            ("constituents", args.constituents),
        ):
            card = propose(path)
            result[name] = pairs(card, path, args.rounds)
            plain = uncompressed(card, path, folder)
            result[f"{name}_uncompressed"] = pairs(card, plain, args.rounds)
        card = propose(args.constituents)
        once = peak_mb(card, args.constituents, 1, args.step, folder)
        often = peak_mb(card, args.constituents, args.copies, args.step, folder)
    result["memory"] = {
        "step": args.step,
        "copies": args.copies,
        "peak_mb_once": once,
        "peak_mb_copies": often,
        "growth": round(often / once, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
