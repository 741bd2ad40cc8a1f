"""Tables read back from the texts that were written: a check on every address.

Vectors visit the addresses that events happen to reach.  Here the emitted Verilog, VHDL
and C++ are parsed again and each entry is compared with the netlist's, so that a wrong
entry at an address that no vector reaches is found too.

Conventions
-----------
- In Verilog, table `k` is the `case` statement inside the module or function whose
  name ends in `t<k>`; in VHDL the one inside the function `t<k>`; in C++ it is the
  constant array `t<k>`.
- VHDL, in files `*.vhd`, is compared where there is any; all else is Verilog.
- An address is what the wire holds: the argument in two's complement of its width.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
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
_VHDL = re.compile(
    r"\bfunction\s+t(?P<k>\d+)\b(?P<body>.*?)\bend\s+function\b", re.DOTALL
)
_WHEN = re.compile(
    r'\bwhen\s+(?P<choices>others|"[01]+"(?:\s*\|\s*"[01]+")*)\s*=>\s*'
    r'return\s+"(?P<value>[01]+)"\s*;'
)
_ARRAY = re.compile(r"\bt(?P<k>\d+)\[\d+\]\s*=\s*\{(?P<body>[^}]*)\}")
_NUMBER = re.compile(r"-?\d+|INT32_MIN|INT64_MIN")
_SPECIAL = {"INT32_MIN": -(2**31), "INT64_MIN": -(2**63)}


@final
class Case:
    """A parsed `case` statement: entries as raw bits of `width`, by raw address."""

    def __init__(self, rows: Iterable[tuple[list[int], int, int]]):
        """Takes addresses, entry and its width of each branch; no address is `default`."""
        self._entries: dict[int, int] = {}
        self._default: int | None = None
        self.width = 0
        for addresses, entry, self.width in rows:
            if not addresses:
                self._default = entry
            for address in addresses:
                # The first matching label of a case statement is the one that counts.
                self._entries.setdefault(address, entry)

    def __getitem__(self, address: int) -> int | None:
        """The raw entry at a raw address; nothing if the statement leaves it open."""
        return self._entries.get(address, self._default)


def in_verilog(rtl: Mapping[str, str]) -> dict[int, Case]:
    """The tables of emitted Verilog, by number."""

    def branches(body: str) -> Iterator[tuple[list[int], int, int]]:
        for entry in _ENTRY.finditer(_without_comments(body)):
            labels = re.findall(_LITERAL, entry["labels"])
            yield [_literal(label)[0] for label in labels], *_literal(entry["value"])

    return {
        int(scope["k"]): Case(branches(scope["body"]))
        for name, text in rtl.items()
        if not name.endswith(".vhd")
        for scope in _SCOPE.finditer(text)
    }


def in_vhdl(rtl: Mapping[str, str]) -> dict[int, Case]:
    """The tables of emitted VHDL, by number."""

    def branches(body: str) -> Iterator[tuple[list[int], int, int]]:
        for branch in _WHEN.finditer(body):
            choices, value = re.findall("[01]+", branch["choices"]), branch["value"]
            yield [int(choice, 2) for choice in choices], int(value, 2), len(value)

    return {
        int(scope["k"]): Case(branches(scope["body"]))
        for name, text in rtl.items()
        if name.endswith(".vhd")
        for scope in _VHDL.finditer(re.sub(r"--[^\n]*", "", text))
    }


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
    """Compares every entry that the netlist reads with all texts.

    Args:
        netlist: Whose tables they have to be.
        rtl: Emitted Verilog and VHDL by file name.
        sources: Emitted C++ by file name.

    Returns:
        Entries that differ or are absent, entries compared, and where the first is.
    """
    wrong = total = 0
    first = ""
    cases = {"Verilog": in_verilog(rtl)}
    if any(name.endswith(".vhd") for name in rtl):
        cases["VHDL"] = in_vhdl(rtl)
    for what, found, held in _pairs(netlist, cases, in_cpp(sources)):
        total += 1
        if found != held:
            wrong += 1
            shown = "is absent" if found is None else f"is {found}"
            first = first or f"{what} {shown}, the netlist has {held}"
    return wrong, total, first


def _pairs(
    netlist: Netlist,
    cases: Mapping[str, Mapping[int, Case]],
    arrays: Mapping[int, list[int]],
) -> Iterator[tuple[str, int | None, int]]:
    """Every entry as found in a text and as held by the netlist, with its name."""
    for node in netlist.nodes:
        if node.op != "table":
            continue
        k, argument = node.table, netlist.nodes[node.args[0]]
        array = arrays.get(k, [])
        for at, entry in enumerate(netlist.tables[k]):
            address = (argument.lo + at) & ((1 << argument.width) - 1)
            for language, found in cases.items():
                case = found.get(k)
                raw = case[address] if case else None
                width = case.width if case else node.width
                where = f"{language} table {k} at {address}"
                yield where, raw, entry & ((1 << width) - 1)
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
