"""The front end of `trigger.front_end` as a netlist, and a network put behind it.

The same integers, written once more as the gates compute them: logarithms by three
tables and two multiplexers, relative momenta by a table and multipliers, azimuths by
comparisons, order by a network of comparators.  `trigger.front_end.FrontEnd.run` is the
independent other half: the two agree on every word.
"""

from collections.abc import Iterator

from firmware.build import Builder, copy
from firmware.netlist import Netlist
from trigger.errors import UserError
from trigger.front_end import (
    BY_KIND,
    JET_DROP,
    RECIPROCAL_SHIFT,
    SEGMENTS,
    TURN,
    FrontEnd,
    log_entry,
    reciprocals,
)

LAYER = "front end"


def front_netlist(front: FrontEnd, block: str) -> Netlist:
    """The front end alone, from link words to the words that a network reads.

    Args:
        front: Its settings.
        block: The id of the block.
    """
    into = Builder(block)
    made = [into.input(word.name, *word.range) for word in front.ports()]
    axis, each = made[:3], [made[k : k + 4] for k in range(3, len(made), 4)]
    if front.order == "sorted":
        each = _sorted(into, each)
    log_axis = _log(into, front, axis[0]) if "log_pt_rel" in front.features else -1
    inverse = -1
    if "pt_rel" in front.features:
        table = reciprocals(front.relative_bits)
        address = into.shift(axis[0], -JET_DROP, LAYER)
        inverse = into.table(address, lambda v: table[v], LAYER)
    outputs = []
    names = iter(word.name for word in front.outputs())
    for particle in each:
        for feature in front.features:
            node = _feature(into, front, feature, axis, particle, log_axis, inverse)
            outputs.append((next(names), node))
    return into.finish(outputs)


def attach(front: Netlist, body: Netlist) -> Netlist:
    """One netlist of two: what `body` reads from its ports comes out of `front`.

    Args:
        front: Its outputs carry the names of the ports of `body`.
        body: Its id and its outputs are those of the whole.

    Raises:
        UserError: The names do not agree, or a value does not fit the port that it
            stands for.
    """
    into = Builder(body.block)
    moved: list[int] = []
    for i, node in enumerate(front.nodes):
        moved.append(copy(front, i, [moved[a] for a in node.args], into))
    leaving = {name: moved[index] for name, index in front.outputs}
    names = [body.nodes[i].name for i in body.inputs]
    if sorted(names) != sorted(leaving):
        raise UserError(
            f"the front end of block {body.block!r} gives {len(leaving)} words "
            f"({', '.join(list(leaving)[:3])}, ...), the network reads {len(names)} "
            f"({', '.join(names[:3])}, ...); the names must be the same"
        )
    done: list[int] = []
    for i, node in enumerate(body.nodes):
        if node.op == "input":
            given = into.nodes[leaving[node.name]]
            if given.lo < node.lo or given.hi > node.hi:
                raise UserError(
                    f"block {body.block!r}: {node.name!r} comes out of the front end as "
                    f"{given.lo}..{given.hi}, the network reads {node.lo}..{node.hi}"
                )
            done.append(leaving[node.name])
        else:
            done.append(copy(body, i, [done[a] for a in node.args], into))
    return into.finish([(name, done[index]) for name, index in body.outputs])


def _feature(
    into: Builder,
    front: FrontEnd,
    name: str,
    axis: list[int],
    particle: list[int],
    log_axis: int,
    inverse: int,
) -> int:
    pt, eta, phi, kind = particle
    zero = into.const(0)
    absent = into.compare(pt, "==", zero, LAYER)
    match name:
        case "pt":
            return pt
        case "log_pt":
            return _log(into, front, pt)
        case "log_pt_rel":
            value = into.sub(_log(into, front, pt), log_axis, LAYER)
        case "pt_rel":
            share = into.shift(_product(into, pt, inverse), -RECIPROCAL_SHIFT, LAYER)
            return into.clip(share, 0, (1 << front.relative_bits) - 1, LAYER)
        case "delta_eta":
            value = _saturated(into, front, into.sub(eta, axis[1], LAYER))
        case "delta_phi":
            value = _saturated(into, front, _folded(into, phi, axis[2]))
        case _:
            value = into.table(kind, lambda k: BY_KIND[name][k], LAYER)
    return into.mux(absent, zero, value, LAYER)


def _log(into: Builder, front: FrontEnd, pt: int) -> int:
    """Tables of the leading bits of a pt, the one of its segment chosen."""
    value, before, steps = -1, 0, front.log_steps
    for bits, drop in SEGMENTS:
        low = into.wrap(into.shift(pt, -drop, LAYER), bits - drop, False, LAYER)
        # Codes below the segment are never chosen; what they repeat saves nothing.
        entry = into.table(low, lambda v, d=drop: log_entry(v << d, steps), LAYER)
        if value < 0:
            value = entry
        else:
            below = into.compare(pt, "<", into.const(1 << before), LAYER)
            value = into.mux(below, value, entry, LAYER)
        before = bits
    return value


def _product(into: Builder, a: int, b: int) -> int:
    """`a * b` for `a` not negative, by its bits: a sum that cycles can cut."""
    zero = into.const(0)
    return into.sum(
        [
            into.mux(
                into.wrap(into.shift(a, -k, LAYER), 1, False, LAYER),
                into.shift(b, k, LAYER),
                zero,
                LAYER,
            )
            for k in range(into.nodes[a].width)
        ],
        LAYER,
    )


def _folded(into: Builder, phi: int, axis: int) -> int:
    """The difference, a turn less or more where it is beyond half a turn."""
    delta = into.sub(phi, axis, LAYER)
    half, turn = into.const(TURN // 2), into.const(TURN)
    above = into.compare(half, "<=", delta, LAYER)
    below = into.compare(delta, "<", into.const(-TURN // 2), LAYER)
    near = into.mux(below, into.add(delta, turn, LAYER), delta, LAYER)
    return into.mux(above, into.sub(delta, turn, LAYER), near, LAYER)


def _saturated(into: Builder, front: FrontEnd, delta: int) -> int:
    reach = 1 << (front.angle_bits - 1)
    return into.clip(delta, -reach, reach - 1, LAYER)


def _sorted(into: Builder, each: list[list[int]]) -> list[list[int]]:
    """Particles by falling pt, of equals the earlier first.

    A key is the pt with the place counted from the end below it, so no two are equal.
    """
    places = (len(each) - 1).bit_length()
    rows = []
    for i, (pt, *rest) in enumerate(each):
        place = into.const(len(each) - 1 - i)
        key = into.add(into.shift(pt, places, LAYER), place, LAYER)
        rows.append([key, *rest])
    for a, b in comparators(len(each)):
        swap = into.compare(rows[a][0], "<", rows[b][0], LAYER)
        one, other = rows[a], rows[b]
        rows[a] = [into.mux(swap, y, x, LAYER) for x, y in zip(one, other, strict=True)]
        rows[b] = [into.mux(swap, x, y, LAYER) for x, y in zip(one, other, strict=True)]
    return [[into.shift(key, -places, LAYER), *rest] for key, *rest in rows]


def comparators(size: int) -> Iterator[tuple[int, int]]:
    """Pairs `a < b` to put in order, one after the other, so that `size` are sorted.

    Reference:
        K. E. Batcher, "Sorting networks and their applications", AFIPS 1968,
        doi:10.1145/1468075.1468121: odd-even merges, as in Knuth, The Art of Computer
        Programming 3, algorithm 5.2.2M.
    """
    p = 1 << max((size - 1).bit_length() - 1, 0)
    top = p
    while p and size > 1:
        q, r, d = top, 0, p
        while True:
            for i in range(size - d):
                if i & p == r:
                    yield i, i + d
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
