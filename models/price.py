"""The price of area: how much loss one LUT is worth, moved until the area is right.

The area term enters the loss as `price * luts`.  Nobody knows the right price in
advance, so a controller finds it: it works in the logarithm, where one gain suits small
and large networks, and follows a falling area, one target per cosine period.
"""

from dataclasses import dataclass
from math import exp, log
from typing import final

LOWEST, HIGHEST = 1e-7, 1e-2
MOST_STEP = 0.4
"""The price changes by a factor of `exp(0.4)` per epoch at most."""


@final
@dataclass(frozen=True)
class Price:
    """The price after some epochs; `follow` gives the next."""

    value: float

    def follow(self, luts: float, target: float, gain: float) -> "Price":
        """Raises the price of a network above the target and lowers that of one below.

        Args:
            luts: Area of the network now.
            target: Area it should have now; positive.
            gain: Change of the log price per epoch and unit of log area.
        """
        step = gain * log(max(luts, 1.0) / target)
        value = self.value * exp(min(max(step, -MOST_STEP), MOST_STEP))
        return Price(min(max(value, LOWEST), HIGHEST))


def area_target(
    epoch: int, epochs: int, periods: tuple[float, ...], ramp: float, first: float
) -> float:
    """The area to have at the end of an epoch.

    Args:
        epoch: Epoch, from 0.
        epochs: Number of epochs.
        periods: Area at the end of each cosine period.
        ramp: Share of a period in which the target moves, on a logarithmic scale, from
            the last period's area to its own; then it holds.
        first: Area of the network at the start.
    """
    length = epochs / len(periods)
    now = min(int(epoch / length), len(periods) - 1)
    done = min(1.0, (epoch + 1 - now * length) / max(ramp * length, 1.0))
    before = first if now == 0 else periods[now - 1]
    return before * (periods[now] / before) ** done
