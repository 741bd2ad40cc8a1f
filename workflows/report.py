"""The report of a run: one HTML file that needs nothing beside it.

This module owns the page alone; what stands on it is given as texts and tables.  The
page asks no server for anything: style, figures and numbers are inside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import final

from markupsafe import Markup

FIGURES = ("roc", "confusion", "front", "training", "scores")
"""Figures that have a place and a text of their own on the page."""


CAPTIONS = {
    "working_points": "The same curves as steps of the integer discriminant, with the "
    "threshold t of each working point and its intervals.",
    "efficiency_pt": "Signal efficiency at the working point, Clopper-Pearson intervals.",
    "efficiency_eta": "The same against pseudorapidity.",
    "efficiency_pileup": "The same against pile-up.",
    "rate": "What passes at each integer threshold, and the thresholds that were chosen.",
    "score_codes": "How often each score word occurs on the test split.",
    "confusion_at_cut": "Jets that pass and fail at the threshold.",
    "turn_on": "A cut on the jet's own pT against its true pT, alone and with the tag.",
}
"""What is told of the figures that only some blocks have."""


@final
@dataclass(frozen=True)
class Tile:
    """One headline number: what it is, the number, and a remark in small print."""

    title: str
    value: str
    remark: str
    good: bool = True


@final
@dataclass(frozen=True)
class Table:
    """A table of texts; columns named in `numeric` stand flush right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str] = frozenset()


@final
@dataclass(frozen=True)
class Content:
    """What stands on the page.

    Attributes:
        warnings: Sentences that the reader must see first, such as a check not run.
        calibration: How good the estimates of area are.
        front_end: What the integers of a front end cost, by feature; may be empty.
        cuts: What was read and what was left out.
        working_points: Integer thresholds and what passes them.
        figures: SVG text by name: roc, confusion, front, training, scores, and any more
            that the physics gives.
        settings: Every setting of the recipe as `(path, value)`.
        versions: Tools and files that took part, as `(name, version)`.
    """

    title: str
    subtitle: str
    warnings: Sequence[str]
    tiles: Sequence[Tile]
    budget: Table
    layers: Table
    calibration: str
    checks: Table
    inputs: Table
    front_end: Table
    outputs: Table
    data: Table
    cuts: Table
    working_points: Table
    figures: Mapping[str, str]
    settings: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]


def render(content: Content) -> str:
    """The page as HTML text; the same content gives the same bytes."""
    import jinja2

    template = files("workflows") / "templates" / "report.html"
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.from_string(template.read_text(encoding="utf-8"))
    figures = {name: Markup(text) for name, text in content.figures.items()}
    more = [name for name in figures if name not in FIGURES]
    return page.render(c=content, figures=figures, more=more, captions=CAPTIONS)
