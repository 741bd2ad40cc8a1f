"""The bundle: one directory that holds a block and the proof that it is right.

Layout::

    manifest.json   what this is, where it comes from, SHA-256 of every other file
    io.json         the ports: order, widths, units
    netlist.json    the integer program that everything below was made from
    README.md       how to use it, on one screen
    rtl/            Verilog, and VHDL of the same block; the top of either is its id
    emulator/       C++17, Makefile, Python binding
    vectors/        inputs and expected outputs, .npy and hex text
    tb/             self-checking test bench
    reports/        estimates, timing, verification

Conventions
-----------
- A bundle appears whole or not at all: it is written beside its target under a hidden
  name, the manifest last, and renamed.
- Paths in the manifest are relative to the bundle, with forward slashes.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Integer

from firmware import vectors
from firmware.netlist import Netlist, to_json
from firmware.prove import Check, passed
from firmware.rtl import DEFAULT, Options
from trigger.errors import UserError
from trigger.folders import mend, replace
from trigger.interface import Interface, from_json
from trigger.links import layouts

FORMAT = "jetlut-bundle"
VERSION = 1
MANIFEST = "manifest.json"


@final
@dataclass(frozen=True)
class Contents:
    """All that goes into a bundle; texts are by file name."""

    netlist: Netlist
    interface: str
    """Text of `io.json`."""
    rtl: Mapping[str, str]
    emulator: Mapping[str, str]
    testbench: Mapping[str, str]
    vectors: vectors.VectorSet
    expected: Integer[np.ndarray, "events outputs"]
    reports: Mapping[str, str]
    """Estimates; `verification.json` is written here from `checks`."""
    checks: Mapping[str, Check]
    semver: str
    clock_mhz: float
    cycles: int
    """Latency in clocks."""
    provenance: Mapping[str, Any]
    """Further entries of the manifest: data, tools, git, MLflow run."""
    options: Options = DEFAULT
    """How the RTL is wired."""


def pack(contents: Contents, target: Path) -> Path:
    """Writes a bundle, in place of an older bundle of that name if there is one.

    Args:
        contents: What goes in.
        target: The bundle's directory.

    Returns:
        `target`, absolute.

    Raises:
        UserError: Something that is not a bundle stands at `target`, or the folder
            cannot be written.
    """
    target = target.absolute()
    check_target(target)
    partial = target.with_name(f".{target.name}.partial")
    try:
        mend(target)
        if partial.exists():  # of an earlier run that was interrupted
            shutil.rmtree(partial)
        partial.mkdir(parents=True)
        for path, data in _files(contents).items():
            (partial / path).parent.mkdir(exist_ok=True)
            (partial / path).write_bytes(data)
        (partial / MANIFEST).write_text(_manifest(contents, partial))
        replace(partial, target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UserError(f"the bundle {target} cannot be written: {error}") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return target


def check_target(target: Path) -> None:
    """Refuses a target that `pack` would refuse, before the work is done.

    Raises:
        UserError: There is something at `target`, and it is not a bundle.
    """
    if not target.exists() and not target.is_symlink():
        return
    try:
        kind = json.loads((target / MANIFEST).read_text())["format"]
    except (OSError, ValueError, KeyError, TypeError):
        kind = None
    if kind != FORMAT or target.is_symlink():
        raise UserError(
            f"{target} exists and is not a bundle, so it will not be overwritten; "
            "move it away or choose another folder"
        )


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder` but the manifest, by relative path, sorted.

    Raises:
        UserError: There is a link or a special file, which no bundle holds.
    """
    found: dict[str, str] = {}
    for base, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(base) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise UserError(
                    f"{path.relative_to(folder)} in {folder} is a link or a special "
                    "file; a bundle holds plain files only"
                )
        for name in files:
            path = Path(base) / name
            relative = path.relative_to(folder).as_posix()
            if relative != MANIFEST:
                found[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
    return dict(sorted(found.items()))


def _files(contents: Contents) -> dict[str, bytes]:
    """Every file but the manifest, by its path in the bundle."""
    netlist, words = contents.netlist, contents.vectors.words
    groups = dict(contents.vectors.groups)
    checks = {name: asdict(check) for name, check in contents.checks.items()}
    ports = [netlist.nodes[i] for i in netlist.inputs]
    outputs = [netlist.nodes[i] for _, i in netlist.outputs]
    texts = {
        "README.md": _readme(contents),
        "io.json": contents.interface,
        "netlist.json": to_json(netlist),
        "vectors/inputs.hex": vectors.to_hex(words, ports),
        "vectors/expected.hex": vectors.to_hex(contents.expected, outputs),
        "vectors/groups.json": _json(groups),
        "reports/verification.json": _json(checks),
    }
    for folder, files in (
        ("rtl", contents.rtl),
        ("emulator", contents.emulator),
        ("tb", contents.testbench),
        ("reports", contents.reports),
    ):
        texts |= {f"{folder}/{name}": text for name, text in files.items()}
    data = {path: text.encode() for path, text in texts.items()}
    data["vectors/inputs.npy"] = _npy(words)
    data["vectors/expected.npy"] = _npy(contents.expected)
    return data


def _manifest(contents: Contents, folder: Path) -> str:
    head = {
        "format": FORMAT,
        "version": VERSION,
        "id": contents.netlist.block,
        "semver": contents.semver,
        "clock_mhz": contents.clock_mhz,
        "latency_cycles": contents.cycles,
        "latency_ns": round(1e3 * contents.cycles / contents.clock_mhz, 4),
        "ii": 1,
        "wiring": asdict(contents.options),
        "complete": passed(contents.checks),
        "checks": {name: asdict(check) for name, check in contents.checks.items()},
    }
    tail = {"files": digests(folder)}
    clash = (head.keys() | tail.keys()) & contents.provenance.keys()
    if clash:
        raise ValueError(f"provenance may not set the manifest's own {sorted(clash)}")
    return _json({**head, **contents.provenance, **tail})


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"


def _npy(words: Integer[np.ndarray, "events columns"]) -> bytes:
    narrow = words.astype("<i4")
    if not np.array_equal(narrow, words):
        raise ValueError("words of a bundle fit 32 signed bits")
    buffer = io.BytesIO()
    np.save(buffer, narrow, allow_pickle=False)
    return buffer.getvalue()


def _readme(contents: Contents) -> str:
    netlist = contents.netlist
    block = netlist.block
    latency = 1e3 * contents.cycles / contents.clock_mhz
    checks = "\n".join(
        f"| {name} | {check} |" for name, check in contents.checks.items()
    )
    rtl = _how_to_build(contents)
    return f"""\
# {block}

A firmware block of {_words(netlist.inputs, "input")} and {_words(netlist.outputs, "output")},
one event per clock. Answers come {contents.cycles} clocks after their event, which is
{latency:.2f} ns at {contents.clock_mhz:g} MHz. The ports, their units and their order stand in
`io.json`.

{_reading(from_json(contents.interface))}

| check | outcome |
|---|---|
{checks}

Verify all of it again, from any folder:

    jetlut verify {block}

Firmware: {rtl}There are no vendor parts, and tables are inline.
`rst` is synchronous, active high, and clears the valid chain only. Every name starts
with the block's id, so versions live side by side. The bench in `tb/` checks itself and
prints PASS or FAIL; run it in any Verilog simulator, from this folder.

Software: `make -C emulator` builds `emulator/{block}.so` with two C symbols,
`{block}_version` and `{block}_run`; `emulator/{block}.py` calls it
from Python without any further package. Words outside a port's range saturate.

Vectors: row k of `vectors/inputs.npy` must give row k of `vectors/expected.npy`; the
`.hex` files hold the same words as text, one event a line, one word per port, two's
complement. `vectors/groups.json` says which rows are physics, random and corners.

Area and timing under `reports/` are estimates, not the result of place and route.
"""


def _words(ports: Sequence[Any], side: str) -> str:
    return f"{len(ports)} {side} word{'s' if len(ports) > 1 else ''}"


def _reading(interface: Interface) -> str:
    """Where the inputs come from, if from a link, and what the outputs decide."""
    text = ""
    if records := layouts(interface.slices):
        names = " and ".join(
            f"`{layout.name}` ({layout.bits} bits)" for layout in records
        )
        text = (
            f"Inputs are fields of records on a link, {names}: which bits of which stand"
            "\nat each port in `io.json`. The block computes its features from them.\n\n"
        )
    decision, names = interface.decision, [word.name for word in interface.outputs]
    if decision.at_least is None and len(names) == 1:
        return f"{text}The answer is `{names[0]}`."
    if decision.at_least is None:
        scores = ", ".join(names)
        return (
            f"{text}The class is that of the largest of {scores}; on a tie the first."
        )
    return (
        f"{text}An object passes where `{names[0]}` >= {decision.at_least}, as integers: "
        f"{decision.meaning}."
    )


def _how_to_build(contents: Contents) -> str:
    """Which files a project takes, for each language that is there."""
    block = contents.netlist.block
    names = sorted(f"rtl/{name}" for name in contents.rtl)
    verilog = "`, `".join(name for name in names if not name.endswith(".vhd"))
    vhdl = "`, `".join(name for name in names if name.endswith(".vhd"))
    text = f"a Verilog project adds `{verilog}` (Verilog-2001)"
    if vhdl:
        text += (
            f", a VHDL project `{vhdl}`\n(VHDL-2008 in `{block}_core.vhd`, the top is "
            "plain VHDL-93; ports are `std_logic` and\n`std_logic_vector`). Take one "
            "language or the other: both are the same block, with the\nsame latency"
        )
    return f"{text}. The top of either is `{block}`.\n"
