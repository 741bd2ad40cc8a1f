"""`jetlut show`: what a netlist is made of, layer by layer."""

import argparse
from pathlib import Path
from typing import Any

from trigger.errors import UserError

CLOCK_MHZ = 360.0
"""For a netlist that comes without a bundle, which would say."""

EXAMPLE = """\
examples:
  $ jetlut show runs/jsc_hlf-seed1-547515de/jsc_hlf_v1_0_0
  jsc_hlf_v1_0_0: 16 ports in, 5 out, 447 nodes; 5 cycles, 13.9 ns at 360 MHz
  layer       edges   tables by address                adders   operands   clips   ...
  ────────────────────────────────────────────────────────────────────────────────────
  ports           0                                         0          0       0   ...
  layers[0]     102   1:1 2:6 3:26 4:43 5:13 6:9 7:4       24        127      16   ...
  layers[1]      51   2:2 3:15 4:27 5:7                    18         78       0   ...
  total         153   1:1 2:8 3:41 4:70 5:20 6:9 7:4       42        205      16   ...
  $ jetlut show netlist.json --nodes | head -3
  n0    in zlogz          -64..63    s7
  n1    in c1_b0_mmdt     0..127     u7
  n2    in c1_b1_mmdt     0..127     u7
"""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "show",
        help="print what a netlist or a bundle is made of",
        description="Print what a netlist is made of, layer by layer: tables that are "
        "alive, by address width, adders, registers, LUTs and nanoseconds (estimates), "
        "and the stages of the pipeline; then its ports.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_source(parser)
    parser.add_argument(
        "--nodes", action="store_true", help="print the netlist itself, a node a line"
    )
    parser.set_defaults(run=run)


def add_source(parser: argparse.ArgumentParser) -> None:
    """The netlist that a command is about, and its clock."""
    parser.add_argument(
        "source", type=Path, help="a netlist.json, or a bundle's folder"
    )
    parser.add_argument(
        "--clock-mhz",
        type=float,
        metavar="F",
        help=f"clock of the pipeline (default: the bundle's, or {CLOCK_MHZ:g})",
    )


def clock_of(source: Any, asked: float | None) -> float:
    """The clock that was asked for, else the bundle's, else that of a netlist alone."""
    return source.clock_mhz or CLOCK_MHZ if asked is None else asked


def run(args: argparse.Namespace) -> int:
    """Prints the account, or the listing."""
    from firmware import source as sources

    source = sources.read(args.source)
    if args.nodes:
        if args.clock_mhz is not None:
            raise UserError("--nodes prints no stages, so --clock-mhz changes nothing")
        from firmware.listing import listing

        for line in listing(source.netlist):
            print(line)
    else:
        _account(source, clock_of(source, args.clock_mhz))
    return 0


def _account(source: Any, clock_mhz: float) -> None:
    from firmware import area
    from firmware.layers import account, longest_ns
    from firmware.pipeline import pipeline
    from workflows.console import show

    netlist = source.netlist
    schedule = pipeline(netlist, clock_mhz)
    layers = account(netlist, schedule)
    columns = (
        *("layer", "edges", "tables by address", "adders", "operands", "clips"),
        *("others", "register bits", "LUTs", "ns", "stages"),
    )
    rows: list[tuple[str, ...]] = [
        (
            layer.name,
            f"{sum(layer.tables.values()):,}",
            _by_address(layer.tables),
            f"{layer.adders:,}",
            f"{layer.operands:,}",
            f"{layer.clips:,}",
            f"{layer.others:,}",
            f"{layer.register_bits:,}",
            f"{layer.luts:,.0f}",
            f"{layer.delay_ns:.2f}",
            "–".join(map(str, dict.fromkeys(layer.stages))),
        )
        for layer in layers
    ]
    tables: dict[int, int] = {}
    for layer in layers:
        for address, count in layer.tables.items():
            tables[address] = tables.get(address, 0) + count
    rows.append(
        (
            "total",
            f"{sum(tables.values()):,}",
            _by_address(tables),
            *(
                f"{sum(getattr(layer, name) for layer in layers):,}"
                for name in ("adders", "operands", "clips", "others", "register_bits")
            ),
            f"{sum(layer.luts for layer in layers):,.0f}",
            f"{longest_ns(netlist):.2f}",
            f"0–{schedule.cycles - 2}" if schedule.cycles > 2 else "0",
        )
    )
    show(
        columns,
        rows,
        numeric=(columns[1], *columns[3:]),
        title=f"{netlist.block}: {len(netlist.inputs)} ports in, "
        f"{len(netlist.outputs)} out, {len(netlist.nodes):,} nodes; "
        f"{schedule.cycles} cycles, {schedule.latency_ns:.1f} ns at "
        f"{schedule.clock_mhz:g} MHz",
    )
    print(f"LUTs: {area.LABEL}; ns: by the delay model\n")
    _ports(netlist)


def _by_address(tables: Any) -> str:
    """Numbers of tables by their address bits."""
    return " ".join(f"{address}:{tables[address]}" for address in sorted(tables))


def _ports(netlist: Any) -> None:
    from workflows.console import show

    words = [(f"in_{netlist.nodes[i].name}", netlist.nodes[i]) for i in netlist.inputs]
    words += [(f"out_{name}", netlist.nodes[i]) for name, i in netlist.outputs]
    rows = [
        (
            name,
            str(node.width),
            "signed" if node.signed else "unsigned",
            str(node.lo),
            str(node.hi),
        )
        for name, node in words
    ]
    show(
        ("port", "bits", "sign", "least", "greatest"),
        rows,
        numeric=("bits", "least", "greatest"),
    )
