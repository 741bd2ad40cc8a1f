"""Jet tagging from particles: g, q, t, W or Z from the leading ones of a jet.

The task of HGQ-LUT's table of particle networks (Sun et al., arXiv 2604.22293): 8, 16,
32 or 64 particles, of three features each or of sixteen, that may change places.  The
embedded sample holds the 16 leading particles of 20,005 jets, enough to try it;
`--data` names more.
"""

from models.settings import TrainConfig
from trigger.particles import ALL_16, PT_ETA_PHI
from workflows.groups import EMBEDDED, Budget, Data, Network, Verify, Words
from workflows.recipe import Recipe
from workflows.recipes.samples import PARTICLES

_LUTS = {8: (2500, 3500), 16: (4000, 6000), 32: (7000, 10000), 64: (12000, 18000)}
"""Budgets of three and of sixteen features, by the number of particles."""


def _recipe(particles: int, inputs: tuple[str, ...], luts: int) -> Recipe:
    wide = len(inputs) > len(PT_ETA_PHI)
    name = "jsc_plf" + (f"_{particles}" if particles != 16 else "")
    return Recipe(
        name=name + ("_wide" if wide else ""),
        description=f"five jet classes from {particles} particles of {len(inputs)} "
        "features, permutation invariant",
        data=Data(
            PARTICLES, inputs, particles, files=(EMBEDDED + "jsc_particles.root",)
        ),
        words=Words(bits=8),
        network=Network("deep_sets", per_particle=(8, 8), head=(24,)),
        # Estimates of these networks are about a tenth too low; the last area leaves room
        # for that, and what is counted decides.
        train=TrainConfig(epochs=300, batch=512, areas=(1.5, 1.0, 0.8)),
        budget=Budget(luts=luts, latency_ns=50.0, clock_mhz=360.0),
        verify=Verify(random_words=10_000),
        # Half of the particles in a third of the area, so that two minutes do.
        quick=(
            ("data.particles", str(max(particles // 2, 8))),
            ("budget.luts", str(luts // 3)),
            ("train.epochs", "30"),
            ("verify.random_words", "1000"),
        ),
    )


RECIPES = {
    recipe.name: recipe
    for recipe in (
        _recipe(particles, inputs, luts)
        for particles, budgets in _LUTS.items()
        for inputs, luts in zip((PT_ETA_PHI, ALL_16), budgets, strict=True)
    )
}
