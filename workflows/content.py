"""What a run puts on its report: every number as the text that stands there."""

from collections.abc import Mapping
from typing import Any

from firmware.layers import account
from firmware.place import Placement
from firmware.prove import Check
from models.plan import TrainResult
from trigger.words import Word
from workflows.choose import Block
from workflows.dataset import Dataset
from workflows.override import settings
from workflows.recipe import Recipe
from workflows.report import Content, Table, Tile
from workflows.scores import Quality
from workflows.summary import Summary

MEANING = {
    "network": "trained network (JAX) against the netlist",
    "numpy": "NumPy emulator",
    "cpp": "C++ emulator, compiled here",
    "verilog": "Verilog, simulated back to back and with gaps and resets",
    "icarus": "the same Verilog in a second simulator",
    "vhdl": "VHDL, simulated in the same way",
    "tables": "every entry of every table in Verilog, VHDL and C++",
    "latency": "cycles from input to output in the simulation",
}


def make(
    recipe: Recipe,
    data: Dataset,
    trained: TrainResult,
    block: Block,
    quality: Quality,
    summary: Summary,
    checks: Mapping[str, Check],
    figures: Mapping[str, str],
    versions: Mapping[str, str],
    physics: Mapping[str, Any],
    placed: Placement | None = None,
) -> Content:
    """Gathers the page of a run."""
    return Content(
        title=recipe.block,
        subtitle=recipe.description,
        warnings=_warnings(checks),
        tiles=_tiles(recipe, trained, quality, summary, checks),
        budget=_budget(recipe, block, summary, placed),
        layers=_layers(block),
        calibration=block.area.calibration,
        checks=_checks(checks),
        inputs=_inputs(data, block),
        front_end=_front_end(data),
        outputs=_ports("out_", block.interface.outputs),
        data=_data(recipe, data),
        cuts=_cuts(data),
        working_points=_working_points(physics),
        figures=figures,
        settings=[
            (
                path,
                ", ".join(map(str, value)) if isinstance(value, tuple) else str(value),
            )
            for path, _, value in settings(recipe)
        ],
        versions=[
            *versions.items(),
            ("MLflow run", summary.mlflow_run_id),
            ("data SHA-256", data.hash()),
        ],
    )


def count(check: Check) -> str:
    """`0 of N`, or why there is no count."""
    if check.status == "not run":
        return "not run"
    return f"{check.mismatches:,} of {check.words:,}"


def _warnings(checks: Mapping[str, Check]) -> list[str]:
    verbs = {"failed": "failed", "not run": "was not run"}
    return [
        f"The check {name!r} ({MEANING.get(name, name)}) {verbs[check.status]}"
        + (f": {check.reason}." if check.reason else ".")
        for name, check in checks.items()
        if check.status != "passed"
    ]


def _tiles(
    recipe: Recipe,
    trained: TrainResult,
    quality: Quality,
    summary: Summary,
    checks: Mapping[str, Check],
) -> list[Tile]:
    worst = max(check.mismatches for check in checks.values())
    proven = all(check.status == "passed" for check in checks.values())
    return [
        *_quality(recipe, quality, summary),
        Tile(
            "LUTs (estimate)",
            f"{summary.luts:,}",
            f"budget {recipe.budget.luts:,}; {summary.ffs:,} flip-flops",
        ),
        Tile(
            "latency",
            f"{summary.latency_ns:.1f} ns",
            f"{summary.latency_cycles} cycles at {summary.clock_mhz:g} MHz",
        ),
        Tile(
            "mismatches",
            f"{worst:,} of {summary.events_checked:,}",
            "words on every path" if proven else "not every check passed, see below",
            good=proven,
        ),
        Tile(
            "training",
            f"{trained.seconds:.0f} s",
            f"{trained.samples_per_second:,.0f} jets/s, {len(trained.log)} epochs"
            + (
                f"; teacher {trained.teacher:.4f}"
                if trained.teacher is not None
                else ""
            ),
        ),
    ]


def _quality(recipe: Recipe, quality: Quality, summary: Summary) -> list[Tile]:
    """How well it tells jets apart: of one score at its threshold, else by the largest."""
    mean = sum(quality.auc.values()) / len(quality.auc)
    if recipe.data.score:
        (row,) = summary.working_points
        signal, others = row["signal_efficiency"], row["background_efficiency"]
        return [
            Tile(
                f"{recipe.data.score} passing",
                f"{100 * signal['value']:.1f} %",
                f"{100 * others['value']:.2f} % of all others, score ≥ "
                f"{row['threshold']}; {len(quality.labels):,} test jets",
            ),
            Tile("AUC", f"{mean:.4f}", f"{recipe.data.score} against all others"),
        ]
    return [
        Tile(
            "accuracy",
            f"{100 * quality.accuracy:.2f} %",
            f"± {100 * quality.accuracy_error:.2f} % on {len(quality.labels):,} test jets",
        ),
        Tile("mean AUC", f"{mean:.4f}", "each class against the rest"),
    ]


def _budget(
    recipe: Recipe, block: Block, summary: Summary, placed: Placement | None
) -> Table:
    budget, area, schedule = recipe.budget, block.area, block.schedule
    return Table(
        ("quantity", "budget", "this block", "kind"),
        (
            ("6-input LUTs", f"≤ {budget.luts:,}", f"{area.luts:,}", "estimate"),
            ("flip-flops", "–", f"{area.ffs:,}", "estimate"),
            ("adder bits, in the LUTs above", "–", f"{area.carry_bits:,}", "estimate"),
            ("logic depth, LUT levels", "–", f"{area.depth}", "estimate"),
            (
                "latency, ns",
                f"≤ {budget.jet_ns:g}",
                f"{schedule.latency_ns:.2f}",
                f"exact, if the clock of {schedule.clock_mhz:g} MHz closes",
            ),
            ("latency, cycles", "–", f"{schedule.cycles}", "exact"),
            ("initiation interval, cycles", "–", f"{schedule.ii}", "exact"),
            *_before_refill(summary),
            *_placed(placed),
        ),
        frozenset({"budget", "this block"}),
    )


def _before_refill(summary: Summary) -> list[tuple[str, str, str, str]]:
    """What the network was before its rare codes were refilled, if they were."""
    if summary.refill is None:
        return []
    before, after = summary.refill["before"], summary.refill["after"]
    rows = [("LUTs before rare codes were refilled", f"{before['luts']:,}", "estimate")]
    for split in ("validation", "test"):
        name = f"{summary.refill['metric']} on {split}, before and after"
        rows.append((name, f"{before[split]:.4f}, {after[split]:.4f}", "exact"))
    return [(name, "–", value, kind) for name, value, kind in rows]


def _placed(placed: Placement | None) -> list[tuple[str, str, str, str]]:
    """What an open part came to, if the recipe asked for it; never the target."""
    if placed is None:
        return []
    value = f"{placed.fmax_mhz:.1f} MHz, {placed.lut4:,} LUT4, {placed.ffs:,} FFs"
    return [(f"routed on {placed.part}", "–", value, "exact, not the target device")]


def _layers(block: Block) -> Table:
    """Where the area and the time of the block go, layer by layer."""
    shares = {share.layer: share for share in block.area.layers}
    rows = []
    for layer in account(block.netlist, block.schedule):
        share = shares.get(layer.name)
        rows.append(
            (
                layer.name,
                f"{sum(layer.tables.values()):,}",
                f"{layer.adders:,}",
                f"{share.luts:,.1f}" if share else "0.0",
                f"{share.ffs:,}" if share else "0",
                f"{share.depth}" if share else "0",
                f"{layer.delay_ns:.2f}",
                " to ".join(map(str, dict.fromkeys(layer.stages))),
            )
        )
    columns = ("layer", "tables", "adders", "LUTs", "flip-flops", "LUT levels", "ns")
    return Table((*columns, "stages"), tuple(rows), frozenset(columns[1:]))


def _checks(checks: Mapping[str, Check]) -> Table:
    return Table(
        ("check", "what is compared", "differences", "outcome", "remark"),
        tuple(
            (name, MEANING.get(name, ""), count(check), check.status, check.reason)
            for name, check in checks.items()
        ),
        frozenset({"differences"}),
    )


def _ports(prefix: str, words: tuple[Word, ...]) -> Table:
    return Table(
        ("index", "port", "bits", "sign", "LSB", "least", "greatest", "unit"),
        tuple(
            (
                str(index),
                prefix + word.name,
                str(word.bits),
                "signed" if word.signed else "unsigned",
                f"2^{word.lsb_exponent}",
                f"{word.limits[0]:g}",
                f"{word.limits[1]:g}",
                word.unit or "1",
            )
            for index, word in enumerate(words)
        ),
        frozenset({"index", "bits", "LSB", "least", "greatest"}),
    )


def _inputs(data: Dataset, block: Block) -> Table:
    """The ports, with the share of the training values that do not fit them."""
    table = _ports("in_", block.interface.inputs)
    if slices := block.interface.slices:
        rows = tuple(
            (*row, f"{slice_.layout.name} {slice_.index}, {slice_.field}")
            for row, slice_ in zip(table.rows, slices, strict=True)
        )
        return Table((*table.columns, "record on the link"), rows, table.numeric)
    if not data.saturated:
        return table
    shares = [data.saturated[word.name] for word in block.interface.inputs]
    rows = tuple(
        (*row, f"{100 * share:.2f}")
        for row, share in zip(table.rows, shares, strict=True)
    )
    column = "saturates, %"
    return Table((*table.columns, column), rows, table.numeric | {column})


def _front_end(data: Dataset) -> Table:
    """What the integers of a front end cost, feature by feature, against real numbers."""
    columns = ("feature", "mean", "r.m.s.", "largest")
    rows = tuple(
        (
            one.feature,
            *(f"{value:.3g}" for value in (one.mean, one.rms, one.largest)),
        )
        for one in data.differences
    )
    return Table(columns, rows, frozenset(columns[1:]))


def _cuts(data: Dataset) -> Table:
    """What was read and what was left out, step by step."""
    rows = [
        *data.cuts.rows(),
        *((n, f"{k:,}", "", "") for n, k in data.cuts.classes.items()),
    ]
    rows += [(f"left out: {s.name}", "", "", s.reason) for s in data.skipped]
    columns = ("step or class", "jets", "lost", "entries")
    return Table(columns, tuple(rows), frozenset(columns[1:]))


def _working_points(physics: Mapping[str, Any]) -> Table:
    """Thresholds and what passes them, with intervals."""

    def interval(one: Mapping[str, float] | None, scale: float) -> str:
        if one is None:
            return "none"
        value, low, high = (scale * one[key] for key in ("value", "low", "high"))
        return f"{value:.3g} ({low:.3g} to {high:.3g})"

    rows = tuple(
        (
            row["signal"],
            f"{row['threshold']}",
            f"{row['threshold_value']:.4g}",
            interval(row["signal_efficiency"], 100.0),
            interval(row["background_efficiency"], 100.0),
            f"{100 * row['background_efficiency']['one_below']:.3g}",
            interval(row["rate_khz"], 1.0),
        )
        for row in physics["working_points"]
    )
    columns = ("signal", "threshold", "in units of the score", "signal passing, %")
    more = ("background passing, %", "one count below, %", "rate, kHz")
    return Table((*columns, *more), rows, frozenset((*columns[1:], *more)))


def _data(recipe: Recipe, data: Dataset) -> Table:
    rows = [(s.name, f"{s.jets:,}", s.sha256) for s in data.sources]
    for name in ("training", "validation", "test"):
        jets = len(getattr(data, name).labels)
        whole = name == "test" and recipe.data.test_files
        how = "the files to test on" if whole else "by a hash of the event"
        rows.append((f"{name} split", f"{jets:,}", how))
    return Table(("file or split", "jets", "SHA-256"), tuple(rows), frozenset({"jets"}))
