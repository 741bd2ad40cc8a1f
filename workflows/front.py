"""A front in one job: what accuracy costs in area and latency, from many prices at once.

A stack of networks, one per price and seed, trains on shared batches.  What none of
them beats by the estimates of training is then compiled and counted, a spread of it if
it is long, and what is left undominated by the counts is the front.

Conventions
-----------
- Networks are compared by validation accuracy, counted LUTs and cycles.  The test split
  is looked at once, for the accuracies that the front states, and decides nothing.
- Of equal networks the one found first stands for all.
- `front.json` states what was found; whatever it names lies beside it.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import jax
import numpy as np

from firmware import interpret, netlist, tools
from models.evaluate import raw_scores
from models.plan import Candidate, EpochLog, Plan, TrainResult
from models.train import train_many
from trigger import folders
from trigger.errors import UserError
from workflows import figures, remarks, tracking
from workflows.choose import Block, build
from workflows.dataset import Dataset, prepare
from workflows.folder import RECIPE, results
from workflows.networks import aim, builder, layer_shapes
from workflows.override import settings
from workflows.pareto import spread, undominated
from workflows.physics import at_working_point
from workflows.progress import Reporter
from workflows.reading import Reader, serial
from workflows.recipe import Recipe
from workflows.refilling import refilled
from workflows.versions import installed

SCHEMA_VERSION = 1
FRONT, FIGURE, NETLISTS, RTL = "front.json", "front.svg", "netlists", "rtl"

MOST_POINTS = 100
"""Epochs per member that are sent to MLflow at most; a store takes them one by one."""

MOST_COMPILERS = 8
"""Blocks that are compiled at once at most, each by a Yosys of its own."""


@final
@dataclasses.dataclass(frozen=True)
class Outcome:
    """What `front.json` says, and where it is."""

    report: dict[str, Any]
    folder: Path

    @property
    def exact(self) -> bool:
        """Every netlist answered to every test word as its network does."""
        return not any(row["mismatches"] for row in self.report["front"])


def front(
    recipe: Recipe,
    plans: Sequence[Plan],
    most: int,
    out: Path,
    reporter: Reporter,
    *,
    read: Reader = serial,
) -> Outcome:
    """Trains, compiles and writes a front.

    Args:
        recipe: Task, data and training; its budget gives the clock alone.
        plans: Price and seed of each member.
        most: Networks that are compiled and counted at most.
        out: Folder of the results; those of an earlier front there are replaced.
        reporter: Is told how it goes.
        read: How files are read.

    Returns:
        The results; a netlist that differs from its network does not raise.

    Raises:
        UserError: The folder, the data, a setting, too many members for the memory,
            or a clock that no network can meet; nothing is written.
    """
    yosys = tools.synthesiser()
    if yosys.missing:
        raise UserError(f"the LUTs of the front cannot be counted: {yosys.missing}")
    check_memory(recipe, len(plans))
    with _folder(out) as folder:
        reporter.step("read the jets, split them by event, choose the port words")
        data = prepare(recipe.data, recipe.words, read, recipe.weights)
        remarks.on_data(recipe, data, reporter)
        flat = {path: value for path, _, value in settings(recipe)}
        prices, seeds = (
            sorted({getattr(plan, name) for plan in plans})
            for name in ("price", "seed")
        )
        flat |= {"front.prices": len(prices), "front.seeds": seeds}
        flat |= {"front.lowest": prices[0], "front.highest": prices[-1]}
        tags = {"id": recipe.block, "data": data.hash(), "kind": "front"}
        with tracking.track(recipe.name, out.name, flat, tags) as record:
            reporter.step(f"train {len(plans)} networks, one per price and seed")
            remarks.on_schedule(recipe, data, reporter)
            trained = _train(recipe, data, plans, record, reporter)
            reporter.note(
                f"{trained.seconds:.0f} s, {trained.cpu_seconds:.0f} s of CPU, "
                f"{trained.samples_per_second:,.0f} jets/s over all members"
            )
            remarks.on_teacher(recipe, trained, reporter)
            trained = refilled(recipe, data, trained)
            chosen = spread(trained.front, most)
            reporter.step(
                f"compile and count {len(chosen)} of the {len(trained.front)} networks "
                "that none beats by the estimates"
            )
            blocks = _compile(chosen, recipe, data, yosys, reporter)
            kept, beaten = undominated(blocks)
            reporter.step(f"judge the {len(kept)} networks of the front, write them")
            report = {
                "schema_version": SCHEMA_VERSION,
                "front": [
                    _write(k, b, recipe, data, folder) for k, b in enumerate(kept)
                ],
                "recipe": recipe.name,
                "accuracy": aim(recipe).metric_name,
                "clock_mhz": recipe.budget.clock_mhz,
                "members": len(plans),
                "prices": prices,
                "seeds": seeds,
                "train_cpu_seconds": round(trained.cpu_seconds, 3),
                "train_seconds": round(trained.seconds, 3),
                "samples_per_second": round(trained.samples_per_second, 1),
                "test_jets": len(data.test.labels),
                "data": data.hash(),
                "mlflow_run_id": record.run_id,
                "versions": installed(),
                "compiled": len(blocks),
                "others": [_row(block) for block in beaten],
            }
            if trained.teacher is not None:
                report["teacher_val_accuracy"] = trained.teacher
            (folder / FRONT).write_text(json.dumps(report, indent=1) + "\n")
            (folder / FIGURE).write_text(figures.draw_front(report), encoding="utf-8")
            (folder / RECIPE).write_text(
                json.dumps(dataclasses.asdict(recipe), indent=1) + "\n"
            )
            _record(record, report, folder)
    return Outcome(report, out)


def check_memory(recipe: Recipe, members: int) -> None:
    """Refuses a job that would not fit, before any time is spent on it.

    Raises:
        UserError: Says how much it takes, and how much there is.
    """
    words, train, shapes = recipe.words, recipe.train, layer_shapes(recipe)
    most = min(train.most_address, 64)  # what is wider is refused by the training
    first = 2.0 ** min(words.bits, most) if recipe.data.front_end is None else 2.0**most
    codes = [first, *[2.0**most] * (len(shapes) - 1)]
    edges = [a * b for _, a, b in shapes]
    entries = sum(a * b for a, b in zip(edges, codes, strict=True))
    # Entry, slope, raw value and the cotangents of two of them, 4 bytes each.
    tables = 5 * 4 * members * entries
    # Per jet of a batch the value, its code, rest, mask and cotangent, alike.
    made = sum(places * outputs for places, _, outputs in shapes)
    values = 5 * 4 * members * train.batch * made
    need, room = tables + values, memory()
    if need > room:
        raise UserError(
            f"{members} networks at once, of {sum(edges)} tables of up to "
            f"{max(codes):.0f} codes each, take about {need / 2**30:,.1f} GiB of memory "
            f"in batches of {train.batch}, {room / 2**30:,.1f} GiB are there; ask "
            "for fewer prices or seeds"
        )


def memory() -> float:
    """Bytes there are: of the accelerator, if there is one, else of this machine."""
    statistics = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return float(statistics["bytes_limit"])
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def _train(
    recipe: Recipe,
    data: Dataset,
    plans: Sequence[Plan],
    record: tracking.Track,
    reporter: Reporter,
) -> TrainResult:
    """Trains the stack, with the curves of all members sent to MLflow at the end."""
    logs: list[EpochLog] = []

    def on_epoch(log: EpochLog) -> None:
        logs.append(log)
        if log.member == log.members - 1:  # the best of the epoch speaks for all
            best = max(logs[-log.members :], key=lambda one: one.val_accuracy)
            reporter.epoch(best, aim(recipe).metric_name)

    task, taught = aim(recipe), recipe.train.teacher > 0
    words = data.for_training(len(recipe.data.classes), reals=taught)
    trained = train_many(
        recipe.train,
        words,
        plans,
        build=builder(recipe, words),
        on_epoch=on_epoch,
        loss=task.loss,
        metric=task.metric,
    )
    every = -(-recipe.train.epochs // MOST_POINTS)
    sent = [log for log in logs if (recipe.train.epochs - 1 - log.epoch) % every == 0]
    rows = [
        {
            f"member_{log.member:03d}/{name}": float(getattr(log, name))
            for name in ("loss", "val_accuracy", "luts")
        }
        for log in sent
    ]
    record.curves([log.epoch for log in sent], rows)
    return trained


def _compile(
    chosen: Sequence[Candidate],
    recipe: Recipe,
    data: Dataset,
    yosys: tools.Tool,
    reporter: Reporter,
) -> list[Block]:
    """The blocks of the candidates; without those whose operations miss the clock."""

    def one(candidate: Candidate) -> Block | UserError:
        try:
            return build(
                candidate,
                f"{recipe.block}_m{candidate.member}_e{candidate.epoch}",
                data.ports,
                recipe.data.classes,
                recipe.budget.clock_mhz,
                yosys,
                recipe.firmware,
                data.front,
            )
        except UserError as error:
            return error

    blocks: list[Block] = []
    refused: list[UserError] = []
    for candidate, made in zip(chosen, _side_by_side(one, chosen), strict=True):
        if isinstance(made, UserError):
            refused.append(made)
            reporter.warn(f"estimated at {candidate.luts:.0f} LUTs: {made}")
        else:
            blocks.append(made)
            reporter.note(f"{made}, estimated at {candidate.luts:.0f} LUTs")
    if not blocks:
        raise refused[0]
    return blocks


def _side_by_side(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    """The results in order; what has not begun when the caller ends is left undone."""
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_COMPILERS))
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _row(block: Block) -> dict[str, Any]:
    """What is known of a block without the test split."""
    candidate = block.candidate
    return {
        "val_accuracy": candidate.val_accuracy,
        "luts": block.area.luts,
        "luts_surrogate": round(candidate.luts, 2),
        "latency_ns": round(block.schedule.latency_ns, 3),
        "latency_cycles": block.schedule.cycles,
        "cpu_seconds": round(candidate.cpu_seconds, 3),
        "price": candidate.price,
        "seed": candidate.seed,
        "epoch": candidate.epoch,
    } | (
        {"val_accuracy_before_refill": candidate.before.val_accuracy}
        if candidate.before
        else {}
    )


def _write(
    index: int, block: Block, recipe: Recipe, data: Dataset, folder: Path
) -> dict[str, Any]:
    """Writes the files of a member of the front, and judges it on the test split."""
    network, lsb = block.candidate.network, block.frozen.out_lsb
    raw, chosen_on = (
        raw_scores(network, data.read(jets.words), lsb)
        for jets in (data.test, data.validation)
    )
    if recipe.data.score:
        good = at_working_point(recipe, data, chosen_on, raw)
    else:
        good = float(np.mean(np.argmax(raw, axis=1) == data.test.labels))
    answers = interpret.run(block.netlist, data.test.words)
    name = f"front_{index}"
    program = Path(NETLISTS) / f"{name}.json"
    (folder / NETLISTS).mkdir(exist_ok=True)
    (folder / program).write_text(netlist.to_json(block.netlist))
    rtl = Path(RTL) / name
    (folder / rtl).mkdir(parents=True)
    for file, text in block.rtl.items():
        (folder / rtl / file).write_text(text)
    row = _row(block)
    return {
        "val_accuracy": row.pop("val_accuracy"),
        "test_accuracy": good,
        **row,
        "netlist": program.as_posix(),
        "rtl": rtl.as_posix(),
        "block": block.netlist.block,
        "mismatches": int(np.sum(np.any(answers != raw, axis=1))),
    }


def _record(record: tracking.Track, report: dict[str, Any], folder: Path) -> None:
    """Results in MLflow: a curve over the front, a table, and all files."""
    rows = report["front"]
    names = ("val_accuracy", "test_accuracy", "luts", "latency_ns", "price")
    record.curves(
        list(range(len(rows))),
        [{f"front/{name}": float(row[name]) for name in names} for row in rows],
    )
    totals = ("members", "compiled", "train_seconds", "train_cpu_seconds")
    record.results({name: float(report[name]) for name in totals})
    # The form that MLflow's page shows as a table, once a tag points to it.
    table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    record.text(json.dumps(table), "front_table.json")
    shown = [{"path": "front_table.json", "type": "table"}]
    record.tags({"mlflow.loggedArtifacts": json.dumps(shown)})
    record.files(folder, "")


@contextmanager
def _folder(out: Path) -> Iterator[Path]:
    """`results`, for which the front of an earlier job is no foreign folder."""
    target = out.resolve()
    folders.mend(target)
    if not _is_front(target):
        with results(target) as folder:
            yield folder
        return
    beside = target.with_name(f".{target.name}.next")
    shutil.rmtree(beside, ignore_errors=True)  # of a job that was killed between
    with results(beside) as folder:
        yield folder
    folders.replace(beside, target)


def _is_front(target: Path) -> bool:
    """Whether a folder holds what `front` writes and nothing else."""
    ours = {FRONT, FIGURE, NETLISTS, RTL, RECIPE}
    return (target / FRONT).is_file() and {e.name for e in target.iterdir()} <= ours
