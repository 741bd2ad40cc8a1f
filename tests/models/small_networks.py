"""Small networks of any shape, with widths spread from zero to the cap, for the tests."""

from contextlib import contextmanager

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from models.architectures import Chain, lut_mlp
from models.frozen import FrozenPort
from models.plan import TrainData
from models.settings import TrainConfig

SMALL = TrainConfig(
    units=(4,), edge_hidden=3, most_address=4, batch=20, epochs=12, areas=(1.0, 0.5)
)
"""A training of 15 steps an epoch on `easy_data`."""


CACHE = {
    "jax_compilation_cache_dir": None,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


@contextmanager
def compiled_once(folder):
    """Programs that were compiled before are taken from a folder meanwhile.

    And from nowhere else: another compilation of the same may round in another way.
    """
    jax.clear_caches()
    before = {name: getattr(jax.config, name) for name in CACHE}
    try:
        _configure(CACHE | {"jax_compilation_cache_dir": str(folder)})
        yield
    finally:
        _configure(before)


def _configure(values):
    for name, value in values.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def random_codes(events, bits, seed):
    """Codes with a peak and a tail in every input, as features have."""
    rng = np.random.default_rng(seed)
    columns = [
        np.clip(rng.normal(2**b / 3, 2**b / 6, events), 0, 2**b - 1) for b in bits
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def easy_data(events=600):
    """Two classes that the first port separates at once."""
    words = random_codes(events, (4, 4, 4), seed=3)
    labels = (words[:, 0] > 5).astype(np.int64)
    half = events // 2
    return TrainData(
        words[:half],
        labels[:half],
        words[half:],
        labels[half:],
        bits=(4, 4, 4),
        signed=(False, False, False),
        classes=2,
    )


def spread(layer, key):
    """The layer with widths of all sizes, and a normalisation that does something."""
    a, f, g, b, o = jr.split(key, 5)
    shape = layer.address.shape
    layer = eqx.tree_at(
        lambda x: (x.address, x.fraction),
        layer,
        (
            jr.uniform(a, shape, minval=-0.4, maxval=layer.most_address + 0.4),
            jr.uniform(f, shape, minval=0.6, maxval=5.4),
        ),
    )
    if layer.gamma is not None:
        layer = eqx.tree_at(
            lambda x: (x.gamma, x.beta),
            layer,
            (
                1 + 0.3 * jr.normal(g, layer.gamma.shape),
                0.3 * jr.normal(b, layer.beta.shape),
            ),
        )
    if layer.occupancy is not None:
        seen = jr.uniform(o, layer.occupancy.value.shape)
        seen = seen / seen.sum(axis=1, keepdims=True)
        layer = eqx.tree_at(lambda x: x.occupancy.value, layer, seen)
    return layer


def random_network(
    bits, widths, *, events=200, most_address=4, seed=0, reach=2.0, signed=None, **more
):
    """A network whose edges read anything from no bit to all, and the codes it saw."""
    code = random_codes(events, bits, seed)
    network = lut_mlp(
        code,
        tuple(bits),
        signed or (False,) * len(bits),
        tuple(widths),
        hidden=3,
        most_address=most_address,
        reach=reach,
        key=jr.key(seed),
        **more,
    )
    keys = jr.split(jr.key(seed + 1), len(network.layers))
    return Chain(tuple(map(spread, network.layers, keys))), code


def ports(bits, signed=None):
    """The words that such a network reads."""
    signed = signed or (False,) * len(bits)
    return tuple(
        FrozenPort(f"x{i}", b, s)
        for i, (b, s) in enumerate(zip(bits, signed, strict=True))
    )


def same_bytes(one, other):
    """Whether two trees hold the same arrays, bit by bit."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)
