"""Rare codes: what training met stays as it was, what it did not answers as its neighbour."""

import jax.numpy as jnp
import numpy as np
import pytest
from small_architectures import CASES
from small_networks import ports, random_network

from models.evaluate import ready, scores
from models.freeze import freeze
from models.frozen import run
from models.refill import refill, shares

BITS = (4, 3, 5)
NEVER = 1e-9


def answers(network, words):
    return np.asarray(scores(ready(network), jnp.asarray(words, jnp.int32)))


def every_word(count=4000, seed=5):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, 2**b, count) for b in BITS], axis=1)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_changes_where_training_was(seed):
    network, words = random_network(BITS, (5, 3), seed=seed, events=12)
    after = refill(network, words, NEVER)
    assert np.array_equal(answers(after, words), answers(network, words))
    assert not np.array_equal(
        answers(after, every_word()), answers(network, every_word())
    )


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_does_so_in_every_architecture(name):
    network, words = CASES[name].network(), CASES[name].words(512)
    after = refill(network, words, NEVER)
    assert np.array_equal(answers(after, words), answers(network, words))


@pytest.mark.parametrize("seed", range(3))
def test_an_unmet_word_answers_as_the_nearest_cell_that_was_met(seed):
    """One layer, every edge by itself, straight from the definition."""
    network, words = random_network(BITS, (3,), seed=seed)
    before, after = ready(network).layers[0], refill(network, words, NEVER).layers[0]
    old, new = np.asarray(before.filled.entry), np.asarray(after.filled.entry)
    grid = before.reading.grid
    for i, own in enumerate(grid.bits):
        code = words[:, i] >> (BITS[i] - own)
        for j in range(old.shape[2]):
            drop = own - int(before.address[i, j])
            met = sorted({int(c) >> drop for c in code})
            for k in range(2**own):
                cell = min(met, key=lambda m, at=k >> drop: (abs(m - at), m))
                assert new[i, k, j] == old[i, cell << drop, j]


@pytest.mark.parametrize("below", [NEVER, 0.02, 0.2])
def test_what_is_refilled_freezes_to_the_same_integers(below):
    network, words = random_network(BITS, (5, 3), seed=7)
    after = refill(network, words, below)
    program = freeze(after, ports(BITS), ("a", "b", "c"))
    tried = every_word()
    raw = answers(after, tried) / program.out_lsb
    assert np.array_equal(run(program, tried), raw.astype(np.int64))


def test_shares_are_those_of_the_codes():
    network, words = random_network(BITS, (4, 3), seed=9)
    first, second = shares(ready(network), words, block=64)
    for i, b in enumerate(ready(network).layers[0].reading.grid.bits):
        code = words[:, i] >> (BITS[i] - b)
        share = np.bincount(code, minlength=first.shape[1]) / len(words)
        assert np.allclose(first[i], share, rtol=1e-6, atol=0)  # kept in float32
    hidden = np.asarray(
        [ready(network).layers[0](jnp.asarray(w, jnp.int32)) for w in words]
    )
    code = np.asarray(ready(network).layers[1].reading.codes(jnp.asarray(hidden)).code)
    for i in range(4):
        share = np.bincount(code[:, i], minlength=second.shape[1]) / len(words)
        # A sum of some 200 terms of 1/200 in float32.
        assert np.allclose(second[i], share, rtol=200 * 2.0**-23, atol=0)


def test_fewer_codes_never_need_wider_addresses():
    network, words = random_network(BITS, (5, 3), seed=11)
    before, after = ready(network), refill(network, words, 0.05)
    for old, new in zip(before.layers, after.layers, strict=True):
        assert np.all(np.asarray(new.address) <= np.asarray(old.address))
        assert np.all(np.asarray(new.filled.hard) <= np.asarray(old.filled.hard))
