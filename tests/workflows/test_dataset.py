"""From files to port words by split."""

from dataclasses import replace
from importlib.resources import files

import awkward as ak
import numpy as np
import pytest
import uproot

from trigger.datasets.card import BranchLabel, Card, Column, Identity, ParticleList
from trigger.errors import UserError
from trigger.front_end import FrontEnd
from workflows.dataset import prepare
from workflows.groups import Data, Weights, Words
from workflows.recipes.samples import L1

CARD = Card(
    name="toy",
    tree="Jets",
    event=Identity("run", "block", "event"),
    columns=(Column("pt", "pt", "GeV"), Column("eta", "eta"), Column("a", "a")),
    label=BranchLabel("label", ("q", "g", "t")),
)


def write(path, first=0, jets=600):
    """Two jets an event, events counted from `first`."""
    rng = np.random.default_rng(first)
    label = rng.integers(0, 3, jets).astype(np.int8)
    columns = {
        "run": np.ones(jets, np.uint32),
        "block": np.ones(jets, np.uint32),
        "event": (first + np.arange(jets) // 2).astype(np.uint64),
        "label": label,
        "pt": rng.uniform(100, 200, jets).astype(np.float32),
        "eta": rng.normal(0, 1, jets).astype(np.float32),
        "a": rng.standard_cauchy(jets).astype(np.float32),
    }
    with uproot.recreate(path) as file:
        tree = file.mktree("Jets", {name: c.dtype for name, c in columns.items()})
        tree.extend(columns)
    return str(path)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return write(tmp_path_factory.mktemp("toy") / "toy.root")


def data(*paths, **changes):
    return Data(CARD, ("pt", "a"), files=paths, **changes)


def events(jets):
    return {tuple(row) for row in jets.event.tolist()}


def test_every_jet_is_in_one_split_and_its_event_with_it(toy):
    made = prepare(data(toy), Words())
    splits = [made.training, made.validation, made.test]
    assert sum(len(jets.labels) for jets in splits) == 600
    assert len(set().union(*map(events, splits))) == sum(len(events(s)) for s in splits)


def test_folds_cover_all_jets_once_in_their_tests(toy):
    tests = [prepare(data(toy, folds=3, fold=k), Words()).test for k in range(3)]
    assert sum(len(jets.labels) for jets in tests) == 600
    assert len(set().union(*map(events, tests))) == sum(map(len, map(events, tests)))


def test_test_files_are_all_of_the_test_and_nothing_else_is(toy, tmp_path):
    other = write(tmp_path / "other.root", first=1000, jets=100)
    made = prepare(data(toy, test_files=(other,)), Words())
    assert len(made.test.labels) == 100
    assert len(made.training.labels) + len(made.validation.labels) == 600


def test_a_common_event_of_training_and_test_files_ends_it(toy, tmp_path):
    other = write(tmp_path / "other.root", first=299, jets=100)
    with pytest.raises(UserError, match="2 of the 100 jets of 'test files'"):
        prepare(data(toy, test_files=(other,)), Words())


def test_one_score_has_labels_of_its_class_and_of_all_others(toy):
    every = prepare(data(toy), Words())
    one = prepare(data(toy, score="g"), Words())
    assert np.array_equal(one.test.labels, every.test.labels == 1)


def test_columns_stand_beside_the_words_that_were_made_of_them(toy):
    made = prepare(data(toy), Words(bits=8))
    for jets in (made.training, made.validation, made.test):
        for k, port in enumerate(made.ports):
            real = jets.columns[port.name]
            assert np.array_equal(jets.words[:, k], port.encode(real))


def test_the_stated_saturation_is_that_of_the_training_jets(toy):
    made = prepare(data(toy), Words(bits=6, tail=0.9))
    for k, port in enumerate(made.ports):
        real, lsb = made.training.columns[port.name], port.lsb
        lo, hi = port.range
        out = (real < lo * lsb) | (real >= (hi + 1) * lsb)
        assert made.saturated[port.name] == np.mean(out)
        assert np.all(np.isin(made.training.words[out, k], (lo, hi)))
    assert made.saturated["a"] > 0


def test_weights_are_of_the_training_jets_alone(toy):
    made = prepare(data(toy), Words(), weights=Weights(classes=True, reference="flat"))
    assert made.weights is not None
    assert len(made.weights) == len(made.training.labels)
    assert made.weighting is not None
    assert sum(made.weighting.jets) == len(made.training.labels)
    assert made.for_training(3).weights_train is made.weights
    assert prepare(data(toy), Words(), weights=Weights()).weights is None


def test_a_file_that_is_skipped_is_named(toy, tmp_path):
    (tmp_path / "bad.root").write_bytes(b"root, but no more")
    bad = str(tmp_path / "bad.root")
    with pytest.raises(UserError, match=r"bad\.root"):
        prepare(data(toy, bad), Words())
    made = prepare(data(toy, bad, on_bad_file="skip"), Words())
    assert [one.name for one in made.skipped] == ["bad.root"]
    assert made.hash() == prepare(data(toy), Words()).hash()


def test_a_class_without_jets_says_what_to_do(toy):
    card = replace(CARD, label=BranchLabel("label", ("q", "g", "t", "b")))
    with pytest.raises(UserError, match=r"take 'b' out of the card's label\.cl"):
        prepare(Data(card, ("pt",), files=(toy,)), Words())


PARTICLES = replace(
    CARD,
    objects="Jet",
    columns=(
        Column("pt", "Jet_pt", "GeV"),
        Column("eta", "Jet_eta"),
        Column("phi", "Jet_phi"),
    ),
    label=BranchLabel("Jet_label", ("q", "g")),
    constituents=ParticleList(
        (Column("pt", "P_pt", "GeV"), Column("eta", "P_eta"), Column("phi", "P_phi")),
        index="P_jet",
    ),
)


def write_particles(path, entries=200):
    """One jet an entry with up to five particles."""
    rng = np.random.default_rng(5)
    count = rng.integers(0, 6, entries)

    def particles(values):
        return ak.unflatten(values, count)

    total = int(count.sum())
    jet = np.arange(entries)
    columns = {
        "run": np.ones(entries, np.uint32),
        "block": np.ones(entries, np.uint32),
        "event": jet.astype(np.uint64),
        "Jet": ak.zip(
            {
                "pt": ak.unflatten(
                    rng.uniform(100, 200, entries).astype(np.float32), 1
                ),
                "eta": ak.unflatten(rng.normal(0, 1, entries).astype(np.float32), 1),
                "phi": ak.unflatten(rng.uniform(-3, 3, entries).astype(np.float32), 1),
                "label": ak.unflatten((jet % 2).astype(np.int8), 1),
            }
        ),
        "P": ak.zip(
            {
                "pt": particles(rng.exponential(20, total).astype(np.float32)),
                "eta": particles(rng.normal(0, 0.3, total).astype(np.float32)),
                "phi": particles(rng.normal(0, 0.3, total).astype(np.float32)),
                "jet": particles(np.zeros(total, np.int8)),
            }
        ),
    }
    with uproot.recreate(path) as file:
        file["Jets"] = columns
    return str(path)


def test_all_places_of_a_feature_have_one_word_and_empty_ones_are_zero(tmp_path):
    path = write_particles(tmp_path / "particles.root")
    asked = Data(PARTICLES, ("pt", "eta_rel"), particles=6, files=(path,))
    made = prepare(asked, Words(bits=7))
    assert [port.name for port in made.ports[:4]] == [
        *("p0_pt", "p0_eta_rel", "p1_pt", "p1_eta_rel")
    ]
    for k in range(2):
        assert len({(p.bits, p.signed, p.lsb) for p in made.ports[k::2]}) == 1
    assert made.fullest == 5
    pt = np.concatenate([s.words for s in (made.training, made.validation, made.test)])
    pt = pt[:, ::2]
    assert np.all(pt[:, 5] == 0)
    assert np.all(np.diff(pt, axis=1) <= 0)


def test_the_network_behind_a_front_end_reads_its_features():
    front = FrontEnd(4, ("log_pt_rel", "delta_eta", "is_photon"))
    path = str(files("workflows") / "data" / "l1_sample.root")
    made = prepare(Data(L1, front_end=front, files=(path,)), Words())
    assert made.ports == front.ports()
    assert made.inner == front.outputs()
    ready = made.for_training(5)
    assert np.array_equal(ready.words_train, front.run(made.training.words))
    assert [one.feature for one in made.differences] == list(front.features)
    assert made.fullest == 4
    # A floor is off by less than a count, a table by a little more.
    assert all(one.largest < 2 for one in made.differences)
