"""What every test runs under: checked shapes and types, no screen, no accelerator.

The packages are imported through jaxtyping's hook, so that each call inside the tests
is checked against its annotations by beartype.  The hook must be in place before the
first of them is imported, hence the order of this file.
"""

import gc
import os
import sys

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import psutil
import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

install_import_hook(["trigger", "models", "firmware", "workflows"], "beartype.beartype")

# Compilers and shared machines make times meaningless; draws stay reproducible.
settings.register_profile(
    "jetlut",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("jetlut")


LONGEST = (
    *("test_quick_recipes", "test_checkpoint", "test_architectures", "test_run"),
    *("test_step", "test_train", "test_sharding", "test_mutations", "test_lut"),
)
"""Long files that would come late, the longest first: so run, no process is left alone
with one."""


def pytest_collection_modifyitems(items):
    """The longest files first, all else as it was."""
    first = {stem: n for n, stem in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path.stem, len(LONGEST)))


MOST_BYTES = 4 * 2**30
"""Of a process that runs tests; beyond it compiled programs are thrown away."""


@pytest.fixture(scope="module", autouse=True)
def forgotten():
    """Compiled programs of a file are of little use to the next, and take gigabytes."""
    yield
    if "jax" in sys.modules and psutil.Process().memory_info().rss > MOST_BYTES:
        sys.modules["jax"].clear_caches()
        gc.collect()
