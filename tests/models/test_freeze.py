"""The frozen integers against the network, on every address and on random events."""

import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import random_network

from models.evaluate import network_tables, raw_scores, table_scores
from models.freeze import freeze
from models.frozen import FrozenPort, FrozenTables

NETS = [
    ((3,), (2,), 3),
    ((4, 2, 5), (6, 3), 4),
    ((4,) * 5, (7, 4, 3), 5),
    ((6,) * 4, (8, 5), 2),
    ((7, 7), (4, 3), 7),  # addresses finer than the sums they read
]


def ports(bits):
    return tuple(FrozenPort(f"x{i}", b, False) for i, b in enumerate(bits))


def frozen_scores(frozen, code):
    """What the frozen integers mean, by their documentation alone."""
    for layer in frozen.layers:
        if isinstance(layer, FrozenTables):
            out = np.tile(layer.bias, (len(code), 1))
            for i, row in enumerate(layer.tables):
                for j, table in enumerate(row):
                    address = int(np.log2(len(table)))
                    k = code[:, i] >> (int(layer.bits[i]) - address)
                    out[:, j] += table[k] << layer.up[i, j]
            code = out
        else:
            moved = (code + layer.offset) >> layer.down
            code = np.clip(moved, 0, 2**layer.bits - 1)
    return code


@pytest.mark.parametrize(("bits", "widths", "most"), NETS)
@pytest.mark.parametrize(("seed", "reach"), [(0, 2.0), (1, 2.0), (2, 0.5), (3, 0.25)])
def test_frozen_scores_are_the_networks_scores(bits, widths, most, seed, reach):
    network, code = random_network(
        bits, widths, most_address=most, seed=seed, reach=reach
    )
    names = tuple(f"y{j}" for j in range(widths[-1]))
    frozen = freeze(network, ports(bits), names)
    anything = np.random.default_rng(seed).integers(
        0, 2 ** np.array(bits), (500, len(bits))
    )
    for events in (code, anything):
        assert np.array_equal(
            frozen_scores(frozen, events), raw_scores(network, events)
        )


def test_every_table_is_the_networks_on_every_address():
    bits = (4, 2, 5)
    network, _ = random_network(bits, (6,), most_address=4)
    frozen = freeze(network, ports(bits), tuple("abcdef"))
    (tables,), (layer,) = network_tables(network), frozen.layers
    assert isinstance(layer, FrozenTables)
    lsb = frozen.out_lsb
    constants = np.zeros(6)
    for i, row in enumerate(layer.tables):
        for j, table in enumerate(row):
            for code in range(2 ** bits[i]):
                seen = code >> (bits[i] - network.grids[0].bits[i])
                trained = float(tables.entry[i, seen, j])
                if len(table) == 1:
                    constants[j] += trained if code == 0 else 0
                    continue
                shift = bits[i] - int(np.log2(len(table)))
                count = int(table[code >> shift]) << int(layer.up[i, j])
                assert count * lsb == trained
    assert np.array_equal(layer.bias * lsb, constants)


def test_scores_are_counts_of_the_stated_lsb():
    network, code = random_network((4, 4), (5, 3))
    frozen = freeze(network, ports((4, 4)), ("a", "b", "c"))
    raw = raw_scores(network, code)
    trained = table_scores(network, network_tables(network), jnp.asarray(code))
    assert np.array_equal(raw * frozen.out_lsb, trained)


@pytest.mark.parametrize(
    ("bits", "names", "message"),
    [((4, 5), ("a", "b", "c"), "words of"), ((4, 4), ("a",), "outputs")],
)
def test_ports_that_do_not_fit_are_refused(bits, names, message):
    network, _ = random_network((4, 4), (5, 3))
    with pytest.raises(ValueError, match=message):
        freeze(network, ports(bits), names)
