"""Records as bit layouts: which bits of a link's words hold which quantity.

A record is a row of fields, each a fixed-point number of some bits; a link carries it as
one or more words of 64 bits.  This module owns the way between columns of counts and
words, and between counts and physical values.  The records of CMS are declared in
`trigger.records`; yours are a `Layout` as well.

Conventions
-----------
- Bit 0 is the least significant bit of the first word; a field may go over into the next.
- Columns are int64 counts, one array for each field, as `Fixed.encode` gives them.
- Bits of no field are spare: written as 0, and not looked at.
- Values are physical, in the field's unit; a column of single precision is divided by the
  size of its count in single precision, as CMS's own C++ does.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, final

import numpy as np
from jaxtyping import Float64, Int64, Shaped, UInt64

from trigger.errors import UserError, nearest
from trigger.fixed import Fixed, Rounding, check_mode, parse

WORD_BITS = 64

Columns = dict[str, Int64[np.ndarray, " rows"]]
Words = UInt64[np.ndarray, "rows words"]


@final
@dataclass(frozen=True)
class Field:
    """A quantity in some bits of a record.

    Attributes:
        name: The column's name.
        type: The number in C++; `parse("ap_int<12>")`.
        unit: Of the physical value, "" for a pure number.
        scale: What a 1 of `type` is in `unit`; no power of two need be, as of pi/720.
        description: One line for the reader of the interface.
        rounding: How a physical value becomes a count where that is not as `type`
            rounds: C++ often calls `round`, which is `RND_INF`, and assigns the result.
        offset: Lowest bit in the record; None stands for the one after the field before.
    """

    name: str
    type: Fixed
    unit: str = ""
    scale: float = 1.0
    description: str = ""
    rounding: Rounding | None = None
    offset: int | None = None

    def __post_init__(self):
        """Checks the scale.

        Raises:
            UserError: It is not finite and positive.
        """
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise UserError(
                f"field {self.name!r}: the scale is finite and positive, "
                f"got {self.scale}"
            )

    @property
    def lsb(self) -> float:
        """The physical size of one count, in `unit`."""
        return self.type.lsb * self.scale

    def encode(self, values: Shaped[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
        """The counts of physical values; integers are taken as doubles.

        Raises:
            UserError: A value is NaN or infinite.
        """
        if not np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float64)
        if self.scale != 1:
            values = values / self.scale
        type_ = replace(self.type, rounding=self.rounding or self.type.rounding)
        return type_.encode(values, name=f"field {self.name!r}")

    def decode(self, raw: Int64[np.ndarray, " rows"]) -> Float64[np.ndarray, " rows"]:
        """The physical values of counts.

        Raises:
            UserError: A count does not fit in the field.
        """
        return self.type.decode(raw, name=f"field {self.name!r}") * self.scale


class Fields(ABC):
    """What has fields by name: the way between counts and physical values."""

    @abstractmethod
    def __getitem__(self, name: str) -> Field:
        """The field of a name."""

    def from_physics(
        self, values: Mapping[str, Shaped[np.ndarray, " rows"]]
    ) -> Columns:
        """The counts of physical values, for the fields that are given.

        Raises:
            UserError: There is no such field, or a value is NaN or infinite.
        """
        return {name: self[name].encode(column) for name, column in values.items()}

    def to_physics(
        self, columns: Mapping[str, Int64[np.ndarray, " rows"]]
    ) -> dict[str, Float64[np.ndarray, " rows"]]:
        """The physical values of counts, for the fields that are given.

        Raises:
            UserError: There is no such field, or a count does not fit in it.
        """
        return {name: self[name].decode(column) for name, column in columns.items()}


@final
@dataclass(frozen=True)
class Layout(Fields):
    """A record of a fixed number of bits.

    Attributes:
        name: The record's name.
        bits: Its width, spare bits included.
        fields: Where no offset is given, one after the other from bit 0; every one has
            its offset once the layout is made.
    """

    name: str
    bits: int
    fields: tuple[Field, ...]

    def __post_init__(self):
        """Places the fields and checks that each has bits of its own.

        Raises:
            UserError: Two fields overlap or have one name, or one ends beyond the width.
        """
        placed, free = [], 0
        for field in self.fields:
            offset = free if field.offset is None else field.offset
            free = offset + field.type.bits
            placed.append(replace(field, offset=offset))
        object.__setattr__(self, "fields", tuple(placed))
        names = [field.name for field in placed]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            raise UserError(
                f"layout {self.name!r}: fields have distinct names and are at least "
                f"one; {len(names)} given, more than once: {', '.join(twice) or 'none'}"
            )
        for field in placed:
            low, high = _bits_of(field)
            if not 0 <= low <= high < self.bits:
                raise UserError(
                    f"layout {self.name!r}: field {field.name!r} is in bits "
                    f"{low}..{high}, the record has bits 0..{self.bits - 1}"
                )
        in_order = sorted(placed, key=_bits_of)
        for below, above in pairwise(in_order):
            if _bits_of(above)[0] <= _bits_of(below)[1]:
                raise UserError(
                    f"layout {self.name!r}: fields {below.name!r} in bits "
                    f"{_range(below)} and {above.name!r} in bits {_range(above)} overlap"
                )

    @property
    def words(self) -> int:
        """Words of 64 bits that a record takes."""
        return -(-self.bits // WORD_BITS)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields, in their order."""
        return tuple(field.name for field in self.fields)

    @property
    def spare(self) -> int:
        """How many bits belong to no field."""
        return self.bits - sum(field.type.bits for field in self.fields)

    def __getitem__(self, name: str) -> Field:
        """The field of a name.

        Raises:
            UserError: There is none; lists the most alike.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise UserError(
            f"layout {self.name!r} has no field {name!r}; the most alike of its "
            f"{len(self.fields)} are {nearest(name, self.names)}"
        )

    def pack(self, columns: Mapping[str, Int64[np.ndarray, " rows"]]) -> Words:
        """The words of some records.

        Args:
            columns: The counts of every field, by its name.

        Raises:
            UserError: A column is missing or not of this record, they differ in length,
                or a count does not fit in its field.
        """
        rows = count_rows(f"layout {self.name!r}", self.names, columns)
        words = np.zeros((rows, self.words), np.uint64)
        for field in self.fields:
            column = columns[field.name]
            field.type.check(column, name=f"layout {self.name!r}, field {field.name!r}")
            count = column.view(np.uint64) & _mask(field)
            word, shift = divmod(_bits_of(field)[0], WORD_BITS)
            words[:, word] |= count << np.uint64(shift)
            if shift + field.type.bits > WORD_BITS:
                words[:, word + 1] |= count >> np.uint64(WORD_BITS - shift)
        return words

    def unpack(self, words: Words) -> Columns:
        """The counts of some records, by field; the inverse of `pack`.

        Raises:
            UserError: The records are not of so many words.
        """
        if words.shape[1] != self.words:
            raise UserError(
                f"layout {self.name!r}: a record has {self.words} words of "
                f"{WORD_BITS} bits, got {words.shape[1]}"
            )
        columns = {}
        for field in self.fields:
            word, shift = divmod(_bits_of(field)[0], WORD_BITS)
            count = words[:, word] >> np.uint64(shift)
            if shift + field.type.bits > WORD_BITS:
                count |= words[:, word + 1] << np.uint64(WORD_BITS - shift)
            if field.type.signed:
                above = WORD_BITS - field.type.bits
                columns[field.name] = (count << np.uint64(above)).view(
                    np.int64
                ) >> above
            else:
                columns[field.name] = (count & _mask(field)).view(np.int64)
        return columns

    def to_dict(self) -> dict[str, Any]:
        """The layout as plain values, for JSON."""
        return {
            "name": self.name,
            "bits": self.bits,
            "fields": [
                {
                    "name": field.name,
                    "offset": field.offset,
                    "type": str(field.type),
                    "unit": field.unit,
                    "scale": field.scale,
                    "rounding": field.rounding,
                    "description": field.description,
                }
                for field in self.fields
            ],
        }

    @staticmethod
    def from_dict(document: Any) -> "Layout":
        """Reads what `to_dict` wrote.

        Raises:
            UserError: Something is missing, of another kind, or no layout follows.
        """
        name = _get(document, "name", str, "layout")
        at = f"layout {name!r}"
        fields = []
        for index, entry in enumerate(_get(document, "fields", list, at)):
            where = f"{at}, fields[{index}]"
            scale = _get(entry, "scale", (float, int), where)
            rounding = _get(entry, "rounding", (str, type(None)), where)
            if rounding is not None:
                check_mode("rounding", rounding)
            fields.append(
                Field(
                    name=_get(entry, "name", str, where),
                    type=parse(_get(entry, "type", str, where)),
                    unit=_get(entry, "unit", str, where),
                    scale=float(scale),
                    description=_get(entry, "description", str, where),
                    rounding=rounding,
                    offset=_get(entry, "offset", int, where),
                )
            )
        return Layout(name, _get(document, "bits", int, at), tuple(fields))


def count_rows(
    what: str, names: tuple[str, ...], columns: Mapping[str, np.ndarray]
) -> int:
    """How many rows columns have, where they are those of a record.

    Args:
        what: The record, for a message.
        names: Of its fields.
        columns: By name.

    Raises:
        UserError: A column is missing or not of this record, or they differ in length.
    """
    for name in columns:
        if name not in names:
            raise UserError(
                f"{what} has no field {name!r}; the most alike of its {len(names)} are "
                f"{nearest(name, names)}"
            )
    for name in names:
        if name not in columns:
            raise UserError(
                f"{what}: column {name!r} is missing; the most alike of those given are "
                f"{nearest(name, columns)}"
            )
    lengths = {name: len(columns[name]) for name in names}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise UserError(f"{what}: columns are equally long, got {listed}")
    return lengths[names[0]]


def _bits_of(field: Field) -> tuple[int, int]:
    """The lowest and the highest bit of a field that is placed."""
    low = field.offset or 0
    return low, low + field.type.bits - 1


def _range(field: Field) -> str:
    return "{}..{}".format(*_bits_of(field))


def _mask(field: Field) -> np.uint64:
    return np.uint64((1 << field.type.bits) - 1)


def _get(document: Any, key: str, kinds: Any, at: str) -> Any:
    """An entry of the right kind; bool is no number here."""
    value = document.get(key, ...) if isinstance(document, dict) else ...
    if value is ... or isinstance(value, bool) or not isinstance(value, kinds):
        found = "nothing" if value is ... else repr(value)
        raise UserError(f"{at}: {key!r} should be {_kind(kinds)}, got {found}")
    return value


def _kind(kinds: Any) -> str:
    names = {str: "a text", list: "a list", int: "a whole number", float: "a number"}
    names[type(None)] = "null"
    return " or ".join(
        names[k] for k in (kinds if isinstance(kinds, tuple) else (kinds,))
    )
