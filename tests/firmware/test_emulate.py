"""Compiling, loading and calling the emulator."""

import numpy as np
import pytest
import tiny_block as tiny

from firmware import cpp
from firmware.emulate import Emulator
from firmware.tools import ToolError, compiler
from trigger.errors import UserError


def build(folder, texts):
    for name, text in texts.items():
        (folder / name).write_text(text)
    return Emulator.build(
        folder, tiny.BLOCK, folder, cxx=compiler(), ports=2, outputs=2
    )


def test_a_second_build_at_the_same_place_runs_the_second_code(tmp_path):
    words = tiny.every_word()
    name = f"{tiny.BLOCK}.cpp"
    changed = tiny.EMULATOR[name].replace("3, 0, 7, 2, 5", "3, 0, 7, 2, 6")
    assert changed != tiny.EMULATOR[name]
    with build(tmp_path, tiny.EMULATOR) as first:
        assert np.array_equal(first.run(words), tiny.evaluate(words))
    with build(tmp_path, {**tiny.EMULATOR, name: changed}) as second:
        assert not np.array_equal(second.run(words), tiny.evaluate(words))


def test_the_emulator_tells_which_netlist_it_is_made_from(tmp_path):
    with build(tmp_path, tiny.EMULATOR) as emulator:
        assert emulator.version == cpp.version(tiny.NETLIST)


def test_words_of_another_shape_or_size_are_refused(tmp_path):
    with build(tmp_path, tiny.EMULATOR) as emulator:
        with pytest.raises(UserError, match=r"2 words an event.*\(5, 3\)"):
            emulator.run(np.zeros((5, 3), np.int64))
        with pytest.raises(UserError, match="32 signed bits"):
            emulator.run(np.array([[0, 2**31]]))


def test_a_source_that_does_not_compile_is_told_with_the_compilers_words(tmp_path):
    with pytest.raises(ToolError, match="error"):
        build(tmp_path, {f"{tiny.BLOCK}.cpp": "int main( {"})


def test_a_library_without_the_two_symbols_is_refused(tmp_path):
    with pytest.raises(ToolError, match=f"{tiny.BLOCK}_run"):
        build(tmp_path, {f"{tiny.BLOCK}.cpp": "int other;\n"})
