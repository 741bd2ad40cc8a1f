"""Figures of efficiencies with their intervals: in bins of a variable, and turn-ons."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes

from trigger.physics.efficiency import Binned, Efficiency, efficiency
from trigger.physics.turn_on import TurnOn
from workflows.physics_style import Figure, canvas, colour, finish, style

_POINTS = 400  # of a fitted curve


def efficiency_figure(
    series: Mapping[str, Binned],
    variable: str,
    *,
    at: str,
    name: str = "efficiency",
    style_name: str = "cms",
) -> Figure:
    """Efficiency against pT, eta or pile-up, with Clopper-Pearson intervals.

    Args:
        series: By name, such as a class.
        variable: What it is binned in, with its unit: the axis's title.
        at: What is fixed, such as `score >= 37, 14 kHz`: the legend's title.
        name: Of the figure.
        style_name: `cms`, `atlas` or `plain`.
    """
    with mpl.rc_context(style(style_name)):
        figure, (axes,) = canvas()
        content = []
        for index, (label, one) in enumerate(series.items()):
            middle = (one.edges[1:] + one.edges[:-1]) / 2
            half = np.diff(one.edges) / 2
            _errorbars(axes, middle, half, one.efficiency, colour(index), label)
            content.append(
                {
                    "series": label,
                    "edges": one.edges,
                    **contents(one.efficiency),
                    "outside": one.outside,
                }
            )
        seen = [
            one.efficiency.high[one.efficiency.total > 0] for one in series.values()
        ]
        most = np.max(np.concatenate(seen), initial=1e-6)
        axes.set_ylim(0, 1.35 * most)  # room for the legend
        axes.set_xlabel(variable)
        axes.set_ylabel("efficiency")
        axes.legend(loc="upper left", title=at, ncols=2)
        return finish(figure, name, {"variable": variable, "at": at, "series": content})


def turn_on_figure(
    fits: Mapping[str, TurnOn],
    variable: str,
    *,
    name: str = "turn_on",
    style_name: str = "cms",
) -> Figure:
    """Turn-on curves: efficiencies with intervals, fits, and their 95 % points.

    Args:
        fits: By name.
        variable: What turns on, with its unit: the axis's title.
        name: Of the figure.
        style_name: `cms`, `atlas` or `plain`.
    """
    with mpl.rc_context(style(style_name)):
        figure, (axes,) = canvas()
        content = []
        for index, (label, fit) in enumerate(fits.items()):
            half, full = fit.point(0.5), fit.point(0.95)
            share = efficiency(fit.passed, fit.total)
            text = f"{label}: 95 % at {full[0]:.1f} ± {full[1]:.1f}"
            _errorbars(axes, fit.x, None, share, colour(index), text)
            x = np.linspace(fit.x[0], fit.x[-1], _POINTS)
            axes.plot(x, fit.curve(x), color=colour(index), linewidth=1.5)
            axes.axvline(full[0], color=colour(index), linestyle=":", linewidth=1.5)
            content.append(
                {
                    "series": label,
                    "x": fit.x,
                    **contents(share),
                    "plateau": [fit.plateau, fit.plateau_error],
                    "point_50": half,
                    "point_95": full,
                    "sigma": [fit.sigma, fit.sigma_error],
                    "deviance": fit.deviance,
                    "degrees": fit.degrees,
                }
            )
        axes.set_ylim(0, 1.35)
        axes.set_xlabel(variable)
        axes.set_ylabel("efficiency")
        axes.legend(loc="upper left")
        return finish(figure, name, {"variable": variable, "series": content})


def arms(
    value: Float64[np.ndarray, " points"],
    low: Float64[np.ndarray, " points"],
    high: Float64[np.ndarray, " points"],
) -> Float64[np.ndarray, "2 points"]:
    """Lengths of error bars below and above."""
    # A rounding of the interval's quantile may stand on the wrong side of the value.
    return np.maximum(np.stack([value - low, high - value]), 0)


def contents(share: Efficiency) -> dict[str, Any]:
    """An efficiency as data."""
    return {
        "passed": share.passed,
        "total": share.total,
        "value": share.value,
        "low": share.low,
        "high": share.high,
    }


def _errorbars(
    axes: Axes,
    x: Float64[np.ndarray, " bins"],
    half: Float64[np.ndarray, " bins"] | None,
    share: Efficiency,
    ink: str,
    label: str,
) -> None:
    some = share.total > 0
    axes.errorbar(
        x[some],
        share.value[some],
        yerr=arms(share.value, share.low, share.high)[:, some],
        xerr=None if half is None else half[some],
        linestyle="none",
        marker="o",
        markersize=5,
        color=ink,
        label=label,
    )
