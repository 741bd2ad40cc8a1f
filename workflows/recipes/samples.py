"""The cards of the embedded samples: what is in their files, and in larger ones alike."""

from dataclasses import replace

from trigger.datasets.card import BranchLabel, Card, Column, Identity, ParticleList

CLASSES = ("g", "q", "t", "w", "z")

HIGH_LEVEL = (
    *("zlogz", "c1_b0_mmdt", "c1_b1_mmdt", "c1_b2_mmdt", "c2_b1_mmdt", "c2_b2_mmdt"),
    *("d2_b1_mmdt", "d2_b2_mmdt", "d2_a1_b1_mmdt", "d2_a1_b2_mmdt", "m2_b1_mmdt"),
    *("m2_b2_mmdt", "n2_b1_mmdt", "n2_b2_mmdt", "mass_mmdt", "multiplicity"),
)
"""Energy correlation functions of groomed jets and their ratios, the groomed mass and
the number of constituents; pure numbers but for the mass."""

_UNITS = {"pt": "GeV", "phi": "rad", "mass": "GeV", "mass_mmdt": "GeV"}


def _columns(prefix: str, names: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(Column(n, f"{prefix}_{n}", _UNITS.get(n, "")) for n in names)


JETS = Card(
    name="jsc_sample",
    tree="Events",
    event=Identity("run", "luminosityBlock", "event"),
    objects="Jet",
    columns=_columns("Jet", ("pt", "eta", "phi", *HIGH_LEVEL)),
    label=BranchLabel("Jet_label", CLASSES),
    format="nanoaod-like",
    description="five classes of jets from 900 GeV, features only",
    source="generated with PYTHIA 8.317, see workflows/data/README.md",
    licence="CC0-1.0 or Apache-2.0",
)

PARTICLES = replace(
    JETS,
    name="jsc_particles",
    columns=_columns("Jet", ("pt", "eta", "phi")),
    constituents=ParticleList(
        (
            *_columns("PFCand", ("pt", "eta", "phi")),
            Column("pdg_id", "PFCand_pdgId", about="PDG number"),
        ),
        index="PFCand_jetIdx",
    ),
    description="five classes of jets from 900 GeV, their leading particles",
)

L1 = replace(
    PARTICLES,
    name="l1_sample",
    columns=(
        *_columns("Jet", ("pt", "eta", "phi")),
        Column("parton_pt", "Jet_partonPt", "GeV", "of the hard parton"),
        Column(
            "pileup", "Pileup_nTrueInt", about="mean collisions overlaid", per="event"
        ),
    ),
    description="five classes of jets from 800 GeV in a level-1 detector with 140 "
    "collisions overlaid",
)
