"""Every architecture: it trains, has costs, and freezes to exactly what it answers."""

from itertools import permutations

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from small_architectures import (
    CASES,
    EVENTS,
    FEATURE_BITS,
    FEATURE_SIGNED,
    PARTICLES,
    shaken,
)

from models import frozen
from models.architectures import Ports, lut_head, muon_hybrid, quantised_mlp
from models.evaluate import measure, raw_scores, ready
from models.layer import ebops, evaluate, luts
from models.particles import ParticleNetwork, deep_sets, particle_words
from models.plan import Plan
from models.reading import values
from models.settings import TrainConfig
from models.symbols import trace
from models.train import train_many
from trigger.errors import UserError

CONFIG = TrainConfig(batch=128, epochs=6, learning_rate=1e-2, areas=(1.0,))

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture(scope="module", autouse=True)
def quick_compiler():
    """Everything here is small, and compiled once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def results():
    """One short training of each, made when it is first asked for."""
    made = {}

    def get(case):
        if id(case) not in made:
            loss, metric = case.loss
            options = {"build": case.network, "loss": loss, "metric": metric}
            made[id(case)] = train_many(CONFIG, case.data(), (Plan(0),), **options)
        return made[id(case)]

    return get


@pytest.fixture(scope="module")
def programs(results):
    """A trained network and one of any widths, each with its frozen program."""
    made = {}

    def get(case):
        if id(case) not in made:
            trained = results(case).front[-1].network
            made[id(case)] = [
                (n, trace(ready(n), case.frozen_ports, case.outputs))
                for n in (trained, shaken(trained))
            ]
        return made[id(case)]

    return get


@every_case
def test_the_loss_falls(case, results):
    log = results(case).log
    assert log[-1].loss < log[0].loss


@every_case
def test_costs_and_latency_are_finite_and_positive(case, programs):
    words = jnp.asarray(case.words(EVENTS, seed=1), jnp.int32)
    for network, _ in programs(case):
        seen = measure(network, words, 360.0)
        assert seen.scores.shape == (EVENTS, len(case.outputs))
        for cost in (seen.luts, seen.cycles, seen.ns, float(ebops(ready(network)))):
            assert np.isfinite(cost)
            assert cost > 0


@every_case
def test_the_frozen_program_answers_exactly_what_the_network_does(case, programs):
    words = case.words(EVENTS, seed=2)
    for network, program in programs(case):
        answer = raw_scores(network, words, program.out_lsb)
        assert np.array_equal(frozen.run(program, words), answer)
        assert len(np.unique(answer)) > 1


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if case.permutes]
)
def test_particles_are_interchangeable(name, programs):
    case = CASES[name]
    words = case.words(EVENTS, seed=3)
    for _, program in programs(case):
        answer = frozen.run(program, words)
        for order in permutations(range(PARTICLES)):
            rows = words.reshape(EVENTS, PARTICLES, -1)[:, list(order)]
            moved = frozen.run(program, rows.reshape(EVENTS, -1))
            assert np.array_equal(moved, answer)


def largest(jaxpr):
    """Elements of the largest array that a program makes, in any part of it."""
    size = 0
    for equation in jaxpr.eqns:
        size = max([size, *(v.aval.size for v in equation.outvars)])
        for value in jax.tree.leaves(equation.params, is_leaf=_is_program):
            if _is_program(value):
                size = max(size, largest(getattr(value, "jaxpr", value)))
    return size


def _is_program(value):
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


@every_case
def test_tables_are_not_made_per_example(case, monkeypatch):
    # Of XLA's form, whose intermediates can be seen; the batch is what makes it large.
    monkeypatch.setenv("JETLUT_NATIVE", "0")
    network = case.network()

    def size(events):
        x = jnp.asarray(case.words(events), jnp.int32)

        def loss(network):
            evaluated = evaluate(network)
            return jnp.sum(jax.vmap(evaluated)(x)) + luts(evaluated)

        slope = jax.make_jaxpr(jax.grad(loss, allow_int=True))(network)
        return largest(slope.jaxpr)

    ports, few = len(case.frozen_ports), size(1)
    # Alone, an example needs no more than tables, weights and their moments do.  Each
    # further one brings its own values, of a few numbers for each port.
    assert size(1025) - few <= 1025 * 8 * ports


def evaluated_particles(name="particles"):
    network = shaken(CASES[name].network())
    return ready(network), network


def test_a_message_joined_once_is_one_told_to_every_particle():
    evaluated, network = evaluated_particles()
    for word in CASES["particles"].words(20, seed=4):
        x = evaluated.embed(jnp.asarray(word.reshape(PARTICLES, -1), jnp.int32))
        d = evaluated.message(evaluated.mean(x))
        s = network.pool.iq(evaluated.each(x))
        y = jnp.sum(s + d, axis=0) / 16
        told = evaluated.spread(d)
        assert np.array_equal(
            evaluated.join(evaluated.pool(evaluated.each(x)), told), y
        )


def test_absent_particles_add_a_constant_each():
    evaluated, network = evaluated_particles()
    words = CASES["particles"].words(30, seed=5).reshape(30, PARTICLES, -1)

    def summed(rows):
        s = evaluated.each(evaluated.embed(jnp.asarray(rows, jnp.int32)))
        return np.asarray(network.pool.iq(s), np.float64)

    c = summed(np.zeros((PARTICLES, len(FEATURE_BITS)), int))[0]
    for rows in words:
        there = np.any(rows != 0, axis=1)
        of_present = np.sum(summed(rows)[there] - c, axis=0)
        assert np.array_equal(np.sum(summed(rows), axis=0), PARTICLES * c + of_present)


def test_padding_moves_no_coordinate():
    case = CASES["particles"]
    word = case.words(200, seed=6).reshape(-1, PARTICLES, len(FEATURE_BITS))
    low = np.array([p.interval[0] for p in case.frozen_ports]).reshape(PARTICLES, -1)
    full = word[np.all(np.any(word != 0, axis=2), axis=1)]
    padded = full.repeat(2, axis=0).reshape(len(full), 2 * PARTICLES, -1).copy()
    padded[:, PARTICLES:] = 0

    def grid(word):
        places = word.shape[1]
        code = (word - low[:1]).reshape(len(word), -1)
        ports = FEATURE_BITS * places, FEATURE_SIGNED * places
        return particle_words(code, *ports, places, most_address=4).grid

    grids = grid(full), grid(padded)
    assert all(map(np.array_equal, *(jax.tree.leaves(g) for g in grids)))


def test_particles_can_be_values_as_well():
    network = ParticleNetwork(
        values(2, 4, reach=4.0), 3, 5, units=2, head=3, most_address=4, key=jr.key(0)
    )
    x = jr.normal(jr.key(1), (3, 2))
    assert np.array_equal(ready(network)(x), ready(network)(x[::-1]))


def test_ports_are_numbers_below_one():
    ports = Ports((3, 4), (False, True))
    assert np.array_equal(ports(jnp.array([7, -8])), [0.875, -1.0])


def refused(make, *words):
    with pytest.raises(UserError) as error:
        make()
    assert all(word in str(error.value) for word in words), str(error.value)


def test_ports_that_are_no_particles_are_refused():
    code = np.zeros((1, 4), int)

    def sets(bits, signed=(False,) * 4, particles=2, **options):
        return lambda: deep_sets(
            *(code, bits, signed, particles, 5), key=jr.key(0), **options
        )

    refused(sets((4,) * 4, particles=3), "4 ports", "3 particles")
    refused(sets((4, 3, 4, 5)), "port 3 has 5 bits", "3 bits")
    signs = (False, False, True, False)
    refused(sets((4,) * 4, signs), "port 2", "signed=True", "signed=False")
    refused(sets((4,) * 4, per_particle=()), "per_particle=()")
    refused(sets((4,) * 4, layers="conv"), "'lut' or 'dense'", "'conv'")


def test_networks_without_layers_are_refused():
    key, reading = jr.key(0), values(2, 4)
    refused(lambda: quantised_mlp((4,), (False,), (), key=key), "widths=()")
    refused(lambda: lut_head(reading, (), 4, 2.0, key=key), "widths=()")
    refused(lambda: muon_hybrid(5, 2, tables=(), key=key), "tables=()")
    refused(lambda: ParticleNetwork(reading, 0, 5, key=key), "places, got 0")
