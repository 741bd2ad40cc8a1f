"""Edge functions: what a table holds before it is rounded.

An edge function takes the coordinate of a code and answers with the entry.  Two kinds:

- `Perceptron`, a small network of one scalar in and one scalar out per edge, as in
  HGQ-LUT (Sun et al., arXiv 2604.22293): smooth, and the same at every address width;
- `Direct`, whose entries are the parameters themselves: free of any shape.  An edge of
  a narrow address answers with the mean over the codes of its cell, so that widths nest.

`to_direct` turns the first into the second in mid-training without changing an entry.
"""

from abc import abstractmethod
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from models.grid import Grid
from models.statistic import Constant
from trigger.errors import UserError

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "silu": jax.nn.silu}

Points = Float[Array, "n_in codes n_out"]


class EdgeFunction(eqx.Module):
    """One function per edge, all evaluated on all codes at once."""

    @abstractmethod
    def on(
        self, point: Points, cell: Integer[Array, "n_in codes n_out"]
    ) -> tuple[Points, Points]:
        """Values and slopes.

        Args:
            point: Coordinate that each edge sees for each code of its input.
            cell: Number of the cell of that code; codes of one cell get one value.
        """

    @abstractmethod
    def roughness(self) -> Float[Array, ""]:
        """What a prior of smoothness charges; zero for functions that are smooth."""


@final
class Perceptron(EdgeFunction):
    """A multilayer perceptron per edge, `1 -> hidden -> ... -> hidden -> 1`."""

    w_in: Float[Array, "n_in n_out hidden"]
    b_in: Float[Array, "n_in n_out hidden"]
    inner: tuple[
        tuple[
            Float[Array, "n_in n_out hidden hidden"], Float[Array, "n_in n_out hidden"]
        ],
        ...,
    ]
    w_out: Float[Array, "n_in n_out hidden"]
    b_out: Float[Array, "n_in n_out"]
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        hidden: int = 8,
        depth: int = 1,
        activation: str = "tanh",
        gain: float = 1.0,
        key: PRNGKeyArray,
    ):
        """Draws functions that are smooth and of order `gain / sqrt(n_in)`.

        Args:
            n_in: Inputs.
            n_out: Outputs.
            hidden: Hidden units per edge and layer; they cost nothing in firmware.
            depth: Hidden layers.
            activation: "tanh", "relu" or "silu".
            gain: Scale at the start.
            key: Source of the starting values.

        Raises:
            UserError: A size is not positive or the activation is unknown.
        """
        if min(n_in, n_out, hidden, depth) < 1:
            raise UserError(
                f"edge functions need n_in={n_in}, n_out={n_out}, hidden={hidden} and "
                f"depth={depth} to be at least 1"
            )
        if activation not in ACTIVATIONS:
            raise UserError(
                f"no activation {activation!r} for edge functions; there are "
                f"{', '.join(ACTIVATIONS)}"
            )
        k1, k2, k3, *rest = jr.split(key, 3 + depth)
        edges = (n_in, n_out)
        self.w_in = jr.normal(k1, (*edges, hidden))
        self.b_in = jr.normal(k2, (*edges, hidden))
        self.inner = tuple(
            (
                jr.normal(k, (*edges, hidden, hidden)) / jnp.sqrt(hidden),
                jnp.zeros((*edges, hidden)),
            )
            for k in rest[1:]
        )
        self.w_out = gain * jr.normal(k3, (*edges, hidden)) / jnp.sqrt(hidden * n_in)
        self.b_out = jnp.zeros(edges)
        self.activation = activation

    def on(
        self, point: Points, cell: Integer[Array, "n_in codes n_out"]
    ) -> tuple[Points, Points]:
        """Values and slopes; of the cells only the coordinates matter."""
        del cell
        return jax.jvp(self.at, (point,), (jnp.ones_like(point),))

    def at(self, point: Points) -> Points:
        """Values at coordinates."""
        act = ACTIVATIONS[self.activation]
        h = act(point[..., None] * self.w_in[:, None] + self.b_in[:, None])
        for w, b in self.inner:
            h = act(jnp.einsum("ikjd,ijde->ikje", h, w) + b[:, None])
        return jnp.sum(h * self.w_out[:, None], axis=-1) + self.b_out[:, None]

    def roughness(self) -> Float[Array, ""]:
        """A perceptron is smooth by itself."""
        return jnp.zeros(())


@final
class Direct(EdgeFunction):
    """Entries as parameters, one per code of the widest address."""

    value: Points
    rise: Constant
    """Distance of the coordinates of each code's neighbours, `[n_in, codes, 1]`."""
    own: Constant
    """1 where an input has the code, 0 beyond a narrow one, `[n_in, codes, 1]`."""

    def on(
        self, point: Points, cell: Integer[Array, "n_in codes n_out"]
    ) -> tuple[Points, Points]:
        """Means over cells; the slope of the interpolated means for the gradients."""
        n_in, _, n_out = self.value.shape
        i, j = jnp.arange(n_in)[:, None, None], jnp.arange(n_out)
        at, own = (i, cell, j), self.own.value
        sums = jnp.zeros_like(self.value).at[at].add(self.value * own)
        count = jnp.zeros_like(self.value).at[at].add(jnp.broadcast_to(own, cell.shape))
        means = (sums / jnp.maximum(count, 1.0))[at]
        ahead = jnp.roll(jax.lax.stop_gradient(self.value), -1, axis=1)
        behind = jnp.roll(jax.lax.stop_gradient(self.value), 1, axis=1)
        inner = own * jnp.roll(own, -1, axis=1).at[:, -1].set(0).at[:, 0].set(0)
        slope = jnp.where(inner > 0, (ahead - behind) / self.rise.value, 0.0)
        # What moves the coordinate moves the entry along the slope.
        moved = slope * (point - jax.lax.stop_gradient(point))
        return means + moved, slope

    def roughness(self) -> Float[Array, ""]:
        """Mean square of the second differences along the codes."""
        value = self.value  # counted from behind: layers may stack edge functions
        if value.shape[-2] < 3:
            return jnp.zeros(())
        bend = value[..., 2:, :] - 2 * value[..., 1:-1, :] + value[..., :-2, :]
        return jnp.mean(jnp.sum(bend**2, axis=-2))


def direct(values: Points, grid: Grid) -> Direct:
    """Direct tables that start from given entries per code."""
    fine = grid.fine[:, :, None]
    rise = jnp.roll(fine, -1, axis=1) - jnp.roll(fine, 1, axis=1)
    rise = jnp.where(jnp.abs(rise) < 1e-3, 1e-3, rise)
    codes = jnp.arange(grid.fine.shape[1])
    own = (codes < 2 ** jnp.array(grid.bits)[:, None])[:, :, None]
    return Direct(values, Constant(rise), Constant(own.astype(values.dtype)))


def random_direct(
    grid: Grid, n_out: int, *, gain: float = 1.0, key: PRNGKeyArray
) -> Direct:
    """Direct tables that start as random straight lines in the coordinate."""
    n_in = grid.fine.shape[0]
    tilt = gain * jr.normal(key, (n_in, 1, n_out)) / jnp.sqrt(n_in)
    return direct(tilt * grid.fine[:, :, None], grid)
