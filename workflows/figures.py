"""The figures of a report, all in one style, as scalable vector graphics.

Text and axes take the colour of the page they stand on, so that one file serves light
and dark pages.  The same numbers give the same bytes.  Class colours are the
six-colour cycle of M. Petroff, "Accessible Color Sequences for Data Visualization",
arXiv:2107.02270.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from models.plan import EpochLog
from workflows.scores import Quality

COLOURS = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
Point = tuple[float, float]
"""A network: its LUTs and its accuracy on the validation split."""

INK = "#010203"
"""Stands for the page's own text colour until the figure is written."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
}


def draw(
    quality: Quality,
    log: Sequence[EpochLog],
    *,
    front: Sequence[Point],
    tried: Sequence[Point],
    chosen: Point,
    budget_luts: int,
    beside_luts: int = 0,
    metric: str = "accuracy",
) -> dict[str, str]:
    """All figures by name, each the text of an SVG file.

    Args:
        quality: The chosen block on the test split.
        log: The training, by epoch.
        front: Networks on the accuracy-area front, LUTs as the training estimates.
        tried: Networks that were compiled, LUTs counted.
        chosen: The one of these that was taken.
        budget_luts: What it had to fit in.
        beside_luts: What of it is not the network's, which the training does not see.
        metric: What the training calls the better network.
    """
    with mpl.rc_context(STYLE):
        figures = {
            "roc": roc(quality),
            "confusion": confusion(quality),
            "front": accuracy_area(front, tried, chosen, budget_luts, metric),
            "training": training(log, budget_luts - beside_luts, metric),
            "scores": scores(quality),
        }
        return {name: svg(figure, name) for name, figure in figures.items()}


def roc(quality: Quality) -> Figure:
    """Background against signal efficiency of each class, background logarithmic."""
    figure, (axes,) = _figure(1, 5.2, 3.8)
    lowest = max(1e-4, 3 / len(quality.labels))
    for c, name in enumerate(quality.auc):
        background, signal = _thinned(*quality.roc(name), lowest)
        label = f"{name}  (AUC {quality.auc[name]:.3f})"
        axes.plot(signal, background, color=_colour(c), label=label)
    axes.set_yscale("log")
    axes.set_ylim(lowest, 1)
    axes.set_xlim(0, 1)
    axes.set_xlabel("signal efficiency")
    axes.set_ylabel("background efficiency (all other classes)")
    axes.legend(loc="lower right")
    return figure


def confusion(quality: Quality) -> Figure:
    """Share of each true class that is found as each class."""
    figure, (axes,) = _figure(1, 4.4, 3.8)
    share = quality.confusion / quality.confusion.sum(axis=1, keepdims=True)
    axes.pcolormesh(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{value:.2f}",
            ha="center",
            va="center",
            color="white" if value > 0.55 else "#102030",
        )
    ticks = np.arange(len(quality.classes)) + 0.5
    axes.set_xticks(ticks, quality.classes)
    axes.set_yticks(ticks, quality.classes)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.grid(False)
    axes.tick_params(length=0)
    axes.set_xlabel("found class")
    axes.set_ylabel("true class (rows sum to 1)")
    return figure


def accuracy_area(
    front: Sequence[Point],
    tried: Sequence[Point],
    chosen: Point,
    budget_luts: int,
    metric: str = "accuracy",
) -> Figure:
    """Validation accuracy against LUTs: estimates of the front, counts of the tried."""
    figure, (axes,) = _figure(1, 10.5, 3.2)
    axes.plot(
        *np.transpose(front),
        marker="o",
        markersize=3,
        linewidth=1,
        color=COLOURS[0],
        label="front (training's estimate)",
    )
    axes.plot(
        *np.transpose(tried),
        linestyle="none",
        marker="s",
        markersize=5,
        color=COLOURS[3],
        label="compiled and counted",
    )
    axes.plot(
        *np.transpose([chosen]),
        linestyle="none",
        marker="*",
        markersize=14,
        color=COLOURS[2],
        label=f"chosen: {chosen[0]:.0f} LUTs",
    )
    axes.axvline(budget_luts, color=INK, linestyle="--", linewidth=1, label="budget")
    axes.set_xscale("log")
    axes.set_xlabel("6-input LUTs")
    axes.set_ylabel(f"validation {metric}")
    axes.legend(loc="best")
    return figure


def draw_front(report: Mapping[str, Any]) -> str:
    """The compiled front as the text of an SVG file.

    Args:
        report: What `front.json` holds (`workflows.front`).
    """
    with mpl.rc_context(STYLE):
        figure = accuracy_cost(report["front"], report["others"], report["test_jets"])
        return svg(figure, "compiled-front")


def accuracy_cost(
    front: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    test_jets: int,
) -> Figure:
    """Accuracy against counted LUTs and against latency, binomial errors on the test."""
    figure, panels = _figure(2, 10.5, 3.6, sharey=True)
    labels = {"luts": "6-input LUTs (counted)", "latency_ns": "latency in ns"}
    test = np.array([row["test_accuracy"] for row in front])
    error = np.sqrt(test * (1 - test) / test_jets)
    for axes, (cost, label) in zip(panels, labels.items(), strict=True):
        axes.plot(
            [row[cost] for row in others],
            [row["val_accuracy"] for row in others],
            linestyle="none",
            marker=".",
            color=COLOURS[4],
            label="compiled, but beaten (validation)",
        )
        axes.plot(
            [row[cost] for row in front],
            [row["val_accuracy"] for row in front],
            linestyle="none",
            marker="s",
            markersize=5,
            fillstyle="none",
            color=COLOURS[3],
            label="front (validation, which chose it)",
        )
        axes.errorbar(
            [row[cost] for row in front],
            test,
            error,
            linestyle="none",
            marker="o",
            markersize=4,
            elinewidth=1,
            color=COLOURS[0],
            label="front (test)",
        )
        axes.set_xlabel(label)
    panels[0].set_xscale("log")
    panels[0].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[0].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panels[0].xaxis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("accuracy")
    panels[0].legend(loc="lower right")
    return figure


def training(
    log: Sequence[EpochLog], budget_luts: int, metric: str = "accuracy"
) -> Figure:
    """Loss, accuracy (or what stands for it) and estimated area over the epochs."""
    figure, (loss, accuracy, area) = _figure(3, 10.5, 2.9)
    epoch = [row.epoch for row in log]
    loss.plot(epoch, [row.loss for row in log], color=COLOURS[0])
    loss.set_ylabel("loss, nats per jet, area term included")
    accuracy.plot(
        epoch, [row.train_accuracy for row in log], color=COLOURS[0], label="training"
    )
    accuracy.plot(
        epoch, [row.val_accuracy for row in log], color=COLOURS[1], label="validation"
    )
    accuracy.set_ylabel(metric)
    accuracy.legend(loc="lower right")
    area.plot(epoch, [row.luts for row in log], color=COLOURS[0])
    area.axhline(budget_luts, color=INK, linestyle="--", linewidth=1, label="budget")
    area.set_yscale("log")
    area.set_ylabel("estimated 6-input LUTs")
    area.legend(loc="best")
    for axes in (loss, accuracy, area):
        axes.set_xlabel("epoch")
    return figure


def scores(quality: Quality) -> Figure:
    """The discriminant of each class, for its own jets and for all others."""
    figure, panels = _figure(len(quality.auc), 10.5, 2.5, sharey=True)
    low, high = np.quantile(quality.log_odds, (0.001, 0.999))
    edges = np.linspace(low, max(high, low + 1), 41)
    for c, (axes, name) in enumerate(zip(panels, quality.auc, strict=True)):
        column, own = quality.told_by(name)
        for chosen, label, fill in ((own, name, True), (~own, "others", False)):
            values = np.clip(column[chosen], edges[0], edges[-1])
            density, _ = np.histogram(values, edges, density=True)
            axes.stairs(
                density,
                edges,
                fill=fill,
                color=_colour(c) if fill else INK,
                alpha=0.75 if fill else 1,
                linewidth=1,
                label=label,
            )
        axes.set_xlabel(f"log-odds of {name}")
        axes.legend(loc="upper left", fontsize=8, handlelength=1.2)
    panels[0].set_ylabel("jets per unit, normalised")
    return figure


def svg(figure: Figure, name: str) -> str:
    """The figure as SVG text to stand in a page: no prologue, no addresses, no date."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    body = text.getvalue()
    body = body[body.index("<svg") :]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    return body.replace(INK, "currentColor")


def _figure(
    panels: int, width: float, height: float, *, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """An empty figure, in inches, with its panels in a row."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False, sharey=sharey)
    return figure, list(axes[0])


def _thinned(
    background: Float64[np.ndarray, " points"],
    signal: Float64[np.ndarray, " points"],
    lowest: float,
) -> tuple[Float64[np.ndarray, " kept"], Float64[np.ndarray, " kept"]]:
    """The points of a curve that an eye can tell apart, on axes as in `roc`."""
    across = np.searchsorted(signal, np.linspace(0, 1, 200))
    along = np.searchsorted(background, np.geomspace(lowest, 1, 200))
    keep = np.unique(np.concatenate([across, along, [len(signal) - 1]]))
    keep = keep[keep < len(signal)]
    return background[keep], signal[keep]


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
