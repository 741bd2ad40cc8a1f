"""The settings of a training: plain numbers, so that a recipe can be read without JAX."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class TrainConfig:
    """All that a training depends on besides data, seed and area budget."""

    units: tuple[int, ...] = (20,)
    """Outputs of each hidden LUT-Dense layer."""
    edge_hidden: int = 8
    """Hidden units of every edge function (HGQ-LUT uses 8); free in firmware."""
    most_address: int = 7
    """Cap on the address of a table, in bits; each bit above 6 doubles its cost."""
    reach: float = 2.0
    """Sums between layers saturate at `-reach..reach`; a power of two."""
    batch: int = 1024
    """Jets per step."""
    epochs: int = 100
    """Passes over the training split."""
    learning_rate: float = 5e-3
    """Adam's step at the start of a cosine period (HGQ-LUT uses 5e-3)."""
    areas: tuple[float, ...] = (1.6, 0.9, 0.6)
    """Area wanted at the end of each cosine period, in units of the budget."""
    ramp: float = 0.3
    """Share of a period in which the area target falls."""
    price: float = 1e-5
    """Loss per LUT at the start; a controller moves it."""
    price_gain: float = 0.3
    """Change of the log price per epoch and unit of log area."""
