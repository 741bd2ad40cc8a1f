"""The machine that compiles, and where it keeps what it compiled.

A home folder may serve machines of several kinds, batch nodes for example; what was
compiled for one processor is never given to another.
"""

import hashlib
import os
import platform
from collections.abc import MutableMapping
from pathlib import Path


def cache() -> Path:
    """The folder of what can be made again, `~/.cache/jetlut`; it may not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "jetlut"


def processor() -> bytes:
    """What code for this very processor depends on: its model and its instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = [platform.machine(), platform.processor()]
    kept = [line for line in lines if line.startswith(("flags", "model name"))][:2]
    return "\n".join(kept or lines).encode()


def keep_programs(environment: MutableMapping[str, str]) -> None:
    """Lets JAX keep what it compiles, so that a second training starts at once.

    A training compiles for 10 to 30 s, and one of the same shape needs the same programs
    whatever its seed, prices and budget.  A folder that the environment names is left as
    it is, and nothing is kept where none can be made.

    Args:
        environment: `os.environ`, before JAX is imported.
    """
    if "JAX_COMPILATION_CACHE_DIR" in environment:
        return
    try:
        # JAX's own key leaves out some flags, the number of devices of a CPU among them.
        asked = environment.get("XLA_FLAGS", "").encode()
        kind = hashlib.sha256(processor() + asked).hexdigest()[:8]
        folder = cache().absolute() / f"programs-{kind}"
    except RuntimeError:  # nobody says what the home is
        return
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK):
        return
    environment["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
