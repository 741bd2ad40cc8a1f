"""The RTL in Verilator: translated to C++, compiled, and played into clock by clock.

The fastest simulator by far, so the one that sees every word.  The harness plays a
recorded stimulus into the pins, one row a clock, and writes what the output pins show.

Conventions
-----------
- Words travel through files as 64-bit integers; the harness knows each pin's width.
- Where the block has flat vectors, a module around it takes them apart, so that the
  harness sees one pin per word in any case.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from firmware import rtl
from firmware.netlist import Netlist
from firmware.stimulus import Player, Stimulus, Trace
from firmware.tools import Tool, ToolError, call, write_texts

FLAGS = (
    *("--cc", "-O3", "--no-timing", "--x-assign", "fast", "--x-initial", "unique"),
    *("-Wno-fatal", "--prefix", "Vblock", "--Mdir", "."),
)
"""Unknown bits start at random, so that an answer which leans on them differs."""


@final
@dataclass(frozen=True)
class Simulator(Player):
    """A verilated block."""

    program: Path
    folder: Path
    ports: int
    outputs: int

    @classmethod
    def build(
        cls,
        texts: Mapping[str, str],
        netlist: Netlist,
        folder: Path,
        *,
        verilator: Tool,
        cxx: Tool,
        options: rtl.Options = rtl.DEFAULT,
    ) -> "Simulator":
        """Verilates and compiles the RTL together with a harness.

        Args:
            texts: Verilog by file name; the top module is the block's id.
            netlist: Says names and widths of the pins.
            folder: An existing empty folder; everything is written there.
            verilator: From `tools.simulator`.
            cxx: From `tools.compiler`.
            options: How the block is wired.

        Raises:
            ToolError: Verilator or the compiler refuses the text.
        """
        texts, top = dict(texts), netlist.block
        if options.flat:
            top = f"{netlist.block}_words"
            texts[f"{top}.v"] = _one_port_per_word(netlist, options)
        harness = {"harness.cpp": _harness(netlist, options)}
        write_texts(folder, texts | harness)
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
                    *(*verilator.command, *FLAGS, "--top-module", top),
                    *(f"./{name}" for name in sorted(texts)),
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
        """Plays a stimulus; the registers hold random bits at power-up."""
        clocks = len(stimulus.valid)
        pins = np.column_stack(
            [stimulus.valid, stimulus.reset, stimulus.enabled, stimulus.words]
        )
        pins.astype("<i8").tofile(self.folder / "stimulus.bin")
        call([str(self.program), "stimulus.bin", "trace.bin", str(seed)], self.folder)
        seen = np.fromfile(self.folder / "trace.bin", "<i8")
        if seen.size != clocks * (1 + self.outputs):
            raise ToolError(
                f"the simulation ended before its {clocks} clocks were over"
            )
        seen = seen.reshape(clocks, 1 + self.outputs)
        return Trace(valid=seen[:, 0] != 0, words=seen[:, 1:])


def _one_port_per_word(netlist: Netlist, options: rtl.Options) -> str:
    """A module that has a port for every word, around a block with flat vectors."""
    nodes = netlist.nodes
    ins = [(f"in_{nodes[i].name}", nodes[i].width) for i in netlist.inputs]
    outs = [(f"out_{name}", nodes[i].width) for name, i in netlist.outputs]
    alone = ["clk", "rst", *["ce"] * options.clock_enable, "in_valid"]
    ports = [f"input wire {name}" for name in alone]
    ports += [f"input wire [{width - 1}:0] {name}" for name, width in ins]
    ports += ["output wire out_valid"]
    ports += [f"output wire [{width - 1}:0] {name}" for name, width in outs]
    pins = [f".{name}({name})" for name in (*alone, "out_valid")]
    for vector, words in (("in_words", ins), ("out_words", outs)):
        pins.append(f".{vector}({{{', '.join(name for name, _ in reversed(words))}}})")
    return (
        f"module {netlist.block}_words ({', '.join(ports)});\n"
        f"  {netlist.block} block ({', '.join(pins)});\nendmodule\n"
    )


def _harness(netlist: Netlist, options: rtl.Options) -> str:
    """The C++ that plays a stimulus file into the pins and records a trace file."""

    def pin(name: str) -> str:  # as Verilator spells a name in C++
        return name.replace("__", "___05F")

    inputs = [(f"in_{netlist.nodes[i].name}", netlist.nodes[i]) for i in netlist.inputs]
    outputs = [(f"out_{name}", netlist.nodes[i]) for name, i in netlist.outputs]
    drive = "\n".join(
        f"    block.{pin(name)} = row[{k + 3}] & INT64_C({(1 << node.width) - 1});"
        for k, (name, node) in enumerate(inputs)
    )
    record = "\n".join(
        f"    shown[{k + 1}] = "
        + ("sign" if node.signed else "plain")
        + f"(block.{pin(name)}, {node.width});"
        for k, (name, node) in enumerate(outputs)
    )
    enable = "    block.ce = row[2] != 0;\n" * options.clock_enable
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
  std::int64_t row[{len(inputs) + 3}];
  std::int64_t shown[{len(outputs) + 1}];
  while (std::fread(row, sizeof row, 1, stimulus) == 1) {{
    block.clk = 0;
    block.in_valid = row[0] != 0;
    block.rst = row[1] != 0;
{enable}{drive}
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
