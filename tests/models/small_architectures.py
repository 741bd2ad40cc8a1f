"""Every architecture in small, with a problem that it can learn, for the tests."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

from models import step
from models.architectures import muon_hybrid, quantised_mlp
from models.frozen import FrozenPort
from models.grid import codes_of_words
from models.layer import within_caps
from models.lut import LUTDense
from models.particles import deep_sets, mlp_mixer, particle_network
from models.plan import TrainData
from models.quantiser import Quantiser

PARTICLES = 4
FEATURE_BITS, FEATURE_SIGNED = (4, 3, 5), (False, True, True)
STRIPS, LAYERS = 5, 2
EVENTS = 256
"""Events that networks are asked about: one number, one compilation."""


@final
@dataclass(frozen=True)
class Case:
    """An architecture, and whether its output is a number instead of classes."""

    build: Callable[..., Any]
    permutes: bool = False
    regression: bool = False

    @property
    def ports(self):
        """Bits and signs."""
        if self.regression:
            return (1,) * STRIPS * LAYERS, (False,) * STRIPS * LAYERS
        return FEATURE_BITS * PARTICLES, FEATURE_SIGNED * PARTICLES

    @property
    def frozen_ports(self):
        """The same for the integer program."""
        pairs = zip(*self.ports, strict=True)
        return tuple(FrozenPort(f"x{k}", b, s) for k, (b, s) in enumerate(pairs))

    @property
    def outputs(self):
        """Names."""
        return ("y",) if self.regression else ("y0", "y1", "y2")

    @property
    def loss(self):
        """What is trained, and what is judged."""
        if self.regression:
            return step.squared_error, step.closeness
        return step.cross_entropy, step.accuracy

    def words(self, events, seed=0):
        """Words of any value; places of absent particles are zeros."""
        rng = np.random.default_rng(seed)
        ends = [port.interval for port in self.frozen_ports]
        columns = [rng.integers(lo, hi + 1, events) for lo, hi in ends]
        word = np.stack(columns, axis=1)
        if not self.regression:
            there = np.arange(PARTICLES) < rng.integers(1, PARTICLES + 1, (events, 1))
            word = word * np.repeat(there, len(FEATURE_BITS), axis=1)
        return word

    def labels(self, word):
        """Something that sums over particles or strips tell."""
        if self.regression:
            strip = np.arange(STRIPS) - STRIPS // 2
            return word.reshape(-1, STRIPS, LAYERS).sum(axis=2) @ strip / 4.0
        total = (word * np.tile([2, 3, 1], PARTICLES)).sum(axis=1)
        return np.digitize(total, [5, 45])

    def data(self):
        """For training."""
        word = self.words(512)
        label = self.labels(word)
        val = self.words(EVENTS, seed=1)
        return TrainData(word, label, val, self.labels(val), *self.ports, classes=3)

    def network(self, seed=0):
        """Before training."""
        bits, signed = self.ports
        code = codes_of_words(self.words(512), bits, signed)
        return self.build(code, bits, signed, key=jr.key(seed))


TABLE = {"hidden": 2, "most_address": 4}
SHARED = {"particles": PARTICLES, "classes": 3}


def _without_code(build, *leading, **options):
    def built(code, bits, signed, *, key):
        del code
        ports = () if leading else (bits, signed)
        return build(*leading, *ports, key=key, **options)

    return built


CASES = {
    "particles": Case(
        partial(particle_network, units=3, head=4, **SHARED, **TABLE), permutes=True
    ),
    "deep_sets": Case(
        partial(deep_sets, per_particle=(3,), head=(4,), **SHARED, **TABLE),
        permutes=True,
    ),
    "deep_sets_dense": Case(
        partial(
            deep_sets, per_particle=(3,), head=(4,), layers="dense", **SHARED, **TABLE
        ),
        permutes=True,
    ),
    "mixer": Case(partial(mlp_mixer, units=3, head=(4,), **SHARED, **TABLE)),
    "quantised_mlp": Case(_without_code(quantised_mlp, widths=(6, 3))),
    "muon": Case(
        _without_code(
            muon_hybrid, STRIPS, LAYERS, filters=3, dense=(4,), tables=(3,), **TABLE
        ),
        regression=True,
    ),
}


def shaken(network, seed=0):
    """The network with widths from none to all, as if training had gone anywhere."""
    keys = iter(jr.split(jr.key(seed), 999))

    def near(value, low, high):
        return jr.uniform(next(keys), value.shape, minval=low, maxval=high)

    def one(node):
        if isinstance(node, LUTDense):
            most = node.most_address + 0.4
            new = near(node.address, -0.4, most), near(node.fraction, 0.6, 5.4)
            return eqx.tree_at(lambda x: (x.address, x.fraction), node, new)
        if isinstance(node, Quantiser):
            moved = node.width + near(node.width, -2.0, 2.0)
            return eqx.tree_at(lambda q: q.width, node, moved)
        return node

    def stop(node):
        return isinstance(node, LUTDense | Quantiser)

    return within_caps(jax.tree.map(one, network, is_leaf=stop))
