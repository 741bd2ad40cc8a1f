"""The laws of the area term."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from small_networks import random_network

from models.cost import LUT_PER_BIT, entry_bits, luts, luts_per_bit
from models.freeze import freeze
from models.frozen import FrozenPort, FrozenTables


@eqx.filter_jit
def area(layer, grid):
    return luts(layer.tables(grid))


def first_layer(**change):
    network, _ = random_network((5, 4), (6,), most_address=5)
    layer = network.layers[0]
    for name, value in change.items():
        layer = eqx.tree_at(
            lambda x, n=name: getattr(x, n), layer, jnp.full((2, 6), float(value))
        )
    return layer, network.grids[0]


def test_a_wider_address_never_costs_less():
    costs = [
        float(area(layer, grid))
        for layer, grid in (first_layer(address=w) for w in range(6))
    ]
    assert costs == sorted(costs)
    assert np.all(np.diff(LUT_PER_BIT) > 0)


def test_finer_entries_never_cost_less():
    costs = [
        float(area(layer, grid))
        for layer, grid in (first_layer(fraction=f) for f in range(10))
    ]
    assert costs == sorted(costs)


def test_an_edge_that_reads_nothing_costs_nothing():
    layer, grid = first_layer(address=0)
    assert float(area(layer, grid)) == 0.0


def test_an_edge_whose_entries_round_to_one_value_costs_nothing():
    layer, grid = first_layer()
    zeros = (jnp.zeros_like(layer.w2), jnp.zeros_like(layer.b2))
    flat = eqx.tree_at(lambda x: (x.w2, x.b2), layer, zeros)
    assert float(area(flat, grid)) == 0.0


def test_the_bits_counted_are_those_of_the_frozen_tables():
    network, _ = random_network((5, 4), (6,), most_address=5)
    ports = (FrozenPort("a", 5, False), FrozenPort("b", 4, False))
    (layer,) = freeze(network, ports, tuple("uvwxyz")).layers
    assert isinstance(layer, FrozenTables)
    needed = [[int(np.ptp(t)).bit_length() for t in row] for row in layer.tables]
    counted = entry_bits(network.tables()[0])
    assert np.array_equal(counted, needed)


def test_the_area_grows_with_every_width_it_can_still_change():
    network, _ = random_network((5, 4), (6,), most_address=5)
    grid = network.grids[0]
    slope = eqx.filter_grad(area)(network.layers[0], grid)
    alive = np.asarray(entry_bits(network.tables()[0])) > 0
    assert np.all(np.asarray(slope.fraction)[alive] > 0)
    assert np.all(np.asarray(slope.address)[~alive] == 0)


def test_the_slope_of_the_table_cost_is_that_of_its_neighbours():
    w = jnp.arange(1.0, 12.0).reshape(1, -1)
    slope = jax.grad(lambda x: jnp.sum(luts_per_bit(x)))(w)
    known = np.array(LUT_PER_BIT, np.float32)
    assert np.array_equal(slope[0], (known[2:] - known[:-2]) / 2)
