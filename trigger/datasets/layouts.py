"""The layouts that experiments and groups write, as a table.

This module owns what is known by heart of files: which branches tell a layout, where the
jets are and in which units, what labels them, and how their particles are linked.  All
of it is data; `formats` makes a card of what a file really has.  To teach the program
another layout, add a row.

Conventions
-----------
- Rows are tried in order, the more special before the more general; so are the
  collections of a row, its labels and its constituents.
- What a file lacks of a row is left out of the card, but for a collection's first column.

Reference:
    NanoAOD: CMS documentation generator, "NanoAOD content" (v9 to v15).  PFNano:
    github.com/cms-jet/PFNano.  L1 ntuples: CMSSW L1Trigger/L1TNtuples.  Phase-2 L1
    NanoAOD: CMSSW DPGAnalysis/Phase2L1TNanoAOD.  Delphes: de Favereau et al., JHEP 02
    (2014) 057, class Jet.  PHYSLITE: Schaarschmidt et al., EPJ Web Conf. 295 (2024)
    06017.
"""

from trigger.datasets.card import (
    ENTRY,
    BranchLabel,
    Column,
    Cut,
    FlavourLabel,
    Identity,
    Label,
    MatchLabel,
    ParticleList,
)
from trigger.datasets.collection import Collection, Layout, kinematics, same

_JSC = (
    *("zlogz", "c1_b0_mmdt", "c1_b1_mmdt", "c1_b2_mmdt", "c2_b1_mmdt", "c2_b2_mmdt"),
    *("d2_b1_mmdt", "d2_b2_mmdt", "d2_a1_b1_mmdt", "d2_a1_b2_mmdt", "m2_b1_mmdt"),
    *("m2_b2_mmdt", "n2_b1_mmdt", "n2_b2_mmdt"),
)

_CMS = (
    Identity("run", "luminosityBlock", "event"),
    Identity("run", "lumi", "event"),
    Identity(number="event"),
)
_ATLAS = (
    Identity(
        "EventInfoAuxDyn:runNumber",
        "EventInfoAuxDyn:lumiBlock",
        "EventInfoAuxDyn:eventNumber",
    ),
    Identity("EventInfoAuxDyn:runNumber", number="EventInfoAuxDyn:eventNumber"),
)
_FLAVOURS = ("g", "q", "c", "b")
_TAUS = ("GenVisTau_eta", "GenVisTau_phi")
_KIND = {"pdg_id": "pdgId"}
_PF = same("pt", "eta", "phi", "mass", "charge") | _KIND


def _nano(jets: str) -> tuple[Label, ...]:
    """Flavours of AK4 jets in NanoAOD."""
    hadron, parton = f"{jets}_hadronFlavour", f"{jets}_partonFlavour"
    return (
        FlavourLabel((*_FLAVOURS, "tau"), hadron, parton, taus=_TAUS),
        FlavourLabel(_FLAVOURS, hadron, parton),
        FlavourLabel(("light", "c", "b"), hadron),
    )


def _pairs(prefix: str, link: str, index: str, particle: str) -> ParticleList:
    return ParticleList(
        kinematics(prefix, _PF), "pairs", f"{link}_{index}", f"{link}_{particle}"
    )


_AK4 = Collection(
    "Jet",
    kinematics("Jet_"),
    _nano("Jet"),
    (
        _pairs("PFCands_", "JetPFCands", "jetIdx", "pFCandsIdx"),
        _pairs("PFCand_", "JetPFCand", "jetIdx", "pfCandIdx"),
    ),
)
_AK8 = Collection(
    "FatJet",
    (
        *kinematics("FatJet_"),
        Column("msoftdrop", "FatJet_msoftdrop", "GeV", "groomed mass"),
    ),
    (
        MatchLabel(("top", "w", "z", "higgs", "qcd"), otherwise="qcd"),
        FlavourLabel(("light", "c", "b"), "FatJet_hadronFlavour"),
    ),
    (
        _pairs("PFCands_", "FatJetPFCands", "jetIdx", "pFCandsIdx"),
        _pairs("PFCand_", "FatJetPFCand", "jetIdx", "pfCandIdx"),
    ),
)
_L1_HARDWARE = {"hwPt": "pt", "hwEta": "eta", "hwPhi": "phi", "hwQual": "quality"}


def _l1(jets: str, constituents: tuple[ParticleList, ...] = ()) -> Collection:
    """L1 jets of NanoAOD, with their hardware integers and without the other crossings."""
    hardware = [
        Column(name, f"{jets}_{name}", "", f"{what}, an integer of the link")
        for name, what in _L1_HARDWARE.items()
    ]
    bx = Column("bx", f"{jets}_bx", "", "bunch crossing, 0 is the triggered one")
    return Collection(
        jets,
        (*kinematics(f"{jets}_"), *hardware, bx),
        _nano(jets),
        constituents,
        (Cut("bx", "==", 0.0),),
    )


def _upgrade(tree: str) -> Layout:
    names = {"pt": "jetEt", "eta": "jetEta", "phi": "jetPhi"}
    return Layout(
        "L1 ntuple",
        (tree,),
        (("jetEt",), ("jetEta",)),
        (Identity("Event/run", "Event/lumi", "Event/event"),),
        (
            Collection(
                "jet",
                (
                    *kinematics("", names),
                    Column("bx", "jetBx", "", "bunch crossing, 0 is the triggered one"),
                ),
                selection=(Cut("bx", "==", 0.0),),
            ),
        ),
        ("l1EventTree/L1EventTree",),
    )


LAYOUTS = (
    Layout(
        "jetlut sample",
        ("Events",),
        (("Jet_label",), ("Jet_pt",)),
        _CMS,
        (
            Collection(
                "Jet",
                (
                    *kinematics("Jet_"),
                    *(Column(name, f"Jet_{name}") for name in _JSC),
                    Column("mass_mmdt", "Jet_mass_mmdt", "GeV", "groomed mass"),
                    Column("multiplicity", "Jet_multiplicity", "", "constituents"),
                ),
                (BranchLabel("Jet_label", ("g", "q", "t", "w", "z")),),
                (
                    ParticleList(
                        kinematics("PFCand_", same("pt", "eta", "phi") | _KIND),
                        index="PFCand_jetIdx",
                    ),
                ),
            ),
        ),
    ),
    Layout(
        "FastPUPPI jets",
        ("*Jets", "*jets"),
        (("jet_pt",), ("jet_puppicand_pt", "jet_pfcand_pt")),
        _CMS,
        (
            Collection(
                ENTRY,
                (
                    *kinematics("jet_", same("pt", "eta", "phi", "mass", "energy")),
                    Column(
                        "genmatch_pt",
                        "jet_genmatch_pt",
                        "GeV",
                        "transverse momentum of the generator jet, 0 for none",
                    ),
                ),
                (
                    FlavourLabel(
                        (*_FLAVOURS, "tau"),
                        "jet_genmatch_hflav",
                        "jet_genmatch_pflav",
                        "jet_tauflav",
                        veto=("jet_muflav", "jet_elflav"),
                    ),
                    FlavourLabel(_FLAVOURS, "jet_genmatch_hflav", "jet_genmatch_pflav"),
                ),
                tuple(
                    ParticleList(
                        (
                            *kinematics(prefix),
                            *(
                                Column(name, prefix + name)
                                for name in (
                                    *("deta", "dphi", "pt_rel", "pt_log", "dxy", "z0"),
                                    *("charge", "id", "puppiweight", "quality", "emid"),
                                )
                            ),
                        ),
                        "nested",
                        keep=16,
                    )
                    for prefix in ("jet_puppicand_", "jet_pfcand_")
                ),
                (Cut("genmatch_pt", ">", 0.0),),
            ),
        ),
    ),
    Layout(
        "PFNano",
        ("Events",),
        (("JetPFCands_jetIdx", "FatJetPFCands_jetIdx"), ("PFCands_pt",)),
        _CMS,
        (_AK4, _AK8),
    ),
    Layout(
        "scouting NanoAOD",
        ("Events",),
        (("ScoutingPFJet_pt", "ScoutingPFJetRecluster_pt", "ScoutingJet_pt"),),
        _CMS,
        tuple(
            Collection(
                jets,
                (
                    *kinematics(f"{jets}_", same("pt", "eta", "phi")),
                    *kinematics(f"{jets}_", {"mass": mass}),
                ),
                _nano(jets),
                tuple(
                    ParticleList(
                        kinematics(prefix, same("pt", "eta", "phi") | _KIND),
                        "delta_r",
                    )
                    for prefix in ("ScoutingPFCandidate_", "ScoutingParticle_")
                ),
            )
            for jets, mass in (
                ("ScoutingPFJetRecluster", "mass"),
                ("ScoutingPFJet", "m"),
                ("ScoutingJet", "mass"),
            )
        ),
    ),
    Layout(
        "L1 NanoAOD",
        ("Events",),
        (
            (
                *("L1puppiJetSC4NG_pt", "L1puppiJetSC4_pt", "L1puppiJetSC8_pt"),
                *("L1EmulJet_pt", "L1Jet_hwPt"),
            ),
        ),
        _CMS,
        (
            _l1(
                "L1puppiJetSC4NG",
                (
                    _pairs("L1ExtPuppiCand_", "L1SC4NGJetCands", "jetIdx", "candIdx"),
                    ParticleList(kinematics("L1PuppiCand_", _PF), "delta_r"),
                ),
            ),
            *(
                _l1(jets, (ParticleList(kinematics("L1PuppiCand_", _PF), "delta_r"),))
                for jets in ("L1puppiJetSC4", "L1puppiJetSC8")
            ),
            _l1("L1EmulJet"),
            _l1("L1Jet"),
            _AK4,
            _AK8,
        ),
    ),
    Layout("NanoAOD", ("Events",), (("Jet_pt",), ("run",)), _CMS, (_AK4, _AK8)),
    _upgrade("l1UpgradeEmuTree/L1UpgradeTree"),
    _upgrade("l1UpgradeTree/L1UpgradeTree"),
    Layout(
        "Delphes",
        ("Delphes",),
        (("Jet_PT",), ("Event_Number",)),
        (Identity(number="Event_Number"),),
        (
            Collection(
                "Jet",
                kinematics(
                    "Jet_", {"pt": "PT", "eta": "Eta", "phi": "Phi", "mass": "Mass"}
                ),
                (FlavourLabel(_FLAVOURS, parton="Jet_Flavor"),),
                (
                    ParticleList(
                        kinematics(
                            "EFlowTrack_",
                            {
                                "pt": "PT",
                                "eta": "Eta",
                                "phi": "Phi",
                                "charge": "Charge",
                            },
                        ),
                        "delta_r",
                    ),
                ),
            ),
        ),
    ),
    Layout(
        "ATLAS PHYSLITE",
        ("EventData", "CollectionTree"),
        (("AnalysisJetsAuxDyn_pt",), ("EventInfoAuxDyn_eventNumber",)),
        _ATLAS,
        (
            Collection(
                "AnalysisJets",
                kinematics(
                    "AnalysisJetsAuxDyn:",
                    {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"},
                    gev=0.001,
                ),
                (
                    FlavourLabel(
                        (*_FLAVOURS, "tau"),
                        "AnalysisJetsAuxDyn:HadronConeExclTruthLabelID",
                        "AnalysisJetsAuxDyn:PartonTruthLabelID",
                    ),
                ),
            ),
        ),
    ),
)
# What tells the NanoAOD versions apart: the jet taggers of the newest come first.
NANO_VERSIONS = (
    ("Jet_btagUParTAK4B", "v14 or later"),
    ("Jet_btagRobustParTAK4B", "v12 or v13"),
    ("Jet_btagPNetB", "v11"),
    ("Jet_btagDeepFlavCvB", "v9 or v10"),
    ("Jet_pt", "v8 or before"),
)
