"""How much less a training step costs here than in HGQ2, both measured in turns.

A case is one shape at one batch.  Its two steps run as processes of their own, peer and
ours by turns (A B A B ...) within the same minutes; each prints its least CPU time of
all threads and its median wall time, and of the rounds again the least and the median
count.  Both are full steps: forward, backward, area term, Adam, caps of the widths.

    python tests/benchmarks/peers.py --peer-python PATH --cases 1024 8192

The peer's Python needs `hgq2`, `keras` and `jax`; `--peers` is the folder that holds
`hgq2_train.py`.  Case `particles` is the particle network, `front` what a training for
many prices of area costs against a training for one.  Status 0 once measured, whether
the goals are met or not.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from trigger.errors import UserError  # noqa: E402

PEER_PACKAGES: tuple[str, ...] = ("hgq2", "keras", "jax", "numpy")
OUR_PACKAGES: tuple[str, ...] = ("jax", "equinox", "optax", "numpy")
MIB = 2**20


@final
@dataclass(frozen=True)
class Case:
    """One shape at one batch, and what is asked of it.

    Attributes:
        name: What the command line calls it.
        batch: Jets in a batch, the same for both.
        repeats: Steps that the peer times in one process.
        goal: Least wanted ratio of CPU times, peer to ours; `None`: none is set.
        goal_bytes: Our temporaries must stay below so many bytes per jet.
    """

    name: str
    batch: int
    repeats: int
    goal: float | None = None
    goal_bytes: float | None = None

    def peer(self, folder: Path) -> list[str]:
        """The peer's script and its arguments; one blocked step at a time, as ours."""
        if self.name == "particles":
            script, rest = HERE / "peer_particles.py", ["--repeats", str(self.repeats)]
        else:
            # an "epoch" of hgq2_train.py is timed as a whole: one step each
            epochs = [
                "--steps",
                "1",
                "--warmup",
                "2",
                "--epochs",
                str(2 + self.repeats),
            ]
            script, rest = folder / "hgq2_train.py", ["--arch", "lut", "--mode", "step"]
            rest += epochs
        return [str(script), *rest, "--batch", str(self.batch)]

    def ours(self) -> list[str]:
        """Our script and its arguments."""
        if self.name == "particles":
            return [str(HERE / "train_particles.py"), "--batch", str(self.batch)]
        return [str(HERE / "train_step.py"), "--no-peer", "--batch", str(self.batch)]


CASES = {
    case.name: case
    for case in (
        Case("512", 512, 20, goal=15),
        Case("1024", 1_024, 20, goal=25),
        Case("8192", 8_192, 20, goal=50),
        Case("33200", 33_200, 10, goal=50, goal_bytes=1_000),
        Case("particles", 2_790, 3),  # the batch of the reference's recipe
    )
}
STEPS = ("512", "1024", "8192", "33200")  # the default: the network 16-20-5
FRONT = HERE / "front_cost.py"


def run_json(python: str, command: Sequence[str]) -> dict[str, Any]:
    """Runs a script and reads the JSON object on the last line it prints.

    Raises:
        UserError: It failed, or its last line is no JSON object.
    """
    # PYTHONPATH would show one side the other's packages
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [python, *command],
        env=inherited | {"JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines() or [""]
    try:
        figures = json.loads(lines[-1])
    except json.JSONDecodeError:
        figures = None
    if done.returncode or not isinstance(figures, dict):
        print(done.stderr, file=sys.stderr)
        raise UserError(
            f"{' '.join(command)!r}, run by {python!r}, ended with status "
            f"{done.returncode} and no figures; what it said is above"
        )
    return figures


def peer_versions(python: str) -> dict[str, str]:
    """Versions of the packages in the peer's environment.

    Raises:
        UserError: That Python does not run or lacks a package.
    """
    wanted = "\n".join(
        (
            "import sys, importlib.metadata as m",
            "print(sys.version.split()[0])",
            "have = {d.name.lower(): d.version for d in m.distributions()}",
            f"print(*(have.get(name, '-') for name in {PEER_PACKAGES}))",
        )
    )
    try:
        said = subprocess.run(
            [python, "-c", wanted], capture_output=True, text=True, check=True
        ).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(
            f"the peer's Python {python!r} does not run; give the interpreter of an "
            "environment that has hgq2 with --peer-python"
        ) from error
    names = ("python", *PEER_PACKAGES)
    versions = dict(zip(names, said, strict=True))
    lacking = [name for name, found in versions.items() if found == "-"]
    if lacking:
        raise UserError(
            f"the peer's Python {python!r} lacks {', '.join(lacking)}; install "
            "'jax[cpu]', keras and hgq2==0.2.0 there, or name another --peer-python"
        )
    return versions


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
    }


def measure(case: Case, peer_python: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Both steps of a case, in turns.

    Returns:
        CPU time in milliseconds, the least of the rounds; wall time in milliseconds,
        their median; temporaries in bytes per jet; the ratios and the goals; user time
        alone, where both scripts print `user_cpu_ms`.
    """
    peers, ours = [], []
    for turn in range(rounds):
        peers.append(run_json(peer_python, case.peer(folder)))
        ours.append(run_json(sys.executable, [*case.ours(), "--json"]))
        print(
            f"{case.name}, round {turn + 1} of {rounds}: CPU ms per step "
            f"{peers[-1]['cpu_ms']} (peer), {ours[-1]['cpu_ms']} (ours)",
            file=sys.stderr,
        )
    sides = {}
    for side, figures, memory in (
        ("peer", peers, "xla_temp_mb"),
        ("ours", ours, "temporaries_mb"),
    ):
        sides[side] = {
            "cpu_ms": min(one["cpu_ms"] for one in figures),
            "step_ms": statistics.median(one["step_ms"] for one in figures),
            "temporaries_bytes_per_jet": round(
                figures[-1][memory] * MIB / case.batch, 1
            ),
            "cpu_ms_of_rounds": [one["cpu_ms"] for one in figures],
        }
        if all("user_cpu_ms" in one for one in (*peers, *ours)):
            sides[side]["user_cpu_ms"] = min(one["user_cpu_ms"] for one in figures)
    user = [side["user_cpu_ms"] for side in sides.values() if "user_cpu_ms" in side]
    ratio = sides["peer"]["cpu_ms"] / sides["ours"]["cpu_ms"]
    wall = sides["peer"]["step_ms"] / sides["ours"]["step_ms"]
    held = sides["ours"]["temporaries_bytes_per_jet"]
    return {
        "case": case.name,
        "batch": case.batch,
        **sides,
        "ratio": round(ratio, 2),
        "wall_ratio": round(wall, 2),
        # without the system's time, which gigabytes of fresh pages can dominate
        "user_ratio": round(user[0] / user[1], 2) if user else None,
        "goal": case.goal,
        "goal_bytes": case.goal_bytes,
        "met": (case.goal is None or ratio >= case.goal)
        and (case.goal_bytes is None or held < case.goal_bytes),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The cases as lines of text, CPU times per jet."""
    head = ("case", "batch", "CPU us/jet: peer", "ours", "ratio", "goal", "wall ratio")
    cells: list[tuple[str, ...]] = [(*head, "bytes/jet: peer", "ours", "met")]
    for row in rows:
        cpu = [1e3 * row[side]["cpu_ms"] / row["batch"] for side in ("peer", "ours")]
        held = [row[side]["temporaries_bytes_per_jet"] for side in ("peer", "ours")]
        cells.append(
            (
                row["case"],
                f"{row['batch']:,}",
                *(f"{time:.3g}" for time in cpu),
                f"{row['ratio']:.1f}",
                "-" if row["goal"] is None else f"{row['goal']:g}",
                f"{row['wall_ratio']:.1f}",
                *(f"{size:,.0f}" for size in held),
                "yes" if row["met"] else "no",
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer-python", help="interpreter that has hgq2")
    parser.add_argument(
        "--peers",
        type=Path,
        default=ROOT.parent / "shared" / "tools" / "peers",
        help="folder of hgq2_train.py (default: ../shared/tools/peers of the checkout)",
    )
    parser.add_argument(
        "--cases", "--case", nargs="+", choices=(*CASES, "front"), default=STEPS
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--out", type=Path, help="write the JSON object to this file")
    return parser.parse_args(argv)


def check_scripts(cases: Sequence[str], folder: Path) -> None:
    """Finds out before minutes of measuring that something is missing.

    Raises:
        UserError: A script that one of the cases runs does not exist.
    """
    for name in cases:
        if name == "front":
            scripts = [FRONT]
        else:
            scripts = [Path(CASES[name].peer(folder)[0]), Path(CASES[name].ours()[0])]
        for script in scripts:
            if not script.is_file():
                raise UserError(
                    f"case {name!r} runs {script.name}, but there is no such file in "
                    f"{str(script.parent)!r}; give the folder of the peer's scripts "
                    "with --peers, or choose other cases with --cases"
                )


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Measures what the command line asks for."""
    cases = [CASES[name] for name in args.cases if name in CASES]
    if args.rounds < 1:
        raise UserError(f"--rounds must be at least 1, got {args.rounds}")
    check_scripts(args.cases, args.peers)
    result: dict[str, Any] = {
        "machine": machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in OUR_PACKAGES},
        },
    }
    if cases:
        if args.peer_python is None:
            raise UserError(
                "no peer's Python given; name the interpreter of an environment with "
                "hgq2 by --peer-python PATH"
            )
        result["peer_versions"] = peer_versions(args.peer_python)
        result["cases"] = [
            measure(case, args.peer_python, args.peers, args.rounds) for case in cases
        ]
        result["met"] = all(row["met"] for row in result["cases"])
    if "front" in args.cases:
        result["front"] = run_json(sys.executable, [str(FRONT)])
    result["load_after"] = round(os.getloadavg()[0], 2)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints; returns the process's exit status."""
    args = parse(argv)
    try:
        result = report(args)
    except UserError as error:
        print(f"peers.py: {error}", file=sys.stderr)
        return 2
    line = json.dumps(result)
    if args.out:
        part = args.out.with_name(args.out.name + ".part")
        part.write_text(line + "\n")
        part.replace(args.out)
    if not args.json:
        print((__doc__ or "").splitlines()[0])
        print(f"{result['machine']['cpu']}, {result['machine']['cores']} cores")
        if "cases" in result:
            print(table(result["cases"]))
        if "front" in result:
            print(f"front of prices against one training: {result['front']['ratio']}x")
    print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
