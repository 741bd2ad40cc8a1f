"""Which of many networks are worth compiling, and which are beaten by none."""

from collections.abc import Sequence

import numpy as np

from models.plan import Candidate
from workflows.choose import Block


def spread(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """Some of the candidates, even in the logarithm of their LUTs.

    Both ends first, then always what is furthest from all that were taken.

    Args:
        candidates: At least one; any order.
        count: How many at most.

    Returns:
        By ascending estimate of the LUTs.
    """
    left = sorted(candidates, key=lambda c: c.luts)
    if len(left) <= count:
        return left
    # A network of less than one LUT is as good as none.
    at = np.log([max(c.luts, 1.0) for c in left])
    taken = [len(left) - 1, 0][:count]
    while len(taken) < count:
        near = np.min(np.abs(at[:, None] - at[taken]), axis=1)
        near[taken] = -1.0
        taken.append(int(np.argmax(near)))
    return [left[k] for k in sorted(taken)]


def undominated(blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """Splits blocks into those that no other is as good as, and the rest.

    Returns:
        The front and the rest, each by ascending count of LUTs.
    """

    def cost(block: Block) -> tuple[int, int, float]:
        accuracy = block.candidate.val_accuracy
        return block.area.luts, block.schedule.cycles, -accuracy

    kept: list[Block] = []
    beaten: list[Block] = []
    # In this order nothing later is better than anything earlier in all three.
    for block in sorted(blocks, key=cost):
        worse = any(
            all(a <= b for a, b in zip(cost(other), cost(block), strict=True))
            for other in kept
        )
        (beaten if worse else kept).append(block)
    return kept, beaten
