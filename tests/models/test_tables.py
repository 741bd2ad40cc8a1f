"""Tables that places share: trained once, built and paid for at each."""

import jax.random as jr
from small_networks import random_codes

from models.architectures import Chain, Shaped
from models.combine import Flatten
from models.frozen import FrozenPort
from models.lut import LUTDense
from models.reading import words
from models.symbols import trace

BITS = (5, 3, 4)


def tables(places):
    reading = words(random_codes(64, BITS, seed=1), BITS, (False,) * 3, 5)
    return LUTDense(reading, 4, hidden=3, places=places, key=jr.key(1)).evaluated()


def test_every_table_that_places_have_is_built_and_paid_for():
    one, four = tables(1), tables(4)
    flat = Chain((Shaped((4, 3)), four, Flatten()))
    names = tuple(f"y{k}" for k in range(16))
    ports = tuple(FrozenPort(f"p{k}", BITS[k % 3], False) for k in range(12))
    program = trace(flat, ports, names)
    assert sum(op.kind == "table" for op in program.ops) == 4 * int(one.live().sum())
    assert four.luts() == 4 * one.luts()
    assert four.ebops() == 4 * one.ebops()
