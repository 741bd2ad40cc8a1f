"""The choice within the budget, on one real block whose cost is varied."""

from dataclasses import replace

import jax.random as jr
import numpy as np
import pytest

from firmware import tools
from models.architectures import lut_mlp
from models.plan import Candidate, Goal
from trigger.errors import UserError
from trigger.words import Word
from workflows.choose import build, choose
from workflows.groups import Budget, Firmware

CLOCK_MHZ = 200.0


@pytest.fixture(scope="module")
def real():
    """A block of an untrained network, compiled and counted."""
    code = np.random.default_rng(1).integers(0, 16, (64, 2))
    network = lut_mlp(code, (4, 4), (False, False), (2, 2), key=jr.key(1))
    words = tuple(Word(name, 4, False, 1.0, "GeV") for name in ("pt", "mass"))
    candidate = Candidate(0, 0.5, 100.0, network)
    yosys = tools.synthesiser()
    return build(candidate, "toy_v1_0_0", words, ("a", "b"), CLOCK_MHZ, yosys)


def test_a_block_has_the_ports_and_classes_that_it_was_built_for(real):
    assert [word.name for word in real.interface.inputs] == ["pt", "mass"]
    assert [word.name for word in real.interface.outputs] == ["a", "b"]
    assert [name for name, _ in real.netlist.outputs] == ["a", "b"]
    assert real.area.luts > 0
    assert all(name.startswith("toy_v1_0_0") for name in real.rtl)


def test_settings_of_the_firmware_pad_limit_and_wire_the_block(real):
    def built(**firmware):
        words = real.interface.inputs
        yosys = tools.synthesiser()
        made = Firmware(**firmware)
        arguments = ("toy_v1_0_0", words, ("a", "b"), CLOCK_MHZ, yosys, made)
        return build(real.candidate, *arguments)

    padded = built(pad_latency_to=7, ports="flat", clock_enable=True)
    assert padded.schedule.cycles == 7
    assert (padded.options.flat, padded.options.clock_enable) == (True, True)
    text = padded.rtl["toy_v1_0_0.v"]
    assert "in_words" in text
    assert "input wire ce" in text
    with pytest.raises(UserError, match="1 are allowed"):
        built(max_cycles=1)


def test_the_layers_of_a_block_share_its_area(real):
    assert sum(share.luts for share in real.area.layers) == real.area.luts


@pytest.fixture
def compiler(real):
    """Blocks that cost `factor` times what the training has estimated."""

    def with_factor(factor):
        def compiled(candidate):
            area = replace(real.area, luts=round(candidate.luts * factor))
            return replace(real, candidate=candidate, area=area)

        return compiled

    return with_factor


@pytest.fixture
def front(real):
    network = real.candidate.network
    return [Candidate(k, 0.5 + 0.01 * k, 100.0 * k, network) for k in range(1, 21)]


@pytest.mark.parametrize(("factor", "wanted"), [(1.0, 1000), (1.1, 900), (0.9, 1100)])
def test_the_best_block_that_really_fits_is_taken(front, compiler, factor, wanted):
    block, tried = choose(front, Budget(luts=1000), compiler(factor))
    assert block.candidate.luts == wanted
    assert tried[-1] is block
    assert [one.candidate.val_accuracy for one in tried] == sorted(
        (one.candidate.val_accuracy for one in tried), reverse=True
    )


def test_where_estimates_were_too_high_larger_networks_get_their_chance(
    front, compiler
):
    block, tried = choose(front, Budget(luts=1000), compiler(0.5))
    assert block.candidate.luts == 2000
    assert [one.candidate.luts for one in tried] == [1100, 2000]


def test_a_larger_one_that_does_not_fit_after_all_leaves_the_one_that_does(
    front, compiler
):
    def compiled(candidate):
        return compiler(0.5 if candidate.luts <= 1100 else 0.7)(candidate)

    block, tried = choose(front, Budget(luts=1000), compiled)
    assert block.candidate.luts == 1400
    assert [one.candidate.luts for one in tried] == [1100, *range(2000, 1300, -100)]


def test_what_stands_before_the_network_leaves_it_less_room(front, compiler):
    # Of 1,000 LUTs a front end takes 600, which every compiled block has as well.
    def compiled(candidate):
        block = compiler(1.0)(candidate)
        return replace(block, area=replace(block.area, luts=block.area.luts + 600))

    room = Goal(400.0, 1000.0, CLOCK_MHZ)
    block, _ = choose(front, Budget(luts=1000), compiled, room)
    assert block.candidate.luts == 400


def test_a_block_may_take_all_clocks_that_a_slot_leaves_a_jet(real):
    # Six crossings are 30 clocks of 200 MHz, and the last of 16 jets comes after 15.
    budget = Budget(luts=10_000, latency_ns=0.0, clock_mhz=CLOCK_MHZ, tmux=6, jets=16)

    def taking(cycles):
        return replace(real, schedule=replace(real.schedule, cycles=cycles))

    assert taking(15).fits(budget)
    assert not taking(16).fits(budget)


def test_of_equal_accuracy_the_smaller_is_taken(front, compiler):
    equal = [replace(candidate, val_accuracy=0.6) for candidate in front]
    block, _ = choose(equal, Budget(luts=1000), compiler(1.0))
    assert block.candidate.luts == 100


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (Budget(luts=50), r"budget.luts=50 .* nearest of 1 compiled needs 100 LUTs"),
        (
            Budget(luts=200, latency_ns=0.5, clock_mhz=CLOCK_MHZ),
            r"budget.latency_ns=0.5 at 200 MHz; .* 2 compiled needs",
        ),
    ],
)
def test_a_budget_out_of_reach_names_the_nearest(front, compiler, budget, sentence):
    with pytest.raises(UserError, match=sentence):
        choose(front, budget, compiler(1.0))


def test_a_latency_out_of_reach_names_the_nearest_in_latency(real, compiler):
    network = real.candidate.network
    front = [
        Candidate(1, 0.6, 100.0, network, cycles=9.0),
        Candidate(2, 0.7, 900.0, network, cycles=7.0),
    ]
    budget = Budget(luts=1000, latency_ns=3.5 * 1e3 / CLOCK_MHZ, clock_mhz=CLOCK_MHZ)

    def compiled(candidate):
        schedule = replace(real.schedule, cycles=int(candidate.cycles))
        return replace(compiler(1.0)(candidate), schedule=schedule)

    with pytest.raises(UserError, match=r"1 compiled needs 900 LUTs, 35\.0 ns"):
        choose(front, budget, compiled)
    # A cycle above by the estimate may still be within: it is compiled and seen.
    roomy = replace(budget, latency_ns=6 * 1e3 / CLOCK_MHZ)
    with pytest.raises(UserError, match=r"nearest of 1 compiled needs 900 LUTs"):
        choose(front, roomy, compiled)
    fits = replace(budget, latency_ns=7 * 1e3 / CLOCK_MHZ)
    assert choose(front, fits, compiled)[0].candidate.luts == 900


def test_a_network_that_misses_the_clock_gives_way_to_the_next(front, compiler):
    def compiled(candidate):
        if candidate.luts > 700:
            raise UserError("the clock is too fast")
        return compiler(1.0)(candidate)

    block, tried = choose(front, Budget(luts=1000), compiled)
    assert block.candidate.luts == 700
    assert tried == (block,)


def test_a_clock_that_no_network_meets_is_refused_with_the_reason(front):
    def compiled(_):
        raise UserError("the clock is too fast")

    with pytest.raises(UserError, match="the clock is too fast"):
        choose(front, Budget(luts=1000), compiled)
