"""The recorder against plain integers, and arrays of wires against arrays of numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.frozen import FrozenPort, run
from models.layer import lift
from models.symbols import Recorder, Symbols, Wire, trace
from trigger.errors import UserError

PORTS = (FrozenPort("a", 4, True), FrozenPort("b", 3, False))


def every_word():
    return np.array([[a, b] for a in range(-8, 8) for b in range(8)])


class Plain:
    """What a recorder is asked for, done at once on whole arrays of integers."""

    def sum(self, args, weights, bias):
        terms = [w * np.array(a) for w, a in zip(weights, args, strict=True)]
        return np.sum(terms, axis=0) + bias

    def table(self, a, entry):
        return np.array([entry(v) for v in a.tolist()])

    def shift(self, a, by):
        return np.floor(a * 2.0**by).astype(np.int64)  # exact: values are small

    def clip(self, a, lo, hi):
        return np.minimum(np.maximum(a, lo), hi)

    def wrap(self, a, bits, signed):
        half = 2 ** (bits - 1) if signed else 0
        return (a + half) % 2**bits - half


@st.composite
def requests(draw):
    """Calls of a recorder; arguments are counted back from the last result."""
    calls = []
    for _ in range(draw(st.integers(1, 10))):
        back = st.integers(1, 6)
        kind = draw(st.sampled_from(("sum", "sum", "table", "shift", "clip", "wrap")))
        match kind:
            case "sum":
                args = draw(st.lists(back, min_size=0, max_size=4))
                weight = st.integers(-3, 3)
                size = len(args)
                weights = draw(st.lists(weight, min_size=size, max_size=size))
                calls.append((kind, args, (weights, draw(st.integers(-5, 5)))))
            case "table":
                slope, modulus = draw(st.integers(-3, 3)), draw(st.integers(1, 9))
                entry = lambda v, s=slope, m=modulus: s * (v % m)  # noqa: E731
                calls.append((kind, [draw(back)], (entry,)))
            case "shift":
                calls.append((kind, [draw(back)], (draw(st.integers(-6, 3)),)))
            case "clip":
                lo = draw(st.integers(-20, 20))
                calls.append((kind, [draw(back)], (lo, lo + draw(st.integers(0, 20)))))
            case "wrap":
                bits, signed = draw(st.integers(1, 6)), draw(st.booleans())
                calls.append((kind, [draw(back)], (bits, signed)))
    return calls


@given(requests())
def test_a_recorded_program_is_what_was_asked_for(calls):
    words, recorder, plain = every_word(), Recorder(), Plain()
    nodes = [recorder.input(port) for port in PORTS]
    values = [words[:, 0], words[:, 1]]
    for kind, back, rest in calls:
        at = [len(nodes) - min(k, len(nodes)) for k in back]
        if kind == "sum":
            nodes.append(recorder.sum([nodes[k] for k in at], *rest))
            made = plain.sum([values[k] for k in at], *rest)
            values.append(np.broadcast_to(made, len(words)))
        else:
            nodes.append(getattr(recorder, kind)(nodes[at[0]], *rest))
            values.append(getattr(plain, kind)(values[at[0]], *rest))
        lo, hi = recorder.interval(nodes[-1])
        assert lo <= values[-1].min()
        assert values[-1].max() <= hi
    outputs = [(f"y{k}", node) for k, node in enumerate(nodes)]
    program = recorder.finish(outputs, 1.0)
    assert np.array_equal(run(program, words), np.stack(values, axis=1))
    assert len(set(program.ops)) == len(program.ops)


def recorded():
    recorder = Recorder()
    return recorder, *(recorder.input(port) for port in PORTS)


def test_what_does_nothing_is_not_recorded():
    recorder, a, b = recorded()
    assert recorder.shift(a, 0) == a
    assert recorder.clip(a, -8, 9) == a
    assert recorder.wrap(a, 4, True) == a
    assert recorder.wrap(b, 5, True) == b
    assert recorder.sum([a]) == a
    assert recorder.sum([a, b, b], [1, 3, -3]) == a


def test_equal_operations_exist_once_and_belong_to_the_first():
    recorder, a, b = recorded()
    with recorder.naming("one"):
        first = recorder.sum([a, b], [2, -3], 1)
        with recorder.naming("inner"):
            recorder.shift(a, 5)
        other = recorder.clip(a, 0, 3)
    with recorder.naming("two"):
        assert recorder.sum([b, a, b], [-2, 2, -1], 1) == first
        assert recorder.table(b, lambda v: v * v) == recorder.table(b, lambda v: v**2)
    outputs = [("x", first), ("y", recorder.shift(a, 5)), ("z", other)]
    program = recorder.finish(outputs, 1.0)
    assert [op.layer for op in program.ops if op.args] == ["one", "inner", "one"]


def test_constants_are_folded():
    recorder, a, _ = recorded()
    seven = recorder.const(7)
    assert recorder.interval(recorder.shift(seven, -1)) == (3, 3)
    assert recorder.interval(recorder.clip(a, 9, 12)) == (9, 9)
    assert recorder.interval(recorder.wrap(seven, 3, True)) == (-1, -1)
    assert recorder.interval(recorder.table(a, lambda _: 4)) == (4, 4)
    assert recorder.interval(recorder.sum([])) == (0, 0)
    shifted = recorder.sum([a, seven], [1, -2], 20)
    assert shifted == recorder.sum([a], bias=6)
    assert recorder.sum([a, a], [3, 5]) == recorder.shift(a, 3)


def test_shifts_of_shifts_and_wraps_of_wraps_become_one():
    recorder, a, _ = recorded()
    assert recorder.shift(recorder.shift(a, 3), -5) == recorder.shift(a, -2)
    assert recorder.shift(recorder.shift(a, -1), -1) == recorder.shift(a, -2)
    assert recorder.shift(recorder.shift(a, -1), 1) != a
    wide = recorder.wrap(a, 3, False)
    assert recorder.wrap(wide, 2, True) == recorder.wrap(a, 2, True)


def test_a_constant_is_taken_off_again():
    recorder, a, b = recorded()
    added = recorder.sum([a], bias=-5)
    assert recorder.op(added).bias == -5
    assert recorder.unbiased(added) == (a, -5)
    assert recorder.unbiased(recorder.shift(added, 2)) == (recorder.shift(a, 2), -20)
    for node in (a, recorder.shift(a, 2), recorder.sum([a, b], bias=3)):
        assert recorder.unbiased(node) == (node, 0)


def test_what_no_output_needs_is_dropped_but_ports_stay():
    recorder, a, b = recorded()
    recorder.shift(b, 2)
    program = recorder.finish([("y", recorder.shift(a, 1))], 0.25)
    assert [op.kind for op in program.ops] == ["input", "input", "shift"]
    assert program.outputs == (("y", 2),)
    assert program.out_lsb == 0.25


def test_a_table_of_too_many_addresses_is_refused_with_its_layer():
    recorder = Recorder()
    fits = recorder.input(FrozenPort("a", 16, True))
    wide = recorder.input(FrozenPort("b", 17, True))
    assert recorder.interval(recorder.table(fits, lambda v: v & 1)) == (0, 1)
    with (
        recorder.naming("lut3"),
        pytest.raises(UserError, match=r"'lut3' makes a table .* 131072 values"),
    ):
        recorder.table(wide, lambda v: v & 1)


def test_values_of_too_many_bits_are_refused_with_their_layer():
    recorder, a, _ = recorded()
    recorder.shift(a, 58)
    with recorder.naming("dense1"):
        with pytest.raises(UserError, match=r"'dense1': a shift takes .* 62 signed"):
            recorder.shift(a, 59)
        with pytest.raises(UserError, match=r"'dense1': a sum takes"):
            recorder.sum([a], [3 * 2**58])
        with pytest.raises(UserError, match=r"'dense1' wraps a value to 62 bits"):
            recorder.wrap(a, 62, True)
        with pytest.raises(ValueError, match=r"clip to 3\.\.2 in layer 'dense1'"):
            recorder.clip(a, 3, 2)


def test_a_wire_gets_finer_counts_but_never_coarser():
    recorder, a, _ = recorded()
    assert recorder.to_exponent(Wire(a, 2), 5) == recorder.shift(a, 3)
    assert recorder.to_exponent(Wire(a, 2), 2) == a
    zero = recorder.const(0)
    assert recorder.to_exponent(Wire(zero, 7), 2) == zero
    with pytest.raises(ValueError, match="is not a whole number of"):
        recorder.to_exponent(Wire(a, 2), 1)


def grid(*shape):
    size = int(np.prod(shape))
    numbers = np.arange(size).reshape(shape)
    wires = np.empty(size, object)
    wires[:] = [Wire(k, 0) for k in range(size)]
    return Symbols(wires.reshape(shape), Recorder()), numbers


def nodes_of(symbols):
    return np.vectorize(lambda wire: wire.node, otypes=[np.int64])(symbols.wires)


MOVES = [
    lambda x: x[1],
    lambda x: x[0, 1, 2],
    lambda x: x[:, ::-1],
    lambda x: x[..., None],
    lambda x: x[:, [0, 0, 1]],
    lambda x: x.reshape(6, 4),
    lambda x: x.reshape((-1,)),
    lambda x: x.transpose(1, 0, 2),
    lambda x: x.T,
]


@pytest.mark.parametrize("move", MOVES)
def test_wires_move_as_numbers_do(move):
    symbols, numbers = grid(2, 3, 4)
    moved, expected = move(symbols), move(numbers)
    assert isinstance(moved, Symbols)
    assert moved.shape == expected.shape
    assert (moved.ndim, moved.size) == (expected.ndim, expected.size)
    assert np.array_equal(nodes_of(moved), expected)
    lifted = lift(move, symbols)
    assert np.array_equal(nodes_of(lifted), expected)


def test_iteration_is_over_the_first_axis():
    symbols, numbers = grid(2, 3)
    assert len(symbols) == 2
    assert [nodes_of(row).tolist() for row in symbols] == numbers.tolist()
    assert [one.item().node for one in symbols[1]] == [3, 4, 5]


def test_several_arrays_move_together_if_they_are_of_one_program():
    symbols, numbers = grid(2, 3)
    both = lift(lambda a, b: np.concatenate([a, b]), symbols, symbols[:1])
    assert np.array_equal(nodes_of(both), np.concatenate([numbers, numbers[:1]]))
    with pytest.raises(ValueError, match="two programs cannot meet"):
        lift(lambda a, b: np.concatenate([a, b]), symbols, grid(2, 3)[0])


def test_tracing_brings_outputs_to_one_exponent():
    def network(x):
        a, b = (one.item() for one in x)
        half = x.recorder.sum([a.node, b.node], [1, -1])
        return Symbols([Wire(half, 1), Wire(b.node, 3), a], x.recorder)

    program = trace(network, PORTS, ("u", "v", "w"))
    assert program.out_lsb == 2**-3
    assert program.inputs == PORTS
    a, b = every_word().T
    expected = np.stack([(a - b) / 2, b / 8, a], axis=1)
    assert np.array_equal(run(program, every_word()) * program.out_lsb, expected)


def test_a_network_that_does_not_answer_as_asked_is_refused():
    with pytest.raises(UserError, match=r"shape \(2,\), 1 are named"):
        trace(lambda x: x, PORTS, ("y",))
    with pytest.raises(UserError, match=r"shape \(1, 2\), 1 are named"):
        trace(lambda x: x[None], PORTS, ("y",))
    with pytest.raises(UserError, match="turned wires into ndarray"):
        trace(lambda x: x.wires, PORTS, ("y", "z"))
    with pytest.raises(UserError, match="62 signed bits are the limit"):
        trace(
            lambda x: Symbols([x[0].item(), Wire(x[1].item().node, 70)], x.recorder),
            PORTS,
            ("y", "z"),
        )
