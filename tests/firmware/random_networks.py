"""Random frozen programs: networks of tables, and programs of every operation.

Shared by the tests of this folder.  What they compute is `models.frozen.run`, which
knows nothing of netlists: the independent opinion that lowered programs are compared
with.
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from jaxtyping import Int64

from models.frozen import FrozenOp, FrozenPort, FrozenProgram, interval
from models.symbols import Recorder

Edge = tuple[list[int], int]
"""Entries of a table, and how far its sum shifts them up."""


def random_edges(
    bits: Sequence[int],
    units: int,
    rng: np.random.Generator,
    *,
    density: float,
    address: tuple[int, int],
    entry: tuple[int, int],
    smooth: bool,
) -> list[list[Edge]]:
    """Tables of one layer, per input and unit; one entry, 0, where there is no edge.

    Args:
        bits: Width of each input's code.
        units: Number of sums.
        rng: Source of everything random.
        density: Share of the edges that is kept.
        address: Least and most address bits of a kept edge; a code caps it.
        entry: Least and most bits of an entry, signed.
        smooth: Waves as training makes them, instead of white noise, which is the
            worst case for a synthesiser.
    """
    up = rng.integers(0, 3, (len(bits), units)).tolist()
    rows = []
    for i, width in enumerate(bits):
        row = []
        for j in range(units):
            if width == 0 or rng.random() >= density:
                row.append(([0], up[i][j]))
                continue
            w = min(width, int(rng.integers(address[0], address[1] + 1)))
            half = 2 ** (int(rng.integers(entry[0], entry[1] + 1)) - 1)
            if smooth:
                x = np.linspace(-1, 1, 2**w)
                wave = np.tanh(rng.normal() * 3 * x + rng.normal()) + rng.normal(
                    scale=0.3
                ) * np.sin(4 * x + rng.normal())
                entries = np.clip(np.round(half * wave), -half, half - 1)
            else:
                entries = rng.integers(-half, half, 2**w)
            row.append((entries.astype(np.int64).tolist(), up[i][j]))
        rows.append(row)
    return rows


def random_codes(
    recorder: Recorder,
    sums: Sequence[int],
    edges: list[list[Edge]],
    bias: Sequence[int],
    rng: np.random.Generator,
    bits: tuple[int, int],
) -> tuple[list[int], list[int]]:
    """Codes that cover the middle of the sums' range, so that most units clip.

    Returns:
        Nodes of the codes, and their widths.
    """
    units = len(sums)
    width = rng.integers(bits[0], bits[1] + 1, units)
    width[rng.random(units) < 0.05] = 0
    codes = []
    for j in range(units):
        column = [np.array(row[j][0]) << row[j][1] for row in edges]
        spread = 1.5 * float(np.sqrt(sum(np.var(entries) for entries in column))) + 1
        centre = float(sum(np.mean(entries) for entries in column)) + bias[j]
        down = max(0, int(np.ceil(np.log2(2 * spread))) - int(width[j]))
        offset = round(2.0 ** (down + width[j] - 1) - centre)
        scaled = recorder.shift(recorder.sum([sums[j]], bias=offset), -down)
        codes.append(recorder.clip(scaled, 0, (1 << int(width[j])) - 1))
    return codes, width.tolist()


def random_network(
    seed: int,
    *,
    shape: Sequence[int] = (16, 20, 5),
    density: float = 0.6,
    port_bits: tuple[int, int] = (8, 8),
    code_bits: tuple[int, int] = (3, 7),
    address: tuple[int, int] = (3, 7),
    entry: tuple[int, int] = (3, 6),
    smooth: bool = True,
) -> FrozenProgram:
    """A frozen network of tables that looks like a trained one.

    Args:
        seed: Everything random follows from it.
        shape: Ports, hidden units of each layer, outputs.
        density: Share of the edges that is kept.
        port_bits: Least and most bits of a port; about half of the ports are signed.
        code_bits: Least and most bits between the layers.
        address: Least and most address bits of a table.
        entry: Least and most bits of a table's entry.
        smooth: Waves instead of white noise.
    """
    rng = np.random.default_rng(seed)
    ports = [
        FrozenPort(
            f"x{i}",
            int(rng.integers(port_bits[0], port_bits[1] + 1)),
            bool(rng.random() < 0.5),
        )
        for i in range(shape[0])
    ]
    recorder = Recorder()
    bits = [port.bits for port in ports]
    codes = [recorder.input(port) for port in ports]
    sums: list[int] = []
    for depth, units in enumerate(shape[1:], start=1):
        edges = random_edges(
            bits,
            units,
            rng,
            density=density,
            address=address,
            entry=entry,
            smooth=smooth,
        )
        bias = rng.integers(-20, 21, units).tolist()
        with recorder.naming(f"lut{depth}"):
            sums = _sums(recorder, codes, bits, edges, bias)
        if depth < len(shape) - 1:
            with recorder.naming(f"code{depth}"):
                codes, bits = random_codes(recorder, sums, edges, bias, rng, code_bits)
    return recorder.finish([(f"y{j}", node) for j, node in enumerate(sums)], 0.125)


def _sums(
    recorder: Recorder,
    codes: Sequence[int],
    bits: Sequence[int],
    edges: list[list[Edge]],
    bias: Sequence[int],
) -> list[int]:
    sums = []
    for j in range(len(bias)):
        terms = []
        for code, width, row in zip(codes, bits, edges, strict=True):
            entries, up = row[j]
            if len(entries) == 1:
                continue
            drop = width - (len(entries).bit_length() - 1)
            leading = recorder.shift(code, -drop)
            # Entries count from the least code on; a port's may be below zero.
            first = min(recorder.interval(code)[0], 0) >> drop
            term = recorder.table(leading, lambda v, e=entries, f=first: e[v - f])
            terms.append(recorder.shift(term, up))
        sums.append(recorder.sum(terms, bias=bias[j]))
    return sums


def random_words(
    network: FrozenProgram, events: int, seed: int = 0
) -> Int64[np.ndarray, "events ports"]:
    """Uniform words over the whole range of each port, the corners first."""
    rng = np.random.default_rng(seed)
    lo = np.array([-(2 ** (p.bits - 1)) if p.signed else 0 for p in network.inputs])
    hi = lo + np.array([2**p.bits - 1 for p in network.inputs])
    words = rng.integers(lo, hi + 1, (events, len(lo)))
    words[:2] = np.stack([lo, hi])[: len(words)]
    return words


@st.composite
def programs(draw, most=12):
    """Two ports and up to `most` operations of every kind, nothing folded."""
    ports, ops = [], []
    for k, name in enumerate("ab"):
        port = FrozenPort(name, draw(st.integers(1, 5)), draw(st.booleans()))
        ports.append(port)
        ops.append(FrozenOp("input", (), *port.interval, port=k))
    kinds = ("sum", "sum", "sum", "table", "shift", "shift", "clip", "wrap", "const")
    for _ in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(kinds))
        count = {"const": 0, "sum": draw(st.integers(1, 4))}.get(kind, 1)
        args = tuple(
            draw(st.lists(st.integers(0, len(ops) - 1), min_size=count, max_size=count))
        )
        read = [(ops[a].lo, ops[a].hi) for a in args]
        lo = draw(st.integers(-40, 40)) if kind in ("const", "clip") else 0
        hi = lo + (draw(st.integers(0, 60)) if kind == "clip" else 0)
        fields = {"layer": draw(st.sampled_from(("", "one", "two")))}
        match kind:
            case "sum":
                weight = st.integers(-23, 23) | st.sampled_from((-1, 1, 2, -4, 2**30))
                weights = st.lists(weight, min_size=count, max_size=count)
                fields["weights"] = tuple(draw(weights))
                fields["bias"] = draw(st.integers(-50, 50) | st.just(0))
            case "table":
                size = read[0][1] - read[0][0] + 1
                if size > 64:
                    continue
                entries = st.lists(st.integers(-8, 8), min_size=size, max_size=size)
                fields["entries"] = tuple(draw(entries))
            case "shift":
                fields["by"] = draw(st.integers(-5, 4) | st.sampled_from((-70, -61, 9)))
            case "wrap":
                fields["bits"] = draw(st.integers(1, 9) | st.sampled_from((31, 32, 60)))
                fields["signed"] = draw(st.booleans())
        lo, hi = interval(FrozenOp(kind, args, lo, hi, **fields), read)
        if lo > -(2**50) and hi < 2**50:
            ops.append(FrozenOp(kind, args, lo, hi, **fields))
    # The last results read most of what stands before them.
    late = st.integers(max(0, len(ops) - 4), len(ops) - 1)
    outputs = draw(st.lists(late, min_size=1, max_size=3))
    named = tuple((f"y{k}", index) for k, index in enumerate(outputs))
    return FrozenProgram(tuple(ports), tuple(ops), named, 1.0)
