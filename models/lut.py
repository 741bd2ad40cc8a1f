"""LUT-Dense: every input feeds every output through its own trained one-input table.

    y[j] = sum_i round( BN_j( f_ij( cell_ij(x[i]) ) ) )

(HGQ-LUT, Sun et al., arXiv 2604.22293.)  The edge functions are evaluated once per code
and step, never on the batch: what the batch looks up are the tables, and the tables are
what the firmware holds.

Each edge trains two widths.  `address` is how many leading bits of its input it reads;
at 0 bits it is a constant, which ends in the bias.  `fraction` is the number of
fractional bits of its entries; where they all round to one value the edge is gone too.
"""

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from models import forms
from models.edges import Direct, EdgeFunction, Perceptron, direct, random_direct
from models.layer import Layer
from models.quantise import LN2, whole
from models.reading import Reading, Words, check_codes
from models.statistic import Statistic
from models.tables import Tables
from trigger.errors import UserError

MOST_FRACTION = 10.0


@final
class LUTDense(Layer):
    """Trainable tables from `n_in` codes to `n_out` sums."""

    edges: EdgeFunction
    address: Float[Array, "n_in n_out"]
    fraction: Float[Array, "n_in n_out"]
    gamma: Float[Array, " n_out"] | None
    beta: Float[Array, " n_out"] | None
    occupancy: Statistic | None
    reading: Reading
    most_address: int = eqx.field(static=True)
    reach: float | None = eqx.field(static=True)
    places: int = eqx.field(static=True)

    def __init__(
        self,
        reading: Reading,
        n_out: int,
        *,
        hidden: int = 8,
        depth: int = 1,
        activation: str = "tanh",
        tables: str = "perceptron",
        batch_norm: bool = True,
        reach: float | None = None,
        address: float | None = None,
        fraction: float = 4.0,
        gain: float = 1.0,
        places: int = 1,
        key: PRNGKeyArray,
    ):
        """Draws edge functions that are smooth and of order one.

        Args:
            reading: How the inputs are read; its codes cap the address width.
            n_out: Outputs.
            hidden: Hidden units per edge; costs nothing in the firmware.
            depth: Hidden layers of the edge functions.
            activation: Of the edge functions.
            tables: "perceptron", or "direct" for entries that are parameters.
            batch_norm: Normalise the entries of each output over events and inputs.
            reach: Sums saturate at `-reach..reach`, a power of two; none if they leave
                the block or something else quantises them.
            address: Starting address width, in bits; the cap if not given.
            fraction: Starting fractional bits of the entries.
            gain: Scale of the edge functions at the start.
            places: Positions of an example that the tables are built for: they train
                once and are paid for at each.
            key: Source of the starting values.

        Raises:
            UserError: A size is not positive, the starting width is above the cap, the
                reach is no power of two, or the tables would not fit into memory.
        """
        n_in, most = reading.grid.fine.shape[0], reading.grid.most_bits
        address = float(most) if address is None else address
        if n_out < 1 or places < 1:
            raise UserError(
                f"a layer has at least 1 output and 1 place, got {n_out} and {places}"
            )
        if not 0 <= address <= most:
            raise UserError(
                f"an edge starts with 0..{most} address bits, got {address}"
            )
        if reach is not None and (reach <= 0 or np.log2(reach) % 1):
            raise UserError(f"reach must be a power of two, got {reach}")
        if tables not in ("perceptron", "direct"):
            raise UserError(f"tables are 'perceptron' or 'direct', got {tables!r}")
        check_codes(n_in, most, n_out)
        k1, k2, k3 = jr.split(key, 3)
        edges = (n_in, n_out)
        if tables == "direct":
            self.edges = random_direct(reading.grid, n_out, gain=gain, key=k1)
        else:
            self.edges = Perceptron(
                *edges, hidden=hidden, depth=depth, activation=activation,
                gain=gain, key=k1,
            )  # fmt: skip
        # Widths spread by under a bit, so that edges do not all lose a bit at once.
        self.address = address - 0.49 + 0.9 * jr.uniform(k2, edges)
        self.fraction = fraction - 0.49 + 0.9 * jr.uniform(k3, edges)
        self.gamma = jnp.ones(n_out) if batch_norm else None
        self.beta = jnp.zeros(n_out) if batch_norm else None
        watched = batch_norm and not isinstance(reading, Words)
        self.occupancy = Statistic(reading.grid.weight) if watched else None
        self.reading = reading
        self.most_address = most
        self.reach = reach
        self.places = places

    def evaluated(self) -> Tables:
        """Evaluates every edge on every code of its input."""
        grid = self.reading.grid
        own = jnp.asarray(grid.bits, self.address.dtype)[:, None]
        address = whole(self.address, jnp.minimum(own, self.most_address))
        fraction = whole(self.fraction, MOST_FRACTION)
        norm = None
        if self.gamma is not None and self.beta is not None:
            norm = forms.Norm(self.gamma, self.beta, self._weight())
        filled = forms.fill(self.edges, address, fraction, norm, grid)
        seen = None if self.occupancy is None else self.occupancy.value
        finer = LN2 * (address - jax.lax.stop_gradient(address))
        return Tables(
            *(filled, address, fraction, finer, seen),
            *(self.reading, self.reach, self.places),
        )

    def _weight(self) -> Float[Array, "n_in codes"]:
        """Shares of the events at the codes, known or observed."""
        if self.occupancy is None:
            return self.reading.grid.weight
        return shares(self.occupancy.value)

    def within_caps(self) -> "LUTDense":
        """The layer with its widths moved back into what they may be.

        A width may go half a bit beyond, where it still rounds to its bound, so that
        its gradient can bring it back.
        """
        own = jnp.asarray(self.reading.grid.bits, self.address.dtype)
        most = jnp.minimum(own, self.most_address)
        return eqx.tree_at(
            lambda layer: (layer.address, layer.fraction),
            self,
            (
                jnp.clip(self.address, -0.49, most[:, None] + 0.49),
                jnp.clip(self.fraction, -0.49, MOST_FRACTION + 0.49),
            ),
        )

    def to_direct(self) -> "LUTDense":
        """The same layer with its entries as parameters; no entry changes.

        What an edge answers to a cell becomes the entry of every code in it, so that
        the mean over the cell is the same.
        """
        if isinstance(self.edges, Direct):
            return self
        grid = self.reading.grid
        own = jnp.asarray(grid.bits, self.address.dtype)[:, None]
        width = whole(self.address, jnp.minimum(own, self.most_address)).astype(int)
        cell = grid.cell_of(width)
        inputs = jnp.arange(width.shape[0])[:, None, None]
        values, _ = self.edges.on(grid.cell[width[:, None], inputs, cell], cell)
        return eqx.tree_at(lambda layer: layer.edges, self, direct(values, grid))


def shares(occupancy: Float[Array, "n_in codes"]) -> Float[Array, "n_in codes"]:
    """Weights of the codes in moments, from an observed occupancy."""
    seen = jax.lax.stop_gradient(occupancy)
    # Every code keeps a little, so that no moment ever hangs on a single one.
    seen = seen + 1e-3 / seen.shape[1]
    return seen / jnp.sum(seen, axis=1, keepdims=True)
