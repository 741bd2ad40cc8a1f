"""LUT-Dense in table space against the same layer written out on the batch."""

import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import materialised
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from materialised import assert_close, in_float64, quickly

from models import native
from models.architectures import Chain
from models.edges import Direct
from models.frozen import FrozenPort, run
from models.layer import evaluate, within_caps
from models.lut import LUTDense
from models.reading import values, words
from models.symbols import trace
from trigger.errors import UserError

BATCH = 64  # shares of a power of two are exact
BITS, SIGNED = (5, 3, 4), (False, True, True)
LOWEST = np.array([0, -4, -8])
EDGES = {
    "one": {},
    "two": {"depth": 2, "activation": "silu"},
    "direct": {"tables": "direct"},
}
ENGINES = ("kernel", "xla")
MOST = 5e-6
"""Of the largest gradient of a parameter: what is asked of table space."""


def use(monkeypatch, engine):
    if engine == "kernel" and not native.ready():
        pytest.skip("there is no compiler here")
    if engine == "xla":
        monkeypatch.setattr(native, "ready", lambda: False)


def random_words(events, seed):
    """With a peak and a tail in every port, as features have."""
    rng = np.random.default_rng(seed)
    columns = [
        np.clip(rng.normal(2**b / 3, 2**b / 6, events), 0, 2**b - 1) for b in BITS
    ]
    return np.stack(columns, axis=1).astype(np.int64) + LOWEST


def spread(layer, key):
    """Widths from nothing to the cap, and a normalisation that does something."""
    a, f, g, b = jr.split(key, 4)
    shape, most = layer.address.shape, layer.most_address + 0.4
    layer = eqx.tree_at(
        lambda x: (x.address, x.fraction),
        layer,
        (
            jr.uniform(a, shape, minval=-0.4, maxval=most),
            5 * jr.uniform(f, shape) + 0.6,
        ),
    )
    if layer.gamma is None:
        return layer
    shape = layer.gamma.shape
    scales = (1 + 0.3 * jr.normal(g, shape), 0.3 * jr.normal(b, shape))
    return eqx.tree_at(lambda x: (x.gamma, x.beta), layer, scales)


@functools.cache
def chain(kind, start, seed=0):
    return quickly(lambda: drawn(kind, start, seed))()


def drawn(kind, start, seed):
    """Three layers from words or from values on, of all settings there are."""
    keys = jr.split(jr.key(seed), 6)
    options = {"hidden": 3, **EDGES[kind]}
    if start == "words":
        reading = words(random_words(BATCH, 0) - LOWEST, BITS, SIGNED, 4)
    else:
        reading = values(3, 4, reach=4.0, signed=start == "values")
    layers = (
        LUTDense(reading, 4, reach=1.0, key=keys[0], **options),
        LUTDense(values(4, 3, reach=1.0), 3, reach=2.0, key=keys[1], **options),
        LUTDense(values(3, 4), 2, batch_norm=False, key=keys[2], **options),
    )
    return Chain(tuple(map(spread, layers, keys[3:])))


def inputs(start, seed=1):
    if start == "words":
        return jnp.asarray(random_words(BATCH, 0), jnp.int32)
    return 3 * jr.normal(jr.key(seed), (BATCH, 3))


def occupied(layer, code):
    """The layer with the occupancy of a batch as its statistic."""
    if layer.occupancy is None:
        return layer
    codes = layer.occupancy.value.shape[-1]
    counts = [np.bincount(column, minlength=codes) for column in np.asarray(code).T]
    share = jnp.asarray(np.array(counts) / len(code), layer.address.dtype)
    return eqx.tree_at(lambda x: x.occupancy.value, layer, share)


def written_out(network, x):
    codes = []
    for layer in network.layers:
        x, code = materialised.lut_dense(layer, x)
        codes.append(code)
    return x, codes


def differentiated(forward):
    """Gradients of `sum(dy * y)` by all parameters and, if they are values, by `x`."""

    def of_loss(network, x, dy):
        def loss(parts):
            y, more = forward(*parts)
            return jnp.sum(dy * y), (y, more)

        return eqx.filter_grad(loss, has_aux=True)((network, x))

    return of_loss


@functools.cache
def case(kind, start, seed=0):
    """A network that has observed its inputs, and what is expected of it, in float64.

    In float32 the form written out is further from the truth than the tables are.
    """
    network, x = chain(kind, start, seed), inputs(start)
    dy = jr.normal(jr.key(3), (BATCH, 2))
    with jax.enable_x64(True):
        slopes, (y, codes) = quickly(differentiated(written_out))(
            *in_float64((network, x, dy))
        )
    network = Chain(tuple(map(occupied, network.layers, codes)))
    return (network, x, dy), *jax.tree.map(np.asarray, (trained(slopes), y))


def by_tables(network, x):
    return jax.vmap(evaluate(network))(x), None


def trained(slopes):
    """Gradients alone, without what is observed or constant."""

    def bare(node):
        if not isinstance(node, LUTDense):
            return node
        fixed = (node.occupancy, node.reading)
        if isinstance(node.edges, Direct):
            node = eqx.tree_at(lambda n: n.edges, node, node.edges.value)
        return eqx.tree_at(
            lambda n: (n.occupancy, n.reading),
            node,
            (None,) * len(fixed),
            is_leaf=lambda n: n is None,
        )

    return jax.tree.map(bare, slopes, is_leaf=lambda n: isinstance(n, LUTDense))


@pytest.mark.parametrize(
    ("kind", "start", "engine"),
    [
        *(("one", s, e) for s in ("words", "values") for e in ENGINES),
        ("one", "unsigned", "kernel"),
        *((k, s, "xla") for k in ("two", "direct") for s in ("words", "values")),
    ],
)
def test_values_and_gradients_are_those_of_the_layers_written_out(
    kind, start, engine, monkeypatch
):
    use(monkeypatch, engine)
    given, expected, y = case(kind, start)
    got, (same, _) = quickly(differentiated(by_tables))(*given)
    assert np.array_equal(same, y)
    assert_close(trained(got), expected, MOST)
    for layer, known in zip(got[0].layers, given[0].layers, strict=True):
        if known.occupancy is not None:
            assert np.array_equal(layer.occupancy.value, known.occupancy.value)


@pytest.mark.parametrize(
    ("kind", "start"), [("one", "values"), ("two", "words"), ("direct", "values")]
)
def test_float64_agrees_to_its_own_rounding(kind, start):
    given, expected, y = case(kind, start)
    with jax.enable_x64(True):
        got, (same, _) = quickly(differentiated(by_tables))(*in_float64(given))
        assert same.dtype == jnp.float64
    assert np.array_equal(same, y)
    # Of sums of 64 events and 12 edges, of either sign, each to 2**-53.
    assert_close(trained(got), expected, 64 * 12 * 2**-53)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stack_of_networks_is_its_networks_one_by_one(engine, monkeypatch):
    use(monkeypatch, engine)
    cases = [case("one", "values", seed) for seed in (0, 5)]
    stack = jax.tree.map(
        lambda *ls: jnp.stack(ls), *(given[0] for given, _, _ in cases)
    )
    (_, x, dy), _, _ = cases[0]

    def of_stack(stack, x):
        return jax.vmap(lambda network: by_tables(network, x)[0])(stack), None

    got, (y, _) = quickly(differentiated(of_stack))(stack, x, dy)
    for k, (_, (expected, _), alone) in enumerate(cases):
        assert np.array_equal(y[k], alone)
        member = jax.tree.map(lambda leaf, k=k: leaf[k], got[0])
        assert_close(trained(member), expected, MOST)
    # The gradient of what all share is the sum.
    assert_close(got[1], sum(dx for _, (_, dx), _ in cases), MOST)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_example_needs_no_vmap_and_positions_share_the_tables(engine, monkeypatch):
    use(monkeypatch, engine)
    given, expected, y = case("one", "values")

    def of_positions(network, x):
        return evaluate(network)(x.reshape(8, 8, 3)).reshape(BATCH, 2), None

    got, (same, _) = quickly(differentiated(of_positions))(*given)
    assert np.array_equal(same, y)
    assert_close(trained(got), expected, MOST)
    network, x, _ = given
    one = quickly(lambda network, x: evaluate(network)(x))(network, x[0])
    assert np.array_equal(one, y[0])


PORTS = tuple(
    FrozenPort(f"p{i}", b, s) for i, (b, s) in enumerate(zip(BITS, SIGNED, strict=True))
)
EVERY_WORD = np.array(
    list(
        itertools.product(
            *(range(lo, lo + 2**b) for lo, b in zip(LOWEST, BITS, strict=True))
        )
    )
)


@pytest.mark.parametrize(
    ("kind", "engine"), [("one", "kernel"), ("one", "xla"), ("direct", "xla")]
)
def test_the_frozen_layers_answer_every_word_as_the_trained_ones_do(
    kind, engine, monkeypatch
):
    use(monkeypatch, engine)
    network = chain(kind, "words")
    ready = quickly(evaluate)(network)
    program = trace(ready, PORTS, ("y0", "y1"))
    got = run(program, EVERY_WORD) * program.out_lsb
    assert np.array_equal(got, answers(ready, jnp.asarray(EVERY_WORD, jnp.int32)))


answers = quickly(lambda ready, x: jax.vmap(ready)(x))


def layer_of_values(n_in=3, n_out=4, seed=0, **options):
    return LUTDense(values(n_in, 4), n_out, hidden=3, key=jr.key(seed), **options)


@given(st.integers(0, 4), st.integers(0, 20))
@settings(max_examples=15)
def test_a_coarser_address_nests_in_a_finer_one(width, seed):
    layer = layer_of_values(seed=seed)
    at = jnp.full_like(layer.address, width)
    entry = eqx.tree_at(lambda x: x.address, layer, at).evaluated().filled.entry
    cells = np.asarray(entry).reshape(3, 2**width, -1, 4)
    assert np.array_equal(cells, np.broadcast_to(cells[:, :, :1], cells.shape))
    # What a reading of so few bits in all makes of the same edges.
    if width:
        coarse = values(3, width)
        other = eqx.tree_at(lambda x: (x.reading, x.address), layer, (coarse, at))
        entry = eqx.tree_at(lambda x: x.occupancy, other, None).evaluated().filled.entry
        assert entry.shape == (3, 2**width, 4)


@pytest.mark.parametrize("parameter", ["address", "fraction"])
def test_no_bits_are_no_edge(parameter):
    layer = layer_of_values(batch_norm=False, gain=0.1)
    x = jr.normal(jr.key(1), (BATCH, 3))
    none = getattr(layer, parameter).at[1].set(-0.4)
    cut = eqx.tree_at(lambda n: getattr(n, parameter), layer, none)
    ready = cut.evaluated()
    assert np.array_equal(ready.live()[1], np.zeros(4))
    without = jax.tree.map(lambda a: a, ready)
    x_other = x.at[:, 1].set(0.0)
    assert np.array_equal(jax.vmap(without)(x_other), jax.vmap(ready)(x))
    gone = jax.tree.map(
        lambda a: a[jnp.array([0, 2])], (ready.filled, ready.address, ready.fraction)
    )
    kept = eqx.tree_at(lambda t: (t.filled, t.address, t.fraction), ready, gone)
    # A dozen numbers added in another order: a rounding of float32 each.
    assert float(kept.luts()) == pytest.approx(float(ready.luts()), rel=12 * 2.0**-24)


def test_the_order_of_the_inputs_does_not_matter():
    layer, x = layer_of_values(), jr.normal(jr.key(1), (BATCH, 3))
    order = jnp.array([2, 0, 1])

    def of_inputs(node):
        return node[order] if node.ndim > 1 and node.shape[0] == 3 else node

    parts = (layer.edges, layer.address, layer.fraction)
    moved = eqx.tree_at(
        lambda n: (n.edges, n.address, n.fraction),
        layer,
        jax.tree.map(of_inputs, parts),
    )
    y = jax.vmap(evaluate(layer))(x)
    assert np.array_equal(jax.vmap(evaluate(moved))(x[:, order]), y)


@given(st.integers(0, 30), st.sampled_from(["address", "fraction"]))
@settings(max_examples=20)
def test_every_bit_has_its_price(seed, parameter):
    ready = spread(layer_of_values(seed=seed), jr.key(seed)).evaluated()
    before = (ready.luts(), ready.ebops())
    where = (seed % 3, seed % 4)
    wider = eqx.tree_at(
        lambda t: getattr(t, parameter),
        ready,
        getattr(ready, parameter).at[where].add(1.0),
    )
    for less, more in zip(before, (wider.luts(), wider.ebops()), strict=True):
        assert more >= less
        if ready.live()[where]:
            assert more > less


def test_entries_as_parameters_change_nothing():
    network = chain("one", "words")
    x = jnp.asarray(EVERY_WORD, jnp.int32)
    made = Chain(tuple(layer.to_direct() for layer in network.layers))
    again = Chain(tuple(layer.to_direct() for layer in made.layers))
    for same, twice in zip(made.layers, again.layers, strict=True):
        assert twice is same
    y, expected = (answers(quickly(evaluate)(n), x) for n in (made, network))
    assert np.array_equal(y, expected)


def test_widths_come_back_from_beyond_their_caps():
    network = chain("one", "words")
    layer = network.layers[0]
    for sign in (-99.0, 99.0):
        far = eqx.tree_at(
            lambda n: (n.address, n.fraction),
            layer,
            (jnp.full_like(layer.address, sign), jnp.full_like(layer.fraction, sign)),
        )
        capped = within_caps(far)
        assert np.array_equal(capped.evaluated().address, far.evaluated().address)
        assert np.max(np.abs(capped.address)) <= 4.49
        assert np.max(np.abs(capped.fraction)) <= 10.49


def test_what_cannot_be_built_is_refused():
    reading, key = values(3, 4), jr.key(0)
    for options, message in (
        ({"n_out": 0}, "at least 1 output and 1 place, got 0 and 1"),
        ({"places": 0}, "at least 1 output and 1 place, got 2 and 0"),
        ({"address": 5.0}, r"starts with 0\.\.4 address bits, got 5"),
        ({"reach": 3.0}, "reach must be a power of two, got 3"),
        ({"tables": "learned"}, "'perceptron' or 'direct', got 'learned'"),
        ({"n_out": 10**8}, "more than the 2 GiB"),
    ):
        with pytest.raises(UserError, match=message):
            LUTDense(reading, **{"n_out": 2, "key": key, **options})
    with pytest.raises(UserError, match="at least 1 bit"):
        values(3, 0)
    with pytest.raises(UserError, match="reach must be a power of two, got 3"):
        values(3, 4, reach=3.0)
