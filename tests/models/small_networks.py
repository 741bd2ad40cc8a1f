"""Small networks of any shape, with widths spread from zero to the cap, for the tests."""

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

from models.network import LUTNetwork


def random_codes(events, bits, seed):
    """Codes with a peak and a tail in every input, as features have."""
    rng = np.random.default_rng(seed)
    columns = [
        np.clip(rng.normal(2**b / 3, 2**b / 6, events), 0, 2**b - 1) for b in bits
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def random_network(bits, widths, *, events=200, most_address=4, seed=0, reach=2.0):
    """A network whose edges read anything from no bit to all, and the codes it saw."""
    code = random_codes(events, bits, seed)
    network = LUTNetwork(
        code,
        tuple(bits),
        tuple(widths),
        hidden=3,
        most_address=most_address,
        reach=reach,
        key=jr.key(seed),
    )

    def spread(layer, key):
        a, f, g, b = jr.split(key, 4)
        shape = layer.address.shape
        layer = eqx.tree_at(
            lambda x: (x.address, x.fraction),
            layer,
            (
                jr.uniform(a, shape, minval=-0.4, maxval=most_address + 0.4),
                jr.uniform(f, shape, minval=0.6, maxval=5.4),
            ),
        )
        if layer.gamma is None:
            return layer
        return eqx.tree_at(
            lambda x: (x.gamma, x.beta),
            layer,
            (
                1 + 0.3 * jr.normal(g, layer.gamma.shape),
                0.3 * jr.normal(b, layer.beta.shape),
            ),
        )

    keys = jr.split(jr.key(seed + 1), len(network.layers))
    layers = tuple(map(spread, network.layers, keys))
    network = eqx.tree_at(lambda n: n.layers, network, layers)
    return jax.tree.map(jax.numpy.asarray, network), code
