"""Tables out of parameters: every edge on every code, normalised and rounded.

    raw   = f_ij(coordinate of the cell of code k)
    t     = (gamma_j (raw - mean_j) / sqrt(var_j + eps) + beta_j) / sqrt(n_in)   with norm
    entry = round(t * 2**fraction_ij) / 2**fraction_ij

with the moments of output j over all inputs and codes, weighted by the share of events
at each code: what batch normalisation approaches by moving averages, here exact, the
same in training, evaluation and firmware, and already folded into the entries.

The form for XLA takes any edge function; the kernel of `models.native` takes
perceptrons of one hidden layer of tanh, and is several times faster on a CPU because it
evaluates an edge once per cell of its own width instead of once per code.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Integer

from models import native
from models.edges import EdgeFunction, Perceptron, Points
from models.grid import Grid
from models.quantise import LN2, round_to_bits, straight_through
from models.stacks import merged, split

EPSILON = 1e-3
"""Added to variances, as the reference's batch normalisation does."""

Edge = Float[Array, "n_in n_out"]


class Filled(NamedTuple):
    """Tables of a layer, and what the area term wants to know of each edge."""

    entry: Points
    slope: Points
    soft: Edge
    """Greatest minus least entry before rounding."""
    hard: Edge
    """Greatest minus least entry; without gradient."""


class Norm(NamedTuple):
    """Parameters of the normalisation, and the shares of the events at the codes."""

    gamma: Float[Array, " n_out"]
    beta: Float[Array, " n_out"]
    weight: Float[Array, "n_in codes"]


def fill(
    edges: EdgeFunction, address: Edge, fraction: Edge, norm: Norm | None, grid: Grid
) -> Filled:
    """The tables of a layer of leading-bit addresses, in the form of the platform.

    Args:
        edges: Edge functions.
        address: Whole address bits, differentiable (`quantise.whole`).
        fraction: Whole fractional bits of the entries, differentiable.
        norm: Normalisation, or none.
        grid: Coordinates of the codes.
    """
    if (
        isinstance(edges, Perceptron)
        and not edges.inner
        and edges.activation == "tanh"
        and edges.w_in.dtype == jnp.float32
        and native.ready()
    ):
        return by_kernel(edges, address, fraction, norm, grid)
    return by_xla(edges, address, fraction, norm, grid)


def by_xla(
    edges: EdgeFunction, address: Edge, fraction: Edge, norm: Norm | None, grid: Grid
) -> Filled:
    """The tables as plain array operations, differentiated by JAX."""
    width = jax.lax.stop_gradient(address).astype(jnp.int32)
    cell = grid.cell_of(width)
    inputs = jnp.arange(width.shape[0])[:, None, None]
    seen = grid.cell[width[:, None], inputs, cell].astype(address.dtype)
    # A wider address would move the point towards the code's own coordinate: zero in
    # value, the gradient of the address width.
    wider = address - jax.lax.stop_gradient(address)
    point = seen + LN2 * (grid.fine[:, :, None] - seen) * wider[:, None]
    raw, slope = edges.on(point, cell)
    return round_off(raw, slope, fraction, norm, cell)


def normalise(raw: Points, slope: Points, norm: Norm | None) -> tuple[Points, Points]:
    """Entries and slopes behind the normalisation."""
    if norm is None:
        return raw, slope
    n_in = raw.shape[0]
    mean = jnp.einsum("ik,ikj->j", norm.weight, raw) / n_in
    var = jnp.einsum("ik,ikj->j", norm.weight, (raw - mean) ** 2) / n_in
    scale = norm.gamma / jnp.sqrt((var + EPSILON) * n_in)
    return (raw - mean) * scale + norm.beta / jnp.sqrt(n_in), slope * scale


def round_off(
    raw: Points,
    slope: Points,
    fraction: Edge,
    norm: Norm | None,
    cell: Integer[Array, "n_in codes n_out"],
) -> Filled:
    """Normalises and rounds."""
    smooth, slope = normalise(raw, slope, norm)
    entry = round_to_bits(smooth, fraction[:, None])
    hard = jnp.ptp(jax.lax.stop_gradient(entry), axis=1)
    return Filled(entry, jax.lax.stop_gradient(slope), extent(smooth, cell), hard)


def extent(t: Points, cell: Integer[Array, "n_in codes n_out"]) -> Edge:
    """Greatest minus least over the codes.

    The codes of a cell that is an extreme share its gradient.  (That of `jnp.ptp` looks
    for what equals the extreme: nothing may, where a compiler computes `t` twice and
    rounds it in two ways, and then the gradient is not a number.)
    """
    fixed = jax.lax.stop_gradient(t)

    def at(code: Integer[Array, "n_in 1 n_out"]) -> Edge:
        alike = cell == jnp.take_along_axis(cell, code, axis=1)
        mean = jnp.sum(jnp.where(alike, t, 0.0), axis=1) / jnp.sum(alike, axis=1)
        return straight_through(mean, jnp.take_along_axis(fixed, code, axis=1)[:, 0])

    most, least = (
        find(fixed, axis=1, keepdims=True) for find in (jnp.argmax, jnp.argmin)
    )
    return at(most) - at(least)


def by_kernel(
    edges: Perceptron, address: Edge, fraction: Edge, norm: Norm | None, grid: Grid
) -> Filled:
    """The tables by the compiled kernel."""
    n_out = address.shape[1]
    if norm is None:
        one = jnp.ones(n_out, jnp.float32)
        gamma, beta, weight = one, one, grid.weight
    else:
        gamma, beta, weight = norm
    parameters = (edges.w_in, edges.b_in, edges.w_out, edges.b_out)
    constants = (grid.cell, grid.fine, jax.lax.stop_gradient(weight))
    entry, slope, soft, hard = _kernel(
        (norm is not None, grid.bits), parameters, address, fraction, gamma, beta,
        constants,
    )  # fmt: skip
    return Filled(entry, slope, soft, hard)


Static = tuple[bool, tuple[int, ...]]
"""Whether there is a normalisation, and the bits of each input's code."""

Arrays = tuple[Array, ...]


def _call(name: str, shapes: list[tuple[int, ...]], norm: bool, operands: Any):
    @custom_vmap
    def of_stack(*parts: Array) -> tuple[Array, ...]:
        stack = max(part.shape[0] for part in parts)
        like = [jax.ShapeDtypeStruct((stack, *shape), jnp.float32) for shape in shapes]
        return tuple(jax.ffi.ffi_call(name, like)(*parts, norm=int(norm)))

    @of_stack.def_vmap
    def _(size: int, mapped: list[bool], *parts: Array):
        made = of_stack(*merged(size, mapped, parts))
        return tuple(split(size, part) for part in made), (True,) * len(made)

    of_one = of_stack(*(jnp.asarray(part)[None] for part in operands))
    return tuple(part[0] for part in of_one)


def _forward(
    static: Static,
    parameters: Arrays,
    address: Edge,
    fraction: Edge,
    gamma: Array,
    beta: Array,
    constants: Arrays,
):
    norm, bits = static
    cell, fine, weight = constants
    n_in, n_out = address.shape
    codes = fine.shape[1]
    grid_shape, edge = (n_in, codes, n_out), (n_in, n_out)
    widths = (address.astype(jnp.int32), fraction.astype(jnp.int32))
    shapes = [grid_shape, grid_shape, edge, edge, (n_in, n_out, codes), (2, n_out)]
    own = np.array(bits, np.int32)
    operands = (*parameters, *widths, gamma, beta, cell, weight, own)
    entry, slope, soft, hard, raw, moments = _call(
        "jetlut_tables", shapes, norm, operands
    )
    saved = (parameters, widths, gamma, beta, constants, raw, moments)
    return (entry, slope, soft, hard), saved


def _backward(static: Static, saved: tuple[Any, ...], cotangents: Arrays):
    norm, bits = static
    parameters, widths, gamma, beta, constants, raw, moments = saved
    cell, fine, weight = constants
    dentry, _, dsoft, _ = cotangents
    shapes = [part.shape for part in (*parameters, *widths, gamma, beta)]
    own = np.array(bits, np.int32)
    operands = (
        *(*parameters, *widths, gamma, beta, cell, fine, weight, own),
        *(raw, moments, dentry, dsoft),
    )
    *dparameters, daddress, dfraction, dgamma, dbeta = _call(
        "jetlut_tables_grad", shapes, norm, operands
    )
    none = jax.tree.map(jnp.zeros_like, constants)
    return tuple(dparameters), daddress, dfraction, dgamma, dbeta, none


def _kernel_value(
    static: Static,
    parameters: Arrays,
    address: Edge,
    fraction: Edge,
    gamma: Array,
    beta: Array,
    constants: Arrays,
):
    return _forward(static, parameters, address, fraction, gamma, beta, constants)[0]


_kernel = jax.custom_vjp(_kernel_value, nondiff_argnums=(0,))
_kernel.defvjp(_forward, _backward)
