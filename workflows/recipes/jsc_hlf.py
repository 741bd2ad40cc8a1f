"""Jet tagging from high-level features: g, q, t, W or Z from 16 numbers a jet.

The task of J. Duarte et al., "Fast inference of deep neural networks in FPGAs for
particle physics", JINST 13 (2018) P07027, doi:10.1088/1748-0221/13/07/P07027, on jets
generated for this project.  `jsc_hlf` trains for about half a minute on two cores;
`jsc_hlf_full` is the schedule that the published numbers come from.
"""

from dataclasses import replace

from models.settings import TrainConfig
from workflows.groups import Budget, Data, Verify, Words
from workflows.recipe import Recipe
from workflows.recipes.samples import HIGH_LEVEL, JETS

DEMO = Recipe(
    name="jsc_hlf",
    description="five jet classes from 16 high-level features, half a minute of training",
    data=Data(JETS, HIGH_LEVEL),
    # Seven bits resolve the groomed mass to 2 GeV, a fifth of what separates W and Z.
    words=Words(bits=7),
    train=TrainConfig(epochs=100),
    budget=Budget(luts=1000, latency_ns=25.0, clock_mhz=360.0),
    verify=Verify(random_words=10_000),
    quick=(("train.epochs", "40"), ("verify.random_words", "1000")),
)

FULL = replace(
    DEMO,
    name="jsc_hlf_full",
    description="five jet classes from 16 high-level features, a few minutes",
    # The eighth bit of the features is worth .002 in accuracy to a float network.
    words=Words(bits=8),
    # Small batches use each jet more often; the reference converges best at 512 too.
    train=TrainConfig(
        units=(32,),
        most_address=8,
        epochs=900,
        batch=512,
        teacher=0.5,
        areas=(1.5, 0.9, 0.6, 0.4),
    ),
    budget=Budget(luts=1500, latency_ns=25.0, clock_mhz=360.0),
    quick=(*DEMO.quick, ("train.batch", "1024"), ("train.teacher", "0")),
)

RECIPES = {recipe.name: recipe for recipe in (DEMO, FULL)}
