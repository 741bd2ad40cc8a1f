import pytest

from trigger.errors import UserError
from trigger.generate.settings import Settings


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"classes": ("g", "x")},
            "no class 'x' of jets; the most alike of g, q, t, w, z",
        ),
        ({"classes": ("g", "g")}, "distinct classes are needed, got 'g,g'"),
        ({"detector": "l2"}, "no detector 'l2'; there are 'l1', 'none'"),
        ({"n_jets": 4}, "4 jets cannot be shared among 5 classes"),
        ({"seed": -1}, "the seed must be in 0..2**32-1, got -1"),
        ({"pt_min": 900.0, "pt_max": 900.0}, "range of the jets' pT is empty"),
        ({"pt_min": float("nan")}, "range of the jets' pT is empty or impossible: nan"),
        ({"pt_max": 7000.0}, "at most half of the 13000 GeV that collide"),
        ({"pthat": (1010.0, 990.0)}, "pTHat is empty or impossible: 1010 to 990 GeV"),
        ({"pileup": -1.0}, "from 0 to 1000, got -1"),
        ({"pileup": float("nan")}, "from 0 to 1000, got nan"),
        ({"radius": 0.0}, "radius must be above 0 and at most 1.5, got 0"),
        ({"eta_max": 6.0}, "above 0 and at most at 5, got 6"),
        ({"constituents": 0}, "constituents must be 1 or more, got 0"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_sentence(changed, told):
    with pytest.raises(UserError) as error:
        Settings(**({"n_jets": 100} | changed))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_jet_belongs_to_a_parton_within_half_of_its_radius():
    assert Settings(n_jets=5).match == 0.2
    assert Settings(n_jets=5, radius=0.8).match == 0.4
