"""Our compiler beside alkaid on the same integer functions: LUTs, nanoseconds, seconds.

Trains networks down a path of areas on the 16-feature jets, or takes their translated
netlists, and gives each to both compilers.  The peer runs in its own environment, from
`peer_alkaid.py`, and its Verilog is counted by the same recipe as ours.

    python tests/benchmarks/compiler.py --peer-python PEER/bin/python --data ../shared/data
    python tests/benchmarks/compiler.py --peer-python PEER/bin/python --netlists DIR

LUTs: packed LUT6 of both as combinational logic, and of ours cut for 360 MHz beside.
Nanoseconds: combinational, by the peer's delay model for both (`front_quality.peer_ns`),
the peer's own better figure of its two- and three-input adders.
Seconds: CPU time, least of three, from the translated netlist to Verilog, VHDL and C++ of
ours, which forgets in between what it has cached; of the peer from the netlist to its
program and its Verilog alone.
Verilator: building the largest network and 100,000 words through it.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from front_quality import COMBINATIONAL_MHZ, peer_ns, read

from firmware import cpp, synth, tools, verilog, vhdl
from firmware.interpret import run
from firmware.lower import translate
from firmware.netlist import Netlist, from_json, to_json
from firmware.passes import optimise
from firmware.pipeline import pipeline
from firmware.recompile import plain_interface
from firmware.simulate import Simulator
from firmware.vectors import make
from models.freeze import freeze
from models.frozen import FrozenPort
from models.plan import Goal
from models.settings import TrainConfig
from models.train import train
from workflows.recipes.samples import CLASSES

CLOCK_MHZ = 360.0


def trained(data_folder: Path, epochs: int) -> list[Netlist]:
    """Translated netlists of three trainings, spread evenly in the logarithm of area."""
    ports, data, _ = read(data_folder)
    words = tuple(FrozenPort(w.name, w.bits, w.signed) for w in ports)
    base = replace(TrainConfig(), batch=512, units=(32,), epochs=epochs)
    down = (6.0, 4.0, 2.0, 1.0, 0.5, 0.25)
    large = replace(base, most_address=8, areas=(9.0, 7.0, 5.0), epochs=epochs // 2)
    found = {}
    for seed, config, lowest, count in (
        (21, replace(base, areas=down, ns_price=0.01), 200, 7),
        (22, replace(base, areas=down, ns_price=0.05), 200, 7),
        (31, large, 4500, 2),
    ):
        front = train(config, data, goal=Goal(1000.0), seed=seed).front
        most = min(6500.0, max(c.luts for c in front))
        for luts in np.geomspace(lowest, most, count):
            one = min(front, key=lambda c: abs(math.log(c.luts / luts)))
            name = f"s{seed}_{one.luts:.0f}"
            found[name] = translate(freeze(one.network, words, CLASSES), name)
    return list(found.values())


def ours(netlist: Netlist) -> dict[str, Any]:
    """What our compiler makes of a translated netlist."""
    yosys = tools.synthesiser()
    tries = [written(netlist) for _ in range(3)]
    flat, rtl, _ = tries[0]
    cut = optimise(netlist, CLOCK_MHZ)
    stages = pipeline(cut, CLOCK_MHZ)
    text = verilog.emit(cut, stages, plain_interface(cut))
    return {
        "luts": synth.estimate(rtl, flat.block, yosys=yosys).luts,
        "ns": round(peer_ns(flat), 3),
        "luts_360": synth.estimate(text, cut.block, yosys=yosys).luts,
        "cycles_360": stages.cycles,
        "seconds": round(min(seconds for *_, seconds in tries), 4),
    }


def written(netlist: Netlist) -> tuple[Netlist, dict[str, str], float]:
    """The compiled netlist, its Verilog, and the CPU seconds of all that is written."""
    forget()
    begin = time.process_time()
    flat = optimise(netlist)
    schedule = pipeline(flat, COMBINATIONAL_MHZ)
    interface = plain_interface(flat)
    rtl = verilog.emit(flat, schedule, interface)
    vhdl.emit(flat, schedule, interface)
    cpp.emit(flat)
    return flat, rtl, time.process_time() - begin


def forget() -> None:
    """Empties the caches of our compiler, which one network would fill for the next."""
    for name, module in list(sys.modules.items()):
        if name.startswith("firmware"):
            for part in vars(module).values():
                if hasattr(part, "cache_clear"):
                    part.cache_clear()


def theirs(netlists: list[Netlist], python: str, folder: Path) -> dict[str, Any]:
    """What alkaid makes of them, by block."""
    files = []
    for netlist in netlists:
        files.append(folder / f"{netlist.block}.json")
        files[-1].write_text(to_json(netlist))
    script = Path(__file__).with_name("peer_alkaid.py")
    told = subprocess.run(
        [python, script, *files, "--out", folder],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rows = {}
    for line in told.splitlines():
        row = json.loads(line)
        rtl = {
            path.name: path.read_text() for path in (folder / row["block"]).glob("*.v")
        }
        luts = synth.estimate(rtl, row["block"], yosys=tools.synthesiser()).luts
        rows[row["block"]] = {
            "luts": luts,
            "ns": min(row["latency_ns"], row["fused_ns"]),
            "seconds": row["trace_s"] + row["write_s"],
        }
    return rows


def simulated(netlist: Netlist) -> float:
    """Seconds that Verilator takes to build a network and run 100,000 words."""
    cut = optimise(netlist, CLOCK_MHZ)
    rtl = verilog.emit(cut, pipeline(cut, CLOCK_MHZ), plain_interface(cut))
    nothing = np.zeros((0, len(cut.inputs)), np.int64)
    words = make(cut, nothing, random=100_000, seed=1).words[:100_000]
    begin = time.perf_counter()
    with TemporaryDirectory() as name:
        block = Simulator.build(
            rtl,
            cut,
            Path(name),
            verilator=tools.simulator(),
            cxx=tools.compiler(),
        )
        answers, _ = block.run(words)
    seconds = time.perf_counter() - begin
    assert np.array_equal(answers, run(netlist, words))
    return seconds


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peer-python", required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder of the jets, to train on")
    source.add_argument("--netlists", type=Path, help="folder of translated netlists")
    parser.add_argument("--epochs", type=int, default=150)
    args = parser.parse_args()
    if args.netlists:
        paths = sorted(args.netlists.glob("*.json"))
        netlists = [from_json(path.read_text()) for path in paths]
    else:
        netlists = trained(args.data, args.epochs)
    with TemporaryDirectory() as name:
        peer = theirs(netlists, args.peer_python, Path(name))
    rows = []
    for netlist in netlists:
        mine, other = ours(netlist), peer[netlist.block]
        ratios = {k: round(mine[k] / other[k], 3) for k in ("luts", "ns", "seconds")}
        rows.append({"block": netlist.block, **mine, "peer": other, "ratio": ratios})
        print(json.dumps(rows[-1]), flush=True)
    largest = max(netlists, key=lambda netlist: peer[netlist.block]["luts"])
    line: dict[str, Any] = {"networks": len(rows)}
    for key in ("luts", "ns", "seconds"):
        ratio = [row["ratio"][key] for row in rows]
        line[f"{key}_mean"] = round(math.exp(float(np.mean(np.log(ratio)))), 3)
        line[f"{key}_worst"] = max(ratio)
    line["verilator_luts"] = peer[largest.block]["luts"]
    line["verilator_seconds"] = round(simulated(largest), 1)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
