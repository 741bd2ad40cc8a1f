"""LUT-Einsum: any einsum of an example in which every weight is a trained table.

Where `jnp.einsum` multiplies an element with a weight and sums, here the element
addresses the weight's table and the answers are summed:

    "ij,jk->ik"    the same tables for every particle `i`
    "ij,ijk->ik"   tables of its own for every particle

An axis of example, kernel and result is *shared*: every index has tables of its own.
An axis of the example and the result alone are *positions* that use the same tables.
One of example and kernel is summed, one of kernel and result brings outputs.
"""

from dataclasses import replace
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from models.layer import Evaluated, Layer, lift
from models.lut import LUTDense
from models.ranges import Bill, Ranges
from models.reading import Reading
from models.shape import Contraction, contraction, relabel
from models.symbols import Symbols
from models.tables import Tables
from trigger.errors import UserError


@final
class EvaluatedLUTEinsum(Evaluated):
    """Stacks of tables, one for each index of the shared axes."""

    stack: Tables
    """Its arrays have an axis in front; its reading is that of all."""
    plan: Contraction = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        """One example, wires or arrival times through the layer.

        Raises:
            UserError: `x` does not have the shape that the layer was made for.
        """
        plan = self.plan
        if tuple(x.shape) != plan.x_shape:
            raise UserError(
                f"a layer {plan.equation!r} was made for inputs of shape {plan.x_shape} "
                f"and got {tuple(x.shape)}; layers take one example, jax.vmap takes "
                "batches"
            )
        order = plan.shared + plan.positions + plan.contracted
        sizes = [plan.size(axes) for axes in (plan.shared, plan.positions)]
        laid = lift(lambda a: relabel(a, plan.x, order).reshape(*sizes, -1), x)
        y = self._sums(laid)
        have = plan.shared + plan.positions + plan.outputs
        return lift(lambda a: relabel(a.reshape(plan.shape(have)), have, plan.out), y)

    def luts(self) -> Float[Array, ""]:
        """LUT6 of all positions."""
        return jnp.sum(self._of_each(lambda tables: tables.luts()))

    def ebops(self) -> Float[Array, ""]:
        """Effective bit operations of all positions."""
        return jnp.sum(self._of_each(lambda tables: tables.ebops()))

    def _sums(self, x: Any) -> Any:
        """From `(shared, positions, n_in)` to `(shared, positions, n_out)`."""
        if isinstance(x, Ranges):
            own = replace(x, bill=Bill())
            each = [_member(self.stack, s)(own[s]) for s in range(x.shape[0])]
            x.bill.add(self, own.bill.total())
            y = lift(lambda *rows: jnp.stack(rows), *each)
            return replace(y, bill=x.bill)
        if not isinstance(x, Symbols):
            axes = (_stacked(self.stack), 0)
            return eqx.filter_vmap(lambda tables, x: tables(x), in_axes=axes)(
                self.stack, x
            )
        rows = [_member(self.stack, s)(part).wires for s, part in enumerate(x)]
        return Symbols(np.stack(rows), x.recorder)

    def _of_each(self, what: Any) -> Any:
        return eqx.filter_vmap(what, in_axes=(_stacked(self.stack),))(self.stack)


@final
class LUTEinsum(Layer):
    """Trainable tables in the arrangement of an einsum."""

    stack: LUTDense
    """Its arrays have an axis in front; its reading is that of all."""
    plan: Contraction = eqx.field(static=True)

    def __init__(
        self,
        equation: str,
        reading: Reading,
        in_shape: tuple[int, ...],
        kernel_shape: tuple[int, ...],
        *,
        key: PRNGKeyArray,
        **options: Any,
    ):
        """Draws the edge functions.

        Args:
            equation: For one example, e.g. `"...j,jk->...k"`.
            reading: How the inputs that are summed together are read, in the order in
                which the kernel names their axes.
            in_shape: Shape of an example.
            kernel_shape: Shape of the tables' arrangement.
            key: Source of the starting values.
            options: Of `models.lut.LUTDense`.

        Raises:
            UserError: An axis is summed within one operand alone, shapes or the reading
                do not fit, or what `LUTDense` refuses.
        """
        plan = contraction(equation, tuple(in_shape), tuple(kernel_shape))
        terms, n_in = plan.size(plan.contracted), len(reading.grid.bits)
        if terms != n_in:
            raise UserError(
                f"a layer {equation!r} on inputs of shape {tuple(in_shape)} sums {terms} "
                f"inputs at a time, its reading was made for {n_in}"
            )
        n_out, many = plan.size(plan.outputs), plan.size(plan.shared)
        places = plan.size(plan.positions)

        def one(key: PRNGKeyArray) -> LUTDense:
            return LUTDense(reading, n_out, places=places, key=key, **options)

        stack = eqx.filter_vmap(one)(jr.split(key, many))
        self.stack = eqx.tree_at(lambda layer: layer.reading, stack, reading)
        self.plan = plan

    def evaluated(self) -> EvaluatedLUTEinsum:
        """Evaluates the edges of all stacks; see `LUTDense.evaluated`."""
        ready = eqx.filter_vmap(
            lambda layer: layer.evaluated(), in_axes=(_stacked(self.stack),)
        )(self.stack)
        ready = eqx.tree_at(lambda t: t.reading, ready, self.stack.reading)
        return EvaluatedLUTEinsum(ready, self.plan)


def _stacked(stack: Any) -> Any:
    """Where the axis of a stack is, for `filter_vmap`: nowhere in its reading."""
    axes = jax.tree.map(lambda _: 0, stack)
    return eqx.tree_at(lambda node: node.reading, axes, None)


def _member(stack: Any, k: int) -> Any:
    """One layer of a stack."""
    one = jax.tree.map(lambda leaf: leaf[k], stack)
    return eqx.tree_at(lambda node: node.reading, one, stack.reading)
