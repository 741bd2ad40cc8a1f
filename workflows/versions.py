"""Versions of what takes part in a run, for its records."""

import sys
from importlib.metadata import PackageNotFoundError, version

from firmware import tools

LIBRARIES = ("jax", "equinox", "optax", "numpy", "uproot", "mlflow")
"""Whose versions are recorded beside those of the tools."""


def installed() -> dict[str, str]:
    """Versions of what took part, by name."""
    found = {"python": sys.version.split()[0]}
    for name in ("jetlut", *LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a source tree
            found[name] = "not installed"
    return found | tools.versions()
