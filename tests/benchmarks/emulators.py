"""Events per second of the emulators of a netlist, and of alkaid's interpreter beside.

    python tests/benchmarks/emulators.py --peer-python PATH NETLIST.json...

The netlists are translated and unoptimised, as `peer_alkaid.py` wants them; ours run on
what the passes make of them, as a bundle does.  All take the same 200,000 random words
in one process and one thread each (JAX as it comes), best of five times, and all answers
have to be equal.  The peer's Python needs `alkaid` and `numpy`.  The last line printed
is one JSON object.
"""

import argparse
import ctypes
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from peers import machine, run_json  # noqa: E402

from firmware import cpp, in_jax, interpret  # noqa: E402
from firmware.emulate import Emulator  # noqa: E402
from firmware.netlist import Netlist, from_json  # noqa: E402
from firmware.passes import optimise  # noqa: E402
from firmware.tools import compiler  # noqa: E402
from trigger.errors import UserError  # noqa: E402

EVENTS = 200_000
ROUNDS = 5
GOAL = 20
"""Least wanted ratio of the C++ emulator's events per second to the peer's."""


def best(call: Callable[[], Any]) -> float:
    """Least wall seconds of several calls."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def random_words(netlist: Netlist) -> np.ndarray:
    """Uniform words over the range of each port, int32, events by ports."""
    rng = np.random.default_rng(0)
    ports = [netlist.nodes[i] for i in netlist.inputs]
    lo, hi = np.array([p.lo for p in ports]), np.array([p.hi for p in ports])
    return rng.integers(lo, hi + 1, (EVENTS, len(ports))).astype(np.int32)


def compiled(
    netlist: Netlist, words: np.ndarray, folder: Path
) -> tuple[np.ndarray, float, float]:
    """The C++ emulator's answers, its seconds on the words, seconds to compile it."""
    for name, text in cpp.emit(netlist).items():
        (folder / name).write_text(text)
    ports, outputs = words.shape[1], len(netlist.outputs)
    start = time.perf_counter()
    with Emulator.build(
        folder, netlist.block, folder, cxx=compiler(), ports=ports, outputs=outputs
    ) as emulator:
        compile_s = time.perf_counter() - start
        answers = emulator.run(words)
    # Timed as C++ calls it: without the copies that our Python makes.
    library = ctypes.CDLL(str(folder / f"{netlist.block}.so"))
    run = getattr(library, f"{netlist.block}_run")
    run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    out = np.empty((EVENTS, outputs), np.int32)
    seconds = best(lambda: run(words.ctypes.data, out.ctypes.data, EVENTS))
    return answers, seconds, compile_s


def measure(file: Path, peer_python: str) -> dict[str, Any]:
    """One netlist through all emulators.

    Raises:
        UserError: Two of them disagree.
    """
    given = from_json(file.read_text())
    ours = replace(optimise(given), block="ours")
    words = random_words(given)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        np.save(folder / "words.npy", words)
        script = [str(HERE / "peer_alkaid.py"), str(file), "--out", scratch]
        script += ["--words", str(folder / "words.npy")]
        peer = run_json(peer_python, script)
        answers, cpp_s, cpp_compile_s = compiled(ours, words, folder)
        # By turns: the machine may be busier before than after.
        again = run_json(peer_python, script)
        peer["events_per_s"] = max(peer["events_per_s"], again["events_per_s"])
        theirs = np.load(folder / given.block / "answers.npy")
    start = time.perf_counter()
    run = in_jax.compile(ours)
    by_jax = np.asarray(run(words))
    jax_compile_s = time.perf_counter() - start
    jax_s = best(lambda: run(words).block_until_ready())
    start = time.perf_counter()
    referee = interpret.run(given, words)
    numpy_s = time.perf_counter() - start
    for name, found in (("alkaid", theirs), ("C++", answers), ("JAX", by_jax)):
        if not np.array_equal(found, referee):
            raise UserError(f"{name} and the referee disagree on {file}")
    rates = {"numpy": numpy_s, "jax": jax_s, "cpp": cpp_s}
    return {
        "netlist": given.block,
        "nodes": len(given.nodes),
        "peer_ops": peer["ops"],
        "peer_cost": peer["cost"],
        "events_per_s": {name: round(EVENTS / s) for name, s in rates.items()}
        | {"alkaid": peer["events_per_s"]},
        "ratio": round(EVENTS / cpp_s / peer["events_per_s"], 1),
        "cpp_compile_s": round(cpp_compile_s, 2),
        "jax_compile_s": round(jax_compile_s, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("netlists", nargs="+", type=Path, metavar="NETLIST.json")
    parser.add_argument("--peer-python", required=True, help="has alkaid and numpy")
    asked = parser.parse_args()
    rows = []
    try:
        for file in asked.netlists:
            rows.append(measure(file, asked.peer_python))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    except (UserError, OSError) as error:
        print(f"emulators.py: {error}", file=sys.stderr)
        return 2
    ratios = [row["ratio"] for row in rows]
    figures = {
        "machine": machine(),
        "events": EVENTS,
        "goal": GOAL,
        "geometric_mean": round(math.exp(sum(map(math.log, ratios)) / len(ratios)), 1),
        "least": min(ratios),
        "netlists": rows,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
