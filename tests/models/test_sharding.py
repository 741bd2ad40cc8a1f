"""A batch on several devices: the result of one device, but for the order of sums.

The devices are parts of one CPU, which XLA only makes at its start: so all of it runs
in a process of its own, which reports numbers.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from small_networks import SMALL, easy_data, random_network

from models import step
from models.plan import Goal
from models.train import train
from trigger.errors import UserError

BATCH = 64
made = [random_network((4, 2, 5), (5, 4, 2), seed=k, events=BATCH) for k in (0, 1)]
x = jnp.asarray(made[0][1], jnp.int32)
label = jnp.asarray(made[0][1][:, 0] > 5, jnp.int32)
optimiser = optax.sgd(1.0)  # a step is the gradient

constants = step.split(made[0][0])[2]  # as members of one training split share them
networks = [eqx.combine(*step.split(one)[:2], constants) for one, _ in made]

def one_step(devices):
    state, fixed = step.start(networks, optimiser)
    terms = step.Terms(step.cross_entropy, step.accuracy, 0.0, True, 360.0, 3)
    program = step.epoch_program(
        *(fixed, optimiser, terms, x, label),
        batch=BATCH, rate=1.0, decay=0.0, devices=devices,
    )
    prices = step.Prices(jnp.full(2, 1e-4), jnp.full(2, 1e-3))
    return state, *program(state, step.shuffled((2,), len(label), BATCH), prices)

def arrays(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]

told = {"there": len(jax.devices()), "gradients": {}, "seen": {}, "loss": {}}
before, alone, means = one_step(1)
for devices in (2, 4):
    _, shared, theirs = one_step(devices)
    pairs = zip(arrays(before.trained), arrays(alone.trained), arrays(shared.trained))
    told["gradients"][devices] = max(
        float(np.max(np.abs(a - b)) / max(np.max(np.abs(s - a)), 1e-3))
        for s, a, b in pairs
    )
    pairs = zip(arrays(alone.seen), arrays(shared.seen))
    told["seen"][devices] = max(float(np.max(np.abs(a - b))) for a, b in pairs)
    told["loss"][devices] = float(np.max(np.abs(means.loss - theirs.loss)))

config = replace(SMALL, epochs=3)
runs = [
    train(replace(config, devices=devices), easy_data(), goal=Goal(60.0), seed=1).log
    for devices in (1, 2)
]
told["runs"] = [
    [[log.loss, log.luts, log.val_accuracy] for log in logs] for logs in runs
]
try:
    train(replace(config, batch=21, devices=2), easy_data(), goal=Goal(60.0), seed=1)
except UserError as error:
    told["uneven"] = str(error)
try:
    train(replace(config, devices=8), easy_data(), goal=Goal(60.0), seed=1)
except UserError as error:
    told["too many"] = str(error)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told():
    here = Path(__file__).parent
    env = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        # JAX's key of a program leaves out on how many devices it was compiled.
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(here), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("devices", ["2", "4"])
def test_a_step_of_several_devices_has_the_gradients_of_one(told, devices):
    assert told["there"] == 4
    # Sums of 64 events and at most 5 x 16 codes in another order: float32 loses at most
    # n * 2**-24 of the sum of the sizes, which cancel to some tenth of it.
    assert told["gradients"][devices] <= 10 * (64 + 80) * 2**-24
    assert told["loss"][devices] <= 64 * 2**-24


@pytest.mark.parametrize("devices", ["2", "4"])
def test_several_devices_observe_exactly_what_one_does(told, devices):
    # Shares of 64 events are exact in float32, and so are their means.
    assert told["seen"][devices] == 0


def test_a_whole_run_comes_to_the_same_within_what_rounding_grows_to(told):
    one, two = told["runs"]
    assert one[0] == pytest.approx(two[0], rel=1e-3)
    for (loss, luts, accuracy), (theirs, their_luts, their_accuracy) in zip(
        one, two, strict=True
    ):
        # An entry that rounds the other way is a step of its LSB, so runs drift apart
        # as those of two machines do; over 45 steps by a few per cent at most.
        assert loss == pytest.approx(theirs, rel=0.05)
        assert luts == pytest.approx(their_luts, rel=0.05)
        assert accuracy == pytest.approx(their_accuracy, abs=0.03)


def test_a_batch_that_devices_cannot_share_is_refused(told):
    assert told["uneven"] == (
        "train.batch is 21, which 2 devices cannot share evenly; make it a multiple"
    )


def test_more_devices_than_there_are_are_refused(told):
    assert told["too many"].startswith("train.devices is 8, JAX sees 4 here; lower it")
