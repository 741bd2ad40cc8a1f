"""LUT-Dense written out on the batch: the reference for values and gradients.

Everything the engine folds into table space stands here in full, with arrays of shape
(batch, n_in, n_out, hidden), as the formulas are written in the papers.  It shares no
code with `models` but the parameters, and `jax.grad` differentiates it by itself.
"""

import jax
import jax.numpy as jnp

LN2 = 0.6931471805599453


def constant(x):
    """A value without a gradient."""
    return jax.lax.stop_gradient(x)


def with_gradient(value, *terms):
    """`value` forward; backward the sum of `factor * d variable` over the terms."""
    for factor, variable in terms:
        value = value + constant(factor) * (variable - constant(variable))
    return value


def layer(lut, x, coordinate, address):
    """Sums of the edges of one layer for a batch.

    Args:
        lut: The layer; only its parameters are used.
        x: Values that carry the gradient to the layer before, `(batch, n_in)`.
        coordinate: Function of the whole widths that gives what each edge sees and
            what it would see unquantised, both `(batch, n_in, n_out)`, and the mask
            of the gradient to `x`.
        address: Largest width of each input.
    """
    width = jnp.round(jnp.clip(lut.address, 0, address[:, None]))
    seen, exact, inside = coordinate(constant(width))
    u = with_gradient(
        seen,
        (LN2 * (exact - seen), lut.address),
        (inside, jnp.broadcast_to(x[:, :, None], seen.shape)),
    )
    hidden = jnp.tanh(u[..., None] * lut.w1 + lut.b1)
    t = jnp.sum(hidden * lut.w2, axis=-1) + lut.b2
    if lut.gamma is not None:
        mean = jnp.mean(t, axis=(0, 1))
        var = jnp.var(t, axis=(0, 1))
        t = (lut.gamma * (t - mean) / jnp.sqrt(var + 1e-3) + lut.beta) / jnp.sqrt(
            t.shape[1]
        )
    step = 2.0 ** -constant(jnp.round(lut.fraction))
    rounded = jnp.round(t / step) * step
    t = with_gradient(rounded, (jnp.ones(()), t), (LN2 * (t - rounded), lut.fraction))
    return jnp.sum(t, axis=1)


def scores(network, code):
    """Scores of a batch of codes, in full."""
    grid = network.grids[0]
    inputs = jnp.arange(code.shape[1])
    fine = grid.fine[inputs, code]

    def of_words(width):
        w = width.astype(int)[None]
        seen = grid.cell[w, inputs[None, :, None], code[:, :, None]]
        return seen, jnp.broadcast_to(fine[:, :, None], seen.shape), jnp.zeros(())

    y = layer(network.layers[0], fine, of_words, jnp.asarray(cap(network, 0)))
    for n, lut in enumerate(network.layers[1:], start=1):
        value = constant(y)
        reach = network.reach
        clipped = jnp.clip(value, -reach, reach)[:, :, None]
        # The LSB of the sums; edges of all zeros do not have the finest here.
        lsb = 2.0 ** -jnp.max(jnp.round(network.layers[n - 1].fraction), axis=0)

        def of_sums(width, clipped=clipped, value=value, reach=reach, lsb=lsb):
            step = 2 * reach / 2.0**width
            top = jnp.minimum(clipped, (reach - constant(lsb))[:, None])
            seen = jnp.clip(jnp.floor(top / step) * step, -reach, reach - step)
            seen = seen + step / 2
            inside = (jnp.abs(value) <= reach)[:, :, None]
            return seen, jnp.broadcast_to(clipped, seen.shape), inside * jnp.ones(())

        y = layer(lut, y, of_sums, jnp.asarray(cap(network, n)))
    return y


def cap(network, n):
    """Largest address width of each input of layer `n`."""
    most = network.layers[n].most_address
    return [float(min(most, bits)) for bits in network.grids[n].bits]
