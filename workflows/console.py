"""Tables on standard output, readable on a terminal and in a pipe.

On a terminal a long cell is folded to the window; in a pipe nothing is, so that the
next program finds a row on one line.
"""

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 1000
"""Characters a line where there is no window to fit in."""


def standard_output() -> Console:
    """A console on standard output as it is now."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(file=sys.stdout, width=width, highlight=False, markup=False)


def show(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numeric: Sequence[str] = (),
    title: str = "",
) -> None:
    """Prints a table of texts.

    Args:
        columns: Headings.
        rows: Texts, as many per row as there are columns.
        numeric: Headings of the columns that stand flush right.
        title: A line above the table.
    """
    console = standard_output()
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        table.add_column(
            name, justify="right" if name in numeric else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if title:
        console.print(Text(title, style="bold"))
    console.print(table)
