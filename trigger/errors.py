"""The one exception that means "the user can mend this".

Every package raises it for bad input: one sentence that says what was asked, what was
found, where, and what would be right.  The command line prints the sentence and exits
with status 2; any other exception is a bug and keeps its traceback.
"""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import final


@final
class UserError(Exception):
    """Bad input, told in one sentence that a newcomer can act on."""


def nearest(wanted: str, names: Iterable[str], count: int = 3) -> str:
    """Lists the names most like `wanted`, the most alike first, for an error message.

    Args:
        wanted: The name that was not found.
        names: The names that exist.
        count: How many to list at most.

    Returns:
        Comma-separated names in quotes, or `nothing` where there are none.
    """

    def likeness(name: str) -> float:
        return SequenceMatcher(None, wanted.lower(), name.lower()).ratio()

    best = sorted(names, key=lambda name: (-likeness(name), name))[:count]
    return ", ".join(repr(name) for name in best) or "nothing"
