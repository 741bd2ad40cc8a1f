"""Each layout, imitated in a small file, gives a card that reads."""

import os
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from trigger.datasets.card import (
    ENTRY,
    BranchLabel,
    Cut,
    FlavourLabel,
    Identity,
    MatchLabel,
    NoLabel,
)
from trigger.datasets.card_text import dumps, loads
from trigger.datasets.check import check
from trigger.datasets.formats import propose
from trigger.datasets.read import read
from trigger.errors import UserError

CMS = {
    "run": np.full(2, 1, np.uint32),
    "luminosityBlock": np.full(2, 7, np.uint32),
    "event": np.arange(2, dtype=np.uint64),
}
TWO = ak.Array([[50.0, 40.0], [30.0]])
PF = {
    "pt": ak.Array([[3.0, 2.0, 1.0], [5.0]]),
    "eta": ak.Array([[50.0, 40.0, 0.0], [30.0]]),
    "phi": ak.Array([[50.0, 40.0, 0.0], [30.0]]),
    "pdgId": ak.Array([[211, 22, 130], [-211]]),
}
FLAVOUR = {
    "hadronFlavour": ak.Array([[5, 0], [0]]),
    "partonFlavour": ak.Array([[5, 21], [1]]),
}
GEN = {
    "GenPart_pdgId": ak.Array([[24, 1, -2], [25]]),
    "GenPart_genPartIdxMother": ak.Array([[-1, 0, 0], [-1]]),
    "GenPart_eta": ak.Array([[50.0, 50.1, 50.2], [0.0]]),
    "GenPart_phi": ak.Array([[50.0, 50.0, 50.0], [0.0]]),
}
LINK = {"jetIdx": ak.Array([[0, 1, 1], [0]]), "pf": ak.Array([[0, 1, 2], [0]])}


def kin(prefix, names=("pt", "eta", "phi", "mass")):
    return {prefix + name: TWO for name in names}


def under(prefix, branches):
    return {prefix + name: values for name, values in branches.items()}


NANO = {**CMS, **kin("Jet_"), **under("Jet_", FLAVOUR)}
LAYOUTS = {
    "jetlut sample": (
        {**CMS, **kin("Jet_"), "Jet_zlogz": TWO, "Jet_label": ak.Array([[4, 0], [2]]),
         **under("PFCand_", PF), "PFCand_jetIdx": LINK["jetIdx"]},
        "Events", "Jet", BranchLabel, "index", [4, 0, 2],
    ),
    "NanoAOD v8 or before": (NANO, "Events", "Jet", FlavourLabel, None, [3, 0, 1]),
    "NanoAOD v9 or v10": (
        {**NANO, "Jet_btagDeepFlavCvB": TWO, "GenVisTau_eta": TWO, "GenVisTau_phi": TWO},
        # the taus lie on the jets: beside a b hadron that is ambiguous
        "Events", "Jet", FlavourLabel, None, [4, 4],
    ),
    "NanoAOD v14 or later": (
        {**CMS, **kin("Jet_"), "Jet_btagUParTAK4B": TWO, "Jet_hadronFlavour":
         FLAVOUR["hadronFlavour"]},
        "Events", "Jet", FlavourLabel, None, [2, 0, 0],
    ),
    "PFNano": (
        {**NANO, **under("PFCands_", PF), "JetPFCands_jetIdx": LINK["jetIdx"],
         "JetPFCands_pFCandsIdx": LINK["pf"]},
        "Events", "Jet", FlavourLabel, "pairs", [3, 0, 1],
    ),
    "scouting NanoAOD": (
        {**CMS, **kin("ScoutingPFJet_", ("pt", "eta", "phi", "m")),
         **under("ScoutingPFCandidate_", PF)},
        "Events", "ScoutingPFJet", NoLabel, "delta_r", None,
    ),
    "L1 NanoAOD": (
        {**NANO, **kin("L1EmulJet_", ("pt", "eta", "phi", "hwPt")),
         "L1EmulJet_bx": ak.Array([[0, 0], [-1]])},
        "Events", "L1EmulJet", NoLabel, None, None,
    ),
    "Delphes": (
        {"Event.Number": ak.Array([[8], [9]]),
         **kin("Jet.", ("PT", "Eta", "Phi", "Mass")), "Jet.Flavor": ak.Array([[5, 21], [0]]),
         "EFlowTrack.PT": PF["pt"], "EFlowTrack.Eta": PF["eta"], "EFlowTrack.Phi": PF["phi"]},
        "Delphes", "Jet", FlavourLabel, "delta_r", [3, 0],
    ),
    "ATLAS PHYSLITE": (
        {"EventInfoAuxDyn.runNumber": np.ones(2, np.uint32),
         "EventInfoAuxDyn.eventNumber": np.arange(2, dtype=np.uint64),
         **kin("AnalysisJetsAuxDyn.", ("pt", "eta", "phi", "m")),
         "AnalysisJetsAuxDyn.HadronConeExclTruthLabelID": ak.Array([[5, 15], [0]]),
         "AnalysisJetsAuxDyn.PartonTruthLabelID": ak.Array([[5, -1], [21]])},
        "CollectionTree", "AnalysisJets", FlavourLabel, None, [3, 4, 0],
    ),
    "FastPUPPI jets": (
        {"event": np.arange(2), "jet_pt": np.array([50.0, 40.0]),
         "jet_eta": np.zeros(2), "jet_phi": np.zeros(2),
         "jet_genmatch_pt": np.array([51.0, 0.0]),
         "jet_genmatch_hflav": np.array([5, 0], np.uint32), "jet_genmatch_pflav":
         np.array([5, 21]), "jet_tauflav": np.zeros(2, int), "jet_muflav": np.zeros(2, int),
         "jet_elflav": np.zeros(2, int), **under("jet_puppicand_", PF)},
        "outnano/Jets", ENTRY, FlavourLabel, "nested", [3],
    ),
    "like NanoAOD": (
        {"eventNumber": np.arange(2), **kin("Tau_"), **kin("GoodJets_")},
        "mini", "GoodJets", NoLabel, None, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_gives_a_card_that_reads(write, name):
    branches, tree, objects, label, link, classes = LAYOUTS[name]
    path = write(branches, tree=tree)
    card = propose(path)
    assert (card.format, card.tree, card.objects) == (name, tree, objects)
    assert isinstance(card.label, label)
    assert (card.constituents.link if card.constituents else None) == link
    assert {c.name: c.unit for c in card.columns}["pt"] == "GeV"
    assert check(card) == []
    assert loads(dumps(card)) == card
    sample = read(card)
    assert (sample.label.tolist() if classes else None) == classes
    if link:
        assert sample.block(("pt",), 4)[0].max() >= 3.0


def test_momenta_of_atlas_are_given_in_gev(write):
    branches, tree, *_ = LAYOUTS["ATLAS PHYSLITE"]
    sample = read(propose(write(branches, tree=tree)))
    assert sample.column("pt").tolist() == [0.05, 0.04, 0.03]
    assert sample.column("eta").tolist() == [50.0, 40.0, 30.0]


def test_an_rntuple_of_atlas_is_recognised_by_its_own_spelling(write):
    branches, *_ = LAYOUTS["ATLAS PHYSLITE"]
    colons = {name.replace(".", ":"): values for name, values in branches.items()}
    card = propose(write(colons, tree="EventData", kind="rntuple"))
    assert card.format == "ATLAS PHYSLITE"
    assert read(card).label.tolist() == [3, 4, 0]


def test_an_rntuple_of_the_sample_is_recognised(write):
    branches, *_ = LAYOUTS["jetlut sample"]
    dotted = {
        name.replace("Jet_", "Jet.").replace("PFCand_", "PFCand."): values
        for name, values in branches.items()
    }
    card = propose(write(dotted, kind="rntuple"))
    assert card.format == "jetlut sample"
    assert read(card).label.tolist() == [4, 0, 2]


def test_an_l1_ntuple_takes_its_events_from_the_friend(tmp_path):
    path = tmp_path / "l1.root"
    jets = {
        "jetEt": TWO,
        "jetEta": TWO,
        "jetPhi": TWO,
        "jetBx": ak.Array([[0, 1], [0]]),
    }
    with uproot.recreate(path) as file:
        tree = "l1UpgradeEmuTree/L1UpgradeTree"
        file.mktree(tree, {k: v.type.content for k, v in jets.items()}).extend(jets)
        numbers = {f"Event_{name}": np.arange(2) for name in ("run", "lumi", "event")}
        numbers["Event_event"] = np.array([70, 80])
        file.mktree(
            "l1EventTree/L1EventTree", {k: v.dtype for k, v in numbers.items()}
        ).extend(numbers)
    card = propose(str(path))
    assert (card.format, card.selection) == ("L1 ntuple", (Cut("bx", "==", 0.0),))
    sample = read(card)
    assert sample.column("pt").tolist() == [50.0, 30.0]
    assert sample.event[:, 2].tolist() == [70, 80]


def test_phase_2_jets_come_with_the_candidates_of_their_tagger(write):
    branches = {
        **CMS,
        **kin("L1puppiJetSC4NG_"),
        **under("L1ExtPuppiCand_", PF),
        "L1SC4NGJetCands_jetIdx": LINK["jetIdx"],
        "L1SC4NGJetCands_candIdx": LINK["pf"],
    }
    card = propose(write(branches))
    assert (card.format, card.objects) == ("L1 NanoAOD", "L1puppiJetSC4NG")
    block, count = read(card).block(("pt", "pdg_id"), 2)
    assert count.tolist() == [1, 2, 1]
    assert block[1].tolist() == [[2.0, 22.0], [1.0, 130.0]]


def test_another_collection_may_be_asked_for(write):
    branches = {**NANO, **kin("FatJet_"), **GEN, **under("PFCands_", PF),
                "FatJetPFCands_jetIdx": LINK["jetIdx"],
                "FatJetPFCands_pFCandsIdx": LINK["pf"]}  # fmt: skip
    path = write(branches)
    assert propose(path).objects == "Jet"
    card = propose(path, "FatJet")
    assert isinstance(card.label, MatchLabel)
    assert read(card).cuts.classes == {"top": 0, "w": 1, "z": 0, "higgs": 0, "qcd": 2}
    with pytest.raises(
        UserError, match="has no objects 'Fatjet'; known here are 'FatJet'"
    ):
        propose(path, "Fatjet")


def test_a_list_of_anything_is_better_than_nothing(write):
    path = write({"evt": np.arange(2), **kin("Mu_", ("pt", "eta", "phi"))})
    card = propose(path)
    assert (card.objects, card.event) == ("Mu", Identity(number="evt"))
    flat = {
        "evt": np.arange(2),
        **{f"tau_{n}": np.ones(2) for n in ("pt", "eta", "phi")},
    }
    assert propose(write(flat, "flat.root")).objects == ENTRY


def test_a_file_without_objects_is_told(write, tmp_path):
    path = write({"event": np.arange(2), "x": np.arange(2.0)})
    expected = (
        r"no objects with pt, eta and phi and an event number in its trees 'Events' \("
    )
    with pytest.raises(UserError, match=expected):
        propose(path)
    with uproot.recreate(tmp_path / "none.root") as file:
        file["h"] = np.histogram(np.arange(3.0))
    with pytest.raises(
        UserError, match=r"in its trees \(none\); write the card by hand"
    ):
        propose(str(tmp_path / "none.root"))


def test_a_card_is_bound_to_its_file(write):
    card = propose(write(NANO))
    assert Path(card.files[0]).is_absolute()
    ((name, _),) = card.checksums
    assert name == "events.root"


DATA = os.environ.get("JETLUT_DATA")


@pytest.mark.skipif(DATA is None, reason="JETLUT_DATA names no folder of real files")
def test_real_files_give_cards_that_read():
    for path in sorted(Path(str(DATA)).glob("real/*.root")):
        if "Muons" in path.name:  # holds no jets, and no event number
            continue
        card = propose(str(path))
        assert check(card) == []
        assert read(card).matrix(["pt"]).min() > 0
