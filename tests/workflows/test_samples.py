"""The embedded files are what their README and their cards say."""

import re
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from trigger.datasets.read import read
from trigger.particles import COLUMNS
from workflows.recipes.samples import CLASSES, HIGH_LEVEL, JETS, L1, PARTICLES

DATA = files("workflows") / "data"
CARDS = {card.name: card for card in (JETS, PARTICLES, L1)}
COLLISIONS = {"jsc_sample": 62_725, "jsc_particles": 12_552, "l1_sample": 8_100}
OBJECTS = {"jsc_sample": 100_012, "jsc_particles": 20_005, "l1_sample": 15_006}


@pytest.fixture(scope="module")
def samples():
    return {
        name: read(card, [str(DATA / f"{name}.root")]) for name, card in CARDS.items()
    }


@pytest.mark.parametrize("name", CARDS)
def test_there_are_so_many_jets_with_the_classes_evenly(samples, name):
    sample = samples[name]
    assert len(sample.objects) == OBJECTS[name]
    counts = np.bincount(sample.label, minlength=len(CLASSES))
    assert len(counts) == len(CLASSES)
    assert counts.max() - counts.min() <= 3


@pytest.mark.parametrize("name", CARDS)
def test_the_event_number_is_unique_to_its_event(samples, name):
    # An event's jets are neighbours: a number that comes again later is of two events.
    event = samples[name].event
    starts = 1 + np.count_nonzero((event[1:] != event[:-1]).any(axis=1))
    assert len(np.unique(event, axis=0)) == starts == COLLISIONS[name]


@pytest.mark.parametrize("name", CARDS)
def test_the_readme_states_size_and_checksum(samples, name):
    text = (DATA / "README.md").read_text(encoding="utf-8")
    assert f"| `{name}.root` | `{samples[name].sources[0].sha256}` |" in text
    size = len((DATA / f"{name}.root").read_bytes())
    assert re.search(rf"\b{size:,} bytes", text)
    assert f"{OBJECTS[name]:,}, {COLLISIONS[name]:,}" in text
    assert size <= 8_000_000


def test_jets_have_sixteen_features():
    assert len(HIGH_LEVEL) == 16


@pytest.mark.parametrize("name", ["jsc_particles", "l1_sample"])
def test_jets_have_up_to_sixteen_particles_by_falling_momentum(samples, name):
    objects: Any = samples[name].objects
    assert objects["constituents"].fields == list(COLUMNS)
    block, count = samples[name].block(COLUMNS, 17)
    assert (count.min() > 0, count.max()) == (True, 16)
    pt = block[..., 0]
    assert (np.diff(pt, axis=1) <= 0).all()
    real = np.arange(17) < count[:, None]
    assert np.array_equal(pt > 0, real)
    kinds = np.unique(np.abs(block[..., 3][real]))
    assert set(kinds) == {11, 13, 22, 130, 211}


def test_jets_of_the_level_1_sample_have_a_parton_and_their_collision_its_pile_up(
    samples,
):
    sample = samples["l1_sample"]
    assert (sample.column("parton_pt") > 0).all()
    assert set(sample.column("pileup")) == {140.0}


def test_the_jets_with_particles_are_some_of_those_with_features(samples):
    some, every = samples["jsc_particles"], samples["jsc_sample"]
    same = every.event[:, 1] == 105
    names = ["pt", "eta", "phi"]
    assert np.array_equal(some.event, every.event[same])
    assert np.array_equal(some.matrix(names), every.matrix(names)[same])
