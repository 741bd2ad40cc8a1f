"""Formal proof that two pieces of Verilog are one function, and an independent one.

`reference` writes a netlist as behavioural Verilog straight from what its operations
mean: signed numbers wide enough for anything, `case` for tables, nothing of the writers
under test.  `equal` asks Yosys's SAT solver for inputs on which two modules differ.

Conventions
-----------
- Modules have the pins of an emitted block; of a latency of 0, only the data pins.
- A block is fed forward: `cycles` clocks after power-up its state is a function of the
  inputs alone.  Trying all inputs of `cycles + 1` clocks from any state, and looking at
  the outputs of the last, is therefore a whole proof and no bounded one.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from firmware.netlist import Netlist
from firmware.tools import call


def reference(netlist: Netlist, cycles: int = 0, like: Netlist | None = None) -> str:
    """The netlist as a module `gold` whose answers come `cycles` clocks later.

    Its outputs are as wide as those of `like`, of which it may need fewer bits.
    """
    nodes, wide = netlist.nodes, like or netlist
    bits = 2 + max(node.width for node in nodes)
    ports = [(f"in_{nodes[i].name}", "input", nodes[i]) for i in netlist.inputs]
    ports += [(f"out_{name}", "output", wide.nodes[i]) for name, i in wide.outputs]
    pins = [f"{side} signed [{n.width - 1}:0] {name}" for name, side, n in ports]
    lines, tail = [], []
    if cycles:
        pins += ["input clk", "input rst", "input in_valid", "output out_valid"]
        lines.append(f"reg [{cycles}:1] good;")
        lines.append("always @(posedge clk) good <= rst ? 0 : {good, in_valid};")
        lines.append(f"assign out_valid = good[{cycles}];")
    for i in netlist.inputs:
        word, width = f"in_{nodes[i].name}", nodes[i].width
        for k in range(1, cycles + 1):
            lines.append(f"reg [{width - 1}:0] {word}_{k};")
            lines.append(f"always @(posedge clk) {word}_{k} <= {word};")
            word = f"{word}_{k}"
        sign = "$signed" if nodes[i].signed else "$unsigned"
        lines.append(f"wire signed [{bits - 1}:0] n{i} = {sign}({word});")
    for i, node in enumerate(nodes):
        if node.op != "input":
            text = _meaning(netlist, i)
            lines.append(f"wire signed [{bits - 1}:0] n{i} = {text};")
        if node.op == "table":
            low = nodes[node.args[0]].lo
            cells = " ".join(
                f"{low + k}: t{i} = {entry};"
                for k, entry in enumerate(netlist.tables[node.table])
            )
            span = f"signed [{bits - 1}:0]"
            head = f"function {span} t{i}(input {span} a);"
            tail.append(f"{head} case (a) {cells} default: t{i} = 0; endcase")
            tail.append("endfunction")
    tail += [f"assign out_{name} = n{i};" for name, i in netlist.outputs]
    return "\n".join(
        ["module gold(", ",\n".join(pins), ");", *lines, *tail, "endmodule"]
    )


def _meaning(netlist: Netlist, index: int) -> str:
    node = netlist.nodes[index]
    args = [f"n{a}" for a in node.args]
    match node.op:
        case "const":
            return f"{node.lo}"
        case "shift":
            return (
                f"{args[0]} <<< {node.by}"
                if node.by > 0
                else f"{args[0]} >>> {-node.by}"
            )
        case "add" | "sum":
            return " + ".join(args)
        case "sub":
            return " - ".join(args)
        case "mul":
            return " * ".join(args)
        case "compare":
            return f"({args[0]} {node.test} {args[1]}) ? 1 : 0"
        case "mux":
            return f"({args[0]} == 1) ? {args[1]} : {args[2]}"
        case "clip":
            low, high = node.lo, node.hi
            return f"({args[0]} < {low}) ? {low} : ({args[0]} > {high}) ? {high} : {args[0]}"
        case "wrap":  # what is left after whole turns, and one turn less from half on
            turn = 2**node.bits
            least = -turn // 2 if node.twos else 0
            rest = f"(({args[0]} - ({least})) & {turn - 1})"
            return f"{rest} + ({least})"
        case "table":
            return f"t{index}({args[0]})"
    raise ValueError(node.op)


def equal(pairs: Sequence[tuple[str, str]], cycles: int = 0) -> list[bool]:
    """For each pair of texts, whether their modules `gold` and `gate` are the same.

    Args:
        pairs: Verilog of a module `gold` and of a module `gate`.
        cycles: Latency of both.
    """
    with TemporaryDirectory(prefix="jetlut-formal-") as name:
        folder = Path(name)
        for k, pair in enumerate(pairs):
            for side, text in zip(("gold", "gate"), pair, strict=True):
                (folder / f"{side}{k}.v").write_text(text)
        call(
            [sys.executable, __file__, str(len(pairs)), str(cycles)],
            folder,
            PYTHONPATH=os.pathsep.join(sys.path),
        )
        return json.loads((folder / "equal.json").read_text())


def main(pairs: int, cycles: int) -> None:
    """Proves the pairs of the current folder and leaves `equal.json` there."""
    # Loads the whole of Yosys, so only in this process.
    libyosys = importlib.import_module("pyosys.libyosys")
    clocks = f"-seq {cycles + 1} -prove-skip {cycles}" if cycles else ""
    outcome = []
    for k in range(pairs):
        design = libyosys.Design()
        for step in (
            f"read_verilog gold{k}.v",
            f"read_verilog gate{k}.v",
            "proc",
            "memory -nomap",
            "memory_map",
            "flatten",
            "opt -full",
            "wreduce",
            "dffunmap",
            "miter -equiv -flatten -make_outputs gold gate both",
            "hierarchy -top both",
            "opt -full",
            f"tee -q -o sat.log sat {clocks} -prove trigger 0 both",
        ):
            libyosys.run_pass(step, design)
        told = Path("sat.log").read_text()
        found, none = "model found: FAIL!" in told, "no model found: SUCCESS!" in told
        if found == none:
            sys.exit(f"pair {k}: no proof either way:\n{told[-2000:]}")
        outcome.append(none)
    Path("equal.json").write_text(json.dumps(outcome))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
