"""The laws of the quantiser: values, gradients, ranges, and the same in integers."""

import itertools
from dataclasses import replace
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import reference_quantiser as reference
from hypothesis import given
from hypothesis import strategies as st

from models.calibrate import strict
from models.frozen import FrozenPort, run
from models.latency import at_ports
from models.quantiser import for_biases, for_weights, quantiser
from models.statistic import Statistic, follow
from models.symbols import Recorder, Symbols, Wire
from trigger.errors import UserError

ROUNDINGS = ("TRN", "RND", "RND_CONV")
OVERFLOWS = ("SAT", "SAT_SYM", "WRAP")
KINDS = list(itertools.product(("kif", "kbi"), ROUNDINGS, OVERFLOWS, (True, False)))
GRAINS = ((), (5,), (3, 1), (3, 5))
"""Per tensor; per channel, of either axis; per element. Values are (3, 5)."""


def drawn(kind, grain, key=0):
    """A quantiser whose widths vary along its grain."""
    form, rounding, overflow, signed = kind
    q = quantiser(grain, form=form, rounding=rounding, overflow=overflow, signed=signed)
    a, b = jr.split(jr.key(key))
    low = -1.0 if form == "kif" else 0.0
    integer = jr.uniform(a, grain, minval=-2.0, maxval=3.0)
    width = jr.uniform(b, grain, minval=low, maxval=5.0)
    integer = Statistic(integer, "range") if overflow == "WRAP" else integer
    return replace(q, integer=integer, width=width)


def parameters(q):
    i = q.integer.value if isinstance(q.integer, Statistic) else q.integer
    return i, q.width


def values(key=1, batch=()):
    """In and out of range, on ties and on bounds."""
    x = 4.0 * jr.normal(jr.key(key), (*batch, 3, 5))
    half = jnp.round(x * 8) / 8
    return jnp.where(jr.uniform(jr.key(key + 1), x.shape) < 0.5, half, x)


def referred(q, x, integer, width):
    return reference.quantise(
        x, integer, width, q.form, q.signed, q.rounding, q.overflow
    )


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_the_written_out_formulas(kind):
    x, dy = values(), jr.normal(jr.key(5), (3, 5))
    quantisers = [drawn(kind, grain) for grain in GRAINS]

    @jax.jit
    def ours(quantisers, x):
        def loss(q, x):
            return jnp.sum(dy * q(x)), q(x)

        slope = jax.grad(loss, argnums=(0, 1), has_aux=True)
        return [slope(q, x) for q in quantisers]

    @jax.jit
    def theirs(quantisers, x):
        def loss(parameters, x, q):
            y = referred(q, x, *parameters)
            if q.form == "kbi" and q.overflow == "WRAP":  # no bits at all: removed
                y = jnp.where(jnp.round(q.width) > 0, y, y - reference.constant(y))
            return jnp.sum(dy * y), y

        slope = jax.grad(loss, argnums=(0, 1), has_aux=True)
        return [slope(parameters(q), x, q) for q in quantisers]

    for got, expected in zip(ours(quantisers, x), theirs(quantisers, x), strict=True):
        ((dq, dx), y), (((di, dw), dx_expected), y_expected) = got, expected
        assert np.array_equal(y, y_expected)
        assert np.array_equal(dx, dx_expected)
        # The formulas cancel x ln 2 - q ln 2: three roundings of numbers up to |x| and
        # 2**i < 16, summed over 15 elements with |dy| < 4.
        most = 3 * 2**-24 * 16 * 15 * 4
        assert np.allclose(dq.width, dw, rtol=0, atol=most)
        if kind[2] != "WRAP":
            assert np.allclose(dq.integer, di, rtol=0, atol=most)


@pytest.mark.parametrize("kind", KINDS)
def test_float64_agrees_to_its_own_rounding(kind):
    with jax.enable_x64(True):
        q = drawn(kind, (3, 5))
        q = jax.tree.map(lambda a: a.astype(jnp.float64), q)
        q = replace(q, width=q.width + 0.51) if kind[0] == "kbi" else q
        x = values().astype(jnp.float64) / 3

        @jax.jit
        def both(q):
            ours = jax.grad(lambda q: jnp.sum(q(x)))(q)
            theirs = jax.grad(lambda p: jnp.sum(referred(q, x, *p)))(parameters(q))
            return q(x), referred(q, x, *parameters(q)), ours, theirs

        y, expected, slope, (di, dw) = both(q)
        assert y.dtype == jnp.float64
        assert np.array_equal(y, expected)
        # One element per width here: three roundings of numbers below 16.
        assert np.allclose(slope.width, dw, rtol=0, atol=3 * 2**-53 * 16)
        if kind[2] != "WRAP":
            assert np.allclose(slope.integer, di, rtol=0, atol=3 * 2**-53 * 16)


def test_the_bounds_have_the_slopes_of_the_paper():
    ln2 = np.float32(np.log(2))
    for overflow, below in (("SAT", 0.0), ("SAT_SYM", -0.25)):
        q = quantiser((2,), integer=1.0, width=2.0, overflow=overflow)
        slope = jax.grad(lambda q: jnp.sum(q(jnp.array([9.0, -9.0]))))(q)
        assert np.array_equal(slope.integer, [2 * ln2, -2 * ln2])
        assert np.array_equal(slope.width, jnp.array([0.25, below]) * ln2)


def on_wires(q, words, exponents, bits, signed):
    """What the integer program makes of sums of two ports, the second of them 0."""
    recorder = Recorder()
    nodes = []
    for k in range(words.shape[1]):
        port = [FrozenPort(f"{n}{k}", bits, signed[k]) for n in "ab"]
        nodes.append(recorder.sum([recorder.input(p) for p in port]))
    wires = [Wire(n, e) for n, e in zip(nodes, exponents, strict=True)]
    y = q(Symbols(wires, recorder))
    finest = max(w.exponent for w in y.wires)
    out = [(str(k), recorder.to_exponent(w, finest)) for k, w in enumerate(y.wires)]
    program = recorder.finish(out, 2.0**-finest)
    pairs = np.repeat(words, 2, axis=1)
    pairs[:, 1::2] = 0
    return run(program, pairs) * program.out_lsb


@pytest.mark.parametrize("kind", KINDS)
def test_the_integer_program_gives_the_same_numbers(kind):
    exponents, signed = np.repeat([-1, 0, 3, 6], 12), [True, False] * 24
    words = np.random.default_rng(0).integers(0, 256, (200, 48)) - 128 * np.array(
        signed
    )
    x = jnp.asarray(words * 2.0**-exponents, jnp.float32)
    for guard in ("error", "saturate"):
        q = strict(replace(drawn(kind, (48,)), guard=guard))
        expected = jax.jit(jax.vmap(q))(x)
        got = on_wires(q, words, exponents.tolist(), 8, signed)
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("kind", [k for k in KINDS if k[2] == "WRAP"])
def test_a_strict_wrap_is_twos_complement(kind):
    q = drawn(kind, (5,))
    q = replace(q, integer=Statistic(jnp.maximum(q.integer.value, 0.6), "range"))
    q = replace(q, width=jnp.maximum(q.width, 0.6))
    x = values()
    i, f = q.widths()
    if kind[0] == "kbi":
        assert np.all(i + f > 0)
    rounded = referred(q, x, *parameters(q))
    assert np.array_equal(strict(q)(x), reference.wrapped(rounded, i, f, q.signed))
    slope = jax.grad(lambda x: jnp.sum(strict(q)(x)))(x)
    assert np.array_equal(slope, np.ones_like(x))


@given(st.integers(-3, 4), st.integers(0, 6), st.floats(-40, 40, width=32))
def test_truncation_nests(integer, fraction, x):
    fine, coarse = (
        quantiser(integer=float(integer), width=f, rounding="TRN")
        for f in (fraction + 3.0, float(fraction))
    )
    x = jnp.float32(x)
    assert np.array_equal(coarse(fine(x)), coarse(x))


@given(st.floats(-40, 40, width=32), st.sampled_from(KINDS), st.integers(0, 50))
def test_quantising_twice_is_quantising_once(x, kind, key):
    q = strict(drawn(kind, (), key=key))
    once = q(jnp.float32(x))
    assert np.array_equal(q(once), once)


def test_zero_bits_remove_the_value():
    x = values()
    for q in (
        for_weights((3, 5)),
        for_biases((3, 5)),
        quantiser(form="kbi", width=0.0, signed=False, overflow="SAT"),
        quantiser(integer=-3.0, width=3.0, signed=False, overflow="SAT"),
        strict(quantiser(integer=-3.0, width=3.0)),
    ):
        q = replace(q, width=jnp.zeros_like(q.width)) if q.form == "kbi" else q
        assert np.array_equal(jnp.abs(q(x)), jnp.zeros((3, 5)))
        assert np.array_equal(q.magnitude_bits() + q.factor_bits(), 0 * q.width)


def test_bits_are_counted_as_hgq_counts_them():
    for overflow, bits, factor in (("SAT", 9, 9), ("SAT_SYM", 9, 8), ("WRAP", 9, 8)):
        q = quantiser(width=6.0, overflow=overflow)
        assert (float(q.bits()), float(q.factor_bits())) == (bits, factor)
    gone = quantiser(integer=-9.0, width=4.0)
    assert float(gone.bits()) == 0.0
    assert float(jax.grad(lambda q: q.bits())(gone).width) == 0.0
    assert float(jax.grad(lambda q: q.bits())(quantiser()).width) == 1.0


def observed(q, x, depth):
    """The observation of a batch with `depth` axes of examples."""

    def total(q):
        of_all = q
        for _ in range(depth):
            of_all = jax.vmap(of_all)
        return jnp.sum(of_all(x) ** 2)

    return jax.jit(jax.grad(total))(q).integer.value


@pytest.mark.parametrize("form", ["kif", "kbi"])
@pytest.mark.parametrize("grain", GRAINS)
def test_the_observed_range_is_the_least_that_holds_the_batch(grain, form):
    q = quantiser(grain, form=form, width=4.0)
    x = values(batch=(6, 2)).at[..., 2].set(0.0)
    seen = observed(q, x, 2)
    assert np.array_equal(seen, observed(q, x.reshape(12, 3, 5), 1))
    fitted = replace(q, integer=Statistic(seen, "range"))
    assert np.array_equal(jax.vmap(jax.vmap(strict(fitted)))(x), q_of(fitted, x))
    i, f = fitted.widths()
    short = strict(replace(fitted, integer=Statistic(i - 1, "range")))
    if form == "kif":
        wrong = jax.vmap(jax.vmap(short))(x) != q_of(fitted, x)
        narrow = np.broadcast_to(i + f > 0, (3, 5))
        # A bit less fails somewhere for every width that any nonzero value needs,
        # but for a least value of -2**i, whose range is counted symmetrically.
        least = np.min(q_of(fitted, x), axis=(0, 1)) == -(2.0 ** np.asarray(i - 1))
        assert np.all(wrong.any(axis=(0, 1)) <= narrow)
        per_grain = reduce_to(wrong.any(axis=(0, 1)) | ~narrow | least, grain)
        assert np.all(per_grain)


def q_of(q, x):
    return jax.vmap(jax.vmap(q))(x)


def reduce_to(flags, grain):
    """Whether any flag is set, per grain."""
    flags = np.asarray(flags)
    extra = tuple(range(flags.ndim - len(grain)))
    flags = np.max(flags, axis=extra)
    wide = tuple(a for a, n in enumerate(grain) if n == 1)
    return np.max(flags, axis=wide, keepdims=True)


def test_every_member_of_an_ensemble_observes_its_own_range():
    x = values(batch=(8,))
    members = eqx.filter_vmap(lambda w: replace(quantiser((5,)), width=w))(
        jnp.arange(10.0).reshape(2, 5)
    )

    def total(members):
        return jnp.sum(jax.vmap(lambda q: jax.vmap(q)(x))(members))

    def other_way_round(members):
        return jnp.sum(jax.vmap(lambda e: jax.vmap(lambda q: q(e))(members))(x))

    for way in (total, other_way_round):
        seen = jax.jit(jax.grad(way))(members).integer.value
        for k in range(2):
            one = jax.tree.map(lambda a, k=k: a[k], members)
            assert np.array_equal(seen[k], observed(one, x, 1))


def test_no_gradient_reaches_a_range_that_is_watched():
    for form in ("kif", "kbi"):
        slope = jax.grad(lambda q: jnp.sum(q.bits()))(quantiser(form=form))
        assert float(slope.integer.value) == 0.0


def test_a_training_step_raises_the_range_at_once_and_lowers_it_slowly():
    q = quantiser((), width=3.0)
    seen = jax.grad(lambda q: jnp.sum(q(jnp.array([10.0]))))(q)
    assert float(follow(q, seen, 0.1, 0.01).integer.value) == 4.0
    seen = jax.grad(lambda q: jnp.sum(q(jnp.array([0.5]))))(q)
    assert float(follow(q, seen, 0.1, 0.01).integer.value) == np.float32(1.99)


def port_wires(bits=8, exponent=4):
    recorder = Recorder()
    return Symbols(
        [Wire(recorder.input(FrozenPort("x", bits, True)), exponent)], recorder
    )


def test_a_wrap_at_a_port_is_refused():
    with pytest.raises(
        UserError,
        match=r"element \(0,\) .* reads a port of -8 to 7.9375 and holds -4 to 3.9375",
    ):
        quantiser(integer=2.0, width=4.0)(port_wires())


def kinds(x):
    return [op.kind for op in x.recorder._ops]


def test_a_port_within_range_or_saturated_passes():
    for q, expected in (
        (quantiser(integer=3.0, width=4.0), ["input"]),
        (quantiser(integer=3.0, width=9.0), ["input"]),
        (quantiser(integer=2.0, width=4.0, guard="saturate"), ["input", "clip"]),
        (quantiser(integer=3.0, width=2.0, rounding="TRN"), ["input", "shift"]),
    ):
        assert kinds(q(port_wires())) == expected


def test_a_quantiser_too_wide_for_floats_is_refused_where_it_would_matter():
    wide = quantiser(integer=20.0, width=9.0, overflow="SAT")
    assert kinds(wide(port_wires())) == ["input"]
    with pytest.raises(UserError, match="29 bits and can leave its range"):
        wide(port_wires(bits=40))


def test_widths_stay_within_their_caps():
    for q, i, w in (
        (quantiser(integer=99.0, width=-99.0, overflow="SAT"), 23, -24),
        (quantiser(form="kbi", integer=-99.0, width=99.0), -23, 23),
        (quantiser(form="kbi", integer=0.0, width=-9.0), 0, 0),
    ):
        capped = q.within_caps()
        got = [float(p) for p in parameters(capped)]
        assert got == [i, w]
        assert jax.tree.structure(capped) == jax.tree.structure(q)


def test_values_of_another_shape_are_refused():
    with pytest.raises(UserError, match=r"shape \(4,\) got values of shape \(2, 3\)"):
        quantiser((4,))(jnp.zeros((2, 3)))


def test_unknown_choices_are_refused():
    for name, known in (
        ("form", "'kif', 'kbi'"),
        ("rounding", "'TRN', 'RND', 'RND_CONV'"),
        ("overflow", "'SAT', 'SAT_SYM', 'WRAP'"),
        ("guard", "'error', 'saturate'"),
    ):
        with pytest.raises(UserError, match=f"the {name} .* 'X', .* one of {known}"):
            quantiser(**cast(Any, {name: "X"}))
    with pytest.raises(UserError, match="must be a Statistic for 'WRAP'"):
        replace(quantiser(), overflow="SAT")


def test_times_wait_for_rounding_and_saturation_alone():
    at = at_ports((3,))
    free = quantiser(rounding="TRN")(at)
    assert np.array_equal(free.ns, at.ns)
    assert np.all(quantiser(rounding="RND")(at).ns > 0)
    assert np.all(quantiser(rounding="TRN", overflow="SAT")(at).ns > 0)
