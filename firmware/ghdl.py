"""The VHDL in GHDL: what the other language's text computes, clock by clock.

The slowest of the simulators, so it sees fewer words; registers start unknown, and a
bit that stays so is seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from firmware import rows, rtl
from firmware.netlist import Netlist
from firmware.tools import Tool, call, write_texts

STANDARD = "--std=08"

BENCH = """\
library ieee;
use ieee.std_logic_1164.all;
use std.textio.all;

entity {block}_replay is
end entity;

architecture replay of {block}_replay is
  signal clk : std_logic := '0';
  signal row : std_logic_vector({top} downto 0);
  signal shown : std_logic_vector({valid} downto 0);
begin
  dut : entity work.{block} port map (
    clk => clk,
    {pins}
  );

  process is
    file stimulus : text open read_mode is "{files[0]}";
    file trace : text open write_mode is "{files[1]}";
    variable characters : line;
    variable bits : std_logic_vector(row'range);
  begin
    while not endfile(stimulus) loop
      readline(stimulus, characters);
      read(characters, bits);
      row <= bits;
      wait for 1 ns;
      clk <= '1';
      wait for 1 ns;
      write(characters, shown);
      writeline(trace, characters);
      clk <= '0';
    end loop;
    wait;
  end process;
end architecture;
"""


@final
@dataclass(frozen=True)
class Ghdl(rows.Replay):
    """A block that GHDL has analysed."""

    netlist: Netlist
    folder: Path
    ghdl: Tool

    @classmethod
    def build(
        cls,
        texts: Mapping[str, str],
        netlist: Netlist,
        folder: Path,
        *,
        ghdl: Tool,
        options: rtl.Options = rtl.DEFAULT,
    ) -> "Ghdl":
        """Analyses the RTL together with a bench, and elaborates both.

        Args:
            texts: VHDL by file name; the top entity is the block's id.
            netlist: Says names and widths of the pins.
            folder: An existing empty folder; everything is written there.
            ghdl: From `tools.ghdl`.
            options: How the block is wired.

        Raises:
            ToolError: GHDL refuses the text.
        """
        top = f"{netlist.block}_replay"
        span, pin = "({0} downto {1})", "{0} => {1}"
        bench = rows.bench(BENCH, netlist, options, span=span, pin=pin)
        texts = {**texts, f"{top}.vhd": bench}
        write_texts(folder, texts)
        call([*ghdl.command, "-a", STANDARD, *texts], folder)
        call([*ghdl.command, "-e", STANDARD, top], folder)
        return cls(netlist, folder, ghdl)

    def command(self) -> Sequence[str]:
        """What runs the bench."""
        # Arithmetic on what is unknown yet is no news; the trace shows what stays so.
        quiet = "--ieee-asserts=disable"
        top = f"{self.netlist.block}_replay"
        return [*self.ghdl.command, "-r", STANDARD, top, quiet]
