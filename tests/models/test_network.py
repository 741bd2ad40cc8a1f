"""The engine against the materialised layer, and the laws of addresses and widths."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from materialised import scores as materialised_scores
from small_networks import random_codes, random_network

from models.evaluate import network_tables, raw_scores, table_scores
from models.network import LUTNetwork, code_of_sum, scores, trainable

NETS = [
    ((3,), (2,), 3),
    ((4, 2, 5), (6, 3), 4),
    ((4,) * 5, (7, 4), 5),
    ((6,) * 4, (8, 5), 2),
]


@eqx.filter_jit
def layer_tables(layer, grid):
    return layer.tables(grid)


def loss(score, label):
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(score, label))


@pytest.mark.parametrize(("bits", "widths", "most"), NETS)
def test_values_and_all_gradients_are_those_of_the_materialised_layers(
    bits, widths, most
):
    seed = len(bits)
    network, code = random_network(bits, widths, most_address=most, seed=seed)
    label = np.random.default_rng(seed).integers(0, widths[-1], len(code))
    parameters, constants = eqx.partition(network, trainable(network))
    code, label = jnp.asarray(network.leading(code)), jnp.asarray(label)

    def engine(p):
        net = eqx.combine(p, constants)
        # The moments of batch normalisation are those of the codes that made the
        # grid, and these are the batch, so that both forms have the same moments.
        return loss(scores(net, net.tables(), code), label)

    def in_full(p):
        return loss(materialised_scores(eqx.combine(p, constants), code), label)

    value, slope = jax.jit(jax.value_and_grad(engine))(parameters)
    expected_value, expected_slope = jax.jit(jax.value_and_grad(in_full))(parameters)
    # Both are float32; sums of at most 200 * 5 * 8 terms of one sign in different
    # order differ by a few units of 2**-24 relative to the largest term.
    assert abs(value - expected_value) <= 1e-5 * abs(expected_value)
    for got, expected in zip(
        jax.tree.leaves(slope), jax.tree.leaves(expected_slope), strict=True
    ):
        scale = float(jnp.max(jnp.abs(expected))) + 1e-6
        assert float(jnp.max(jnp.abs(got - expected))) <= 2e-5 * scale


def test_one_event_scores_as_it_does_in_a_batch():
    network, code = random_network((4, 3), (5, 2))
    batch = table_scores(network, network_tables(network), jnp.asarray(code))
    one = eqx.filter_jit(eqx.filter_vmap(network))(jnp.asarray(code))
    # Two programs may round an entry differently, by one step of 2**-5 at most each.
    assert np.max(np.abs(one - batch)) <= code.shape[1] * 2.0**-5


def test_an_edge_of_no_bits_is_a_constant():
    network, _ = random_network((4, 4), (3,))
    layer = eqx.tree_at(lambda x: x.address, network.layers[0], jnp.zeros((2, 3)))
    entry = np.asarray(layer_tables(layer, network.grids[0]).entry)
    assert np.array_equal(entry, np.repeat(entry[:, :1], entry.shape[1], axis=1))


@pytest.mark.parametrize("width", [1, 2, 3])
def test_an_edge_sees_only_the_leading_bits_of_its_code(width):
    network, _ = random_network((4, 4), (3,))
    address = jnp.full((2, 3), float(width))
    layer = eqx.tree_at(lambda x: x.address, network.layers[0], address)
    entry = np.asarray(layer_tables(layer, network.grids[0]).entry)
    cells = entry.reshape(2, 2**width, -1, 3)
    assert np.array_equal(cells, np.repeat(cells[:, :, :1], cells.shape[2], axis=2))


def test_codes_of_sums_nest_under_truncation():
    y = jnp.linspace(-3, 3, 1001)[:, None]
    fine = code_of_sum(y, 6, 2.0, jnp.array([9.0]))
    for bits in range(1, 6):
        coarse = code_of_sum(y, bits, 2.0, jnp.array([9.0]))
        assert np.array_equal(coarse, fine >> (6 - bits))


def test_sums_beyond_the_reach_saturate():
    y = jnp.array([-1e9, -2.0, 1.5, 2.0, 1e9])[:, None]
    assert code_of_sum(y, 3, 2.0, jnp.array([1.0]))[:, 0].tolist() == [0, 0, 7, 7, 7]


@pytest.mark.parametrize("fraction", [0, 1, 2])
def test_a_saturated_sum_has_the_code_of_the_last_one_that_is_not(fraction):
    sums = jnp.arange(-3.0, 4.0, 2.0**-fraction)[:, None]
    codes = code_of_sum(sums, 6, 2.0, jnp.array([float(fraction)]))[:, 0]
    kept = 6 - (fraction + 2)  # below, a sum of this LSB tells nothing apart
    assert np.array_equal(codes >> kept << kept, codes)


def test_entries_are_multiples_of_their_step():
    network, _ = random_network((4, 4), (5, 3))
    for tables in network_tables(network):
        counts = np.asarray(tables.entry) * 2.0 ** np.asarray(tables.fraction)[:, None]
        assert np.array_equal(counts, np.rint(counts))


def test_cells_of_all_widths_are_means_of_finer_cells():
    network, code = random_network((5,), (2,), most_address=5)
    grid, n = network.grids[0], len(code)
    smooth = np.bincount(code[:, 0], minlength=32) + 0.5 / 32
    for w in range(5):
        cell = np.asarray(grid.cell[w, 0]).reshape(2**w, -1)[:, 0]
        finer = np.asarray(grid.cell[w + 1, 0]).reshape(2**w, 2, -1)[:, :, 0]
        mass = smooth.reshape(2**w, 2, -1).sum(axis=2) / n
        mean = (mass * finer).sum(axis=1) / mass.sum(axis=1)
        # float32 coordinates of order one, a handful of roundings of 2**-24 each.
        assert np.allclose(cell, mean, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": ()}, "at least one layer"),
        ({"reach": 3.0}, "power of two"),
        ({"most_address": 0}, "at least 1"),
    ],
)
def test_impossible_networks_are_refused(change, message):
    code = random_codes(10, (3,), 0)
    arguments = {"widths": (2,), "reach": 2.0, "most_address": 3} | change
    with pytest.raises(ValueError, match=message):
        LUTNetwork(code, (3,), key=jax.random.key(0), **arguments)


def test_bits_that_no_edge_may_read_change_nothing():
    code = random_codes(200, (5, 4), 1)
    arguments = {"widths": (3, 2), "most_address": 4, "key": jax.random.key(2)}
    narrow = LUTNetwork(code, (5, 4), **arguments)
    noise = np.random.default_rng(0).integers(0, 8, code.shape)
    wide = LUTNetwork(8 * code + noise, (8, 7), **arguments)
    expected = raw_scores(narrow, code)
    assert np.array_equal(raw_scores(wide, 8 * code + noise), expected)


def test_codes_of_the_helper_stay_in_range():
    code = random_codes(100, (2, 5), 0)
    assert np.all(code >= 0)
    assert np.all(code < [4, 32])
