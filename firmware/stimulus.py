"""What is played into a block's pins clock by clock, and what has to come out.

Everything that needs thought about time, where events are and which survive, happens
here on arrays.  A `Player`, of which there is one for each simulator, knows nothing of
the block but its pins: it plays the rows of a stimulus and records the output pins.

Conventions
-----------
- Row `k` of a stimulus is what a rising clock edge `k` samples; row `k` of a trace is
  what the pins show after that edge, and so what edge `k + 1` samples.
- Latency is the number of clocks from the edge that samples an event to the edge that
  samples its answer: an event of row `k` shows in row `k + latency - 1`.  Clocks at
  which the block is not enabled do not count.
- An output word whose bits are not all known is `UNKNOWN`; an unknown valid bit is set,
  for it may be taken so.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from jaxtyping import Bool, Int64, Integer

RESET = 8
"""Clocks of reset before the first event; more than any player needs."""

UNKNOWN = -(2**63)


@final
@dataclass(frozen=True)
class Stimulus:
    """What the input pins show, one row per clock."""

    valid: Bool[np.ndarray, " clocks"]
    reset: Bool[np.ndarray, " clocks"]
    words: Int64[np.ndarray, "clocks ports"]
    enable: Bool[np.ndarray, " clocks"] | None = None
    """The pin `ce`, which few blocks have; always high if not given."""

    @property
    def enabled(self) -> Bool[np.ndarray, " clocks"]:
        """At which clocks the block moves."""
        return np.ones_like(self.valid) if self.enable is None else self.enable


@final
@dataclass(frozen=True)
class Trace:
    """What the output pins show, one row per clock."""

    valid: Bool[np.ndarray, " clocks"]
    words: Int64[np.ndarray, "clocks outputs"]


class Player(ABC):
    """A block in a simulator."""

    @abstractmethod
    def play(self, stimulus: Stimulus, seed: int = 1) -> Trace:
        """Plays a stimulus from power-up and records the output pins.

        Args:
            stimulus: What the input pins show.
            seed: Of the bits that registers hold at power-up, in simulators that draw
                them; in others they are unknown.

        Raises:
            ToolError: The simulation ended early.
        """

    def run(
        self, words: Integer[np.ndarray, "events ports"]
    ) -> tuple[Int64[np.ndarray, "answers outputs"], int]:
        """Streams the words back to back, one event a clock.

        Returns:
            The answers in the order in which `out_valid` announced them, and the
            latency in clocks of the first one (0 if none came).
        """
        drain = 64
        while True:
            trace = self.play(back_to_back(words, drain))
            shown = np.flatnonzero(trace.valid)
            if len(shown) >= len(words) or drain > 4096:
                latency = int(shown[0]) - RESET + 1 if len(shown) else 0
                return trace.words[shown], latency
            drain *= 8


def back_to_back(words: Integer[np.ndarray, "events ports"], drain: int) -> Stimulus:
    """Resets, then one event at every clock, then `drain` clocks without events."""
    clocks = RESET + len(words) + drain
    rows = np.zeros((clocks, words.shape[1]), np.int64)
    rows[RESET : RESET + len(words)] = words
    at = np.arange(clocks)
    return Stimulus(
        valid=(at >= RESET) & (at < RESET + len(words)), reset=at < RESET, words=rows
    )


def hostile(
    words: Integer[np.ndarray, "events ports"], flow: int, drain: int, seed: int
) -> Stimulus:
    """Events with random gaps, changing words in the gaps, and resets in mid-flow.

    About a third of the clocks hold no event.  Three resets of one to four clocks fall
    on running events, which must vanish, while the first event after a reset counts.

    Args:
        words: To draw events from; at least one.
        flow: Clocks with events.
        drain: Clocks without events at the end.
        seed: Source of everything random.
    """
    rng = np.random.default_rng(seed)
    clocks = RESET + flow + drain
    valid = rng.random(clocks) < 0.67
    valid[clocks - drain :] = False
    rows = words[rng.integers(0, len(words), clocks)]
    reset = np.arange(clocks) < RESET
    for share in (0.25, 0.5, 0.75):
        start = RESET + int(share * flow)
        reset[start : start + int(rng.integers(1, 5))] = True
    return Stimulus(valid=valid, reset=reset, words=rows.astype(np.int64))


def halting(stimulus: Stimulus, seed: int) -> Stimulus:
    """The same with the clock enable low at a fifth of the clocks, drawn at random."""
    rng = np.random.default_rng(seed)
    return replace(stimulus, enable=rng.random(len(stimulus.valid)) < 0.8)


def survivors(
    stimulus: Stimulus, latency: int
) -> tuple[Int64[np.ndarray, " answers"], Int64[np.ndarray, " answers"]]:
    """Which events must come out, and when.

    Args:
        stimulus: What the input pins show.
        latency: In clocks.

    Returns:
        Clock of each surviving event and clock at which its answer begins to show.  An
        event survives if no edge from its own to that of its answer sees a reset.
    """
    resets = np.concatenate([[0], np.cumsum(stimulus.reset)])
    moving = np.flatnonzero(stimulus.enabled)
    answered = moving[: max(0, len(moving) - latency + 1)]
    enters = np.flatnonzero(stimulus.valid[answered])
    event, answer = moving[enters], moving[enters + latency - 1]
    quiet = resets[answer + 1] == resets[event]
    return event[quiet], answer[quiet]


def misplaced(stimulus: Stimulus, trace: Trace, latency: int) -> int:
    """Clocks at which a trace breaks the contract of the valid bit or of a halt.

    Wherever the block moves, the valid bit has to be high for the survivors alone;
    where it is halted, what the pins showed has to stay, but for a reset.
    """
    due = np.zeros(len(trace.valid), bool)
    due[survivors(stimulus, latency)[1]] = True
    halted = np.flatnonzero(~stimulus.enabled[1:]) + 1
    false = due != trace.valid
    false[halted] = trace.valid[halted] != (
        trace.valid[halted - 1] & ~stimulus.reset[halted]
    )
    false[halted] |= np.any(trace.words[halted] != trace.words[halted - 1], axis=1)
    return int(false.sum())
