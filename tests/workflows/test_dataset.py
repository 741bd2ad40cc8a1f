"""From files to port words by split."""

from dataclasses import replace

import numpy as np
import pytest
import uproot

from trigger.datasets.card import BranchLabel, Card, Column, Identity
from trigger.errors import UserError
from workflows.dataset import prepare
from workflows.groups import Data, Weights, Words

CARD = Card(
    name="toy",
    tree="Jets",
    event=Identity("run", "block", "event"),
    columns=(Column("pt", "pt", "GeV"), Column("eta", "eta"), Column("a", "a")),
    label=BranchLabel("label", ("q", "g", "t")),
)


def write(path, first=0, jets=600, beyond=()):
    """Two jets an event, events counted from `first`; some with an `a` far beyond."""
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
    columns["a"][np.isin(columns["event"], beyond)] = 1e6
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


@pytest.mark.parametrize("split", ["validation", "test"])
def test_words_are_of_the_training_jets_alone(toy, tmp_path, split):
    made = prepare(data(toy), Words())
    beyond = getattr(made, split).event[:, 2]
    changed = prepare(data(write(tmp_path / "far.root", beyond=beyond)), Words())
    assert changed.ports == made.ports
    assert changed.saturated == made.saturated
    assert np.array_equal(changed.training.words, made.training.words)
    assert np.all(getattr(changed, split).words[:, 1] == made.ports[1].range[1])


def test_the_split_has_a_seed_of_its_own(toy):
    first, again = prepare(data(toy), Words()), prepare(data(toy), Words())
    assert np.array_equal(first.test.event, again.test.event)
    other = prepare(data(toy, split_seed=2), Words())
    assert events(first.test) != events(other.test)


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
    with pytest.raises(UserError, match="2 of the 100 jets of 'test files'") as caught:
        prepare(data(toy, test_files=(other,)), Words())
    assert "\n" not in str(caught.value)


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


def test_a_teacher_reads_the_numbers_that_words_were_made_of(toy):
    made = prepare(data(toy), Words(bits=8))
    reals = made.for_training(3, reals=True).reals
    assert reals is not None
    for jets, numbers in zip((made.training, made.validation), reals, strict=True):
        assert numbers.shape == jets.words.shape
        for k, port in enumerate(made.ports):
            assert np.array_equal(numbers[:, k], jets.columns[port.name])


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
    (left,) = made.skipped
    assert left.name == "bad.root"
    assert left.reason
    assert [source.name for source in made.sources] == ["toy.root"]
    assert made.hash() == prepare(data(toy), Words()).hash()


def test_a_class_without_jets_says_what_to_do(toy):
    card = replace(CARD, label=BranchLabel("label", ("q", "g", "t", "b")))
    with pytest.raises(UserError, match=r"take 'b' out of the card's label\.cl"):
        prepare(Data(card, ("pt",), files=(toy,)), Words())
