"""A block small enough to be written by hand in every form, and to be tried in full.

Shared by the tests of this folder.  The Verilog below and `evaluate` were written from
the drawing, not by the writers under test::

    a (-8..7)  -> t0 ------\\
                            + -> z, clip 0..5 -> y
    b (0..7) >> 1 -> t1 ---/
"""

import numpy as np
from jaxtyping import Int64, Integer

from firmware import binding, cpp
from firmware.netlist import Netlist, Node
from trigger.interface import Interface
from trigger.words import Word

BLOCK = "tiny_v1_0_0"
CYCLES = 2
T0 = (3, 0, 7, 2, 5, 1, 6, 4, 4, 4, 0, 1, 7, 7, 2, 3)
T1 = (-3, 1, 0, 2)

NETLIST = Netlist(
    block=BLOCK,
    nodes=(
        Node("input", (), -8, 7, name="a"),
        Node("input", (), 0, 7, name="b"),
        Node("table", (0,), 0, 7, table=0, layer="lut1"),
        Node("shift", (1,), 0, 3, by=-1, layer="lut1"),
        Node("table", (3,), -3, 2, table=1, layer="lut1"),
        Node("add", (2, 4), -3, 9, layer="lut1"),
        Node("clip", (5,), 0, 5, layer="code1"),
    ),
    tables=(T0, T1),
    outputs=(("y", 6), ("z", 5)),
)

INTERFACE = Interface(
    block=BLOCK,
    inputs=(Word("a", 4, True, 0.5, "GeV"), Word("b", 3, False, 1.0, "")),
    outputs=(Word("y", 3, False, 1.0, ""), Word("z", 5, True, 1.0, "")),
    classes=("first", "second"),
)


def _case(width: int, entries: dict[int, str], result: str) -> str:
    rows = [
        f"      {width}'d{at}: {result} = {entry};" for at, entry in entries.items()
    ]
    rows[-1] = rows[-1].replace(rows[-1].split(":")[0].strip(), "default")
    return "\n".join(rows)


VERILOG = f"""\
module {BLOCK} (
  input wire clk, input wire rst, input wire in_valid,
  input wire [3:0] in_a, input wire [2:0] in_b,
  output wire out_valid, output wire [2:0] out_y, output wire [4:0] out_z
);
  localparam LATENCY = {CYCLES};
  reg [LATENCY-1:0] valid;
  reg [3:0] a;
  reg [2:0] b;
  reg [2:0] y;
  reg signed [4:0] z;
  wire [2:0] first;
  {BLOCK}_t0 look (.a(a), .y(first));
  function signed [2:0] t1;
    input [1:0] x;
    case (x)
{_case(2, {at: f"3'd{entry & 7}" for at, entry in enumerate(T1)}, "t1")}
    endcase
  endfunction
  wire signed [2:0] second = t1(b[2:1]);
  wire signed [4:0] sum = $signed({{2'b00, first}}) + $signed(second);
  always @(posedge clk) begin
    if (rst) valid <= 0;
    else valid <= {{valid[LATENCY-2:0], in_valid}};
    a <= in_a;
    b <= in_b;
    z <= sum;
    y <= sum < 0 ? 3'd0 : sum > 5 ? 3'd5 : sum[2:0];
  end
  assign out_valid = valid[LATENCY-1];
  assign out_y = y;
  assign out_z = z;
endmodule

module {BLOCK}_t0 (input wire [3:0] a, output reg [2:0] y);
  always @* begin
    case (a)
{_case(4, {(at - 8) & 15: f"3'd{entry}" for at, entry in enumerate(T0)}, "y")}
    endcase
  end
endmodule
"""

RTL = {f"{BLOCK}.v": VERILOG}
EMULATOR = cpp.emit(NETLIST) | binding.emit(NETLIST)


def every_word() -> Int64[np.ndarray, "events ports"]:
    """All 128 events that the ports can hold."""
    a, b = np.meshgrid(np.arange(-8, 8), np.arange(8), indexing="ij")
    return np.stack([a.ravel(), b.ravel()], axis=1).astype(np.int64)


def evaluate(
    words: Integer[np.ndarray, "events ports"],
) -> Int64[np.ndarray, "events outputs"]:
    """What the drawing says."""
    rows = []
    for a, b in words.tolist():
        z = T0[a + 8] + T1[b // 2]
        rows.append((min(max(z, 0), 5), z))
    return np.array(rows, np.int64)
