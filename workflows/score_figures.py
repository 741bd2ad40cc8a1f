"""Figures of what leaves the block: scores by code, decisions, corrected momenta."""

from collections.abc import Mapping, Sequence

import hist
import matplotlib as mpl
import mplhep
import numpy as np
from jaxtyping import Int64

from trigger.physics.codes import Codes
from trigger.physics.response import Response
from trigger.words import Word
from workflows.figures import INK
from workflows.physics_style import Figure, canvas, colour, finish, style

_BARS = 1024  # in a histogram: more an eye cannot tell apart


def score_figure(
    samples: Mapping[str, Codes],
    word: Word,
    *,
    name: str = "score_codes",
    style_name: str = "cms",
) -> Figure:
    """Jets of each class at each code of a score, with what saturates.

    One bar is one LSB.  Of words with more than 1024 codes in use, powers of two of
    codes share a bar; the data beside it keep every code.

    Args:
        samples: Codes of the score by class; integers that fit in the word.
        word: The score's word.
        name: Of the figure.
        style_name: `cms`, `atlas` or `plain`.
    """
    low, high = word.range
    least = min(int(one.code[0]) for one in samples.values())
    most = max(int(one.code[-1]) for one in samples.values())
    group = 1
    while (most - least) // group >= _BARS:
        group *= 2
    bars = (most - least) // group + 1
    with mpl.rc_context(style(style_name)):
        figure, (axes,) = canvas()
        content = []
        for index, (label, one) in enumerate(samples.items()):
            # Not an integer axis, which mplhep would give a tick for each code.
            ends = least - 0.5, least - 0.5 + bars * group
            axis = hist.axis.Regular(bars * group, *ends, flow=False)
            filled = hist.Hist(axis, storage=hist.storage.Double())
            filled.view()[one.code - least] = one.count / one.total
            saturated = {
                side: int(one.count[one.code == end].sum())
                for side, end in (("low", low), ("high", high))
            }
            share = sum(saturated.values()) / one.total
            mplhep.histplot(
                filled[:: hist.rebin(group)],
                ax=axes,
                color=colour(index),
                label=f"{label}: {len(one.code)} codes, {share:.2%} saturated",
                flow="none",
                yerr=False,
            )
            content.append(
                {
                    "class": label,
                    "jets": one.total,
                    "codes_used": len(one.code),
                    "saturated": saturated,
                    "code": one.code,
                    "count": one.count,
                }
            )
        for end in (low, high):
            if least <= end <= most:
                axes.axvline(end, color=INK, linestyle=":", linewidth=1)
        axes.set_yscale("log")
        axes.set_ylim(top=20 * axes.get_ylim()[1])  # room for the legend
        unit = f" {word.unit}" if word.unit else ""
        axes.set_xlabel(f"{word.name} in counts of {word.lsb:g}{unit}")
        width = "code" if group == 1 else f"{group} codes"
        axes.set_ylabel(f"share of jets per {width}")
        axes.legend(loc="upper right")
        described = {
            "name": word.name,
            "bits": word.bits,
            "signed": word.signed,
            "lsb": word.lsb,
            "unit": word.unit,
            "min": low,
            "max": high,
        }
        return finish(figure, name, {"word": described, "classes": content})


def confusion_figure(
    counts: Int64[np.ndarray, "true found"],
    true: Sequence[str],
    found: Sequence[str],
    *,
    at: str,
    name: str = "confusion",
    style_name: str = "cms",
) -> Figure:
    """Share of each true class that gets each decision.

    Args:
        counts: Jets by true class (rows) and decision (columns).
        true: Classes.
        found: Decisions: classes, or `fails` and `passes` at a working point.
        at: The working point, such as `score >= 37`.
        name: Of the figure.
        style_name: `cms`, `atlas` or `plain`.
    """
    totals = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(totals, 1)
    with mpl.rc_context(style(style_name)):
        figure, (axes,) = canvas()
        axes.pcolormesh(share, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(share):
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{value:.3f}\n{counts[row, column]}",
                ha="center",
                va="center",
                fontsize="x-small",
                color="white" if value > 0.55 else "#102030",
            )
        axes.set_xticks(np.arange(len(found)) + 0.5, list(found))
        axes.set_yticks(np.arange(len(true)) + 0.5, list(true))
        axes.minorticks_off()
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.set_xlabel(f"decision at {at}")
        axes.set_ylabel("true class (rows sum to 1)")
        content = {"true": list(true), "found": list(found), "at": at, "jets": counts}
        return finish(figure, name, content)


def response_figure(
    series: Mapping[str, Response],
    variable: str,
    *,
    name: str = "response",
    style_name: str = "cms",
) -> Figure:
    """Median response and resolution, with bootstrap errors.

    Args:
        series: By name, such as `raw` and `corrected`.
        variable: What it is binned in, with its unit: the axes' title.
        name: Of the figure.
        style_name: `cms`, `atlas` or `plain`.
    """
    with mpl.rc_context(style(style_name)):
        figure, panels = canvas(2, width=18.0)
        content = []
        for index, (label, one) in enumerate(series.items()):
            middle = (one.edges[1:] + one.edges[:-1]) / 2
            rows = (
                (one.median, one.median_error),
                (one.resolution, one.resolution_error),
            )
            for axes, (value, error) in zip(panels, rows, strict=True):
                axes.errorbar(
                    middle,
                    value,
                    yerr=error,
                    xerr=np.diff(one.edges) / 2,
                    linestyle="none",
                    marker="o",
                    markersize=5,
                    color=colour(index),
                    label=label,
                )
            content.append(
                {
                    "series": label,
                    "edges": one.edges,
                    "jets": one.jets,
                    "outside": one.outside,
                    "median": one.median,
                    "median_error": one.median_error,
                    "resolution": one.resolution,
                    "resolution_error": one.resolution_error,
                }
            )
        panels[0].axhline(1.0, color=INK, linestyle="--", linewidth=1)
        panels[0].set_ylabel("median response")
        panels[1].set_ylabel("resolution (q84 - q16) / 2 / median")
        panels[1].set_ylim(bottom=0)
        for axes in panels:
            axes.set_xlabel(variable)
            axes.legend(loc="best")
        return finish(figure, name, {"variable": variable, "series": content})
