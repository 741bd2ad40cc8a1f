"""A trained network as integers: what leaves `models` and all that `firmware` gets.

Nothing here knows JAX.  The integers are the ones that the evaluation pass used, so
the network and everything built from it can be compared with `array_equal`.

Conventions
-----------
- A *code* is an unsigned integer `0..2**bits - 1`.  The code of a port word is
  `raw - lo`, with `lo` the least value of the word (0 if unsigned).
- A layer of tables maps codes to integer sums; a `FrozenRequantise` maps these sums to
  the codes that the next layer reads.  The two kinds alternate; tables come last.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Int64


@final
@dataclass(frozen=True)
class FrozenPort:
    """One word at the block's edge: `value = raw * lsb`."""

    name: str
    bits: int
    signed: bool


@final
@dataclass(frozen=True)
class FrozenTables:
    """LUT-Dense as integers.

    `out[j] = bias[j] + sum_i tables[i][j][code[i] >> (bits[i] - address(i, j))] << up[i, j]`
    with `address(i, j) = log2(len(tables[i][j]))`: an edge reads the leading bits of
    its input's code.  A pruned edge has a table of one entry, 0.
    """

    name: str
    bits: Int64[np.ndarray, " n_in"]
    tables: tuple[tuple[Int64[np.ndarray, " _"], ...], ...]
    up: Int64[np.ndarray, "n_in n_out"]
    bias: Int64[np.ndarray, " n_out"]


@final
@dataclass(frozen=True)
class FrozenRequantise:
    """Sums to codes: `code[j] = clip((sum[j] + offset[j]) >> down[j], 0, 2**bits[j] - 1)`.

    The shift truncates, the clip saturates; a unit that nothing reads has 0 bits and
    code 0.
    """

    name: str
    offset: Int64[np.ndarray, " units"]
    down: Int64[np.ndarray, " units"]
    bits: Int64[np.ndarray, " units"]


@final
@dataclass(frozen=True)
class FrozenNetwork:
    """The whole network; one count of any output is worth `out_lsb`."""

    inputs: tuple[FrozenPort, ...]
    layers: tuple[FrozenTables | FrozenRequantise, ...]
    outputs: tuple[str, ...]
    out_lsb: float
