"""Layers of tables in a row: from the codes of port words to one score per class.

Between two layers a sum saturates at `-reach..reach` and is truncated to the code that
the next layer's tables are addressed by.  Batch normalisation scales the sums to the
reach, so it needs no training of its own.
"""

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int64, Integer, PRNGKeyArray

from models import cost
from models.bag import bag, bag_of_values
from models.grid import Grid, grid_of_sums, grid_of_words
from models.lut_dense import LUTDense, Tables
from models.quantise import LN2, power_of_two


@final
class LUTNetwork(eqx.Module):
    """LUT-Dense layers; the grids beside them are constants."""

    layers: tuple[LUTDense, ...]
    grids: tuple[Grid, ...]
    reach: float = eqx.field(static=True)
    port_bits: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        code: Integer[np.ndarray, "events n_in"],
        port_bits: tuple[int, ...],
        widths: tuple[int, ...],
        *,
        hidden: int = 8,
        most_address: int = 6,
        reach: float = 2.0,
        key: PRNGKeyArray,
    ):
        """Builds the network of HGQ-LUT: batch normalisation in all layers but the last.

        Args:
            code: Codes of the port words in the training split; they decide where
                the edge functions are evaluated, see `models.grid`.
            port_bits: Width of each port.
            widths: Outputs of each layer; the last is the number of classes.
            hidden: Hidden units of the edge functions.
            most_address: Cap on the address width, in bits.
            reach: Sums inside the network saturate here; a power of two.
            key: Source of the starting values.

        Raises:
            ValueError: There is no layer, or `reach` is not a power of two.
        """
        if not widths:
            raise ValueError("a network needs at least one layer, got widths=()")
        if reach <= 0 or np.log2(reach) % 1:
            raise ValueError(f"reach must be a power of two, got {reach}")
        seen_bits = tuple(min(bits, most_address) for bits in port_bits)
        grid = grid_of_words(leading(code, port_bits, seen_bits), seen_bits)
        layers, grids = [], [grid]
        for n_in, n_out in zip((len(port_bits), *widths[:-1]), widths, strict=True):
            key, layer_key = jr.split(key)
            last = len(layers) == len(widths) - 1
            layers.append(
                LUTDense(
                    n_in,
                    n_out,
                    hidden=hidden,
                    batch_norm=not last,
                    most_address=most_address,
                    address=float(min(most_address, grids[-1].most_bits)),
                    fraction=3.0 if last else 5.0,
                    key=layer_key,
                )
            )
            if not last:
                grids.append(grid_of_sums(n_out, most_address, reach))
        self.layers = tuple(layers)
        self.grids = tuple(grids)
        self.reach = reach
        self.port_bits = tuple(port_bits)

    @property
    def least_fraction(self) -> float:
        """Fractional bits that any sum inside has, so that 0 is within the reach."""
        return float(-np.log2(self.reach))

    def __call__(self, code: Integer[Array, " n_in"]) -> Float[Array, " classes"]:
        """Scores of one event, from the leading bits of its words' codes.

        For a batch, `scores` shares the tables.
        """
        return scores(self, self.tables(), code[None])[0]

    def leading(
        self, code: Integer[np.ndarray, "events n_in"]
    ) -> Int64[np.ndarray, "events n_in"]:
        """The leading bits of the codes of port words: all that an edge may read."""
        return leading(code, self.port_bits, self.grids[0].bits)

    def tables(self) -> tuple[Tables, ...]:
        """All layers on all codes; the only costly part that knows no batch."""
        return tuple(
            layer.tables(grid)
            for layer, grid in zip(self.layers, self.grids, strict=True)
        )

    def within_caps(self) -> "LUTNetwork":
        """The network with all widths moved back into what they may be."""
        pairs = zip(self.layers, self.grids, strict=True)
        layers = tuple(layer.within_caps(grid) for layer, grid in pairs)
        return eqx.tree_at(lambda n: n.layers, self, layers)


def leading(
    code: Integer[np.ndarray, "events n_in"],
    bits: tuple[int, ...],
    kept: tuple[int, ...],
) -> Int64[np.ndarray, "events n_in"]:
    """Codes of `bits` truncated to the `kept` leading ones, input by input."""
    return code.astype(np.int64) >> (np.array(bits) - np.array(kept))


def code_of_sum(
    y: Float[Array, "*batch units"],
    bits: int,
    reach: float,
    fraction: Float[Array, " units"],
) -> Integer[Array, "*batch units"]:
    """The code of a sum: truncated to `2**bits` steps over `-reach..reach`, saturating.

    A sum saturates at the last multiple of its own LSB, `2**-fraction`, below the
    reach.  So a code has never more bits than the sum tells apart, and the firmware can
    leave out those below.
    """
    half = 2 ** (bits - 1)
    top = reach - 1 / power_of_two(fraction)
    k = jnp.floor(jnp.minimum(y, top) * (half / reach)) + half
    return jnp.clip(k, 0, 2 * half - 1).astype(jnp.int32)


def scores(
    network: LUTNetwork,
    tables: tuple[Tables, ...],
    code: Integer[Array, "batch n_in"],
) -> Float[Array, "batch classes"]:
    """Scores of a batch, exact sums of table entries, with the gradients of training.

    Args:
        network: For the grids between the layers.
        tables: `network.tables()`.
        code: Leading bits of the port words' codes (`LUTNetwork.leading`).
    """
    y = bag(tables[0].entry, code)
    for before, of_layer, grid in zip(
        tables, tables[1:], network.grids[1:], strict=False
    ):
        k = code_of_sum(
            jax.lax.stop_gradient(y),
            grid.most_bits,
            network.reach,
            before.sum_fraction(network.least_fraction),
        )
        units = jnp.arange(k.shape[1])
        value = jax.lax.stop_gradient(y)
        inside = (jnp.abs(value) <= network.reach).astype(y.dtype)
        # Saturated first: what lies beyond the reach asks for no finer steps.
        rest = jnp.clip(value, -network.reach, network.reach) - grid.fine[units, k]
        gain = LN2 * (of_layer.address - jax.lax.stop_gradient(of_layer.address))
        y = bag_of_values(of_layer.entry, of_layer.slope, gain, k, rest, inside, y)
    return y


def luts(tables: tuple[Tables, ...]) -> Float[Array, ""]:
    """The area term: LUTs of all layers."""
    return sum(map(cost.luts, tables), start=jnp.zeros(()))


def trainable(network: LUTNetwork) -> LUTNetwork:
    """A tree of booleans for `eqx.partition`: the layers train, the grids do not."""
    spec = jax.tree.map(eqx.is_inexact_array, network)
    frozen = jax.tree.map(lambda _: False, network.grids)
    return eqx.tree_at(lambda n: n.grids, spec, frozen)
