"""The compiled kernels of the CPU: built once with g++, then found in a cache.

`kernels.cc` does the table-space step several times faster than XLA's form of it.  It
is compiled at first use, for the processor at hand, and registered with JAX.  Where
there is no g++, or JAX runs elsewhere than on a CPU, `ready()` is false and the layers
take the form that XLA compiles; both forms are held against each other in the tests.

`JETLUT_NATIVE=0` in the environment switches the kernels off.
"""

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
import warnings
from pathlib import Path

import jax

from models.machine import cache, processor

SOURCE = Path(__file__).with_name("kernels.cc")
TARGETS = (
    *("jetlut_tables", "jetlut_tables_grad"),
    *("jetlut_bag", "jetlut_bag_words_grad", "jetlut_bag_grad"),
)

# Sums may be taken in another order, so that they vectorise; NaN and infinity stay.
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-w"),
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"),
    *("-fassociative-math", "--param=vect-partial-vector-usage=2"),
)


def ready() -> bool:
    """Whether the layers should call the kernels."""
    if os.environ.get("JETLUT_NATIVE") == "0" or jax.default_backend() != "cpu":
        return False
    return _registered()


@functools.cache
def _registered() -> bool:
    """Loads the kernels and makes them known to JAX; false, with a warning, if not."""
    try:
        library = ctypes.cdll.LoadLibrary(str(_built()))
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", b"") or str(error).encode()
        warnings.warn(
            "the CPU kernels could not be built, training is several times slower "
            f"without them: {said.decode(errors='replace').strip()[:500]}",
            stacklevel=3,
        )
        return False
    for name in TARGETS:
        handler = jax.ffi.pycapsule(getattr(library, name))
        jax.ffi.register_ffi_target(name, handler, platform="cpu")
    return True


def _built() -> Path:
    """The shared library, compiled now if the cache does not hold it."""
    compiler = os.environ.get("CXX", "g++")
    said = subprocess.run([compiler, "--version"], capture_output=True, check=True)
    include = jax.ffi.include_dir()
    key = hashlib.sha256()
    for part in (SOURCE.read_bytes(), said.stdout, processor(), include.encode()):
        key.update(part)
    key.update(" ".join(FLAGS).encode())
    folder = cache()
    library = folder / f"kernels-{key.hexdigest()[:16]}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    # Built beside its place and moved there whole: two processes may do so at once.
    with tempfile.TemporaryDirectory(dir=folder) as work:
        new = Path(work) / "kernels.so"
        command = [compiler, *FLAGS, f"-I{include}", str(SOURCE), "-o", str(new)]
        subprocess.run(command, capture_output=True, check=True)
        new.replace(library)
    return library
