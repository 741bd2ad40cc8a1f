"""Figures of thresholds: ROCs with their working points, rates.

Every number is a count or follows from counts: working points are marked where their
integer thresholds are, intervals are those of `trigger.physics`, and between the steps
of a quantised score nothing is interpolated.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes

from trigger.physics.efficiency import efficiency
from trigger.physics.rate import Rates
from trigger.physics.roc import Roc
from trigger.physics.working_point import WorkingPoint
from workflows.efficiency_figures import arms, contents
from workflows.figures import INK
from workflows.physics_style import Figure, canvas, colour, finish, style

_POINTS = 400  # of a curve: more an eye cannot tell apart
Pair = tuple[str, str]
"""Signal and background."""


def roc_figure(
    rocs: Mapping[Pair, Roc],
    points: Mapping[Pair, Sequence[WorkingPoint]],
    *,
    behind: Mapping[Pair, Roc] | None = None,
    name: str = "roc",
    style_name: str = "cms",
) -> Figure:
    """Background against signal efficiency of class pairs, background logarithmic.

    Args:
        rocs: By (signal, background).
        points: Working points to mark, by the same pairs, chosen on the same scores.
        behind: ROCs to draw faintly, such as of the scores before quantisation.
        name: Of the figure.
        style_name: `cms`, `atlas` or `plain`.
    """
    with mpl.rc_context(style(style_name)):
        figure, (axes,) = canvas()
        curves = []
        for index, (pair, roc) in enumerate(rocs.items()):
            total = {"signal": roc.signal_total, "background": roc.background_total}
            shown = _telling(roc)
            label = f"{pair[0]} against {pair[1]}  (AUC {roc.auc:.4f})"
            if len(rocs) > 1:  # beside the marks of curves that meet none could be read
                label += "".join(f", t = {at.threshold}" for at in points.get(pair, ()))
            _curve(axes, roc, color=colour(index), label=label)
            faint = (behind or {}).get(pair)
            if faint is not None:
                _curve(axes, faint, color=colour(index), alpha=0.35, linewidth=4)
            marks = [
                _mark(axes, roc, at, colour(index), told=len(rocs) == 1)
                for at in points.get(pair, ())
            ]
            curves.append(
                {
                    "signal": pair[0],
                    "background": pair[1],
                    "jets": total,
                    "auc": roc.auc,
                    "auc_behind": None if faint is None else faint.auc,
                    "codes_used": len(roc.threshold),
                    "threshold": roc.threshold[shown],
                    "signal_passed": roc.signal_passed[shown],
                    "background_passed": roc.background_passed[shown],
                    "working_points": marks,
                }
            )
        axes.set_yscale("log")
        axes.set_xlim(0, 1)
        axes.set_ylim(
            _decade(min(1 / roc.background_total for roc in rocs.values())), 1
        )
        axes.set_xlabel("signal efficiency")
        axes.set_ylabel("background efficiency")
        axes.legend(loc="lower right")
        return finish(figure, name, {"curves": curves})


def rate_figure(
    series: Mapping[str, Rates],
    points: Sequence[WorkingPoint] = (),
    *,
    name: str = "rate",
    style_name: str = "cms",
) -> Figure:
    """Rate against threshold with its statistical band, and target lines.

    In kHz where all series have a rate, else as the share that passes.

    Args:
        series: Scans of scores, by name.
        points: Working points; their targets are drawn where the unit is theirs.
        name: Of the figure.
        style_name: `cms`, `atlas` or `plain`.
    """
    with mpl.rc_context(style(style_name)):
        figure, (axes,) = canvas()
        known = [one.khz for one in series.values()]
        khz = all(rows is not None for rows in known)
        content = []
        for index, (label, one) in enumerate(series.items()):
            rows = one.khz if khz else None
            if rows is None:
                rows = np.stack([one.share, one.low, one.high])
            shown, interval = _spread(len(one.threshold)), one.interval
            _band(axes, one, rows, shown, colour(index), label)
            content.append(
                {
                    "series": label,
                    "total": one.normalisation.total,
                    "per": one.normalisation.per,
                    "full_khz": one.normalisation.full_khz,
                    "threshold": one.threshold[shown],
                    "passed": one.passed[shown],
                    "value": rows[0][shown],
                    "low": rows[1][shown],
                    "high": rows[2][shown],
                    "interval": [interval[i] for i in shown],
                }
            )
        unit = "kHz" if khz else "background efficiency"
        for at in points:
            if at.unit == unit:
                axes.axhline(at.target, color=INK, linestyle="--", linewidth=1)
                axes.axvline(at.threshold, color=INK, linestyle=":", linewidth=1)
        axes.set_yscale("log")
        axes.set_xlabel("integer threshold on the score")
        axes.set_ylabel("rate in kHz" if khz else "share that passes")
        axes.legend(loc="upper right")
        data = {"unit": unit, "series": content, "working_points": _points(points)}
        return finish(figure, name, data)


def _curve(axes: Axes, roc: Roc, **look: Any) -> None:
    """The points of a ROC that a logarithm has; dots while they are few."""
    shown = _telling(roc)
    background = roc.background_passed[shown] / roc.background_total
    signal = roc.signal_passed[shown] / roc.signal_total
    seen = background > 0
    marker = "." if len(roc.threshold) <= 64 else None
    axes.plot(signal[seen], background[seen], marker=marker, **look)


def _mark(
    axes: Axes, roc: Roc, at: WorkingPoint, ink: str, *, told: bool
) -> dict[str, Any]:
    """Draws a working point with its intervals; returns what is known of it."""
    passed = roc.of_signal().passing(np.array([at.threshold, at.threshold - 1]))
    signal = efficiency(passed, np.full(2, roc.signal_total))
    background = at.rates
    if at.passed:
        axes.errorbar(
            signal.value[:1],
            background.share[:1],
            yerr=arms(background.share, background.low, background.high)[:, :1],
            xerr=arms(signal.value, signal.low, signal.high)[:, :1],
            color=ink,
            marker="o",
            fillstyle="none",
            markersize=9,
            linewidth=1.5,
        )
    if at.passed and told:
        spot = (float(signal.value[0]), float(background.share[0]))
        axes.annotate(
            f"t = {at.threshold}",
            spot,
            xytext=(-10, 10),
            textcoords="offset points",
            ha="right",
            fontsize="x-small",
            color=ink,
        )
    return {**_points([at])[0], "signal": contents(signal)}


def _points(points: Sequence[WorkingPoint]) -> list[dict[str, Any]]:
    """Working points as data: always both sides of the step."""
    rows = []
    for at in points:
        known = at.rates
        rows.append(
            {
                "threshold": at.threshold,
                "target": at.target,
                "unit": at.unit,
                "total": at.normalisation.total,
                "passed": [at.passed, at.passed_below],
                "share": known.share,
                "low": known.low,
                "high": known.high,
                "khz": known.khz,
                "interval": known.interval,
            }
        )
    return rows


def _band(
    axes: Axes,
    rates: Rates,
    rows: Float64[np.ndarray, "3 points"],
    shown: np.ndarray,
    ink: str,
    label: str,
) -> None:
    """Steps with a band; an arrow down from the limit where nothing passes."""
    passes = rates.passed[shown] > 0
    x, (value, low, high) = rates.threshold[shown][passes], rows[:, shown[passes]]
    # The rate of a threshold between two codes is that of the upper code.
    axes.step(x, value, where="pre", color=ink, label=label)
    axes.fill_between(x, low, high, step="pre", color=ink, alpha=0.25, linewidth=0)
    if not passes.all():
        limit = shown[~passes][0]
        axes.errorbar(
            rates.threshold[limit],
            rows[2, limit],
            yerr=rows[2, limit] / 2,
            uplims=True,
            color=ink,
        )


def _telling(roc: Roc) -> np.ndarray:
    """Codes whose points an eye can tell apart; all of them while they are few."""
    keep = np.zeros(len(roc.threshold), bool)
    if len(keep) <= _POINTS:
        return np.arange(len(keep))
    for passed, total, grid in (
        (roc.signal_passed, roc.signal_total, np.linspace(0, 1, _POINTS)),
        (roc.background_passed, roc.background_total, np.geomspace(1e-7, 1, _POINTS)),
    ):
        keep[np.minimum(np.searchsorted(-passed / total, -grid), len(keep) - 1)] = True
    keep[[0, -1]] = True
    return np.flatnonzero(keep)


def _spread(points: int) -> np.ndarray:
    """Indices of a scan to draw: all while they are few."""
    if points <= 8 * _POINTS:
        return np.arange(points)
    return np.unique(np.linspace(0, points - 1, 8 * _POINTS).astype(np.int64))


def _decade(share: float) -> float:
    return float(10 ** np.floor(np.log10(share)))
