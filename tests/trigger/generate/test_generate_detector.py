import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.generate.detector import Level1, observe, soft_killer, visible
from trigger.generate.particles import Particles

CHARGES = {211: 1, -211: -1, 11: -1, -11: 1, 13: -1, 22: 0, 130: 0, 2112: 0, 12: 0}
TRACKS = (211, 11, 13)


def particles(seed, count, events=3, pileup=0.5):
    """Random stable particles of a few collisions."""
    rng = np.random.default_rng(seed)
    pdg_id = rng.choice(list(CHARGES), count)
    pt, eta = np.exp(rng.uniform(-2, 5, count)), rng.uniform(-6, 6, count)
    phi, mass = rng.uniform(-np.pi, np.pi, count), 0.1 * (pdg_id != 22)
    return Particles(
        np.sort(rng.integers(0, events, count)),
        pt * np.cos(phi),
        pt * np.sin(phi),
        pt * np.sinh(eta),
        np.hypot(pt * np.cosh(eta), mass),
        pdg_id,
        np.array([CHARGES[i] for i in pdg_id.tolist()], np.int64),
        rng.random(count) < pileup,
    )


samples = st.builds(particles, st.integers(0, 2**32), st.integers(0, 300))


@given(samples)
def test_neutrinos_are_never_seen(some):
    seen = visible(some)
    assert not np.isin(np.abs(seen.pdg_id), (12, 14, 16)).any()
    assert len(seen.pdg_id) == np.sum(some.pdg_id != 12)


@given(samples, st.sampled_from(["none", "l1"]))
def test_candidates_are_by_event_and_falling_pt(some, detector):
    seen = observe(some, detector, np.random.default_rng(0))
    order = np.lexsort((-seen.pt, seen.event))
    assert np.array_equal(order, np.arange(len(order)))
    assert np.all(seen.pt > 0)
    assert np.all(np.abs(seen.phi) <= np.pi)


@given(samples)
def test_without_a_detector_particles_come_out_as_they_went_in(some):
    seen = observe(some, "none", np.random.default_rng(0))
    kept = visible(some)
    eta = np.arcsinh(kept.pz / np.hypot(kept.px, kept.py))
    kept = kept[(np.abs(eta) < 5) & ~(kept.pileup & (kept.charge != 0))]
    pt = np.hypot(kept.px, kept.py)
    assert np.array_equal(seen.pt, pt[np.lexsort((-pt, kept.event))])
    sign = np.where(np.isin(np.abs(seen.pdg_id), (11, 13)), -1, 1)
    charge = sign * np.sign(seen.pdg_id) * np.isin(np.abs(seen.pdg_id), TRACKS)
    assert np.array_equal(np.sort(charge), np.sort(kept.charge))


@given(samples)
def test_level_one_has_no_track_below_two_gev_or_beyond_its_tracker(some):
    seen = observe(some, "l1", np.random.default_rng(1))
    track = np.isin(np.abs(seen.pdg_id), TRACKS)
    assert np.all(seen.pt[track] > 2.0)
    assert np.all(np.abs(seen.eta[track]) < 2.4)
    assert np.all(np.abs(seen.eta) < 3.05)  # the last row of towers crosses 3.0
    assert np.all(seen.pt[seen.pdg_id == 22] > 0.5)
    assert np.all(seen.pt[seen.pdg_id == 130] > 1.0)
    assert np.all(seen.mass[~track] == 0)


@given(st.integers(0, 2**32), st.integers(0, 300))
def test_charged_pileup_leaves_no_track(seed, count):
    some = particles(seed, count, pileup=1.0)
    seen = observe(some, "l1", np.random.default_rng(2))
    assert not np.isin(np.abs(seen.pdg_id), TRACKS).any()


@given(samples)
def test_no_two_candidates_share_a_cell_and_all_sit_in_the_middle_of_one(some):
    seen = observe(some, "l1", np.random.default_rng(3))
    for calorimeter in (Level1().ecal, Level1().hcal):
        cells = seen[seen.pdg_id == calorimeter.kind]
        around = round(2 * np.pi / calorimeter.cell)
        row = cells.eta / calorimeter.cell - 0.5
        column = (cells.phi + np.pi) / (2 * np.pi) * around - 0.5
        # Numbers up to 400 in which a handful of roundings of 1.1e-16 add up.
        for place in (row, column):
            assert np.all(np.abs(place - np.round(place)) < 400 * 10 * 1.1e-16)
        places = np.stack([cells.event, np.round(row), np.round(column)], axis=1)
        assert len(np.unique(places, axis=0)) == len(places)


def single(pdg_id, charge, pt, count):
    """Many equal particles, each in a collision of its own."""
    return Particles(
        np.arange(count),
        np.full(count, pt),
        np.zeros(count),
        np.zeros(count),
        np.full(count, np.hypot(pt, 0.1396)),
        np.full(count, pdg_id),
        np.full(count, charge),
        np.zeros(count, bool),
    )


def test_of_all_charged_hadrons_94_percent_leave_a_track_and_the_others_a_tower():
    count = 20_000
    seen = observe(single(211, 1, 50.0, count), "l1", np.random.default_rng(4))
    tracks = np.sum(seen.pdg_id == 211)
    # Binomial: six standard deviations.
    assert abs(tracks - 0.94 * count) < 6 * np.sqrt(count * 0.94 * 0.06)
    # A tower of 50 GeV passes its threshold of 1 GeV, 4 standard deviations away.
    assert count - tracks - 10 < np.sum(seen.pdg_id == 130) <= count - tracks


@pytest.mark.parametrize(
    ("pdg_id", "charge", "energy", "width"),
    [
        # widths from the terms of `Level1` at this energy
        (22, 0, 100.0, np.sqrt(0.03**2 / 100 + (0.25 / 100) ** 2 + 0.01**2)),
        (130, 0, 100.0, np.sqrt(1.2**2 / 100 + (0.5 / 100) ** 2 + 0.06**2)),
        (13, -1, 100.0, np.hypot(0.01, 2e-4 * 100)),
    ],
)
def test_resolution_is_that_of_the_terms(pdg_id, charge, energy, width):
    count = 20_000
    seen = observe(
        single(pdg_id, charge, energy, count), "l1", np.random.default_rng(5)
    )
    assert len(seen.pt) == count
    # Towers sit half a cell beside eta = 0, where pt is less than the energy by 1e-3.
    assert abs(seen.pt.mean() / energy - 1) < 6 * width / np.sqrt(count) + 1e-3
    # The standard deviation of a standard deviation is sigma / sqrt(2 n).
    assert abs(seen.pt.std() / energy / width - 1) < 6 / np.sqrt(2 * count) + 1e-3


@given(st.integers(0, 2**32), st.integers(0, 400))
def test_soft_killer_empties_half_of_the_grid_and_spares_tracks(seed, count):
    events = 3
    before = observe(particles(seed, count, events), "none", np.random.default_rng(0))
    after = soft_killer(before, events)
    neutral = np.isin(before.pdg_id, (22, 130))
    assert np.sum(~np.isin(after.pdg_id, (22, 130))) == np.sum(~neutral)
    for event in range(events):
        here = before.event == event
        cells = {}
        for pt, eta, phi in zip(
            before.pt[here & neutral],
            before.eta[here & neutral],
            before.phi[here & neutral],
            strict=True,
        ):
            if abs(eta) < 2.5:
                row = min(int((eta + 2.5) / 5 * 12), 11)
                column = int((phi + np.pi) / (2 * np.pi) * 16) % 16
                cells[row, column] = max(cells.get((row, column), 0.0), pt)
        cut = np.median(list(cells.values()) + [0.0] * (12 * 16 - len(cells)))
        kept = after.pt[(after.event == event) & np.isin(after.pdg_id, (22, 130))]
        assert np.array_equal(kept, before.pt[here & neutral & (before.pt >= cut)])
