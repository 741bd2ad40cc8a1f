"""Prices of area and latency, moved until a network costs what it may.

Both enter the loss as `price * cost`.  Nobody knows the right prices in advance, so a
controller finds each: it works in logarithms, where one gain suits small and large
networks, and follows a target that falls along a path.  The step is proportional and
integral at once: a price that is held is the integral of all the errors before, and the
trend of the cost damps it, so that the price stops rising when the cost already falls.
"""

from dataclasses import dataclass, replace
from math import exp, log
from typing import final

LOWEST, HIGHEST = 1e-8, 1e-1
MOST_STEP = 0.4
"""A price changes by a factor of `exp(0.4)` per epoch at most."""
DAMPING = 2.0
"""Epochs ahead that the trend is followed to."""


@final
@dataclass(frozen=True)
class Price:
    """A price after some epochs; `follow` gives the next."""

    value: float
    before: float | None = None
    """Cost at the epoch before."""

    def follow(self, cost: float, target: float, gain: float) -> "Price":
        """Raises the price of what costs more than the target and lowers it else.

        Args:
            cost: What the network costs now.
            target: What it should cost now; positive.
            gain: Change of the log price per epoch and unit of log cost.
        """
        error = log(max(cost, 1e-9) / target)
        trend = 0.0 if not self.before else log(max(cost, 1e-9) / self.before)
        ahead = error + DAMPING * trend
        # The trend softens a step, but never turns it round.
        step = gain * (max(ahead, 0.0) if error > 0 else min(ahead, 0.0))
        value = self.value * exp(min(max(step, -MOST_STEP), MOST_STEP))
        value = min(max(value, LOWEST), HIGHEST)
        return replace(self, value=value, before=max(cost, 1e-9))


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


def ramped(epoch: int, epochs: int, price: float, first: float, share: float) -> float:
    """A price that rises from `first` of itself, on a logarithmic scale, and then holds.

    Args:
        epoch: Epoch, from 0.
        epochs: Number of epochs.
        price: Where it ends.
        first: Share of the price that it starts with.
        share: Share of the epochs in which it rises.
    """
    done = min(1.0, epoch / max(share * epochs, 1.0))
    return price * first ** (1.0 - done)
