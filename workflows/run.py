"""A run, from ROOT files to a verified bundle and a report, as one story.

Nothing is written but the output folder, which appears when it is complete, and the
MLflow run.  What a person sees on the way goes through a `Reporter`.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Int64

from firmware import bundle, place, tools, vectors
from firmware.assemble import assemble
from firmware.prove import Check, passed
from models.evaluate import raw_scores
from models.plan import EpochLog, Goal, Plan, TrainResult
from models.train import train_many
from trigger.errors import UserError
from workflows import content, figures, physics, remarks, report, tracking
from workflows.choose import Block, build, choose
from workflows.dataset import Dataset, prepare
from workflows.folder import FIGURES, PHYSICS, RECIPE, REPORT, SUMMARY, results
from workflows.networks import Cost, aim, builder, front_cost, goal
from workflows.override import settings
from workflows.progress import Reporter
from workflows.provenance import provenance
from workflows.reading import Reader, serial
from workflows.recipe import Recipe
from workflows.refilling import effect, refilled, told
from workflows.scores import judge
from workflows.summary import Mismatches, Summary, to_json
from workflows.versions import installed

FLUSH_SECONDS = 10.0
"""How often the curves of a training that goes on are sent to MLflow."""


@final
@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a run came to, and where it is."""

    summary: Summary
    folder: Path
    checks: Mapping[str, Check]

    @property
    def proven(self) -> bool:
        """No check found a difference; some may not have been run."""
        return all(check.status != "failed" for check in self.checks.values())


def run(
    recipe: Recipe,
    out: Path,
    reporter: Reporter,
    *,
    checkpoint: Path | None = None,
    read: Reader = serial,
) -> Outcome:
    """Runs a recipe.

    Args:
        recipe: What to do.
        out: Folder of the results; those of an earlier run there are replaced.
        reporter: Is told how it goes.
        checkpoint: File from which the training goes on if it was cut off before, and
            in which it is saved on the way; it stays when the run is complete.
        read: How files are read.

    Returns:
        The summary and the checks.  A failed check does not raise: the results are
        written, for someone has to look into them.

    Raises:
        UserError: The folder, the data, a setting or the budget; nothing is written.
    """
    yosys, nextpnr = tools.synthesiser(), place.router()
    if yosys.missing:
        raise UserError(f"the budget cannot be checked: {yosys.missing}")
    if recipe.verify.place and nextpnr.missing:
        raise UserError(f"verify.place asks for place and route: {nextpnr.missing}")
    with results(out) as folder:
        reporter.step("read the jets, split them by event, choose the port words")
        data = prepare(recipe.data, recipe.words, read, recipe.weights)
        remarks.on_data(recipe, data, reporter)
        front = front_cost(data.front, recipe.budget.clock_mhz, yosys)
        if data.front:
            reporter.note(
                f"the front end alone takes {front.luts} LUTs and {front.ns:.1f} ns"
            )
        wanted = goal(recipe, front)
        flat = {path: value for path, _, value in settings(recipe)}
        tags = {"id": recipe.block, "data": data.hash(), "seed": str(recipe.seed)}
        with tracking.track(recipe.name, out.name, flat, tags) as record:
            reporter.step(f"train within {recipe.budget.luts} LUTs")
            remarks.on_schedule(recipe, data, reporter)
            trained = _train(recipe, data, wanted, record, reporter, checkpoint)
            reporter.note(
                f"{trained.seconds:.0f} s, {trained.samples_per_second:,.0f} jets/s, "
                f"{len(trained.front)} networks on the accuracy-area front"
            )
            remarks.on_teacher(recipe, trained, reporter)
            trained = refilled(recipe, data, trained)

            reporter.step("compile the best networks until one fits the budget")
            compiled = _builder(recipe, data, yosys, front, reporter)
            block, tried = choose(trained.front, recipe.budget, compiled, wanted)
            refill = effect(recipe, data, block, compiled)
            if refill:
                reporter.note(told(refill))
            validation = _network_answers(block, data, data.validation.words)

            reporter.step("prove network = NumPy = C++ = Verilog = VHDL")
            words = vectors.make(
                block.netlist,
                data.test.words,
                random=recipe.verify.random_words,
                seed=recipe.seed,
            )
            expected = _network_answers(block, data, words.words)
            found = physics.judge(
                *(recipe, data, validation, expected[: len(data.test.labels)]),
                block.interface.outputs[0],
            )
            numbers = json.dumps(found.numbers, indent=1) + "\n"
            reports = {PHYSICS: numbers}
            placed = None
            if recipe.verify.place:
                reporter.step("place and route on an open part")
                placed = _placed(block, nextpnr, reporter)
            if placed:
                reports["place.json"] = placed.to_json()
            block = dataclasses.replace(
                block,
                interface=dataclasses.replace(block.interface, decision=found.decision),
            )
            versions = installed()
            contents = assemble(
                block.design,
                words,
                expected,
                network=lambda numpy: numpy,  # `expected` is the network's word
                semver=recipe.version,
                reports=reports,
                provenance=provenance(recipe, data, record, versions),
            )
            checks = contents.checks
            for name, check in checks.items():
                tell = reporter.note if check.status == "passed" else reporter.warn
                tell(f"{name}: {check}")

            reporter.step("pack the bundle")
            bundle.pack(contents, folder / recipe.block)

            reporter.step("judge the physics, record the run in MLflow")
            quality = judge(
                expected[: len(data.test.labels)],
                data.test.labels,
                block.frozen.out_lsb,
                recipe.data.classes,
                found.decision,
            )
            summary = Summary(
                recipe=recipe.name,
                accuracy=quality.accuracy,
                auc=quality.auc,
                luts=block.area.luts,
                ffs=block.area.ffs,
                latency_cycles=block.schedule.cycles,
                latency_ns=round(block.schedule.latency_ns, 3),
                clock_mhz=block.schedule.clock_mhz,
                ii=block.schedule.ii,
                mismatches=Mismatches(
                    *(_mismatches(checks[name]) for name in ("numpy", "cpp", "verilog"))
                ),
                events_checked=len(words.words),
                train_seconds=round(trained.seconds, 3),
                samples_per_second=round(trained.samples_per_second, 1),
                bundle=str(out / recipe.block),
                mlflow_run_id=record.run_id,
                seed=recipe.seed,
                working_points=found.numbers["working_points"],
                refill=refill,
            )
            drawn = figures.draw(
                quality,
                trained.log,
                front=[(c.luts + front.luts, c.val_accuracy) for c in trained.front],
                tried=[_point(one) for one in tried],
                chosen=_point(block),
                budget_luts=recipe.budget.luts,
                beside_luts=front.luts,
                metric=aim(recipe).metric_name,
            )
            drawn |= {figure.name: figure.svg for figure in found.figures}
            page = content.make(
                *(recipe, data, trained, block, quality, summary, checks, drawn),
                *(versions, found.numbers, placed),
            )
            (folder / REPORT).write_text(report.render(page), encoding="utf-8")
            (folder / SUMMARY).write_text(to_json(summary, indent=1) + "\n")
            (folder / RECIPE).write_text(
                json.dumps(dataclasses.asdict(recipe), indent=1) + "\n"
            )
            (folder / PHYSICS).write_text(numbers)
            (folder / FIGURES).mkdir()
            for figure in found.figures:
                (folder / FIGURES / f"{figure.name}.svg").write_text(figure.svg)
                (folder / FIGURES / f"{figure.name}.json").write_text(figure.json)
                record.text(figure.json, f"figures/{figure.name}.json")
            for name, text in drawn.items():
                record.text(text, f"figures/{name}.svg")
            for name in (REPORT, SUMMARY, RECIPE, PHYSICS):
                record.files(folder / name, "")
            record.files(folder / recipe.block, f"bundle/{recipe.block}")
            record.results(_metrics(summary))
            record.tags({"complete": str(passed(checks)).lower()})
    return Outcome(summary, out, checks)


def _train(
    recipe: Recipe,
    data: Dataset,
    wanted: Goal,
    record: tracking.Track,
    reporter: Reporter,
    checkpoint: Path | None,
) -> TrainResult:
    """Trains, with the curves flowing to MLflow on the way."""
    task = aim(recipe)
    waiting: list[EpochLog] = []
    flushed = time.monotonic()

    def flush() -> None:
        record.curves([log.epoch for log in waiting], [_curve(log) for log in waiting])
        waiting.clear()

    def on_epoch(log: EpochLog) -> None:
        nonlocal flushed
        reporter.epoch(log, task.metric_name)
        waiting.append(log)
        if time.monotonic() - flushed > FLUSH_SECONDS:
            flush()
            flushed = time.monotonic()

    def on_resume(done: list[EpochLog]) -> None:
        assert checkpoint is not None
        reporter.note(
            f"resumed from {checkpoint}: {done[-1].epoch + 1} of {done[-1].epochs} "
            "epochs were done"
        )
        waiting.extend(done)

    taught = recipe.train.teacher > 0
    words = data.for_training(len(recipe.data.classes), reals=taught)
    trained = train_many(
        recipe.train,
        words,
        (Plan(recipe.seed, wanted),),
        build=builder(recipe, words),
        loss=task.loss,
        metric=task.metric,
        on_epoch=on_epoch,
        on_resume=on_resume,
        save=checkpoint,
    )
    flush()
    if trained.teacher is not None:
        record.results({"training/teacher_val_accuracy": trained.teacher})
    return trained


def _curve(log: EpochLog) -> dict[str, float]:
    names = ("loss", "train_accuracy", "val_accuracy", "luts", "price", "learning_rate")
    return {f"training/{name}": float(getattr(log, name)) for name in names}


def _builder(
    recipe: Recipe, data: Dataset, yosys: tools.Tool, front: Cost, reporter: Reporter
) -> Callable[..., Block]:
    def compiled(candidate: Any) -> Block:
        block = build(
            candidate,
            recipe.block,
            data.ports,
            recipe.data.classes,
            recipe.budget.clock_mhz,
            yosys,
            recipe.firmware,
            data.front,
        )
        block = dataclasses.replace(block, metric=aim(recipe).metric_name)
        fits = "fits" if block.fits(recipe.budget) else "does not fit"
        reporter.note(
            f"{block}: {fits}, estimated at {candidate.luts + front.luts:.0f} LUTs"
        )
        return block

    return compiled


def _placed(
    block: Block, nextpnr: tools.Tool, reporter: Reporter
) -> place.Placement | None:
    """What place and route came to; nothing, and a warning, where it broke down."""
    try:
        placed = place.place(block.rtl, block.netlist.block, nextpnr=nextpnr)
    except tools.ToolError as error:
        reporter.warn(f"not placed and routed: {error}")
        return None
    reporter.note(str(placed))
    return placed


def _network_answers(
    block: Block, data: Dataset, words: Int64[np.ndarray, "events ports"]
) -> Int64[np.ndarray, "events classes"]:
    """What the trained network itself says, in JAX, behind a front end in NumPy."""
    return raw_scores(block.candidate.network, data.read(words), block.frozen.out_lsb)


def _mismatches(check: Check) -> int | None:
    return None if check.status == "not run" else check.mismatches


def _point(block: Block) -> figures.Point:
    return float(block.area.luts), block.candidate.val_accuracy


def _metrics(summary: Summary) -> dict[str, float]:
    """The numbers of the summary as flat metrics."""
    flat = dataclasses.asdict(summary)
    nested = {
        f"{group}/{name}": value
        for group in ("auc", "mismatches")
        for name, value in flat.pop(group).items()
    }
    if refill := flat.pop("refill"):
        for when in ("before", "after"):
            nested |= {f"refill/{when}/{k}": v for k, v in refill[when].items()}
    for row in flat.pop("working_points"):
        for share in ("signal_efficiency", "background_efficiency"):
            nested[f"working_points/{row['signal']}/{share}"] = row[share]["value"]
    return {
        name: float(value)
        for name, value in (flat | nested).items()
        if isinstance(value, int | float)
    }
