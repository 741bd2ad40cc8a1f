"""The netlist in JAX: jitted and batched, for studies that stay on arrays.

For what NumPy is too slow for and C++ too far away from: thresholds, rates, scans over
simulated events, on a CPU or a GPU.  It answers as `firmware.interpret` does, integer
for integer.  No proof depends on it, and nothing that `jetlut verify` imports does.

Conventions
-----------
- The values of some events stand in one matrix, nodes by events.  Nodes of one depth and one
  kind are computed together, so that XLA sees some hundred operations for a network of
  thousands of nodes and compiles them in seconds.
- Values are 32 bits wide; with `jax_enable_x64`, which a netlist with wider values
  needs, 64.  What overflows on the way to a result that fits wraps round and back.
- Input ports saturate, as those of the C++ emulator: a traced value cannot be refused.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer

from firmware.build import needed
from firmware.netlist import Netlist, Node
from trigger.errors import UserError

Words = Integer[Array | np.ndarray, "events ports"]
Emulator = Callable[[Words], Integer[Array, "events outputs"]]
"""Raw words, one row per event and one column per port, to raw output words."""

Kind = tuple[str, str, int]
"""What is computed alike: operation, test of a comparison, terms of a sum."""


@final
@dataclass(frozen=True)
class Step:
    """Nodes that are computed together, and their rows in the matrix of values.

    Attributes:
        kind: What they have in common.
        nodes: The nodes.
        first: Row of the first of them; the others follow.
        args: Rows of their arguments, nodes by arguments; row 0 holds zeros.
    """

    kind: Kind
    nodes: tuple[Node, ...]
    first: int
    args: Integer[np.ndarray, "nodes arguments"]


def compile(netlist: Netlist, *, together: int = 1024) -> Emulator:
    """The netlist as a jitted function of a batch of words.

    Args:
        netlist: A valid netlist.
        together: Events that are computed at once.  The default keeps their values in
            the caches of a CPU; a GPU wants as many as its memory holds.

    Returns:
        A function from words, events by ports in port order, to answers, events by
        outputs in output order; it may be called inside other jitted functions.  It
        raises a `UserError` for another number of columns.

    Raises:
        UserError: A value needs more than 32 bits and JAX has not been told to use 64.
    """
    live = needed(netlist.nodes, [index for _, index in netlist.outputs])
    dtype = _dtype(netlist, live)
    ports = [netlist.nodes[i] for i in netlist.inputs]
    least = np.array([port.lo for port in ports], np.int64)
    most = np.array([port.hi for port in ports], np.int64)
    constants, steps, rows = _schedule(netlist, live)
    leaving = np.array([rows[i] for _, i in netlist.outputs])
    offset = np.cumsum([0, *(len(table) for table in netlist.tables)])
    entries = np.array([v for table in netlist.tables for v in table], dtype)
    where = {
        node: int(offset[node.table]) - netlist.nodes[node.args[0]].lo
        for step in steps
        for node in step.nodes
        if node.op == "table"
    }

    def some(words: Integer[Array, "events ports"]) -> Integer[Array, "events outputs"]:
        events = words.shape[0]
        fixed = jnp.asarray(constants, dtype)[:, None]
        room = sum(len(step.nodes) for step in steps)
        values = jnp.concatenate(
            [
                jnp.broadcast_to(fixed, (len(constants), events)),
                jnp.clip(words, least, most).astype(dtype).T,
                jnp.zeros((room, events), dtype),
            ]
        )
        for step in steps:
            args = [values[column] for column in step.args.T]
            shift = [where[node] for node in step.nodes if node.op == "table"]
            result = _compute(step, args, entries, shift, dtype)
            values = jax.lax.dynamic_update_slice(values, result, (step.first, 0))
        return values[leaving].T

    @jax.jit
    def run(words: Integer[Array, "events ports"]) -> Integer[Array, "events outputs"]:
        events = words.shape[0]
        size = max(1, min(together, events))
        filled = jnp.pad(words, ((0, -events % size), (0, 0)))
        groups = filled.reshape(-(-events // size), size, len(ports))
        return jax.lax.map(some, groups).reshape(-1, len(leaving))[:events]

    def checked(words: Words) -> Integer[Array, "events outputs"]:
        if words.ndim != 2 or words.shape[1] != len(ports):
            raise UserError(
                f"block {netlist.block!r} has {len(ports)} input ports, the words have "
                f"shape {words.shape}; one column per port is needed"
            )
        if isinstance(words, np.ndarray):  # before JAX cuts off what is beyond 32 bits
            words = np.clip(words, least, most)
        return run(jnp.asarray(words))

    return checked


def _dtype(netlist: Netlist, live: Sequence[int]) -> type[np.signedinteger]:
    """The type of all values."""
    sixty_four = jax.dtypes.canonicalize_dtype(np.int64) == np.int64
    for i in live:
        node = netlist.nodes[i]
        wide = node.lo < -(2**31) or node.hi >= 2**31
        if wide and not sixty_four:
            raise UserError(
                f"netlist {netlist.block!r}: node {i} ({node.op}) takes "
                f"{node.lo}..{node.hi}, which JAX holds only in 64 bits; switch them on "
                "before anything else by jax.config.update('jax_enable_x64', True)"
            )
    return np.int64 if sixty_four else np.int32


def _schedule(
    netlist: Netlist, live: Sequence[int]
) -> tuple[list[int], list[Step], dict[int, int]]:
    """What is computed together, by depth, then kind.

    Returns:
        The constants in the first rows, the steps, and each node's row.
    """
    nodes = netlist.nodes
    fixed = [i for i in live if nodes[i].lo == nodes[i].hi]
    constants = [0, *(nodes[i].lo for i in fixed)]
    rows = {i: 1 + k for k, i in enumerate(fixed)}
    inputs = {i: len(constants) + k for k, i in enumerate(netlist.inputs)}
    rows = inputs | rows
    depth = dict.fromkeys(rows, 0)
    together: dict[tuple[int, Kind], list[int]] = defaultdict(list)
    for i in live:
        if i not in rows:
            depth[i] = 1 + max(depth[a] for a in nodes[i].args)
            together[depth[i], _kind(nodes[i])].append(i)
    steps = []
    first = len(constants) + len(inputs)
    # Rows are given in the order of the steps: what is read is computed before.
    for level, kind in sorted(together):
        some = together[level, kind]
        rows |= {i: first + k for k, i in enumerate(some)}
        wide = max(kind[2], max(len(nodes[i].args) for i in some))
        args = np.zeros((len(some), wide), np.int64)
        for k, i in enumerate(some):
            args[k, : len(nodes[i].args)] = [rows[a] for a in nodes[i].args]
        steps.append(Step(kind, tuple(nodes[i] for i in some), first, args))
        first += len(some)
    return constants, steps, rows


def _kind(node: Node) -> Kind:
    """Sums go with those of as many terms, up to the next power of two."""
    if node.op in ("add", "sum"):
        return "sum", "", 1 << (len(node.args) - 1).bit_length()
    return node.op, node.test, 0


def _compute(
    step: Step,
    args: Sequence[Integer[Array, "nodes events"]],
    entries: Integer[np.ndarray, " entries"],
    where: Sequence[int],
    dtype: type[np.signedinteger],
) -> Integer[Array, "nodes events"]:
    """The values of a step.

    Args:
        step: The step.
        args: First arguments of all nodes, second ones, and so on.
        entries: All tables, one after the other.
        where: Of tables: where the entry of address 0 stands, before the first if the
            least address is above 0.
        dtype: Type of the values.
    """

    def column(values: Sequence[int]) -> Integer[Array, "nodes 1"]:
        return jnp.asarray(np.array(values, dtype)[:, None])

    nodes = step.nodes
    bits = np.iinfo(dtype).bits
    match step.kind[0]:
        case "sum":
            result = args[0]
            for term in args[1:]:
                result = result + term
        case "sub":
            result = args[0] - args[1]
        case "mul":
            result = args[0] * args[1]
        case "shift":
            up = column([min(max(n.by, 0), bits - 1) for n in nodes])
            down = column([min(max(-n.by, 0), bits - 1) for n in nodes])
            result = (args[0] << up) >> down
        case "clip":
            result = jnp.clip(
                args[0], column([n.lo for n in nodes]), column([n.hi for n in nodes])
            )
        case "wrap":
            # Of as many bits as a value has: nothing is cut off.
            low = [(1 << n.bits) - 1 if n.bits < bits else -1 for n in nodes]
            turn = [n.twos * (n.bits < bits) << (n.bits - 1) for n in nodes]
            result = ((args[0] & column(low)) ^ column(turn)) - column(turn)
        case "compare":
            a, b = args
            result = {"<": a < b, "<=": a <= b, "==": a == b}[step.kind[1]]
        case "mux":
            result = jnp.where(args[0] != 0, args[1], args[2])
        case _:
            at = args[0] + column(where)
            result = jnp.asarray(entries).at[at].get(mode="promise_in_bounds")
    return result.astype(dtype)
