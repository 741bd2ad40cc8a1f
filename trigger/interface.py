"""The interface of a block: its ports, and what the integers on them mean.

`io.json` is the one place that says the order, width, LSB and unit of every port and
the order of the classes.  Firmware, emulators and documentation are made from it; this
module owns its format.

Conventions
-----------
- Port `i` is column `i` of the features, of the words, and of the vectors.
- Input words are truncated to their LSB and saturate; scores are exact sums.
- A text is a function of the interface alone, so equal interfaces have equal bytes.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int64

from trigger.decision import ARGMAX, Decision
from trigger.errors import UserError, nearest
from trigger.layout import Layout
from trigger.links import Slice, check, layouts
from trigger.words import Word

FILE_NAME = "io.json"
FORMAT, VERSION = "jetlut-io", 2

# Legal in Verilog, VHDL and C++ alike: VHDL allows no double or trailing underscore.
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")


@final
@dataclass(frozen=True)
class Interface:
    """The ports of a block.

    Attributes:
        block: Id of the block, which prefixes all its modules and files.
        inputs: One word per feature.
        outputs: One word per class, its score.
        classes: Names of the classes, in the order of the outputs.
        label: What the classes are classes of.
        decision: What is read from the scores.
        slices: The field of a link's record that each input is, if there is a link.
    """

    block: str
    inputs: tuple[Word, ...]
    outputs: tuple[Word, ...]
    classes: tuple[str, ...]
    label: str = "truth class of the jet"
    decision: Decision = ARGMAX
    slices: tuple[Slice, ...] = ()

    def __post_init__(self):
        """Checks that the names can be ports and that the counts agree.

        Raises:
            UserError: A name is no identifier or occurs twice (in capitals or not), or
                there is not one output per class; or the fields of the link are not
                the ports.
        """
        words = (*self.inputs, *self.outputs)
        for name in (self.block, *(word.name for word in words)):
            if not _IDENTIFIER.fullmatch(name):
                raise UserError(
                    f"interface of {self.block!r}: {name!r} is no identifier in "
                    "Verilog, VHDL and C++; use letters, digits and single underscores"
                )
        for side, ports in (("input", self.inputs), ("output", self.outputs)):
            names = [word.name.lower() for word in ports]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice or not names:
                raise UserError(
                    f"interface of {self.block!r}: {side} names must be distinct "
                    f"(capitals aside) and at least one; {len(names)} given, "
                    f"more than once: {', '.join(twice) or 'none'}"
                )
        if len(self.outputs) != len(self.classes):
            raise UserError(
                f"interface of {self.block!r}: {len(self.classes)} classes "
                f"({', '.join(self.classes)}) need one output each, "
                f"got {len(self.outputs)}"
            )
        if self.decision.at_least is not None and len(self.outputs) != 1:
            raise UserError(
                f"interface of {self.block!r}: a cut is on one score, there are "
                f"{len(self.outputs)}"
            )
        if self.slices:
            check(self.block, self.inputs, self.slices)

    def encode(
        self, features: Float[np.ndarray, "events {len(self.inputs)}"]
    ) -> Int64[np.ndarray, "events {len(self.inputs)}"]:
        """The words of some events, port by port.

        Raises:
            UserError: A feature is NaN or infinite; names the port and the event.
        """
        columns = zip(self.inputs, features.T, strict=True)
        return np.stack([word.encode(column) for word, column in columns], axis=1)


def to_json(interface: Interface) -> str:
    """The text of `io.json`.  Ends in a newline."""
    return json.dumps(_to_dict(interface), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str) -> Interface:
    """Reads `io.json`; the inverse of `to_json`.

    What follows from other fields (limits, bits left of the point, ...) must agree with
    them, so that an edited file cannot say two things.

    Raises:
        UserError: The text is not JSON, not an interface, of a newer version, or
            contradicts itself; the first field in doubt is named.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{FILE_NAME} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else document
        raise UserError(
            f"{FILE_NAME} is not an interface: its format should be {FORMAT!r}, "
            f"got {found!r}"
        )
    version = document.get("version")
    if version != VERSION:
        raise UserError(
            f"{FILE_NAME} is of version {version!r}, this program reads version "
            f"{VERSION}; use the jetlut that wrote it, or a newer one"
        )
    classes = _get(document, "classes", list)
    if not all(isinstance(name, str) for name in classes):
        raise UserError(f"{FILE_NAME}: classes should be names, got {classes!r}")
    interface = Interface(
        block=_get(document, "block", str),
        inputs=_words(document, "inputs"),
        outputs=_words(document, "outputs"),
        classes=tuple(classes),
        label=_get(document, "label", str),
        decision=Decision.from_dict(_get(document, "decision", dict)),
        slices=_slices(document),
    )
    _check_equal(_to_dict(interface), document, "")
    return interface


def _to_dict(interface: Interface) -> dict[str, Any]:
    as_sent = "as the record says"
    incoming = (
        {"rounding": as_sent, "overflow": as_sent}
        if interface.slices
        else {"rounding": "truncate", "overflow": "saturate"}
    )
    outgoing = {"rounding": "none", "overflow": "none: exact sum"}
    return {
        "format": FORMAT,
        "version": VERSION,
        "block": interface.block,
        "label": interface.label,
        "classes": list(interface.classes),
        "decision": interface.decision.to_dict(interface.outputs[0].lsb),
        "records": [layout.to_dict() for layout in layouts(interface.slices)],
        "inputs": [
            _port(index, word, incoming)
            | ({"link": interface.slices[index].to_dict()} if interface.slices else {})
            for index, word in enumerate(interface.inputs)
        ],
        "outputs": [
            _port(index, word, outgoing) for index, word in enumerate(interface.outputs)
        ],
    }


def _port(index: int, word: Word, treatment: dict[str, str]) -> dict[str, Any]:
    lo, hi = word.limits
    return {
        "index": index,
        "name": word.name,
        "bits": word.bits,
        "signed": word.signed,
        "int_bits": word.int_bits,
        "lsb": word.lsb,
        "lsb_exponent": word.lsb_exponent,
        "unit": word.unit,
        "min": lo,
        "max": hi,
        **treatment,
        "description": word.description,
    }


def _slices(document: dict[str, Any]) -> tuple[Slice, ...]:
    records = {
        layout.name: layout
        for layout in map(Layout.from_dict, _get(document, "records", list))
    }
    found = []
    for index, port in enumerate(_get(document, "inputs", list)):
        if not isinstance(port, dict) or not records:
            continue
        at = f"inputs[{index}].link"
        link = _get(port, "link", dict, f"inputs[{index}]")
        name = _get(link, "record", str, at)
        if name not in records:
            raise UserError(
                f"{FILE_NAME}: {at}.record is {name!r}; the most alike of the records: "
                f"{nearest(name, records)}"
            )
        field, number = _get(link, "field", str, at), _get(link, "index", int, at)
        found.append(Slice(records[name], number, field))
    return tuple(found)


def _words(document: dict[str, Any], side: str) -> tuple[Word, ...]:
    words = []
    for index, port in enumerate(_get(document, side, list)):
        at = f"{side}[{index}]"
        if not isinstance(port, dict):
            raise UserError(f"{FILE_NAME}: {at} should be an object, got {port!r}")
        words.append(
            Word(
                name=_get(port, "name", str, at),
                bits=_get(port, "bits", int, at),
                signed=_get(port, "signed", bool, at),
                lsb=float(_get(port, "lsb", (int, float), at)),
                unit=_get(port, "unit", str, at),
                description=_get(port, "description", str, at),
            )
        )
    return tuple(words)


def _get(
    record: dict[str, Any],
    key: str,
    kind: type | tuple[type, ...],
    at: str = "",
) -> Any:
    where = f"{at}.{key}".lstrip(".")
    if key not in record:
        raise UserError(
            f"{FILE_NAME}: {where} is missing; the most alike of what is there: "
            f"{nearest(key, record)}"
        )
    value = record[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise UserError(
            f"{FILE_NAME}: {where} should be {' or '.join(k.__name__ for k in kinds)}, "
            f"got {value!r}"
        )
    return value


def _check_equal(expected: Any, found: Any, at: str) -> None:
    """Compares a document with the one that its own fields imply."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            where = f"{at}.{key}".lstrip(".")
            if key not in expected:
                raise UserError(
                    f"{FILE_NAME}: {where} is unknown; the most alike known: "
                    f"{nearest(key, expected)}"
                )
            if key not in found:
                raise UserError(
                    f"{FILE_NAME}: {where} is missing; it should be {expected[key]!r}"
                )
            _check_equal(expected[key], found[key], where)
    elif isinstance(expected, list) and isinstance(found, list):
        pairs = zip(expected, found, strict=True)  # both made from the same ports
        for index, (one, other) in enumerate(pairs):
            _check_equal(one, other, f"{at}[{index}]")
    elif expected != found or isinstance(expected, bool) != isinstance(found, bool):
        raise UserError(
            f"{FILE_NAME}: {at} is {found!r}, but the other fields make it {expected!r}"
        )
