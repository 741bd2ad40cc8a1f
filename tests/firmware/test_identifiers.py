"""Names: what one of the languages reserves is refused, with the language that objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_verilog import interface_of
from tiny_block import NETLIST

from firmware import identifiers, verilog, vhdl
from firmware.netlist import Netlist
from firmware.pipeline import pipeline
from trigger.errors import UserError


@pytest.mark.parametrize(
    ("name", "language"),
    [
        *(("endmodule", "Verilog"), ("logic", "Verilog"), ("reg", "Verilog")),
        *(("architecture", "VHDL"), ("Signal", "VHDL"), ("STD", "VHDL")),
        *(("namespace", "C++"), ("co_await", "C++"), ("main", "C++")),
    ],
)
def test_an_id_that_a_language_reserves_is_refused(name, language):
    with pytest.raises(UserError) as refused:
        identifiers.check(name, ["a"], ["y"])
    assert f"block id {name!r} is a reserved word of " in str(refused.value)
    assert language in str(refused.value)


@pytest.mark.parametrize("name", ["Module", "NAMESPACE", "jsc_hlf_v1_0_0", "in_", "x9"])
def test_capitals_matter_where_the_language_says_so(name):
    if name.endswith("_"):
        name += "signal"
    identifiers.check(name, ["signal", "Reg"], ["signal"])  # ports are in_signal, ...


@pytest.mark.parametrize("name", ["", "9lives", "_a", "a_", "a__b", "a-b", "ä", "a\n"])
def test_what_is_no_identifier_somewhere_is_refused_as_id_and_as_port(name):
    with pytest.raises(UserError, match="is no identifier in Verilog, VHDL and C"):
        identifiers.check(name, ["a"], ["y"])
    if name not in ("9lives",):  # in_9lives is a name
        with pytest.raises(UserError, match="is no identifier in Verilog, VHDL and C"):
            identifiers.check("block_v1", ["a", name], ["y"])


def test_ports_that_are_one_to_vhdl_are_refused():
    with pytest.raises(UserError, match=r"input 'A', the port 'in_A', is also that of"):
        identifiers.check("b_v1", ["a", "A"], ["y"])
    with pytest.raises(
        UserError, match=r"output 'valid', .* the port of the valid bit"
    ):
        identifiers.check("b_v1", ["a"], ["valid"])
    identifiers.check("b_v1", ["a", "b"], ["a", "b"])


@given(st.text(st.sampled_from("abAB01_"), max_size=6))
def test_a_name_is_legal_or_refused_in_one_sentence(name):
    if "" in name.split("_"):
        with pytest.raises(UserError, match=f"'in_{name}', is no identifier in"):
            identifiers.check("block_v1", [name], ["y"])
    else:
        identifiers.check("block_v1", [name], ["y"])  # in_0 is as legal as in_a


@pytest.mark.parametrize("write", [verilog.emit, vhdl.emit])
def test_both_writers_refuse_an_id_that_only_the_other_reserves(write):
    for name in ("signal", "always", "template"):
        block = Netlist(name, NETLIST.nodes, NETLIST.tables, NETLIST.outputs)
        with pytest.raises(UserError, match=f"block id {name!r} is a reserved word"):
            write(block, pipeline(block, 200), interface_of(block))
