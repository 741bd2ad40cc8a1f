"""The integer function of a netlist, built again with alkaid: what it makes of it.

Runs in the peer's environment, which has NumPy and alkaid and none of our packages, so
it reads `netlist.json` by itself.  It builds the function as somebody who knows alkaid
would from the trained network: the netlist to give it is the translated one, before any
pass of ours, with tables, n-ary sums and clips.  Sums are NumPy sums over alkaid's
arrays, so that it makes the trees; the tracer's default optimisation and cost model
apply; of two places for a bias, beside the sum or inside it, the cheaper one is taken.

    PEER_PYTHON tests/benchmarks/peer_alkaid.py NETLIST.json... --out DIR --words W.npy

Per netlist it writes `DIR/<block>/` (the Verilog, static files included, without the
simulation wrapper) and prints one line of JSON:

ops, cost, latency_ns   alkaid's count, LUT estimate and combinational delay after trace
fused_cost, fused_ns    the same of what it writes, three-input adders included
trace_s, write_s        wall seconds from the netlist to the program, and to Verilog
cycles, register_bits   with `--clock-ns`: its pipeline, cut at that delay; else null
events_per_s            its C++ interpreter, one thread, best of three times

With `--words` the words' answers are saved as `DIR/<block>/answers.npy`, int64, events
by outputs; without, the interpreter is timed on 200,000 random words.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from alkaid.codegen import RTLModel  # pyright: ignore[reportMissingImports]
from alkaid.trace import (  # pyright: ignore[reportMissingImports]
    FVArray,
    FVArrayInput,
    trace,
)

EVENTS = 200_000


def lookup(value: Any, entries: list[int], low: int, high: int) -> Any:
    """A table on `low..high`; what alkaid thinks possible beyond is no matter to it."""
    step = float(value.step)
    below = max(0, round(low - float(value.low)))
    above = max(0, round(float(value.high) - high))
    table = np.pad(
        np.array(entries, np.float64), (below, above), constant_values=np.nan
    )
    span = (float(low - below), float(high + above), 1.0)
    if value.low == value.high:
        return float(table[round(float(value.low) - span[0])])
    if step > 1:  # only every `step`-th entry can be read
        start = round(float(value.low) - span[0])
        stop = round(float(value.high) - span[0]) + 1
        return value.lookup(table[start : stop : round(step)])
    return value.lookup(table, original_qint=span)


def floor_shift(value: Any, by: int) -> Any:
    """`floor(value / 2**by)` by dropping bits, the last one of a sign excepted."""
    signed, integers, _ = value.kif
    return value.quantize(signed, max(integers, by + 1 - signed), -by) * 2.0**-by


def build(netlist: dict[str, Any], *, bias_inside: bool) -> tuple[Any, list[Any]]:
    """The netlist's inputs and outputs as alkaid's variables."""
    nodes = netlist["nodes"]
    ports = [node for node in nodes if node["op"] == "input"]
    signed = np.array([node["lo"] < 0 for node in ports])
    bits = [max(n["hi"].bit_length(), (~min(n["lo"], 0)).bit_length()) for n in ports]
    inputs = FVArrayInput((len(ports),))
    words = iter(inputs.quantize(signed, np.array(bits), np.zeros(len(ports), int)))
    some = inputs.hwconf
    made: list[Any] = []

    def total(terms: list[Any]) -> Any:
        loose = sum(term for term in terms if isinstance(term, float))
        bound = [term for term in terms if not isinstance(term, float)]
        if not bound:
            return loose
        if bias_inside and loose:
            bound.append(loose)
            loose = 0.0
        return np.sum(FVArray(np.array(bound, dtype=object), hwconf=some)) + loose

    for node in nodes:
        args = [made[a] for a in node.get("args", ())]
        match node["op"]:
            case "input":
                value = next(words)
            case "const":
                value = float(node["lo"])
            case _ if node["lo"] == node["hi"]:
                value = float(node["lo"])
            case "shift":
                by = node.get("by", 0)  # left out where it is 0
                up = args[0] * 2.0**by
                value = up if by >= 0 else floor_shift(args[0], -by)
            case "add" | "sum":
                value = total(args)
            case "sub":
                value = args[0] - args[1]
            case "mul":
                value = args[0] * args[1]
            case "clip":
                value = saturate(args[0], node["lo"], node["hi"])
            case "wrap":
                twos = int(node.get("twos", False))
                value = args[0].quantize(twos, node["bits"] - twos, 0)
            case "compare":
                value = compare(args[0], args[1], node["test"])
            case "mux":
                choose, yes, no = args
                if isinstance(choose, float):
                    value = yes if choose else no
                else:
                    value = choose.msb_mux(yes, no)
            case "table":
                read = nodes[node["args"][0]]
                entries = netlist["tables"][node["table"]]
                value = lookup(args[0], entries, read["lo"], read["hi"])
            case other:
                sys.exit(f"peer_alkaid.py: operation {other!r} is not of version 3")
        made.append(value)
    return inputs, [made[index] for _, index in netlist["outputs"]]


def saturate(value: Any, low: int, high: int) -> Any:
    """`min(max(value, low), high)`; a bound that nothing passes costs nothing."""
    return value.max_of(float(low)).min_of(float(high))


def compare(a: Any, b: Any, test: str) -> Any:
    """1 where the comparison holds, else 0."""
    if test == "==":
        return a._eq(b) if not isinstance(a, float) else b._eq(a)
    if isinstance(a, float):
        return b > a if test == "<" else b >= a
    return a < b if test == "<" else a <= b


def write(
    program: Any, block: str, folder: Path, clock_ns: float | None
) -> tuple[RTLModel, float]:
    """Its Verilog in `folder`, and the CPU seconds that writing took."""
    with tempfile.TemporaryDirectory() as scratch:
        start = time.process_time()
        cut = -1.0 if clock_ns is None else clock_ns
        model = RTLModel(program, scratch, prj_name=block, latency_cutoff=cut)
        model.write()
        seconds = time.process_time() - start
        for text in sorted((Path(scratch) / "src").rglob("*.v")):
            if not text.stem.endswith("_wrapper"):
                shutil.copy(text, folder / text.name)
    return model, seconds


def measure(
    file: Path, out: Path, clock_ns: float | None, words: Path | None
) -> dict[str, Any]:
    """Builds, writes and runs one netlist; the figures that the top of the file names."""
    netlist = json.loads(file.read_text())
    if netlist["version"] != 3:
        sys.exit(f"peer_alkaid.py: {file} is of version {netlist['version']}, not 3")
    programs = []
    for bias_inside in (True, False) * 3:
        start = time.process_time()
        program = trace(*build(netlist, bias_inside=bias_inside))
        programs.append((program, time.process_time() - start, bias_inside))
    program, trace_s, inside = min(
        programs, key=lambda p: (p[0].cost, p[0].latency[1], p[1])
    )

    folder = out / netlist["block"]
    folder.mkdir(parents=True, exist_ok=True)
    tries = [write(program, netlist["block"], folder, clock_ns) for _ in range(3)]
    model, write_s = tries[0][0], min(seconds for _, seconds in tries)
    fused = model._comb
    assert fused is not None

    if words is None:
        rng = np.random.default_rng(0)
        ports = [node for node in netlist["nodes"] if node["op"] == "input"]
        low, high = (np.array([node[end] for node in ports]) for end in ("lo", "hi"))
        events = rng.integers(low, high + 1, (EVENTS, len(ports)))
    else:
        events = np.load(words)
    taken = np.ascontiguousarray(events, np.float64)
    answers, seconds = np.empty(0), []
    for _ in range(3):
        start = time.perf_counter()
        answers = program.predict(taken, n_threads=1)
        seconds.append(time.perf_counter() - start)
    if words is not None:
        np.save(folder / "answers.npy", np.rint(answers).astype(np.int64))
    return {
        "block": netlist["block"],
        "ops": len(program.ops),
        "tables": len(program.lookup_tables or ()),
        "cost": round(float(program.cost), 1),
        "latency_ns": round(float(program.latency[1]), 3),
        "fused_cost": round(float(fused.cost), 1),
        "fused_ns": round(float(fused.latency[1]), 3),
        "bias_inside": inside,
        "cycles": None if clock_ns is None else model.latency,
        "register_bits": None if clock_ns is None else model.reg_bits,
        "trace_s": round(trace_s, 4),
        "write_s": round(write_s, 4),
        "events": len(events),
        "events_per_s": round(len(events) / min(seconds)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("netlists", nargs="+", type=Path, metavar="NETLIST.json")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder, made if need be"
    )
    parser.add_argument("--clock-ns", type=float, help="cut a pipeline at that delay")
    parser.add_argument("--words", type=Path, help="port words, events by ports, .npy")
    asked = parser.parse_args()
    for file in asked.netlists:
        figures = measure(file, asked.out, asked.clock_ns, asked.words)
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
