"""What a layer is: evaluated once, found wherever it stands, and moved alike."""

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import layer
from models.latency import at_ports
from models.symbols import Recorder, Symbols, Wire


@final
class Scaled(layer.Evaluated):
    """Multiplies by what was made of a parameter."""

    factor: Any

    def __call__(self, x):
        return x * self.factor

    def luts(self):
        return jnp.asarray(self.factor, jnp.float32)

    def ebops(self):
        return 10 * jnp.asarray(self.factor, jnp.float32)


@final
class Scale(layer.Layer):
    """A layer that counts how often it is evaluated."""

    root: Any
    evaluations: list = eqx.field(static=True, default_factory=list)

    def evaluated(self):
        self.evaluations.append(1)
        return Scaled(self.root**2)

    def within_caps(self):
        return Scale(jnp.minimum(self.root, 2.0), self.evaluations)


def network():
    return {"first": Scale(jnp.float32(3)), "then": (Scale(jnp.float32(2)), "text")}


def test_layers_are_evaluated_wherever_they_stand():
    ready = layer.evaluate(network())
    assert isinstance(ready["first"], Scaled)
    assert isinstance(ready["then"][0], Scaled)
    assert ready["then"][1] == "text"
    assert [float(part.luts()) for part in layer.parts(ready)] == [9, 4]


def test_costs_add_up_over_all_layers_and_nothing_costs_nothing():
    ready = layer.evaluate(network())
    assert float(layer.luts(ready)) == 13
    assert float(layer.ebops(ready)) == 130
    assert float(layer.luts(())) == 0


def test_a_batch_shares_one_evaluation():
    one = Scale(jnp.float32(3))
    ready = layer.evaluate(one)
    batch = jnp.arange(4.0)
    assert np.array_equal(jax.vmap(ready)(batch), 9 * batch)
    assert one.evaluations == [1]
    assert np.array_equal(one(batch), 9 * batch)


def test_a_gradient_passes_through_the_evaluation():
    slope = jax.grad(lambda root: Scale(root)(2.0))(jnp.float32(3))
    assert float(slope) == 2 * 3 * 2


def test_caps_are_kept_by_whoever_has_them():
    capped = layer.within_caps(network())
    assert [float(capped["first"].root), float(capped["then"][0].root)] == [2, 2]
    assert capped["then"][1] == "text"


def values(kind, count=6):
    match kind:
        case "array":
            return jnp.arange(float(count))
        case "arrivals":
            return at_ports((count,), 360.0)
        case _:
            recorder = Recorder()
            return Symbols([Wire(k, 0) for k in range(count)], recorder)


@pytest.mark.parametrize("kind", ["array", "arrivals", "symbols"])
def test_every_kind_of_value_moves_in_the_same_way(kind):
    x = values(kind)
    moved = layer.lift(lambda a: a.reshape(2, 3).T[1:], x)
    assert type(moved) is type(x) or kind == "array"
    assert moved.shape == (2, 2)
    twice = layer.lift(lambda a, b: np.concatenate([a, b]) if kind == "symbols"
                       else jnp.concatenate([a, b]), x, x)  # fmt: skip
    assert twice.shape == (12,)
