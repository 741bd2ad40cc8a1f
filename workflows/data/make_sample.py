"""The embedded samples: the first jets of larger simulated ones, in small files.

    python workflows/data/make_sample.py jsc_sample jsc_pythia_hlf_train.root

Copies the events of some luminosity blocks as they are, with the columns that the
recipes read and the leading particles of each jet.  The columns of the result depend on
the sources alone; the file's bytes also hold the time and an identifier, so the README
beside it has its SHA-256.
"""

import argparse
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import awkward as ak
import numpy as np
import uproot

EVENT = ("run", "luminosityBlock", "event")
KINEMATICS = ("pt", "eta", "phi", "mass", "label")
FEATURES = (
    *("zlogz", "c1_b0_mmdt", "c1_b1_mmdt", "c1_b2_mmdt", "c2_b1_mmdt", "c2_b2_mmdt"),
    *("d2_b1_mmdt", "d2_b2_mmdt", "d2_a1_b1_mmdt", "d2_a1_b2_mmdt", "m2_b1_mmdt"),
    *("m2_b2_mmdt", "n2_b1_mmdt", "n2_b2_mmdt", "mass_mmdt", "multiplicity"),
)
PARTICLE = ("pt", "eta", "phi", "pdgId", "jetIdx")
CHUNK = 20_000  # events in a cluster: long enough to compress well
COMPRESSION = uproot.LZMA(9)  # 40 % smaller than zlib, and still read in 0.3 s


@final
@dataclass(frozen=True)
class Sample:
    """What is copied from where.

    Attributes:
        sources: SHA-256 of the files, in order.
        blocks: Luminosity blocks, the first of the sources.  Each has the classes
            evenly; part of a block would not.
        jet: Columns of a jet.
        event: Columns of an event besides its number.
        leading: Particles kept of a jet, the first that are stored.
    """

    sources: tuple[str, ...]
    blocks: tuple[int, ...]
    jet: tuple[str, ...]
    event: tuple[str, ...] = ()
    leading: int = 0


SAMPLES = {
    "jsc_sample": Sample(
        ("7a0e4a24a7053f5cdebd552600080d6d24b3299995884507267b86474a400222",),
        tuple(range(105, 110)),
        (*KINEMATICS, *FEATURES),
    ),
    "jsc_particles": Sample(
        ("0e6ada7d9075f99cc78b733ccd5e2cceda564552ec763b2bc5fc2c81d63e1749",),
        (105,),
        KINEMATICS,
        leading=16,
    ),
    "l1_sample": Sample(
        (
            "a8cf530e6001ffe098c43eeb728b54bc171e03de6b04f49df5451555882a8c01",
            "91b5596a3086efb8d74ec278ba834bb7aa88e884de5f832edd5aab93037c0a65",
        ),
        (401, 402),
        (*KINEMATICS, "partonPt"),
        ("Pileup_nTrueInt",),
        leading=16,
    ),
}


def make(name: str, sources: list[Path], target: Path) -> None:
    """Writes one sample.

    Raises:
        ValueError: The sources are not the files that the sample is made from, or
            their events are not what a split by event needs.
    """
    sample = SAMPLES[name]
    for source, expected in zip(sources, sample.sources, strict=True):
        with source.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise ValueError(f"{source} has SHA-256 {found}, not {expected}")
    columns = ak.concatenate([_read(source, sample) for source in sources])
    columns = columns[np.isin(columns.luminosityBlock, sample.blocks)]
    if set(columns.luminosityBlock) != set(sample.blocks):
        raise ValueError(f"{sources}: not all of the blocks {sample.blocks} are there")
    numbers = np.stack([ak.to_numpy(columns[name]) for name in EVENT], axis=1)
    if len(np.unique(numbers, axis=0)) != len(columns):
        raise ValueError(f"{sources}: (run, luminosityBlock, event) is not unique")
    parts = [
        _record(columns[i : i + CHUNK], sample) for i in range(0, len(columns), CHUNK)
    ]
    types = {name: array.type.content for name, array in parts[0].items()}
    writing = target.with_suffix(".part")
    with uproot.recreate(writing, compression=COMPRESSION) as file:
        out: Any = file.mktree("Events", types, title="simulated jets, 5 classes")
        for part in parts:
            out.extend(part)
    os.replace(writing, target)


def _read(source: Path, sample: Sample) -> ak.Array:
    tree: Any = uproot.open(source)["Events"]
    particles = PARTICLE if sample.leading else ()
    return tree.arrays(
        [
            *(*EVENT, *sample.event),
            *(f"Jet_{name}" for name in sample.jet),
            *(f"PFCand_{name}" for name in particles),
        ]
    )


def _record(columns: ak.Array, sample: Sample) -> dict[str, Any]:
    """The columns as uproot writes them, all of a jet's with the one counter `nJet`."""
    record = {name: columns[name] for name in (*EVENT, *sample.event)}
    record["Jet"] = ak.zip({name: columns[f"Jet_{name}"] for name in sample.jet})
    if sample.leading:
        particle = ak.zip({name: columns[f"PFCand_{name}"] for name in PARTICLE})
        counts = ak.to_numpy(ak.num(particle))
        index = ak.to_numpy(ak.flatten(particle.jetIdx)).astype(np.int64)
        jet = np.repeat(np.arange(len(counts)), counts) * 128 + index
        # Stored jet by jet, falling pt: the rank is how far a jet's first is behind.
        first = np.flatnonzero(np.diff(jet, prepend=-1))
        rank = np.arange(len(jet)) - np.repeat(first, np.diff(first, append=len(jet)))
        particle = particle[ak.unflatten(rank < sample.leading, counts)]
        record["PFCand"] = particle
    return record


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=make.__doc__)
    parser.add_argument("name", choices=SAMPLES)
    parser.add_argument("sources", type=Path, nargs="+")
    arguments = parser.parse_args()
    file_name = Path(__file__).with_name(f"{arguments.name}.root")
    make(arguments.name, arguments.sources, file_name)
