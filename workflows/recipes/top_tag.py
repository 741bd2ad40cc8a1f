"""Top quarks against light quarks and gluons: one score and the integer to cut it at.

The threshold is the least at which at most one in a hundred of the background of the
validation split passes, and stands in the bundle's `io.json`.
"""

from dataclasses import replace

from models.settings import TrainConfig
from trigger.datasets.card import BranchLabel
from workflows.groups import Budget, Data, Physics, Verify, Words
from workflows.recipe import Recipe
from workflows.recipes.samples import HIGH_LEVEL, JETS

CARD = replace(
    JETS,
    name="top_sample",
    # W and Z are no background that a menu asks about; their jets are left out.
    label=BranchLabel(
        "Jet_label", ("qcd", "top"), ((0, "qcd"), (1, "qcd"), (2, "top"))
    ),
    description="jets of tops, light quarks and gluons from 900 GeV, features only",
)

TOP = Recipe(
    name="top_tag",
    description="top against quark and gluon, one score, an integer working point at 1 %",
    data=Data(CARD, HIGH_LEVEL, score="top"),
    words=Words(bits=7),
    train=TrainConfig(epochs=100, units=(12,), teacher=0.5, areas=(1.6, 0.9, 0.6)),
    budget=Budget(luts=500, latency_ns=25.0, clock_mhz=360.0),
    physics=Physics(background=0.01),
    verify=Verify(random_words=10_000),
    quick=(
        ("train.epochs", "40"),
        ("train.teacher", "0"),
        ("verify.random_words", "1000"),
    ),
)

RECIPES = {TOP.name: TOP}
