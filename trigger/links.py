"""Where the bits of a port are in the records that a link carries.

A link sends whole records (`trigger.layout`); a block has a port for each field that it
reads.  This module owns the pairing, which `io.json` states, so that whoever unpacks the
link needs no other document.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from trigger.errors import UserError
from trigger.layout import Layout
from trigger.words import Word


@final
@dataclass(frozen=True)
class Slice:
    """One field of the record number `index` of its kind."""

    layout: Layout
    index: int
    field: str

    def to_dict(self) -> dict[str, Any]:
        """What `io.json` says of it; the layouts stand there by name."""
        field = self.layout[self.field]
        return {
            "record": self.layout.name,
            "index": self.index,
            "field": self.field,
            "offset": field.offset,
        }


def layouts(slices: Sequence[Slice]) -> tuple[Layout, ...]:
    """The layouts of some slices, each once, in the order in which they come.

    Raises:
        UserError: Two of them have one name.
    """
    found = tuple(dict.fromkeys(one.layout for one in slices))
    names = [layout.name for layout in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UserError(f"two records are called {sorted(twice)[0]!r}; rename one")
    return found


def check(block: str, words: Sequence[Word], slices: Sequence[Slice]) -> None:
    """Refuses ports that are not the fields they are said to be.

    Raises:
        UserError: There is not one slice per port, or widths or signs differ.
    """
    if len(words) != len(slices):
        raise UserError(
            f"interface of {block!r}: {len(words)} inputs, but {len(slices)} fields of "
            "records; each port is one field"
        )
    for word, one in zip(words, slices, strict=True):
        number = one.layout[one.field].type
        if (word.bits, word.signed) != (number.bits, number.signed):
            raise UserError(
                f"interface of {block!r}: port {word.name!r} has {word.bits} bits, "
                f"signed={word.signed}, its field {one.field!r} of record "
                f"{one.layout.name!r} is {number}"
            )
