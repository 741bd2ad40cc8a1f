"""Layers without weights: sums over axes, sums of branches, relu, and moves of elements.

All work on numbers, wires and arrival times.  Means divide by a power of two, which
costs nothing: it moves the binary point.  What adds needs to know how wide its inputs
are before it can say what it costs: from its own quantiser or from `input_bits`.
"""

import math
from typing import Any, cast, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from models import cost, count
from models.latency import Arrivals, through_add, through_clip, through_sum
from models.layer import Evaluated, lift
from models.linear import fitting, weighted_sum
from models.quantiser import Quantiser
from models.ranges import Ranges
from models.symbols import Symbols, Wire
from trigger.errors import UserError


@final
class Sum(Evaluated):
    """Sum over axes of an example, times a power of two."""

    iq: Quantiser | None
    in_shape: tuple[int, ...] = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)
    scale: int = eqx.field(static=True)
    """Exponent of the factor `2**scale`."""
    keepdims: bool = eqx.field(static=True)
    input_bits: int | None = eqx.field(static=True)

    def __init__(
        self,
        in_shape: tuple[int, ...],
        axes: int | tuple[int, ...],
        *,
        scale: int = 0,
        keepdims: bool = False,
        iq: Quantiser | None = None,
        input_bits: int | None = None,
    ):
        """Plans the sum.

        Args:
            in_shape: Shape of an example.
            axes: What is summed over; negative ones count from behind.
            scale: The sum is multiplied by `2**scale`.
            keepdims: Keep the axes, with length 1.
            iq: Quantiser of the inputs.
            input_bits: Bits of the inputs if there is no `iq`; only costs need them.

        Raises:
            UserError: An axis does not exist or comes twice, or `iq` does not fit.
        """
        given = (axes,) if isinstance(axes, int) else tuple(axes)
        rank = len(in_shape)
        found = tuple(sorted(a % rank for a in given if -rank <= a < rank))
        if len(found) != len(given) or len(set(found)) != len(found) or not found:
            raise UserError(
                f"a sum over the axes {given} of examples of shape {tuple(in_shape)}; "
                f"each must be one of the {rank} axes, once"
            )
        self.in_shape, self.axes = tuple(in_shape), found
        self.scale, self.keepdims, self.input_bits = scale, keepdims, input_bits
        self.iq = fitting(iq, self.in_shape, "inputs")

    def __call__(self, x: Any) -> Any:
        """The sums of one example.

        Raises:
            UserError: `x` does not have the shape that the layer was made for.
        """
        _check_shape("a sum", self.in_shape, x)
        if self.iq is not None:
            x = self.iq(x)
        terms = lift(self._terms, x)
        if isinstance(terms, Symbols):
            wires = np.empty(terms.shape[1:], object)
            for at in np.ndindex(wires.shape):
                column = terms.wires[(slice(None), *at)]
                wire = weighted_sum(terms.recorder, column, np.ones(len(column)))
                wires[at] = Wire(wire.node, wire.exponent - self.scale)
            y = Symbols(wires, terms.recorder)
        elif isinstance(terms, Arrivals):
            bits, total = self._widths()
            y = through_sum(terms, jnp.ones_like(bits), total)
        elif isinstance(terms, Ranges):
            y = _added(self, terms, self.scale)
        else:
            y = jnp.sum(terms, axis=0) * 2.0**self.scale
        return lift(lambda a: a.reshape(self._out_shape()), y)

    def luts(self) -> Float[Array, ""]:
        """LUTs of the trees of adders."""
        return cost.sum_luts(*self._widths())

    def ebops(self) -> Float[Array, ""]:
        """The bits that are added to the widest term."""
        bits, _ = self._widths()
        return jnp.sum(bits) - jnp.sum(jnp.max(bits, axis=0))

    def _widths(self) -> tuple[Float[Array, "n *rest"], Float[Array, "*rest"]]:
        """Bits of the terms and of the sums, as if all had the same LSB."""
        bits = _known_bits("a sum", self.iq, self.input_bits, self.in_shape)
        terms = self._terms(bits)
        return terms, jnp.log2(jnp.sum(jnp.exp2(terms), axis=0))

    def _terms(self, a: Any) -> Any:
        """What is added along one leading axis, the rest flat or not as it was."""
        rest = [k for k in range(len(self.in_shape)) if k not in self.axes]
        count = math.prod(self.in_shape[k] for k in self.axes)
        return a.transpose([*self.axes, *rest]).reshape(
            count, *(self.in_shape[k] for k in rest)
        )

    def _out_shape(self) -> tuple[int, ...]:
        if self.keepdims:
            return tuple(
                1 if k in self.axes else n for k, n in enumerate(self.in_shape)
            )
        return tuple(n for k, n in enumerate(self.in_shape) if k not in self.axes)


def mean(in_shape: tuple[int, ...], axes: int | tuple[int, ...], **options: Any) -> Sum:
    """The mean over axes, divided by the power of two nearest to their length.

    Args:
        in_shape: Shape of an example.
        axes: What is averaged over.
        options: Of `Sum`, but for `scale`.

    Raises:
        UserError: As for `Sum`.
    """
    plan = Sum(in_shape, axes, **options)
    count = math.prod(plan.in_shape[a] for a in plan.axes)
    return Sum(in_shape, axes, scale=-round(math.log2(count)), **options)


@final
class Add(Evaluated):
    """Element by element `a + b` of two branches."""

    iq: tuple[Quantiser, Quantiser] | None
    in_shape: tuple[int, ...] = eqx.field(static=True)
    input_bits: int | None = eqx.field(static=True)

    def __init__(
        self,
        in_shape: tuple[int, ...],
        *,
        iq: tuple[Quantiser, Quantiser] | None = None,
        input_bits: int | None = None,
    ):
        """Plans the addition.

        Args:
            in_shape: Shape of the result, which both branches broadcast to.
            iq: Quantisers of the two branches.
            input_bits: Bits of the inputs if there is no `iq`; only costs need them.

        Raises:
            UserError: A quantiser does not fit.
        """
        self.in_shape, self.iq, self.input_bits = tuple(in_shape), iq, input_bits
        for quantiser in iq or ():
            fitting(quantiser, self.in_shape, "inputs")

    def __call__(self, x: Any, *others: Any) -> Any:
        """The sum of two branches.

        Raises:
            UserError: They are not two, or do not broadcast to the planned shape.
        """
        both = (x, *others)
        shapes = [tuple(a.shape) for a in both]
        if len(both) != 2 or not _broadcasts(shapes, self.in_shape):
            raise UserError(
                f"an addition of two branches to shape {self.in_shape} got the shapes "
                f"{shapes}"
            )
        if self.iq is not None:
            x, y = (q(a) for q, a in zip(self.iq, both, strict=True))
        else:
            x, y = both
        if isinstance(x, Symbols):
            wires = np.empty(self.in_shape, object)
            left, right = (np.broadcast_to(a.wires, self.in_shape) for a in (x, y))
            for at in np.ndindex(self.in_shape):
                wires[at] = weighted_sum(x.recorder, [left[at], right[at]], [1.0, 1.0])
            return Symbols(wires, x.recorder)
        if isinstance(x, Arrivals):
            wide = jnp.maximum(*self._bits()) + 1.0
            return through_add(x, y, wide)
        if isinstance(x, Ranges):

            def stacked(*branches: Array) -> Array:
                return jnp.stack([jnp.broadcast_to(a, self.in_shape) for a in branches])

            return _added(self, x.moved(stacked, y))
        return jnp.broadcast_to(x + y, self.in_shape)

    def luts(self) -> Float[Array, ""]:
        """LUTs of the adders."""
        bits = jnp.stack(self._bits())
        return cost.sum_luts(bits, jnp.max(bits, axis=0) + 1.0)

    def ebops(self) -> Float[Array, ""]:
        """The bits of the narrower branch, which are added to the wider."""
        return jnp.sum(jnp.minimum(*self._bits()))

    def _bits(self) -> list[Float[Array, "*x"]]:
        quantisers = self.iq or (None, None)
        return [
            _known_bits("an addition", q, self.input_bits, self.in_shape)
            for q in quantisers
        ]


@final
class Relu(Evaluated):
    """`max(x, 0)`, then quantised if it has a quantiser."""

    quantiser: Quantiser | None = None

    def __call__(self, x: Any) -> Any:
        """One example, wires or arrival times."""
        if isinstance(x, Symbols):
            wires = np.empty(x.shape, object)
            for at in np.ndindex(x.shape):
                wire = cast(Wire, x.wires[at])
                most = max(x.recorder.interval(wire.node)[1], 0)
                wires[at] = Wire(x.recorder.clip(wire.node, 0, most), wire.exponent)
            y = Symbols(wires, x.recorder)
        elif isinstance(x, Arrivals):
            y = through_clip(x, jnp.ones(x.shape))
        elif isinstance(x, Ranges):
            y = x.rising(jax.nn.relu, x.fraction)
        else:
            y = jax.nn.relu(x)
        return y if self.quantiser is None else self.quantiser(y)

    def luts(self) -> Float[Array, ""]:
        """Nothing: an AND with the sign, which the LUTs behind take in."""
        return jnp.zeros(())

    def ebops(self) -> Float[Array, ""]:
        """Nothing, as in HGQ."""
        return jnp.zeros(())


@final
class Flatten(Evaluated):
    """All elements along one axis, the last axis the fastest."""

    def __call__(self, x: Any) -> Any:
        """One example, wires or arrival times."""
        return lift(lambda a: a.reshape(-1), x)

    def luts(self) -> Float[Array, ""]:
        """Nothing: wires."""
        return jnp.zeros(())

    def ebops(self) -> Float[Array, ""]:
        """Nothing."""
        return jnp.zeros(())


@final
class Permute(Evaluated):
    """The axes of an example in another order."""

    axes: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """One example, wires or arrival times.

        Raises:
            UserError: The axes are not those of `x`.
        """
        if sorted(self.axes) != list(range(len(x.shape))):
            raise UserError(
                f"a permutation {self.axes} of the axes of an example of shape "
                f"{tuple(x.shape)}; it must name each of 0..{len(x.shape) - 1} once"
            )
        return lift(lambda a: a.transpose(self.axes), x)

    def luts(self) -> Float[Array, ""]:
        """Nothing: wires."""
        return jnp.zeros(())

    def ebops(self) -> Float[Array, ""]:
        """Nothing."""
        return jnp.zeros(())


def concatenate(values: tuple[Any, ...] | list[Any], axis: int = 0) -> Any:
    """Joins values of one kind along an axis that exists.

    Raises:
        UserError: There is none, or their shapes differ elsewhere or lack the axis.
    """
    shapes = [tuple(v.shape) for v in values]
    rank = len(shapes[0]) if shapes else 0
    fits = (
        all(len(s) == rank for s in shapes)
        and -rank <= axis < rank
        and len({s[: axis % rank] + s[axis % rank + 1 :] for s in shapes}) == 1
    )
    if not fits:
        raise UserError(
            f"values of shapes {shapes} cannot be joined along axis {axis}; they must "
            "agree in all other axes"
        )

    def join(*arrays: Any) -> Any:
        xp = np if isinstance(arrays[0], np.ndarray) else jnp
        return xp.concatenate(arrays, axis=axis)

    return lift(join, *values)


def _added(part: Evaluated, terms: Ranges, scale: int = 0) -> Ranges:
    """Sums over the leading axis times `2**scale`, on the bill of what builds them."""
    terms.bill.add(part, count.of_sums(terms.steps(), terms.fraction))
    finest = jnp.max(terms.fraction, axis=0) - scale
    return terms.rising(lambda a: jnp.sum(a, axis=0) * 2.0**scale, finest)


def _broadcasts(shapes: list[tuple[int, ...]], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(*shapes) == to
    except ValueError:
        return False


def _check_shape(what: str, planned: tuple[int, ...], x: Any) -> None:
    if tuple(x.shape) != planned:
        raise UserError(
            f"{what} was made for examples of shape {planned} and got {tuple(x.shape)}; "
            "layers take one example, jax.vmap takes batches"
        )


def _known_bits(
    what: str, iq: Quantiser | None, given: int | None, shape: tuple[int, ...]
) -> Float[Array, "*shape"]:
    if iq is None and given is None:
        raise UserError(
            f"{what} over shape {shape} does not know how wide its inputs are, so "
            "neither what it costs; give it a quantiser (iq) or their input_bits"
        )
    bits = jnp.float32(given) if iq is None else iq.bits()
    return jnp.broadcast_to(bits, shape)
