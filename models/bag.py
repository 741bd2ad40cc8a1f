"""The embedding bag: sums of table entries over a batch, with its gradient in table space.

A table sees its input through a few codes only, so a layer of tables is evaluated once
per code, and the batch merely looks the answers up:

    y[b, j] = sum_i T[i, code[b, i], j]

The gradient needs no array of shape (batch, n_in, n_out) either: with `dy` the cotangent
of `y`, two histograms weighted by `dy` say it all,

    G1[i, k, j] = sum of dy[b, j]                over b with code[b, i] = k
    G2[i, k, j] = sum of dy[b, j] * rest[b, i]   over b with code[b, i] = k

The scan over inputs keeps all temporaries at (batch, n_out); of the forms that were
tried (one gather, one-hot products, sorting) it is the fastest on a CPU.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

Table = Float[Array, "n_in codes n_out"]
Code = Integer[Array, "batch n_in"]
Values = Float[Array, "batch n_in"]
Sums = Float[Array, "batch n_out"]
OfInput = tuple[Array, ...]
"""What a scan sees of one input: the axis `n_in` taken off."""


@jax.custom_vjp
def bag(table: Table, code: Code) -> Sums:
    """Sums the entries that a batch of codes selects: the layer that reads port words.

    Args:
        table: Entry of every input, code and output.
        code: Code of every event and input, within `0..codes-1` (not checked).

    Returns:
        `y[b, j] = sum_i table[i, code[b, i], j]`.
    """
    return _lookup(table, code)


def _lookup(table: Table, code: Code) -> Sums:
    def add_input(y: Sums, table_and_code: OfInput) -> tuple[Sums, None]:
        entries, k = table_and_code
        return y + entries.at[k].get(mode="promise_in_bounds"), None

    start = jnp.zeros((code.shape[0], table.shape[2]), table.dtype)
    return jax.lax.scan(add_input, start, (table, code.T))[0]


def _bag_forward(table: Table, code: Code):
    return _lookup(table, code), (code, table.shape[1])


def _bag_backward(saved: tuple[Code, int], dy: Sums):
    code, codes = saved

    def one_input(_: None, k: Integer[Array, " batch"]):
        empty = jnp.zeros((codes, dy.shape[1]), dy.dtype)
        return None, empty.at[k].add(dy, mode="promise_in_bounds")

    return jax.lax.scan(one_input, None, code.T)[1], None


bag.defvjp(_bag_forward, _bag_backward)


@jax.custom_vjp
def bag_of_values(
    table: Table,
    slope: Table,
    rest_gain: Float[Array, "n_in n_out"],
    code: Code,
    rest: Values,
    inside: Values,
    x: Values,
) -> Sums:
    """The same sum for a layer inside the network, whose inputs want a gradient too.

    Args:
        table: Entry of every input, code and output.
        slope: Derivative of the edge function at the point each code stands for.
        rest_gain: A zero whose cotangent is `sum_k slope * G2`: what `rest` adds to the
            gradient of the address widths.
        code: Code of every event and input.
        rest: `x` minus the point that its code stands for, on the finest grid.
        inside: 1 where `x` is within the range of the codes, 0 where it saturates.
        x: The values themselves; only their gradient is used, which passes straight
            through the quantiser where it does not saturate.

    Returns:
        `y[b, j] = sum_i table[i, code[b, i], j]`.
    """
    del slope, rest_gain, rest, inside, x
    return _lookup(table, code)


def _values_forward(
    table: Table,
    slope: Table,
    rest_gain: Float[Array, "n_in n_out"],
    code: Code,
    rest: Values,
    inside: Values,
    x: Values,
):
    del rest_gain, x
    return _lookup(table, code), (slope, code, rest, inside)


def _values_backward(saved: tuple[Table, Code, Values, Values], dy: Sums):
    slope, code, rest, inside = saved
    n_out = dy.shape[1]

    def one_input(_: None, of_input: OfInput):
        slopes, k, r = of_input
        both = jnp.concatenate([dy, r[:, None] * dy], axis=1)
        empty = jnp.zeros((slopes.shape[0], 2 * n_out), dy.dtype)
        g = empty.at[k].add(both, mode="promise_in_bounds")
        dx = jnp.sum(slopes.at[k].get(mode="promise_in_bounds") * dy, axis=1)
        return None, (g[:, :n_out], jnp.sum(slopes * g[:, n_out:], axis=0), dx)

    _, (g1, gain, dx) = jax.lax.scan(one_input, None, (slope, code.T, rest.T))
    dx = dx.T * inside
    return g1, jnp.zeros_like(slope), gain, None, None, None, dx


bag_of_values.defvjp(_values_forward, _values_backward)
