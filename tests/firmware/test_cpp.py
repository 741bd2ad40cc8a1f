"""The C++ emulator: what it computes, what it exports, how it is written."""

import importlib.util
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny_block as tiny
from every_operation import every_operation, every_word
from random_networks import random_network, random_words

from firmware import binding, cpp, interpret, vectors
from firmware.build import Builder
from firmware.emulate import Emulator
from firmware.lower import lower
from firmware.netlist import Netlist, Node, interval, validate
from firmware.tools import compiler
from trigger.errors import UserError


def build(netlist: Netlist, folder: Path) -> Emulator:
    for name, text in (cpp.emit(netlist) | binding.emit(netlist)).items():
        (folder / name).write_text(text)
    ports, outputs = len(netlist.inputs), len(netlist.outputs)
    return Emulator.build(
        folder, netlist.block, folder, cxx=compiler(), ports=ports, outputs=outputs
    )


def wide_netlist(seed: int, size: int = 120) -> Netlist:
    """A random netlist of every operation, with values well beyond 32 bits inside."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    tables: list[tuple[int, ...]] = []

    def add(op, args=(), by=0, bounds=(0, 0), name="", bits=0, twos=False):
        read = [nodes[a] for a in args]
        entries: tuple[int, ...] = ()
        if op == "table":
            span = read[0].hi - read[0].lo + 1
            scale = int(rng.choice([3, 100, 2000, 2**20, 2**40]))
            entries = tuple(int(v) for v in rng.integers(-scale, scale, span))
            tables.append(entries)
        lo, hi = interval(
            op, read, by=by, entries=entries, bounds=bounds, bits=bits, twos=twos
        )
        if max(-lo, hi) >= 2**60:
            return
        table = len(tables) - 1 if op == "table" else -1
        nodes.append(Node(op, args, lo, hi, by, table, name, "", bits, twos))

    for k in range(4):
        lo = -int(rng.integers(0, 200))
        add("input", bounds=(lo, lo + int(rng.integers(1, 300))), name=f"p{k}")
    while len(nodes) < size:
        a, b, c = (int(i) for i in rng.integers(0, len(nodes), 3))
        kinds = ["const", "shift", "add", "sub", "sum", "clip", "wrap", "table"]
        match rng.choice(kinds):
            case "wrap":
                bits = int(rng.choice([3, 12, 29, 30, 31, 32, 33, 50]))
                add("wrap", (a,), bits=bits, twos=bool(rng.random() < 0.5))
            case "const":
                value = int(rng.integers(-(2**33), 2**33))
                add("const", bounds=(value, value))
            case "shift":
                add("shift", (a,), by=int(rng.integers(-40, 20)))
            case "clip":
                lo = int(rng.integers(-(2**31), 2**20))
                add("clip", (a,), bounds=(lo, lo + int(rng.integers(0, 2**32))))
            case "table" if nodes[a].hi - nodes[a].lo < 1000:
                add("table", (a,))
            case "sum":
                add("sum", (a, b, c))
            case "add":
                add("add", (a, b))
            case "sub":
                add("sub", (a, b))
    outputs = tuple(
        (f"o{i}", i) for i, n in enumerate(nodes) if n.lo >= -(2**31) and n.hi < 2**31
    )
    netlist = Netlist(f"wide_{seed}", tuple(nodes), tuple(tables), outputs)
    validate(netlist)
    return netlist


def forced(netlist: Netlist, kind: str) -> dict[str, str]:
    """The source that runs the code of one kind of processor on any."""
    texts = cpp.emit(netlist) | binding.emit(netlist)
    name = f"{netlist.block}.cpp"
    choice = re.compile(r"(Group fastest\(\) \{\n).*?(\n\})", re.DOTALL)
    only = rf"\1  return {kind}::group;\2"
    texts[name], times = choice.subn(only, texts[name])
    assert times == 1
    return texts


def need(kind: str) -> None:
    """Skips a test whose code this processor or compiler cannot run."""
    cpus = Path("/proc/cpuinfo")
    flags = set(cpus.read_text().split()) if cpus.exists() else set()
    wanted = {"avx2": {"avx2"}, "vbmi": {"avx512_vbmi", "avx512vbmi"}}.get(kind)
    if wanted and not (wanted & flags and "GCC" in version_of(compiler().command)):
        pytest.skip(f"code for {kind} runs on such processors only, built by GCC")


def version_of(command: tuple[str, ...]) -> str:
    asked = [*command, "-v", "-x", "c++", "-E", os.devnull]
    return subprocess.run(asked, capture_output=True, text=True).stderr.upper()


def many_tables() -> Netlist:
    """Tables of every length that is dealt with in another way, bytes and wider ones."""
    into = Builder("tables")
    rng = np.random.default_rng(0)
    outputs = []
    lengths = (2, 3, 15, 16, 17, 31, 32, 33, 64, 65, 127, 128, 129, 200, 255, 256, 257)
    for k, length in enumerate(lengths):
        lo = int(rng.integers(-length, 5))
        port = into.input(f"p{k}", lo, lo + length - 1)
        for least, most in ((-128, 127), (0, 255), (-129, 100), (0, 70_000)):
            entries = rng.integers(least, most + 1, length).tolist()
            entries[0], entries[-1] = least, most
            outputs.append(into.table(port, lambda v, e=entries, f=lo: e[v - f]))
        outputs.append(into.sum([*outputs[-4:], port]))
    return into.finish([(f"y{k}", index) for k, index in enumerate(outputs)])


def mixed_ports() -> Netlist:
    """More ports than are taken together, of all widths, some not read, in one sum."""
    into = Builder("ports")
    bits = [1, 8, 3, 9, 16, 17, 31, 32, 7, 12] * 4
    ports = []
    for k, width in enumerate(bits):
        lo = -(2 ** (width - 1)) if k % 3 else 0
        hi = min(lo + 2**width - 1, 2**31 - 1)
        ports.append(into.input(f"p{k}", lo, hi))
    some = [into.shift(port, -24) for port in ports[:35:2]]
    outputs = [into.sum(some), ports[7], ports[17], into.shift(ports[1], -2)]
    return into.finish([(f"y{k}", index) for k, index in enumerate(outputs)])


def few_words(netlist: Netlist, count: int = 333) -> np.ndarray:
    """Random words, each port at its ends in the first two events."""
    rng = np.random.default_rng(1)
    ports = [netlist.nodes[i] for i in netlist.inputs]
    lo, hi = np.array([p.lo for p in ports]), np.array([p.hi for p in ports])
    words = rng.integers(lo, hi + 1, (count, len(ports)))
    words[0], words[1] = lo, hi
    return words


def test_emulator_equals_the_drawing_on_every_word(tmp_path):
    words = tiny.every_word()
    with build(tiny.NETLIST, tmp_path) as emulator:
        assert np.array_equal(emulator.run(words), tiny.evaluate(words))


@pytest.mark.parametrize("seed", range(4))
def test_emulator_equals_the_referee_on_every_operation_and_width(seed, tmp_path):
    netlist = wide_netlist(seed)
    assert any(node.width > 32 for node in netlist.nodes)
    nothing = np.zeros((0, len(netlist.inputs)), np.int64)
    words = vectors.make(netlist, nothing, random=1000, seed=seed).words
    with build(netlist, tmp_path) as emulator:
        assert np.array_equal(emulator.run(words), interpret.run(netlist, words))


def test_emulator_equals_the_referee_on_each_operation_in_each_form(tmp_path):
    netlist, words = every_operation(), every_word()
    with build(netlist, tmp_path) as emulator:
        assert np.array_equal(emulator.run(words), interpret.run(netlist, words))


@pytest.mark.parametrize("kind", ["any", "avx2", "vbmi"])
@pytest.mark.parametrize("make", [many_tables, mixed_ports, every_operation])
def test_the_code_for_each_kind_of_processor_equals_the_referee(kind, make, tmp_path):
    need(kind)
    netlist = make()
    for name, text in forced(netlist, kind).items():
        (tmp_path / name).write_text(text)
    words = few_words(netlist)
    ports, outputs = len(netlist.inputs), len(netlist.outputs)
    with Emulator.build(
        tmp_path,
        netlist.block,
        tmp_path,
        cxx=compiler(),
        ports=ports,
        outputs=outputs,
    ) as emulator:
        assert np.array_equal(emulator.run(words), interpret.run(netlist, words))


def test_emulator_equals_the_referee_on_a_network(tmp_path):
    network = random_network(3)
    netlist, words = lower(network, "network"), random_words(network, 5000)
    with build(netlist, tmp_path) as emulator:
        assert np.array_equal(emulator.run(words), interpret.run(netlist, words))


MAIN = """\
#include <cstdint>
#include <cstdio>
#include <vector>
#include "{block}.h"

int main() {{
  std::vector<std::int32_t> in, out;
  for (std::int32_t word; std::fread(&word, sizeof word, 1, stdin) == 1;)
    in.push_back(word);
  in.shrink_to_fit();
  out.resize(in.size() / {ports} * {outputs});
  {block}_run(in.data(), out.data(), in.size() / {ports});
  std::fwrite(out.data(), sizeof(std::int32_t), out.size(), stdout);
}}
"""


@pytest.mark.parametrize("kind", ["any", "avx2", "vbmi"])
@pytest.mark.parametrize(
    "netlist",
    [tiny.NETLIST, every_operation(), many_tables(), mixed_ports(), wide_netlist(5)],
    ids=lambda netlist: netlist.block,
)
def test_nothing_is_read_or_computed_that_the_language_does_not_define(
    kind, netlist, tmp_path
):
    need(kind)
    ports, outputs = len(netlist.inputs), len(netlist.outputs)
    for name, text in forced(netlist, kind).items():
        (tmp_path / name).write_text(text)
    main = MAIN.format(block=netlist.block, ports=ports, outputs=outputs)
    (tmp_path / "main.cpp").write_text(main)
    command = [*compiler().command, "-std=c++17", "-O1", *binding.FLAGS[1:]]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command += [
        "-Werror",
        "-Wno-unused-function",
        "-o",
        "main",
        "main.cpp",
        f"{netlist.block}.cpp",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    words = few_words(netlist, 130)
    done = subprocess.run(
        ["./main"],
        cwd=tmp_path,
        input=words.astype(np.int32).tobytes(),
        capture_output=True,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    answers = np.frombuffer(done.stdout, np.int32).reshape(-1, outputs)
    assert np.array_equal(answers, interpret.run(netlist, words))


@pytest.mark.parametrize("events", [0, 1, 7, 63, 64, 65, 128, 257])
def test_every_number_of_events_is_answered(events, tmp_path):
    words = np.resize(tiny.every_word(), (events, 2))
    with build(tiny.NETLIST, tmp_path) as emulator:
        answers = emulator.run(words)
    assert answers.shape == (events, 2)
    assert events == 0 or np.array_equal(answers, tiny.evaluate(words))


def test_words_outside_a_port_saturate(tmp_path):
    beyond = np.array([[-9, 8], [-(2**31), 2**31 - 1], [8, -1]])
    nearest = np.array([[-8, 7], [-8, 7], [7, 0]])
    with build(tiny.NETLIST, tmp_path) as emulator:
        assert np.array_equal(emulator.run(beyond), emulator.run(nearest))


def test_calls_from_several_threads_do_not_disturb_each_other(tmp_path):
    words = np.resize(tiny.every_word(), (20_000, 2))
    parts = np.array_split(words, 8)
    with build(tiny.NETLIST, tmp_path) as emulator, ThreadPoolExecutor(4) as pool:
        answers = np.concatenate(list(pool.map(emulator.run, parts)))
    assert np.array_equal(answers, tiny.evaluate(words))


def test_exactly_two_symbols_leave_the_library(tmp_path):
    with build(tiny.NETLIST, tmp_path):
        listed = subprocess.run(
            ["nm", "-D", "--defined-only", str(tmp_path / f"{tiny.BLOCK}.so")],
            capture_output=True,
            text=True,
            check=True,
        )
    names = sorted(line.split()[-1] for line in listed.stdout.splitlines())
    assert names == [f"{tiny.BLOCK}_run", f"{tiny.BLOCK}_version"]


@pytest.mark.parametrize("netlist", [tiny.NETLIST, wide_netlist(7)])
def test_the_source_compiles_without_a_warning(netlist, tmp_path):
    for name, text in cpp.emit(netlist).items():
        (tmp_path / name).write_text(text)
    subprocess.run(
        [
            *compiler().command,
            "-Werror",
            "-Wshadow",
            *binding.FLAGS,
            *binding.SHAPE,
            "-o",
            "x.so",
            f"{netlist.block}.cpp",
        ],
        cwd=tmp_path,
        check=True,
    )


def test_the_header_is_c_as_well(tmp_path):
    (tmp_path / "use.c").write_text(f'#include "{tiny.BLOCK}.h"\n')
    (tmp_path / f"{tiny.BLOCK}.h").write_text(cpp.emit(tiny.NETLIST)[f"{tiny.BLOCK}.h"])
    command = [
        *compiler().command,
        "-x",
        "c",
        "-Wall",
        "-Werror",
        "-Wstrict-prototypes",
    ]
    subprocess.run([*command, "-fsyntax-only", "use.c"], cwd=tmp_path, check=True)


def test_the_makefile_and_the_python_binding_work_where_they_lie(tmp_path):
    for name, text in (cpp.emit(tiny.NETLIST) | binding.emit(tiny.NETLIST)).items():
        (tmp_path / name).write_text(text)
    own_flags = {**os.environ, "CXXFLAGS": "-O0"}
    subprocess.run(["make", "--silent"], cwd=tmp_path, check=True, env=own_flags)
    file = tmp_path / f"{tiny.BLOCK}.py"
    spec = importlib.util.spec_from_file_location(tiny.BLOCK, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    words = tiny.every_word()
    assert module.run(words.tolist()) == tiny.evaluate(words).tolist()
    assert module.run([[-(10**12), 10**12]]) == tiny.evaluate(words[7:8]).tolist()
    with pytest.raises(ValueError, match="event 1 has 3 words"):
        module.run([[0, 0], [0, 0, 0]])


def test_writing_is_deterministic():
    netlist = wide_netlist(3)
    assert cpp.emit(netlist) == cpp.emit(netlist)


def test_a_port_beyond_32_bits_is_refused():
    netlist = Netlist("big", (Node("input", (), 0, 2**31, name="a"),), (), (("y", 0),))
    with pytest.raises(UserError, match=r"port 'a' .* takes 0\.\.2147483648"):
        cpp.emit(netlist)
