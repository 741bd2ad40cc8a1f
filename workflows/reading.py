"""How the files of a recipe are read: here, from a cache on disk, or by a cluster.

It changes how long it takes and nothing else, so it is no setting of a recipe.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from trigger.datasets.card import Card
from trigger.datasets.read import OnBadFile, read
from trigger.datasets.sample import Sample
from trigger.errors import UserError

Reader = Callable[[Card, Sequence[str], OnBadFile], Sample]
"""From a card, patterns of files and what to do with a bad one to their sample."""


def serial(card: Card, patterns: Sequence[str], on_bad_file: OnBadFile) -> Sample:
    """Reads one chunk after the other, in this process."""
    return read(card, patterns, on_bad_file=on_bad_file)


def reader(cache: Path | None = None, cluster: str | None = None) -> Reader:
    """What reads as the command line asks.

    Args:
        cache: Folder in which data sets are kept once they were read.
        cluster: Address of a scheduler, or "" for processes on this machine.

    Raises:
        UserError: Both are asked for.
    """
    if cache is not None and cluster is not None:
        raise UserError(
            "--cache keeps what one process reads and --cluster reads by many; give "
            "one of them"
        )
    if cache is not None:
        from trigger.datasets.cache import cached

        folder = cache
        return lambda card, patterns, bad: cached(
            card, patterns, folder=folder, on_bad_file=bad
        )
    if cluster is not None:
        from trigger.datasets.cluster import read_on_cluster

        address = cluster
        return lambda card, patterns, bad: read_on_cluster(
            card, patterns, scheduler=address, on_bad_file=bad
        )
    return serial
