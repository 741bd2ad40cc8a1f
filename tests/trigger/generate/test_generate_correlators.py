import itertools
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("fastjet", reason="no fastjet: pip install 'jetlut[generate]'")

from trigger.generate.correlators import Correlators, correlators

# Sums of n <= 12 particles have fewer than 300 positive terms: each is off by some
# roundings of 1.1e-16, and differences of azimuths by 4 pi * 1.1e-16, which is relative
# to the smallest angle that is drawn, 1e-3: 1e-12, twice or four times over in a product.
RELATIVE = 1e-11


def slow(pt, rapidity, phi):
    """The definitions, term by term, as arXiv:1609.07483 writes them."""
    n = len(pt)
    z = [p / math.fsum(pt) for p in pt]

    def theta(i, j):
        turn = abs(phi[i] - phi[j]) % (2 * math.pi)
        return math.hypot(rapidity[i] - rapidity[j], min(turn, 2 * math.pi - turn))

    def e2(beta):
        pairs = itertools.combinations(range(n), 2)
        return math.fsum(z[i] * z[j] * theta(i, j) ** beta for i, j in pairs)

    def e3(sides, beta):
        total = []
        for i in range(n):
            for j in range(i + 1, n):
                for k in range(j + 1, n):
                    angles = sorted([theta(i, j), theta(i, k), theta(j, k)])
                    product = math.prod(angles[:sides])
                    total.append(z[i] * z[j] * z[k] * product**beta)
        return math.fsum(total)

    return Correlators(
        *(e2(0), e2(1), e2(2)),
        *(e3(1, 1), e3(1, 2), e3(2, 1), e3(2, 2), e3(3, 1), e3(3, 2)),
    )


def close(one, other):
    for name, value in asdict(one).items():
        assert math.isclose(
            value, getattr(other, name), rel_tol=RELATIVE, abs_tol=1e-30
        ), name


@st.composite
def jets(draw):
    """Momenta over six decades; directions from a lattice, so that sides are equal."""
    n = draw(st.integers(1, 12))
    places = st.tuples(st.integers(-40, 40), st.integers(-300, 300))
    cells = draw(st.lists(places, min_size=n, max_size=n, unique=True))
    pt = draw(st.lists(st.floats(1e-3, 1e3), min_size=n, max_size=n))
    rapidity, phi = np.array(cells, float).T * 0.01
    return np.array(pt), rapidity, phi


@given(jets())
def test_sums_are_those_of_explicit_loops_over_pairs_and_triples(jet):
    close(correlators(*jet), slow(*jet))


@pytest.mark.parametrize("count", [2, 3, 40, 200])
def test_sums_do_not_depend_on_the_order_of_particles_or_the_size_of_blocks(
    count, monkeypatch
):
    rng = np.random.default_rng(count)
    jet = rng.random((3, count))
    shuffled = correlators(*jet[:, rng.permutation(count)])
    whole = correlators(*jet)
    close(whole, shuffled)
    monkeypatch.setattr("trigger.generate.correlators._BLOCK", 7 * count)
    close(whole, correlators(*jet))


def test_ranks_beyond_sixteen_bits_do_not_wrap():
    # 300 particles have 44,850 pairs.  On a line all the smallest sides are known.
    place = np.arange(300.0) / 300
    sums = correlators(np.ones(300), place, np.zeros(300))
    gap = place[None] - place[:, None]
    expected = 0.0
    for j in range(300):
        left, right = gap[:j, j], gap[j, j + 1 :]
        expected += np.minimum(left[:, None], right[None]).sum() / 300**3
    assert math.isclose(sums.v1_b1, expected, rel_tol=1e-11)


@given(jets(), st.floats(0.1, 10.0), st.floats(-7.0, 7.0))
def test_scaling_momenta_and_turning_the_jet_change_nothing(jet, scale, turn):
    pt, rapidity, phi = jet
    one, other = correlators(pt, rapidity, phi), correlators(scale * pt, rapidity, phi)
    close(one, other)
    turned = correlators(pt, rapidity, phi + turn)
    # phi up to 10 in size is rounded by 9e-16: against sides of at least 0.01 that is
    # 1e-13 of a side, and up to six sides are multiplied.
    assert math.isclose(one.e2_b1, turned.e2_b1, rel_tol=1e-11, abs_tol=1e-30)
    assert math.isclose(one.v2_b2, turned.v2_b2, rel_tol=1e-11, abs_tol=1e-30)
