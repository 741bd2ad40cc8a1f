"""What all figures of trigger physics share: their style, their label, their data.

A figure is text twice: an SVG to look at, and the numbers in it as JSON, so that nobody
has to read values off a picture.  The same numbers give the same bytes.  Styles are
those of mplhep; the label says `jetlut simulation` in each of them, for a style is not
an approval by an experiment.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import matplotlib as mpl
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from trigger.errors import UserError, nearest
from workflows.figures import INK, svg

STYLES: Mapping[str, Mapping[str, Any]] = {
    "cms": mplhep.style.CMS,
    "atlas": mplhep.style.ATLAS,
    "plain": mplhep.style.ROOT,
}
FORMAT, VERSION = "jetlut-figure", 1

# Over every style: the page's own colours, and text that stays text.
_PAGE: dict[str, Any] = {
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "axes.grid": False,
    "figure.dpi": 100,
    "savefig.bbox": None,
}


@final
@dataclass(frozen=True)
class Figure:
    """A figure and the numbers in it.

    Attributes:
        name: Of its files, without an ending.
        svg: Text of the SVG, to stand in a page.
        data: What is drawn, of JSON's types.
    """

    name: str
    svg: str
    data: Mapping[str, Any]

    @property
    def json(self) -> str:
        """Text of the JSON that stands beside the SVG.  Ends in a newline."""
        return json.dumps(self.data, indent=1, allow_nan=False) + "\n"


def style(name: str) -> dict[Any, Any]:
    """Settings of matplotlib, for `matplotlib.rc_context`.

    Raises:
        UserError: There is no such style.
    """
    if name not in STYLES:
        raise UserError(
            f"figures have the styles {', '.join(STYLES)}, got {name!r}; did you mean "
            f"{nearest(name, STYLES, 1)}?"
        )
    return {**STYLES[name], **_PAGE}


def canvas(
    panels: int = 1, *, width: float = 10.0, height: float = 8.0
) -> tuple[Canvas, list[Axes]]:
    """An empty figure, in inches, with its panels in a row and the label on the first."""
    figure = Canvas(figsize=(width, height), layout="constrained")
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    mplhep.label.exp_text("jetlut", "simulation", loc=0, ax=axes[0])
    return figure, axes


def finish(figure: Canvas, name: str, content: Mapping[str, Any]) -> Figure:
    """The figure as texts.

    Args:
        figure: What was drawn; this is called in the same `rc_context`.
        name: Of the figure.
        content: The numbers in it: arrays and NaN are turned into JSON's types.
    """
    data = {"format": FORMAT, "version": VERSION, "name": name, **plain(content)}
    return Figure(name, svg(figure, name), data)


def plain(value: Any) -> Any:
    """A value of JSON's types: lists for arrays, null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def colour(index: int) -> str:
    """The colour of a series in the style of the context."""
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    return cycle[index % len(cycle)]
