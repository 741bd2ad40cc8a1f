"""What is read from the scores of a block: a class, or a yes or no.

`io.json` states it in integers, so that nobody has to know what a score means.
"""

from dataclasses import dataclass
from typing import Any, final

from trigger.errors import UserError


@final
@dataclass(frozen=True)
class Decision:
    """The largest score, or a cut on the only one.

    Attributes:
        at_least: The score word from which on an object passes; none: the class is that
            of the largest score, of equals the first.
        meaning: What the cut was chosen for, in words.
    """

    at_least: int | None = None
    meaning: str = ""

    def to_dict(self, lsb: float) -> dict[str, Any]:
        """What `io.json` says; `lsb` is the size of a count of the score."""
        if self.at_least is None:
            return {"rule": "argmax", "ties": "the lowest index"}
        return {
            "rule": "at least",
            "threshold": self.at_least,
            "threshold_value": self.at_least * lsb,
            "meaning": self.meaning,
        }

    @staticmethod
    def from_dict(document: Any) -> "Decision":
        """Reads what `to_dict` wrote.

        Raises:
            UserError: The rule is not known, or the threshold is no integer.
        """
        rule = document.get("rule") if isinstance(document, dict) else document
        if rule == "argmax":
            return Decision()
        if rule != "at least":
            raise UserError(
                f"io.json: decision.rule should be 'argmax' or 'at least', got {rule!r}"
            )
        least, meaning = document.get("threshold"), document.get("meaning")
        if type(least) is not int or not isinstance(meaning, str):
            raise UserError(
                "io.json: a decision by threshold has an integer 'threshold' and a text "
                f"'meaning', got {least!r} and {meaning!r}"
            )
        return Decision(least, meaning)


ARGMAX = Decision()
