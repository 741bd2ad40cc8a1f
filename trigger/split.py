"""Which jets train, which choose, which judge.

The split is a pure function of the event's number and a seed: a jet's part does not
depend on the order of the files, on what else is read, or on the machine, and all jets
of one collision land in the same part.  Folds are drawn in the same manner, and
independently of the parts.

Conventions
-----------
- Parts are `TRAIN`, `VALIDATION` and `TEST`, as small integers.
- Folds are `0..k - 1`.
"""

import numpy as np
from jaxtyping import Int8, UInt64

from trigger.errors import UserError

TRAIN, VALIDATION, TEST = 0, 1, 2

_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, made odd
_FOLDS = np.uint64(0x666F6C6473)  # "folds": the same seed draws parts and folds apart


def split(
    event: UInt64[np.ndarray, "jets 3"],
    fractions: tuple[float, float, float],
    seed: int,
) -> Int8[np.ndarray, " jets"]:
    """Assigns every jet to a part by a hash of its event.

    Args:
        event: Run, luminosity block and event number of each jet.
        fractions: Expected share of events in train, validation and test; sums to 1.
        seed: Any integer `0..2**64 - 1`; another seed gives an independent split.

    Returns:
        The part of each jet.

    Raises:
        UserError: A fraction is negative, they do not sum to 1, or the seed is out of
            range.
    """
    if min(fractions) < 0 or not abs(sum(fractions) - 1) < 1e-9:
        raise UserError(
            f"the fractions of train, validation and test must be 0 or more and sum to "
            f"1, got {fractions}, which sum to {sum(fractions):g}"
        )
    if not 0 <= seed < 2**64:
        raise UserError(f"the seed of the split must be in 0..2**64-1, got {seed}")
    key = _hash(event, np.full(len(event), seed, np.uint64))
    # The upper 53 bits as a number in [0, 1): what a double holds without rounding.
    uniform = (key >> np.uint64(11)).astype(np.float64) * 2.0**-53
    # From the far end, so that a fraction of zero gets nothing at all.
    edges = fractions[0], 1.0 - fractions[2]
    return (uniform >= edges[0]).astype(np.int8) + (uniform >= edges[1])


def folds(
    event: UInt64[np.ndarray, "jets 3"], k: int, seed: int
) -> Int8[np.ndarray, " jets"]:
    """Assigns every jet to one of `k` folds of equal expected size.

    A fold depends on the event, `k` and the seed alone, so that data may be added, and
    not on the part that `split` draws with any seed: folds may be made of the training
    part.

    Args:
        event: Run, luminosity block and event number of each jet.
        k: Number of folds, `2..127`.
        seed: Any integer `0..2**64 - 1`; another seed gives independent folds.

    Returns:
        The fold of each jet.

    Raises:
        UserError: `k` or the seed is out of range.

    Reference:
        From 32 bits to `k` values by a product: D. Lemire, "Fast random integer
        generation in an interval", ACM TOMACS 29 (2019), doi:10.1145/3230636,
        section 3; a fold's share is off `1 / k` by less than 2**-32.
    """
    if not 2 <= k <= 127:
        raise UserError(f"a number of folds from 2 to 127 is possible, got {k}")
    if not 0 <= seed < 2**64:
        raise UserError(f"the seed of the folds must be in 0..2**64-1, got {seed}")
    # One step more than the split takes: its states for another seed are not these.
    start = splitmix64(np.full(len(event), seed, np.uint64)) ^ _FOLDS
    key = _hash(event, start)
    return ((key >> np.uint64(32)) * np.uint64(k) >> np.uint64(32)).astype(np.int8)


def _hash(
    event: UInt64[np.ndarray, "jets 3"], start: UInt64[np.ndarray, " jets"]
) -> UInt64[np.ndarray, " jets"]:
    key = splitmix64(start)
    for column in event.T:
        key = splitmix64(key ^ column)
    return key


def splitmix64(state: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """The number that the generator SplitMix64 gives out next in a state.

    For each state another number: a bijection of the 64-bit integers in which every
    bit of the state moves about half of the bits of the result.

    Example:
        >>> splitmix64(np.array([1234567], np.uint64))
        array([6457827717110365317], dtype=uint64)

    Reference:
        G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number
        generators", OOPSLA 2014, doi:10.1145/2660193.2660195, fig. 16 with the
        constants of D. Stafford's variant 13, as in the public-domain splitmix64.c of
        S. Vigna.
    """
    z = state + _GAMMA  # modulo 2**64, as all of it
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
