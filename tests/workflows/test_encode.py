"""Port words of particles and of a link: each at the port of its own jet."""

from dataclasses import replace
from importlib.resources import files
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from test_dataset import CARD

from trigger.datasets.card import BranchLabel, Column, ParticleList
from trigger.errors import UserError
from trigger.front_end import FrontEnd
from workflows.dataset import prepare
from workflows.groups import Data, Words
from workflows.recipes.samples import L1

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


def write_particles(path, entries=200, most=5):
    """One jet an entry with up to five particles."""
    rng = np.random.default_rng(5)
    count = rng.integers(0, most + 1, entries)

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


def particles_of(path, event):
    """What the file holds of one entry: its jet, and its particles by falling pt."""
    file: Any = uproot.open(path)
    entry = file["Jets"].arrays(entry_start=int(event), entry_stop=int(event) + 1)[0]
    pt, eta = np.asarray(entry["P", "pt"], float), np.asarray(entry["P", "eta"], float)
    falling = np.argsort(-pt)
    return entry, pt[falling], eta[falling]


def test_particles_stand_at_the_ports_of_their_own_jet(tmp_path):
    path = write_particles(tmp_path / "particles.root", entries=60)
    asked = Data(PARTICLES, ("pt", "eta_rel"), particles=4, files=(path,))
    made = prepare(asked, Words(bits=7))
    for jets in (made.training, made.validation, made.test):
        for (*_, event), row in zip(jets.event, jets.words, strict=True):
            entry, pt, eta = particles_of(path, event)
            wanted = np.zeros((4, 2), np.int64)
            wanted[: len(pt), 0] = made.ports[0].encode(pt)[:4]
            wanted[: len(pt), 1] = made.ports[1].encode(eta - entry["Jet", "eta"][0])[
                :4
            ]
            assert np.array_equal(row, wanted.ravel())


def test_the_stated_saturation_of_a_place_is_of_the_particles_that_are_in_it(tmp_path):
    path = write_particles(tmp_path / "particles.root")
    asked = Data(PARTICLES, ("pt",), particles=6, files=(path,))
    made = prepare(asked, Words(bits=5, tail=0.8))
    found = [particles_of(path, event)[1] for *_, event in made.training.event]
    word = made.ports[0]
    for place, port in enumerate(made.ports):
        values = np.array([pt[place] for pt in found if len(pt) > place])
        above = values >= (word.range[1] + 1) * word.lsb
        wanted = np.mean(above) if len(values) else 0.0
        assert made.saturated[port.name] == wanted
    assert made.saturated["p0_pt"] > made.saturated["p5_pt"] == 0


def test_jets_of_no_particle_have_nothing_to_choose_words_from(tmp_path):
    path = write_particles(tmp_path / "empty.root", most=0)
    asked = Data(PARTICLES, ("pt",), particles=4, files=(path,))
    with pytest.raises(UserError, match="no jet of the training split has a particle"):
        prepare(asked, Words())


@pytest.fixture(scope="module")
def link():
    """A jet and its four leading candidates from the embedded sample, as on a link."""
    front = FrontEnd(4, ("log_pt_rel", "delta_eta", "is_photon"))
    path = str(files("workflows") / "data" / "l1_sample.root")
    made = prepare(Data(L1, front_end=front, files=(path,)), Words())
    return path, front, made


def test_the_network_behind_a_front_end_reads_its_features(link):
    _, front, made = link
    assert made.ports == front.ports()
    assert made.inner == front.outputs()
    ready = made.for_training(5, reals=True)
    assert np.array_equal(ready.words_train, front.run(made.training.words))
    assert np.array_equal(ready.words_val, front.run(made.validation.words))
    assert ready.reals is None
    assert [one.feature for one in made.differences] == list(front.features)
    assert made.fullest == 4
    # A floor is off by less than a count, a table by a little more.
    assert all(one.largest < 2 for one in made.differences)


def test_link_words_are_those_of_the_jet_beside_them(link):
    _, _, made = link
    for jets in (made.training, made.validation, made.test):
        pt, eta = jets.columns["pt"], jets.columns["eta"]
        # To the nearest count, of which none saturates here.
        assert np.all(np.abs(jets.words[:, 0] * 0.25 - pt) <= 0.125)
        assert np.all(np.abs(jets.words[:, 1] * np.pi / 720 - eta) <= np.pi / 1440)


def test_features_are_those_of_the_candidates_in_the_file(link):
    path, _, made = link
    names = ("PFCand_pt", "PFCand_eta", "PFCand_pdgId", "PFCand_jetIdx", "Jet_eta")
    file: Any = uproot.open(f"{path}:Events")
    tree = file.arrays([*names, "luminosityBlock", "event"])
    rows = {
        (int(block), int(event)): k
        for k, (block, event) in enumerate(
            zip(tree["luminosityBlock"], tree["event"], strict=True)
        )
    }
    read = made.read(made.test.words).reshape(-1, 4, 3)
    for jet in range(200):
        _, block, event = made.test.event[jet]
        entry = tree[rows[int(block), int(event)]]
        axes = np.asarray(entry["Jet_eta"], float)
        index = int(np.argmin(np.abs(axes - made.test.columns["eta"][jet])))
        mine = np.asarray(entry["PFCand_jetIdx"]) == index
        pt = np.asarray(entry["PFCand_pt"])[mine]
        first = np.argmax(pt)
        eta = float(np.asarray(entry["PFCand_eta"])[mine][first])
        photon = int(np.asarray(entry["PFCand_pdgId"])[mine][first] == 22)
        # Each of the two angles is off by half a count at most.
        apart = (eta - axes[index]) * 720 / np.pi
        assert abs(read[jet, 0, 1] - np.clip(apart, -256, 255)) <= 1
        assert read[jet, 0, 2] == photon
