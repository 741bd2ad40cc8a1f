# ruff: noqa: E402 (nothing is imported before it is known to be there)
import multiprocessing
import os
import signal
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

NO = "no {0}: pip install 'jetlut[generate]'"
pytest.importorskip("pythia8mc", reason=NO.format("pythia8mc"))
pytest.importorskip("fastjet", reason=NO.format("fastjet"))

from trigger.datasets.read import read
from trigger.errors import UserError
from trigger.generate import events
from trigger.generate.run import generate
from trigger.generate.settings import CLASSES, Settings
from trigger.generate.substructure import FEATURES
from trigger.rootfile import open_root
from workflows.recipes.samples import HIGH_LEVEL, JETS, PARTICLES

EMBEDDED = Path(__file__).parents[3] / "workflows" / "data" / "jsc_sample.root"
SMALL = Settings(n_jets=30, seed=4, classes=("q", "w"))


def arrays(path):
    """All columns of a file."""
    with open_root(path) as file:
        return file["Events"].arrays()


def children():
    return set(multiprocessing.active_children())


def test_the_recipes_read_the_sample_and_classes_are_balanced(sample):
    jets = read(JETS, [str(sample.path)])
    assert FEATURES == HIGH_LEVEL
    assert np.array_equal(np.bincount(jets.label), [200] * 5)
    assert sample.jets == dict.fromkeys(CLASSES, 200)
    assert sample.sha256 == jets.sources[0].sha256
    assert len(np.unique(jets.event, axis=0)) == sample.events
    particles = read(PARTICLES, [str(sample.path)])
    assert np.array_equal(particles.label, jets.label)
    block, count = particles.block(["pt"], 8)
    assert np.all(count >= 1)
    assert np.all(np.diff(block[:, :, 0], axis=1) <= 0)


def test_jets_obey_the_cuts_and_are_in_order(sample):
    tree = arrays(sample.path)
    # Rounding to 12 and 14 bits may reach a limit but never passes it.
    assert ak.all((tree.Jet_pt >= 900) & (tree.Jet_pt <= 1200))
    assert ak.all(abs(tree.Jet_eta) <= 2)
    assert ak.all(tree.Jet_pt[:, :-1] >= tree.Jet_pt[:, 1:])
    assert ak.all(tree.nJet == ak.num(tree.Jet_pt))
    assert ak.all(tree.nJet >= 1)
    assert np.array_equal(ak.to_numpy(tree.event), np.arange(sample.events))
    assert ak.all(tree.luminosityBlock == 5)
    assert ak.all(tree.Pileup_nTrueInt == 0)
    assert ak.all(tree.Jet_label == ak.firsts(tree.Jet_label))  # one class a collision


def test_collisions_of_the_classes_are_mixed(sample):
    label = ak.to_numpy(arrays(sample.path).Jet_label[:, 0])
    # Of two neighbours a fifth or so are of one class; sorted ones would all be.
    assert np.mean(label[1:] == label[:-1]) < 0.3


def test_constituents_are_sorted_by_jet_and_pt_and_lie_within_the_jet(sample):
    tree = arrays(sample.path)
    jet, pt = tree.PFCand_jetIdx, tree.PFCand_pt
    same = jet[:, 1:] == jet[:, :-1]
    assert ak.all(jet[:, 1:] >= jet[:, :-1])
    assert ak.all(~same | (pt[:, 1:] <= pt[:, :-1]))
    assert ak.all(ak.max(jet, axis=1) == tree.nJet - 1)
    index = ak.local_index(tree.Jet_pt)
    stored = ak.sum(jet[:, None, :] == index[:, :, None], axis=2)
    assert ak.all(stored == np.minimum(tree.Jet_multiplicity, 64))
    deta = tree.PFCand_eta - tree.Jet_eta[jet]
    dphi = tree.PFCand_phi - tree.Jet_phi[jet]
    dphi = dphi - 2 * np.pi * np.round(dphi / (2 * np.pi))
    # Hard anti-kT jets are nearly round, in *rapidity*: that of a soft massive particle
    # is far from its pseudorapidity, but by less than (m / pT)^2 / 2 = .02 from 5 GeV on.
    assert ak.max(np.hypot(deta, dphi)[pt > 5]) < 1.25 * 0.4
    kinds = set(np.abs(ak.to_numpy(ak.flatten(tree.PFCand_pdgId))).tolist())
    assert kinds <= {11, 13, 22, 130, 211}


def test_jets_come_from_a_parton_of_their_class(sample):
    tree = arrays(sample.path)
    flavour = np.abs(ak.to_numpy(ak.flatten(tree.Jet_partonFlavour)))
    label = ak.to_numpy(ak.flatten(tree.Jet_label))
    known = {0: {21}, 1: {1, 2, 3, 4, 5}, 2: {6}, 3: {24}, 4: {23}}
    for number, flavours in known.items():
        assert set(flavour[label == number].tolist()) <= flavours


def largest_distance(one, other):
    """The Kolmogorov-Smirnov statistic of two samples."""
    both = np.sort(np.concatenate([one, other]))
    share = [
        np.searchsorted(np.sort(s), both, side="right") / len(s) for s in (one, other)
    ]
    return np.max(np.abs(share[0] - share[1]))


def critical(n, m, tests):
    """What any of so many tests exceeds for one seed in a thousand, if all is well.

    The asymptotic law, P(D > d) = 2 exp(-2 d^2 n m / (n + m)), which is conservative
    for small samples and for ties.  The two jets of a collision are not independent: at
    worst they count as one, so n is halved.
    """
    n = n / 2
    return np.sqrt(np.log(2 * tests / 1e-3) / 2 * (n + m) / (n * m))


@pytest.fixture(scope="module")
def embedded():
    return read(JETS, [str(EMBEDDED)])


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_distributed_as_in_the_embedded_sample(sample, embedded, name):
    ours = read(JETS, [str(sample.path)])
    mine, theirs = ours.column(name), embedded.column(name)
    bound = critical(len(mine), len(theirs), len(FEATURES))
    assert bound < 0.11
    assert largest_distance(mine, theirs) < bound
    for label in range(len(CLASSES)):
        one, other = mine[ours.label == label], theirs[embedded.label == label]
        bound = critical(len(one), len(other), len(FEATURES) * len(CLASSES))
        assert largest_distance(one, other) < bound


def test_the_same_seed_gives_the_same_jets_on_any_number_of_processes(tmp_path):
    made = []
    for name, processes in (("a", 1), ("b", 1), ("c", 2)):
        done = []
        one = generate(
            SMALL, tmp_path / name, processes=processes, progress=done.append
        )
        assert done[-1] == 30
        assert done == sorted(done)
        made.append((arrays(tmp_path / name), one.jets, one.events))
    assert made[0][1:] == made[1][1:] == made[2][1:]
    assert ak.array_equal(made[0][0], made[1][0])
    assert ak.array_equal(made[0][0], made[2][0])


def test_another_seed_gives_other_jets(tmp_path):
    one = generate(SMALL, tmp_path / "a")
    two = generate(Settings(n_jets=30, seed=5, classes=("q", "w")), tmp_path / "b")
    pts = [
        set(ak.flatten(arrays(s.path).PFCand_pt[:, :3]).to_list()) for s in (one, two)
    ]
    assert arrays(one.path).luminosityBlock[0] != arrays(two.path).luminosityBlock[0]
    # pts of ten bits coincide now and then
    assert len(pts[0] & pts[1]) < 0.5 * len(pts[0])


def test_several_rounds_have_all_jets_and_running_event_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(events, "BLOCK", 8)
    made = generate(Settings(n_jets=41, classes=("z", "q")), tmp_path / "a.root")
    tree = arrays(made.path)
    assert made.jets == {"z": 21, "q": 20}
    assert np.array_equal(ak.to_numpy(tree.event), np.arange(made.events))
    first = ak.to_numpy(ak.firsts(tree.PFCand_phi))
    pt = ak.to_numpy(ak.firsts(tree.Jet_pt))
    assert len(set(zip(first, pt, strict=True))) == made.events  # no unit came twice


def test_ttree_and_rntuple_hold_the_same_columns(tmp_path):
    flat = arrays(generate(SMALL, tmp_path / "a", form="ttree").path)
    nested = arrays(generate(SMALL, tmp_path / "b", form="rntuple").path)
    for name in flat.fields:
        collection, _, field = name.partition("_")
        if collection in ("Jet", "PFCand"):
            assert ak.array_equal(flat[name], nested[collection][field])
        elif name not in ("nJet", "nPFCand"):
            assert ak.array_equal(flat[name], nested[name])
    assert ak.array_equal(flat.nJet, ak.num(nested.Jet), dtype_exact=False)
    few = generate(Settings(n_jets=5), tmp_path / "c.root", form="rntuple")
    assert np.array_equal(np.sort(read(JETS, [str(few.path)]).label), np.arange(5))


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupt_leaves_no_file_and_no_process(tmp_path, processes):
    before = children()

    def interrupt(done):
        if processes == 1 or children() - before:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SMALL, tmp_path / "a", processes=processes, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    assert children() == before


def test_a_worker_that_dies_is_told_and_leaves_no_file(tmp_path):
    before = children()
    killed = []

    def kill(done):
        workers = children() - before
        if workers and not killed:
            killed.append(workers.pop().pid)
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(UserError, match="a process that made collisions has died"):
        generate(SMALL, tmp_path / "a", processes=2, progress=kill)
    assert killed
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_found_by_a_worker_is_told_as_if_found_here(tmp_path):
    hopeless = Settings(
        n_jets=4, classes=("w", "z"), pt_min=3000.0, pt_max=3001.0, patience=2
    )
    for processes in (1, 2):
        with pytest.raises(UserError, match="passes the cuts: the last 2 of 2 coll"):
            generate(hopeless, tmp_path / "a", processes=processes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"processes": 0}, "at least 1 process is needed, got 0"),
        ({"form": "csv"}, "no format 'csv' of trees; there are ttree, rntuple"),
        ({"compressed": "rar:1"}, "no compression 'rar'"),
    ],
)
def test_wrong_options_are_refused_before_any_work(tmp_path, changed, told):
    with pytest.raises(UserError, match=told):
        generate(SMALL, tmp_path / "a", **changed)
    assert list(tmp_path.iterdir()) == []
