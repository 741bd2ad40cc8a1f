"""Branches of an open tree: finding them by name, reading a range, taking them apart.

This module owns how a branch is spelt in a file, how many branches are read at once
(all that are wanted, in one call), and the two shapes that a card may ask for: one
number per entry, or a list of numbers per entry.

Conventions
-----------
- Values are flat; *offsets* say where each entry's values begin, and end with how many
  there are in all.
- In a message, an entry is counted from the beginning of the file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import awkward as ak
import numpy as np
from jaxtyping import Bool, Int64, Shaped, UInt64

from trigger.datasets.card import Identity
from trigger.errors import UserError, nearest
from trigger.rootfile import columns

Offsets = Int64[np.ndarray, " bounds"]
# Per branch: which of the trees it is in, and its key there.
Located = Mapping[str, tuple[int, str]]


@final
@dataclass(frozen=True, eq=False)
class Table:
    """Some branches of a range of entries of one file.

    Attributes:
        path: The file, for messages.
        start: The first entry's place in the file.
        entries: How many there are.
        arrays: The branches as they are stored, by the names in the card.
        identity: The branches that identify a collision; they are in `arrays`.
    """

    path: str
    start: int
    entries: int
    arrays: Mapping[str, ak.Array]
    identity: Identity

    def types(self) -> dict[str, str]:
        """The type of each branch's entries, as awkward spells it."""
        return {name: type_of(array) for name, array in self.arrays.items()}

    def flat(self, branch: str) -> Shaped[np.ndarray, " entries"]:
        """A branch of one number per entry; a list of exactly one will do.

        Raises:
            UserError: It holds something else.
        """
        values, offsets = _unpack(self.arrays[branch])
        if len(offsets) == 1 and (np.diff(offsets[0]) == 1).all():
            offsets = []  # as Delphes stores its event number
        if values is None or offsets:
            raise self._shape(branch, "one number per entry")
        return values

    def lists(self, branch: str) -> tuple[Shaped[np.ndarray, " values"], Offsets]:
        """A branch of a list of numbers per entry: values and offsets.

        Raises:
            UserError: It holds something else.
        """
        values, offsets = _unpack(self.arrays[branch])
        if values is None or len(offsets) != 1:
            raise self._shape(branch, "a list of numbers per entry")
        return values, offsets[0]

    def nested(
        self, branch: str
    ) -> tuple[Shaped[np.ndarray, " values"], Offsets, Int64[np.ndarray, " inner"]]:
        """A branch of a list of lists per entry: values, offsets of lists, of values.

        Raises:
            UserError: It holds something else.
        """
        values, offsets = _unpack(self.arrays[branch])
        if values is None or len(offsets) != 2:
            raise self._shape(branch, "a list of lists of numbers per entry")
        return values, offsets[0], offsets[1]

    def per_object(
        self, branch: str, offsets: Offsets, listed: bool
    ) -> Shaped[np.ndarray, " objects"]:
        """A branch of one number per object.

        Args:
            branch: Its name in the card.
            offsets: Where each entry's objects begin.
            listed: Whether an entry has a list of objects, or is one.

        Raises:
            UserError: It is of another shape, or its lists are of other lengths.
        """
        if not listed:
            return self.flat(branch)
        values, own = self.lists(branch)
        if not np.array_equal(own, offsets):
            number, expected = np.diff(own), np.diff(offsets)
            entry = int(np.argmax(number != expected))
            raise UserError(
                f"file {self.path!r}: in {self.place(entry)} the branch {branch!r} "
                f"holds {number[entry]} values, but there are {expected[entry]} "
                "objects; the columns of an object must be equally long"
            )
        return values

    def event(self) -> UInt64[np.ndarray, "entries 3"]:
        """Run, block and number of each entry; 0 where the card has no branch.

        Raises:
            UserError: One of them is not an integer per entry.
        """
        numbers = np.zeros((self.entries, 3), np.uint64)
        for part, branch in enumerate(self.identity.branches()):
            if branch:
                self.integer(branch)
                # a negative number wraps to a distinct positive one: as good a key
                numbers[:, part] = self.flat(branch).astype(np.uint64)
        return numbers

    def integer(self, branch: str) -> None:
        """Refuses a branch that does not hold integers.

        Raises:
            UserError: It holds something else.
        """
        last = type_of(self.arrays[branch]).split(" * ")[-1]
        if not last.startswith(("int", "uint")):
            raise self._shape(branch, "integers")

    def place(self, entry: int) -> str:
        """Which entry that is, and which collision, for a message."""
        numbers = self.event()[entry]
        named = [
            f"{branch} {number}"
            for branch, number in zip(self.identity.branches(), numbers, strict=True)
            if branch
        ]
        return f"entry {self.start + entry} ({', '.join(named)})"

    def refuse(
        self,
        what: str,
        values: Shaped[np.ndarray, " values"],
        wrong: Bool[np.ndarray, " values"],
        want: str,
        place: Callable[[int], str],
    ) -> None:
        """Refuses values: tells the first, where it is, and how many there are.

        Args:
            what: Whose values, such as `branch 'Jet_pt'`.
            values: All of them.
            wrong: Which are refused.
            want: What they should be.
            place: Where the value at a position is.

        Raises:
            UserError: Any is wrong.
        """
        if wrong.any():
            at = int(np.argmax(wrong))
            raise UserError(
                f"file {self.path!r}: {what} of {place(at)} is {values[at]}, not "
                f"{want} ({np.count_nonzero(wrong)} of {values.size} values are not)"
            )

    def _shape(self, branch: str, want: str) -> UserError:
        return UserError(
            f"file {self.path!r}: branch {branch!r} holds "
            f"{type_of(self.arrays[branch])}, not {want}"
        )


def spellings(keys: Sequence[str]) -> dict[str, str]:
    """The names under which the branches of a tree are found, each to its key.

    `Jet/Jet.PT` is found as itself, as `Jet.PT` and as `Jet_PT`.
    """
    found = {key: key for key in keys}
    short = [(key.rsplit("/", 1)[-1], key) for key in keys]
    for name, key in short:
        found.setdefault(name, key)
    for name, key in [*short, *((key, key) for key in keys)]:
        found.setdefault(plain(name), key)
    return found


def plain(name: str) -> str:
    """A branch's name with `_` for what separates its parts."""
    return name.replace(".", "_").replace("/", "_").replace(":", "_")


def locate(trees: Sequence[Any], wanted: Sequence[str], path: str) -> Located:
    """Finds branches in a tree and its friends.

    Raises:
        UserError: One is in none of them; the most alike are listed.
    """
    found = {}
    known = [spellings(columns(tree)) for tree in trees]
    for name in wanted:
        for spelt in (name, plain(name)):
            for at, names in enumerate(known):
                if spelt in names and name not in found:
                    found[name] = (at, names[spelt])
        if name not in found:
            keys = [key for tree in trees for key in columns(tree)]
            raise UserError(
                f"tree {trees[0].name!r} of file {path!r} has no branch {name!r}; the "
                f"most alike of its {len(keys)} are {nearest(name, keys)}"
            )
    return found


def load(
    path: str,
    trees: Sequence[Any],
    located: Located,
    identity: Identity,
    start: int,
    stop: int,
) -> Table:
    """Reads a range of entries of the located branches, all in one call per tree."""
    arrays: dict[str, ak.Array] = {}
    for at, tree in enumerate(trees):
        keys = {name: key for name, (place, key) in located.items() if place == at}
        if not keys:
            continue
        distinct = list(dict.fromkeys(keys.values()))
        whole = tree.arrays(distinct, entry_start=start, entry_stop=stop)
        arrays |= {name: _field(whole, key) for name, key in keys.items()}
    return Table(path, start, stop - start, arrays, identity)


def clusters(trees: Sequence[Any], located: Located) -> list[int]:
    """The entries at which no branch's stored piece is cut in two, both ends included.

    Reading from one to another unpacks nothing twice.
    """
    shared: set[int] | None = None
    for at, key in located.values():
        tree = trees[at]
        if hasattr(tree, "cluster_summaries"):
            begins = [int(c.num_first_entry) for c in tree.cluster_summaries]
            offsets = {*begins, int(tree.num_entries)}
        else:
            offsets = {int(entry) for entry in tree[key].entry_offsets}
        shared = offsets if shared is None else shared & offsets
    return sorted(shared or ())


def type_of(array: ak.Array) -> str:
    """The type of one entry, as awkward spells it: `float32`, `var * int8`, ..."""
    return str(array.type.content)


def _field(whole: Any, key: str) -> Any:
    """A branch of what was read; an RNTuple's come as records within records."""
    if key in whole.fields:
        return whole[key]
    part, name = whole, key
    while name:
        head = max(
            (f for f in part.fields if name == f or name.startswith(f + ".")), key=len
        )
        part, name = part[head], name[len(head) + 1 :]
    return part


def _unpack(
    array: ak.Array,
) -> tuple[Shaped[np.ndarray, " values"] | None, list[np.ndarray]]:
    """Flat values of a branch and the offsets of each level of lists; None if not so."""
    layout: Any = ak.to_layout(array)
    offsets = []
    while layout.is_list and layout.parameter("__array__") is None:
        layout = layout.to_ListOffsetArray64(True)
        level = np.asarray(layout.offsets)
        offsets.append(level)
        layout = layout.content[: level[-1]]
    if layout.is_indexed and not layout.is_option:
        layout = layout.project()
    if layout.is_unknown:
        return np.zeros(0), offsets
    if not layout.is_numpy or layout.parameter("__array__") is not None:
        return None, offsets
    values = np.asarray(layout.data)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        return None, offsets
    return values, offsets
