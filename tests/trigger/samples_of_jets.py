"""Samples of jets with particles from lists of numbers, without any file."""

from typing import Any

import awkward as ak
import numpy as np

from trigger.datasets.card import Card, Column, Identity, ParticleList
from trigger.datasets.cutflow import CutFlow
from trigger.datasets.sample import Sample

PARTICLE = ("pt", "eta", "phi", "pdg_id")
_UNITS = {"pt": "GeV", "phi": "rad"}


def sample_of(jets, keep=64):
    """A sample of jets `((pt, eta, phi), [(pt, eta, phi, pdg_id), ...])`."""
    axis = np.array([axis for axis, _ in jets], np.float64).reshape(-1, 3)
    counts = np.array([len(particles) for _, particles in jets], np.int64)
    flat = np.array([one for _, particles in jets for one in particles], np.float64)
    columns: dict[str, Any] = dict(zip(PARTICLE, flat.reshape(-1, 4).T, strict=True))
    columns["pdg_id"] = columns["pdg_id"].astype(np.int64)
    objects: dict[str, Any] = dict(zip(PARTICLE[:3], axis.T, strict=True))
    objects["constituents"] = ak.unflatten(ak.zip(columns), counts)

    def described(prefix, names):
        return tuple(Column(n, f"{prefix}_{n}", _UNITS.get(n, "")) for n in names)

    particles = ParticleList(described("P", PARTICLE), "index", "P_jet", keep=keep)
    card = Card(
        *("jets", "Events", Identity(number="event"), described("J", PARTICLE[:3])),
        objects="J",
        constituents=particles,
    )
    event = np.zeros((len(jets), 3), np.uint64)
    event[:, 2] = np.arange(len(jets))
    return Sample(card, ak.zip(objects, depth_limit=1), event, CutFlow(), (), ())
