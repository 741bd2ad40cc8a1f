"""The Verilog in Icarus: another simulator's opinion on the same text.

Icarus interprets events and knows unknown bits, where Verilator compiles clock cycles
and draws them at random.  It is slow, so it sees fewer words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from firmware import rows, rtl
from firmware.netlist import Netlist
from firmware.tools import Tool, call, write_texts

BENCH = """\
module {block}_replay;
  reg clk;
  reg [{top}:0] row;
  wire [{valid}:0] shown;
  integer stimulus, trace, found;
  {block} dut (
    .clk(clk),
    {pins}
  );
  initial begin
    clk = 1'b0;
    stimulus = $fopen("{files[0]}", "r");
    trace = $fopen("{files[1]}", "w");
    found = $fscanf(stimulus, "%b", row);
    while (found == 1) begin
      #1 clk = 1'b1;
      #1 $fdisplay(trace, "%b", shown);
      clk = 1'b0;
      found = $fscanf(stimulus, "%b", row);
    end
    $fclose(trace);
    $finish;
  end
endmodule
"""


@final
@dataclass(frozen=True)
class Icarus(rows.Replay):
    """A block that Icarus has compiled."""

    netlist: Netlist
    folder: Path
    vvp: str
    """The program that runs what Icarus compiles."""

    @classmethod
    def build(
        cls,
        texts: Mapping[str, str],
        netlist: Netlist,
        folder: Path,
        *,
        icarus: Tool,
        options: rtl.Options = rtl.DEFAULT,
    ) -> "Icarus":
        """Compiles the RTL together with a bench.

        Args:
            texts: Verilog by file name; the top module is the block's id.
            netlist: Says names and widths of the pins.
            folder: An existing empty folder; everything is written there.
            icarus: From `tools.icarus`.
            options: How the block is wired.

        Raises:
            ToolError: Icarus refuses the text.
        """
        block = netlist.block
        span, pin = "[{0}:{1}]", ".{0}({1})"
        bench = rows.bench(BENCH, netlist, options, span=span, pin=pin)
        texts = {**texts, f"{block}_replay.v": bench}
        write_texts(folder, texts)
        call(
            [
                *(*icarus.command, "-g2001", "-o", "block.vvp", "-s"),
                *(f"{block}_replay", *sorted(texts)),
            ],
            folder,
        )
        return cls(netlist, folder, icarus.root)

    def command(self) -> Sequence[str]:
        """What runs the bench."""
        return [self.vvp, "-n", "block.vvp"]
