import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trigger.generate.seeds import PYTHIA_SEEDS, Stage, generator, pythia_seed


@given(st.integers(0, 2**32 - 1), st.sampled_from(Stage), st.integers(0, 4))
def test_units_of_one_class_have_distinct_seeds_that_pythia_takes(seed, stage, label):
    seeds = {pythia_seed(seed, stage, label, unit) for unit in range(500)}
    assert len(seeds) == 500
    assert min(seeds) >= 1
    assert max(seeds) <= PYTHIA_SEEDS


def test_each_of_seed_stage_class_and_unit_makes_another_stream():
    names = [(1, 0, 0, 0), (2, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1)]
    drawn = {tuple(generator(a, Stage(b), c, d).random(2)) for a, b, c, d in names}
    assert len(drawn) == len(names)
    again = generator(1, Stage.HARD, 0, 0).random(2)
    assert np.array_equal(again, generator(1, Stage.HARD, 0, 0).random(2))
