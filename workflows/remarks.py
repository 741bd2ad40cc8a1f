"""What a person is told of the data, the schedule and the teacher of a training.

Runs and fronts say the same: facts as notes, and as warnings what should be known
before time is spent or a result is trusted.
"""

from models.plan import TrainResult
from workflows.dataset import Dataset
from workflows.networks import aim
from workflows.progress import Reporter
from workflows.recipe import Recipe

FEW_STEPS = 500
"""Below this many steps the bit widths have hardly moved from where they start."""

CLEARLY = 0.01
"""More than the best of many networks on a validation split owes to chance."""


def on_data(recipe: Recipe, data: Dataset, reporter: Reporter) -> None:
    """Where the jets come from, how they were shared out, and what is odd about them."""
    for line in _counts(data):
        reporter.note(line)
    for line in _doubts(recipe, data):
        reporter.warn(line)


def on_schedule(recipe: Recipe, data: Dataset, reporter: Reporter) -> None:
    """Warns if the data are too few for the schedule."""
    jets = len(data.training.labels)
    steps = recipe.train.epochs * (jets // max(recipe.train.batch, 1))
    if 0 < steps < FEW_STEPS:
        reporter.warn(
            f"{recipe.train.epochs} epochs of {jets:,} jets in batches of "
            f"{recipe.train.batch} are {steps} steps of training, at least {FEW_STEPS} "
            "are needed to learn much; raise train.epochs or lower train.batch"
        )


def on_teacher(recipe: Recipe, trained: TrainResult, reporter: Reporter) -> None:
    """What the teacher of a training reaches itself, if there was one.

    It is a warning where networks of the run reach clearly more: they had nothing to
    learn from it.
    """
    if trained.teacher is None:
        return
    name, best = aim(recipe).metric_name, max(c.val_accuracy for c in trained.front)
    line = (
        f"the teacher, in floating point, has {name} {trained.teacher:.4f} on "
        f"validation; it is {recipe.train.teacher:g} of every training target"
    )
    if trained.teacher < best - CLEARLY:
        reporter.warn(
            f"{line}. A network of tables has {best:.4f}: try train.teacher=0, for this "
            "teacher knows less"
        )
    else:
        reporter.note(line)


def _counts(data: Dataset) -> list[str]:
    files = ", ".join(f"{s.name} ({s.jets:,} jets)" for s in data.sources)
    first = data.cuts.steps[0].objects if data.cuts.steps else data.cuts.kept
    return [
        files,
        *(data.cuts.table().splitlines() if data.cuts.kept < first else ()),
        f"{len(data.training.labels):,} training, {len(data.validation.labels):,} "
        f"validation, {len(data.test.labels):,} test; {len(data.ports)} ports of "
        f"{sum(word.bits for word in data.ports)} bits",
    ]


def _doubts(recipe: Recipe, data: Dataset) -> list[str]:
    """What a person should know of the data before time is spent on them."""
    lines = [f"left out {skipped.name}: {skipped.reason}" for skipped in data.skipped]
    most = {name: share for name, share in data.saturated.items() if share > 0.02}
    if most:
        name = max(most, key=lambda one: most[one])
        lines.append(
            f"{len(most)} ports saturate for more than 2 % of the training values, "
            f"{name} for {100 * most[name]:.1f} %; raise words.tail or words.bits"
        )
    places = recipe.data.places
    if places and data.fullest < places:
        lines.append(
            f"the fullest jet has {data.fullest} particles, places {data.fullest + 1} to "
            f"{places} are always empty; give data with more, or fewer places"
        )
    return lines
