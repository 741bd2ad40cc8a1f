"""Mutations: a block is made wrong in one place, and every check that could see it does.

A wrong text is what a writer with one mistake in it would have written: the text of a
netlist that was changed in one place, or a text with one register less, handed in as if
it were of the right netlist.  Each case names all checks that notice, so that none
passes by luck and none stops looking.
"""

import itertools
import re
from collections.abc import Callable

import needs
import numpy as np
import pytest
import test_bundle
from miter import equal, reference
from test_verilog import interface_of
from tiny_block import BLOCK

from firmware import binding, bundle, cpp, tables, tools, verilog, vhdl
from firmware.build import Builder, rewrite
from firmware.interpret import run
from firmware.netlist import Netlist
from firmware.pipeline import Schedule, pipeline
from firmware.prove import Check, prove
from firmware.tools import Tool
from firmware.verify import verify

ABSENT = Tool("none", missing="not asked for")
WORDS = np.array([*itertools.product(range(-8, 8), range(8), range(8))], np.int64)


def block() -> Netlist:
    """Two tables, a subtraction, a constant and a saturation, in four cycles."""
    into = Builder("mutant_v1_0_0")
    a, b = into.input("a", -8, 7), into.input("b", 0, 7)
    c = into.input("c", 0, 7)
    first = into.table(a, lambda v: (v * v * 5 + v) % 13 - 6, "lut1")
    second = into.table(b, lambda v: (3, 1, 4, 1, 5, 9, 2, 6)[v], "lut1")
    less = into.sub(into.add(first, second, "lut1"), c, "lut1")
    code = into.clip(into.add(less, into.const(5), "code1"), 0, 9, "code1")
    return into.finish([("y", code), ("z", less)])


NETLIST = block()
SCHEDULE = pipeline(NETLIST, 500)
EXPECTED = run(NETLIST, WORDS)


def with_a_bit_of_a_table_flipped(into: Builder, i: int, args: tuple[int, ...]):
    node = NETLIST.nodes[i]
    if node.op != "table" or node.table != 0:
        return None
    return into.table(args[0], lambda v: NETLIST.tables[0][v + 8] ^ (v == 1))


def with_two_ports_swapped(into: Builder, i: int, args: tuple[int, ...]):
    b, c = NETLIST.inputs[1:]
    if not {b, c} & set(NETLIST.nodes[i].args):
        return None
    other = {b: c, c: b}
    swapped = [other.get(a, a) for a in args]  # ports keep their numbers
    node = NETLIST.nodes[i]
    if node.op == "table":
        return into.table(swapped[0], lambda v: NETLIST.tables[1][v], node.layer)
    return into.sub(swapped[0], swapped[1], node.layer)


def with_a_difference_turned_round(into: Builder, i: int, args: tuple[int, ...]):
    return into.sub(args[1], args[0]) if NETLIST.nodes[i].op == "sub" else None


def with_a_constant_one_more(into: Builder, i: int, args: tuple[int, ...]):
    node = NETLIST.nodes[i]
    return into.const(node.lo + 1) if node.op == "const" else None


RULES = {
    "bit": with_a_bit_of_a_table_flipped,
    "ports": with_two_ports_swapped,
    "difference": with_a_difference_turned_round,
    "constant": with_a_constant_one_more,
}
MUTANTS: dict[str, Netlist] = {n: rewrite(NETLIST, rule) for n, rule in RULES.items()}


def in_verilog(netlist: Netlist, schedule: Schedule | None = None) -> dict[str, str]:
    schedule = schedule or pipeline(netlist, 500)
    return verilog.emit(netlist, schedule, interface_of(netlist))


def in_cpp(netlist: Netlist) -> dict[str, str]:
    """The emulator of a netlist, which claims to be of the right one."""
    wrong, right = cpp.version(netlist), cpp.version(NETLIST)
    texts = cpp.emit(netlist) | binding.emit(netlist)
    return {name: text.replace(wrong, right) for name, text in texts.items()}


def in_vhdl(netlist: Netlist) -> dict[str, str]:
    return vhdl.emit(netlist, pipeline(netlist, 500), interface_of(netlist))


def failed(
    folder,
    *,
    netlist=NETLIST,
    rtl=None,
    emulator=None,
    verilator: Tool | None = None,
    icarus: Tool = ABSENT,
    ghdl: Tool = ABSENT,
) -> set[str]:
    """The checks that fail; Icarus and GHDL are asked where a test says so."""
    checks: dict[str, Check] = prove(
        netlist,
        rtl or in_verilog(NETLIST),
        emulator or in_cpp(NETLIST),
        WORDS,
        EXPECTED,
        cycles=SCHEDULE.cycles,
        folder=folder,
        verilator=verilator,
        icarus=icarus,
        ghdl=ghdl,
    )
    return {name for name, check in checks.items() if check.status == "failed"}


def test_the_right_block_fails_nothing_and_the_mutants_are_other_functions(tmp_path):
    assert failed(tmp_path) == set()
    for mutant in MUTANTS.values():
        assert not np.array_equal(run(mutant, WORDS), EXPECTED)
        assert interface_of(mutant) == interface_of(NETLIST)  # nothing shows outside


@pytest.mark.parametrize(
    ("name", "noticed"),
    [
        ("bit", {"verilog", "tables"}),
        ("ports", {"verilog"}),
        ("difference", {"verilog"}),
        ("constant", {"verilog"}),
    ],
)
def test_wrong_verilog_is_noticed(name, noticed, tmp_path):
    assert failed(tmp_path, rtl=in_verilog(MUTANTS[name])) == noticed


@needs.icarus
def test_icarus_notices_wrong_verilog_as_verilator_does(tmp_path):
    wrong = in_verilog(MUTANTS["difference"])
    assert failed(tmp_path, rtl=wrong, icarus=tools.icarus()) == {"verilog", "icarus"}


@needs.ghdl
@pytest.mark.parametrize(
    ("name", "noticed"),
    [
        ("bit", {"vhdl", "tables"}),
        ("ports", {"vhdl"}),
        ("difference", {"vhdl"}),
        ("constant", {"vhdl"}),
    ],
)
def test_wrong_vhdl_is_noticed(name, noticed, tmp_path):
    rtl = in_verilog(NETLIST) | in_vhdl(MUTANTS[name])
    assert failed(tmp_path, rtl=rtl, verilator=ABSENT, ghdl=tools.ghdl()) == noticed


@pytest.mark.parametrize(
    ("name", "noticed"),
    [
        ("bit", {"cpp", "tables"}),
        ("ports", {"cpp"}),
        ("difference", {"cpp"}),
        ("constant", {"cpp"}),
    ],
)
def test_wrong_cpp_is_noticed(name, noticed, tmp_path):
    emulator = in_cpp(MUTANTS[name])
    assert failed(tmp_path, emulator=emulator, verilator=ABSENT) == noticed


@pytest.mark.parametrize(
    ("name", "noticed"),
    [
        ("bit", {"numpy", "cpp", "verilog", "tables"}),
        ("constant", {"numpy", "cpp", "verilog"}),
    ],
)
def test_a_wrong_netlist_is_noticed_by_all(name, noticed, tmp_path):
    assert failed(tmp_path, netlist=MUTANTS[name]) == noticed


def without_a_register(text: str) -> list[str]:
    """The text with each register between two stages made a wire, one at a time."""
    found = re.findall(r"^    (n\d+_s\d+) <= (.+);$", text, re.MULTILINE)
    texts = []
    for name, source in found:
        bare = text.replace(f"    {name} <= {source};\n", "")
        bare = re.sub(rf"  reg ((?:signed )?\[.*\] )?{name};\n", "", bare)
        texts.append(bare.replace(name, source))
    return texts


def test_each_register_that_is_dropped_is_noticed(tmp_path):
    (text,) = in_verilog(NETLIST).values()
    texts = without_a_register(text)
    assert len(texts) >= 3
    for k, bare in enumerate(texts):
        folder = tmp_path / str(k)
        folder.mkdir()
        assert failed(folder, rtl={"mutant.v": bare}) == {"verilog"}


def test_a_stage_that_is_dropped_is_noticed_by_its_latency_alone(tmp_path):
    short = in_verilog(NETLIST, pipeline(NETLIST, 300))
    assert failed(tmp_path, rtl=short) == {"latency"}


def proved(texts: list[str]) -> list[bool]:
    cycles = SCHEDULE.cycles
    gates = [re.sub(r"\bmodule \w+", "module gate", text, count=1) for text in texts]
    return equal([(reference(NETLIST, cycles), gate) for gate in gates], cycles)


def test_the_formal_proof_notices_every_mutation_of_the_verilog():
    (text,) = in_verilog(NETLIST).values()
    short = in_verilog(NETLIST, pipeline(NETLIST, 300))
    wrong = [*without_a_register(text), *short.values()]
    wrong += [t for mutant in MUTANTS.values() for t in in_verilog(mutant).values()]
    assert proved([text, *wrong]) == [True, *[False] * len(wrong)]


IN_VERILOG = (
    re.compile(r"'h[0-9a-f]+: t\d = \d+'h([0-9a-f]+);"),
    re.compile(r"\w+"),
    16,
)
IN_CPP = (re.compile(r"\bt\d\[\d+\] = \{([^}]*)\}"), re.compile(r"-?\d+"), 10)


def flips(
    text: str, scope: re.Pattern[str], entry: re.Pattern[str], base: int
) -> list[str]:
    """The text with one bit of one table entry flipped, for all bits and entries."""
    digits = {10: "d", 16: "x"}[base]
    made = []
    for table in scope.finditer(text):
        for found in entry.finditer(table[1]):
            start, end = (table.start(1) + at for at in found.span())
            for bit in range(4):
                value = int(found[0], base) ^ 1 << bit
                made.append(f"{text[:start]}{value:{digits}}{text[end:]}")
    return made


@pytest.mark.parametrize(
    ("write", "where"),
    [(in_verilog, IN_VERILOG), (in_cpp, IN_CPP)],
    ids=["Verilog", "C++"],
)
def test_every_single_bit_of_every_table_is_watched(
    write: Callable[[Netlist], dict[str, str]], where
):
    rtl, emulator = in_verilog(NETLIST), in_cpp(NETLIST)
    name = next(n for n in write(NETLIST) if n.endswith((".v", ".cpp")))
    texts = flips(write(NETLIST)[name], *where)
    assert len(texts) == (16 + 8) * 4
    for text in texts:
        changed = {name: text}
        wrong, total, _ = tables.differences(
            NETLIST,
            changed if write is in_verilog else rtl,
            changed if write is in_cpp else emulator,
        )
        assert (wrong, total) == (1, 2 * (16 + 8))


def test_a_mutated_bundle_is_refused_by_its_hashes_before_anything_runs(tmp_path):
    packed = bundle.pack(test_bundle.CONTENTS, tmp_path / BLOCK)
    for path in sorted(p for p in packed.rglob("*") if p.is_file()):
        if path.name == bundle.MANIFEST:
            continue
        whole = path.read_bytes()
        for at in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            checks = verify(packed).checks
            assert checks["files"].status == "failed", path
            assert {c.status for n, c in checks.items() if n != "files"} == {"not run"}
        path.write_bytes(whole)
    assert verify(packed).checks["files"].status == "passed"
