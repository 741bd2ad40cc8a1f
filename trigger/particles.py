r"""The quantities that describe a particle of a jet, and blocks of them.

A reader (`trigger.datasets`) gives momenta and PDG numbers of the particles of each jet;
this module owns what networks are told of them.

Conventions
-----------
- A jet with fewer particles is padded with rows of zeros; the count says how many are real.
- A particle of no momentum is an empty place, as on a link; a jet may have no particle.
- Momenta and energies are GeV, angles radians.  Particles and jets are taken as massless:
  :math:`p_T, \eta, \phi` are all that the files hold of a particle's momentum.

Features, with :math:`J` for the jet
------------------------------------
===================== ==== ==========================================================
`pt`                  GeV  :math:`p_T`
`eta_rel`                  :math:`\Delta\eta = \eta - \eta_J`
`phi_rel`             rad  :math:`\Delta\phi = \phi - \phi_J`, folded to half a turn
`pt_rel`                   :math:`p_T / p_{T,J}`
`log_pt`                   :math:`\ln(p_T / \mathrm{GeV})`
`log_pt_rel`               :math:`\ln(p_T / p_{T,J})`
`delta_r`                  :math:`\Delta R = \sqrt{\Delta\eta^2 + \Delta\phi^2}`
`energy`              GeV  :math:`E = p_T \cosh\eta`
`energy_rel`               :math:`E / (p_{T,J} \cosh\eta_J)`
`pt_eta`, `pt_phi`    GeV  :math:`p_T\Delta\eta`, :math:`p_T\Delta\phi`
`pt_r2`               GeV  :math:`p_T \Delta R^2`
`charge`                   -1, 0 or 1, of the proton's
`is_photon`, ...           1 or 0; a particle of no `is_` feature is a charged hadron
===================== ==== ==========================================================

The 16 columns of the public set with particles (Pierini et al., Zenodo 3602260, read by
HGQ-LUT, Sun et al., arXiv 2604.22293) are px, py, pz, E, E_rel, pt, pt_rel, eta, eta_rel,
eta_rot, phi, phi_rel, phi_rot, Delta R, cos theta and cos theta_rel; its set of three is
`PT_ETA_PHI`.  Seven of them are here.  Instead of those that tell where in the detector a
jet is, there are particle identities and logarithms (as in Qu et al., arXiv 2202.03772,
table 2), and products: a first layer of one-input tables cannot form them.  Their sums
over a jet are its recoil and, nearly, its mass squared over its pt.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from trigger.datasets.sample import Sample
from trigger.errors import UserError

_CHARGED_HADRON, _NEUTRAL_HADRON, _PHOTON, _LEPTONS = 211, 130, 22, (11, 13)
_KINDS = (_CHARGED_HADRON, _NEUTRAL_HADRON, _PHOTON, *_LEPTONS)
_OF_KIND = ("charge", "is_photon", "is_neutral_hadron", "is_lepton")

Column = Float64[np.ndarray, " constituents"]


@final
@dataclass(frozen=True, eq=False)
class Constituents:
    """Particles as flat columns, each with the axis of its jet beside it.

    Attributes:
        pt: Transverse momentum, GeV.
        eta: Pseudorapidity.
        phi: Azimuth, radians; any branch.
        pdg_id: PDG number, one of +-11, +-13, 22, 130, +-211; 0 where not asked for.
        jet_pt: Transverse momentum of the particle's jet, GeV.
        jet_eta: Pseudorapidity of the jet.
        jet_phi: Azimuth of the jet, radians; any branch.
    """

    pt: Column
    eta: Column
    phi: Column
    pdg_id: Int64[np.ndarray, " constituents"]
    jet_pt: Column
    jet_eta: Column
    jet_phi: Column

    def eta_rel(self) -> Column:
        """Pseudorapidity from the axis of the jet."""
        return self.eta - self.jet_eta

    def phi_rel(self) -> Column:
        r"""Azimuth from the axis of the jet, folded into :math:`[-\pi, \pi]`.

        Whole turns are subtracted, of which there are none within half a turn: there the
        difference of two multiples of an LSB stays one, as it would not by a modulo.
        """
        delta = self.phi - self.jet_phi
        return delta - 2 * np.pi * np.round(delta / (2 * np.pi))

    def delta_r(self) -> Column:
        """Distance from the axis of the jet, never negative."""
        return np.hypot(self.eta_rel(), self.phi_rel())

    def energy(self) -> Column:
        """Energy of a massless particle, GeV."""
        return self.pt * np.cosh(self.eta)

    def energy_rel(self) -> Column:
        """Energy over that of a massless jet."""
        return self.energy() / (self.jet_pt * np.cosh(self.jet_eta))

    def charge(self) -> Column:
        """Charge in units of the proton's; a lepton of positive number is negative."""
        kind = np.abs(self.pdg_id)
        sign = np.where(np.isin(kind, _LEPTONS), -1.0, 1.0 * (kind == _CHARGED_HADRON))
        return sign * np.sign(self.pdg_id)

    def is_kind(self, *kinds: int) -> Column:
        """One for a particle whose PDG number, sign aside, is listed, else zero."""
        return 1.0 * np.isin(np.abs(self.pdg_id), kinds)


@final
@dataclass(frozen=True)
class Feature:
    """A quantity per particle: its unit, and how it follows from the columns."""

    unit: str
    of: Callable[[Constituents], Column]


FEATURES: Mapping[str, Feature] = {
    "pt": Feature("GeV", lambda c: c.pt),
    "eta_rel": Feature("", Constituents.eta_rel),
    "phi_rel": Feature("rad", Constituents.phi_rel),
    "pt_rel": Feature("", lambda c: c.pt / c.jet_pt),
    "log_pt": Feature("", lambda c: np.log(c.pt)),
    "log_pt_rel": Feature("", lambda c: np.log(c.pt / c.jet_pt)),
    "delta_r": Feature("", Constituents.delta_r),
    "energy": Feature("GeV", Constituents.energy),
    "energy_rel": Feature("", Constituents.energy_rel),
    "pt_eta": Feature("GeV", lambda c: c.pt * c.eta_rel()),
    "pt_phi": Feature("GeV", lambda c: c.pt * c.phi_rel()),
    "pt_r2": Feature("GeV", lambda c: c.pt * c.delta_r() ** 2),
    "charge": Feature("", Constituents.charge),
    "is_photon": Feature("", lambda c: c.is_kind(_PHOTON)),
    "is_neutral_hadron": Feature("", lambda c: c.is_kind(_NEUTRAL_HADRON)),
    "is_lepton": Feature("", lambda c: c.is_kind(*_LEPTONS)),
}
ALL_16 = tuple(FEATURES)
PT_ETA_PHI = ("pt", "eta_rel", "phi_rel")

COLUMNS = ("pt", "eta", "phi", "pdg_id")
"""What a card's constituents are called; the axis of the jet is `pt`, `eta`, `phi`."""


def particle_block(
    sample: Sample, names: Sequence[str], particles: int
) -> tuple[
    Float64[np.ndarray, "objects particles features"], Int64[np.ndarray, " objects"]
]:
    """Features of the first particles of each jet, and how many of the rows are real.

    Args:
        sample: Its constituents have the columns of `COLUMNS`; without `pdg_id` there are
            the features that do not follow from the kind of particle.
        names: Names of `FEATURES`.
        particles: Rows per jet.

    Raises:
        UserError: A column is missing, a feature is not a finite number, or one that
            follows from the kind of particle is asked of a kind that is not known.
    """
    by_kind = not set(_OF_KIND).isdisjoint(names)
    columns = COLUMNS if by_kind else COLUMNS[:3]
    momenta, count = _there(*sample.block(columns, particles))
    real: Bool[np.ndarray, "objects particles"] = np.arange(particles) < count[:, None]
    jet = np.nonzero(real)[0]
    pt, eta, phi, *kind = momenta[real].T
    axis = sample.matrix(COLUMNS[:3])[jet].T
    pdg_id = kind[0].astype(np.int64) if by_kind else np.zeros(len(pt), np.int64)
    flat = Constituents(pt, eta, phi, pdg_id, *axis)

    def told(at: int) -> str:
        numbers = ", ".join(map(str, sample.event[jet[at]]))
        return f"a particle of jet {jet[at]} (run, block, event = {numbers})"

    strange = np.flatnonzero(~np.isin(np.abs(flat.pdg_id), _KINDS))
    if strange.size and by_kind:
        raise UserError(
            f"{told(int(strange[0]))} has the PDG number {flat.pdg_id[strange[0]]}, not one "
            f"of {', '.join(map(str, _KINDS))} with either sign; leave out the features "
            f"{', '.join(_OF_KIND)} ({strange.size} of {len(jet)} particles)"
        )
    block = np.zeros((*real.shape, len(names)))
    for column, name in enumerate(names):
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            values = FEATURES[name].of(flat)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            at = int(bad[0])
            raise UserError(
                f"feature {name!r} of {told(at)} is {values[at]}, with pt {pt[at]} in a "
                f"jet of pt {axis[0][at]}; cut such jets away in the card's selection "
                f"({bad.size} of {values.size} values)"
            )
        block[real, column] = values
    return block, count


def _there(
    momenta: Float64[np.ndarray, "objects particles columns"],
    count: Int64[np.ndarray, " objects"],
) -> tuple[
    Float64[np.ndarray, "objects particles columns"], Int64[np.ndarray, " objects"]
]:
    """The particles of some momentum before the empty places, and their number."""
    there = (np.arange(momenta.shape[1]) < count[:, None]) & (momenta[..., 0] > 0)
    number = there.sum(axis=1)
    if (number == count).all():
        return momenta, count
    order = np.argsort(~there, axis=1, kind="stable")
    return np.take_along_axis(momenta, order[..., None], axis=1), number
