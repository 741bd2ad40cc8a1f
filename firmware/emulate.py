"""The C++ emulator, compiled here and called through ctypes.

What runs is the very text that ships in the bundle, compiled with the flags of the
bundle's Makefile, reached through its C interface.
"""

import ctypes
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int64, Integer

from firmware import binding
from firmware.tools import Tool, ToolError, call
from trigger.errors import UserError


@final
class Emulator:
    """A compiled emulator; a context manager, which unloads the library at its end.

    Unloading matters: the loader knows a library by its file's identity, which a later
    build may inherit, and would hand out the old code for the new file.
    """

    def __init__(self, library: Path, block: str, ports: int, outputs: int):
        """Loads a shared object.

        Args:
            library: Path of the shared object.
            block: Id of the block, the prefix of its two symbols.
            ports: Words in an event.
            outputs: Words in an answer.

        Raises:
            ToolError: It cannot be loaded or lacks one of the two symbols.
        """
        self.ports, self.outputs = ports, outputs
        try:
            self._library = ctypes.CDLL(str(library))
            self._run = getattr(self._library, f"{block}_run")
            self._version = getattr(self._library, f"{block}_version")
        except (OSError, AttributeError) as error:
            raise ToolError(
                f"the emulator of {block!r} does not load: {error}"
            ) from error
        self._run.restype = None
        self._run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self._version.restype = ctypes.c_char_p

    @classmethod
    def build(
        cls,
        folder: Path,
        block: str,
        build: Path,
        *,
        cxx: Tool,
        ports: int,
        outputs: int,
    ) -> "Emulator":
        """Compiles `folder/<block>.cpp` into `build` and loads it.

        Args:
            folder: Where the sources lie; only read.
            block: Id of the block.
            build: An existing folder for the shared object.
            cxx: A compiler that is there, from `tools.compiler`.
            ports: Words in an event.
            outputs: Words in an answer.

        Raises:
            ToolError: The source does not compile or does not load.
        """
        source = (folder / f"{block}.cpp").resolve()
        library = build.resolve() / f"{block}.so"
        call(
            [
                *cxx.command,
                *binding.FLAGS,
                *binding.SHAPE,
                "-o",
                str(library),
                str(source),
            ],
            build,
        )
        return cls(library, block, ports, outputs)

    @property
    def version(self) -> str:
        """What the emulator says that it is."""
        return self._version().decode(errors="replace")

    def run(
        self, words: Integer[np.ndarray, "events ports"]
    ) -> Int64[np.ndarray, "events outputs"]:
        """Evaluates raw words; words outside a port's range saturate.

        Raises:
            UserError: The number of columns is not the number of ports, or a word
                does not fit the 32 bits of the interface.
        """
        if words.ndim != 2 or words.shape[1] != self.ports:
            raise UserError(
                f"the emulator takes {self.ports} words an event, the words have "
                f"shape {words.shape}"
            )
        taken = np.ascontiguousarray(words, np.int32)
        if words.dtype != np.int32 and not np.array_equal(taken, words):
            raise UserError(
                "the emulator takes words of 32 signed bits; some are wider"
            )
        given = np.empty((len(taken), self.outputs), np.int32)
        self._run(taken.ctypes.data, given.ctypes.data, len(taken))
        return given.astype(np.int64)

    def __enter__(self) -> "Emulator":
        return self

    def __exit__(self, *_: object) -> None:
        close = ctypes.CDLL(None).dlclose
        close.argtypes = [ctypes.c_void_p]
        close(self._library._handle)
