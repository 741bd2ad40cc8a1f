"""Records whose layout depends on one of their fields.

Links save bits where no record needs all of its fields: a charged candidate has a track,
a neutral one a weight, in the same place.  This module owns such a record: several
layouts (`trigger.layout`) of one width, and the field that chooses, which all have.

Conventions
-----------
- Columns are those of all layouts; a field that a row's layout has not is 0 there.
- A field that several layouts have is the same in all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Int64

from trigger.errors import UserError, nearest
from trigger.layout import Columns, Field, Fields, Layout, Words, count_rows


@final
@dataclass(frozen=True)
class Variants(Fields):
    """A record whose layout depends on one of its fields.

    Attributes:
        name: The record's name.
        selector: The field that chooses; in the same bits of every layout.
        cases: Values of the selector, and the layout that they stand for.
    """

    name: str
    selector: str
    cases: tuple[tuple[tuple[int, ...], Layout], ...]

    def __post_init__(self):
        """Checks that the selector can choose.

        Raises:
            UserError: Layouts differ in width or in the selector, a field is not the
                same in all that have it, or a value chooses none or several layouts.
        """
        layouts = [layout for _, layout in self.cases]
        if len({layout.bits for layout in layouts}) != 1:
            widths = ", ".join(f"{layout.name!r} {layout.bits}" for layout in layouts)
            raise UserError(f"record {self.name!r}: layouts of one width, got {widths}")
        for layout in layouts:
            _ = layout[self.selector]
            for field in layout.fields:
                others = (o[field.name] for o in layouts if field.name in o.names)
                if any(other != field for other in others):
                    raise UserError(
                        f"record {self.name!r}: field {field.name!r} is not the same "
                        "in all layouts"
                    )
        lo, hi = layouts[0][self.selector].type.range
        chosen = sorted(value for values, _ in self.cases for value in values)
        if chosen != list(range(lo, hi + 1)):
            raise UserError(
                f"record {self.name!r}: every value {lo}..{hi} of {self.selector!r} "
                f"chooses one layout, got layouts for {chosen}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all fields, those of the first layout first."""
        fields = (field.name for _, layout in self.cases for field in layout.fields)
        return tuple(dict.fromkeys(fields))

    def __getitem__(self, name: str) -> Field:
        """The field of a name, in whichever layout it is.

        Raises:
            UserError: There is none; lists the most alike.
        """
        for _, layout in self.cases:
            if name in layout.names:
                return layout[name]
        raise UserError(
            f"record {self.name!r} has no field {name!r}; the most alike of its "
            f"{len(self.names)} are {nearest(name, self.names)}"
        )

    def pack(self, columns: Mapping[str, Int64[np.ndarray, " rows"]]) -> Words:
        """The words of some records.

        Args:
            columns: The counts of every field; 0 in rows whose layout has no such field.

        Raises:
            UserError: As `Layout.pack`, or a count of a field that its row has not.
        """
        count_rows(f"record {self.name!r}", self.names, columns)
        chosen = columns[self.selector]
        packed = []
        for values, layout in self.cases:
            rows = np.isin(chosen, values)
            for name in self.names:
                if name not in layout.names:
                    self._refuse_foreign(name, columns[name], rows, layout)
            # What the other rows hold may not fit here.
            own = {name: np.where(rows, columns[name], 0) for name in layout.names}
            packed.append((rows, layout.pack({**own, self.selector: chosen})))
        words = np.zeros_like(packed[0][1])
        for rows, of_layout in packed:
            words[rows] = of_layout[rows]
        return words

    def unpack(self, words: Words) -> Columns:
        """The counts of some records, by field; 0 in rows whose layout has none.

        Raises:
            UserError: The records are not of so many words.
        """
        columns: Columns = {}
        for values, layout in self.cases:
            found = layout.unpack(words)
            rows = np.isin(found[self.selector], values)
            for name, column in found.items():
                before = columns.get(name, np.zeros_like(column))
                columns[name] = np.where(rows, column, before)
        return columns

    def to_dict(self) -> dict[str, Any]:
        """The record as plain values, for JSON."""
        return {
            "name": self.name,
            "selector": self.selector,
            "cases": [
                {"values": list(values), "layout": layout.to_dict()}
                for values, layout in self.cases
            ],
        }

    def _refuse_foreign(
        self, name: str, column: np.ndarray, rows: np.ndarray, layout: Layout
    ) -> None:
        bad = np.flatnonzero(rows & (column != 0))
        if bad.size:
            raise UserError(
                f"record {self.name!r}: {name!r} is {column[bad[0]]} at row {bad[0]}, "
                f"which is of layout {layout.name!r} and has no such field; "
                "it should be 0"
            )
