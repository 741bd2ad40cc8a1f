"""From a trained network to integers: what its evaluation pass used, read out.

Nothing is computed again: the evaluated network is called on wires, and every layer
writes down the tables and weights that it holds.
"""

from typing import Any, final

import equinox as eqx
import jax

from models.evaluate import EXACT, ready
from models.frozen import FrozenPort, FrozenProgram
from models.layer import Evaluated
from models.reading import Words
from models.symbols import Symbols, trace
from trigger.errors import UserError


def freeze(
    network: Any, ports: tuple[FrozenPort, ...], outputs: tuple[str, ...]
) -> FrozenProgram:
    """Reads a trained network as integers.

    Args:
        network: A trained network.
        ports: The words it reads, in order.
        outputs: Names of its outputs, in order.

    Returns:
        The integer program; `firmware.lower` takes it from here.

    Raises:
        UserError: Ports or outputs do not fit the network, or a sum could leave the
            integers that float32 holds exactly.
    """
    program = trace(_named(ready(network)), ports, outputs)
    for op in program.ops:
        # What is exact in float32 is exact in any order of summation.
        if op.kind == "sum" and max(-op.lo, op.hi) > EXACT:
            raise UserError(
                f"a sum of layer {op.layer!r} comes to {max(-op.lo, op.hi)} steps of "
                f"its LSB, float32 is exact up to {EXACT} only; train with fewer "
                "fractional bits"
            )
    return program


@final
class _Named(eqx.Module):
    """An evaluated layer whose operations carry the name of its place."""

    part: Evaluated
    name: str = eqx.field(static=True)

    def __call__(self, x: Symbols, *more: Any) -> Any:
        """The layer on wires."""
        reading = getattr(self.part, "reading", None)
        if isinstance(reading, Words):
            _check_words(reading, x, self.name)
        with x.recorder.naming(self.name):
            return self.part(x, *more)


def _named(evaluated: Any) -> Any:
    """The evaluated network with every layer in it named by its place."""

    def one(path: tuple[Any, ...], node: Any) -> Any:
        if not isinstance(node, Evaluated):
            return node
        return _Named(node, jax.tree_util.keystr(path).lstrip("."))

    return jax.tree_util.tree_map_with_path(
        one, evaluated, is_leaf=lambda node: isinstance(node, Evaluated)
    )


def _check_words(reading: Words, x: Symbols, name: str) -> None:
    """Refuses wires that are not the words which the layer was trained on."""
    n_in = len(reading.bits)
    if x.shape[-1] != n_in:
        raise UserError(f"{name} reads {n_in} ports, {x.shape[-1]} are given")
    for row in x.reshape(-1, n_in):
        for i, wire in enumerate(row.wires):
            lo, hi = x.recorder.interval(wire.node)
            least = reading.lowest[i]
            most = least + 2 ** reading.bits[i] - 1
            if not least <= lo <= hi <= most:
                raise UserError(
                    f"{name} was trained on words of {least}..{most} as its input {i}, "
                    f"the port given has {lo}..{hi}; check widths and signs"
                )
