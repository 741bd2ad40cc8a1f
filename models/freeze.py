"""From a trained network to integers: the tables of its evaluation pass, read out.

Nothing is computed again.  Entries are multiples of a power of two, so that reading
them as integers is exact; what an edge does not see of a code it must not depend on,
and that is checked.
"""

import numpy as np
from jaxtyping import Int64

from models.evaluate import network_tables, score_fraction, sum_fraction
from models.frozen import (
    FrozenNetwork,
    FrozenPort,
    FrozenRequantise,
    FrozenTables,
)
from models.lut_dense import Tables
from models.network import LUTNetwork


def freeze(
    network: LUTNetwork, ports: tuple[FrozenPort, ...], outputs: tuple[str, ...]
) -> FrozenNetwork:
    """Reads a trained network as integers.

    Args:
        network: A trained network.
        ports: The words it reads, in order.
        outputs: Names of its outputs, in order.

    Returns:
        The integer network; `firmware.lower` takes it from here.

    Raises:
        UserError: A sum could leave the integers that float32 holds exactly.
        ValueError: Ports or outputs are not as many as the network has, or as wide.
    """
    layers_tables = network_tables(network)
    bits = np.array(network.port_bits, np.int64)
    if [p.bits for p in ports] != bits.tolist():
        raise ValueError(
            f"the network reads words of {bits.tolist()} bits, the ports have "
            f"{[p.bits for p in ports]}"
        )
    layers: list[FrozenTables | FrozenRequantise] = []
    out_fraction = np.zeros(0, np.int64)
    for n, tables in enumerate(layers_tables):
        if n:
            step, bits = _requantise(network, tables, out_fraction, n)
            layers.append(step)
        last = n == len(layers_tables) - 1
        out_fraction = (
            score_fraction(tables)
            if last
            else sum_fraction(tables, network.least_fraction)
        )
        layer = _tables(tables, out_fraction, network.grids[n].bits, bits, f"lut{n}")
        layers.append(layer)
    if len(outputs) != len(out_fraction):
        raise ValueError(
            f"the network has {len(out_fraction)} outputs, {len(outputs)} are named"
        )
    return FrozenNetwork(
        inputs=ports,
        layers=tuple(layers),
        outputs=outputs,
        out_lsb=float(2.0 ** -out_fraction[0]),
    )


def _live(tables: Tables) -> np.ndarray:
    entry = np.asarray(tables.entry)
    return np.any(entry != entry[:, :1], axis=1)


def _requantise(
    network: LUTNetwork, tables: Tables, fraction: np.ndarray, n: int
) -> tuple[FrozenRequantise, Int64[np.ndarray, " units"]]:
    """The step from sums of `fraction` bits to the codes that the next tables read.

    A unit's code has the bits of its widest live edge, but no more than its sum has
    steps within the reach.
    """
    reach_bits = int(np.log2(2 * network.reach))
    live = _live(tables)
    address = np.where(live, np.asarray(tables.address), 0).astype(np.int64)
    bits = np.minimum(np.max(address, axis=1), fraction + reach_bits)
    return (
        FrozenRequantise(
            name=f"saturate{n}",
            offset=(network.reach * 2.0**fraction).astype(np.int64),
            down=fraction + reach_bits - bits,
            bits=bits,
        ),
        bits,
    )


def _tables(
    tables: Tables,
    most: Int64[np.ndarray, " n_out"],
    grid_bits: tuple[int, ...],
    bits: Int64[np.ndarray, " n_in"],
    name: str,
) -> FrozenTables:
    """One layer of integer tables.

    Args:
        tables: The layer's tables on the grid's codes.
        most: Fractional bits of its sums.
        grid_bits: Width of the grid's code per input.
        bits: Width of the code that the firmware has; narrower inside the network.
        name: Name of the layer.
    """
    entry, live = np.asarray(tables.entry, np.float64), _live(tables)
    address = np.asarray(tables.address).astype(np.int64)
    fraction = np.asarray(tables.fraction).astype(np.int64)
    n_in, _, n_out = entry.shape
    bias = np.zeros(n_out, np.int64)
    up = np.zeros((n_in, n_out), np.int64)
    rows = []
    for i in range(n_in):
        row = []
        for j in range(n_out):
            own = entry[i, : 2 ** grid_bits[i], j] * 2.0 ** fraction[i, j]
            whole = own.astype(np.int64)
            assert np.array_equal(whole, own), "entries are multiples of their LSB"
            if not live[i, j]:
                # A constant may have fewer fractional bits in use than its edge.
                bias[j] += int(entry[i, 0, j] * 2.0 ** most[j])
                row.append(np.zeros(1, np.int64))
                continue
            wide = int(address[i, j])
            width = min(wide, int(bits[i]))
            seen = whole.reshape(2**wide, -1)
            assert np.array_equal(seen, np.repeat(seen[:, :1], seen.shape[1], 1)), (
                "an edge depends on bits that it does not read"
            )
            row.append(seen[:: 2 ** (wide - width), 0])
            up[i, j] = most[j] - fraction[i, j]
        rows.append(tuple(row))
    return FrozenTables(name=name, bits=bits, tables=tuple(rows), up=up, bias=bias)
