"""What makes the C++ emulator usable as it lies in the bundle: a Makefile, a binding.

The binding needs nothing but Python's own library; it loads the shared object that
`make` leaves beside it.
"""

from firmware.cpp import version
from firmware.netlist import Netlist

SHAPE = ("-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden")
"""What makes the emulator a shared object of two symbols; not for the user to change."""

FLAGS = ("-O2", "-Wall", "-Wextra", "-Wpedantic")
"""What else it is compiled with, here and by the bundle's Makefile.

None names a processor: what is compiled here runs elsewhere, and as fast as that
processor can.  `-O3` takes twice as long to compile and is no faster.
"""


def emit(netlist: Netlist) -> dict[str, str]:
    """Writes the Makefile and the Python binding of the emulator.

    Args:
        netlist: A valid netlist.

    Returns:
        Text by file name, `Makefile` and `<block>.py`.
    """
    return {
        "Makefile": _makefile(netlist.block),
        f"{netlist.block}.py": _python(netlist),
    }


def _makefile(block: str) -> str:
    return f"""\
# Builds {block}.so, which exports {block}_version and {block}_run and nothing else.
CXX ?= g++
CXXFLAGS ?= {" ".join(FLAGS)}
SHAPE := {" ".join(SHAPE)}

{block}.so: {block}.cpp {block}.h
\t$(CXX) $(CXXFLAGS) $(SHAPE) -o $@ {block}.cpp

.PHONY: clean
clean:
\trm -f {block}.so
"""


def _python(netlist: Netlist) -> str:
    block = netlist.block
    ports = "\n".join(
        f"    ({netlist.nodes[i].name!r}, {netlist.nodes[i].lo}, {netlist.nodes[i].hi}),"
        for i in netlist.inputs
    )
    outputs = "\n".join(
        f"    ({name!r}, {netlist.nodes[i].lo}, {netlist.nodes[i].hi}),"
        for name, i in netlist.outputs
    )
    return f'''\
"""Python binding of the bit-exact emulator of {block}; run `make` here first.

    >>> import {block}
    >>> {block}.run([[0] * {len(netlist.inputs)}])
"""

import ctypes
from pathlib import Path

INPUTS = (
{ports}
)
"""Name, least and greatest word of each input column; other words saturate."""

OUTPUTS = (
{outputs}
)
"""Name, least and greatest word of each output column."""

_file = Path(__file__).resolve().with_name("{block}.so")
if not _file.exists():
    raise ImportError(f"{{_file}} is not there yet; run `make` in its folder")
_library = ctypes.CDLL(str(_file))
_library.{block}_version.restype = ctypes.c_char_p
_library.{block}_run.restype = None
_library.{block}_run.argtypes = [
    ctypes.POINTER(ctypes.c_int32),
    ctypes.POINTER(ctypes.c_int32),
    ctypes.c_size_t,
]

if _library.{block}_version() != b"{version(netlist)}":
    raise ImportError("{block}.so was made from another netlist; run `make` again")


def run(events):
    """Evaluates rows of {len(netlist.inputs)} integers into rows of \
{len(netlist.outputs)} integers."""
    words = []
    for row, event in enumerate(events):
        if len(event) != len(INPUTS):
            raise ValueError(
                f"event {{row}} has {{len(event)}} words, {block} takes {{len(INPUTS)}}"
            )
        words += [
            min(max(int(word), lo), hi)
            for word, (_, lo, hi) in zip(event, INPUTS)
        ]
    count = len(words) // len(INPUTS)
    taken = (ctypes.c_int32 * len(words))(*words)
    given = (ctypes.c_int32 * (count * len(OUTPUTS)))()
    _library.{block}_run(taken, given, count)
    width = len(OUTPUTS)
    return [list(given[at : at + width]) for at in range(0, len(given), width)]
'''
