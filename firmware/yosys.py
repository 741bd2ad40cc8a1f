"""Yosys in a process of its own, for everything that maps RTL to cells.

It prints where it likes, takes long to load, and a fault in it must not take the caller
along; so the passes travel through a file to `python -m firmware.yosys`.
"""

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from firmware.tools import call

PASSES = "passes.json"


def run(passes: Sequence[str], folder: Path) -> None:
    """Runs passes inside `folder`, where they read and leave their files.

    Raises:
        ToolError: Yosys refused a pass or broke down.
    """
    (folder / PASSES).write_text(json.dumps([*passes]))
    here = str(Path(__file__).resolve().parents[1])
    call([sys.executable, "-m", "firmware.yosys"], folder, PYTHONPATH=here)


def main() -> None:
    """Runs the passes of the current folder."""
    # Loads the whole of Yosys, so only in this process; it has no type stubs.
    libyosys = importlib.import_module("pyosys.libyosys")

    design = libyosys.Design()
    for step in json.loads(Path(PASSES).read_text()):
        libyosys.run_pass(step, design)


if __name__ == "__main__":
    main()
