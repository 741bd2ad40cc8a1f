"""The settings of a training: plain numbers, so that a recipe can be read without JAX."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class TrainConfig:
    """All that a training depends on besides data, seed and budget."""

    units: tuple[int, ...] = (20,)
    """Outputs of each hidden LUT-Dense layer."""
    edge_hidden: int = 8
    """Hidden units of every edge function (HGQ-LUT uses 8); free in firmware."""
    most_address: int = 7
    """Cap on the address of a table, in bits; each above 6 costs about a third more."""
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
    latency_price: float = 1e-3
    """Loss per nanosecond at the start, where the latency counts; moved alike."""
    ns_price: float = 0.0
    """Loss per nanosecond of the longest path at the area of the budget, and more the
    smaller the target is, whatever latency it allows; 0 to leave latency out."""
    price_gain: float = 0.3
    """Change of the log price per epoch and unit of log area."""
    shared: float = 0.82
    """Share of the epochs in which the prices of a front train as one network per seed,
    at the lowest of them, before each goes on by itself; see `jetlut front`."""
    teacher: float = 0.0
    """Share of each training target that is the answer of float perceptrons, trained
    first on the same jets (`models.teacher`); the label is the rest, 0 is labels alone."""
    direct_from: float = 1.0
    """Share of the epochs after which table entries train themselves; 1 is never."""
    smoothness: float = 1e-4
    """What the roughness of such entries costs; see `models.edges.Direct`."""
    statistic_rate: float = 0.02
    """Share of the way that running statistics go at a step."""
    range_decay: float = 0.01
    """Bits that a watched range loses per step if nothing holds it (as HGQ)."""
    devices: int = 1
    """Devices that share every batch."""
