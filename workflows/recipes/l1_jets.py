"""Jets as a level-1 trigger sees them, from the words of a link to scores.

Detector-level jets with 140 collisions overlaid; the block takes the words of the axis
and of the leading Puppi candidates, forms their features in integers itself, and is
exact from the link to the score.  A correlator board gets an event every six bunch
crossings with up to 16 jets: the latency follows from that.
"""

from models.settings import TrainConfig
from trigger.front_end import FrontEnd
from workflows.groups import EMBEDDED, Budget, Data, Network, Verify
from workflows.recipe import Recipe
from workflows.recipes.samples import L1

FRONT = FrontEnd(
    particles=16,
    features=("log_pt_rel", "delta_eta", "delta_phi", "is_photon", "charge"),
)

L1_JETS = Recipe(
    name="l1_jets",
    description="five jet classes from the link words of 16 candidates, pile-up 140",
    data=Data(L1, front_end=FRONT, files=(EMBEDDED + "l1_sample.root",)),
    network=Network("deep_sets", per_particle=(12, 8), head=(24,)),
    train=TrainConfig(epochs=300, batch=512, areas=(1.5, 1.0, 0.8)),
    # The event's 150 ns less the 15 clocks after which the last of 16 jets comes.
    budget=Budget(luts=7000, latency_ns=0.0, clock_mhz=360.0, tmux=6, jets=16),
    verify=Verify(random_words=10_000),
    quick=(
        ("data.front_end.particles", "8"),
        ("budget.luts", "3000"),
        ("train.epochs", "30"),
        ("verify.random_words", "1000"),
    ),
)

RECIPES = {L1_JETS.name: L1_JETS}
