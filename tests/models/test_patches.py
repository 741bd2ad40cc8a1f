"""The laws of patches, and convolutions against the ones of XLA."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from models.conv import Conv1D, Conv2D
from models.frozen import FrozenPort, run
from models.latency import at_ports
from models.layer import ebops, evaluate, luts
from models.patches import patches
from models.quantiser import quantiser
from models.symbols import Recorder, Symbols, Wire, trace
from trigger.errors import UserError

GEOMETRIES = list(
    itertools.product(
        [
            ((7,), (3,), 1),
            ((8,), (4,), 2),
            ((6, 5), (3, 2), (1, 2)),
            ((5, 7), (4, 3), 3),
        ],
        ["valid", "same"],
    )
)


def xla(x, kernel, stride, padding):
    """A convolution of one example by XLA."""
    rank = kernel.ndim - 2
    letters = "HW"[:rank]
    steps = (stride,) * rank if isinstance(stride, int) else stride
    return jax.lax.conv_general_dilated(
        x[None],
        kernel,
        steps,
        padding.upper(),
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        precision=jax.lax.Precision.HIGHEST,
    )[0]


def whole(shape, key, most=8):
    """Whole numbers, so that sums are exact in any order."""
    return jr.randint(jr.key(key), shape, -most, most + 1).astype(jnp.float32)


@pytest.mark.parametrize(("geometry", "padding"), GEOMETRIES)
def test_a_product_with_patches_is_a_convolution(geometry, padding):
    space, kernel, stride = geometry
    x, w = whole((*space, 2), 0), whole((*kernel, 2, 3), 1)
    cut = patches((*space, 2), kernel, stride, padding)
    y = cut(x) @ w.reshape(-1, 3)
    assert np.array_equal(y, xla(x, w, stride, padding))
    assert y.shape[:-1] == cut.space


@pytest.mark.parametrize(("geometry", "padding"), GEOMETRIES)
def test_the_slope_of_patches_is_that_of_the_convolution(geometry, padding):
    space, kernel, stride = geometry
    x, w = whole((*space, 2), 0), whole((*kernel, 2, 3), 1)
    cut = patches((*space, 2), kernel, stride, padding)
    ours = jax.grad(lambda x: jnp.sum((cut(x) @ w.reshape(-1, 3)) ** 2))(x)
    theirs = jax.grad(lambda x: jnp.sum(xla(x, w, stride, padding) ** 2))(x)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_wires_and_times_move_as_numbers_do(padding):
    cut = patches((4, 3, 1), (3, 2), 2, padding)
    recorder = Recorder()
    nodes = [recorder.input(FrozenPort(f"x{k}", 4, True)) for k in range(12)]
    wires = Symbols([Wire(n, 0) for n in nodes], recorder).reshape(4, 3, 1)
    numbers = cut(1 + jnp.arange(12.0).reshape(4, 3, 1))
    of_wires = cut(wires)
    assert of_wires.shape == numbers.shape
    for at in np.ndindex(numbers.shape):
        node = of_wires.wires[at].node
        if numbers[at] == 0:
            assert recorder.interval(node) == (0, 0)
        else:
            assert node == nodes[int(numbers[at]) - 1]
    times = at_ports((4, 3, 1)).moved(
        lambda t: t + 1 + jnp.arange(12.0).reshape(4, 3, 1)
    )
    assert np.array_equal(cut(times).ns, numbers)


def test_patches_of_length_one_are_the_example():
    x = whole((4, 5, 3), 2)
    assert np.array_equal(patches((4, 5, 3), (1, 1))(x), x)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_convolution_has_the_weights_of_its_dense_layer(padding):
    one = Conv1D((7, 2), 3, 3, stride=2, padding=padding, key=jr.key(0))
    two = Conv2D((6, 5, 2), 3, (3, 2), padding=padding, key=jr.key(1))
    for layer, kernel, shape in (
        (one, (3, 2, 3), (7, 2)),
        (two, (3, 2, 2, 3), (6, 5, 2)),
    ):
        ready = layer.evaluated()
        x = whole(shape, 3)
        w = ready.linear.kernel.reshape(kernel)
        expected = xla(x, w, layer.cut.stride, padding)
        assert np.array_equal(ready(x), expected)


def test_the_integer_program_of_a_convolution_gives_its_numbers():
    iq = quantiser((4, 3, 2), integer=3.0, width=1.0, rounding="TRN", overflow="SAT")
    layer = Conv2D(
        (4, 3, 2), 3, (3, 2), padding="same", iq=iq, batch_norm=True, key=jr.key(4)
    )
    ready = evaluate(layer)
    ports = tuple(FrozenPort(f"x{k}", 8, True) for k in range(24))

    def network(words):
        coarse = Symbols([Wire(w.node, 3) for w in words.wires], words.recorder)
        return ready(coarse.reshape(4, 3, 2)).reshape(-1)

    program = trace(network, ports, tuple(f"y{k}" for k in range(4 * 3 * 3)))
    words = np.random.default_rng(0).integers(-128, 128, (100, 24))
    x = jnp.asarray(words / 8, jnp.float32).reshape(-1, 4, 3, 2)
    expected = jax.vmap(ready)(x).reshape(100, -1)
    assert np.array_equal(run(program, words) * program.out_lsb, expected)


def test_padding_costs_no_bit_operations():
    def bits(padding):
        iq = quantiser(integer=2.0, width=3.0)
        layer = Conv1D(
            (5, 2), 3, 3, padding=padding, iq=iq, use_bias=False, key=jr.key(0)
        )
        return float(ebops(evaluate(layer)))

    # 5 bits by 8 bits, 2 x 3 channels; 3 positions of 3 elements, or 5 less 2 padded.
    assert bits("valid") == 5 * 8 * 6 * 9
    assert bits("same") == 5 * 8 * 6 * 13


def test_a_convolution_costs_luts_and_takes_time():
    iq = quantiser(integer=2.0, width=3.0)
    ready = evaluate(Conv1D((5, 2), 3, 3, padding="same", iq=iq, key=jr.key(0)))
    assert float(luts(ready)) > 0
    assert ready(at_ports((5, 2))).shape == (5, 3)
    assert np.all(ready(at_ports((5, 2))).ns > 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((5, 2), (3, 3)), r"2 axes of space and one of channels, got shape \(5, 2\)"),
        (((5, 2), (3,), (1, 1)), r"strides \(1, 1\) needs"),
        (((5, 2), (0,)), "all of these must be at least 1"),
        (((5, 2), (3,), 1, "full"), "'full', it must be 'valid' or 'same'"),
        (((2, 2), (3,)), r"\(3,\) is larger than examples of shape \(2, 2\)"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        patches(*arguments)


def test_an_example_of_another_shape_is_refused():
    layer = Conv1D((5, 2), 3, 3, key=jr.key(0))
    with pytest.raises(UserError, match=r"shape \(5, 2\) and got \(6, 2\).*jax.vmap"):
        layer(jnp.zeros((6, 2)))
    with pytest.raises(UserError, match="with 0 filters"):
        Conv1D((5, 2), 0, 3, key=jr.key(0))
    with pytest.raises(
        UserError, match=r"widths of shape \(4, 2\).*inputs of shape \(5, 2\)"
    ):
        Conv1D((5, 2), 1, 3, iq=quantiser((4, 2)), key=jr.key(0))
