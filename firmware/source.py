"""What an engineer names to a command: a netlist, alone or inside its bundle.

A bundle is read with all that it says of the netlist: ports, vectors, where it comes
from.  Nothing of it is run here, and one whose files are not those of its manifest is
refused, since what is made of it would carry its word.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Int64

from firmware import vectors
from firmware.bundle import FORMAT, MANIFEST, VERSION, digests
from firmware.netlist import Netlist, from_json
from firmware.rtl import Options
from firmware.vectors import VectorSet
from trigger.errors import UserError
from trigger.interface import Interface
from trigger.interface import from_json as from_io_json


@final
@dataclass(frozen=True)
class Bundle:
    """What a bundle says beside its netlist.

    Attributes:
        manifest: All entries of the manifest, among them the promised checks.
        interface: What the ports mean.
        vectors: Words for the ports.
        expected: What the block answers.
        rtl: Verilog text by file name.
        options: How the RTL is wired.
    """

    manifest: Mapping[str, Any]
    interface: Interface
    vectors: VectorSet
    expected: Int64[np.ndarray, "events outputs"]
    rtl: Mapping[str, str]
    options: Options


@final
@dataclass(frozen=True)
class Source:
    """A netlist, the SHA-256 of the file that vouches for it, and its bundle if any."""

    netlist: Netlist
    sha256: str
    bundle: Bundle | None = None

    @property
    def clock_mhz(self) -> float | None:
        """The clock that the bundle was made for."""
        return float(self.bundle.manifest["clock_mhz"]) if self.bundle else None

    @property
    def semver(self) -> str:
        """The version that the bundle was given."""
        manifest = self.bundle.manifest if self.bundle else {}
        return str(manifest.get("semver", "0.0.0"))


def read(path: Path) -> Source:
    """Reads a netlist file or a bundle's folder.

    Raises:
        UserError: Neither of them, unreadable, or a bundle that is not what its
            manifest says.
    """
    if path.is_dir():
        return _bundle(path)
    text = _text(path)
    try:
        netlist = from_json(text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return Source(netlist, hashlib.sha256(text.encode()).hexdigest())


def _bundle(path: Path) -> Source:
    if not (path / MANIFEST).is_file():
        raise UserError(
            f"{path} is a folder without {MANIFEST}; name a bundle or a netlist file"
        )
    text = _text(path / MANIFEST)
    try:
        manifest = json.loads(text)
        kind, version = manifest["format"], manifest["version"]
        clock, files = float(manifest["clock_mhz"]), dict(manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path / MANIFEST} is not a manifest: {error!r}") from error
    if kind != FORMAT or version != VERSION or not clock > 0:
        raise UserError(
            f"{path / MANIFEST} is {kind!r} version {version} for {clock:g} MHz; this "
            f"program reads {FORMAT!r} version {VERSION}, for a positive clock"
        )
    if digests(path) != files:
        raise UserError(
            f"the files of {path} are not those of its {MANIFEST}; "
            f"`jetlut verify {path}` says which"
        )
    try:
        netlist = from_json(_text(path / "netlist.json"))
        inside = Bundle(
            manifest,
            from_io_json(_text(path / "io.json")),
            VectorSet(
                vectors.read(path / "vectors" / "inputs.npy", len(netlist.inputs)),
                tuple(json.loads(_text(path / "vectors" / "groups.json")).items()),
            ),
            vectors.read(path / "vectors" / "expected.npy", len(netlist.outputs)),
            {p.name: _text(p) for p in sorted((path / "rtl").glob("*.v"))},
            Options(**manifest.get("wiring", {})),
        )
    except UserError as error:
        raise UserError(f"bundle {path}: {error}") from error
    except (ValueError, AttributeError, TypeError) as error:
        told = "its vectors/groups.json or the wiring in its manifest is broken"
        raise UserError(f"bundle {path}: {told}: {error!r}") from error
    return Source(netlist, hashlib.sha256(text.encode()).hexdigest(), inside)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
