"""The integer front end against arithmetic written out particle by particle."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trigger.errors import UserError
from trigger.front_end import (
    BY_KIND,
    FEATURES,
    TURN,
    FrontEnd,
    differences,
    log_entry,
    reciprocals,
)

MASSES = (0.4976, 0, 0.1396, 0.1396, 0.0005, 0.0005, 0.1057, 0.1057)


def jets(front: FrontEnd, count: int, seed: int) -> np.ndarray:
    """Words all over their ranges, azimuths within a turn, a third of them padding."""
    rng = np.random.default_rng(seed)
    words = np.stack(
        [rng.integers(w.range[0], w.range[1] + 1, count) for w in front.ports()], axis=1
    )
    for column, word in enumerate(front.ports()):
        if word.name.endswith("phi"):
            words[:, column] = rng.integers(-TURN // 2, TURN // 2, count)
        if word.name.endswith("_pt"):
            words[:, column] >>= rng.integers(0, 14, count)
            if word.name != "jet_pt":
                words[:, column] *= rng.random(count) < 0.67
    return words


def by_hand(front: FrontEnd, jet: list[int]) -> list[int]:
    """The features of one jet, in Python's own integers."""
    jet_pt, jet_eta, jet_phi, *rest = jet
    particles = [rest[4 * k : 4 * k + 4] for k in range(front.particles)]
    if front.order == "sorted":
        particles = sorted(particles, key=lambda particle: -particle[0])
    reach = 2 ** (front.angle_bits - 1)

    def log(pt: int) -> int:
        if pt >= 2**11:
            pt -= pt % 2**7
        elif pt >= 2**7:
            pt -= pt % 2**4
        n = 0  # the largest with 2**n <= pt**k
        while 2 ** (n + 1) <= pt**front.log_steps:
            n += 1
        return 1 + n if pt else 0

    row = []
    for pt, eta, phi, kind in particles:
        turns = [phi - jet_phi + turn * TURN for turn in (-1, 0, 1)]
        (nearest,) = [d for d in turns if -TURN // 2 <= d < TURN // 2]
        middle = 64 * (jet_pt // 64) + 32
        inverse = min(round(2 ** (front.relative_bits + 10) / middle), 1023)
        value = {
            "pt": pt,
            "log_pt": log(pt),
            "log_pt_rel": log(pt) - log(jet_pt),
            "pt_rel": min(pt * inverse // 1024, 2**front.relative_bits - 1),
            "delta_eta": min(max(eta - jet_eta, -reach), reach - 1),
            "delta_phi": min(max(nearest, -reach), reach - 1),
            "mass": round(256 * MASSES[kind]),
            "charge": [0, 0, -1, 1, -1, 1, -1, 1][kind],
            "is_charged_hadron": int(kind in (2, 3)),
            "is_neutral_hadron": int(kind == 0),
            "is_photon": int(kind == 1),
            "is_lepton": int(kind >= 4),
        }  # fmt: skip
        row += [value[name] if pt else 0 for name in front.features]
    return row


@settings(deadline=None, max_examples=25)
@given(
    particles=st.integers(1, 9),
    order=st.sampled_from(["declared", "sorted"]),
    angle_bits=st.integers(2, 12),
    log_steps=st.sampled_from([1, 2, 4, 8, 16]),
    relative_bits=st.integers(1, 10),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_feature_is_what_integer_arithmetic_by_hand_gives(
    particles, order, angle_bits, log_steps, relative_bits, seed
):
    front = FrontEnd(particles, FEATURES, order, angle_bits, log_steps, relative_bits)
    words = jets(front, 20, seed)
    expected = [by_hand(front, jet) for jet in words.tolist()]
    np.testing.assert_array_equal(front.run(words), expected)


@pytest.mark.parametrize("steps", [1, 4, 16])
def test_features_fit_the_words_that_the_network_is_told(steps):
    front = FrontEnd(2, FEATURES, log_steps=steps, angle_bits=7, relative_bits=5)
    words = jets(front, 5000, 1)
    words[:2] = [[w.range[end] for w in front.ports()] for end in (0, 1)]
    features = front.run(words)
    for column, word in zip(features.T, front.outputs(), strict=True):
        assert word.range[0] <= column.min()
        assert column.max() <= word.range[1]


def test_logarithms_rise_and_are_within_a_count_and_an_eighth_of_an_octave():
    # t drops what is below 1/8 of the pt, so log2 t is at most log2(9/8) too low; the
    # floor takes less than a count more.
    entry = np.array([log_entry(pt, 4) for pt in range(1 << 14)])
    assert (np.diff(entry) >= 0).all()
    gap = 1 + 4 * np.log2(np.arange(1, 1 << 14)) - entry[1:]
    assert gap.min() >= 0
    assert gap.max() < 1 + 4 * math.log2(9 / 8)


def test_reciprocals_are_near_one_over_the_pt_from_64_gev_on():
    # Half an entry of 64 counts at 256, and half a count of the least reciprocal.
    table = np.array(reciprocals(8), float)
    pt = np.arange(256, 1 << 14)
    exact = 2.0**18 / pt
    assert np.abs(table[pt >> 6] / exact - 1).max() <= 32 / 256 + 0.5 / table.min()


def test_padding_has_no_features():
    front = FrontEnd(3, FEATURES)
    words = jets(front, 100, 2)
    words[:, 7 + 0] = 0  # the pt of the second particle
    features = front.run(words).reshape(100, 3, -1)
    assert not features[:, 1].any()
    assert features[:, 0].any()


def test_a_sorted_front_end_does_not_care_for_the_order_of_the_link():
    front = FrontEnd(8, FEATURES, "sorted")
    words = jets(front, 200, 3)
    words[:, 3::4] = np.argsort(np.random.default_rng(4).random((200, 8)), axis=1) + 1
    turned = words[:, 3:].reshape(200, 8, 4)[:, ::-1].reshape(200, 32)
    other = np.concatenate([words[:, :3], turned], axis=1)
    np.testing.assert_array_equal(front.run(words), front.run(other))


def test_the_difference_to_real_numbers_is_that_of_flooring():
    front = FrontEnd(4, ("delta_eta", "delta_phi", "log_pt", "pt"))
    told = {d.feature: d for d in differences(front, jets(front, 5000, 5))}
    for exact in ("delta_eta", "delta_phi", "pt"):
        assert told[exact].largest == 0.0
    assert -1 < told["log_pt"].mean < 0
    assert told["log_pt"].largest < 1 + 4 * math.log2(9 / 8)


def test_azimuths_are_measured_the_short_way_round():
    front = FrontEnd(1, ("delta_phi",))
    for jet, particle, delta in ((719, -720, 1), (-720, 719, -1), (-10, 10, 20)):
        words = np.array([[1000, 0, jet, 10, 0, particle, 0]])
        np.testing.assert_array_equal(front.run(words), [[delta]])


def test_kinds_have_the_features_of_their_particles():
    assert BY_KIND["charge"] == (0, 0, -1, 1, -1, 1, -1, 1)
    ones = np.array([BY_KIND[name] for name in BY_KIND if name.startswith("is_")])
    np.testing.assert_array_equal(ones.sum(axis=0), np.ones(8))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"particles": 0}, "front_end.particles is 1 to 128, got 0"),
        ({"angle_bits": 1}, "front_end.angle_bits is 2 to 12, got 1"),
        ({"log_steps": 3}, "front_end.log_steps is a power of two, got 3"),
        ({"relative_bits": 11}, "front_end.relative_bits is 1 to 10, got 11"),
        (
            {"features": ("delta_ta",)},
            "the front end has no feature 'delta_ta'; the most alike of its 12 are "
            "'delta_eta'",
        ),
        (
            {"features": ("pt", "pt")},
            "front_end.features are distinct and at least one, got ('pt', 'pt')",
        ),
        ({"features": ()}, "front_end.features are distinct and at least one, got ()"),
    ],
)
def test_settings_out_of_range_are_refused(changed, message):
    with pytest.raises(UserError) as refused:
        FrontEnd(**{"particles": 4, **changed})
    assert message in str(refused.value)
