"""Small ROOT files in the layouts of experiments, sound or damaged in one place."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from trigger.datasets.card import BranchLabel, Card, Column, Identity


def _kind(array):
    """A branch's type for uproot: a dtype, or the type of a list."""
    return ak.Array(array).type.content


@pytest.fixture
def write(tmp_path):
    """Writes branches to a tree, as a TTree or an RNTuple; returns the path as text.

    A jagged branch may be named with a dot in an RNTuple (`Jet.pt` makes the collection
    `Jet`); in a TTree each has a counter of its own, as skims by uproot do.
    """

    def write_file(branches, name="events.root", tree="Events", kind="ttree", **more):
        path = tmp_path / name
        arrays = {key: ak.Array(value) for key, value in branches.items()}
        with uproot.recreate(path, **more) as file:
            for at in [tree] if isinstance(tree, str) else tree:
                if kind == "ttree":
                    types = {key: _kind(value) for key, value in arrays.items()}
                    file.mktree(at, types).extend(arrays)
                else:
                    file.mkrntuple(at, _records(arrays))
        return str(path)

    return write_file


def _records(arrays):
    """Columns `Jet.pt`, `Jet.eta` as one list of records `Jet`."""
    flat = {key: value for key, value in arrays.items() if "." not in key}
    groups = {}
    for key, value in arrays.items():
        if "." in key:
            collection, field = key.split(".")
            groups.setdefault(collection, {})[field] = value
    return ak.Array({**flat, **{name: ak.zip(of) for name, of in groups.items()}})


@pytest.fixture
def events():
    """Four collisions with 2, 1, 0 and 1 jets."""
    return {
        "run": np.full(4, 1, np.uint32),
        "luminosityBlock": np.full(4, 105, np.uint32),
        "event": np.arange(10, 14, dtype=np.uint64),
        "Jet_pt": jagged([[60.5, 30.0], [90.0], [], [45.0]]),
        "Jet_eta": jagged([[2.5, -2.4], [0.5], [], [-1.0]]),
        "Jet_phi": jagged([[3.1, -3.1], [0.0], [], [1.0]]),
        "Jet_label": jagged([[0, 1], [1], [], [0]], "int8"),
    }


def jagged(lists, kind="float32"):
    """Lists of numbers as a jagged array."""
    flat = np.array([x for one in lists for x in one], kind)
    return ak.unflatten(flat, [len(one) for one in lists])


@pytest.fixture
def card():
    """Jets of two classes with two columns."""
    return Card(
        name="jets",
        tree="Events",
        event=Identity("run", "luminosityBlock", "event"),
        columns=(
            Column("pt", "Jet_pt", "GeV"),
            Column("eta", "Jet_eta"),
            Column("phi", "Jet_phi", "rad"),
        ),
        objects="Jet",
        label=BranchLabel("Jet_label", ("g", "q")),
    )


@pytest.fixture
def sample():
    """The embedded sample of 100,012 jets."""
    here = Path(__file__).resolve()
    return str(here.parents[3] / "workflows" / "data" / "jsc_sample.root")
