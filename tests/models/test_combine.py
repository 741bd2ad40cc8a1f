"""The laws of the layers without weights."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from models.combine import Add, Flatten, Permute, Relu, Sum, concatenate, mean
from models.frozen import FrozenPort, run
from models.latency import at_ports
from models.layer import ebops, luts
from models.quantiser import quantiser
from models.symbols import Symbols, Wire, trace
from trigger.errors import UserError

SHAPE = (3, 4, 2)
SIZE = 24


def both_ways(layer, *more):
    """What a layer makes of numbers, and what its integer program makes of words."""

    def network(words):
        # Exponents differ, so that terms have to be aligned.
        wires = [Wire(w.node, k % 3) for k, w in enumerate(words.wires)]
        x = Symbols(wires, words.recorder).reshape(SHAPE)
        return layer(x, *(x.reshape(-1)[:n] for n in more)).reshape(-1)

    words = np.random.default_rng(0).integers(-16, 16, (50, SIZE))
    x = jnp.asarray(words * 2.0 ** -(np.arange(SIZE) % 3), jnp.float32)
    x = x.reshape(-1, *SHAPE)
    y = jax.vmap(lambda x: layer(x, *(x.reshape(-1)[:n] for n in more)))(x)
    names = tuple(f"y{k}" for k in range(int(np.prod(y.shape[1:]))))
    ports = tuple(FrozenPort(f"x{k}", 5, True) for k in range(SIZE))
    program = trace(network, ports, names)
    return x, y, run(program, words).reshape(y.shape) * program.out_lsb


SAT = quantiser(SHAPE, integer=2.0, width=1.0, overflow="SAT", rounding="RND_CONV")


@pytest.mark.parametrize(
    "layer",
    [
        Sum(SHAPE, 1),
        Sum(SHAPE, (0, -1), scale=3, keepdims=True),
        Sum(SHAPE, (0, 1, 2), scale=-2),
        Sum(SHAPE, 2, iq=SAT),
        mean(SHAPE, (0, 1)),
        Relu(),
        Relu(SAT),
        Flatten(),
        Permute((2, 0, 1)),
        lambda x: concatenate((x, Relu()(x)), axis=-2),
    ],
)
def test_the_integer_program_gives_the_same_numbers(layer):
    _, y, words = both_ways(layer)
    assert np.array_equal(words, y)


def test_an_addition_broadcasts_wires_as_numbers():
    for layer in (Add(SHAPE), Add(SHAPE, iq=(SAT, quantiser(integer=4.0)))):
        _, y, words = both_ways(layer, 2)
        assert np.array_equal(words, y)


def test_sums_and_means_are_those_of_numpy():
    x = jr.randint(jr.key(0), SHAPE, -9, 9).astype(jnp.float32)
    assert np.array_equal(Sum(SHAPE, (0, 2))(x), x.sum(axis=(0, 2)))
    kept = Sum(SHAPE, -2, scale=-1, keepdims=True)(x)
    assert np.array_equal(kept, x.sum(axis=1, keepdims=True) / 2)
    assert np.array_equal(mean(SHAPE, (1, 2))(x), x.mean(axis=(1, 2)))
    # Of 3 and of 6 elements: by the nearest power of two, 4 and 8.
    assert np.array_equal(mean(SHAPE, 0)(x), x.sum(axis=0) / 4)
    assert np.array_equal(mean(SHAPE, (0, 2))(x), x.sum(axis=(0, 2)) / 8)


def test_moves_are_those_of_numpy():
    x = jnp.arange(24.0).reshape(SHAPE)
    assert np.array_equal(Flatten()(x), np.arange(24))
    assert np.array_equal(Permute((1, 2, 0))(x), np.transpose(x, (1, 2, 0)))
    assert np.array_equal(concatenate([x, x], 1), np.concatenate([x, x], 1))
    moved = concatenate([at_ports((2, 3)), at_ports((4, 3))])
    assert moved.shape == (6, 3)
    assert float(luts([Flatten(), Permute((0,)), Relu()])) == 0.0
    assert float(ebops([Flatten(), Permute((0,)), Relu()])) == 0.0


def test_relu_has_no_slope_at_zero():
    slope = jax.grad(lambda x: jnp.sum(Relu()(x)))(jnp.array([-1.0, 0.0, 1.0]))
    assert np.array_equal(slope, [0.0, 0.0, 1.0])


def test_sums_cost_adders_and_their_time():
    few, many = Sum((2, 5), 0, input_bits=6), Sum((8, 5), 0, input_bits=6)
    assert 0 < float(luts(few)) < float(luts(many))
    # One addend of 6 bits beside the first, in 5 sums; and 7 of them.
    assert float(ebops(few)) == 6 * 5
    assert float(ebops(many)) == 6 * 5 * 7
    early, late = few(at_ports((2, 5))).ns, many(at_ports((8, 5))).ns
    assert early.shape == late.shape == (5,)
    assert 0 < float(early[0]) < float(late[0])
    add = Add((5,), input_bits=6)
    assert float(ebops(add)) == 6 * 5
    assert float(luts(add)) > 0
    assert np.all(add(at_ports((5,)), at_ports((5,))).ns > 0)
    assert np.all(Relu()(at_ports((5,))).ns > 0)


def test_costs_follow_the_bits_of_the_quantisers():
    def cost(width):
        iq = quantiser((4, 1), integer=2.0, width=width)
        return float(luts(Sum((4, 3), 0, iq=iq)))

    assert cost(2.0) < cost(4.0)
    with pytest.raises(UserError, match=r"a sum over shape \(4, 3\).*input_bits"):
        luts(Sum((4, 3), 0))
    with pytest.raises(UserError, match=r"an addition over shape \(3,\).*input_bits"):
        luts(Add((3,)))


def test_shapes_that_do_not_fit_are_refused():
    x = jnp.zeros((2, 3))
    with pytest.raises(UserError, match=r"shape \(3, 2\) and got \(2, 3\).*jax.vmap"):
        Sum((3, 2), 0)(x)
    with pytest.raises(
        UserError, match=r"axes \(0, -2\) of examples of shape \(2, 3\)"
    ):
        Sum((2, 3), (0, -2))
    with pytest.raises(UserError, match=r"axes \(2,\)"):
        Sum((2, 3), 2)
    with pytest.raises(
        UserError, match=r"to shape \(2, 3\) got the shapes \[\(2, 3\), \(2,\)"
    ):
        Add((2, 3))(x, jnp.zeros(2))
    with pytest.raises(UserError, match="addition of two branches"):
        Add((2, 3))(x)
    with pytest.raises(UserError, match=r"permutation \(0, 0\) of the axes"):
        Permute((0, 0))(x)
    with pytest.raises(UserError, match=r"\[\(2, 3\), \(2,\)\] cannot be joined"):
        concatenate([x, jnp.zeros(2)])
    with pytest.raises(UserError, match=r"cannot be joined along axis 2"):
        concatenate([x, x], axis=2)
    with pytest.raises(UserError, match="cannot be joined"):
        concatenate([])
    with pytest.raises(UserError, match=r"widths of shape \(4,\)"):
        Sum((2, 3), 0, iq=quantiser((4,)))
