"""The network of a recipe, what it is trained for, and what is left for it."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from firmware import tools
from models import step
from models.layer import evaluate, parts
from models.plan import TrainData
from models.tables import Tables
from trigger.errors import UserError
from trigger.front_end import FrontEnd
from workflows.groups import Budget, Network
from workflows.networks import Cost, aim, builder, front_cost, goal, layer_shapes
from workflows.recipes import load


def small(name, **network):
    """A recipe of four particles at most, with another architecture if asked for."""
    recipe = load(name)
    data = recipe.data
    if data.front_end:
        front = replace(data.front_end, particles=4)
        data = replace(data, front_end=front)
    elif data.particles:
        data = replace(data, particles=4)
    recipe = replace(recipe, data=data, train=replace(recipe.train, units=(3,)))
    return replace(recipe, network=Network(**network)) if network else recipe


def random_data(recipe, events=64):
    """Words of any value."""
    data = recipe.data
    if data.front_end:
        words = data.front_end.outputs()
        bits, signed = zip(*((w.bits, w.signed) for w in words), strict=True)
    else:
        ports = len(data.inputs) * max(data.places, 1)
        bits, signed = (5,) * ports, (False,) * ports
    rng = np.random.default_rng(1)
    ends = [
        (-(2 ** (b - 1)), 2 ** (b - 1)) if s else (0, 2**b)
        for b, s in zip(bits, signed, strict=True)
    ]
    words = np.stack([rng.integers(lo, hi, events) for lo, hi in ends], axis=1)
    label = rng.integers(0, 2, events)
    return TrainData(words, label, words, label, bits, signed, len(data.classes))


CASES = [
    ("jsc_hlf", {}),
    ("top_tag", {}),
    ("jsc_plf", {}),
    ("l1_jets", {}),
    ("jsc_plf", {"kind": "particles", "per_particle": (3,), "head": (4,)}),
    ("jsc_plf", {"kind": "mixer", "per_particle": (3,), "head": (4,)}),
]


@pytest.mark.parametrize(("name", "network"), CASES)
def test_the_stated_layers_are_those_of_the_network(name, network):
    recipe = small(name, **network)
    made = evaluate(builder(recipe, random_data(recipe))(1))
    tables = [part for part in parts(made) if isinstance(part, Tables)]
    found = sorted((part.places, *part.address.shape) for part in tables)
    assert found == sorted(layer_shapes(recipe))


def test_an_architecture_of_one_width_refuses_two():
    recipe = small("jsc_plf", kind="particles", per_particle=(3, 3), head=(4,))
    with pytest.raises(UserError, match=r"network\.per_particle is one width"):
        builder(recipe, random_data(recipe))(1)


def test_classes_are_judged_by_accuracy_and_a_score_at_its_working_point():
    classes = aim(load("jsc_hlf"))
    assert (classes.loss, classes.metric_name) == (step.cross_entropy, "accuracy")
    one = aim(load("top_tag"))
    assert one.loss is step.binary_cross_entropy
    assert one.metric_name == "efficiency at 1 % background"
    recipe = load("top_tag")
    looser = replace(recipe, physics=replace(recipe.physics, background=0.05))
    assert aim(looser).metric_name == "efficiency at 5 % background"


def test_the_metric_of_a_score_is_the_share_of_its_class_above_all_but_1_percent():
    # All others reach up to 1499, their last hundredth starts at 1490.
    scores = jnp.concatenate([jnp.arange(500.0, 1500), jnp.arange(1000.0, 2000)])
    labels = jnp.repeat(jnp.arange(2), 1000)
    found = aim(load("top_tag")).metric(scores[:, None], labels)
    assert float(found) == pytest.approx(0.51, abs=0.002)


def test_the_network_has_what_the_front_end_leaves():
    recipe = load("jsc_hlf")
    budget = Budget(luts=1000, latency_ns=25.0)
    left = goal(replace(recipe, budget=budget), Cost(300, 5.0))
    assert (left.luts, left.latency_ns) == (700.0, 20.0)


def test_in_a_slot_a_front_end_is_taken_from_what_is_left_for_a_jet():
    left = goal(load("l1_jets"), Cost(2000, 1000 * 9 / 360))
    # 54 clocks, less 15 until the last of 16 jets, less the 9 of the front end.
    assert (left.luts, left.clock_mhz) == (5000.0, 360.0)
    assert left.latency_ns == pytest.approx(30 * 1000 / 360)


@pytest.mark.parametrize("cost", [Cost(1000, 0.0), Cost(0, 25.0)])
def test_a_front_end_that_leaves_nothing_is_refused_with_its_size(cost):
    with pytest.raises(UserError, match=f"front end alone takes {cost.luts} LUTs"):
        goal(load("jsc_hlf"), cost)


def test_no_front_end_costs_nothing_and_more_particles_cost_more():
    yosys = tools.synthesiser()
    if yosys.missing:
        pytest.skip(yosys.missing)
    assert front_cost(None, 360.0, yosys) == Cost(0, 0.0)
    one, two = (front_cost(FrontEnd(n, ("delta_eta",)), 360.0, yosys) for n in (1, 2))
    assert 0 < one.luts < two.luts
    assert one.ns == two.ns
