"""The tiny block in VHDL, written by hand from the drawing of `tiny_block`."""

from tiny_block import BLOCK, T0, T1


def _function(k: int, width: int, bits: int, entries: dict[int, int]) -> str:
    rows = "\n".join(
        f'      when "{at:0{width}b}" => return "{entry % (1 << bits):0{bits}b}";'
        for at, entry in entries.items()
    )
    return f"""\
  function t{k}(a : std_logic_vector({width - 1} downto 0)) return signed is
  begin
    case a is
{rows}
      when others => return "{0:0{bits}b}";
    end case;
  end function t{k};
"""


PORTS = """\
  port (
    clk, rst, in_valid : in std_logic;
    in_a : in std_logic_vector(3 downto 0);
    in_b : in std_logic_vector(2 downto 0);
    out_valid : out std_logic;
    out_y : out std_logic_vector(2 downto 0);
    out_z : out std_logic_vector(4 downto 0)
  );
"""

CORE = f"""\
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity {BLOCK}_core is
{PORTS}end entity;

architecture drawn of {BLOCK}_core is
{_function(0, 4, 4, {(at - 8) & 15: entry for at, entry in enumerate(T0)})}
{_function(1, 2, 3, dict(enumerate(T1)))}
  signal a : std_logic_vector(3 downto 0);
  signal b : std_logic_vector(2 downto 0);
  signal sum, cut : signed(4 downto 0);
  signal valid : std_logic_vector(1 downto 0);
begin
  sum <= resize(t0(a), 5) + resize(t1(b(2 downto 1)), 5);
  cut <= to_signed(0, 5) when sum < 0 else to_signed(5, 5) when sum > 5 else sum;
  out_valid <= valid(1);
  process (clk) is
  begin
    if rising_edge(clk) then
      valid <= valid(0) & in_valid;
      if rst = '1' then valid <= "00"; end if;
      a <= in_a;
      b <= in_b;
      out_y <= std_logic_vector(cut(2 downto 0));
      out_z <= std_logic_vector(sum);
    end if;
  end process;
end architecture;
"""

TOP = f"""\
library ieee;
use ieee.std_logic_1164.all;

entity {BLOCK} is
{PORTS}end entity;

architecture drawn of {BLOCK} is
  component {BLOCK}_core is
{PORTS}  end component;
begin
  core : {BLOCK}_core
    port map (clk, rst, in_valid, in_a, in_b, out_valid, out_y, out_z);
end architecture;
"""

VHDL = {f"{BLOCK}_core.vhd": CORE, f"{BLOCK}.vhd": TOP}
