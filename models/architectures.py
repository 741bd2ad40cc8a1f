"""Networks by name: small functions that put layers together.

Every function returns an ordinary Equinox module; what it is made of can be mixed
freely, and `models.layer.evaluate`, the training and the freezing take any mixture.

Networks take the raw words of their ports, one example in.  Tables read words as they
are; arithmetic reads numbers, which `Ports` makes of them.
"""

import math
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from models.combine import Flatten, Relu
from models.conv import Conv1D
from models.dense import Dense
from models.latency import Arrivals
from models.layer import Evaluated, lift
from models.lut import LUTDense
from models.quantiser import Quantiser, quantiser
from models.ranges import Ranges
from models.reading import Reading, values, words
from models.symbols import Symbols, Wire
from trigger.errors import UserError


@final
class Chain(eqx.Module):
    """Layers in a row."""

    layers: tuple[Any, ...]

    def __call__(self, x: Any) -> Any:
        """One example through all of them."""
        for layer in self.layers:
            x = layer(x)
        return x


def lut_mlp(
    code: Integer[np.ndarray, "events ports"],
    bits: tuple[int, ...],
    signed: tuple[bool, ...],
    widths: tuple[int, ...],
    *,
    hidden: int = 8,
    depth: int = 1,
    tables: str = "perceptron",
    most_address: int = 7,
    reach: float = 2.0,
    key: PRNGKeyArray,
) -> Chain:
    """LUT-Dense layers in a row, from port words to scores: HGQ-LUT's tagger.

    All layers but the last are normalised and saturate at the reach.

    Args:
        code: Unsigned codes of the ports in the training split.
        bits: Width of each port.
        signed: Whether a port is two's complement.
        widths: Outputs of each layer; the last is the number of scores.
        hidden: Hidden units of the edge functions.
        depth: Hidden layers of the edge functions.
        tables: "perceptron" or "direct".
        most_address: Cap on the address width, in bits.
        reach: Where sums inside saturate; a power of two.
        key: Source of the starting values.

    Raises:
        UserError: There is no layer, or what the layers refuse.
    """
    if not widths:
        raise UserError("a network needs at least one layer, got widths=()")
    layers: list[LUTDense] = []
    reading: Any = words(code, bits, signed, most_address)
    for n, width in enumerate(widths):
        key, own = jr.split(key)
        last = n == len(widths) - 1
        layers.append(
            LUTDense(
                reading,
                width,
                hidden=hidden,
                depth=depth,
                tables=tables,
                batch_norm=not last,
                reach=None if last else reach,
                fraction=3.0 if last else 5.0,
                key=own,
            )
        )
        if not last:
            reading = values(width, most_address, reach=reach)
    return Chain(tuple(layers))


@final
class Ports(Evaluated):
    """Words as numbers: `raw * 2**-(bits - signed)`, from 0 or -1 up to 1.

    This only says where the binary point is; it costs nothing.
    """

    exponents: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, bits: tuple[int, ...], signed: tuple[bool, ...]):
        """Places the points.

        Args:
            bits: Width of each port.
            signed: Whether a port is two's complement.
        """
        self.exponents = tuple(b - s for b, s in zip(bits, signed, strict=True))

    def __call__(self, x: Any) -> Any:
        """The numbers of one example, its wires or arrival times, in one axis."""
        if isinstance(x, Symbols):
            pairs = zip(x.reshape(-1).wires, self.exponents, strict=True)
            wires = [Wire(wire.node, wire.exponent + up) for wire, up in pairs]
            return Symbols(wires, x.recorder)
        flat = lift(lambda a: a.reshape(-1), x)
        if isinstance(x, Arrivals):
            return flat
        if isinstance(x, Ranges):
            fraction = jnp.array(self.exponents, jnp.float32)
            step = jnp.exp2(-fraction)
            return flat.rising(lambda a: jnp.clip(a * step, -1.0, 1.0 - step), fraction)
        return flat * np.exp2(-np.array(self.exponents, np.float32))

    def luts(self) -> Float[Array, ""]:
        """Nothing: wires."""
        return jnp.zeros(())

    def ebops(self) -> Float[Array, ""]:
        """Nothing."""
        return jnp.zeros(())


@final
class Shaped(Evaluated):
    """An example in another shape, the last axis the fastest."""

    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """One example, wires or arrival times."""
        return lift(lambda a: a.reshape(self.shape), x)

    def luts(self) -> Float[Array, ""]:
        """Nothing: wires."""
        return jnp.zeros(())

    def ebops(self) -> Float[Array, ""]:
        """Nothing."""
        return jnp.zeros(())


def lut_layers(
    reading: Reading,
    widths: tuple[int, ...],
    most_address: int,
    reach: float,
    *,
    key: PRNGKeyArray,
    **options: Any,
) -> tuple[tuple[LUTDense, ...], Reading]:
    """Layers of tables in a row, and how the values behind them are read.

    Args:
        reading: How the first reads its inputs.
        widths: Outputs of each layer.
        most_address: Cap on the address width inside, in bits.
        reach: Where the sums saturate; a power of two.
        key: Source of the starting values.
        options: Of `LUTDense`.

    Raises:
        UserError: What the layers refuse.
    """
    options = {"fraction": HIDDEN_FRACTION, "reach": reach, **options}
    layers = []
    for width in widths:
        key, own = jr.split(key)
        layers.append(LUTDense(reading, width, key=own, **options))
        reading = values(width, most_address, reach=reach)
    return tuple(layers), reading


def lut_head(
    reading: Reading,
    widths: tuple[int, ...],
    most_address: int,
    reach: float,
    *,
    key: PRNGKeyArray,
    **options: Any,
) -> Chain:
    """Layers of tables at the end of a network; the last sums leave it as they are.

    Args:
        reading: How the first reads its inputs.
        widths: Outputs of each layer; the last is the number of scores.
        most_address: Cap on the address width inside, in bits.
        reach: Where sums inside saturate; a power of two.
        key: Source of the starting values.
        options: Of `LUTDense`.

    Raises:
        UserError: There is no layer, or what the layers refuse.
    """
    if not widths:
        raise UserError("the end of a network needs at least one layer, got widths=()")
    inside, last = jr.split(key)
    hidden, reading = lut_layers(
        reading, widths[:-1], most_address, reach, key=inside, **options
    )
    options = {"fraction": SCORE_FRACTION, **options, "batch_norm": False}
    return Chain((*hidden, LUTDense(reading, widths[-1], key=last, **options)))


HIDDEN_FRACTION, SCORE_FRACTION = 5.0, 3.0
"""Fractional bits that entries start with, inside and of the scores."""


def truncating(
    grain: tuple[int, ...], *, reach: float = 1.0, signed: bool = True
) -> Quantiser:
    """A quantiser of what an arithmetic layer or a sum reads: wiring and a saturation.

    Args:
        grain: Shape of its widths.
        reach: Where it saturates at the start; a power of two.
        signed: Whether there are negative values.
    """
    return quantiser(
        grain,
        integer=math.log2(reach),
        width=HIDDEN_FRACTION,
        signed=signed,
        rounding="TRN",
        overflow="SAT",
    )


def quantised_mlp(
    bits: tuple[int, ...],
    signed: tuple[bool, ...],
    widths: tuple[int, ...],
    *,
    key: PRNGKeyArray,
) -> Chain:
    """Dense layers with relu between them, as conventional taggers have: to compare.

    Every weight and every value that is read trains its own bits; all layers but the
    last are normalised, which standardises the ports as well.

    Args:
        bits: Width of each port.
        signed: Whether a port is two's complement.
        widths: Outputs of each layer; the last is the number of scores.
        key: Source of the weights.

    Raises:
        UserError: There is no layer, or what the layers refuse.
    """
    if not widths:
        raise UserError("a network needs at least one layer, got widths=()")
    *hidden, scores = widths
    layers: list[Any] = [Ports(bits, signed)]
    before, iq = len(bits), truncating((len(bits),))
    for width in hidden:
        key, own = jr.split(key)
        layers += [Dense(before, width, iq=iq, batch_norm=True, key=own), Relu()]
        before, iq = width, truncating((width,), reach=2.0, signed=False)
    return Chain((*layers, Dense(before, scores, iq=iq, key=key)))


def muon_hybrid(
    length: int,
    channels: int,
    *,
    filters: int = 8,
    kernel: int = 3,
    dense: tuple[int, ...] = (100, 50),
    tables: tuple[int, ...] = (24, 12),
    weight_bits: float = 1.0,
    most_address: int = 7,
    reach: float = 2.0,
    key: PRNGKeyArray,
    **options: Any,
) -> Chain:
    """Hits of detector layers to one number: arithmetic for bits, tables behind.

    A table of a single bit is a constant times the bit, so where inputs are bits,
    weights do the same for less; tables come where values have bits to tell apart.
    (HGQ-LUT's muon trigger, Sun et al., arXiv 2604.22293.)

    Args:
        length: Strips.
        channels: Layers of strips.  Ports are 1-bit hits, the channels of a strip
            beside each other.
        filters: Of the convolution along the strips.
        kernel: Strips that a filter sees.
        dense: Outputs of each dense layer.
        tables: Outputs of each layer of tables.
        weight_bits: Bits of the weights at the start, sign apart: with 1 they are
            -1/2, 0 or 1/2.
        most_address: Cap on the address width, in bits.
        reach: Where values between tables saturate; a power of two.
        key: Source of the starting values.
        options: Of `LUTDense`: hidden, depth, activation, tables.

    Raises:
        UserError: A kind of layer is missing, or what the layers refuse.
    """
    if not dense or not tables:
        raise UserError(
            f"the hybrid has dense layers and layers of tables, got dense={dense}, "
            f"tables={tables}"
        )

    def coarse(*shape: int) -> Quantiser:
        return quantiser(
            shape, form="kbi", integer=0.0, width=weight_bits, overflow="SAT_SYM"
        )

    k1, k2, k3, *keys = jr.split(key, 3 + len(dense))
    conv = Conv1D(
        (length, channels),
        filters,
        kernel,
        input_bits=1,
        batch_norm=True,
        kernel_quantiser=coarse(kernel * channels, filters),
        key=k1,
    )
    hits = Ports((1,) * length * channels, (False,) * length * channels)
    layers: list[Any] = [hits, Shaped((length, channels)), conv, Relu(), Flatten()]
    before = filters * math.prod(conv.cut.space)
    for width, own in zip(dense, keys, strict=True):
        iq = truncating((before,), reach=reach, signed=False)
        layers += [
            Dense(
                before, width, iq=iq, batch_norm=True,
                kernel_quantiser=coarse(before, width), key=own,
            ),
            Relu(),
        ]  # fmt: skip
        before = width
    reading = values(before, most_address, reach=reach, signed=False)
    hidden, _ = lut_layers(reading, tables, most_address, reach, key=k2, **options)
    iq = truncating((tables[-1],), reach=reach)
    return Chain((*layers, *hidden, Dense(tables[-1], 1, iq=iq, key=k3)))
