"""Features of particles against their formulas, one particle at a time with `math`."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_of_jets import sample_of

from trigger.errors import UserError
from trigger.particles import (
    ALL_16,
    FEATURES,
    PT_ETA_PHI,
    Constituents,
    particle_block,
)

KINDS = (211, -211, 11, -11, 13, -13, 22, 130)

angles = st.floats(-math.pi, math.pi)
particles = st.tuples(
    *(st.integers(1, 160).map(lambda n: n / 4), st.floats(-4, 4), angles),
    st.sampled_from(KINDS),
)
jets = st.tuples(
    st.tuples(st.floats(20, 1200), st.floats(-4, 4), angles),
    st.lists(particles, max_size=7),
)


def described(pt, eta, phi, kind, jet_pt, jet_eta, jet_phi):
    """Every feature of one particle, by name."""
    deta, dphi = eta - jet_eta, math.remainder(phi - jet_phi, 2 * math.pi)
    charge = {11: -1, -11: 1, 13: -1, -13: 1, 211: 1, -211: -1}.get(kind, 0)
    return {
        "pt": pt,
        "eta_rel": deta,
        "phi_rel": dphi,
        "pt_rel": pt / jet_pt,
        "log_pt": math.log(pt),
        "log_pt_rel": math.log(pt / jet_pt),
        "delta_r": math.sqrt(deta**2 + dphi**2),
        "energy": math.sqrt(pt**2 + (pt * math.sinh(eta)) ** 2),
        "energy_rel": pt / jet_pt * math.cosh(eta) / math.cosh(jet_eta),
        "pt_eta": pt * deta,
        "pt_phi": pt * dphi,
        "pt_r2": pt * (deta**2 + dphi**2),
        "charge": charge,
        "is_photon": kind == 22,
        "is_neutral_hadron": kind == 130,
        "is_lepton": abs(kind) in (11, 13),
    }


def one_by_one(sample_jets, names, places):
    """The block by a loop over jets and particles."""
    block = np.zeros((len(sample_jets), places, len(names)))
    for jet, (axis, mine) in enumerate(sample_jets):
        for place, particle in enumerate(mine[:places]):
            values = described(*particle, *axis)
            block[jet, place] = [values[name] for name in names]
    return block


@given(st.lists(jets, min_size=1, max_size=4), st.sampled_from([1, 4, 9]))
def test_all_features_are_their_formulas(sample_jets, places):
    block, count = particle_block(sample_of(sample_jets), ALL_16, places)
    expected = one_by_one(sample_jets, ALL_16, places)
    # Either side has at most two elementary functions, good to 4 ulps, and eight
    # roundings of half an ulp: 12 ulps each, 24 together, of 2**-52 relative.  Angles
    # cancel by the same operation in both but where whole turns are subtracted, once
    # with 2 pi rounded: within 2**-50 of a turn, and the momentum is at most 40.
    assert np.allclose(block, expected, rtol=2**-47, atol=2**-43)
    assert count.tolist() == [min(len(mine), places) for _, mine in sample_jets]


@given(st.lists(jets, min_size=1, max_size=4), st.permutations(ALL_16))
def test_features_stand_in_the_order_in_which_they_are_asked_for(sample_jets, names):
    sample = sample_of(sample_jets)
    every = particle_block(sample, ALL_16, 4)[0]
    some = particle_block(sample, names[:5], 4)[0]
    assert np.array_equal(some, every[..., [ALL_16.index(n) for n in names[:5]]])


@given(st.lists(jets, min_size=1, max_size=4))
def test_fewer_places_are_the_first_of_more(sample_jets):
    sample = sample_of(sample_jets)
    many, all_of_them = particle_block(sample, ALL_16, 9)
    few, count = particle_block(sample, ALL_16, 3)
    assert np.array_equal(few, many[:, :3])
    assert np.array_equal(count, np.minimum(all_of_them, 3))


@given(st.lists(jets, min_size=1, max_size=4))
def test_what_is_no_particle_is_zero_in_all_features(sample_jets):
    block, count = particle_block(sample_of(sample_jets), ALL_16, 9)
    real = np.arange(9) < count[:, None]
    assert not block[~real].any()
    assert (block[..., 0][real] > 0).all()


def test_jets_without_particles_are_empty_places():
    some = ((50.0, 0.5, 1.0), [(10.0, 0.25, 1.0, 22)])
    empty = ((40.0, 1.0, 2.0), [])
    block, count = particle_block(sample_of([empty, some, empty]), ALL_16, 4)
    assert count.tolist() == [0, 1, 0]
    assert not block[[0, 2]].any()
    assert block[1, 0, 0] == 10.0
    block, count = particle_block(sample_of([empty, empty]), ALL_16, 4)
    assert not block.any()
    assert not count.any()


@given(st.lists(jets, min_size=1, max_size=3), st.data())
def test_a_particle_of_no_momentum_is_as_if_not_there(sample_jets, data):
    with_nothing = []
    for axis, mine in sample_jets:
        mine = list(mine)
        for _ in range(data.draw(st.integers(0, 2))):
            at = data.draw(st.integers(0, len(mine)))
            mine.insert(at, (0.0, 1.0, 1.0, data.draw(st.sampled_from(KINDS))))
        with_nothing.append((axis, mine))
    # eleven places hold them all: with fewer, an empty one may take a real one's place
    expected = particle_block(sample_of(sample_jets), ALL_16, 11)
    found = particle_block(sample_of(with_nothing), ALL_16, 11)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_an_azimuth_is_folded_by_whole_turns_and_by_no_more_than_needed(phi, axis):
    one, kind = np.ones(1), np.full(1, 22)
    particle = Constituents(one, one, phi * one, kind, one, one, axis * one)
    folded = particle.phi_rel()[0]
    turns = (phi - axis - folded) / (2 * math.pi)
    # the difference is up to 20 and carries one rounding, the turns up to 4 another
    assert abs(turns - round(turns)) < 2**-48
    assert abs(folded) <= math.pi + 2**-48
    if abs(phi - axis) <= math.pi:
        assert folded == phi - axis


def test_there_are_sixteen_features_and_the_three_of_the_public_set_are_among_them():
    assert len(ALL_16) == 16
    assert set(PT_ETA_PHI) < set(ALL_16)
    assert [FEATURES[name].unit for name in PT_ETA_PHI] == ["GeV", "", "rad"]


@pytest.mark.parametrize(
    ("jet_pt", "eta", "feature", "value"),
    [(0.0, 0.0, "pt_rel", "inf"), (50.0, 800.0, "energy", "inf")],
)
def test_a_feature_that_is_no_finite_number_is_told_with_its_jet(
    jet_pt, eta, feature, value
):
    fine = ((50.0, 0.0, 0.0), [(10.0, 0.0, 0.0, 22)])
    bad = ((jet_pt, 0.0, 0.0), [(10.0, eta, 0.0, 22)])
    expected = (
        rf"feature '{feature}' of a particle of jet 1 \(run, block, event = 0, 0, 1\) "
        rf"is {value}, with pt 10.0 in a jet of pt {jet_pt}; .*\(1 of 2 values\)"
    )
    with pytest.raises(UserError, match=expected):
        particle_block(sample_of([fine, bad]), (feature,), 2)


@pytest.mark.parametrize(
    "feature", ["charge", "is_photon", "is_neutral_hadron", "is_lepton"]
)
def test_a_kind_that_is_not_known_is_refused_where_it_matters(feature):
    sample = sample_of([((50.0, 0.0, 0.0), [(10.0, 0, 0, 22), (9.0, 0, 0, -321)])])
    expected = r"has the PDG number -321, not one of 211, .* \(1 of 2 particles\)"
    with pytest.raises(UserError, match=expected):
        particle_block(sample, ("pt", feature), 2)
    others = [name for name in ALL_16 if not name.startswith(("is_", "charge"))]
    assert particle_block(sample, others, 2)[1].tolist() == [2]
