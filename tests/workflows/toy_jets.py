"""Jets of two classes in a small file, and what a run of them leaves."""

import numpy as np
import uproot

from trigger.datasets.card import BranchLabel, Card, Column, Identity

SMALL = [
    *("data.inputs=a,b,c", "train.units=3", "train.batch=128"),
    *("train.epochs=3", "train.most_address=4", "words.bits=6", "budget.luts=400"),
    *("verify.random_words=200", "data.fractions=0.5,0.2,0.3"),
]
CARD = Card(
    name="toy",
    tree="Jets",
    event=Identity("run", "block", "event"),
    columns=(Column("a", "a"), Column("b", "b"), Column("c", "c", "GeV")),
    label=BranchLabel("label", ("q", "t")),
)


def write_jets(path, jets=900):
    rng = np.random.default_rng(7)
    label = rng.integers(0, 2, jets).astype(np.int8)
    columns = {
        "run": np.ones(jets, np.uint32),
        "block": np.ones(jets, np.uint32),
        "event": (np.arange(jets) // 2).astype(np.uint64),
        "label": label,
        "a": rng.normal(label, 1.0).astype(np.float32),
        "b": rng.exponential(1.0 + label).astype(np.float32),
        "c": rng.uniform(0, 100, jets).astype(np.float32),
    }
    with uproot.recreate(path) as file:
        tree = file.mktree("Jets", {name: c.dtype for name, c in columns.items()})
        tree.extend(columns)


def mlflow_runs(place):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    found = client.search_experiments(filter_string="name = 'jsc_hlf'")
    return client, client.search_runs([found[0].experiment_id])


def visible(place):
    return sorted(path.name for path in place.iterdir())
