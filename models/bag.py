"""The embedding bag: sums of table entries over a batch, with its gradient in table space.

A table sees its input through a few codes only, so a layer of tables is evaluated once
per code, and the batch merely looks the answers up:

    y[b, j] = sum_i T[i, code[b, i], j]

The gradient needs no array of shape (batch, n_in, n_out) either: with `dy` the cotangent
of `y`,

    dT[i, k, j]  = sum of dy[b, j]                           over b with code[b, i] = k
    dx[b, i]     = sum_j slope[i, code[b, i], j] * dy[b, j]
    gain[i, j]   = sum_b rest[b, i] * slope[i, code[b, i], j] * dy[b, j]

Two forms compute this: the kernels of `models.native` on a CPU, and a scan over the
inputs elsewhere, which of the forms that were tried in XLA (one gather, one-hot
products, sorting) is the fastest.

A layer sees one example and the batch is `jax.vmap`'s.  What vmap would make of the
gradient, a table per example and then their sum, must not happen: the look-up and the
histograms carry rules of their own for vmap.  Where the tables are not mapped, examples
become rows of one longer list; where they are, as in a stack of networks or in a layer
of several tables per input, they become a longer stack.  So any nesting of the two
reaches the kernels as one stack of tables with one list of rows each.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Integer

from models import native
from models.stacks import merged, split

Table = Float[Array, "n_in codes n_out"]
Code = Integer[Array, "rows n_in"]
Values = Float[Array, "rows n_in"]
Sums = Float[Array, "rows n_out"]
Edge = Float[Array, "n_in n_out"]
Counts = Float[Array, "n_in codes"]
OfInput = tuple[Array, ...]
"""What a scan sees of one input: the axis `n_in` taken off."""

Tables = Float[Array, "stack n_in codes n_out"]
Rows = Float[Array, "_ rows _"]
"""Something per row; the first axis is that of the stack, or 1 where all share it."""
CodeRows = Integer[Array, "_ rows n_in"]


# ---------------------------------------------------------------- the two forms


def _stacked(one: Any, table: Tables, *of_rows: Array) -> Any:
    """A function of one network's arrays for all of a stack."""
    axes = [0 if part.shape[0] == table.shape[0] else None for part in of_rows]
    parts = (
        part if axis == 0 else part[0] for part, axis in zip(of_rows, axes, strict=True)
    )
    return jax.vmap(one, (0, *axes))(table, *parts)


def _lookup(table: Tables, code: CodeRows) -> Rows:
    if native.ready() and table.dtype == jnp.float32:
        shape = (table.shape[0], code.shape[1], table.shape[3])
        call = jax.ffi.ffi_call("jetlut_bag", jax.ShapeDtypeStruct(shape, table.dtype))
        return call(table, code.astype(jnp.int32))

    def one_network(table: Table, code: Code) -> Sums:
        def add_input(y: Sums, table_and_code: OfInput) -> tuple[Sums, None]:
            entries, k = table_and_code
            return y + entries.at[k].get(mode="promise_in_bounds"), None

        start = jnp.zeros((code.shape[0], table.shape[2]), table.dtype)
        return jax.lax.scan(add_input, start, (table, code.T))[0]

    return _stacked(one_network, table, code)


def _histograms(
    slope: Tables, code: CodeRows, rest: Rows, inside: Rows, dy: Rows
) -> tuple[
    Tables, Float[Array, "stack n_in n_out"], Rows, Float[Array, "stack n_in codes"]
]:
    stack, n_in, codes, n_out = slope.shape
    rows = code.shape[1]
    if native.ready() and dy.dtype == jnp.float32:
        like = [
            jax.ShapeDtypeStruct((stack, *shape), dy.dtype)
            for shape in (
                *((n_in, codes, n_out), (n_in, n_out)),
                *((rows, n_in), (n_in, codes)),
            )
        ]
        call = jax.ffi.ffi_call("jetlut_bag_grad", like)
        dtable, gain, dx, seen = call(slope, code.astype(jnp.int32), rest, inside, dy)
        return dtable, gain, dx, seen

    def one_network(slope: Table, code: Code, rest: Values, inside: Values, dy: Sums):
        def one_input(_: None, of_input: OfInput):
            slopes, k, r, fits = of_input
            dtable = jnp.zeros((codes, n_out), dy.dtype)
            dtable = dtable.at[k].add(dy, mode="promise_in_bounds")
            rise = slopes.at[k].get(mode="promise_in_bounds") * dy
            seen = jnp.zeros(codes, dy.dtype).at[k].add(1 / rows)
            return None, (dtable, r @ rise, jnp.sum(rise, axis=1) * fits, seen)

        of_inputs = (slope, code.T, rest.T, inside.T)
        dtable, gain, dx, seen = jax.lax.scan(one_input, None, of_inputs)[1]
        return dtable, gain, dx.T, seen

    return _stacked(one_network, slope, code, rest, inside, dy)


def _histogram(table: Tables, code: CodeRows, dy: Rows) -> Tables:
    stack, n_in, codes, n_out = table.shape
    if native.ready() and dy.dtype == jnp.float32:
        like = jax.ShapeDtypeStruct((stack, n_in, codes, n_out), dy.dtype)
        call = jax.ffi.ffi_call("jetlut_bag_words_grad", like)
        return call(code.astype(jnp.int32), dy)

    def one_network(table: Table, code: Code, dy: Sums) -> Table:
        del table

        def one_input(_: None, k: Integer[Array, " rows"]):
            empty = jnp.zeros((codes, n_out), dy.dtype)
            return None, empty.at[k].add(dy, mode="promise_in_bounds")

        return jax.lax.scan(one_input, None, code.T)[1]

    return _stacked(one_network, table, code, dy)


# ---------------------------------------------- any nesting of vmap, as one stack


def _longer_rows(size: int, batched: list[bool], of_rows: Any) -> list[Array]:
    """Operands of tables that are not mapped: rows of examples as one list of rows."""

    def one(part: Array, on: bool) -> Array:
        part = part if on else jnp.broadcast_to(part, (size, *part.shape))
        part = jnp.moveaxis(part, 0, 1)
        return part.reshape(part.shape[0], -1, part.shape[-1])

    return [one(part, on) for part, on in zip(of_rows, batched[1:], strict=True)]


def _split_rows(size: int, part: Rows) -> Array:
    """Rows of a longer list back in front, as examples."""
    stack, _, n = part.shape
    return jnp.moveaxis(part.reshape(stack, size, -1, n), 1, 0)


@custom_vmap
def _lookup_any(table: Tables, code: CodeRows) -> Rows:
    return _lookup(table, code)


@_lookup_any.def_vmap
def _lookup_mapped(size: int, batched: list[bool], table: Array, code: Array):
    if batched[0]:
        every = merged(size, batched, (table, code))
        return split(size, _lookup_any(*every)), True
    rows = _longer_rows(size, batched, (code,))
    return _split_rows(size, _lookup_any(table, *rows)), True


@custom_vmap
def _histogram_any(table: Tables, code: CodeRows, dy: Rows) -> Tables:
    return _histogram(table, code, dy)


@_histogram_any.def_vmap
def _histogram_mapped(size: int, batched: list[bool], table: Array, *of_rows: Array):
    if batched[0]:
        every = merged(size, batched, (table, *of_rows))
        return split(size, _histogram_any(*every)), True
    # Not batched: the sum over the examples, which is what a cotangent becomes.
    return _histogram_any(table, *_longer_rows(size, batched, of_rows)), False


@custom_vmap
def _histograms_any(table: Tables, slope: Tables, *of_rows: Array) -> tuple[Array, ...]:
    # The table says alone whether there is one of its gradient per network.
    del table
    return _histograms(slope, *of_rows)


@_histograms_any.def_vmap
def _histograms_mapped(
    size: int, batched: list[bool], table: Array, slope: Array, *of_rows: Array
):
    if batched[0] or batched[1]:
        if not batched[1]:
            slope = jnp.broadcast_to(slope, (size, *slope.shape))
        slope, *rows = merged(size, [True, *batched[2:]], (slope, *of_rows))
        parts = _histograms_any(slope, slope, *rows)
        return tuple(split(size, part) for part in parts), (True,) * 4
    rows = _longer_rows(size, batched[1:], of_rows)
    dtable, gain, dx, seen = _histograms_any(table, slope, *rows)
    return (dtable, gain, _split_rows(size, dx), seen), (False, False, True, False)


# ------------------------------------------------------------- with gradients


def _sums(table: Table, code: Code) -> Sums:
    return _lookup_any(table[None], code[None])[0]


@jax.custom_vjp
def bag(table: Table, code: Code) -> Sums:
    """Sums the entries that the codes select: the layer that reads port words.

    Args:
        table: Entry of every input, code and output.
        code: Code of every row and input, within `0..codes-1` (not checked).

    Returns:
        `y[b, j] = sum_i table[i, code[b, i], j]`.
    """
    return _sums(table, code)


def _bag_forward(table: Table, code: Code):
    return _sums(table, code), (table, code)


def _bag_backward(saved: tuple[Table, Code], dy: Sums):
    table, code = saved
    return _histogram_any(table[None], code[None], dy[None])[0], None


bag.defvjp(_bag_forward, _bag_backward)


@jax.custom_vjp
def bag_of_values(
    table: Table,
    slope: Table,
    gain: Edge,
    occupancy: Counts,
    code: Code,
    rest: Values,
    inside: Values,
    x: Values,
) -> Sums:
    """The same sum for a layer inside the network, whose inputs want a gradient too.

    Args:
        table: Entry of every input, code and output.
        slope: Derivative of the edge function at the point each code stands for; zero
            where the edge saturates.
        gain: A zero whose cotangent is the `gain` of this module: what `rest` adds to
            the gradient of the address widths.
        occupancy: A statistic (`models.statistic`): its "cotangent" is the share of the
            rows at each code.
        code: Code of every row and input.
        rest: `x` minus the point that its code stands for, on the finest grid.
        inside: 1 where `x` is within the range of the codes, 0 where it saturates.
        x: The values themselves; only their gradient is used, which passes straight
            through the quantiser where it does not saturate.

    Returns:
        `y[b, j] = sum_i table[i, code[b, i], j]`.
    """
    del slope, gain, occupancy, rest, inside, x
    return _sums(table, code)


def _values_forward(
    table: Table,
    slope: Table,
    gain: Edge,
    occupancy: Counts,
    code: Code,
    rest: Values,
    inside: Values,
    x: Values,
):
    del gain, occupancy, x
    return _sums(table, code), (table, slope, code, rest, inside)


def _values_backward(saved: tuple[Array, ...], dy: Sums):
    every = (part[None] for part in (*saved, dy))
    dtable, gain, dx, seen = (part[0] for part in _histograms_any(*every))
    return dtable, jnp.zeros_like(saved[1]), gain, seen, None, None, None, dx


bag_of_values.defvjp(_values_forward, _values_backward)
