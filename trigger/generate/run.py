"""A whole sample: units of work shared among processes, written in their order.

The file holds the same numbers whatever the number of processes: every unit has random
numbers of its own, and units are put together by rounds, in which the collisions of all
classes are shuffled.
"""

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, final

import awkward as ak

from trigger.errors import UserError
from trigger.generate.events import Columns, Unit, make, rounds
from trigger.generate.seeds import Stage, generator
from trigger.generate.settings import CLASSES, Settings
from trigger.generate.write import FORMATS, compression, entries, new_file, write

Progress = Callable[[int], None]
"""Is told how many jets there are so far."""

_LOOK = 0.2  # s between two looks at the progress of other processes


@final
@dataclass(frozen=True)
class Generated:
    """What has been made.

    Attributes:
        path: The file.
        sha256: Of the file; it differs between two runs, for ROOT files hold times.
        jets: Jets of each class.
        events: Collisions that have jets.
        seconds: Wall time.
    """

    path: Path
    sha256: str
    jets: dict[str, int]
    events: int
    seconds: float


def generate(
    settings: Settings,
    out: Path,
    *,
    processes: int = 1,
    form: str = "ttree",
    compressed: str = "lzma:6",
    force: bool = False,
    progress: Progress = lambda done: None,
) -> Generated:
    """Makes a sample and writes it to a ROOT file.

    Args:
        settings: The sample.
        out: The file.
        processes: How many work on it; the numbers do not depend on it.
        form: `ttree` or `rntuple`.
        compressed: Algorithm and level, such as `zstd:5`.
        force: Whether a file that is there already may be replaced.
        progress: Is told how many jets there are so far.

    Returns:
        What has been made.

    Raises:
        UserError: The output cannot be written, no jet passes the cuts, or a process
            died.  Then, as at an interrupt, there is no new file.
    """
    start = time.perf_counter()
    if processes < 1:
        raise UserError(f"at least 1 process is needed, got {processes}")
    if form not in FORMATS:
        raise UserError(f"no format {form!r} of trees; there are {', '.join(FORMATS)}")
    packing = compression(compressed)
    work = rounds(settings)
    jets: Counter[str] = Counter()
    events = 0
    units = [unit for one in work for unit in one]
    processes = min(processes, len(units))
    made = (
        _here(settings, units, progress)
        if processes == 1
        else _elsewhere(settings, units, processes, progress)
    )

    def clusters() -> Iterator[dict[str, Any]]:
        nonlocal events
        for number, one in enumerate(work):
            columns = _shuffled(settings, number, [next(made) for _ in one])
            yield entries(columns, settings.seed, events, settings.pileup)
            jets.update(CLASSES[k] for k in ak.flatten(columns.jets.label).to_list())
            events += len(columns.jets)

    with new_file(out, force=force) as path, closing(made):
        write(path, clusters(), form, packing)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    counts = {name: jets[name] for name in settings.classes}
    return Generated(out, sha256, counts, events, time.perf_counter() - start)


def _shuffled(settings: Settings, number: int, parts: list[Columns]) -> Columns:
    """The collisions of one round in random order."""
    jets = ak.concatenate([part.jets for part in parts])
    candidates = ak.concatenate([part.candidates for part in parts])
    order = generator(settings.seed, Stage.ORDER, 0, number).permutation(len(jets))
    return Columns(jets[order], candidates[order])


def _here(
    settings: Settings, units: list[Unit], progress: Progress
) -> Generator[Columns, None, None]:
    done = 0

    def tick(jets: int) -> None:
        nonlocal done
        done += jets
        progress(done)

    for unit in units:
        yield make(settings, unit, tick)


def _elsewhere(
    settings: Settings, units: list[Unit], processes: int, progress: Progress
) -> Generator[Columns, None, None]:
    """The units in order, made by other processes a little ahead."""
    context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
    done = context.Value("q", 0)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, context, _begin, (done,))
    waiting: deque[Future[Columns]] = deque()
    left = iter(units)
    try:
        for _ in units:
            # Two for each process: none is idle, and memory stays bounded.
            while len(waiting) < 2 * processes and (unit := next(left, None)):
                waiting.append(pool.submit(_work, settings, unit))
            while not waiting[0].done():
                progress(done.value)
                _pause(waiting[0])
            progress(done.value)
            columns = waiting.popleft().result()
            yield columns
    except BrokenProcessPool as error:
        raise UserError(
            "a process that made collisions has died, killed or out of memory; nothing "
            f"is kept, try again with fewer than {processes} by --processes"
        ) from error
    except BaseException:  # an interrupt or a full disk: nobody waits for the rest
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _pause(future: Future[Columns]) -> None:
    with suppress(TimeoutError):
        future.exception(_LOOK)


_done: Any = None  # in a worker: the jets of all workers so far


def _begin(done: Any) -> None:
    """Prepares a worker: it leaves Ctrl-C to its parent, and dies with it."""
    global _done
    _done = done
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(settings: Settings, unit: Unit) -> Columns:
    return make(settings, unit, _tick)


def _tick(jets: int) -> None:
    with _done.get_lock():
        _done.value += jets
