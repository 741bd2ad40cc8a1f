"""The state of a training between two epochs, and how it is saved and taken up again.

Twice the stack of networks may change its shape on the way: where the members of one
seed part (`branched`), and where table entries become parameters (`directed`).  A
checkpoint is read into the shape that its epoch has.
"""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, final

import equinox as eqx
import jax
import numpy as np
import optax

from models import checkpoint, step
from models.control import Price
from models.lut import LUTDense
from models.plan import Candidate, EpochLog
from models.teacher import Taught

Stack = tuple[step.State, Any]
"""A state and its constants."""


@final
@dataclass
class Run:
    """What changes from epoch to epoch, beside the arrays of the step."""

    epoch: int = 0
    cpu_seconds: float = 0.0
    late: bool = False
    """Whether a network has been later than its goal, so that latency has a price."""
    first: list[float] = field(default_factory=list)
    lut: list[Price] = field(default_factory=list)
    ns: list[Price] = field(default_factory=list)
    front: list[Candidate] = field(default_factory=list)
    log: list[EpochLog] = field(default_factory=list)
    taught: Taught | None = None
    """What a teacher left before the first epoch, if the run has one."""


@final
@dataclass(frozen=True)
class Shapes:
    """How the stack looks at each epoch."""

    switch: int
    """Epoch from which tables are direct."""
    branch: int
    """Epoch from which every plan has a member of its own; 0 if all have from the start."""
    member_of: tuple[int, ...]
    """Member before the branch that each plan goes on from."""
    optimiser: optax.GradientTransformation

    def changed(self, stack: Stack, epoch: int) -> Stack:
        """The stack as training goes into an epoch, from how it came out of the last."""
        if epoch == self.branch and self.branch:
            stack = branched(stack, self.member_of)
        return directed(stack, self.optimiser) if epoch == self.switch else stack

    def after(self, stack: Stack, epoch: int) -> Stack:
        """The shape of the stack after so many epochs, from that of the start."""
        for e in range(epoch):
            stack = self.changed(stack, e)
        return stack


def branched(stack: Stack, member_of: tuple[int, ...]) -> Stack:
    """A stack with a member for every plan, each a copy of the one it goes on from."""
    state, fixed = stack
    take = np.array(member_of)
    parted = jax.tree.map(lambda leaf: leaf[take], state._replace(step=take))
    return parted._replace(step=state.step), fixed


def directed(stack: Stack, optimiser: optax.GradientTransformation) -> Stack:
    """The stack with entries that train themselves; the optimiser starts anew."""
    state, fixed = stack

    def one(node: Any) -> Any:
        return node.to_direct() if isinstance(node, LUTDense) else node

    networks = [
        jax.tree.map(
            one,
            step.member(state, fixed, n),
            is_leaf=lambda node: isinstance(node, LUTDense),
        )
        for n in range(len(state.broken))
    ]
    new, fixed = step.start(networks, optimiser)

    # The schedule of the learning rate goes on where it was; Adam's own count, by
    # which it corrects for moments that start at zero, starts as they do.
    moments = tuple(
        old if isinstance(old, optax.ScaleByScheduleState) else fresh
        for fresh, old in zip(new.moments, state.moments, strict=True)
    )
    return new._replace(moments=moments, step=state.step), fixed


def save(path: Path, key: str, state: step.State, run: Run) -> None:
    """Writes a checkpoint of everything that the rest of the run depends on."""
    words = {
        "epoch": run.epoch,
        "cpu_seconds": run.cpu_seconds,
        "late": run.late,
        "teacher": run.taught.metric if run.taught else None,
        "first": run.first,
        "lut": [asdict(price) for price in run.lut],
        "ns": [asdict(price) for price in run.ns],
        "log": [asdict(log) for log in run.log],
        "front": [
            {f.name: getattr(c, f.name) for f in fields(c) if f.name != "network"}
            for c in run.front
        ],
    }
    trees: dict[str, Any] = {"state": tuple(state)} | {
        f"front{k}": step.split(c.network)[:2] for k, c in enumerate(run.front)
    }
    if run.taught:
        trees["targets"] = run.taught.targets
    checkpoint.write(path, key, words, trees)


def resume(path: Path, key: str, stack: Stack, shapes: Shapes) -> tuple[Stack, Run]:
    """Reads what `save` wrote.

    Args:
        path: The checkpoint.
        key: `checkpoint.fingerprint` of this run.
        stack: Of the start.
        shapes: How it changes.

    Raises:
        UserError: It is no checkpoint, or one of another run.
    """
    words, arrays = checkpoint.read(path, key)
    forms: dict[bool, Stack] = {False: stack}
    if words["epoch"] > shapes.switch:
        forms[True] = directed(stack, shapes.optimiser)
    front = []
    for k, row in enumerate(words["front"]):
        # A candidate has the tables of its own epoch.
        like, constants = forms[row["epoch"] >= shapes.switch]
        one = step.split(step.member(like, constants, 0))[:2]
        found = checkpoint.restore(one, f"front{k}", arrays)
        front.append(Candidate(network=eqx.combine(*found, constants), **row))
    reached = words["teacher"]
    taught = None if reached is None else Taught(arrays["targets/0"], reached)
    state, fixed = shapes.after(stack, words["epoch"])
    state = step.State(*checkpoint.restore(tuple(state), "state", arrays))
    run = Run(
        epoch=words["epoch"],
        cpu_seconds=words["cpu_seconds"],
        late=words["late"],
        first=words["first"],
        lut=[Price(**price) for price in words["lut"]],
        ns=[Price(**price) for price in words["ns"]],
        front=front,
        log=[EpochLog(**log) for log in words["log"]],
        taught=taught,
    )
    return (state, fixed), run
