"""The cut flow: how many objects and entries each step leaves.

This module owns the book-keeping.  Flows of parts of a data set add up to the flow of
the whole, whatever the parts are.
"""

import json
from dataclasses import dataclass, field
from typing import final

from trigger.errors import UserError


@final
@dataclass(frozen=True)
class Step:
    """What is left after one step: objects, and entries that have any."""

    name: str
    objects: int
    entries: int


@final
@dataclass(frozen=True)
class CutFlow:
    """The steps in order, and how many objects of each class are left at the end."""

    steps: tuple[Step, ...] = ()
    classes: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "CutFlow") -> "CutFlow":
        """The flow of two parts taken together; an empty flow adds nothing.

        Raises:
            ValueError: The flows are of different cards.
        """
        if not self.steps or not other.steps:
            return self if self.steps else other
        if [s.name for s in self.steps] != [s.name for s in other.steps]:
            raise ValueError("these cut flows have different steps")
        steps = tuple(
            Step(a.name, a.objects + b.objects, a.entries + b.entries)
            for a, b in zip(self.steps, other.steps, strict=True)
        )
        names = dict.fromkeys([*self.classes, *other.classes])
        get = (self.classes.get, other.classes.get)
        return CutFlow(steps, {n: sum(g(n, 0) for g in get) for n in names})

    @property
    def kept(self) -> int:
        """Objects that every step left."""
        return self.steps[-1].objects if self.steps else 0

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Cells of a table: step, objects, objects lost in the step, entries."""
        before = [self.steps[0].objects, *(s.objects for s in self.steps)]
        return [
            (s.name, f"{s.objects:,}", f"{was - s.objects:,}", f"{s.entries:,}")
            for s, was in zip(self.steps, before, strict=False)
        ]

    def table(self) -> str:
        """The flow as text, one line per step, then one per class."""
        head = ("step", "objects", "lost", "entries")
        rows = [head, *self.rows()]
        rows += [(f"  {name}", f"{n:,}", "", "") for name, n in self.classes.items()]
        width = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join(
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(row, width, strict=True))
            ).rstrip()
            for row in rows
        )

    def to_json(self) -> str:
        """The flow as JSON: `steps`, a list in order, and `classes`."""
        steps = [
            {"step": s.name, "objects": s.objects, "entries": s.entries}
            for s in self.steps
        ]
        return json.dumps({"steps": steps, "classes": self.classes})

    def require_some(self, where: str) -> None:
        """Refuses a selection that leaves nothing.

        Raises:
            UserError: No object is left; the step that left none is named.
        """
        if self.kept:
            return
        if not self.steps or not self.steps[0].objects:
            raise UserError(f"no object at all in {where}; nothing to read")
        step, before = next(
            (now, was)
            for was, now in zip(self.steps, self.steps[1:], strict=False)
            if not now.objects
        )
        raise UserError(
            f"all objects of {where} are cut away: {step.name!r} leaves none of the "
            f"{before.objects} that reached it, of {self.steps[0].objects} in the "
            "files; loosen it"
        )
