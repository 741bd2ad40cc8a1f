"""The training run: a stack of networks, their prices, and the front they leave behind.

A whole epoch runs on the device (`models.step`); after it the host measures every
member on the validation split, moves its prices, keeps what no other network
dominates, and saves a checkpoint from which the run goes on byte for byte.
"""

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from models import checkpoint, step, teacher
from models.architectures import lut_mlp
from models.control import Price, area_target, ramped
from models.evaluate import measure
from models.grid import codes_of_words
from models.plan import (
    Candidate,
    EpochLog,
    Goal,
    Plan,
    TrainData,
    TrainResult,
    check,
    keep,
)
from models.resume import Run, Shapes, resume
from models.resume import save as write
from models.settings import TrainConfig
from trigger.errors import UserError


def train(
    config: TrainConfig,
    data: TrainData,
    *,
    goal: Goal,
    seed: int,
    build: Callable[[int], Any] | None = None,
    on_epoch: Callable[[EpochLog], None] | None = None,
    on_resume: Callable[[list[EpochLog]], None] | None = None,
    save: Path | None = None,
) -> TrainResult:
    """Trains one network down a path of areas to what it may cost.

    Args:
        config: Settings.
        data: Training and validation words.
        goal: What `config.areas` are in units of.
        seed: Decides starting values and the order of jets; nothing else does.
        build: Makes the network from a seed; by default HGQ-LUT's tagger.
        on_epoch: Called after every epoch.
        on_resume: Called with the epochs that the checkpoint has behind it, if any.
        save: Checkpoint file; a run that was cut off goes on from it.

    Raises:
        UserError: The settings and the data do not fit, the loss is not a number, or
            the checkpoint is of another run.
    """
    plans = (Plan(seed, goal),)
    return train_many(
        *(config, data, plans),
        build=build,
        on_epoch=on_epoch,
        on_resume=on_resume,
        save=save,
    )


def train_many(
    config: TrainConfig,
    data: TrainData,
    plans: Sequence[Plan],
    *,
    build: Callable[[int], Any] | None = None,
    on_epoch: Callable[[EpochLog], None] | None = None,
    on_resume: Callable[[list[EpochLog]], None] | None = None,
    save: Path | None = None,
    loss: step.Loss = step.cross_entropy,
    metric: step.Loss = step.accuracy,
) -> TrainResult:
    """Trains a stack of networks in one job that shares batches and codes.

    Args:
        config: Settings of all members.
        data: Training and validation words.
        plans: A member each; the first one's seed orders the jets of all.
        build: Makes a network from a seed; by default HGQ-LUT's tagger.
        on_epoch: Called for every member after every epoch.
        on_resume: Called with the epochs that the checkpoint has behind it, if any.
        save: Checkpoint file; a run that was cut off goes on from it.
        loss: From scores and labels to what is trained.
        metric: From scores and labels to what is judged; more is better.

    Raises:
        UserError: See `train`.
    """
    check(config, data, plans)
    # Members of one seed may start as one; see `TrainConfig.shared`.
    seeds = list(dict.fromkeys(plan.seed for plan in plans))
    free = all(plan.goal is None for plan in plans) and len(plans) > len(seeds)
    branch = min(round(config.shared * config.epochs), config.epochs - 1) if free else 0
    lowest = min(plan.price for plan in plans)
    trunk = (
        tuple(Plan(seed, None, lowest) for seed in seeds) if branch else tuple(plans)
    )
    networks = [(build or _tagger(config, data))(plan.seed) for plan in trunk]
    steps = len(data.words_train) // config.batch
    rate = cosine_with_restarts(config, steps, branch)
    optimiser = step.adam(rate)
    state, fixed = step.start(networks, optimiser)
    clock = next((p.goal.clock_mhz for p in plans if p.goal is not None), 360.0)
    ports = data.words_train.shape[1]
    x = jnp.asarray(data.words_train, jnp.int32)
    label = jnp.asarray(data.labels_train)
    x_val, label_val = jnp.asarray(data.words_val, jnp.int32), data.labels_val

    @functools.cache
    def program(direct: bool, late: bool):
        terms = step.Terms(
            loss,
            metric,
            config.smoothness if direct else 0.0,
            late or config.ns_price > 0,
            clock if late else None,
            ports,
        )
        return step.epoch_program(
            *(fixed, optimiser, terms, x, label),
            batch=config.batch,
            rate=config.statistic_rate,
            decay=config.range_decay,
            devices=config.devices,
            target=target,
        )

    shapes = Shapes(
        switch=round(config.direct_from * config.epochs),
        branch=branch,
        member_of=tuple(seeds.index(plan.seed) for plan in plans),
        optimiser=optimiser,
    )
    what = (loss.__qualname__, metric.__qualname__)
    key = checkpoint.fingerprint(config, data, plans, state[:2], what)
    first = [measure(network, x_val, clock).luts for network in networks]
    run = Run(
        lut=[Price(min(config.price, MOST_AT_START / max(first))) for _ in plans],
        ns=[Price(config.latency_price) for _ in plans],
        first=first,
    )
    if save is not None and checkpoint.exists(save):
        (state, fixed), run = resume(save, key, (state, fixed), shapes)
        if on_resume is not None and run.log:
            on_resume(list(run.log))
    begin = time.perf_counter() - (run.log[-1].seconds if run.log else 0.0)
    cpu_begin = time.process_time() - run.cpu_seconds
    if config.teacher and run.taught is None:
        run.taught = teacher.teach(
            *(data, loss, metric), share=config.teacher, seed=plans[0].seed
        )
    target = jnp.asarray(run.taught.targets) if run.taught else None
    compiled_at, first_epoch = time.perf_counter(), run.epoch
    saved = time.perf_counter()
    for epoch in range(run.epoch, config.epochs):
        good = (state, fixed)
        state, fixed = shapes.changed(good, epoch)
        members = plans if epoch >= branch else trunk
        now = _prices(config, members, run, epoch, branch, lowest)
        order = step.shuffled(
            (plans[0].seed + 1, epoch),
            len(data.words_train),
            config.batch,
            data.weights_train,
        )
        state, means = program(epoch >= shapes.switch, run.late)(state, order, now)
        means = jax.tree.map(np.asarray, means)
        if np.any(np.asarray(state.broken) >= 0):
            if save is not None:
                write(save, key, good[0], run)
            raise _broken(config, data, state, fixed, steps, save)
        for n, plan in enumerate(members):
            network = step.member(state, fixed, n)
            seen = measure(network, x_val, clock)
            quality = float(metric(seen.scores, jnp.asarray(label_val)))
            run.cpu_seconds = time.process_time() - cpu_begin
            run.front = keep(
                run.front,
                Candidate(
                    epoch=epoch,
                    val_accuracy=quality,
                    luts=seen.luts,
                    network=network,
                    cycles=seen.cycles,
                    member=n,
                    seed=plan.seed,
                    price=plan.price if plan.goal is None else float(now.lut[n]),
                    cpu_seconds=run.cpu_seconds,
                ),
                latency=run.late or config.ns_price > 0,
            )
            run.log.append(
                EpochLog(
                    epoch=epoch,
                    epochs=config.epochs,
                    loss=float(means.loss[n]),
                    train_accuracy=float(means.metric[n]),
                    val_accuracy=quality,
                    luts=seen.luts,
                    price=float(now.lut[n]),
                    learning_rate=float(np.asarray(rate((epoch + 1) * steps - 1))),
                    seconds=time.perf_counter() - begin,
                    cycles=seen.cycles,
                    latency_price=float(now.ns[n]),
                    member=n,
                    members=len(members),
                )
            )
            if on_epoch is not None:
                on_epoch(run.log[-1])
            if plan.goal is not None:
                run.late |= _is_late(plan.goal, seen.cycles)
                _follow(config, plan.goal, run, n, epoch, seen)
        run.epoch = epoch + 1
        if epoch == first_epoch:
            compiled_at = time.perf_counter()
        if save is not None and (
            time.perf_counter() - saved > checkpoint.EVERY_SECONDS
            or run.epoch == config.epochs
        ):
            write(save, key, state, run)
            saved = time.perf_counter()
    end = time.perf_counter()
    # The first epoch compiles; where there is no other, all of the run is counted.
    whole = config.epochs - first_epoch > 1
    first = first_epoch + 1 if whole else 0
    members = sum(
        len(plans if e >= branch else trunk) for e in range(first, config.epochs)
    )
    jets = members * steps * config.batch
    speed = jets / max(end - (compiled_at if whole else begin), 1e-9)
    return TrainResult(
        *(tuple(run.front), tuple(run.log), end - begin, speed, run.cpu_seconds),
        teacher=run.taught.metric if run.taught else None,
    )


def cosine_with_restarts(
    config: TrainConfig, steps: int, branch: int = 0
) -> optax.Schedule:
    """One cosine from the learning rate to a thousandth of it per period.

    There is a period for each target area; or, where members branch off a common
    start, one before and one after.

    Args:
        config: Settings.
        steps: Per epoch.
        branch: Epoch at which they do, or 0.
    """
    each = -(-config.epochs * steps // len(config.areas))
    lengths = [each] * len(config.areas)
    if branch:
        lengths = [branch * steps, max((config.epochs - branch) * steps, 1)]
    return optax.sgdr_schedule(
        [
            {
                "init_value": config.learning_rate,
                "peak_value": config.learning_rate,
                "warmup_steps": 0,
                "decay_steps": length,
                "end_value": config.learning_rate * 1e-3,
            }
            for length in lengths
        ]
    )


def _tagger(config: TrainConfig, data: TrainData) -> Callable[[int], Any]:
    code = codes_of_words(data.words_train, data.bits, data.signed)

    def build(seed: int) -> Any:
        return lut_mlp(
            *(code, data.bits, data.signed, (*config.units, data.classes)),
            hidden=config.edge_hidden,
            most_address=config.most_address,
            reach=config.reach,
            key=jr.key(seed),
        )

    return build


MOST_AT_START = 0.1
"""Loss that the area of the largest network may bring before it is trained: a price that
outweighs the data would prune it before anything is learned."""

FIRST_SHARE, RAMP = 0.03, 0.5
"""Prices of a front start at this share of themselves and rise for half of the epochs."""


def _prices(
    config: TrainConfig,
    plans: Sequence[Plan],
    run: Run,
    epoch: int,
    branch: int,
    lowest: float,
) -> step.Prices:
    def ramp(price: float) -> float:
        if epoch < branch:
            return ramped(epoch, branch, price, FIRST_SHARE, RAMP)
        first = lowest / price if branch and price else FIRST_SHARE
        return ramped(epoch - branch, config.epochs - branch, price, first, RAMP)

    lut = [
        ramp(plan.price)
        if plan.goal is None
        else (run.lut[n].value if plan.goal.luts is not None else 0.0)
        for n, plan in enumerate(plans)
    ]
    ns = [
        run.ns[n].value
        if run.late and plan.goal is not None and plan.goal.latency_ns is not None
        else _ns_price(config, plan.goal, run, n, epoch)
        for n, plan in enumerate(plans)
    ]
    return step.Prices(jnp.asarray(lut, jnp.float32), jnp.asarray(ns, jnp.float32))


def _ns_price(
    config: TrainConfig, goal: Goal | None, run: Run, n: int, epoch: int
) -> float:
    """The fixed price of a nanosecond; smaller networks lose less by a shorter path."""
    if goal is None or goal.luts is None:
        return config.ns_price
    target = _target(config, goal.luts, run.first[n], epoch)
    return config.ns_price * (goal.luts / target) ** 0.6


def _target(config: TrainConfig, luts: float, first: float, epoch: int) -> float:
    """The area to have at the end of an epoch."""
    periods = tuple(area * luts for area in config.areas)
    return area_target(epoch, config.epochs, periods, config.ramp, first)


def _is_late(goal: Goal, cycles: float) -> bool:
    return goal.cycles is not None and cycles > goal.cycles


def _follow(
    config: TrainConfig, goal: Goal, run: Run, n: int, epoch: int, seen: Any
) -> None:
    """Moves the prices of a member after an epoch."""
    if goal.luts is not None:
        target = _target(config, goal.luts, run.first[n], epoch)
        run.lut[n] = run.lut[n].follow(seen.luts, target, config.price_gain)
    if goal.cycles is not None and run.late:
        # Half a cycle below the budget there is room for the estimate to be off.
        run.ns[n] = run.ns[n].follow(
            seen.depth, max(goal.cycles - 0.5, 0.5), 3 * config.price_gain
        )


def _broken(
    config: TrainConfig,
    data: TrainData,
    state: step.State,
    fixed: Any,
    steps: int,
    save: Path | None,
) -> UserError:
    """Says in which step and layer a loss or gradient was not a number."""
    broken = np.asarray(state.broken)
    n = int(np.argmin(np.where(broken < 0, np.iinfo(np.int32).max, broken)))
    kept = "" if save is None else f"; the state before this epoch is in {save.name}"
    return UserError(
        f"the loss is not a number in epoch {int(broken[n]) // steps}, step "
        f"{int(broken[n]) % steps} of {steps}, first in "
        f"{step.first_broken(state, fixed, n)} (learning rate "
        f"{config.learning_rate}, batches of {config.batch} of "
        f"{len(data.words_train)} jets); a smaller train.learning_rate may help{kept}"
    )
