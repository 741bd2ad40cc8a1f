"""Layers of tables written out on the batch: the reference for values and gradients.

Everything the engine folds into table space stands here in full, with arrays of shape
(batch, n_in, n_out, hidden), as the formulas are written in the papers.  It shares no
code with `models` but the parameters, and `jax.grad` differentiates it by itself.

Moments of the normalisation are those of the batch.  In this project they are functions
of the codes, so a batch enters them by the points of its codes and without a gradient,
and every code once more with a weight of 1e-3 (`models.lut`).  Rows beyond the batch
hold these codes.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import reference_quantiser as reference

LN2 = 0.6931471805599453
ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": lambda x: jnp.maximum(x, 0),
    "silu": jax.nn.silu,
}


def quickly(fun):
    """`fun` compiled without optimisations: it runs once, and compiling is what takes time."""
    known = {}

    def call(*args):
        moving, fixed = eqx.partition(args, eqx.is_array)
        leaves, tree = jax.tree.flatten(fixed)
        key = (tree, tuple(leaves))
        if key not in known:
            known[key] = jax.jit(
                lambda moving: fun(*eqx.combine(moving, fixed)),
                compiler_options={"xla_backend_optimization_level": 0},
            )
        return known[key](moving)

    return call


def assert_close(got, expected, most):
    """Leaf by leaf: within `most` of its largest number, or of 1 where terms cancel."""
    expected = dict(jax.tree_util.tree_leaves_with_path(expected))
    for path, a in jax.tree_util.tree_leaves_with_path(got):
        b = np.asarray(expected[path])
        worst = np.max(np.abs(np.asarray(a) - b), initial=0.0)
        where = f"{jax.tree_util.keystr(path)} differs by {worst}"
        assert worst <= most * np.max(np.abs(b), initial=1.0), where


def in_float64(tree):
    """Floats as float64; within `jax.enable_x64`."""

    def one(leaf):
        return leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(one, tree)


def constant(x):
    """A value without a gradient."""
    return jax.lax.stop_gradient(x)


def with_gradient(value, *terms):
    """`value` forward; backward the sum of `factor * d variable` over the terms."""
    for factor, variable in terms:
        value = value + constant(factor) * (variable - constant(variable))
    return value


def perceptron(edges, u):
    """Every edge function on what it sees, `(batch, n_in, n_out)`."""
    act = ACTIVATIONS[edges.activation]
    h = act(u[..., None] * edges.w_in + edges.b_in)
    for w, b in edges.inner:
        h = act(jnp.sum(h[..., :, None] * w, axis=-2) + b)
    return jnp.sum(h * edges.w_out, axis=-1) + edges.b_out


def direct(edges, u, code, first, size, fine, own):
    """Means over the codes of the cells that begin at `first` and have `size` codes."""
    inputs, codes = jnp.arange(code.shape[1]), edges.value.shape[1]
    k = jnp.arange(codes)
    cell = (k >= first[..., None]) & (k < (first + size)[..., None])
    of_code = jnp.moveaxis(edges.value, 1, 2)
    mean = jnp.sum(cell * of_code, axis=-1) / jnp.sum(cell, axis=-1)
    ahead, behind = jnp.minimum(code + 1, codes - 1), jnp.maximum(code - 1, 0)
    run = fine[inputs, ahead] - fine[inputs, behind]
    run = jnp.where(jnp.abs(run) < 1e-3, 1e-3, run)[..., None]
    slope = (edges.value[inputs, ahead] - edges.value[inputs, behind]) / run
    end = (code == 0) | (code == own - 1)
    return with_gradient(mean, (jnp.where(end[..., None], 0, slope), u))


def normalised(t, moments_of, weight, gamma, beta):
    """Batch normalisation over events and inputs, and the division by `sqrt(n_in)`."""
    n_in = t.shape[1]
    mean = jnp.einsum("b,bij->j", weight, moments_of) / n_in
    var = jnp.einsum("b,bij->j", weight, (moments_of - mean) ** 2) / n_in
    return (gamma * (t - mean) / jnp.sqrt(var + 1e-3) + beta) / jnp.sqrt(n_in)


def weights(batch, codes):
    """Of the rows in the moments: a batch, then every code if `codes` is not 0."""
    weight = jnp.ones(batch) / batch
    return (
        jnp.append(weight, jnp.full(codes, 1e-3 / codes)) / 1.001 if codes else weight
    )


def rounded(t, fraction):
    """Entries to multiples of `2**-fraction`, ties to even, with HGQ's surrogates."""
    step = 2.0 ** -constant(jnp.round(fraction))
    near = jnp.round(t / step) * step
    return with_gradient(near, (jnp.ones((), t.dtype), t), (LN2 * (t - near), fraction))


def lut_dense(lut, x):
    """Sums of a `models.lut.LUTDense` for a batch; beside them the codes that it saw."""
    grid, reads_words = lut.reading.grid, not hasattr(lut.reading, "span")
    batch, n_in = x.shape
    own = jnp.asarray(grid.bits)
    codes = 2 ** max(grid.bits)
    codes_of = 2**own
    inputs = jnp.arange(n_in)
    value = constant(x)
    fine_step, clipped = 0.0, value
    if reads_words:
        r = lut.reading
        drop = jnp.asarray(r.bits) - own
        code = (value.astype(int) - jnp.asarray(r.lowest)) // 2**drop
        inside = jnp.zeros((batch, n_in, 1))
    else:
        low, high = lut.reading.low, lut.reading.low + lut.reading.span
        fine_step = lut.reading.span / codes
        clipped = jnp.clip(value, low, high)
        code = jnp.clip(jnp.floor((clipped - low) / fine_step), 0, codes - 1)
        code = code.astype(int)
        inside = ((value >= low) & (value <= high)).astype(x.dtype)[:, :, None]
    every = jnp.minimum(jnp.arange(codes)[:, None], 2**own - 1)
    rows = jnp.concatenate([code, every])
    # What each edge sees of a code: its leading bits.
    width = jnp.round(jnp.clip(lut.address, 0, own[:, None]))
    width = constant(width).astype(int)
    size = 2 ** (own[:, None] - width)
    cell = rows[:, :, None] // size
    fine = grid.fine[inputs, rows][:, :, None]
    if reads_words:
        seen = grid.cell[width, inputs[:, None], cell]
        exact = fine
    else:
        seen = lut.reading.low + (cell + 0.5) * size * fine_step
        exact = jnp.concatenate([clipped[:, :, None], fine[batch:]])

    def entries(exact, of_x):
        u = with_gradient(seen, (LN2 * (exact - seen), lut.address))
        of_batch = u[:batch]
        if of_x:
            of_batch = with_gradient(of_batch, (inside, x[:, :, None]))
        u = jnp.concatenate([of_batch, u[batch:]])
        if hasattr(lut.edges, "value"):
            return direct(lut.edges, u, rows, cell * size, size, grid.fine, codes_of)
        return perceptron(lut.edges, u)

    t = entries(exact, not reads_words)
    if lut.gamma is not None:
        of_codes = entries(fine, False)
        known = codes if lut.occupancy is not None else 0
        weight = weights(batch, known)
        t = normalised(t, of_codes[: batch + known], weight, lut.gamma, lut.beta)
    t = rounded(t, lut.fraction)
    y = jnp.sum(t[:batch], axis=1)
    if lut.reach is not None:
        used = jnp.any(constant(t[batch:]) != 0, axis=0)
        bits = jnp.where(used, jnp.round(lut.fraction), -jnp.log2(lut.reach))
        lsb = 2.0 ** -constant(jnp.max(bits, axis=0))
        fits = (constant(y) >= -lut.reach) & (constant(y) <= lut.reach)
        kept = jnp.clip(constant(y), -lut.reach, lut.reach - lsb)
        y = with_gradient(kept, (fits, y))
    return y, code


def quantised_lut_dense(lut, x):
    """The same for a `models.lut_quantised.QuantisedLUTDense`; without any codes."""
    batch = len(x)
    every = finest_points(lut)
    grid = jnp.broadcast_to(every[:, None], (len(every), x.shape[1]))
    of_codes = jnp.concatenate([nearest_points(lut, constant(x)), grid])

    def entries(rows):
        return perceptron(
            lut.edges, quantise(lut.iq, rows[:, :, None], lut.edges.b_out)
        )

    t = entries(jnp.concatenate([x, grid]))
    if lut.gamma is not None:
        weight = weights(batch, len(every))
        t = normalised(t, entries(of_codes), weight, lut.gamma, lut.beta)
    t = quantise(lut.toq, t, lut.edges.b_out)
    return jnp.sum(t[:batch], axis=1), t[batch:]


def quantise(q, x, edges):
    """A quantiser by `reference_quantiser`, for values of all edges."""
    range_of = q.integer.value if q.overflow == "WRAP" else q.integer
    integer = constant(range_of) if q.overflow == "WRAP" else range_of
    x = jnp.broadcast_to(x, (len(x), *edges.shape))
    y = reference.quantise(
        x, integer, q.width, q.form, q.signed, q.rounding, q.overflow
    )
    if q.form == "kbi" and q.overflow == "WRAP":  # no bits at all: removed
        y = jnp.where(jnp.round(q.width) > 0, y, y - constant(y))
    return y


def finest_points(lut, seen=True):
    """The points of all codes of the finest grid, and one more at either end.

    Those at the ends are `seen` by a "WRAP" as the last on the grid.
    """
    halves = {"TRN": 0, "RND": 1, "RND_CONV": 2}[lut.iq.rounding]
    step = 2.0 ** -(lut.most_fraction + halves)
    top = 2.0**lut.most_integer
    low = -top if lut.iq.signed else 0.0
    points = jnp.arange(round((top - low) / step) + 2) * step + low - step
    if seen and lut.iq.overflow == "WRAP":
        points = jnp.clip(points, low, top - step)
    return points


def nearest_points(lut, x):
    """The point of the code of each value: below it, or between ties."""
    points = finest_points(lut)
    scale = 2.0 ** (lut.most_fraction + (lut.iq.rounding != "TRN"))
    point = jnp.floor(x * scale) / scale
    if lut.iq.rounding == "RND_CONV":
        point = (point + jnp.ceil(x * scale) / scale) / 2
    return jnp.clip(point, points[0], points[-1])


def patches(x, kernel, stride, padding):
    """Patches of a batch by XLA, of shape `(batch, *space, *kernel, channels)`, flat."""
    rank = len(kernel)
    axes = "NHWC" if rank == 2 else "NHC"
    numbers = (axes, "HWIO" if rank == 2 else "HIO", axes)
    cut = jax.lax.conv_general_dilated_patches(
        x, kernel, stride, padding.upper(), dimension_numbers=numbers
    )
    # XLA has the channels before the kernel.
    lead, channels = cut.shape[:-1], x.shape[-1]
    return jnp.moveaxis(cut.reshape(*lead, channels, -1), -2, -1).reshape(*lead, -1)
