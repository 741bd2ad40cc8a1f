"""The dataset card: what a reader must know of some files, as data.

A card names the tree, the branches and their units, which objects are kept, how they
are labelled, which particles belong to them, and where all of it comes from.  This
module owns what a card may say; `card_text` is its form in a file, `read` acts on it.

Conventions
-----------
- An *object* is what gets a row: a jet, a tau.  An *entry* is one row of the tree: a
  collision with a list of objects, or, where `objects` is `ENTRY`, one object.
- A branch may be spelt as NanoAOD does (`Jet_pt`) whatever the file does: `Jet.pt` in an
  RNTuple, `Jet/Jet.PT` (as `Jet_PT`) in a split class.
- A column's value is the stored number times its `scale`, in its `unit`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, final

from trigger.errors import UserError, nearest

ENTRY = "entry"
OPERATORS = ("<", "<=", ">", ">=", "==", "!=")
LINKS = ("index", "pairs", "nested", "delta_r")
FLAVOURS = ("g", "q", "c", "b", "tau", "light")  # light: g or q, undecided
# Names of the decaying particles that a jet is matched to, with their PDG numbers.
RESONANCES = {"top": 6, "w": 24, "z": 23, "higgs": 25, "tau": 15}
_RESERVED = ("label", "constituents")


@final
@dataclass(frozen=True)
class Column:
    """One number of each object, or of each particle.

    Attributes:
        name: What the program calls it.
        branch: What the file calls it.
        unit: Unit of `scale` times the stored number, "" for a pure number.
        about: What it is.
        per: `object`, or `event` for a branch that holds one number per entry, which
            every object of the entry gets.
        scale: Factor from the stored number to `unit`: 0.001 from MeV to GeV.
    """

    name: str
    branch: str
    unit: str = ""
    about: str = ""
    per: Literal["object", "event"] = "object"
    scale: float = 1.0


@final
@dataclass(frozen=True)
class Cut:
    """A condition that kept objects fulfil, on one column, in the column's unit."""

    column: str
    operator: str
    bound: float
    absolute: bool = False

    def __post_init__(self):
        """Checks the operator.

        Raises:
            UserError: It is none of `OPERATORS`.
        """
        if self.operator not in OPERATORS:
            raise UserError(
                f"cut on {self.column!r}: no operator {self.operator!r}; it is one of "
                f"{' '.join(OPERATORS)}"
            )

    def text(self, unit: str = "") -> str:
        """The condition as a line of the cut flow, such as `|eta| < 2.4`."""
        what = f"|{self.column}|" if self.absolute else self.column
        return f"{what} {self.operator} {self.bound:g} {unit}".rstrip()


@final
@dataclass(frozen=True)
class Identity:
    """Integer branches that tell collisions apart; "" where there is none."""

    run: str = ""
    block: str = ""
    number: str = ""

    def branches(self) -> tuple[str, str, str]:
        """Run, luminosity block, event number."""
        return self.run, self.block, self.number


@final
@dataclass(frozen=True)
class NoLabel:
    """The files hold no truth."""

    classes: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class BranchLabel:
    """The class as a branch tells it.

    Attributes:
        branch: Integers; without `values` the index into `classes`.
        classes: Names of the classes, in the order of the labels.
        values: Pairs of a stored value and its class; several values may have one
            class.  Objects with other values are dropped and counted.
    """

    branch: str
    classes: tuple[str, ...]
    values: tuple[tuple[int, str], ...] = ()


@final
@dataclass(frozen=True)
class FlavourLabel:
    """The flavour of a jet from its generator hadrons, partons and taus.

    Attributes:
        classes: Some of `FLAVOURS`, `light` not beside `g` or `q`; jets of the others
            are dropped and counted.
        hadron: Branch of the hadron flavour: 5, 4, 15 (as ATLAS has it) or 0; "" where
            the files have only partons.
        parton: Branch of the parton flavour, a PDG number; "" where hadrons suffice.
        tau: Branch that is not 0 for jets of a tau, or "".
        taus: Branches of eta and phi of the generator's visible taus, or empty.
        radius: Largest Delta R from a jet to a generator tau in it.
        veto: Branches that are not 0 for jets of something else, such as a muon; those
            are dropped and counted.
    """

    classes: tuple[str, ...]
    hadron: str = ""
    parton: str = ""
    tau: str = ""
    taus: tuple[str, ...] = ()
    radius: float = 0.4
    veto: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class MatchLabel:
    """The decaying particle whose daughters are all in the jet.

    Attributes:
        classes: Some of `RESONANCES`, and those that other jets get.
        radius: Largest Delta R from the jet to each daughter.
        otherwise: Class of the jets without a daughter of any, or "".
        hadron: Where `otherwise` is "": hadron flavour of those jets, as in
            `FlavourLabel`, or "".
        parton: The same for partons.
        pdg_id: Branch of the particles' PDG numbers.
        mother: Branch of the index of the particle's mother in the same list.
        eta: Branch of the particles' pseudorapidity.
        phi: Branch of the particles' azimuth, radians.
    """

    classes: tuple[str, ...]
    radius: float = 0.8
    otherwise: str = ""
    hadron: str = ""
    parton: str = ""
    pdg_id: str = "GenPart_pdgId"
    mother: str = "GenPart_genPartIdxMother"
    eta: str = "GenPart_eta"
    phi: str = "GenPart_phi"


Label = NoLabel | BranchLabel | FlavourLabel | MatchLabel


@final
@dataclass(frozen=True)
class ParticleList:
    """The particles of an object: where they are, in which order, how many are kept.

    Attributes:
        columns: Their columns.
        link: How a particle knows its object: `index` (it holds the object's place in
            the entry, -1 for none), `pairs` (a list of places of objects and of
            particles), `nested` (each object holds its own list), or `delta_r`.
        index: For `index` and `pairs`: branch of the object's place.
        particle_index: For `pairs`: branch of the particle's place.
        radius: For `delta_r`: largest distance; needs columns `eta` and `phi` of both.
        sort: Column of the order; equals stay in the order of the file.
        descending: Whether the largest come first.
        keep: The first so many are kept.
        least_pt: Particles of less `pt` are left out; in the unit of that column.
        padding: What fills the rows of a block that are no particle.
    """

    columns: tuple[Column, ...]
    link: str = "index"
    index: str = ""
    particle_index: str = ""
    radius: float = 0.4
    sort: str = "pt"
    descending: bool = True
    keep: int = 64
    least_pt: float = 0.0
    padding: float = 0.0

    def __post_init__(self):
        """Checks that the parts agree.

        Raises:
            UserError: They do not.
        """
        names = _distinct("constituent columns", self.columns)
        if self.link not in LINKS:
            raise UserError(
                f"constituents: no link {self.link!r}; it is one of {', '.join(LINKS)}"
            )
        needs = {"index": ("index",), "pairs": ("index", "particle_index")}
        for field in needs.get(self.link, ()):
            if not getattr(self, field):
                raise UserError(
                    f"constituents: the link {self.link!r} needs the branch {field!r}"
                )
        if self.keep < 1:
            raise UserError(f"constituents: keep at least 1, got {self.keep}")
        around = ("eta", "phi") if self.link == "delta_r" else ()
        least = ("pt",) if self.least_pt else ()
        for name in (self.sort, *around, *least):
            _known(name, names, "constituents")


@final
@dataclass(frozen=True)
class Card:
    """All that a reader must know of a data set.

    Attributes:
        name: Short, for tables.
        tree: Name of the TTree or RNTuple.
        event: The branches that identify a collision.
        columns: The objects' columns.
        objects: Name of the collection, or `ENTRY` where one entry is one object.
        label: The rule that gives the class.
        selection: Cuts, in the order in which they are applied.
        constituents: The particles of an object, if they are wanted.
        friends: Trees of the same entries in which branches are looked for too.
        files: Paths or patterns, relative to the card where it is a file.
        checksums: Pairs of a file's name and its SHA-256.
        n_gen: Collisions that were generated, those without an object included; 0
            where that is not known, and then there is no rate.
        format: The layout that was recognised.
        description: What it is, in a sentence.
        source: Where it comes from.
        licence: On which terms.
    """

    name: str
    tree: str
    event: Identity
    columns: tuple[Column, ...]
    objects: str = ENTRY
    label: Label = NoLabel()
    selection: tuple[Cut, ...] = ()
    constituents: ParticleList | None = None
    friends: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    checksums: tuple[tuple[str, str], ...] = ()
    n_gen: int = 0
    format: str = ""
    description: str = ""
    source: str = ""
    licence: str = ""

    def __post_init__(self):
        """Checks that the parts agree.

        Raises:
            UserError: They do not.
        """
        names = _distinct(f"columns of card {self.name!r}", self.columns)
        for name in _RESERVED:
            if name in names:
                raise UserError(
                    f"card {self.name!r}: {name!r} is the reader's own column; call it "
                    f"{'truth' if name == 'label' else 'particles'!r}, for instance"
                )
        if not any(self.event.branches()):
            raise UserError(
                f"card {self.name!r} identifies no collision: give at least one of the "
                "branches run, block, number; splits need it"
            )
        for cut in self.selection:
            _known(cut.column, names, f"the selection of card {self.name!r}")
        if self.n_gen < 0:
            raise UserError(f"card {self.name!r}: n_gen is {self.n_gen}, not 0 or more")
        nearby = self.constituents is not None and self.constituents.link == "delta_r"
        matched = isinstance(self.label, MatchLabel) or (
            isinstance(self.label, FlavourLabel) and bool(self.label.taus)
        )
        for name in ("eta", "phi") if nearby or matched else ():
            _known(name, names, f"the Delta R of card {self.name!r}")
        _check_label(self.name, self.label)

    def column(self, name: str) -> Column:
        """One column of the objects, by name.

        Raises:
            UserError: There is none; the most alike are listed.
        """
        _known(name, [c.name for c in self.columns], f"card {self.name!r}")
        return next(c for c in self.columns if c.name == name)


def _distinct(what: str, columns: tuple[Column, ...]) -> list[str]:
    names = [column.name for column in columns]
    if not names or len(set(names)) != len(names):
        raise UserError(f"{what}: one or more distinct names, got {names}")
    return names


def _known(name: str, names: Iterable[str], where: str) -> None:
    names = list(names)
    if name not in names:
        raise UserError(
            f"{where}: no column {name!r}; the most alike of its {len(names)} are "
            f"{nearest(name, names)}"
        )


def _check_label(card: str, label: Label) -> None:
    where = f"card {card!r}: the label's classes"
    if isinstance(label, NoLabel):
        if label.classes:
            raise UserError(f"{where} {label.classes} need a rule that gives them")
        return
    if len(set(label.classes)) != len(label.classes) or not label.classes:
        raise UserError(f"{where} must be distinct, got {label.classes}")
    if isinstance(label, BranchLabel):
        wanted, known = [name for _, name in label.values], label.classes
    else:
        wanted, known = label.classes, [*FLAVOURS]
        if isinstance(label, MatchLabel):
            known = [*known, *RESONANCES, label.otherwise]
            wanted = [*wanted, *filter(None, [label.otherwise])]
            if label.otherwise and label.otherwise not in label.classes:
                known = list(label.classes)
        elif not (label.hadron or label.parton):
            raise UserError(f"card {card!r}: a flavour needs a branch hadron or parton")
    if "light" in label.classes and {"g", "q"} & {*label.classes} and wanted:
        raise UserError(f"{where} are light or g and q, not both: {label.classes}")
    for name in wanted:
        if name not in known:
            raise UserError(f"{where} have no {name!r}; nearest {nearest(name, known)}")
