"""LUT-Dense: every input feeds every output through its own trained one-input table.

    y[j] = sum_i round( BN_j( f_ij( cell_ij(x[i]) ) ) )

The edge function `f_ij` is a network of one scalar in and one scalar out, `d` hidden
units with tanh between (HGQ-LUT, Sun et al., arXiv 2604.22293).  It is evaluated once
per code and step, never on the batch: what the batch looks up are the tables, and the
tables are what the firmware holds.

Each edge trains two widths.  `address` is how many leading bits of its input it reads;
at 0 bits it is a constant, which ends in the bias.  `fraction` is the number of
fractional bits of its entries; where they all round to one value the edge is gone too.
"""

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from models.grid import Grid
from models.quantise import LN2, round_to_bits, whole

BN_EPSILON = 1e-3
MOST_FRACTION = 10.0


@final
class Tables(eqx.Module):
    """A layer evaluated on every code: all that a batch needs to know of it."""

    entry: Float[Array, "n_in codes n_out"]
    """Quantised table entries; forward values are exactly the firmware's."""
    slope: Float[Array, "n_in codes n_out"]
    """Derivative of the unrounded entry with respect to the coordinate."""
    address: Float[Array, "n_in n_out"]
    """Whole address bits of each edge, differentiable."""
    fraction: Float[Array, "n_in n_out"]
    """Whole fractional bits of each edge's entries, differentiable."""
    smooth: Float[Array, "n_in codes n_out"]
    """Entries before rounding, for the area term."""

    def sum_fraction(self, least: float = 0.0) -> Float[Array, " n_out"]:
        """Fractional bits of the sums: the most that a nonzero entry brings.

        Args:
            least: Result for a sum without a fraction.
        """
        used = jnp.any(self.entry != 0, axis=1)
        most = jnp.max(jnp.where(used, self.fraction, least), axis=0)
        return jax.lax.stop_gradient(jnp.maximum(most, least))


@final
class LUTDense(eqx.Module):
    """Trainable tables from `n_in` codes to `n_out` sums."""

    w1: Float[Array, "n_in n_out hidden"]
    b1: Float[Array, "n_in n_out hidden"]
    w2: Float[Array, "n_in n_out hidden"]
    b2: Float[Array, "n_in n_out"]
    address: Float[Array, "n_in n_out"]
    fraction: Float[Array, "n_in n_out"]
    gamma: Float[Array, " n_out"] | None
    beta: Float[Array, " n_out"] | None
    most_address: int = eqx.field(static=True)

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        hidden: int = 8,
        batch_norm: bool,
        most_address: int,
        address: float,
        fraction: float,
        gain: float = 1.0,
        key: PRNGKeyArray,
    ):
        """Draws edge functions that are smooth and of order one.

        Args:
            n_in: Inputs.
            n_out: Outputs.
            hidden: Hidden units per edge; costs nothing in the firmware.
            batch_norm: Normalise the entries of each output over events and inputs.
            most_address: Cap on the address width of an edge, in bits.
            address: Starting address width, in bits.
            fraction: Starting fractional bits of the entries.
            gain: Scale of the edge functions at the start.
            key: Source of the starting values.

        Raises:
            ValueError: A size is not positive, or the starting width is above the cap.
        """
        if min(n_in, n_out, hidden, most_address) < 1:
            raise ValueError(
                f"n_in={n_in}, n_out={n_out}, hidden={hidden} and "
                f"most_address={most_address} must be at least 1"
            )
        if not 0 <= address <= most_address:
            raise ValueError(
                f"an edge starts with 0..{most_address} address bits, got {address}"
            )
        k1, k2, k3, k4, k5 = jr.split(key, 5)
        edges = (n_in, n_out)
        self.w1 = jr.normal(k1, (*edges, hidden))
        self.b1 = jr.normal(k2, (*edges, hidden))
        self.w2 = gain * jr.normal(k3, (*edges, hidden)) / jnp.sqrt(hidden * n_in)
        self.b2 = jnp.zeros(edges)
        # Widths spread by under a bit, so that edges do not all lose a bit at once.
        self.address = address - 0.49 + 0.9 * jr.uniform(k4, edges)
        self.fraction = fraction - 0.49 + 0.9 * jr.uniform(k5, edges)
        self.gamma = jnp.ones(n_out) if batch_norm else None
        self.beta = jnp.zeros(n_out) if batch_norm else None
        self.most_address = most_address

    def tables(self, grid: Grid) -> Tables:
        """Evaluates every edge on every code of its input.

        Batch normalisation takes its moments per output, over inputs and over codes
        weighted by `grid.weight`.  For port words these are the frequencies in the
        training split: the moments over all its events, as HGQ-LUT approaches them by
        moving averages, but exact, the same in training and in evaluation, and already
        folded into the entries.
        """
        own = jnp.asarray(grid.bits, self.address.dtype)
        most = jnp.minimum(own, self.most_address)[:, None]
        address = whole(self.address, most)
        fraction = whole(self.fraction, MOST_FRACTION)
        width = jax.lax.stop_gradient(address).astype(jnp.int32)
        inputs = jnp.arange(width.shape[0])[:, None]
        cell = grid.cell[width, inputs].swapaxes(1, 2)  # (n_in, codes, n_out)
        # A wider address would move the point towards the code's own coordinate: zero
        # in value, the gradient of the address width.
        wider = address - jax.lax.stop_gradient(address)
        point = cell + LN2 * (grid.fine[:, :, None] - cell) * wider[:, None]

        def edge(
            u: Float[Array, "n_in codes n_out"],
        ) -> Float[Array, "n_in codes n_out"]:
            h = jnp.tanh(u[..., None] * self.w1[:, None] + self.b1[:, None])
            return jnp.einsum("ikjd,ijd->ikj", h, self.w2) + self.b2[:, None]

        raw, slope = jax.jvp(edge, (point,), (jnp.ones_like(point),))
        if self.gamma is not None and self.beta is not None:
            n_in = raw.shape[0]
            mean = jnp.einsum("ik,ikj->j", grid.weight, raw) / n_in
            var = jnp.einsum("ik,ikj->j", grid.weight, (raw - mean) ** 2) / n_in
            scale = self.gamma / jnp.sqrt((var + BN_EPSILON) * n_in)
            raw = (raw - mean) * scale + self.beta / jnp.sqrt(n_in)
            slope = slope * scale
        slope = jax.lax.stop_gradient(slope)
        entry = round_to_bits(raw, fraction[:, None])
        return Tables(entry, slope, address, fraction, raw)

    def within_caps(self, grid: Grid) -> "LUTDense":
        """The layer with its widths moved back into what they may be.

        A width may go half a bit beyond, where it still rounds to its bound, so that
        its gradient can bring it back.
        """
        most = jnp.minimum(
            jnp.asarray(grid.bits, self.address.dtype), self.most_address
        )
        return eqx.tree_at(
            lambda layer: (layer.address, layer.fraction),
            self,
            (
                jnp.clip(self.address, -0.49, most[:, None] + 0.49),
                jnp.clip(self.fraction, -0.49, MOST_FRACTION + 0.49),
            ),
        )
