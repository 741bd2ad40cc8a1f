"""Tables read back from the texts that were written: a check on every address.

Vectors visit the addresses that events happen to reach.  Here the emitted Verilog and
C++ are parsed again and each entry is compared with the netlist's, so that a wrong
entry at an address that no vector reaches is found too.

Conventions
-----------
- In Verilog, table `k` is the `case` statement inside the module or function whose
  name ends in `t<k>`; in C++ it is the constant array `t<k>`.
- An address is what the wire holds: the argument in two's complement of its width.
"""

import re
from collections.abc import Iterator, Mapping
from typing import final

from firmware.netlist import Netlist

_LITERAL = r"-?\s*\d+'s?[bdhBDH][0-9a-fA-F_]+"
_SCOPE = re.compile(
    r"\b(?P<kind>module|function)\b(?P<head>[^;(]*?)\b(?:\w+_)?t(?P<k>\d+)\s*[;(]"
    r"(?P<body>.*?)\bend(?P=kind)\b",
    re.DOTALL,
)
_ENTRY = re.compile(
    rf"(?P<labels>default|{_LITERAL}(?:\s*,\s*{_LITERAL})*)\s*:\s*"
    rf"\w+\s*=\s*(?P<value>{_LITERAL})\s*;"
)
_ARRAY = re.compile(r"\bt(?P<k>\d+)\[\d+\]\s*=\s*\{(?P<body>[^}]*)\}")
_NUMBER = re.compile(r"-?\d+|INT32_MIN|INT64_MIN")
_SPECIAL = {"INT32_MIN": -(2**31), "INT64_MIN": -(2**63)}


@final
class Case:
    """A parsed `case` statement: entries as raw bits of `width`, by raw address."""

    def __init__(self, body: str):
        """Reads the entries of a module's or function's text; none if there are none."""
        self.entries: dict[int, int] = {}
        self.default: int | None = None
        self.width = 0
        for entry in _ENTRY.finditer(_without_comments(body)):
            value, self.width = _literal(entry["value"])
            if entry["labels"] == "default":
                self.default = value
                continue
            for label in re.findall(_LITERAL, entry["labels"]):
                # The first matching label of a case statement is the one that counts.
                self.entries.setdefault(_literal(label)[0], value)

    def __getitem__(self, address: int) -> int | None:
        """The raw entry at a raw address; nothing if the statement leaves it open."""
        return self.entries.get(address, self.default)


def in_verilog(rtl: Mapping[str, str]) -> dict[int, Case]:
    """The tables of emitted Verilog, by number."""
    cases: dict[int, Case] = {}
    for text in rtl.values():
        for scope in _SCOPE.finditer(text):
            cases[int(scope["k"])] = Case(scope["body"])
    return cases


def in_cpp(sources: Mapping[str, str]) -> dict[int, list[int]]:
    """The tables of an emitted C++ source, by number."""
    return {
        int(array["k"]): [
            _SPECIAL[text] if text in _SPECIAL else int(text)
            for text in _NUMBER.findall(re.sub(r"INT64_C", "", array["body"]))
        ]
        for name, source in sources.items()
        if name.endswith(".cpp")
        for array in _ARRAY.finditer(_without_comments(source))
    }


def differences(
    netlist: Netlist, rtl: Mapping[str, str], sources: Mapping[str, str]
) -> tuple[int, int, str]:
    """Compares every entry that the netlist reads with both texts.

    Args:
        netlist: Whose tables they have to be.
        rtl: Emitted Verilog by file name.
        sources: Emitted C++ by file name.

    Returns:
        Entries that differ or are absent, entries compared, and where the first is.
    """
    wrong = total = 0
    first = ""
    for what, found, held in _pairs(netlist, in_verilog(rtl), in_cpp(sources)):
        total += 1
        if found != held:
            wrong += 1
            shown = "is absent" if found is None else f"is {found}"
            first = first or f"{what} {shown}, the netlist has {held}"
    return wrong, total, first


def _pairs(
    netlist: Netlist, cases: Mapping[int, Case], arrays: Mapping[int, list[int]]
) -> Iterator[tuple[str, int | None, int]]:
    """Every entry as found in a text and as held by the netlist, with its name."""
    for node in netlist.nodes:
        if node.op != "table":
            continue
        k, argument = node.table, netlist.nodes[node.args[0]]
        case, array = cases.get(k), arrays.get(k, [])
        for at, entry in enumerate(netlist.tables[k]):
            address = (argument.lo + at) & ((1 << argument.width) - 1)
            raw = case[address] if case else None
            width = case.width if case else node.width
            yield f"Verilog table {k} at {address}", raw, entry & ((1 << width) - 1)
            value = array[at] if at < len(array) else None
            yield f"C++ table {k} at {at}", value, entry


def _literal(text: str) -> tuple[int, int]:
    """Raw bits and width of a sized Verilog literal."""
    size, digits = re.sub(r"[\s_]", "", text.lower()).split("'")
    negative, width = size.startswith("-"), abs(int(size))
    digits = digits.removeprefix("s")
    value = int(digits[1:], {"b": 2, "d": 10, "h": 16}[digits[0]])
    return (-value if negative else value) & ((1 << width) - 1), width


def _without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
