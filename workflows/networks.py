"""The network that a recipe asks for, what it is trained for, and what it may cost.

The one place that turns the settings `network`, `data` and `budget` into what
`models.train` takes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import jax.random as jr

from firmware import synth, verilog
from firmware.front_end import front_netlist
from firmware.passes import optimise
from firmware.pipeline import pipeline
from firmware.tools import Tool
from models import step
from models.architectures import lut_mlp
from models.grid import codes_of_words
from models.particles import deep_sets, mlp_mixer, particle_network
from models.plan import Goal, TrainData
from trigger.errors import UserError
from trigger.front_end import FrontEnd
from trigger.interface import Interface
from workflows.recipe import Recipe


@final
@dataclass(frozen=True)
class Aim:
    """What a network is trained for: a loss, and what is the better network."""

    loss: step.Loss
    metric: step.Loss
    metric_name: str


def aim(recipe: Recipe) -> Aim:
    """Classes by their accuracy; one score by the signal at the working point."""
    if not recipe.data.score:
        return Aim(step.cross_entropy, step.accuracy, "accuracy")
    share = recipe.physics.background
    return Aim(
        step.binary_cross_entropy,
        step.signal_efficiency(share),
        f"efficiency at {100 * share:g} % background",
    )


def builder(recipe: Recipe, data: TrainData) -> Callable[[int], Any]:
    """What makes the network of a recipe from a seed.

    Args:
        recipe: Names the architecture.
        data: The words that it reads.

    Raises:
        UserError: When called: the architecture and the words do not go together.
    """
    code = codes_of_words(data.words_train, data.bits, data.signed)
    ports = (code, data.bits, data.signed)
    train, network = recipe.train, recipe.network
    tables = {"hidden": train.edge_hidden, "most_address": train.most_address}

    def build(seed: int) -> Any:
        key, places = jr.key(seed), recipe.data.places
        behind = {**tables, "reach": train.reach, "key": key}
        match network.kind:
            case "tables":
                return lut_mlp(*ports, (*train.units, data.classes), **behind)
            case "deep_sets":
                return deep_sets(
                    *(*ports, places, data.classes),
                    per_particle=network.per_particle,
                    head=network.head,
                    **behind,
                )
            case "particles":
                return particle_network(
                    *(*ports, places, data.classes),
                    units=_only(network.per_particle, "network.per_particle"),
                    head=_only(network.head, "network.head"),
                    **behind,
                )
            case _:
                return mlp_mixer(
                    *(*ports, places, data.classes),
                    units=_only(network.per_particle, "network.per_particle"),
                    head=network.head,
                    **behind,
                )

    return build


def layer_shapes(recipe: Recipe) -> tuple[tuple[int, int, int], ...]:
    """What layers of tables a network has: places that share one, inputs, outputs."""
    data, network = recipe.data, recipe.network
    outputs, places = len(data.classes), data.places
    features = len(data.front_end.features if data.front_end else data.inputs)

    def row(count: int, *widths: int) -> list[tuple[int, int, int]]:
        return [(count, a, b) for a, b in pairwise(widths)]

    first = network.per_particle[0]
    match network.kind:
        case "tables":
            shapes = row(1, features, *recipe.train.units, outputs)
        case "deep_sets":
            shapes = row(places, features, *network.per_particle)
            shapes += row(1, network.per_particle[-1], *network.head, outputs)
        case "particles":
            shapes = row(places, features, first, first) + row(1, first, first)
            shapes += row(1, first, *network.head, outputs)
        case _:
            shapes = row(places, features, first, first) + row(first, places, places)
            shapes += row(1, first, *network.head, outputs)
    return tuple(shapes)


def _only(widths: tuple[int, ...], name: str) -> int:
    if len(widths) != 1:
        raise UserError(f"{name} is one width in this architecture, got {widths}")
    return widths[0]


@final
@dataclass(frozen=True)
class Cost:
    """What the front end takes of the budget, counted and cut into cycles alone."""

    luts: int
    ns: float


def front_cost(front: FrontEnd | None, clock_mhz: float, yosys: Tool) -> Cost:
    """LUTs and nanoseconds of logic of a front end; without one there are none.

    Raises:
        UserError: The clock is too fast for it.
    """
    if front is None:
        return Cost(0, 0.0)
    name = "front_end"
    netlist = optimise(front_netlist(front, name), clock_mhz)
    schedule = pipeline(netlist, clock_mhz)
    outputs = front.outputs()
    classes = tuple(word.name for word in outputs)
    interface = Interface(name, front.ports(), outputs, classes)
    rtl = verilog.emit(netlist, schedule, interface)
    area = synth.estimate(rtl, name, yosys=yosys, netlist=netlist)
    # Its last register is also the first of the network, so one cycle is not its own.
    return Cost(area.luts, 1000 * max(schedule.cycles - 1, 0) / clock_mhz)


def goal(recipe: Recipe, front: Cost) -> Goal:
    """What the network may cost: the budget less what stands in front of it.

    Raises:
        UserError: The front end alone is above the budget.
    """
    budget = recipe.budget
    luts, ns = budget.luts - front.luts, budget.jet_ns - front.ns
    if luts <= 0 or ns <= 0:
        raise UserError(
            f"the front end alone takes {front.luts} LUTs and {front.ns:.1f} ns, the "
            f"budget is {budget.luts} LUTs and {budget.jet_ns:g} ns for a jet at "
            f"{budget.clock_mhz:g} MHz; raise it, or take fewer particles or features"
        )
    return Goal(float(luts), ns, budget.clock_mhz)
