"""Whole architectures as netlists: arithmetic, tables, sums over particles, all in one."""

import sys
from pathlib import Path

import numpy as np
import pytest

# The small networks are the ones that the tests of `models` train.
sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from small_architectures import CASES, shaken

from firmware.interpret import run
from firmware.lower import lower
from models import frozen
from models.evaluate import ready
from models.symbols import trace


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_lowered_architecture_computes_what_its_program_says(case):
    network = shaken(case.network(seed=1), seed=1)
    program = trace(ready(network), case.frozen_ports, case.outputs)
    netlist = lower(program, "b")
    words = case.words(500, seed=7)
    answer = frozen.run(program, words)
    assert np.array_equal(run(netlist, words), answer)
    assert len(np.unique(answer)) > 1


def test_particles_share_their_tables():
    case = CASES["particles"]
    program = trace(ready(case.network()), case.frozen_ports, case.outputs)
    netlist = lower(program, "b")
    used = [node.table for node in netlist.nodes if node.op == "table"]
    assert len(used) > 2 * len(set(used))
