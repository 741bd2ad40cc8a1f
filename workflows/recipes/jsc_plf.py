"""Jet tagging from particles: g, q, t, W or Z from the leading ones of a jet.

The task of HGQ-LUT's table of particle networks (Sun et al., arXiv 2604.22293): 8, 16,
32 or 64 particles, of three features each or of sixteen, that may change places.  The
embedded sample holds the 16 leading particles of 20,005 jets, enough to try it;
`--data` names more.
"""

from dataclasses import replace

from models.settings import TrainConfig
from trigger.particles import ALL_16, PT_ETA_PHI
from workflows.groups import EMBEDDED, Budget, Data, Network, Verify, Words
from workflows.recipe import Recipe
from workflows.recipes.samples import PARTICLES

_FILES = (EMBEDDED + "jsc_particles.root",)

QUICK = (
    ("train.epochs", "30"),
    ("train.batch", "512"),
    ("verify.random_words", "1000"),
)

PLF = Recipe(
    name="jsc_plf",
    description="five jet classes from 16 particles of 3 features, permutation invariant",
    data=Data(PARTICLES, PT_ETA_PHI, 16, files=_FILES),
    words=Words(bits=8),
    network=Network("deep_sets", per_particle=(8, 8), head=(24,)),
    train=TrainConfig(epochs=300, batch=512, areas=(1.8, 1.2, 0.9)),
    budget=Budget(luts=4000, latency_ns=50.0, clock_mhz=360.0),
    verify=Verify(random_words=10_000),
    quick=(*QUICK, ("data.particles", "8"), ("budget.luts", "1500")),
)


def _places(particles: int, luts: int) -> Recipe:
    return replace(
        PLF,
        name=f"jsc_plf_{particles}",
        description=f"the same from {particles} particles",
        data=replace(PLF.data, particles=particles),
        budget=replace(PLF.budget, luts=luts),
        quick=QUICK,
    )


WIDE = replace(
    PLF,
    name="jsc_plf_wide",
    description="the same from 16 particles of 16 features",
    data=replace(PLF.data, inputs=ALL_16),
    budget=replace(PLF.budget, luts=6000),
    quick=QUICK,
)

RECIPES = {
    recipe.name: recipe
    for recipe in (PLF, _places(8, 2500), _places(32, 7000), _places(64, 12000), WIDE)
}
