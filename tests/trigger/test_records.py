import math

import numpy as np
import pytest

from trigger.errors import UserError
from trigger.records import (
    CHARGED,
    L1GT_JET,
    NEUTRAL,
    PDG_IDS,
    PUPPI,
    PUPPI_CHARGED,
    PUPPI_NEUTRAL,
    TAG_CLASSES,
    kind_of_pdg,
    pdg_of_kind,
)


def column(*counts):
    return np.array(counts, np.int64)


# A word is put together here by hand: every count times two to its lowest bit.
H_MINUS = 200 + (-300 % 4096 << 14) + (-719 % 2048 << 26) + (2 << 37)
H_MINUS += (-37 % 1024 << 40) + (17 << 50) + (5 << 58)
PHOTON = 16383 + (2047 << 14) + (720 << 26) + (1 << 37) + (256 << 40) + (33 << 49)

CANDIDATES = {
    "pt": column(200, 16383),
    "eta": column(-300, 2047),
    "phi": column(-719, 720),
    "id": column(2, 1),
    "z0": column(-37, 0),
    "dxy": column(17, 0),
    "quality": column(5, 0),
    "weight": column(0, 256),
    "em_id": column(0, 33),
}


def test_a_puppi_word_has_the_bits_of_cmssw():
    words = PUPPI.pack(CANDIDATES)
    assert words.tolist() == [[H_MINUS], [PHOTON]]
    back = PUPPI.unpack(words)
    assert {name: back[name].tolist() for name in back} == {
        name: counts.tolist() for name, counts in CANDIDATES.items()
    }


def test_a_puppi_word_means_what_cmssw_says():
    values = PUPPI.to_physics(PUPPI.unpack(PUPPI.pack(CANDIDATES)))
    assert values["pt"].tolist() == [50.0, 4095.75]
    assert values["eta"].tolist() == [-300 * (math.pi / 720), 2047 * (math.pi / 720)]
    assert values["phi"][1] == math.pi
    assert values["z0"].tolist() == [-37 * 0.05, 0]
    assert values["dxy"].tolist() == [17 / 64, 0]
    assert values["weight"].tolist() == [0, 1.0]


def test_a_puppi_candidate_leaves_three_bits_of_its_word():
    assert PUPPI_CHARGED.spare == 3
    assert PUPPI_NEUTRAL.spare == 9  # six more than tracks need
    assert [field.offset for field in PUPPI_CHARGED.fields] == [
        0,
        14,
        26,
        37,
        40,
        50,
        58,
    ]


def test_every_kind_comes_back_from_its_word():
    kinds = np.arange(8)
    charged, neutral = np.isin(kinds, CHARGED), np.isin(kinds, NEUTRAL)
    assert np.array_equal(charged, ~neutral)
    columns = {
        **{name: np.full(8, 9) for name in ("pt", "eta", "phi")},
        "id": kinds,
        **{name: np.where(charged, 3, 0) for name in ("z0", "dxy", "quality")},
        **{name: np.where(neutral, 3, 0) for name in ("weight", "em_id")},
    }
    back = PUPPI.unpack(PUPPI.pack(columns))
    assert all(np.array_equal(back[name], columns[name]) for name in columns)


def test_a_photon_has_no_track():
    columns = {**CANDIDATES, "z0": column(-37, 4)}
    with pytest.raises(UserError, match=r"'z0' is 4 at row 1, .* 'puppi_neutral'"):
        PUPPI.pack(columns)


def away(x):
    """Halves away from zero, as `std::round`."""
    return math.copysign(math.floor(abs(x) + 0.5), x)


@pytest.mark.parametrize(
    ("name", "lsb", "bits", "signed"),
    [
        ("eta", math.pi / 720, 12, True),
        ("phi", math.pi / 720, 11, True),
        ("z0", 0.05, 10, True),
        ("dxy", 1 / 64, 8, False),
    ],
)
def test_physical_values_round_and_wrap_as_in_cmssw(name, lsb, bits, signed):
    draw = np.random.default_rng(4)
    reach = 2**bits * lsb
    values = draw.uniform(-reach * signed, reach, 5000).astype(np.float32)
    values[:100] = (np.arange(100) + 0.5) * lsb  # at its ties
    quotients = (values / np.float32(lsb)).tolist()  # a float by a float
    expected = [int(away(q)) % 2**bits for q in quotients]
    if signed:
        expected = [n - 2**bits if n >= 2 ** (bits - 1) else n for n in expected]
    assert PUPPI.from_physics({name: values})[name].tolist() == expected


def test_momenta_round_and_saturate_as_in_cmssw():
    values = np.array([0.0, 0.124, 0.125, 0.375, 1.0, 4095.9, 1e9], np.float32)
    counts = PUPPI.from_physics({"pt": values})["pt"]
    assert counts.tolist() == [0, 0, 1, 2, 4, 16383, 16383]


def test_a_weight_rounds_to_even_and_wraps():
    values = np.array([0.5, 1.0, 0.5 / 256, 1.5 / 256, 2.0])
    assert PUPPI.from_physics({"weight": values})["weight"].tolist() == [
        *(128, 256, 0, 2, 0)
    ]


def test_a_global_trigger_jet_has_the_bits_of_cmssw():
    scores = (0, 1, 127, 128, 255, 64, 32, 16, 8)
    counts = {"valid": 1, "pt": 65535, "phi": -4096, "eta": 1234, "z0": -200}
    counts |= {f"score_{c}": n for c, n in zip(TAG_CLASSES, scores, strict=True)}
    record = 1 + (65535 << 1) + (-4096 % 8192 << 17) + (1234 << 30)
    record += -200 % 1024 << 44
    for index, score in enumerate(scores):
        record += score << (54 + 8 * index)
    words = L1GT_JET.pack({name: column(n) for name, n in counts.items()})
    assert words.tolist() == [[record % 2**64, record // 2**64]]
    back = L1GT_JET.unpack(words)
    assert {name: back[name].tolist() for name in back} == {
        name: [n] for name, n in counts.items()
    }
    assert (L1GT_JET.words, L1GT_JET.spare) == (2, 2)


def test_a_global_trigger_jet_means_what_cmssw_says():
    lsb = {field.name: field.lsb for field in L1GT_JET.fields}
    assert (lsb["pt"], lsb["z0"], lsb["score_b"]) == (1 / 32, 0.5, 1 / 128)
    assert lsb["eta"] == lsb["phi"] == math.pi / 4096
    raw = L1GT_JET.from_physics(
        {
            "phi": np.array([math.pi, 0.5 * math.pi / 4096, 1.5 * math.pi / 4096]),
            "eta": np.array([7.0, -7.0, 0.0]),
            "score_b": np.array([1.0, 0.5 / 128, 2.0]),
        }
    )
    assert raw["phi"].tolist() == [-4096, 0, 2]  # a half turn wraps; ties to even
    assert raw["eta"].tolist() == [8191, -8192, 0]  # saturates
    assert raw["score_b"].tolist() == [128, 1, 255]  # ties up, saturates


def test_kinds_are_named_as_the_record_has_them():
    expected = {130: 0, 22: 1, -211: 2, 211: 3, 11: 4, -11: 5, 13: 6, -13: 7}
    pdg = np.array(list(expected))
    assert kind_of_pdg(pdg).tolist() == list(expected.values())
    assert pdg_of_kind(kind_of_pdg(pdg)).tolist() == list(PDG_IDS) == list(expected)


def test_kinds_of_jets_of_particles_keep_their_shape():
    pdg = np.array([[22, -211], [130, 13]], np.int32)
    assert kind_of_pdg(pdg).tolist() == [[1, 2], [0, 6]]
    assert np.array_equal(pdg_of_kind(kind_of_pdg(pdg)), pdg)
    assert kind_of_pdg(np.zeros((0, 2), np.int64)).shape == (0, 2)


@pytest.mark.parametrize("number", [0, 1, 211000, -130, -22, -1000])
def test_a_particle_that_no_candidate_is_is_refused(number):
    message = rf"130, 22, -211, .*, got {number} \(1 of 3 are none of them\)"
    with pytest.raises(UserError, match=message):
        kind_of_pdg(np.array([22, number, 13]))


@pytest.mark.parametrize("kind", [-1, 8])
def test_a_kind_that_is_no_kind_is_refused(kind):
    with pytest.raises(UserError, match=rf"is 0\.\.7, got {kind}"):
        pdg_of_kind(np.array([0, kind]))
