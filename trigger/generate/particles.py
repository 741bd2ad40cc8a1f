"""Particles of a batch of collisions as flat columns.

Conventions
-----------
- Momenta and energies are GeV, angles radians, charges those of the proton.
- `event` counts the collisions of the batch from 0 and never falls along a column.
"""

from dataclasses import dataclass, fields
from typing import final

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped


@final
@dataclass(frozen=True, eq=False)
class Particles:
    """What leaves the collisions: stable particles, of any kind.

    Attributes:
        event: Collision in the batch.
        px: Momentum, GeV.
        py: Momentum, GeV.
        pz: Momentum along the beam, GeV.
        energy: Energy, GeV.
        pdg_id: PDG number.
        charge: In units of the proton's.
        pileup: Whether the particle comes from an overlaid collision.
    """

    event: Int64[np.ndarray, " particles"]
    px: Float64[np.ndarray, " particles"]
    py: Float64[np.ndarray, " particles"]
    pz: Float64[np.ndarray, " particles"]
    energy: Float64[np.ndarray, " particles"]
    pdg_id: Int64[np.ndarray, " particles"]
    charge: Int64[np.ndarray, " particles"]
    pileup: Bool[np.ndarray, " particles"]

    def __getitem__(self, rows: Shaped[np.ndarray, " rows"]) -> "Particles":
        """Some of the particles, by mask or index."""
        return Particles(*(getattr(self, f.name)[rows] for f in fields(self)))


@final
@dataclass(frozen=True, eq=False)
class Candidates:
    """What a detector makes of them; once complete, by event and then by falling pt.

    Attributes:
        event: Collision in the batch.
        pt: Transverse momentum, GeV.
        eta: Pseudorapidity.
        phi: Azimuth in radians, within half a turn.
        mass: GeV; zero for what a calorimeter has seen.
        pdg_id: One of +-211, +-11, +-13, 22, 130: the kind, and the sign of the charge.
    """

    event: Int64[np.ndarray, " candidates"]
    pt: Float64[np.ndarray, " candidates"]
    eta: Float64[np.ndarray, " candidates"]
    phi: Float64[np.ndarray, " candidates"]
    mass: Float64[np.ndarray, " candidates"]
    pdg_id: Int64[np.ndarray, " candidates"]

    def __getitem__(self, rows: Shaped[np.ndarray, " rows"]) -> "Candidates":
        """Some of the candidates, by mask or index."""
        return Candidates(*(getattr(self, f.name)[rows] for f in fields(self)))

    def four_momenta(self) -> Float64[np.ndarray, "4 candidates"]:
        """px, py, pz and energy, GeV."""
        return np.stack(
            [
                self.pt * np.cos(self.phi),
                self.pt * np.sin(self.phi),
                self.pt * np.sinh(self.eta),
                np.hypot(self.pt * np.cosh(self.eta), self.mass),
            ]
        )
