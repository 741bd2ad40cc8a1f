"""Ranges hold all that comes, and what is never reached costs nothing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from small_networks import random_codes

from models import architectures, layer, particles
from models.combine import Sum
from models.evaluate import ready
from models.lut_conv import LUTConv1D
from models.lut_einsum import LUTEinsum
from models.lut_quantised import QuantisedLUTDense
from models.quantiser import quantiser
from models.ranges import FAR, Bill, Ranges, at_ports
from models.reading import values, words

BITS, SIGNED = (5, 3, 4), (True, False, True)
CODES = random_codes(64, BITS, seed=1)


def raw(codes, bits, signed):
    low = [2 ** (b - 1) if s else 0 for b, s in zip(bits, signed, strict=True)]
    return jnp.asarray(np.asarray(codes) - np.array(low), jnp.int32)


def tagger():
    return architectures.lut_mlp(CODES, BITS, SIGNED, (6, 2), hidden=3, key=jr.key(1))


def places(count):
    return BITS * count, SIGNED * count


def jedi_linear():
    bits, signed = places(4)
    codes = random_codes(64, bits, seed=2)
    return particles.deep_sets(
        *(codes, bits, signed, 4, 2),
        per_particle=(4, 3),
        head=(5,),
        layers="dense",
        hidden=3,
        key=jr.key(2),
    )


def with_message():
    bits, signed = places(4)
    return particles.particle_network(
        *(random_codes(64, bits, seed=2), bits, signed, 4, 2),
        units=3,
        head=5,
        hidden=3,
        key=jr.key(3),
    )


def dense():
    return architectures.quantised_mlp(BITS, SIGNED, (6, 2), key=jr.key(4))


def hybrid():
    return architectures.muon_hybrid(
        *(8, 2),
        filters=3,
        dense=(6,),
        tables=(4, 3),
        hidden=3,
        key=jr.key(5),
    )


def convolution():
    reading = values(2, 4)
    return LUTConv1D(reading, (6, 2), 3, 3, padding="same", hidden=3, key=jr.key(6))


def einsum():
    return LUTEinsum(
        "sn,snm->sm", values(2, 4), (3, 2), (3, 2, 4), hidden=3, key=jr.key(7)
    )


def quantised(overflow):
    iq = quantiser((3, 1), integer=1.0, width=3.0, overflow=overflow)
    return QuantisedLUTDense(3, 4, iq=iq, hidden=3, key=jr.key(8))


ON_WORDS = {
    "tagger": (tagger, BITS, SIGNED),
    "jedi_linear": (jedi_linear, *places(4)),
    "particles": (with_message, *places(4)),
    "dense": (dense, BITS, SIGNED),
    "hybrid": (hybrid, (1,) * 16, (False,) * 16),
}
ON_VALUES = {
    "convolution": (convolution, (6, 2)),
    "einsum": (einsum, (3, 2)),
    "saturating": (lambda: quantised("SAT"), (3,)),
    "wrapping": (lambda: quantised("WRAP"), (3,)),
}


@eqx.filter_jit
def through(evaluated, x):
    """Ends of what leaves, and the LUTs of all layers."""
    bill = Bill()
    y = evaluated(x(bill))
    luts = sum(bill.of(part) for part in layer.parts(evaluated))
    return y.least, y.most, luts


@pytest.mark.parametrize("name", ON_WORDS)
def test_no_score_of_a_network_leaves_its_range(name):
    build, bits, signed = ON_WORDS[name]
    evaluated = ready(build())
    least, most, luts = through(evaluated, lambda bill: at_ports((len(bits),), bill))
    x = raw(random_codes(500, bits, seed=9), bits, signed)
    y = jax.jit(jax.vmap(evaluated))(x)
    # Sums of arithmetic layers are rounded in float32, in another order here.
    slack = 2.0**-18 * jnp.max(jnp.abs(y))
    assert jnp.all(y >= least - slack)
    assert jnp.all(y <= most + slack)
    assert jnp.all(most < FAR)
    assert luts > 0


@pytest.mark.parametrize("name", ON_VALUES)
def test_no_value_of_a_layer_leaves_its_range(name):
    build, shape = ON_VALUES[name]
    evaluated = ready(build())
    low = jr.uniform(jr.key(1), shape, minval=-3, maxval=2)
    high = low + jr.uniform(jr.key(2), shape)
    fraction = jnp.full(shape, 4.0)
    least, most, luts = through(evaluated, lambda b: Ranges(low, high, fraction, b))
    share = jr.uniform(jr.key(3), (500, *shape))
    y = jax.jit(jax.vmap(evaluated))(low + share * (high - low))
    assert jnp.all(y >= least)
    assert jnp.all(y <= most)
    assert luts > 0


def test_ranges_of_a_tagger_are_met_by_sums_of_the_extremes():
    """One layer, whose outputs are sums over inputs that are free of each other."""
    network = architectures.lut_mlp(CODES, BITS, SIGNED, (3,), hidden=3, key=jr.key(1))
    evaluated = ready(network)
    ranges = evaluated(at_ports((3,), Bill()))
    every = np.stack(np.meshgrid(*(np.arange(2**b) for b in BITS)), -1).reshape(-1, 3)
    y = jax.vmap(evaluated)(raw(every, BITS, SIGNED))
    assert jnp.array_equal(ranges.least, jnp.min(y, axis=0))
    assert jnp.array_equal(ranges.most, jnp.max(y, axis=0))


def test_tables_that_see_less_cost_less():
    evaluated = ready(convolution())

    def cost(span):
        bill = Bill()
        most = jnp.full((6, 2), span)
        evaluated(Ranges(-most, most, jnp.full((6, 2), 6.0), bill))
        return float(bill.total())

    costs = [cost(span) for span in (0.0, 0.25, 0.5, 1.0, 2.0, 64.0)]
    assert costs[0] < costs[1] < costs[2] < costs[3] < costs[4] == costs[5]


def test_a_layer_is_paid_for_as_often_as_it_is_called():
    bill, x = Bill(), Ranges(jnp.zeros(3), jnp.ones(3), jnp.full(3, 4.0), Bill())
    total = Sum((3,), 0, input_bits=4)
    total(Ranges(x.least, x.most, x.fraction, bill))
    once = float(bill.of(total))
    total(Ranges(x.least, x.most, x.fraction, bill))
    assert float(bill.of(total)) == 2 * once > 0


def test_a_layer_that_no_range_went_through_takes_its_price():
    class Wrapped(eqx.Module):
        inside: Sum

    evaluated = Wrapped(Sum((3,), 0, input_bits=4))
    assert layer.parts(evaluated) == [evaluated.inside]
    assert Bill().of(evaluated.inside) == evaluated.inside.luts() > 0


def test_inputs_that_are_always_alike_make_sums_free():
    bill = Bill()
    same = jnp.full((4, 2), 0.5)
    y = Sum((4, 2), 0, input_bits=4)(Ranges(same, same, jnp.full((4, 2), 3.0), bill))
    assert bill.total() == 0
    assert jnp.array_equal(y.least, y.most)
    assert jnp.array_equal(y.least, jnp.full(2, 2.0))


def test_words_of_ports_are_read_whole():
    reading = words(CODES, BITS, SIGNED, 4)
    assert reading.address_bits() == (4, 3, 4)
