# ruff: noqa: E402 (nothing is imported before it is known to be there)
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

NO = "no {0}: pip install 'jetlut[generate]'"
pytest.importorskip("pythia8mc", reason=NO.format("pythia8mc"))
pytest.importorskip("fastjet", reason=NO.format("fastjet"))

from trigger.errors import UserError
from trigger.generate.events import BLOCK, Unit, make, rounded, rounds
from trigger.generate.settings import CLASSES, Settings


@given(
    st.integers(5, 30_000),
    st.lists(st.sampled_from(CLASSES), min_size=1, unique=True),
)
def test_units_share_all_jets_out_and_classes_differ_by_one_at_most(n_jets, classes):
    work = rounds(Settings(n_jets=n_jets, classes=tuple(classes)))
    units = [unit for one in work for unit in one]
    each = [sum(u.jets for u in units if u.name == name) for name in classes]
    assert sum(each) == n_jets
    assert max(each) - min(each) <= 1
    assert all(0 < u.jets <= BLOCK for u in units)
    assert len({(u.name, u.number) for u in units}) == len(units)


@given(
    st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=20),
    st.integers(4, 22),
)
def test_rounding_is_close_keeps_the_order_and_needs_few_bits(values, bits):
    values = np.array([v for v in values if abs(v) > 1e-30] + [1.0])
    short = rounded(values, bits).astype(np.float64)
    assert np.all(np.abs(short - values) <= np.abs(values) * 2.0 ** -(bits + 1))
    order = np.argsort(values)
    assert np.all(np.diff(short[order]) >= 0)
    stored = short.astype(np.float32).view(np.uint32)
    assert not np.any(stored & np.uint32((1 << (23 - bits)) - 1))


@pytest.mark.parametrize("jets", [1, 2, 17])
def test_a_unit_has_exactly_the_jets_asked_for(jets):
    ticks = []
    settings = Settings(n_jets=5, constituents=3)
    columns = make(settings, Unit("w", 0, jets), ticks.append)
    assert ak.sum(ak.num(columns.jets)) == sum(ticks) == jets
    assert ak.all(columns.jets.label == CLASSES.index("w"))
    assert ak.all(ak.num(columns.jets) >= 1)
    stored = np.minimum(3, ak.to_numpy(ak.flatten(columns.jets.multiplicity)))
    assert ak.sum(ak.num(columns.candidates)) == stored.sum()


def test_units_that_store_fewer_constituents_have_the_same_features():
    settings, unit = Settings(n_jets=5, pt_min=500.0), Unit("q", 0, 10)
    many = make(settings, unit, lambda _: None)
    few = make(replace(settings, constituents=1), unit, lambda _: None)
    assert ak.array_equal(many.jets, few.jets)
    assert ak.array_equal(ak.num(few.candidates), ak.num(few.jets))


def test_impossible_cuts_are_told_and_not_tried_forever():
    settings = Settings(n_jets=5, pt_min=3000.0, pt_max=3100.0, patience=150)
    with pytest.raises(UserError) as error:
        make(settings, Unit("z", 0, 10), lambda _: None)
    told = str(error.value)
    assert told.startswith("no jet of class 'z' passes the cuts: the last 210 of 210 ")
    assert "pT from 3000 to 3100 GeV" in told
    assert "pTHat from 990 to 1010 GeV" in told
    assert "--pthat" in told


def test_level_one_jets_with_pileup_are_made_of_what_the_detector_sees():
    settings = Settings(
        n_jets=5,
        detector="l1",
        pileup=10.0,
        pileup_pool=20,
        radius=0.8,
        pt_min=800.0,
        mpi=True,
    )
    columns = make(settings, Unit("t", 0, 12), lambda _: None)
    particles = ak.flatten(columns.candidates)
    track = np.isin(np.abs(ak.to_numpy(particles.pdgId)), (11, 13, 211))
    assert track.any()
    assert (~track).any()
    # A stored pt may be below by the rounding of its mantissa to ten bits.
    assert ak.min(particles.pt[track]) > 2.0 * (1 - 2**-11)
    pt = ak.to_numpy(ak.flatten(columns.jets["pt"]))
    assert np.all((pt > 800) & (pt < 1200))
