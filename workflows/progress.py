"""What the person at the terminal sees while a run goes on.

Everything here goes to standard error, so that standard output holds results alone.
On a terminal the training is a moving bar; elsewhere it is a line every tenth.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from models.plan import EpochLog


class Reporter(ABC):
    """What a run tells about itself."""

    @abstractmethod
    def step(self, text: str) -> None:
        """A step of the run begins."""

    @abstractmethod
    def note(self, text: str) -> None:
        """Something about the step that has just ended."""

    @abstractmethod
    def warn(self, text: str) -> None:
        """Something the person must know before trusting the result."""

    @abstractmethod
    def epoch(self, log: EpochLog, metric: str) -> None:
        """An epoch of the training has ended; `metric` says what its accuracy is."""


@final
class Terminal(Reporter):
    """A reporter on a console."""

    def __init__(self, console: Console):
        """Starts the clock; use `terminal`, which also ends the bar."""
        self.console = console
        self.start = time.perf_counter()
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._tenths = -1

    def step(self, text: str) -> None:
        """One line with the seconds so far."""
        self.close()
        seconds = time.perf_counter() - self.start
        line = Text(f"{seconds:6.1f} s  ", style="dim")
        self.console.print(line.append(text, style="not dim bold"), soft_wrap=True)

    def note(self, text: str) -> None:
        """An indented line."""
        self.close()
        self.console.print(Text(" " * 10 + text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """An indented line that cannot be overlooked."""
        self.close()
        self.console.print(
            Text(" " * 10 + "WARNING: " + text, style="bold yellow"), soft_wrap=True
        )

    def epoch(self, log: EpochLog, metric: str) -> None:
        """Moves the bar, or prints a line each tenth of the way."""
        done = log.epoch + 1
        if self.console.is_terminal:
            if self._bar is None:
                self._bar = Progress(
                    TextColumn(" " * 9 + "epoch {task.completed:.0f}/{task.total:.0f}"),
                    BarColumn(bar_width=24),
                    TextColumn("{task.description}"),
                    TimeElapsedColumn(),
                    TextColumn("left"),
                    TimeRemainingColumn(),
                    console=self.console,
                    transient=True,
                )
                self._task = self._bar.add_task("", total=log.epochs)
                self._bar.start()
            self._bar.update(
                self._task,
                completed=done,
                total=log.epochs,
                description=f"loss {log.loss:.3f}  {metric} {log.val_accuracy:.4f}  "
                f"{log.luts:.0f} LUT",
            )
            return
        tenths = 10 * done // max(1, log.epochs)
        if tenths > self._tenths or done == log.epochs:
            self._tenths = tenths
            left = log.seconds * (log.epochs - done) / done
            self.note(
                f"epoch {done}/{log.epochs}  loss {log.loss:.4f}  "
                f"val. {metric} {log.val_accuracy:.4f}  LUT estimate {log.luts:.0f}  "
                f"{left:.0f} s left"
            )

    def close(self) -> None:
        """Takes the bar away, if there is one."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


@contextmanager
def terminal(console: Console) -> Iterator[Terminal]:
    """A reporter whose bar is gone when the body ends, however it ends."""
    reporter = Terminal(console)
    try:
        yield reporter
    finally:
        reporter.close()
