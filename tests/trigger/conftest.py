"""Small ROOT files of jets, sound or damaged in one place."""

import awkward as ak
import numpy as np
import pytest
import uproot

COUNTS = (2, 1, 0, 1)  # jets in each of four events


@pytest.fixture
def columns():
    """The columns of four events with four jets, by name; jagged ones as flat values."""
    return {
        "run": np.full(4, 1, np.uint32),
        "luminosityBlock": np.full(4, 105, np.uint32),
        "event": np.arange(10, 14, dtype=np.uint64),
        "Jet_mass": np.array([80.5, 91.0, 0.0, 172.25], np.float32),
        "Jet_zlogz": np.array([-1.0, -2.5, -0.5, -3.0], np.float32),
        "Jet_label": np.array([0, 1, 1, 0], np.int8),
        "Jet_pt": np.array([1000.0, 990.0, 1100.0, 950.0], np.float32),
    }


@pytest.fixture
def write(tmp_path):
    """Writes columns to a ROOT file in a fresh folder and returns its path as text."""

    def write_file(columns, name="jets.root", tree="Events", kind="ttree"):
        record = {k: v for k, v in columns.items() if not k.startswith("Jet_")}
        jets = {
            k.removeprefix("Jet_"): ak.unflatten(v, COUNTS)
            for k, v in columns.items()
            if k.startswith("Jet_")
        }
        path = tmp_path / name
        with uproot.recreate(path) as file:
            if kind == "ttree":
                record["Jet"] = ak.zip(jets)
                types = {k: ak.Array(v).type.content for k, v in record.items()}
                file.mktree(tree, types).extend(record)
            else:
                file.mkrntuple(tree, ak.Array({**record, "Jet": ak.zip(jets)}))
        return str(path)

    return write_file
