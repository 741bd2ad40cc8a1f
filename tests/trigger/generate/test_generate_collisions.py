# ruff: noqa: E402 (nothing is imported before it is known to be there)
import numpy as np
import pytest

NO = "no {0}: pip install 'jetlut[generate]'"
pythia8mc = pytest.importorskip("pythia8mc", reason=NO.format("pythia8mc"))
pytest.importorskip("fastjet", reason=NO.format("fastjet"))

from trigger.generate.collisions import hard_collisions, minimum_bias
from trigger.generate.pileup import overlay, pool
from trigger.generate.settings import CLASSES, Settings

SETTINGS = Settings(n_jets=5, seed=9, pileup=20.0, pileup_pool=12)
FLAVOURS = {"g": {21}, "q": {1, 2, 3, 4, 5}, "t": {6}, "w": {24}, "z": {23}}


@pytest.fixture(scope="module")
def batches():
    """A dozen collisions of each class."""
    return {name: hard_collisions(SETTINGS, name, 0)(12) for name in CLASSES}


@pytest.mark.parametrize("name", CLASSES)
def test_both_partons_are_of_the_class_and_hard(batches, name):
    batch = batches[name]
    assert batch.flavour.shape == (12, 2)
    assert set(np.abs(batch.flavour).ravel().tolist()) <= FLAVOURS[name]
    low, high = SETTINGS.pthat
    pt = batch.partons[:, :, 0]
    if name in "gq":  # as they left the hard scattering
        assert np.all((pt > low) & (pt < high))
    else:  # as they decayed: recoils from radiation on the way
        assert np.all(pt > low / 10)


@pytest.mark.parametrize("name", CLASSES)
def test_stable_particles_carry_momentum_energy_and_charge_of_two_protons(
    batches, name
):
    particles = batches[name].particles
    assert np.array_equal(np.unique(particles.event), np.arange(12))
    # PYTHIA's own limit for an event that it passes: Check:epTolErr = 1e-4 of the energy.
    bound = 1e-4 * SETTINGS.energy
    for component, total in (("px", 0), ("py", 0), ("pz", 0), ("energy", 13_000)):
        sums = np.bincount(particles.event, getattr(particles, component))
        assert np.all(np.abs(sums - total) < bound)
    assert np.array_equal(np.bincount(particles.event, particles.charge), [2.0] * 12)


@pytest.mark.parametrize("name", ["w", "z"])
def test_bosons_decay_isotropically(name, monkeypatch):
    records = []

    class Recording(pythia8mc.Pythia):
        """Keeps what PYTHIA has made."""

        def nextBatch(self, count):  # noqa: N802
            records.append(super().nextBatch(count))
            return records[-1]

    monkeypatch.setattr(pythia8mc, "Pythia", Recording)
    hard_collisions(SETTINGS, name, 0)(300)
    cosines = [c for event in records[0].prt for c in decay_cosines(event)]
    assert len(cosines) == 600
    # cos^2 has mean 1/3 and variance 4/45 where the decay is isotropic, so the mean of
    # 600 is off by 0.012; transverse bosons have 2/5, five and a half times that away.
    assert abs(np.mean(np.square(cosines)) - 1 / 3) < 3.3 * np.sqrt(4 / 45 / 600)


def decay_cosines(event):
    """Of the angle between each boson's flight and, at its rest, its first quark."""
    number, momentum = np.asarray(event.id), event.p
    p4 = np.stack([np.asarray(momentum[k]) for k in ("px", "py", "pz", "e")], axis=1)
    first, second = np.asarray(event.daughter1), np.asarray(event.daughter2)
    for row in np.flatnonzero(np.isin(np.abs(number), (23, 24))):
        quark = p4[first[row]]
        if first[row] == second[row] or abs(number[first[row]]) > 5:
            continue  # a copy of the boson
        boson = p4[row]
        speed = np.linalg.norm(boson[:3]) / boson[3]
        along = quark[:3] @ boson[:3] / np.linalg.norm(boson[:3])
        # The boost along the flight: p' = gamma (p - v E), with the quark massless.
        gamma = 1 / np.sqrt(1 - speed**2)
        parallel, energy = (
            gamma * (along - speed * quark[3]),
            gamma * (quark[3] - speed * along),
        )
        yield parallel / energy


@pytest.mark.parametrize("name", ["g", "w"])
def test_a_unit_has_the_same_collisions_each_time_and_others_than_the_next(
    batches, name
):
    first = batches[name].particles
    again = hard_collisions(SETTINGS, name, 0)(12).particles
    other = hard_collisions(SETTINGS, name, 1)(12).particles
    assert np.array_equal(first.px, again.px)
    assert not np.isin(other.px, first.px).any()


def test_batches_of_any_size_continue_one_sequence(batches):
    draw = hard_collisions(SETTINGS, "z", 0)
    parts = [draw(n).particles.energy for n in (5, 1, 6)]
    assert np.array_equal(np.concatenate(parts), batches["z"].particles.energy)


def test_the_underlying_event_adds_particles(batches):
    settings = Settings(n_jets=5, seed=9, mpi=True)
    with_it = hard_collisions(settings, "q", 0)(12).particles
    assert len(with_it.px) > 1.2 * len(batches["q"].particles.px)


def test_the_pool_has_the_collisions_asked_for_and_is_the_same_each_time():
    bank = pool(SETTINGS)
    assert np.array_equal(np.unique(bank.event), np.arange(12))
    again = minimum_bias(SETTINGS)(12).particles
    assert np.array_equal(again.px, bank.px)


def test_overlay_keeps_the_hard_collision_and_marks_the_rest(batches):
    hard = batches["t"].particles
    both = overlay(hard, 12, SETTINGS, np.random.default_rng(1))
    assert np.all(np.diff(both.event) >= 0)
    kept = both[~both.pileup]
    assert np.array_equal(kept.px, hard.px)
    assert np.array_equal(kept.event, hard.event)
    extra = both[both.pileup]
    assert set(extra.energy.tolist()) <= set(pool(SETTINGS).energy.tolist())
    # Turned and mirrored, but not stretched: squares of up to 6500 GeV, rounded.
    momentum2 = extra.px**2 + extra.py**2 + extra.pz**2
    assert np.all(momentum2 <= extra.energy**2 * (1 + 1e-9))


def test_overlay_adds_as_many_collisions_as_a_poisson_law_says():
    hard = hard_collisions(SETTINGS, "w", 3)(1).particles
    one = hard[np.zeros(0, np.int64)]
    events = 300
    both = overlay(one, events, SETTINGS, np.random.default_rng(2))
    bank = pool(SETTINGS)
    size = np.bincount(bank.event)
    # Mean and variance of a sum of Poisson(20) draws from the pool, six deviations.
    mean = 20 * size.mean()
    deviation = np.sqrt(20 * (size.astype(float) ** 2).mean() / events)
    assert abs(len(both.px) / events - mean) < 6 * deviation
