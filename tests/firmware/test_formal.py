"""Proofs, not samples: emitted Verilog and every pass against an independent reading."""

import re

import numpy as np
import pytest
from every_operation import every_operation, every_word
from hypothesis import Phase, given, settings
from miter import equal, reference
from random_netlists import all_words, netlists
from random_networks import random_network
from test_cmvm import dense, layer
from test_verilog import interface_of
from tiny_block import NETLIST

from firmware import cmvm, tools, verilog
from firmware.build import Builder, copy
from firmware.collapse import collapse
from firmware.dont_care import fill
from firmware.interpret import run
from firmware.join import join
from firmware.lower import translate
from firmware.netlist import Netlist
from firmware.passes import SIMPLIFY, optimise
from firmware.pipeline import pipeline
from firmware.simulate import Simulator
from firmware.split import split
from firmware.tree import chain_shifts, plant_trees

PASSES = (
    *dict.fromkeys(SIMPLIFY),
    *(fill, collapse, split, join, plant_trees, chain_shifts, optimise),
)


def gate(text: str) -> str:
    """The text with its one module renamed to what `equal` expects."""
    return re.sub(r"\b(module|entity)\s+\w+", r"\1 gate", text, count=1)


def emitted(netlist: Netlist, clock_mhz: float) -> tuple[str, int]:
    schedule = pipeline(netlist, clock_mhz)
    (text,) = verilog.emit(netlist, schedule, interface_of(netlist)).values()
    return gate(text), schedule.cycles


def some_netlists(count: int) -> list[Netlist]:
    """The same random netlists at every call."""
    drawn: list[Netlist] = []

    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
    )
    @given(netlists())
    def every_draw(netlist):
        drawn.append(netlist)

    every_draw()
    return drawn


def small_network(seed: int) -> Netlist:
    network = random_network(
        seed,
        shape=(3, 3, 2),
        port_bits=(2, 4),
        code_bits=(2, 4),
        address=(2, 4),
        density=0.9,
    )
    return translate(network, "net")


NETLISTS = [*some_netlists(40), *(small_network(seed) for seed in range(5))]


@pytest.mark.parametrize("rewritten", PASSES, ids=lambda p: p.__name__)
def test_a_pass_is_proved_to_keep_the_function(rewritten):
    pairs = [
        (reference(netlist), gate(reference(rewritten(netlist), like=netlist)))
        for netlist in NETLISTS
    ]
    assert equal(pairs) == [True] * len(pairs)


def test_passes_one_after_the_other_are_proved_too():
    pairs = []
    for netlist in NETLISTS:
        after = netlist
        for simplify in SIMPLIFY:
            after = simplify(after)
        after = join(split(collapse(fill(after))))
        after = chain_shifts(plant_trees(after, longest=0.0))
        pairs.append((reference(netlist), gate(reference(after, like=netlist))))
    assert equal(pairs) == [True] * len(pairs)


@pytest.mark.skipif(bool(cmvm.missing()), reason=cmvm.missing() or "there")
def test_a_solved_matrix_is_proved_to_be_the_plain_one():
    programs = [layer(dense((4, 5), 5, seed), port=(3, True)) for seed in range(3)]
    ways = [[translate(p, "b", solver=use) for p in programs] for use in (False, True)]
    assert ways[0] != ways[1]
    pairs = [
        (reference(plain), gate(reference(optimise(solved), like=plain)))
        for plain, solved in zip(*ways, strict=True)
    ]
    assert equal(pairs) == [True] * len(pairs)


@pytest.mark.parametrize("clock_mhz", [100, 300, 500])
@pytest.mark.parametrize(
    "netlist",
    [NETLIST, every_operation(), *(optimise(small_network(k)) for k in range(2))],
    ids=["tiny", "every operation", "network 0", "network 1"],
)
def test_emitted_verilog_is_proved_to_be_the_netlist_at_any_cut(netlist, clock_mhz):
    text, cycles = emitted(netlist, clock_mhz)
    assert equal([(reference(netlist, cycles), text)], cycles) == [True]
    # One clock more is another block.
    assert equal([(reference(netlist, cycles + 1), text)], cycles + 1) == [False]


def test_random_netlists_are_proved_from_verilog():
    for netlist in NETLISTS[:6]:
        text, cycles = emitted(netlist, 200)
        assert equal([(reference(netlist, cycles), text)], cycles) == [True]


def test_the_reference_is_what_the_referee_says(tmp_path):
    """By simulation: what proves must itself be right, and not only agree."""
    netlist, words = every_operation(), every_word()
    text = reference(netlist, 2).replace("module gold", f"module {netlist.block}")
    simulator = Simulator.build(
        {"reference.v": text},
        netlist,
        tmp_path,
        verilator=tools.simulator(),
        cxx=tools.compiler(),
    )
    answers, latency = simulator.run(words)
    assert latency == 2
    assert np.array_equal(answers, run(netlist, words))


def flipped(netlist: Netlist, table: int, entry: int, bit: int) -> Netlist:
    """The netlist with one bit of a table flipped, its intervals made to fit."""
    entries = [list(t) for t in netlist.tables]
    entries[table][entry] ^= 1 << bit
    into = Builder(netlist.block)
    moved: list[int] = []
    for i, node in enumerate(netlist.nodes):
        args = [moved[a] for a in node.args]
        if node.op == "table" and node.table == table:
            lo = netlist.nodes[node.args[0]].lo
            moved.append(into.table(args[0], lambda v, z=lo: entries[table][v - z]))
        else:
            moved.append(copy(netlist, i, args, into))
    return into.finish([(name, moved[index]) for name, index in netlist.outputs])


def test_a_proof_fails_exactly_where_a_word_differs():
    rng = np.random.default_rng(0)
    pairs, differ = [], []
    for netlist in [n for n in NETLISTS if n.tables]:
        table = int(rng.integers(len(netlist.tables)))
        entry = int(rng.integers(len(netlist.tables[table])))
        mutant = flipped(netlist, table, entry, int(rng.integers(3)))
        words = all_words(netlist)
        if len(words) > 2**12 or shapes(mutant) != shapes(netlist):
            continue
        pairs.append((reference(netlist), gate(reference(mutant))))
        differ.append(not np.array_equal(run(netlist, words), run(mutant, words)))
    assert equal(pairs) == [not d for d in differ]
    assert {True, False} == set(differ)


def shapes(netlist: Netlist) -> list[tuple[int, bool]]:
    """Width and sign of the outputs, which a mutation may change."""
    outputs = [netlist.nodes[index] for _, index in netlist.outputs]
    return [(node.width, node.signed) for node in outputs]
