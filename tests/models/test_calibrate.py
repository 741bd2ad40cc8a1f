"""Calibration: ranges that wrap set to what examples need, or refused."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from models.calibrate import calibrate
from models.quantiser import quantiser
from trigger.errors import UserError


@pytest.mark.parametrize("form", ["kif", "kbi"])
def test_calibration_sets_ranges_to_what_the_examples_need(form):
    chain = eqx.nn.Sequential(
        [
            eqx.nn.Lambda(quantiser((5,), form=form, integer=9.0, width=7.0)),
            eqx.nn.Lambda(lambda x: 3.0 * x),
            eqx.nn.Lambda(quantiser((), form=form, integer=-4.0, width=7.0)),
        ]
    )
    x = 4.0 * jr.normal(jr.key(1), (120, 5))
    small, large = x[:60] / 16, x
    once = calibrate(chain, small, block=7)
    first, last = once.layers[0].fn, once.layers[2].fn
    assert np.all(first.widths()[0] < 9)
    assert float(last.widths()[0]) > -4
    raised = calibrate(once, large, reset=False)
    assert np.all(raised.layers[0].fn.widths()[0] >= first.widths()[0])
    kept = calibrate(raised, small, reset=False)
    assert np.array_equal(
        kept.layers[0].fn.integer.value, raised.layers[0].fn.integer.value
    )
    lower = calibrate(raised, small)
    assert np.array_equal(lower.layers[0].fn.integer.value, first.integer.value)


def test_calibration_refuses_what_no_range_can_hold():
    unsigned = quantiser(signed=False)
    with pytest.raises(UserError, match=r"still wraps on its own examples.*unsigned"):
        calibrate(unsigned, -jnp.ones((4, 3)))
    with pytest.raises(UserError, match="calibration got no example"):
        calibrate(unsigned, jnp.ones((0, 3)))
