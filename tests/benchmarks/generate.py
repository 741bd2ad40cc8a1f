"""Jets per second of the generator, beside those of a script that makes the same jets.

    python tests/benchmarks/generate.py --peer generate_jets.py [--n-jets 2000]

Both run with the same options on one process, in turns, each a program of its own: wall
and CPU seconds hold the start of Python and of PYTHIA, and the writing.  The peer
compiles its features with numba.  Where its Python has none, it runs *without* computing
them, which flatters it, and the result says so.  The last line is one JSON object.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

OURS = """
import sys
from pathlib import Path
from trigger.generate.run import generate
from trigger.generate.settings import Settings
out, jets, seed = sys.argv[1:]
made = generate(Settings(n_jets=int(jets), seed=int(seed)), Path(out))
print(sum(made.jets.values()))
"""

WITHOUT_NUMBA = """
import runpy, sys, types
import numpy as np
def njit(**_):
    none = lambda pt, eta, phi, mass, offsets, zcut: np.zeros((len(offsets) - 1, 16))
    return lambda function: none if function.__name__ == "jet_features" else function
sys.modules["numba"] = types.SimpleNamespace(njit=njit, boolean=bool)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def measure(command: list[str], jets: int) -> dict[str, float]:
    """Seconds of a program, and jets per second."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(
        command,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2),
        "jets_per_s": round(jets / wall, 1),
    }


def main() -> int:
    """Measures and prints; returns the process's exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="generate_jets.py")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--n-jets", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    args = parser.parse_args()
    if not args.peer.is_file():
        print(f"generate.py: no such file: {str(args.peer)!r}", file=sys.stderr)
        return 2
    numba = not subprocess.run(
        [args.peer_python, "-c", "import numba"], stderr=subprocess.DEVNULL, check=False
    ).returncode
    start = [] if numba else ["-c", WITHOUT_NUMBA]
    result: dict[str, Any] = {
        "jets": args.n_jets,
        "peer_features": numba,
        "load_before": round(os.getloadavg()[0], 2),
    }
    sides: dict[str, list[dict[str, float]]] = {"peer": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(args.rounds):
            jets, seed = str(args.n_jets), str(turn + 1)
            options = ["--pt-min", "900", "--pt-max", "1200", "--seed", seed]
            peer = [args.peer_python, *start, str(args.peer), "--n-jets", jets]
            peer += [*options, "--out", f"{folder}/peer{turn}.root"]
            ours = [sys.executable, "-c", OURS, f"{folder}/ours{turn}.root", jets, seed]
            commands = {"peer": peer, "ours": ours}
            for side, command in commands.items():
                sides[side].append(measure(command, args.n_jets))
    for side, rounds in sides.items():
        result[side] = min(rounds, key=lambda one: one["cpu_s"])
        print(side, *rounds)
    ratio = result["peer"]["cpu_s"] / result["ours"]["cpu_s"]
    result |= {"ratio": round(ratio, 2), "goal": 1.0, "met": ratio >= 1.0}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
