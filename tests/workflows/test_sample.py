import re
from importlib.resources import files

import numpy as np
import pytest

from trigger.jets import JetSchema, read_jets
from trigger.rootfile import describe

DATA = files("workflows") / "data"
SAMPLE = str(DATA / "jsc_sample.root")


@pytest.fixture(scope="module")
def sample():
    branches = (branch.name for branch in describe(SAMPLE)[0].branches)
    kinematics = {"Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass", "Jet_label"}
    features = tuple(
        name for name in branches if name.startswith("Jet_") and name not in kinematics
    )
    event = ("run", "luminosityBlock", "event")
    units = ("",) * len(features)
    schema = JetSchema("Events", features, units, "Jet_label", event, tuple("gqtWZ"))
    return read_jets([SAMPLE], schema)


def test_the_sample_has_sixteen_features_and_even_classes(sample):
    assert sample.features.shape == (100_012, 16)
    counts = np.bincount(sample.label)
    assert counts.max() - counts.min() <= 3


def test_the_event_number_is_unique_to_its_event(sample):
    # An event's jets are neighbours: a number that comes again later is of two events.
    starts = 1 + np.count_nonzero((sample.event[1:] != sample.event[:-1]).any(axis=1))
    assert len(np.unique(sample.event, axis=0)) == starts


def test_the_readme_states_size_and_checksum(sample):
    text = (DATA / "README.md").read_text(encoding="utf-8")
    assert f"`{sample.sources[0].sha256}`" in text
    size = len((DATA / "jsc_sample.root").read_bytes())
    assert re.search(rf"{size:,} bytes", text)
    assert size <= 8_000_000
