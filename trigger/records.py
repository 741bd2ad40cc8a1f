r"""The records of CMS's level-1 links: Puppi candidates and the jets of the global trigger.

A layout says where the bits are (`trigger.layout`); here is what CMS puts where.  A
Puppi candidate is one of two (`trigger.variants`): a charged one has a track, a neutral
one a weight, in the same bits.

Conventions
-----------
- Physical values become counts as the C++ makes them: `makeGlbEta` and its like divide in
  single precision and round halves away from zero, then assign to the type.  So
  :math:`p_T` saturates, :math:`\eta`, :math:`\phi` and z0 wrap.
- `dxy` is the square root of :math:`|d_{xy}|`, as the correlator has it.
- A jet's `z0` is in mm, a candidate's in cm; their bits are the same.

Reference:
    cms-sw/cmssw, DataFormats/L1TParticleFlow/interface: `puppi.h` (commit 6d35a2b44bd1),
    `datatypes.h` (17c0c12c7c7a), `gt_datatypes.h` and `jets.h` (05051b73d1b5, the one
    with nine tag scores).
"""

import math

import numpy as np
from jaxtyping import Int, Int64

from trigger.errors import UserError
from trigger.fixed import parse
from trigger.layout import Field, Layout
from trigger.variants import Variants

PDG_IDS = (130, 22, -211, 211, 11, -11, 13, -13)
"""PDG numbers of the kinds 0 to 7; a negative lepton has a positive number."""

NEUTRAL, CHARGED = (0, 1), (2, 3, 4, 5, 6, 7)
"""Kinds of particles: neutral hadron and photon; hadron, electron, muon, each - then +."""

TAG_CLASSES = ("b", "c", "uds", "g", "tau_p", "tau_n", "mu", "e", "nprong")
"""The nine scores of a jet, in the order of `l1ct::JetTagClass`."""


_ANGLE, _GT_ANGLE = math.pi / 720, math.pi / 4096
_AWAY = "RND_INF"

_CANDIDATE = (
    Field("pt", parse("ap_ufixed<14,12,AP_TRN,AP_SAT>"), "GeV", rounding=_AWAY),
    Field("eta", parse("ap_int<12>"), "", _ANGLE, rounding=_AWAY),
    Field("phi", parse("ap_int<11>"), "rad", _ANGLE, rounding=_AWAY),
    Field(
        "id",
        parse("ap_uint<3>"),
        "",
        1.0,
        "kind of particle: h0 ga h- h+ e- e+ mu- mu+",
    ),
)

PUPPI_CHARGED = Layout(
    "puppi_charged",
    64,
    (
        *_CANDIDATE,
        Field("z0", parse("ap_int<10>"), "cm", 0.05, rounding=_AWAY),
        Field(
            *("dxy", parse("ap_uint<8>"), "cm^(1/2)", 0.015625),
            *("square root of the transverse impact parameter", _AWAY),
        ),
        Field("quality", parse("ap_uint<3>"), "", 1.0, "of the track"),
    ),
)

PUPPI_NEUTRAL = Layout(
    "puppi_neutral",
    64,
    (
        *_CANDIDATE,
        Field("weight", parse("ap_ufixed<9,1,AP_RND_CONV>"), "", 1.0, "Puppi weight"),
        Field("em_id", parse("ap_uint<6>"), "", 1.0, "electromagnetic identification"),
    ),
)

PUPPI = Variants("puppi", "id", ((NEUTRAL, PUPPI_NEUTRAL), (CHARGED, PUPPI_CHARGED)))
"""`l1ct::PuppiObj`: 61 bits of one word, as its `pack` orders them."""

L1GT_JET = Layout(
    "l1gt_jet",
    128,
    (
        Field("valid", parse("ap_uint<1>")),
        Field("pt", parse("ap_ufixed<16,11,AP_RND_CONV,AP_SAT>"), "GeV"),
        Field("phi", parse("ap_fixed<13,13,AP_RND_CONV>"), "rad", _GT_ANGLE),
        Field("eta", parse("ap_fixed<14,14,AP_RND_CONV,AP_SAT>"), "", _GT_ANGLE),
        Field("z0", parse("ap_fixed<10,9,AP_RND_CONV,AP_SAT>"), "mm"),
        *(
            Field(f"score_{name}", parse("ap_ufixed<8,1,AP_RND,AP_SAT>"))
            for name in TAG_CLASSES
        ),
    ),
)
"""`l1gt::Jet`: 126 bits of two words, as its `pack_ap` orders them."""


def pdg_of_kind(kinds: Int[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
    """PDG numbers of kinds 0 to 7; a neutral hadron is a K0L, a charged one a pion.

    Raises:
        UserError: A kind is not 0 to 7.
    """
    bad = kinds[(kinds < 0) | (kinds > 7)]
    if bad.size:
        raise UserError(f"a kind of particle is 0..7, got {bad[0]}")
    return np.array(PDG_IDS)[kinds]


def kind_of_pdg(pdg: Int[np.ndarray, "*shape"]) -> Int64[np.ndarray, "*shape"]:
    """Kinds 0 to 7 of PDG numbers, as particle flow gives them.

    Raises:
        UserError: A number is none of `PDG_IDS`.
    """
    order = np.argsort(PDG_IDS)
    at = np.searchsorted(PDG_IDS, pdg, sorter=order)
    kinds = order[np.minimum(at, len(PDG_IDS) - 1)]
    bad = pdg[np.array(PDG_IDS)[kinds] != pdg]
    if bad.size:
        raise UserError(
            f"a Puppi candidate has one of the PDG numbers "
            f"{', '.join(map(str, PDG_IDS))}, got {bad[0]} "
            f"({bad.size} of {pdg.size} are none of them)"
        )
    return kinds
