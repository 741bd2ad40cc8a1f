"""The same read, spread over the processes of a cluster.

Every range of entries that the serial read makes a chunk of is one partition of a
dask-awkward array, and a worker makes it by the function that the serial read calls;
the partitions are joined in the order of the files by the same function too.  This is
why nothing can differ.  (`uproot.dask` would read the same columns, but cuts, labels
and particles would have to be written a second time for its lazy arrays, and in these
cut flows and files that were left out have no place.)

Conventions
-----------
- A scheduler is an address such as `tcp://host:8786`; "" makes a cluster of processes
  on this machine for as long as the read takes.
- Workers see the files under the same paths, and run the same version.
- What is wrong is told as the serial read tells it: the first in the order of files.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import awkward as ak
import dask.config
import numpy as np
from dask_awkward.lib.core import empty_typetracer
from dask_awkward.lib.io.io import from_map
from distributed import Client, LocalCluster, wait
from distributed.comm.core import connect
from distributed.scheduler import KilledWorker

from trigger.datasets.branches import load, locate
from trigger.datasets.card import Card
from trigger.datasets.chunk import Chunk
from trigger.datasets.files import expand
from trigger.datasets.fingerprint import code_version
from trigger.datasets.read import (
    STEP,
    OnBadFile,
    difference,
    named,
    partition,
    ranges,
    wanted,
)
from trigger.datasets.sample import Sample, Skipped, join
from trigger.errors import UserError
from trigger.rootfile import find_tree, open_root

CONNECT = 5.0  # s: a scheduler that is there answers in milliseconds
# Of a cluster of our own: a range that kills its worker kills the next one too.  Its
# workers may take long to connect, where much else runs on the machine.
_OWN = {"distributed.scheduler.allowed-failures": 0}
_OTHERS = {"distributed.comm.timeouts.connect": f"{CONNECT}s"}

# What a partition holds is known when it is there; nothing is optimised by its type.
_OPAQUE: dict[str, Any] = {"meta": empty_typetracer(), "label": "read"}
_NOTE = "jetlut"  # the attribute of a partition that holds what is no column


def read_on_cluster(
    card: Card,
    patterns: Sequence[str] | None = None,
    *,
    scheduler: str = "",
    workers: int | None = None,
    step: int = STEP,
    on_bad_file: OnBadFile = "fail",
    patience: float = 600.0,
) -> Sample:
    """Reads a whole data set into memory, by many processes at once.

    Args:
        card: What to read.
        patterns: As for `read.chunks`.
        scheduler: Address of a running one, or "" for processes on this machine.
        workers: Processes on this machine, where there is no scheduler; as many as
            cores if not given.
        step: As for `read.chunks`.
        on_bad_file: As for `read.chunks`.
        patience: Seconds in which at least one range must be read.

    Returns:
        What `read.read` returns.

    Raises:
        UserError: As `read.read`; the scheduler cannot be reached, or goes; a worker
            died or runs another version; or nothing is read for too long.
    """
    if step < 1:
        raise UserError(f"a chunk has 1 entry or more, got step={step}")
    if workers is not None and (scheduler or workers < 1):
        raise UserError(
            f"workers={workers} is a number of processes on this machine, 1 or more; a "
            "scheduler has its own"
        )
    paths = expand(card.files if patterns is None else patterns)
    first_only = on_bad_file == "fail"  # then nothing after the first error matters
    with _connected(scheduler, workers) as client:
        plans = _run(
            client,
            from_map(_plan, paths, card=card, step=step, **_OPAQUE),
            [f"file {path!r}" for path in paths],
            first_only,
            patience,
        )
        planned = zip(paths, plans, strict=False)
        places = [
            (path, *piece) for path, plan in planned for piece in plan.get("ranges", ())
        ]
        parts = _run(
            client,
            from_map(_part, places, card=card, **_OPAQUE) if places else None,
            [f"entries {start} to {stop} of file {p!r}" for p, start, stop in places],
            first_only,
            patience,
        )
    good: list[Chunk] = []
    skipped: list[Skipped] = []
    schema: tuple[str, dict[str, str]] | None = None
    left = iter(parts)
    for path, plan in zip(paths, plans, strict=False):
        mine = list(islice(left, len(plan.get("ranges", ()))))
        errors = [
            plan.get("error"),
            schema and difference(path, plan.get("types", {}), *schema),
        ]
        errors += [part.get("error") for part in mine]
        if error := next(filter(None, errors), None):
            if on_bad_file == "fail":
                raise UserError(error)
            skipped.append(Skipped(Path(path).name, error))
            continue
        schema = schema or (path, plan["types"])
        good += [part["chunk"] for part in mine]
    if not good:
        raise UserError(
            f"none of the {len(paths)} files can be read; the first: "
            f"{skipped[0].reason}"
        )
    sample = join(card, good, skipped)
    sample.cuts.require_some(named(paths))
    return sample


def _plan(path: str, card: Card, step: int) -> ak.Array:
    """On a worker: the ranges of a file and the types in it."""

    def answer() -> dict[str, Any]:
        found = ranges(card, path, step=step)
        with open_root(path) as directory:
            trees = [find_tree(directory, t, path) for t in (card.tree, *card.friends)]
            located = locate(trees, wanted(card), path)
            types = load(path, trees, located, card.event, 0, 0).types()
        return {"ranges": found, "types": types}

    return _parcel(answer)


def _part(place: tuple[str, int, int], card: Card) -> ak.Array:
    """On a worker: the chunk of a range."""
    return _parcel(lambda: {"chunk": partition(card, *place)})


def _parcel(answer: Callable[[], dict[str, Any]]) -> ak.Array:
    """A partition: the objects, and beside them what is no column, or an error."""
    try:
        content: dict[str, Any] = answer()
    except UserError as error:  # a file's, which is data here and no failure
        content = {"error": str(error)}
    chunk: Chunk | None = content.pop("chunk", None)
    if chunk is None:
        return ak.Array([], attrs={_NOTE: {**content, "code": code_version()}})
    note = {"source": chunk.source, "cuts": chunk.cuts, "code": code_version()}
    columns: dict[str, Any] = {"objects": chunk.objects, "event": chunk.event}
    return ak.zip(columns, depth_limit=1, attrs={_NOTE: note})


def _unpack(parcel: ak.Array) -> dict[str, Any]:
    note = dict(parcel.attrs[_NOTE])
    if note.pop("code") != code_version():
        raise UserError(
            "the workers run another version of jetlut or of its libraries than this "
            "process; give them the same"
        )
    if "cuts" not in note:
        return note
    event = np.ascontiguousarray(ak.to_numpy(parcel["event"]))
    objects = ak.Array(ak.to_layout(parcel["objects"]))  # without the note
    return {"chunk": Chunk(objects, event, note["source"], note["cuts"])}


def _run(
    client: Any, work: Any, names: Sequence[str], first_only: bool, patience: float
) -> list[dict[str, Any]]:
    """What the workers make of each partition, in order.

    No more partitions are under way than there are threads, so that each has a worker
    of its own: only the range that a worker was at is blamed for its end.

    Args:
        client: The cluster.
        work: A dask-awkward array, or None for none.
        names: What each partition is, for messages.
        first_only: Begin nothing more once a partition has an error; what is not begun
            then is missing at the end of the list.
        patience: Seconds in which one partition must end.
    """
    todo = enumerate([] if work is None else work.to_delayed())
    running: dict[Any, int] = {}
    found: dict[int, dict[str, Any]] = {}
    lost: list[int] = []
    stop = False
    try:
        while True:
            slots = max(sum(client.nthreads().values()), 1)
            # of several workers that are gone at once, fewer slots than running are left
            free = 0 if stop else max(slots - len(running), 0)
            for at, piece in islice(todo, free):
                running[client.compute(piece, pure=False)] = at
            if not running:
                break
            outcome: Any = wait(
                list(running), timeout=patience, return_when="FIRST_COMPLETED"
            )
            for future in outcome.done:
                at = running.pop(future)
                try:
                    found[at] = _unpack(future.result())
                    stop = stop or (first_only and "error" in found[at])
                except KilledWorker:
                    lost.append(at)
                    stop = True
    except TimeoutError as error:
        raise UserError(
            f"{names[min(running.values())]} is not read after {patience:g} s: no "
            "worker ended anything in this time; are there workers, and can they see "
            "the file?"
        ) from error
    except (CancelledError, OSError) as error:
        if client.status == "running":
            raise
        raise UserError(
            f"the scheduler {client.scheduler.address!r} went away while "
            f"{names[min(running.values(), default=0)]} was read; start it again"
        ) from error
    if lost:
        raise UserError(
            f"the worker that read {names[min(lost)]} died; it was killed, often for "
            "want of memory (read smaller steps), or the file crashes its decoder"
        )
    return [found[at] for at in sorted(found)]


@contextmanager
def _connected(scheduler: str, workers: int | None) -> Iterator[Any]:
    if not scheduler:
        with (
            dask.config.set(_OWN),
            LocalCluster(
                n_workers=workers or os.cpu_count(),
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",  # any free port, seen by nobody else
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    with dask.config.set(_OTHERS):
        try:
            # A client that cannot connect tries on in the background: knock first, and
            # in a thread, since a notebook has an event loop in this one.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, _knock(scheduler)).result()
            client = Client(scheduler, timeout=CONNECT)
        except Exception as error:  # of a socket, of a name, of who else answers there
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(
                f"no scheduler answers at {scheduler!r}: {reason}; give the address "
                "that it printed, such as tcp://host:8786, or none for this machine"
            ) from error
        with client:
            yield client


async def _knock(scheduler: str) -> None:
    # its own timeout ends with the connection, and what then says nothing is waited for
    try:
        comm = await asyncio.wait_for(connect(scheduler, timeout=CONNECT), CONNECT + 1)
    except TimeoutError as error:
        raise OSError("what listens there does not answer as a scheduler") from error
    await comm.close()
