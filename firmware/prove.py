"""The proof that every form of a block computes the same integers.

One function does it, both when a bundle is made and when someone verifies it later, so
that a bundle is accepted by the very checks that it was built under.

Conventions
-----------
- A check counts events: an event differs if any of its words does.
- A check that lacks its tool is *not run*, with the reason; it never passes silently.
- Verilator sees every word.  Icarus and GHDL, which are two orders slower, see a part of
  them and say how many; they are opinions on the same RTL that a machine may lack, so a
  bundle is complete without them, but not if one of them was run and differed.
- Comparison is `array_equal`; there are no tolerances anywhere.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

import numpy as np
from jaxtyping import Integer

from firmware import cpp, interpret, tables, tools
from firmware.emulate import Emulator
from firmware.ghdl import Ghdl
from firmware.icarus import Icarus
from firmware.netlist import Netlist
from firmware.rtl import DEFAULT, Options
from firmware.simulate import Simulator
from firmware.stimulus import Player, halting, hostile, misplaced, survivors
from firmware.tools import Tool, ToolError, compiler, simulator, write_texts

Status = Literal["passed", "failed", "not run"]

NEEDED = ("network", "numpy", "cpp", "verilog", "tables", "latency")
"""What a complete bundle has passed.  `network`, the trained network against its
netlist, is made by whoever holds the network; all others by `prove`."""

CHECKS = ("network", "numpy", "cpp", "verilog", "icarus", "vhdl", "tables", "latency")
"""All checks: those needed, and the opinions of Icarus and of GHDL on the VHDL."""

HOSTILE = 4096
"""Clocks of the run with gaps and resets: beyond one LHC orbit of 3564 crossings."""

SLOW_EVENTS = 4_000
"""Most events that Icarus and GHDL get back to back."""

SLOW_NODES = 1_000_000
"""Most evaluations of netlist nodes in these: two seconds or so, and what decides the
number of events of a large block."""


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
    icarus: Tool | None = None,
    ghdl: Tool | None = None,
    options: Options = DEFAULT,
) -> dict[str, Check]:
    """Holds NumPy, C++ and RTL against expected answers, and tables against tables.

    Args:
        netlist: The block.
        rtl: Its VHDL, in files `*.vhd`, and its Verilog, in others; text by file name.
        emulator: Its C++, text by file name.
        words: Raw port words, inside their ports' ranges.
        expected: What must come out.
        cycles: The latency that the schedule promises, in clocks.
        folder: An existing folder to compile in; what is left there is rubbish.
        seed: Of the gaps and resets that the simulation sees.
        cxx: Compiler; found by `tools.compiler` if not given.
        verilator: Simulator; found by `tools.simulator` if not given.
        icarus: Simulator; found by `tools.icarus` if not given.
        ghdl: Simulator of VHDL; found by `tools.ghdl` if not given.
        options: How the RTL is wired.

    Returns:
        All of `CHECKS` but `network`, by name.
    """
    cxx = cxx or compiler()
    verilator = verilator or simulator()
    icarus = icarus or tools.icarus()
    ghdl = ghdl or tools.ghdl()
    vhdl = {name: text for name, text in rtl.items() if name.endswith(".vhd")}
    verilog = {name: text for name, text in rtl.items() if name not in vhdl}
    if not vhdl and not ghdl.missing:
        ghdl = Tool("ghdl", missing="there is no VHDL of the block")
    some, answers, part = _part(netlist, words, expected)

    def inner(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    def in_cpp() -> Check:
        return _cpp(netlist, emulator, words, expected, inner("cpp"), cxx)

    seen: dict[str, int] = {}

    def played(name: str, block: Player, few: bool) -> Check:
        rows = (some, answers) if few else (words, expected)
        check, seen[name] = _played(netlist, block, *rows, seed, options)
        told = ", ".join(filter(None, (part if few else "", check.reason)))
        return replace(check, reason=told)

    def in_verilator() -> Check:
        place = inner("verilog")
        block = Simulator.build(
            verilog, netlist, place, verilator=verilator, cxx=cxx, options=options
        )
        return played("verilog", block, few=False)

    def in_icarus() -> Check:
        place = inner("icarus")
        block = Icarus.build(verilog, netlist, place, icarus=icarus, options=options)
        return played("icarus", block, few=True)

    def in_ghdl() -> Check:
        place = inner("vhdl")
        block = Ghdl.build(vhdl, netlist, place, ghdl=ghdl, options=options)
        return played("vhdl", block, few=True)

    checks = {"numpy": compare(interpret.run(netlist, words), expected)}
    checks["cpp"] = _with_tools(in_cpp, len(words), cxx)
    with ThreadPoolExecutor(2) as pool:  # each waits for a program, the slowest first
        running = {
            "vhdl": pool.submit(_with_tools, in_ghdl, len(some), ghdl),
            "verilog": pool.submit(
                _with_tools, in_verilator, len(words), verilator, cxx
            ),
            "icarus": pool.submit(_with_tools, in_icarus, len(some), icarus),
        }
        checks |= {name: one.result() for name, one in running.items()}
    checks["tables"] = _tables(netlist, rtl, emulator)
    checks["latency"] = _latency(seen, cycles)
    return {name: checks[name] for name in CHECKS if name in checks}


def passed(checks: Mapping[str, Check]) -> bool:
    """Whether every check that a complete bundle needs passed, and none failed."""
    return all(
        name in checks and checks[name].status == "passed" for name in NEEDED
    ) and all(check.status != "failed" for check in checks.values())


def _part(
    netlist: Netlist,
    words: Integer[np.ndarray, "events ports"],
    expected: Integer[np.ndarray, "events outputs"],
) -> tuple[Integer[np.ndarray, "some ports"], Integer[np.ndarray, "some outputs"], str]:
    """The events for a slow simulator, and a remark on how many these are of all.

    The last ones, which in a bundle are the edges of the input space, and as many from
    all over the rest.
    """
    most = min(SLOW_EVENTS, max(1000, SLOW_NODES // len(netlist.nodes)))
    if len(words) <= most:
        return words, expected, ""
    last = most // 2
    rest = np.linspace(0, len(words) - last, most - last, endpoint=False)
    chosen = np.concatenate(
        [rest.astype(np.int64), np.arange(len(words) - last, len(words))]
    )
    told = f"{most} of {len(words)} events played"
    return words[chosen], expected[chosen], told


def _with_tools(run: Callable[[], Check], events: int, *needed: Tool) -> Check:
    """Runs a check that needs tools; without them, or if they balk, says so.

    A text that a working tool refuses answers no event, so the check fails on all.
    """
    for tool in needed:
        if tool.missing:
            return Check("not run", reason=tool.missing)
    try:
        return run()
    except ToolError as error:
        return Check("failed", events, events, str(error))


def _cpp(
    netlist: Netlist,
    emulator: Mapping[str, str],
    words: Integer[np.ndarray, "events ports"],
    expected: Integer[np.ndarray, "events outputs"],
    folder: Path,
    cxx: Tool,
) -> Check:
    write_texts(folder, emulator)
    ports, outputs = len(netlist.inputs), len(netlist.outputs)
    with Emulator.build(
        folder, netlist.block, folder, cxx=cxx, ports=ports, outputs=outputs
    ) as built:
        if built.version != cpp.version(netlist):
            told = f"is of another netlist: {built.version}"
            return Check("failed", len(words), len(words), told)
        return compare(built.run(words), expected)


def _played(
    netlist: Netlist,
    block: Player,
    words: Integer[np.ndarray, "events ports"],
    expected: Integer[np.ndarray, "events outputs"],
    seed: int,
    options: Options,
) -> tuple[Check, int]:
    """Streams all words, then some with gaps and resets; also returns the latency."""
    answers, seen = block.run(words)
    flowing = compare(answers, expected)
    if not seen or not len(words):
        return replace(flowing, reason="no answer came"), seen
    stimulus = hostile(words, HOSTILE, seen + 8, seed)
    if options.clock_enable:
        stimulus = halting(stimulus, seed + 1)
    trace = block.play(stimulus, seed=seed + 2)
    event, answer = survivors(stimulus, seen)
    false = misplaced(stimulus, trace, seen)
    rough = compare(trace.words[answer], interpret.run(netlist, stimulus.words[event]))
    wrong = flowing.mismatches + rough.mismatches + false
    check = Check(
        "failed" if wrong else "passed",
        wrong,
        flowing.words + rough.words,
        f"{false} wrong valid bits among gaps and resets" if false else "",
    )
    return check, seen


def _latency(seen: Mapping[str, int], cycles: int) -> Check:
    """The latency that each simulation has seen, against what is promised."""
    if not seen:
        return Check("not run", reason="no simulation was run to its end")
    told = f"{' and '.join(str(n) for n in sorted(set(seen.values())))} cycles seen"
    wrong = [name for name, latency in seen.items() if latency != cycles]
    if not wrong:
        return Check("passed", 0, len(seen), told)
    where = f"{told} ({', '.join(sorted(wrong))}), {cycles} promised"
    return Check("failed", len(wrong), len(seen), where)


def _tables(
    netlist: Netlist, rtl: Mapping[str, str], emulator: Mapping[str, str]
) -> Check:
    """Every entry of every table, as RTL and C++ spell it, against the netlist."""
    wrong, total, first = tables.differences(netlist, rtl, emulator)
    return Check("failed" if wrong else "passed", wrong, total, first)
