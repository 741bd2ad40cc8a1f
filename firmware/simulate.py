"""The RTL in Verilator, clock by clock.

The harness knows nothing of the block but its pins: it plays a recorded stimulus, one
row a clock, and writes what the output pins show.  Everything that needs thought,
where events are and what must come out, happens here on arrays.

Conventions
-----------
- Row `k` of a stimulus is what a rising clock edge `k` samples; row `k` of a trace is
  what the pins show after that edge, and so what edge `k + 1` samples.
- Latency is the number of clocks from the edge that samples an event to the edge that
  samples its answer: an event of row `k` shows in row `k + latency - 1`.
- Words travel through files as 64-bit integers; the harness knows each pin's width.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Bool, Int64, Integer

from firmware.netlist import Netlist
from firmware.tools import Tool, ToolError, call

FLAGS = (
    *("--cc", "-O3", "--no-timing", "--x-assign", "fast", "--x-initial", "unique"),
    *("-Wno-fatal", "--prefix", "Vblock", "--Mdir", "."),
)
"""Unknown bits start at random, so that an answer which leans on them differs."""

RESET = 8
"""Clocks of reset before the first event; more than the harness needs."""


@final
@dataclass(frozen=True)
class Stimulus:
    """What the input pins show, one row per clock."""

    valid: Bool[np.ndarray, " clocks"]
    reset: Bool[np.ndarray, " clocks"]
    words: Int64[np.ndarray, "clocks ports"]


@final
@dataclass(frozen=True)
class Trace:
    """What the output pins show, one row per clock."""

    valid: Bool[np.ndarray, " clocks"]
    words: Int64[np.ndarray, "clocks outputs"]


def back_to_back(words: Integer[np.ndarray, "events ports"], drain: int) -> Stimulus:
    """Resets, then one event at every clock, then `drain` clocks without events."""
    clocks = RESET + len(words) + drain
    rows = np.zeros((clocks, words.shape[1]), np.int64)
    rows[RESET : RESET + len(words)] = words
    at = np.arange(clocks)
    return Stimulus(
        valid=(at >= RESET) & (at < RESET + len(words)), reset=at < RESET, words=rows
    )


def hostile(
    words: Integer[np.ndarray, "events ports"], flow: int, drain: int, seed: int
) -> Stimulus:
    """Events with random gaps, changing words in the gaps, and resets in mid-flow.

    About a third of the clocks hold no event.  Three resets of one to four clocks fall
    on running events, which must vanish, while the first event after a reset counts.

    Args:
        words: To draw events from; at least one.
        flow: Clocks with events.
        drain: Clocks without events at the end.
        seed: Source of everything random.
    """
    rng = np.random.default_rng(seed)
    clocks = RESET + flow + drain
    valid = rng.random(clocks) < 0.67
    valid[clocks - drain :] = False
    rows = words[rng.integers(0, len(words), clocks)]
    reset = np.arange(clocks) < RESET
    for share in (0.25, 0.5, 0.75):
        start = RESET + int(share * flow)
        reset[start : start + int(rng.integers(1, 5))] = True
    return Stimulus(valid=valid, reset=reset, words=rows.astype(np.int64))


def survivors(
    stimulus: Stimulus, latency: int
) -> tuple[Int64[np.ndarray, " answers"], Int64[np.ndarray, " answers"]]:
    """Which events must come out, and when.

    Args:
        stimulus: What the input pins show.
        latency: In clocks.

    Returns:
        Clock of each surviving event and clock of its answer.  An event survives if no
        edge from its own to that of its answer sees a reset.
    """
    resets = np.concatenate([[0], np.cumsum(stimulus.reset)])
    event = np.flatnonzero(stimulus.valid[: len(stimulus.valid) - latency + 1])
    quiet = resets[event + latency] == resets[event]
    return event[quiet], event[quiet] + latency - 1


@final
@dataclass(frozen=True)
class Simulator:
    """A verilated block."""

    program: Path
    folder: Path
    ports: int
    outputs: int

    @classmethod
    def build(
        cls,
        rtl: Mapping[str, str],
        netlist: Netlist,
        folder: Path,
        *,
        verilator: Tool,
        cxx: Tool,
    ) -> "Simulator":
        """Verilates and compiles the RTL together with a harness.

        Args:
            rtl: Text by file name; the top module is the block's id.
            netlist: Says names and widths of the pins.
            folder: An existing empty folder; everything is written there.
            verilator: From `tools.simulator`.
            cxx: From `tools.compiler`.

        Raises:
            ToolError: Verilator or the compiler refuses the text.
        """
        for name, text in rtl.items():
            (folder / name).write_text(text)
        (folder / "harness.cpp").write_text(_harness(netlist))
        root = Path(verilator.root)
        include = [f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}", "-I."]

        def compile_together(name: str, sources: list[str]) -> None:
            # Without optimisation: it is compiling, not running, that takes the time.
            text = "".join(f'#include "{source}"\n' for source in sources)
            (folder / f"{name}.cc").write_text(text)
            flags = ["-std=c++17", "-pipe", "-w", "-O0", *include]
            call([*cxx.command, *flags, "-c", f"{name}.cc", "-o", f"{name}.o"], folder)

        with ThreadPoolExecutor(1) as beside:
            runtime = ["verilated.cpp", "verilated_threads.cpp"]
            compiling = beside.submit(compile_together, "runtime", runtime)
            call(
                [
                    *(*verilator.command, *FLAGS, "--top-module", netlist.block),
                    *(f"./{name}" for name in sorted(rtl)),
                ],
                folder,
                VERILATOR_ROOT=str(root),
            )
            generated = sorted(path.name for path in folder.glob("Vblock*.cpp"))
            compile_together("block", [*generated, "harness.cpp"])
            compiling.result()
        objects = ["runtime.o", "block.o"]
        call([*cxx.command, *objects, "-pthread", "-o", "simulation"], folder)
        return cls(
            program=(folder / "simulation").resolve(),
            folder=folder.resolve(),
            ports=len(netlist.inputs),
            outputs=len(netlist.outputs),
        )

    def play(self, stimulus: Stimulus, seed: int = 1) -> Trace:
        """Plays a stimulus from power-up and records the output pins.

        Args:
            stimulus: What the input pins show.
            seed: Of the bits that registers hold at power-up.

        Raises:
            ToolError: The simulation ended early.
        """
        clocks = len(stimulus.valid)
        pins = np.column_stack([stimulus.valid, stimulus.reset, stimulus.words])
        pins.astype("<i8").tofile(self.folder / "stimulus.bin")
        call([str(self.program), "stimulus.bin", "trace.bin", str(seed)], self.folder)
        seen = np.fromfile(self.folder / "trace.bin", "<i8")
        if seen.size != clocks * (1 + self.outputs):
            raise ToolError(
                f"the simulation ended before its {clocks} clocks were over"
            )
        seen = seen.reshape(clocks, 1 + self.outputs)
        return Trace(valid=seen[:, 0] != 0, words=seen[:, 1:])

    def run(
        self, words: Integer[np.ndarray, "events ports"]
    ) -> tuple[Int64[np.ndarray, "answers outputs"], int]:
        """Streams the words back to back, one event a clock.

        Returns:
            The answers in the order in which `out_valid` announced them, and the
            latency in clocks of the first one (0 if none came).
        """
        drain = 64
        while True:
            trace = self.play(back_to_back(words, drain))
            shown = np.flatnonzero(trace.valid)
            if len(shown) >= len(words) or drain > 4096:
                latency = int(shown[0]) - RESET + 1 if len(shown) else 0
                return trace.words[shown], latency
            drain *= 8


def _harness(netlist: Netlist) -> str:
    """The C++ that plays a stimulus file into the pins and records a trace file."""

    def pin(name: str) -> str:  # as Verilator spells a name in C++
        return name.replace("__", "___05F")

    inputs = [(f"in_{netlist.nodes[i].name}", netlist.nodes[i]) for i in netlist.inputs]
    outputs = [(f"out_{name}", netlist.nodes[i]) for name, i in netlist.outputs]
    drive = "\n".join(
        f"    block.{pin(name)} = row[{k + 2}] & INT64_C({(1 << node.width) - 1});"
        for k, (name, node) in enumerate(inputs)
    )
    record = "\n".join(
        f"    shown[{k + 1}] = "
        + ("sign" if node.signed else "plain")
        + f"(block.{pin(name)}, {node.width});"
        for k, (name, node) in enumerate(outputs)
    )
    return f"""\
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "Vblock.h"

static std::int64_t plain(std::uint64_t word, int) {{
  return static_cast<std::int64_t>(word);
}}

static std::int64_t sign(std::uint64_t word, int bits) {{
  return static_cast<std::int64_t>(word << (64 - bits)) >> (64 - bits);
}}

int main(int, char** argv) {{
  std::FILE* stimulus = std::fopen(argv[1], "rb");
  std::FILE* trace = std::fopen(argv[2], "wb");
  if (!stimulus || !trace) return 1;
  VerilatedContext context;
  context.randReset(2);
  context.randSeed(std::atoi(argv[3]));
  Vblock block{{&context}};
  std::int64_t row[{len(inputs) + 2}];
  std::int64_t shown[{len(outputs) + 1}];
  while (std::fread(row, sizeof row, 1, stimulus) == 1) {{
    block.clk = 0;
    block.in_valid = row[0] != 0;
    block.rst = row[1] != 0;
{drive}
    block.eval();
    block.clk = 1;
    block.eval();
    shown[0] = block.out_valid;
{record}
    if (std::fwrite(shown, sizeof shown, 1, trace) != 1) return 1;
  }}
  block.final();
  return std::fclose(trace);
}}
"""
