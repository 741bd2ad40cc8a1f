"""Simulators that are driven by text files: stimuli and traces as lines of bits.

One line is one clock, and one vector for the bench that reads or writes it.  Of a
stimulus it is `in_valid`, `rst`, `ce` and the flat vector of the words, highest bit
first; of a trace `out_valid` and the flat vector of the answers.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from firmware import rtl
from firmware.netlist import Netlist
from firmware.stimulus import UNKNOWN, Player, Stimulus, Trace
from firmware.tools import ToolError, call

STIMULUS, TRACE = "stimulus.txt", "trace.txt"


def wiring(
    netlist: Netlist, options: rtl.Options, span: str
) -> tuple[list[tuple[str, str]], int, int]:
    """Which part of a line each port of a block is wired to.

    Args:
        netlist: Of the block.
        options: How it is wired.
        span: How the language writes bits `{0}` down to `{1}` of a vector.

    Returns:
        Port and part of all ports but `clk`, with the lines called `row` and `shown`;
        and the highest bit of either.
    """
    ins, outs = rtl.words_of(netlist)
    top = ins[-1].high if ins else -1
    valid = outs[-1].high + 1
    pins = [("in_valid", "row", top + 3), ("rst", "row", top + 2)]
    pins += [("ce", "row", top + 1)] * options.clock_enable
    pins += [("out_valid", "shown", valid)]
    single = span.split("{")[0] + "{0}" + span[-1]
    found = [(port, line + single.format(at)) for port, line, at in pins]
    for line, words in (("row", ins), ("shown", outs)):
        found += [
            (port.name, line + span.format(port.high, port.low))
            for port in rtl.outside(words, options)
        ]
    return found, top + 3, valid


class Replay(Player, ABC):
    """A block in a bench that reads a stimulus, and writes a trace, as text."""

    netlist: Netlist
    folder: Path

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What runs the bench."""

    def play(self, stimulus: Stimulus, seed: int = 1) -> Trace:
        """Plays a stimulus; all registers are unknown at power-up."""
        write(self.netlist, stimulus, self.folder)
        call(self.command(), self.folder)
        return read(self.netlist, len(stimulus.valid), self.folder)


def bench(
    template: str, netlist: Netlist, options: rtl.Options, *, span: str, pin: str
) -> str:
    """A bench around a block.

    Args:
        template: Its text, with `{block}`, the highest bits `{top}` of `row` and
            `{valid}` of `shown`, the connections `{pins}`, and the `{files}` that it
            reads and writes.
        netlist: Of the block.
        options: How it is wired.
        span: How the language writes bits `{0}` down to `{1}` of a vector.
        pin: How it connects the port `{0}` to the part `{1}`.
    """
    pins, top, valid = wiring(netlist, options, span)
    return template.format(
        block=netlist.block,
        top=top,
        valid=valid,
        pins=",\n    ".join(pin.format(*pair) for pair in pins),
        files=(STIMULUS, TRACE),
    )


def write(netlist: Netlist, stimulus: Stimulus, folder: Path) -> None:
    """Writes the stimulus into the file `STIMULUS` of a folder."""
    ins, _ = rtl.words_of(netlist)
    control = [stimulus.valid, stimulus.reset, stimulus.enabled]
    columns = [
        np.stack(control, axis=1).astype(np.uint8),
        *(_bits(stimulus.words[:, k], ins[k].width) for k in reversed(range(len(ins)))),
    ]
    ends = np.full((len(stimulus.valid), 1), ord("\n"), np.uint8)
    text = np.concatenate([np.concatenate(columns, axis=1) + ord("0"), ends], axis=1)
    (folder / STIMULUS).write_bytes(text.astype(np.uint8).tobytes())


def _bits(words: Int64[np.ndarray, " clocks"], width: int) -> UInt8[np.ndarray, "..."]:
    return (words[:, None] >> np.arange(width - 1, -1, -1) & 1).astype(np.uint8)


def read(netlist: Netlist, clocks: int, folder: Path) -> Trace:
    """Reads the trace that a simulation left in the file `TRACE` of a folder.

    Raises:
        ToolError: It has not as many clocks as were played, or other pins.
    """
    _, outs = rtl.words_of(netlist)
    text = np.frombuffer((folder / TRACE).read_bytes(), np.uint8)
    line = outs[-1].high + 3
    if text.size != clocks * line:
        raise ToolError(
            f"the simulation ended before its {clocks} clocks were over: "
            f"{text.size // line} are there"
        )
    rows = text.reshape(clocks, line)[:, :-1]
    valid = rows[:, 0] != ord("0")
    words = [_word(rows[:, 1:], port) for port in outs]
    return Trace(valid=valid, words=np.stack(words, axis=1))


def _word(
    rows: UInt8[np.ndarray, "clocks bits"], port: rtl.Port
) -> Int64[np.ndarray, " clocks"]:
    """A word of each row of characters; the highest bit comes first."""
    end = rows.shape[1] - port.low
    bits = rows[:, end - port.width : end]
    weights = 1 << np.arange(port.width - 1, -1, -1, dtype=np.int64)
    if port.signed:
        weights[0] = -weights[0]
    word = (bits == ord("1")) @ weights
    known = np.all((bits == ord("0")) | (bits == ord("1")), axis=1)
    return np.where(known, word, UNKNOWN)
