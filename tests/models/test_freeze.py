"""The frozen integers against the network, on every address and on random events."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import ports, random_network

from models.evaluate import raw_scores, ready, scores
from models.freeze import freeze
from models.frozen import run, validate
from trigger.errors import UserError

NETS = [
    ((3,), (2,), 3, 2.0),
    ((4, 2, 5), (6, 3), 4, 2.0),
    ((4, 2, 5), (6, 3), 4, 0.25),
    ((4,) * 5, (7, 4, 3), 5, 2.0),
    ((4,) * 5, (7, 4, 3), 5, 0.5),
    ((6,) * 4, (8, 5), 2, 0.25),
    ((7, 7), (4, 3), 7, 2.0),  # addresses finer than the sums they read
    ((7, 7), (4, 3), 7, 0.5),
]


def names(count):
    return tuple(f"y{j}" for j in range(count))


@pytest.mark.parametrize(("bits", "widths", "most", "reach"), NETS)
def test_frozen_scores_are_the_networks_scores(bits, widths, most, reach):
    seed = most
    network, code = random_network(
        bits, widths, most_address=most, seed=seed, reach=reach
    )
    frozen = freeze(network, ports(bits), names(widths[-1]))
    validate(frozen)
    anything = np.random.default_rng(seed).integers(
        0, 2 ** np.array(bits), (500, len(bits))
    )
    for events in (code, anything):
        answer = raw_scores(network, events, frozen.out_lsb)
        assert np.array_equal(run(frozen, events), answer)


@pytest.mark.parametrize("more", [{"tables": "direct"}, {"depth": 2}])
def test_every_kind_of_edge_function_freezes_to_what_it_answers(more):
    bits = (4, 2, 5)
    network, code = random_network(bits, (6, 3), seed=5, **more)
    frozen = freeze(network, ports(bits), names(3))
    answer = raw_scores(network, code, frozen.out_lsb)
    assert np.array_equal(run(frozen, code), answer)


def test_signed_ports_read_the_same_codes():
    bits, signed = (4, 2, 5), (True, False, True)
    network, code = random_network(bits, (6, 3))
    moved, _ = random_network(bits, (6, 3), signed=signed)
    frozen = freeze(moved, ports(bits, signed), names(3))
    words = code - np.array([8, 0, 16])
    answer = raw_scores(network, code, frozen.out_lsb)
    assert np.array_equal(run(frozen, words), answer)
    assert np.array_equal(raw_scores(moved, words, frozen.out_lsb), answer)


def test_every_table_is_the_networks_on_every_address():
    bits = (4, 2, 5)
    network, _ = random_network(bits, (6,))
    frozen = freeze(network, ports(bits), names(6))
    (layer,) = ready(network).layers
    entry = np.asarray(layer.filled.entry)
    start = np.zeros((1, 3), np.int64)
    first = entry[:, 0].sum(axis=0)
    assert np.array_equal(run(frozen, start)[0] * frozen.out_lsb, first)
    for i in range(3):
        code = np.arange(2 ** bits[i])
        words = np.zeros((len(code), 3), np.int64)
        words[:, i] = code
        seen = code >> (bits[i] - layer.reading.grid.bits[i])
        counted = run(frozen, words) * frozen.out_lsb
        assert np.array_equal(counted - first, entry[i, seen] - entry[i, 0])


def test_operations_name_their_layer():
    network, _ = random_network((4, 4), (5, 3))
    frozen = freeze(network, ports((4, 4)), names(3))
    layers = dict.fromkeys(op.layer for op in frozen.ops if op.args)
    assert list(layers) == ["layers[0]", "layers[1]"]


def test_scores_are_counts_of_the_stated_lsb():
    network, code = random_network((4, 4), (5, 3))
    frozen = freeze(network, ports((4, 4)), names(3))
    raw = raw_scores(network, code, frozen.out_lsb)
    trained = scores(ready(network), jnp.asarray(code, jnp.int32))
    assert np.array_equal(raw * frozen.out_lsb, trained)


def test_scores_do_not_depend_on_how_many_are_asked_at_a_time():
    network, code = random_network((4, 4), (5, 3))
    whole = raw_scores(network, code, 2.0**-5)
    assert np.array_equal(raw_scores(network, code, 2.0**-5, block=33), whole)


def test_the_trained_network_answers_as_its_evaluated_form_does():
    network, code = random_network((4, 2, 5), (6, 3), seed=2)
    x = jnp.asarray(code, jnp.int32)
    called = eqx.filter_jit(lambda n, x: jax.vmap(n)(x))(network, x)
    assert np.array_equal(called, scores(ready(network), x))


def test_outputs_that_do_not_fit_are_refused():
    network, _ = random_network((4, 4), (5, 3))
    with pytest.raises(UserError, match=r"shape \(3,\), 1 are named"):
        freeze(network, ports((4, 4)), ("a",))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            ((4, 5), None),
            r"words of 0\.\.15 as its input 1, the port given has 0\.\.31",
        ),
        (((4, 4), (True, False)), r"input 0, the port given has -8\.\.7"),
        (((4, 4, 4), None), r"layers\[0\] reads 2 ports, 3 are given"),
    ],
)
def test_ports_that_do_not_fit_are_refused(given, sentence):
    network, _ = random_network((4, 4), (5, 3))
    with pytest.raises(UserError, match=sentence):
        freeze(network, ports(*given), names(3))


def grown(network, factor):
    """The network with the entries of its last layer multiplied."""
    last = len(network.layers) - 1
    return eqx.tree_at(
        lambda n: n.layers[last].edges.w_out,
        network,
        network.layers[last].edges.w_out * factor,
    )


def test_sums_beyond_what_float32_holds_exactly_are_refused():
    network, code = random_network((4, 4), (5, 3))
    big = grown(network, 2.0**22)
    with pytest.raises(UserError, match=r"a sum of layer 'layers\[1\]' comes to"):
        freeze(big, ports((4, 4)), names(3))
    with pytest.raises(UserError, match="steps of its LSB, float32 is exact up to"):
        raw_scores(big, code, 2.0**-5)
