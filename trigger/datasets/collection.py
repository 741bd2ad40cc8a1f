"""The words in which the table of layouts is written.

This module owns what a row of the table may say, and the columns that every experiment
has, with their units.
"""

from dataclasses import dataclass
from typing import final

from trigger.datasets.card import Column, Cut, Identity, Label, ParticleList

_UNITS = {"pt": "GeV", "mass": "GeV", "phi": "rad", "energy": "GeV"}
_ABOUT = {
    "pt": "transverse momentum",
    "eta": "pseudorapidity",
    "phi": "azimuth",
    "mass": "invariant mass",
    "energy": "energy",
    "pdg_id": "PDG number",
    "charge": "charge in units of the proton's",
}


@final
@dataclass(frozen=True)
class Collection:
    """Objects of a layout: their columns, and what a file may have besides.

    Attributes:
        objects: The collection, or `ENTRY`.
        columns: Columns, of which the first must be there.
        labels: Rules, of which the first is taken whose branches are there.
        constituents: Particle lists, likewise.
        selection: Cuts, each taken if its column is there.
    """

    objects: str
    columns: tuple[Column, ...]
    labels: tuple[Label, ...] = ()
    constituents: tuple[ParticleList, ...] = ()
    selection: tuple[Cut, ...] = ()


@final
@dataclass(frozen=True)
class Layout:
    """One row of the table.

    Attributes:
        name: What it is called.
        trees: Patterns of the tree's name.
        marks: Branches that must be there, each one of a choice.
        event: Identities, of which the first is taken whose branches are there.
        collections: In the order of preference.
        friends: Trees that are read along.
    """

    name: str
    trees: tuple[str, ...]
    marks: tuple[tuple[str, ...], ...]
    event: tuple[Identity, ...]
    collections: tuple[Collection, ...]
    friends: tuple[str, ...] = ()


def kinematics(
    prefix: str, names: dict[str, str] | None = None, gev: float = 1.0
) -> tuple[Column, ...]:
    """Columns pt, eta, phi, mass, or those named, of a collection.

    Args:
        prefix: What the branches begin with.
        names: Column to the rest of the branch; the same name if not given.
        gev: Momenta and masses of the file in GeV.
    """
    return tuple(
        Column(
            name,
            prefix + rest,
            _UNITS.get(name, ""),
            _ABOUT.get(name, ""),
            scale=gev if _UNITS.get(name) == "GeV" else 1.0,
        )
        for name, rest in (
            names or {n: n for n in ("pt", "eta", "phi", "mass")}
        ).items()
    )


def same(*names: str) -> dict[str, str]:
    """Columns that are called in the file as they are here, for `kinematics`."""
    return {name: name for name in names}
