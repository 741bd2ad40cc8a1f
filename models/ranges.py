"""What values can come to: the ranges behind a network, and the LUTs that follow.

`Ranges` go through an evaluated network in the place of numbers: the least and the most
that each value can be, whatever comes in at the ports, and the fractional bits that it
has.  A code that no value reaches costs nothing, so layers whose logic depends on what
they are given put what they will take on the `Bill` that the ranges carry; of the others
their price is taken, which knows no ranges.
"""

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from models.layer import Evaluated, parts

FAR = 2.0**24
"""Beyond all that float32 counts exactly: where nothing is known of a value."""

FINE = 24.0
"""Fractional bits of a value of which nothing is known."""


@final
class Bill:
    """LUTs of the layers that ranges went through, each as often as it was built."""

    def __init__(self) -> None:
        """Begins with nothing on it."""
        self._luts: dict[int, Array] = {}
        self._parts: list[Evaluated] = []  # alive, so that no other takes their id

    def add(self, part: Evaluated, luts: Float[Array, ""]) -> None:
        """Puts a layer on the bill, at one call of it."""
        self._parts.append(part)
        self._luts[id(part)] = self._luts.get(id(part), jnp.zeros(())) + luts

    def total(self) -> Float[Array, ""]:
        """Of all that is on it."""
        return sum(self._luts.values(), start=jnp.zeros(()))

    def of(self, part: Evaluated) -> Float[Array, ""]:
        """What a layer takes: of its own parts those on the bill, else its price."""

        def there(node: Any) -> bool:
            return id(node) in self._luts

        found = [n for n in jax.tree.leaves(part, is_leaf=there) if there(n)]
        if not found:
            return part.luts()
        return sum((self._luts[id(n)] for n in found), start=jnp.zeros(()))


@final
class Ranges(eqx.Module):
    """Ranges of an array of values, and the bill of all that they went through."""

    least: Float[Array, "*shape"]
    most: Float[Array, "*shape"]
    fraction: Float[Array, "*shape"]
    """Fractional bits: values are multiples of `2**-fraction`."""
    bill: Bill = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.least.shape

    def __getitem__(self, index: Any) -> "Ranges":
        """Some of the values."""
        return self.moved(lambda a: a[index])

    def moved(self, move: Callable[..., Any], *others: "Ranges") -> "Ranges":
        """The values moved, as `models.layer.lift` asks it of all readings."""
        return jax.tree.map(move, self, *others)

    def rising(
        self, function: Callable[[Array], Array], fraction: Float[Array, "*#shape"]
    ) -> "Ranges":
        """The ranges behind a function that never falls.

        Args:
            function: Of the values.
            fraction: Fractional bits of its results.
        """
        least, most = function(self.least), function(self.most)
        return Ranges(least, most, jnp.broadcast_to(fraction, least.shape), self.bill)

    def steps(self) -> Float[Array, "*shape"]:
        """By how many of its own LSB a value can differ from its least."""
        return jnp.round((self.most - self.least) * jnp.exp2(self.fraction))


def at_ports(shape: tuple[int, ...], bill: Bill) -> Ranges:
    """Raw words of the ports: whole numbers, of which layers know the widths."""
    far = jnp.full(shape, FAR)
    return Ranges(-far, far, jnp.zeros(shape), bill)


def counted(evaluated: Any, ports: int) -> Float[Array, ""]:
    """LUT6 that an evaluated network of so many ports will take; without gradient."""
    bill = Bill()
    evaluated(at_ports((ports,), bill))
    return sum((bill.of(part) for part in parts(evaluated)), start=jnp.zeros(()))
