import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastjet", reason="no fastjet: pip install 'jetlut[generate]'")

from trigger.generate.grooming import groom
from trigger.generate.particles import Candidates
from trigger.generate.substructure import FEATURES, features


def pseudojet(p):
    px, py, pz, energy = p
    return math.hypot(px, py), math.atanh(pz / energy), math.atan2(py, px)


def distance(p, q):
    _, y1, phi1 = pseudojet(p)
    _, y2, phi2 = pseudojet(q)
    turn = abs(phi1 - phi2)
    return math.hypot(y1 - y2, min(turn, 2 * math.pi - turn))


def slow_groom(momenta, z_cut):
    """Indices that modified mass drop keeps: every pair compared at every step."""
    trees: list[Any] = [(tuple(p), [i], None) for i, p in enumerate(momenta.T)]
    while len(trees) > 1:
        pairs = [(i, j) for i in range(len(trees)) for j in range(i)]
        i, j = min(pairs, key=lambda ij: distance(trees[ij[0]][0], trees[ij[1]][0]))
        a, b = trees[i], trees[j]
        total = tuple(x + y for x, y in zip(a[0], b[0], strict=True))
        trees = [t for k, t in enumerate(trees) if k not in (i, j)]
        trees.append((total, a[1] + b[1], (a, b)))
    (node,) = trees
    while node[2] is not None:
        soft, hard = sorted(node[2], key=lambda child: pseudojet(child[0])[0])
        pt_soft, pt_hard = pseudojet(soft[0])[0], pseudojet(hard[0])[0]
        if pt_soft / (pt_soft + pt_hard) > z_cut:
            break
        node = hard
    return sorted(node[1])


def candidates(rng, counts):
    """Random massive constituents of jets around a random axis."""
    n = sum(counts)
    jet = np.repeat(np.arange(len(counts)), counts)
    axis = rng.uniform(-2, 2, len(counts)), rng.uniform(-np.pi, np.pi, len(counts))
    return Candidates(
        jet,
        np.exp(rng.uniform(-2, 6, n)),
        axis[0][jet] + 0.2 * rng.normal(size=n),
        axis[1][jet] + 0.2 * rng.normal(size=n),
        rng.choice([0.0, 0.13957, 0.93827], n),
        rng.choice([22, 211, 130], n),
    )


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 14), min_size=1, max_size=6))
def test_grooming_keeps_what_a_plain_loop_over_all_pairs_keeps(seed, counts):
    momenta = candidates(np.random.default_rng(seed), counts).four_momenta()
    kept = groom(momenta, np.array(counts))
    start = 0
    for count in counts:
        expected = slow_groom(momenta[:, start : start + count], 0.1)
        assert np.flatnonzero(kept[start : start + count]).tolist() == expected
        start += count


def test_a_stricter_cut_never_keeps_more_and_no_cut_keeps_all():
    counts = np.array([30, 1, 60, 2])
    momenta = candidates(np.random.default_rng(7), counts).four_momenta()
    loose, strict = groom(momenta, counts, 0.05), groom(momenta, counts, 0.3)
    assert np.all(loose | ~strict)
    assert groom(momenta, counts, 0.0).all()
    assert strict[30]  # a single constituent stays


def test_mass_and_zlogz_are_those_of_sums_of_four_vectors():
    counts = np.array([25, 40, 3])
    jets = candidates(np.random.default_rng(3), counts)
    values = dict(zip(FEATURES, features(jets, counts).T, strict=True))
    momenta = jets.four_momenta()
    start = 0
    for jet, count in enumerate(counts):
        block = momenta[:, start : start + count]
        px, py, pz, energy = (
            math.fsum(row) for row in block[:, slow_groom(block, 0.1)]
        )
        squared = energy**2 - px**2 - py**2 - pz**2
        # Squares of energies are rounded by 1.1e-16 each and sums of them by as much for
        # every term: less than 50 of these, of which the mass is what cancels leave.
        bound = 50 * 2.3e-16 * energy**2
        assert abs(values["mass_mmdt"][jet] ** 2 - squared) < bound
        total = math.fsum(block[3])
        zlogz = math.fsum(e / total * math.log(e / total) for e in block[3])
        assert math.isclose(values["zlogz"][jet], zlogz, rel_tol=1e-13)
        assert values["multiplicity"][jet] == count
        start += count


def test_a_jet_of_one_particle_has_no_ratios_and_its_own_mass():
    event, pt, axis = np.zeros(1, np.int64), np.array([1000.0]), np.zeros(1)
    one = Candidates(event, pt, axis, axis, np.array([0.5]), np.array([211]))
    (row,) = features(one, np.array([1]))
    mass = FEATURES.index("mass_mmdt")
    # E^2 - p^2 with E near 1000 loses 1e6 * 4 * 1.1e-16 of 0.25.
    assert abs(row[mass] - 0.5) < 1e-8
    row[mass] = 0.0
    assert np.array_equal(row, [0.0] * 15 + [1.0])


def test_two_particles_have_the_ratios_of_one_pair():
    pair = Candidates(
        np.zeros(2, np.int64),
        np.array([300.0, 100.0]),
        np.array([0.0, 0.3]),
        np.array([np.pi - 0.1, -np.pi + 0.3]),
        np.zeros(2),
        np.array([22, 22]),
    )
    (row,) = features(pair, np.array([2]))
    values = dict(zip(FEATURES, row, strict=True))
    # 3/4 * 1/4 * 0.5, for three decimal inputs that are rounded to a double
    assert math.isclose(values["c1_b1_mmdt"], 0.1875 * 0.5, rel_tol=1e-14)
    assert values["c2_b1_mmdt"] == values["m2_b1_mmdt"] == values["n2_b1_mmdt"] == 0.0


def test_no_jets_have_no_features():
    none = candidates(np.random.default_rng(0), [])
    assert features(none, np.zeros(0, np.int64)).shape == (0, 16)
