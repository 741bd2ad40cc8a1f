import dataclasses
import math
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given
from hypothesis import strategies as st

from trigger.constituents import (
    ALL_16,
    FEATURES,
    PT_ETA_PHI,
    Constituents,
    ConstituentSchema,
    read_constituents,
)
from trigger.errors import UserError
from trigger.jets import read_jets

KINDS = (211, -211, 11, -11, 13, -13, 22, 130)


@pytest.fixture
def schema():
    """The four leading particles by pt, eta and phi."""
    return ConstituentSchema(
        tree="Events",
        particles=4,
        features=PT_ETA_PHI,
        label="Jet_label",
        event=("run", "luminosityBlock", "event"),
        classes=("g", "q"),
    )


@pytest.fixture
def write(tmp_path):
    """Writes columns, jagged ones as lists per event; returns the path as text."""

    def write_file(columns, name="jets.root", kind="ttree"):
        record = {k: v for k, v in columns.items() if "_" not in k}
        for collection in ("Jet", "PFCand"):
            mark = collection + "_"
            parts = {k: v for k, v in columns.items() if k.startswith(mark)}
            record[collection] = ak.zip({k[len(mark) :]: v for k, v in parts.items()})
        with uproot.recreate(tmp_path / name) as file:
            if kind == "ttree":
                types = {k: ak.Array(v).type.content for k, v in record.items()}
                file.mktree("Events", types).extend(record)
            else:
                file.mkrntuple("Events", ak.Array(record))
        return str(tmp_path / name)

    return write_file


def plain(values) -> Any:
    """An array as lists of Python's numbers."""
    return ak.to_list(values)


def jagged(lists, dtype):
    """Lists of numbers as an array of the given type."""
    return ak.values_astype(ak.Array(lists), dtype)


def events(seed, count=12):
    """Events with 0 to 3 jets of 1 to 7 particles, those in no order; pts may tie."""
    rng = np.random.default_rng(seed)
    jets = rng.integers(0, 4, count)
    jets[0] = 2
    lists = {name: [] for name in ("pt", "eta", "phi", "pdgId", "jetIdx")}
    for n in jets:
        owner = np.repeat(np.arange(n), rng.integers(1, 8, n))
        rng.shuffle(owner)
        lists["jetIdx"].append(owner.tolist())
        lists["pt"].append((rng.integers(1, 40, len(owner)) / 4).tolist())
        for angle in ("eta", "phi"):
            lists[angle].append(rng.uniform(-math.pi, math.pi, len(owner)).tolist())
        lists["pdgId"].append(rng.choice(KINDS, len(owner)).tolist())
    label = np.arange(jets.sum()) % 2  # both classes
    number = np.arange(count)
    columns = {
        "run": np.ones(count, np.uint32),
        "luminosityBlock": np.full(count, 7, np.uint32),
        "event": number.astype(np.uint64),
        "Jet_label": ak.unflatten(label.astype(np.int8), jets),
    }
    for name, low, high in (("pt", 900, 1200), ("eta", -2, 2), ("phi", -3.14, 3.14)):
        values = rng.uniform(low, high, jets.sum()).astype(np.float32)
        columns[f"Jet_{name}"] = ak.unflatten(values, jets)
    types = {"pdgId": np.int16, "jetIdx": np.int8}
    for name, values in lists.items():
        columns[f"PFCand_{name}"] = jagged(values, types.get(name, np.float32))
    return columns


def one_by_one(columns, schema):
    """The same blocks by a loop over events, jets and particles, with `math`."""
    rows = {name: plain(values) for name, values in columns.items()}
    blocks, counts = [], []
    for entry, labels in enumerate(rows["Jet_label"]):
        for jet in range(len(labels)):
            axis = [rows[f"Jet_{name}"][entry][jet] for name in ("pt", "eta", "phi")]
            mine = [
                [
                    rows[f"PFCand_{name}"][entry][i]
                    for name in ("pt", "eta", "phi", "pdgId")
                ]
                for i, owner in enumerate(rows["PFCand_jetIdx"][entry])
                if owner == jet
            ]
            mine = [particle for particle in mine if particle[0] >= schema.least_pt]
            mine = sorted(mine, key=lambda p: -p[0])[: schema.particles]
            block = [[0.0] * len(schema.features) for _ in range(schema.particles)]
            for row, particle in zip(block, mine, strict=False):
                values = described(*particle, *axis)
                row[:] = [values[name] for name in schema.features]
            blocks.append(block)
            counts.append(len(mine))
    return np.array(blocks), np.array(counts)


def described(pt, eta, phi, kind, jet_pt, jet_eta, jet_phi):
    """Every feature of one particle, by name."""
    deta, dphi = eta - jet_eta, math.remainder(phi - jet_phi, 2 * math.pi)
    r = math.sqrt(deta**2 + dphi**2)
    charge = {11: -1, -11: 1, 13: -1, -13: 1, 211: 1, -211: -1}.get(kind, 0)
    return {
        "pt": pt,
        "eta_rel": deta,
        "phi_rel": dphi,
        "pt_rel": pt / jet_pt,
        "log_pt": math.log(pt),
        "log_pt_rel": math.log(pt) - math.log(jet_pt),
        "delta_r": r,
        "energy": math.sqrt(pt**2 + (pt * math.sinh(eta)) ** 2),
        "energy_rel": pt / jet_pt * math.cosh(eta) / math.cosh(jet_eta),
        "pt_eta": pt * deta,
        "pt_phi": pt * dphi,
        "pt_r2": pt * (deta**2 + dphi**2),
        "charge": charge,
        "is_photon": kind == 22,
        "is_neutral_hadron": kind == 130,
        "is_lepton": abs(kind) in (11, 13),
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["ttree", "rntuple"])
@pytest.mark.parametrize("particles", [1, 4, 9])
def test_blocks_are_what_a_loop_over_particles_finds(
    write, schema, seed, kind, particles
):
    schema = dataclasses.replace(schema, particles=particles)
    columns = events(seed)
    sample = read_constituents([write(columns, kind=kind)], schema)
    blocks, counts = one_by_one(columns, schema)
    assert np.array_equal(sample.features, blocks)
    assert np.array_equal(sample.count, counts)


@pytest.mark.parametrize("seed", range(4))
def test_all_features_are_their_formulas(write, schema, seed):
    schema = dataclasses.replace(schema, features=ALL_16, particles=9)
    columns = events(seed)
    sample = read_constituents([write(columns)], schema)
    # Either side has at most two elementary functions, good to 4 ulps, and eight
    # roundings of half an ulp: 12 ulps each, 24 together, of 2**-52 relative.  Only the
    # differences of angles cancel, and those are the same single operation in both; the
    # difference of two logarithms is more than half of the larger.
    blocks = one_by_one(columns, schema)[0]
    assert np.allclose(sample.features, blocks, rtol=2**-47, atol=0)


def test_the_jets_are_those_of_read_jets(write, schema):
    path = write(events(0))
    sample, jets = read_constituents([path], schema), read_jets([path], schema.jets())
    assert np.array_equal(sample.label, jets.label)
    assert np.array_equal(sample.event, jets.event)
    assert sample.sources == jets.sources


def test_files_follow_each_other(write, schema):
    paths = [write(events(seed), name=f"{seed}.root") for seed in (3, 1)]
    parts = [read_constituents([path], schema) for path in paths]
    both = read_constituents(paths, schema)
    for name in ("features", "count", "label", "event"):
        expected = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(getattr(both, name), expected)


def test_the_mask_marks_the_particles_and_all_else_is_zero(write, schema):
    sample = read_constituents([write(events(2))], schema)
    assert np.array_equal(sample.mask().sum(axis=1), sample.count)
    assert np.array_equal(sample.mask(), sample.features[..., 0] > 0)
    assert not sample.features[~sample.mask()].any()


def test_particles_below_the_threshold_are_as_if_not_there(write, schema):
    columns = events(5)
    schema = dataclasses.replace(schema, least_pt=4.0)
    sample = read_constituents([write(columns)], schema)
    blocks, counts = one_by_one(columns, schema)
    assert np.array_equal(sample.features, blocks)
    assert np.array_equal(sample.count, counts)
    assert sample.features[..., 0][sample.mask()].min() == 4.0


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_an_azimuth_is_folded_by_whole_turns_and_by_no_more_than_needed(phi, axis):
    ones = np.ones(1)
    particle = Constituents(
        ones, ones, phi * ones, np.full(1, 22), ones, ones, axis * ones
    )
    folded = particle.phi_rel()[0]
    turns = (phi - axis - folded) / (2 * math.pi)
    # the difference is up to 20 and carries one rounding, the turns up to 4 another
    assert abs(turns - round(turns)) < 2**-48
    assert abs(folded) <= math.pi + 2**-48
    if abs(phi - axis) <= math.pi:
        assert folded == phi - axis


@pytest.mark.parametrize("features", [PT_ETA_PHI, ALL_16, ("charge",)])
def test_units_stand_in_the_order_of_the_features(schema, features):
    schema = dataclasses.replace(schema, features=features)
    assert schema.units == tuple(FEATURES[name].unit for name in features)
    assert len(ALL_16) == 16


def test_a_tree_with_one_jet_per_entry_reads_alike(tmp_path, schema):
    columns = {
        "run": np.ones(2, np.uint32),
        "luminosityBlock": np.ones(2, np.uint32),
        "event": np.arange(2, dtype=np.uint64),
        "Jet_label": np.array([0, 1], np.int8),
        "Jet_pt": np.array([10.0, 20.0]),
        "Jet_eta": np.zeros(2),
        "Jet_phi": np.zeros(2),
        "PFCand": ak.zip(
            {
                "pt": [[1.0, 3.0], [2.0]],
                "eta": [[0.5, 0.25], [1.0]],
                "phi": [[0.0, 0.0], [0.0]],
                "pdgId": jagged([[22, 22], [130]], np.int16),
                "jetIdx": jagged([[0, 0], [0]], np.int8),
            }
        ),
    }
    with uproot.recreate(tmp_path / "flat.root") as file:
        types = {k: ak.Array(v).type.content for k, v in columns.items()}
        file.mktree("Events", types).extend(columns)
    sample = read_constituents([str(tmp_path / "flat.root")], schema)
    assert np.array_equal(sample.features[:, :2, 0], [[3, 1], [2, 0]])
    assert np.array_equal(sample.features[:, :2, 1], [[0.25, 0.5], [1, 0]])


@pytest.mark.parametrize("branch", ["pt", "eta", "phi", "pdgId", "jetIdx"])
def test_a_missing_branch_is_named_with_the_nearest(write, schema, branch):
    columns = events(0)
    columns[f"PFCand_{branch}s"] = columns.pop(f"PFCand_{branch}")
    expected = f"has no branch 'PFCand_{branch}'; the most alike.* 'PFCand_{branch}s'"
    with pytest.raises(UserError, match=expected):
        read_constituents([write(columns)], schema)


def changed(columns, name, value):
    """The columns with the second particle of the first entry replaced."""
    values = plain(columns[name])
    values[0][1] = value
    kept = str(columns[name].type.content).split(" * ")[-1]
    return columns | {name: jagged(values, kept)}


@pytest.mark.parametrize(
    ("branch", "value", "expected"),
    [
        ("pt", math.nan, "is nan, not a finite number"),
        ("eta", math.inf, "is inf, not a finite number"),
        ("phi", -math.inf, "is -inf, not a finite number"),
        ("pt", 0.0, "is 0.0, not a positive pt"),
        ("pt", -1.0, "is -1.0, not a positive pt"),
        ("pdgId", 321, "is 321, not one of 211, 130, 22, 11, 13 with either sign"),
        ("jetIdx", 2, "is 2, not the index of one of the 2 jets of the entry"),
        ("jetIdx", -1, "is -1, not the index of one of the 2 jets of the entry"),
    ],
)
def test_a_wrong_value_is_named_with_its_particle(
    write, schema, branch, value, expected
):
    path = write(changed(events(0), f"PFCand_{branch}", value))
    place = f"jets.root': 'PFCand_{branch}' of particle 1 of entry 0 "
    with pytest.raises(UserError, match=rf"{place}{expected} \(1 of \d+ values"):
        read_constituents([path], schema)


def test_a_particle_in_an_entry_without_jets_is_named(write, schema):
    columns = events(0)
    empty = int(np.flatnonzero(ak.num(columns["Jet_pt"]) == 0)[0])
    for name, value in (
        ("pt", 1),
        ("eta", 0),
        ("phi", 0),
        ("pdgId", 22),
        ("jetIdx", 0),
    ):
        values = plain(columns[f"PFCand_{name}"])
        values[empty] = [value]
        kept = str(columns[f"PFCand_{name}"].type.content).split(" * ")[-1]
        columns[f"PFCand_{name}"] = jagged(values, kept)
    expected = f"particle 0 of entry {empty} is 0, not the index of one of the 0 jets"
    with pytest.raises(UserError, match=expected):
        read_constituents([write(columns)], schema)


def test_a_jet_without_constituents_is_named(write, schema):
    columns = events(0)
    index = plain(columns["PFCand_jetIdx"])
    columns["PFCand_jetIdx"] = jagged([[0] * len(index[0]), *index[1:]], np.int8)
    expected = (
        r"the number of constituents of jet 1 \(run 1, luminosityBlock 7, event 0\) is "
        r"0, not 1 or more that 'PFCand_jetIdx' gives it \(1 of \d+ values are not\)"
    )
    with pytest.raises(UserError, match=expected):
        read_constituents([write(columns)], schema)


def test_a_jet_of_no_momentum_is_named(write, schema):
    columns = changed(events(0), "Jet_pt", 0.0)
    expected = r"'Jet_pt' of jet 1 \(run 1, .* event 0\) is 0.0, not a positive pt"
    with pytest.raises(UserError, match=expected):
        read_constituents([write(columns)], schema)


def test_a_feature_that_overflows_is_named_with_its_particle(write, schema):
    columns = changed(events(0), "PFCand_eta", 800.0)
    columns = changed(columns, "PFCand_pt", 99.0)
    jet = columns["PFCand_jetIdx"][0, 1]
    schema = dataclasses.replace(schema, features=("energy",))
    expected = rf"feature 'energy' of particle 0 of jet {jet} \(.*\) is inf, not finite"
    with pytest.raises(UserError, match=expected):
        read_constituents([write(columns)], schema)


@pytest.mark.parametrize("branch", ["pdgId", "jetIdx"])
def test_indices_are_integers(write, schema, branch):
    columns = events(0)
    name = f"PFCand_{branch}"
    columns[name] = ak.values_astype(columns[name], np.float32)
    expected = rf"branch '{name}' holds var \* float32, not integers"
    with pytest.raises(UserError, match=expected):
        read_constituents([write(columns)], schema)


def test_columns_of_unequal_length_are_refused(tmp_path, schema):
    columns = events(0)
    eta = plain(columns["PFCand_eta"])
    columns["PFCand_eta"] = jagged([eta[0][1:], *eta[1:]], np.float32)
    with uproot.recreate(tmp_path / "unequal.root") as file:
        types = {k: ak.Array(v).type.content for k, v in columns.items()}
        file.mktree("Events", types).extend(columns)
    held = len(eta[0])
    expected = (
        f"in entry 0 the branch 'PFCand_eta' holds {held - 1} values, but "
        f"'PFCand_jetIdx' holds {held}"
    )
    with pytest.raises(UserError, match=expected):
        read_constituents([str(tmp_path / "unequal.root")], schema)


def test_files_whose_particles_differ_in_type_are_refused(write, schema):
    columns = events(0)
    paths = [write(columns, name="a.root")]
    columns["PFCand_pt"] = ak.values_astype(columns["PFCand_pt"], np.float64)
    paths.append(write(columns, name="b.root"))
    with pytest.raises(
        UserError, match=r"'PFCand_pt' holds var \* float64 in '.*b.root"
    ):
        read_constituents(paths, schema)


def test_an_unknown_feature_is_named_with_the_nearest(schema):
    with pytest.raises(UserError, match=r"no feature 'log_pt_re' .* are 'log_pt_rel'"):
        dataclasses.replace(schema, features=("log_pt_re",))


def test_a_jet_has_room_for_a_particle(schema):
    with pytest.raises(UserError, match="room for at least 1 particle, got 0"):
        dataclasses.replace(schema, particles=0)


@pytest.mark.parametrize("features", [(), ("pt", "pt")])
def test_features_are_some_and_distinct(schema, features):
    with pytest.raises(ValueError, match="features must be distinct"):
        dataclasses.replace(schema, features=features)
