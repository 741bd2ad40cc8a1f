"""The proof that every form of a block computes the same integers.

One function does it, both when a bundle is made and when someone verifies it later, so
that a bundle is accepted by the very checks that it was built under.

Conventions
-----------
- A check counts events: an event differs if any of its words does.
- A check that lacks its tool is *not run*, with the reason; it never passes silently.
- Comparison is `array_equal`; there are no tolerances anywhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

import numpy as np
from jaxtyping import Integer

from firmware import cpp, interpret, tables
from firmware.emulate import Emulator
from firmware.netlist import Netlist
from firmware.simulate import Simulator, hostile, survivors
from firmware.tools import Tool, ToolError, compiler, simulator

Status = Literal["passed", "failed", "not run"]

CHECKS = ("network", "numpy", "cpp", "verilog", "tables", "latency")
"""What a complete bundle has passed.  `network`, the trained network against its
netlist, is made by whoever holds the network; all others by `prove`."""

HOSTILE = 4096
"""Clocks of the run with gaps and resets: beyond one LHC orbit of 3564 crossings."""


@final
@dataclass(frozen=True)
class Check:
    """The outcome of one comparison: `mismatches` of `words` events differ."""

    status: Status
    mismatches: int = 0
    words: int = 0
    reason: str = ""

    def __str__(self) -> str:
        counts = (
            "" if self.status == "not run" else f"{self.mismatches} of {self.words}"
        )
        return ", ".join(part for part in (self.status, counts, self.reason) if part)


def compare(
    seen: Integer[np.ndarray, "answers outputs"],
    expected: Integer[np.ndarray, "events outputs"],
    reason: str = "",
) -> Check:
    """Counts the events whose answers differ; a missing or extra answer differs too."""
    common = min(len(seen), len(expected))
    wrong = int(np.any(seen[:common] != expected[:common], axis=1).sum())
    wrong += max(len(seen), len(expected)) - common
    return Check("failed" if wrong else "passed", wrong, len(expected), reason)


def prove(
    netlist: Netlist,
    rtl: Mapping[str, str],
    emulator: Mapping[str, str],
    words: Integer[np.ndarray, "events ports"],
    expected: Integer[np.ndarray, "events outputs"],
    *,
    cycles: int,
    folder: Path,
    seed: int = 0,
    cxx: Tool | None = None,
    verilator: Tool | None = None,
) -> dict[str, Check]:
    """Holds NumPy, C++ and Verilog against expected answers, and tables against tables.

    Args:
        netlist: The block.
        rtl: Its Verilog, text by file name.
        emulator: Its C++, text by file name.
        words: Raw port words, inside their ports' ranges.
        expected: What must come out.
        cycles: The latency that the schedule promises, in clocks.
        folder: An existing folder to compile in; what is left there is rubbish.
        seed: Of the gaps and resets that the simulation sees.
        cxx: Compiler; found by `tools.compiler` if not given.
        verilator: Simulator; found by `tools.simulator` if not given.

    Returns:
        All of `CHECKS` but `network`, by name.
    """
    cxx = cxx or compiler()
    verilator = verilator or simulator()

    def in_cpp() -> dict[str, Check]:
        return {"cpp": _cpp(netlist, emulator, words, expected, folder / "cpp", cxx)}

    def in_verilog() -> dict[str, Check]:
        inner = folder / "verilog"
        inner.mkdir()
        block = Simulator.build(rtl, netlist, inner, verilator=verilator, cxx=cxx)
        flow, latency = _verilog(netlist, block, words, expected, cycles, seed)
        return {"verilog": flow, "latency": latency}

    checks = {"numpy": compare(interpret.run(netlist, words), expected)}
    checks |= _with_tools(in_cpp, ("cpp",), len(words), cxx)
    checks |= _with_tools(
        in_verilog, ("verilog", "latency"), len(words), verilator, cxx
    )
    checks["tables"] = _tables(netlist, rtl, emulator)
    return {name: checks[name] for name in CHECKS if name in checks}


def passed(checks: Mapping[str, Check]) -> bool:
    """Whether every check that a complete bundle needs was run and passed."""
    return all(name in checks and checks[name].status == "passed" for name in CHECKS)


def _with_tools(
    run: Callable[[], dict[str, Check]],
    names: tuple[str, ...],
    events: int,
    *needed: Tool,
) -> dict[str, Check]:
    """Runs checks that need tools; without them, or if they balk, says so.

    A text that a working tool refuses answers no event, so the first check fails on
    all of them, and what else would have been read off was not run.
    """
    for tool in needed:
        if tool.missing:
            return dict.fromkeys(names, Check("not run", reason=tool.missing))
    try:
        return run()
    except ToolError as error:
        first, *others = names
        unrun = Check("not run", reason=f"the check {first!r} could not be run")
        broken = Check("failed", events, events, str(error))
        return {first: broken, **dict.fromkeys(others, unrun)}


def _cpp(
    netlist: Netlist,
    emulator: Mapping[str, str],
    words: Integer[np.ndarray, "events ports"],
    expected: Integer[np.ndarray, "events outputs"],
    folder: Path,
    cxx: Tool,
) -> Check:
    folder.mkdir()
    for name, text in emulator.items():
        (folder / name).write_text(text)
    ports, outputs = len(netlist.inputs), len(netlist.outputs)
    with Emulator.build(
        folder, netlist.block, folder, cxx=cxx, ports=ports, outputs=outputs
    ) as built:
        if built.version != cpp.version(netlist):
            told = f"is of another netlist: {built.version}"
            return Check("failed", len(words), len(words), told)
        return compare(built.run(words), expected)


def _verilog(
    netlist: Netlist,
    block: Simulator,
    words: Integer[np.ndarray, "events ports"],
    expected: Integer[np.ndarray, "events outputs"],
    cycles: int,
    seed: int,
) -> tuple[Check, Check]:
    """Streams all words; then gaps and resets on some; and reads off the latency."""
    answers, seen = block.run(words)
    flowing = compare(answers, expected)
    latency = Check(
        "passed" if seen == cycles else "failed",
        int(seen != cycles),
        1,
        f"{seen} cycles seen" + ("" if seen == cycles else f", {cycles} promised"),
    )
    if not seen or not len(words):
        return replace(flowing, reason="no answer came"), latency
    stimulus = hostile(words, HOSTILE, seen + 8, seed)
    trace = block.play(stimulus, seed=seed + 2)
    event, answer = survivors(stimulus, seen)
    due = np.zeros(len(trace.valid), bool)
    due[answer] = True
    false = int((due != trace.valid).sum())
    rough = compare(trace.words[answer], interpret.run(netlist, stimulus.words[event]))
    wrong = flowing.mismatches + rough.mismatches + false
    return (
        Check(
            "failed" if wrong else "passed",
            wrong,
            flowing.words + rough.words,
            f"{false} wrong valid bits among gaps and resets" if false else "",
        ),
        latency,
    )


def _tables(
    netlist: Netlist, rtl: Mapping[str, str], emulator: Mapping[str, str]
) -> Check:
    """Every entry of every table, as RTL and C++ spell it, against the netlist."""
    wrong, total, first = tables.differences(netlist, rtl, emulator)
    return Check("failed" if wrong else "passed", wrong, total, first)
