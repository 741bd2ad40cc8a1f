"""Acceptance of a bundle, by someone who trusts nothing but the files.

Recomputes the hashes, recompiles the C++ and the RTL, and runs the vectors through
NumPy, C++ and the simulator, with the checks that the bundle was made under.

Conventions
-----------
- What is not a bundle, or could touch files outside of it, is refused (`UserError`);
  what is a bundle and differs from its promises fails a check.
- If a file is not the one that the manifest names, nothing of the bundle is run.
- The bundle's code is compiled and executed: verify what comes from people you know.
- Neither JAX nor MLflow is needed, and the bundle is only read.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, final

from firmware import vectors
from firmware.bundle import FORMAT, MANIFEST, VERSION, digests
from firmware.netlist import Netlist, from_json
from firmware.prove import CHECKS, Check, passed, prove
from firmware.rtl import Options, disagreements
from trigger.errors import UserError
from trigger.interface import from_json as from_io_json

NEEDED = ("netlist.json", "io.json", "vectors/inputs.npy", "vectors/expected.npy")


@final
@dataclass(frozen=True)
class Acceptance:
    """The verdict on a bundle; `checks` are in the order in which they read best."""

    id: str
    checks: Mapping[str, Check]
    complete: bool
    """Every check that is needed passed, here and when the bundle was made."""

    @property
    def ok(self) -> bool:
        """No check failed; some may not have been run."""
        return all(check.status != "failed" for check in self.checks.values())


def verify(path: Path) -> Acceptance:
    """Checks a bundle against its own promises.

    Args:
        path: The bundle's directory.

    Returns:
        One check per promise: `files`, `ports` and those of `prove.CHECKS`.

    Raises:
        UserError: Not a bundle, of an unknown version, unreadable, or unsafe: a path
            that leaves it, a link.
    """
    manifest = _manifest(path)
    block = manifest["id"]
    files = _files(path, manifest["files"])
    recorded = _recorded(manifest["checks"])
    if files.status != "passed":
        unrun = Check("not run", reason="the files are not those of the manifest")
        checks = {"files": files, **dict.fromkeys(("ports", *CHECKS), unrun)}
        return Acceptance(block, checks, complete=False)
    netlist = _netlist(path, block)
    ports = _ports(path, netlist)
    words = vectors.read(path / "vectors" / "inputs.npy", len(netlist.inputs))
    expected = vectors.read(path / "vectors" / "expected.npy", len(netlist.outputs))
    with TemporaryDirectory(prefix="jetlut-verify-") as folder:
        proved = prove(
            netlist,
            _texts(path / "rtl"),
            _texts(path / "emulator"),
            words,
            expected,
            cycles=manifest["latency_cycles"],
            folder=Path(folder),
            options=_options(path, manifest),
        )
    checks = {"files": files, "ports": ports, "network": recorded}
    checks |= proved
    complete = manifest["complete"] is True and passed(checks)
    return Acceptance(block, checks, complete)


def _manifest(path: Path) -> dict[str, Any]:
    """The manifest, with the types of the fields that are used here checked."""
    if not (path / MANIFEST).is_file() or (path / MANIFEST).is_symlink():
        raise UserError(f"{path} is not a bundle: there is no file {MANIFEST} in it")
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        kind, version = manifest["format"], manifest["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path / MANIFEST} is not a manifest: {error!r}") from error
    if kind != FORMAT or version != VERSION:
        raise UserError(
            f"{path / MANIFEST} is {kind!r} version {version}; this program reads "
            f"{FORMAT!r} version {VERSION}"
        )
    types = {
        "id": str,
        "files": dict,
        "checks": dict,
        "complete": bool,
        "latency_cycles": int,
    }
    for field, wanted in types.items():
        if not isinstance(manifest.get(field), wanted):
            raise UserError(
                f"{path / MANIFEST}: {field!r} is {manifest.get(field)!r}; "
                f"it has to be of type {wanted.__name__}"
            )
    if not manifest["id"].isidentifier() or not manifest["id"].isascii():
        raise UserError(f"{path / MANIFEST}: id {manifest['id']!r} is no identifier")
    return manifest


def _files(path: Path, listed: Mapping[str, Any]) -> Check:
    """Compares the files that are there with those that the manifest lists."""
    for name in listed:
        pure = PurePosixPath(name)
        unsafe = pure.is_absolute() or ".." in pure.parts or "\\" in name
        if unsafe or pure.as_posix() != name or name == ".":
            raise UserError(
                f"{path / MANIFEST} lists {name!r}, a path that leaves the bundle or "
                "is not written plainly"
            )
    found = digests(path)
    missing = [name for name in (*listed, *NEEDED) if name not in found]
    extra = [name for name in found if name not in listed]
    changed = [name for name in found if name in listed and listed[name] != found[name]]
    faults = [
        f"{what} {name}"
        for what, names in (
            ("missing", missing),
            ("extra", extra),
            ("changed", changed),
        )
        for name in dict.fromkeys(names)
    ]
    reason = ", ".join(faults[:3]) + (" and more" if len(faults) > 3 else "")
    return Check("failed" if faults else "passed", len(faults), len(listed), reason)


def _recorded(checks: Mapping[str, Any]) -> Check:
    """What the manifest says of the network, which is not in the bundle."""
    try:
        check = Check(**checks["network"])
    except (KeyError, TypeError):
        return Check("not run", reason="the manifest has no record of it")
    where = "recorded when the bundle was made"
    return Check(
        check.status,
        check.mismatches,
        check.words,
        f"{check.reason}, {where}" if check.reason else where,
    )


def _netlist(path: Path, block: str) -> Netlist:
    try:
        netlist = from_json((path / "netlist.json").read_text())
    except (ValueError, TypeError) as error:
        raise UserError(f"{path / 'netlist.json'} is broken: {error}") from error
    if netlist.block != block:
        raise UserError(
            f"{path / 'netlist.json'} is of block {netlist.block!r}, the manifest of "
            f"{block!r}"
        )
    return netlist


def _ports(path: Path, netlist: Netlist) -> Check:
    """Whether `io.json` names the netlist's ports, in order and as wide."""
    try:
        interface = from_io_json((path / "io.json").read_text())
    except (ValueError, TypeError) as error:
        raise UserError(f"{path / 'io.json'} is broken: {error}") from error
    wrong = disagreements(netlist, interface)
    total = len(netlist.inputs) + len(netlist.outputs)
    return Check("failed" if wrong else "passed", len(wrong), total, "".join(wrong[:1]))


def _options(path: Path, manifest: Mapping[str, Any]) -> Options:
    """How the RTL is wired; a manifest that does not say has the plain ports."""
    try:
        return Options(**dict(manifest.get("wiring", {})))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path / MANIFEST}: 'wiring' is {manifest['wiring']!r}, which this "
            f"program cannot drive: {error}"
        ) from error


def _texts(folder: Path) -> dict[str, str]:
    """The text files that lie directly in a folder, by name."""
    if not folder.is_dir():
        return {}
    return {
        path.name: path.read_text(errors="replace")
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
