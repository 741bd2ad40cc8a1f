"""The reference's layer in table space against the same layer written out on the batch."""

import functools
import itertools
from dataclasses import replace

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
from models.calibrate import strict
from models.frozen import FrozenPort, run
from models.latency import at_ports
from models.layer import evaluate, within_caps
from models.lut_quantised import QuantisedLUTDense
from models.quantiser import quantiser
from models.statistic import Statistic
from models.symbols import Symbols, Wire, trace
from trigger.errors import UserError

N_IN, N_OUT, BATCH = 3, 2, 32
CELLS = 66
"""Codes of every layer here, so that what JAX compiles for one serves all."""
KINDS = list(
    itertools.product(
        ("kif", "kbi"),
        ("TRN", "RND", "RND_CONV"),
        ("SAT", "SAT_SYM", "WRAP"),
        (True, False),
    )
)
GRAINS = ((), (1, 1), (N_IN, 1), (N_OUT,), (N_IN, N_OUT))
"""One for all, twice; per input; per output; per edge."""
MOST = 5e-6


def drawn(kind, grain, key, integer, width):
    """A quantiser whose widths vary along its grain within the given bounds."""
    form, rounding, overflow, signed = kind
    q = quantiser(grain, form=form, rounding=rounding, overflow=overflow, signed=signed)
    a, b = jr.split(key)
    i = jr.uniform(a, grain, minval=integer[0], maxval=integer[1])
    if form == "kbi":  # the same steps, by another name
        width = (max(width[0] + integer[0], 0.0), width[1] + integer[0])
    i = Statistic(i, "range") if overflow == "WRAP" else i
    return replace(
        q, integer=i, width=jr.uniform(b, grain, minval=width[0], maxval=width[1])
    )


def layer(n, *, batch_norm=True):
    """Layer `n` of as many as there are kinds, entries of another kind than inputs."""
    keys = jr.split(jr.key(n), 4)
    _, rounding, _, signed = KINDS[n]
    integer, fraction = 2 - signed, {"TRN": 4, "RND": 3, "RND_CONV": 2}[rounding]
    made = QuantisedLUTDense(
        N_IN,
        N_OUT,
        iq=drawn(
            *(KINDS[n], GRAINS[n % 5], keys[0]),
            *((-0.4, integer + 0.4), (-0.4, fraction + 0.4)),
        ),
        toq=drawn(
            KINDS[(7 * n + 5) % 36], GRAINS[n % 4], keys[1], (-2.0, 0.4), (1.0, 5.4)
        ),
        most_integer=integer,
        most_fraction=fraction,
        hidden=3,
        batch_norm=batch_norm,
        key=keys[2],
    )
    assert made.occupancy.value.shape == (N_IN, CELLS)
    if not batch_norm:
        return made
    g, b = jr.split(keys[3])
    scales = (1 + 0.3 * jr.normal(g, (N_OUT,)), 0.3 * jr.normal(b, (N_OUT,)))
    return eqx.tree_at(lambda x: (x.gamma, x.beta), made, scales)


def inputs(made, key):
    """In range and beyond, on ties and on bounds; not in the sliver above a bound."""
    x = 1.5 * jr.normal(key, (BATCH, N_IN))
    x = jnp.where(jr.uniform(key, x.shape) < 0.4, jnp.round(x * 8) / 8, x)
    if made.iq.overflow == "WRAP":
        return jnp.clip(x, -1.99, 1.99) if made.iq.signed else jnp.clip(x, 0.0, 3.99)
    if made.iq.rounding == "RND_CONV":
        return x
    step = 2.0**-4
    i, f = made.iq.widths()
    top = jnp.broadcast_to(2.0**i - 2.0**-f, (N_IN, N_OUT))
    near = (x[:, :, None] > top) & (x[:, :, None] < top + step)
    return jnp.where(jnp.any(near, axis=2), jnp.floor(x / step) * step, x)


def occupancy(made, x):
    points, nearest = (
        np.asarray(p)
        for p in (
            materialised.finest_points(made, seen=False),
            materialised.nearest_points(made, x),
        )
    )
    at = np.searchsorted(points, nearest)
    counts = [np.bincount(column, minlength=len(points)) for column in at.T]
    return jnp.asarray(np.array(counts) / len(x), jnp.float32)


def differentiated(forward):
    def of_loss(made, x, dy):
        def loss(parts):
            y, more = forward(*parts)
            return jnp.sum(dy * y), (y, more)

        return eqx.filter_grad(loss, has_aux=True)((made, x))

    return of_loss


def by_tables(made, x):
    return jax.vmap(evaluate(made))(x), None


def trained(slopes):
    made, dx = slopes
    ranges = [None if q.overflow == "WRAP" else q.integer for q in (made.iq, made.toq)]
    parts = [made.edges, made.gamma, made.beta, made.iq.width, made.toq.width]
    return parts + ranges, dx


evaluated = quickly(lambda made: made.evaluated())
answers = quickly(lambda ready, x: jax.vmap(ready)(x))


@functools.cache
def case(n):
    made = layer(n, batch_norm=n % 6 != 0)
    x, dy = inputs(made, jr.key(n + 50)), jr.normal(jr.key(3), (BATCH, N_OUT))
    made = eqx.tree_at(lambda m: m.occupancy.value, made, occupancy(made, x))
    with jax.enable_x64(True):
        slopes, (y, _) = differentiated(materialised.quantised_lut_dense)(
            *in_float64((made, x, dy))
        )
    return (made, x, dy), *jax.tree.map(np.asarray, (trained(slopes), y))


@pytest.mark.parametrize("n", [n for n in range(len(KINDS)) if n // 2 % 2 == 0])
def test_values_and_gradients_are_those_of_the_layer_written_out(n):
    given, expected, y = case(n)
    with jax.enable_x64(True):
        got, (same, _) = quickly(differentiated(by_tables))(*in_float64(given))
    assert np.array_equal(same, y)
    # Three sums over up to 32 events and 6 edges behind one another, each to 2**-53.
    assert_close(trained(got), expected, 3 * 32 * 6 * 2**-53)
    assert np.array_equal(got[0].occupancy.value, given[0].occupancy.value)


@pytest.mark.parametrize("n", range(0, len(KINDS), 8))
def test_float32_agrees_as_well(n):
    # Inputs with a sign: of the others most are 0, and dividing by a spread of nearly
    # nothing makes 30 times as much of every rounding.  They are in the float64 test.
    assert KINDS[n][3]
    given, expected, y = case(n)
    got, (same, _) = quickly(differentiated(by_tables))(*given)
    assert np.array_equal(same, y)
    assert_close(trained(got), expected, MOST)
    assert np.array_equal(got[0].occupancy.value, given[0].occupancy.value)


def of_members(stack, x):
    return jax.vmap(lambda made: by_tables(made, x)[0])(stack), None


def of_positions(made, x):
    return evaluate(made)(x.reshape(4, 8, N_IN)).reshape(BATCH, N_OUT), None


@pytest.mark.parametrize("engine", ["kernel", "xla"])
def test_a_stack_of_layers_is_its_layers_one_by_one(engine, monkeypatch):
    if engine == "xla":
        monkeypatch.setattr(native, "ready", lambda: False)
    (made, x, dy), expected, y = case(2)
    other = eqx.tree_at(lambda m: m.edges.w_out, made, -made.edges.w_out)
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), made, other)
    got, (both, _) = quickly(differentiated(of_members))(stack, x, dy)
    (turned, dx), (y_other, _) = quickly(differentiated(by_tables))(other, x, dy)
    for k, (ys, slopes) in enumerate(((y, expected), (y_other, trained((turned, dx))))):
        assert np.array_equal(both[k], ys)
        member = jax.tree.map(lambda leaf, k=k: leaf[k], got[0])
        assert_close(trained((member, None)), (slopes[0], None), MOST)
    assert_close(got[1], expected[1] + dx, MOST)


def test_positions_share_the_tables():
    given, expected, y = case(2)
    got, (same, _) = quickly(differentiated(of_positions))(*given)
    assert np.array_equal(same, y)
    assert_close(trained(got), expected, MOST)


def total(made, x):
    return jnp.sum(jax.vmap(evaluate(made))(x))


def total_of_quantiser(q, x):
    return jnp.sum(jax.vmap(lambda row: q(jnp.tile(row[:, None], N_OUT)))(x))


@pytest.mark.parametrize("n", [4, 16, 23, 29])
def test_ranges_follow_what_all_of_the_batch_needs(n):
    (made, x, _), _, _ = case(n)
    assert made.iq.overflow == "WRAP"
    x = 5.0 * x  # beyond the finest grid: the range is what would be needed
    seen = quickly(jax.grad(total))(made, x)
    expected = quickly(jax.grad(total_of_quantiser))(made.iq, x)
    assert np.array_equal(seen.iq.integer.value, expected.integer.value)


@pytest.mark.parametrize("n", [5, 11, 17])
def test_ranges_of_entries_follow_what_all_codes_need(n):
    (made, x, _), _, _ = case(n)
    assert (made.toq.form, made.toq.overflow, made.toq.signed) == ("kif", "WRAP", True)
    seen = quickly(jax.grad(total))(made, x).toq.integer.value
    held = replace(made.toq, integer=Statistic(seen, "range"))
    before, after = (
        evaluated(eqx.tree_at(lambda m: m.toq, made, q)).tables.filled.entry
        for q in (held, replace(held, strict=True))
    )
    assert np.array_equal(before, after)


def wires_of(words, ready, exponent):
    """The answers of the integer program of a layer behind sums of two ports."""

    def network(ports):
        recorder = ports.recorder
        pairs = ports.wires.reshape(N_IN, 2)
        nodes = [recorder.sum([a.node, b.node]) for a, b in pairs]
        return ready(Symbols([Wire(node, exponent) for node in nodes], recorder))

    ports = tuple(FrozenPort(f"p{k}", 7, True) for k in range(2 * N_IN))
    program = trace(network, ports, tuple(f"y{j}" for j in range(N_OUT)))
    halves = np.stack([words // 2, words - words // 2], axis=2)
    return run(program, halves.reshape(len(words), -1)) * program.out_lsb


@pytest.mark.parametrize("guard", ["error", "saturate"])
@pytest.mark.parametrize("n", range(len(KINDS)))
def test_the_frozen_layer_answers_every_code_as_the_trained_one_does(n, guard):
    made = layer(n)
    if guard == "saturate" and made.iq.overflow != "WRAP":
        return
    made = eqx.tree_at(lambda m: m.iq, made, replace(made.iq, guard=guard))
    ready = strict(made).evaluated()
    rng = np.random.default_rng(n)
    every = np.tile(np.arange(-128, 127)[:, None], N_IN)  # within the grid and beyond
    words = np.concatenate([every, rng.permuted(every, axis=0)])
    for exponent in (5, 3):
        x = jnp.asarray(words * 2.0**-exponent, jnp.float32)
        got = wires_of(words, ready, exponent)
        assert np.array_equal(got, jax.vmap(ready)(x))


def small(**options):
    chosen = {"rounding": "TRN", "overflow": "SAT", "integer": 1.0, "width": 3.0}
    iq = quantiser((N_IN, N_OUT), **chosen)
    given = {"iq": iq, "most_integer": 1, "most_fraction": 4, "hidden": 3, **options}
    return QuantisedLUTDense(N_IN, N_OUT, key=jr.key(0), **given)


@pytest.mark.parametrize("width", range(5))
def test_a_coarser_input_nests_in_a_finer_one(width):
    made = small()
    made = eqx.tree_at(
        lambda m: m.iq.width, made, jnp.full((N_IN, N_OUT), float(width))
    )
    entry = np.asarray(evaluated(made).tables.filled.entry)[:, 1:-1]
    cells = entry.reshape(N_IN, 2 ** (2 + width), -1, N_OUT)
    assert np.array_equal(cells, np.broadcast_to(cells[:, :, :1], cells.shape))


def test_no_bits_are_no_edge():
    made = small()
    no_input = made.iq.width.at[1].set(-1.0)
    no_entry = made.toq.width.at[2].set(0.0)
    ready = evaluated(eqx.tree_at(lambda m: m.iq.width, made, no_input))
    # Unsigned it would be one number; a sign bit alone still tells -2 from 0.
    unsigned = quantiser(
        (N_IN, N_OUT),
        rounding="TRN",
        overflow="SAT",
        signed=False,
        integer=1.0,
        width=3.0,
    )
    gone = evaluated(small(iq=replace(unsigned, width=no_input)))
    assert np.array_equal(gone.tables.live()[1], np.zeros(N_OUT))
    assert np.array_equal(gone.in_bits[1], np.zeros(N_OUT))
    assert np.array_equal(ready.in_bits[1], np.ones(N_OUT))
    ready = evaluated(eqx.tree_at(lambda m: m.toq.width, made, no_entry))
    assert np.array_equal(ready.tables.filled.entry[2], np.zeros((66, N_OUT)))


def test_the_order_of_the_inputs_does_not_matter():
    (made, x, _), _, _ = case(4)
    order = jnp.array([2, 0, 1])

    def of_inputs(node):
        return node[order] if node.ndim > 1 and node.shape[0] == N_IN else node

    parts = (made.edges, made.iq, made.toq, made.occupancy)
    moved = eqx.tree_at(
        lambda m: (m.edges, m.iq, m.toq, m.occupancy),
        made,
        jax.tree.map(of_inputs, parts),
    )
    y, again = (answers(evaluated(m), a) for m, a in ((made, x), (moved, x[:, order])))
    assert np.array_equal(again, y)


@given(st.integers(0, N_IN - 1), st.integers(0, N_OUT - 1), st.integers(0, 3))
@settings(max_examples=10)
def test_every_bit_has_its_price_in_the_units_of_the_reference(i, j, width):
    made = small()
    for parameter in (lambda m: m.iq.width, lambda m: m.toq.width):
        less = eqx.tree_at(parameter, made, parameter(made).at[i, j].set(width + 0.0))
        more = eqx.tree_at(parameter, made, parameter(made).at[i, j].set(width + 1.0))
        assert evaluated(less).ebops() < evaluated(more).ebops()


def test_a_dead_edge_still_counts_a_bit_in_the_units_of_the_reference():
    made = small()
    nothing = eqx.tree_at(lambda m: m.toq.width, made, jnp.zeros((N_IN, N_OUT)))
    # One bit of entry, and five address bits: half a LUT6 (REFERENCE_HGQ, section 1).
    assert float(evaluated(nothing).ebops()) == N_IN * N_OUT * (1 + 2 ** (5 - 5) / 2)


def test_widths_stay_within_the_finest_grid():
    far = replace(quantiser((N_IN, N_OUT), overflow="SAT"), rounding="TRN")
    for form, width in (("kif", 99.0), ("kbi", 23.0)):
        wide = jnp.full((N_IN, N_OUT), width)
        made = small(iq=replace(far, form=form, integer=wide, width=wide))
        assert np.array_equal(evaluated(made).in_bits, np.full((N_IN, N_OUT), 6.0))
        capped = within_caps(made)
        assert np.max(capped.iq.integer) <= 1.5
        assert np.max(capped.iq.width) <= 5.5
        assert np.array_equal(evaluated(capped).in_bits, evaluated(made).in_bits)


def test_what_cannot_be_built_is_refused():
    for options, message in (
        ({"most_integer": -1}, "most_integer=-1 .* must be at least 0"),
        (
            {"most_fraction": 24},
            r"67108864 codes for each of 3 x 2 edges.* lower the caps",
        ),
        (
            {"iq": quantiser((2, 2))},
            r"inputs of the edges has widths of shape \(2, 2\)",
        ),
        (
            {"toq": quantiser((4,))},
            r"quantiser of the entries has widths of shape \(4,\)",
        ),
        ({"hidden": 0}, "hidden=0"),
    ):
        with pytest.raises(UserError, match=message):
            small(**options)


def test_times_wait_for_requantisation_and_tables():
    at = at_ports((N_IN,))
    plain = evaluated(small())(at)
    rounding = quantiser((N_IN, N_OUT), width=3.0, integer=1.0, overflow="SAT")
    assert np.all(evaluated(small(iq=rounding))(at).ns > plain.ns)
    free = quantiser((N_IN, N_OUT), width=3.0, integer=1.0, rounding="TRN")
    assert np.all(evaluated(small(iq=free))(at).ns < plain.ns)
    assert float(evaluated(small()).luts()) > 0
