"""The embedded sample: the first jets of a larger simulated sample, in one small file.

    python workflows/data/make_sample.py jsc_pythia_hlf_train.root jsc_sample.root

Copies the events of five luminosity blocks as they are, with the columns that the
recipes read.  The columns of the result depend on the source alone; the file's bytes
also hold the time and an identifier, so the README beside it has its SHA-256.
"""

import argparse
import hashlib
import os
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

SOURCE_SHA256 = "7a0e4a24a7053f5cdebd552600080d6d24b3299995884507267b86474a400222"
# Each block has 20,000 jets, evenly of five classes; part of a block would not be even.
BLOCKS = range(105, 110)
EVENT = ("run", "luminosityBlock", "event")
JET = (
    *("pt", "eta", "phi", "mass", "label"),
    *("zlogz", "c1_b0_mmdt", "c1_b1_mmdt", "c1_b2_mmdt", "c2_b1_mmdt", "c2_b2_mmdt"),
    *("d2_b1_mmdt", "d2_b2_mmdt", "d2_a1_b1_mmdt", "d2_a1_b2_mmdt", "m2_b1_mmdt"),
    *("m2_b2_mmdt", "n2_b1_mmdt", "n2_b2_mmdt", "mass_mmdt", "multiplicity"),
)
CHUNK = 20_000  # events in a cluster: long enough to compress well
COMPRESSION = uproot.LZMA(9)  # 40 % smaller than zlib, and still read in 0.3 s


def make(source: Path, target: Path) -> None:
    """Writes the sample.

    Raises:
        ValueError: The source is not the file that the sample is made from, or its
            events are not what a split by event needs.
    """
    with source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SOURCE_SHA256:
        raise ValueError(f"{source} has SHA-256 {found}, not {SOURCE_SHA256}")
    tree: Any = uproot.open(source)["Events"]
    block = tree["luminosityBlock"].array(library="np")
    events = int(np.count_nonzero(block < BLOCKS.stop))
    if set(block[:events]) != set(BLOCKS):
        raise ValueError(f"{source}: blocks {BLOCKS} are not its first events")
    columns = tree.arrays([*EVENT, *(f"Jet_{name}" for name in JET)], entry_stop=events)
    numbers = np.stack([ak.to_numpy(columns[name]) for name in EVENT], axis=1)
    if len(np.unique(numbers, axis=0)) != events:
        raise ValueError(f"{source}: (run, luminosityBlock, event) is not unique")
    parts = [_record(columns[i : i + CHUNK]) for i in range(0, events, CHUNK)]
    types = {name: array.type.content for name, array in parts[0].items()}
    writing = target.with_suffix(".part")
    with uproot.recreate(writing, compression=COMPRESSION) as file:
        out: Any = file.mktree("Events", types, title="simulated jets, 5 classes")
        for part in parts:
            out.extend(part)
    os.replace(writing, target)


def _record(columns: ak.Array) -> dict[str, Any]:
    """The columns as uproot writes them, all of a jet's with the one counter `nJet`."""
    record = {name: columns[name] for name in EVENT}
    record["Jet"] = ak.zip({name: columns[f"Jet_{name}"] for name in JET})
    return record


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=make.__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    make(arguments.source, arguments.target)
