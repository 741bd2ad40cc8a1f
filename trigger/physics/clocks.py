r"""Clocks, slots and budgets of a time-multiplexed trigger, with units.

A board gets one event in TMUX bunch crossings, and so has

.. math:: N_{clk} = \mathrm{TMUX} \cdot f_{clk} / 40\,\mathrm{MHz}

clocks for it.  A block that takes a jet every II clocks, with n jets to come, fits if
:math:`n \cdot II \le N_{clk}`; its last score leaves :math:`(n - 1)\,II + L` clocks
after the first jet came, with the latency L of one jet in clocks.

Conventions
-----------
- Clock frequencies are nominal, on a bunch crossing of 25 ns: 360 MHz is 9 clocks per
  crossing.  The LHC's is 40.0788 MHz, so that a clock called 360 MHz has 360.7 MHz:
  `lhc_mhz=LHC_MHZ` makes the nanoseconds, and nothing else, those of the true machine.
- Times are exact fractions until they are returned: 25 ns at 360 MHz are 9 clocks.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import final

from trigger.errors import UserError

CROSSING_NS = 25.0
"""Nominal time between bunch crossings, ns."""

NOMINAL_MHZ = 40.0
"""Nominal rate of bunch crossings, MHz, by which clocks are called."""

LHC_MHZ = 40.0788
"""True rate of bunch crossings, MHz: a tenth of the 400.788 MHz of the cavities' field."""


@final
@dataclass(frozen=True)
class Slot:
    """The time a block has for the jets of one event.

    Attributes:
        tmux: Bunch crossings between two events on the same board.
        clock_mhz: Nominal clock frequency, MHz.
        jets: Jets of an event, at most.
        instances: Copies of the block that share the jets.
        lhc_mhz: Rate of crossings that nanoseconds are counted with, MHz.
    """

    tmux: int
    clock_mhz: float | int
    jets: int
    instances: int = 1
    lhc_mhz: float | int = NOMINAL_MHZ

    def __post_init__(self):
        """Checks that such a slot can be.

        Raises:
            UserError: A number is not positive, an event does not take a whole number
                of clocks, or there are more jets than clocks.
        """
        for name in ("tmux", "clock_mhz", "jets", "instances", "lhc_mhz"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise UserError(f"{name} of a slot must be above 0, got {value}")
        clocks = self._clocks
        if clocks.denominator != 1:
            step = NOMINAL_MHZ / self.tmux
            near = [n * step for n in (math.floor(clocks), math.ceil(clocks)) if n]
            raise UserError(
                f"an event every {self.tmux} crossings of {CROSSING_NS:g} ns would take "
                f"{float(clocks):g} clocks of {self.clock_mhz:g} MHz, and must take a "
                f"whole number; the nearest: {' or '.join(f'{f:g} MHz' for f in near)}"
            )
        if self.ii_max < 1:
            raise UserError(
                f"{self.jets} jets an event do not fit in the {self.clocks_per_event} "
                f"clocks of TMUX {self.tmux} at {self.clock_mhz:g} MHz with "
                f"{self.instances} instances of the block, one jet a clock; "
                f"{-(-self.jets // self.clocks_per_event)} instances would do"
            )

    @property
    def clocks_per_event(self) -> int:
        """Clocks between two events on the same board."""
        return self._clocks.numerator

    @property
    def jets_per_instance(self) -> int:
        """Jets that the busiest copy of the block takes."""
        return -(-self.jets // self.instances)

    @property
    def ii_max(self) -> int:
        """Most clocks between two jets of one instance.

        `floor(N_clk / (jets / instances))`, but with the jets of the busiest instance:
        16 jets on 3 instances are 6 on one of them.
        """
        return self.clocks_per_event // self.jets_per_instance

    @property
    def period_ns(self) -> float:
        """Period of the clock, ns."""
        return float(self._period)

    def nanoseconds(self, clocks: int) -> float:
        """Time of so many clocks, ns."""
        return float(clocks * self._period)

    def last_score_clocks(self, latency: int, ii: int = 1) -> int:
        """Clocks from the first jet to the last score.

        Args:
            latency: Clocks from a jet to its score.
            ii: Clocks between two jets of an instance.

        Raises:
            UserError: The latency is negative, or `ii` is not in `1..ii_max`.
        """
        if latency < 0:
            raise UserError(f"a latency is 0 clocks or more, got {latency}")
        return self._last_jet(ii) + latency

    def latency_budget(self, budget_ns: float | int, ii: int = 1) -> int:
        """The largest latency of one jet, in clocks, for all scores to be in time.

        Args:
            budget_ns: Time from the first jet to the last score, ns.
            ii: Clocks between two jets of an instance.

        Raises:
            UserError: The last jet comes after the budget, or `ii` is not in
                `1..ii_max`.
        """
        if not 0 < budget_ns < math.inf:
            raise UserError(f"a budget is a time above 0 ns, got {budget_ns}")
        wait = self._last_jet(ii)
        latency = math.floor(_decimal(budget_ns) / self._period) - wait
        if latency < 0:
            raise UserError(
                f"a budget of {budget_ns:g} ns is over before the last of "
                f"{self.jets_per_instance} jets comes, {self.nanoseconds(wait):.1f} ns "
                f"after the first at II {ii}; use a lower II or more instances"
            )
        return latency

    def _last_jet(self, ii: int) -> int:
        if not 1 <= ii <= self.ii_max:
            raise UserError(
                f"{self.jets_per_instance} jets in {self.clocks_per_event} clocks need "
                f"an II of 1..{self.ii_max}, got {ii}"
            )
        return (self.jets_per_instance - 1) * ii

    @property
    def _clocks(self) -> Fraction:
        return self.tmux * _decimal(self.clock_mhz) / _decimal(NOMINAL_MHZ)

    @property
    def _period(self) -> Fraction:
        nominal = _decimal(self.clock_mhz) * _decimal(self.lhc_mhz)
        return 1000 * _decimal(NOMINAL_MHZ) / nominal


def _decimal(number: float | int) -> Fraction:
    """The number as the decimal that it prints as."""
    return Fraction(repr(float(number)))
