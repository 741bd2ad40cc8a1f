"""The laws of what is counted, and how near it comes to what the compiler makes."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from recorded_networks import recorded

from models.count import added, held, of_sums, of_tables

SHAPE = (6, 4)
NETWORKS = recorded()
jitted = jax.jit(of_tables)
looked_through = jax.jit(held, static_argnames="bits")


def edges(low, high):
    elements = st.integers(low, high)
    return hnp.arrays(np.int64, SHAPE, elements=elements).map(
        lambda a: jnp.asarray(a, jnp.float32)
    )


spans, fractions, many = edges(0, 200), edges(0, 6), edges(0, 60)


def area(steps, read, fraction):
    return jitted(steps, jnp.where(steps > 0, read, 0), fraction)


def test_the_count_of_recorded_networks_is_near_the_compilers():
    """What `models.count` says of the fit; counts of one network wander by some percent."""
    estimate = [
        sum(
            float(jitted(at.hard * 2.0**at.fraction, at.read, at.fraction))
            for at in network.layers
        )
        for network in NETWORKS
    ]
    off = np.array(estimate) / [n.luts for n in NETWORKS] - 1
    assert np.sqrt(np.mean(off**2)) < 0.06
    assert np.max(np.abs(off)) < 0.11
    sizes = [network.luts for network in NETWORKS]
    assert len(sizes) >= 12
    assert min(sizes) < 300
    assert max(sizes) > 3500


@given(spans, many, fractions, st.integers(0, 23))
def test_one_more_address_bit_never_costs_less(steps, read, fraction, at):
    more = read.at[np.unravel_index(at, SHAPE)].add(1)
    assert area(steps, more, fraction) >= area(steps, read, fraction)


@given(spans, fractions, st.integers(0, 8), st.integers(0, 23))
def test_one_more_bit_that_depends_on_as_many_never_costs_less(
    steps, fraction, width, at
):
    """Twice the span at the same LSB: one bit more, for the sum as well at most."""

    def cost(steps):
        bits = np.frexp(np.asarray(steps))[1]
        return area(steps, jnp.asarray(width * bits, jnp.float32), fraction)

    wider = steps.at[np.unravel_index(at, SHAPE)].mul(2)
    # The same sum of up to 24 terms in float32, in another order.
    assert cost(wider) >= cost(steps) * (1 - 24 * 2.0**-23)


@given(spans, many, fractions, st.integers(0, 23))
def test_a_dead_edge_costs_nothing_wherever_its_widths_stand(steps, read, fraction, at):
    place = np.unravel_index(at, SHAPE)
    dead = steps.at[place].set(0)
    assert area(dead, read, fraction) <= area(steps, read, fraction)
    moved = (dead, read.at[place].set(60.0), fraction.at[place].set(6.0))
    assert area(*moved) == area(dead, read, fraction)


def test_a_layer_without_live_edges_costs_nothing():
    zero = jnp.zeros(SHAPE)
    assert area(zero, zero, zero + 3) == 0


@given(spans, fractions)
def test_bits_that_meet_are_those_of_the_columns(steps, fraction):
    found = added(jnp.asarray(np.frexp(np.asarray(steps))[1], jnp.float32), fraction)
    for j in range(SHAPE[1]):
        height: dict[int, int] = {}
        for i in range(SHAPE[0]):
            for bit in range(int(steps[i, j]).bit_length()):
                column = bit - int(fraction[i, j])
                height[column] = height.get(column, 0) + 1
        assert found[j] == sum(h - 1 for h in height.values())


def test_plain_sums_cost_by_the_bits_that_meet():
    apart = of_sums(jnp.array([7.0, 7.0]), jnp.array([0.0, 3.0]))
    assert apart == 0
    one, two = (of_sums(jnp.full((n, 2), 15.0), jnp.zeros((n, 2))) for n in (2, 3))
    assert two == 2 * one > 0


BITS = (3, 2)
"""Of the codes of two inputs, of eight codes; those of the second repeat its last."""


@given(
    hnp.arrays(np.int64, (2, 8, 3), elements=st.integers(-40, 40)),
    hnp.arrays(np.int64, (2, 3), elements=st.integers(0, 3)),
    st.integers(0, 6),
    st.data(),
)
def test_address_bits_are_those_that_an_entry_depends_on(values, width, fraction, data):
    """By hand: entries of the reached cells, in a row of their own, bit by bit."""
    width = np.minimum(width, np.array(BITS)[:, None])
    low = np.array([data.draw(st.integers(0, 2**b - 1)) for b in BITS])
    high = np.array(
        [data.draw(st.integers(n, 2**b - 1)) for n, b in zip(low, BITS, strict=True)]
    )
    steps = np.zeros((2, 8, 3), int)
    for i, k, j in np.ndindex(2, 8, 3):
        own = min(k, 2 ** BITS[i] - 1)
        steps[i, k, j] = values[i, own >> (BITS[i] - width[i, j]), j]
    found = looked_through(
        jnp.asarray(steps * 2.0**-fraction, jnp.float32),
        jnp.asarray(width, jnp.float32),
        jnp.full((2, 3), float(fraction)),
        *(jnp.asarray(low), jnp.asarray(high)),
        bits=BITS,
    )
    for i, j in np.ndindex(2, 3):
        drop = BITS[i] - width[i, j]
        cells = range(low[i] >> drop, (high[i] >> drop) + 1)
        row = [int(values[i, c, j]) for c in cells]
        held_there = [v - min(row) for v in row]
        bits = (len(row) - 1).bit_length()
        held_there += [held_there[-1]] * (2**bits - len(row))
        read = 0
        for bit in range(max(held_there).bit_length()):
            ones = [v >> bit & 1 for v in held_there]
            read += sum(
                any(ones[c] != ones[c ^ 1 << v] for c in range(2**bits))
                for v in range(bits)
            )
        assert found.read[i, j] == read
        assert found.steps[i, j] == max(held_there)
        assert found.least[i, j] == min(row) * 2.0**-fraction
        assert found.most[i, j] == max(row) * 2.0**-fraction
