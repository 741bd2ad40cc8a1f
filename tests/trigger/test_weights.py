import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.errors import UserError
from trigger.weights import FLAT, class_weights, fit_reweighting, from_json, to_json

CLASSES = ("b", "c", "light")
PT_EDGES, ETA_EDGES = (15.0, 30.0, 60.0, 200.0), (-2.5, 0.0, 2.5)
BINS = [(pt, eta) for pt in range(3) for eta in range(2)]
EPS = 2.0**-53  # half a unit in the last place of 1


@st.composite
def jets(draw):
    """Jets of all classes, some beyond the edges; every class has one in each bin."""
    everywhere = [(label, *b) for label in range(3) for b in BINS]
    bins = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1))
    where = np.array(everywhere + draw(st.lists(bins, max_size=60)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low_pt, high_pt = np.array([5, 30, 60])[where[:, 1]], [30, 60, 400]
    pt = rng.uniform(low_pt, np.array(high_pt)[where[:, 1]])
    eta = rng.uniform(np.array([-4, 0])[where[:, 2]], np.array([0, 4])[where[:, 2]])
    return pt, eta, where[:, 0].astype(np.int64)


def in_bins(pt, eta, weight):
    """Sums of weights in the bins, by hand: what is outside belongs to the nearest."""
    sums = np.zeros((3, 2))
    for jet in range(len(pt)):
        i = 0 if pt[jet] < 30 else 1 if pt[jet] < 60 else 2
        sums[i, 0 if eta[jet] < 0 else 1] += weight[jet]
    return sums


def fit(pt, eta, label, reference="b", **options):
    return fit_reweighting(
        pt,
        eta,
        label,
        classes=CLASSES,
        reference=reference,
        pt_edges=PT_EDGES,
        eta_edges=ETA_EDGES,
        **options,
    )


@given(st.lists(st.integers(0, 2), max_size=100))
def test_each_class_has_the_same_total_and_the_mean_is_one(more):
    label = np.array([0, 1, 2, *more])
    weight = class_weights(label, CLASSES)
    n = len(label)
    # n equal positive terms, each within 2 roundings, added one by one: within n + 1
    # roundings of the exact n / 3
    bound = (n + 1) * EPS * n
    for number in range(3):
        assert abs(weight[label == number].sum() - n / 3) <= bound
    assert abs(weight.mean() - 1) <= (n + 2) * EPS


def test_the_rare_class_weighs_more():
    weight = class_weights(np.array([0, 0, 0, 1]), ("q", "g"))
    assert np.array_equal(weight, np.array([2 / 3, 2 / 3, 2 / 3, 2.0]))


@pytest.mark.parametrize("label", [[0, 2], []])
def test_a_class_without_jets_is_named(label):
    expected = f"no jets of class .*c.* among {len(label)} training jets"
    with pytest.raises(UserError, match=expected):
        class_weights(np.array(label, np.int64), CLASSES)


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_label_that_is_no_class_is_named_with_its_jet(wrong):
    with pytest.raises(UserError, match=rf"label of jet 2 is {wrong}, .*labels 0\.\.2"):
        class_weights(np.array([0, 1, wrong]), CLASSES)
    fitted = fit(*ONE_IN_EACH_BIN)
    with pytest.raises(UserError, match=f"label of jet 0 is {wrong}"):
        fitted.weights(np.ones(1), np.ones(1), np.array([wrong]))


@given(jets(), st.sampled_from([*CLASSES, FLAT]))
def test_weighted_histograms_have_the_shape_of_the_reference(sample, reference):
    pt, eta, label = sample
    weight = fit(pt, eta, label, reference).weights(pt, eta, label)
    if reference == FLAT:
        shape = np.full((3, 2), 1 / 6)
    else:
        of = label == CLASSES.index(reference)
        shape = in_bins(pt[of], eta[of], np.ones(of.sum())) / of.sum()
    for number in range(3):
        of = label == number
        sums = in_bins(pt[of], eta[of], weight[of]) / of.sum()
        # A bin's n equal terms are each within 3 roundings, their sum within n more,
        # the last division, and the two of the expected shape: n + 6 in all.
        assert (np.abs(sums - shape) <= (of.sum() + 6) * EPS * shape).all()


@given(jets())
def test_jets_of_the_reference_class_keep_weight_one(sample):
    pt, eta, label = sample
    weight = fit(pt, eta, label, "c").weights(pt, eta, label)
    # share over the same share: each is a correctly rounded quotient of one pair
    assert np.array_equal(weight[label == 1], np.ones((label == 1).sum()))


@given(jets(), st.sampled_from([*CLASSES, FLAT]), st.floats(0.5, 3))
def test_the_text_gives_the_same_weights_to_the_last_bit(sample, reference, cap):
    pt, eta, label = sample
    fitted = fit(pt, eta, label, reference, cap=cap)
    again = from_json(to_json(fitted))
    assert np.array_equal(again.ratio, fitted.ratio)
    assert {**vars(again), "ratio": 0} == {**vars(fitted), "ratio": 0}
    assert np.array_equal(again.weights(pt, eta, label), fitted.weights(pt, eta, label))


@given(jets(), st.floats(0.1, 3))
def test_a_cap_cuts_weights_and_counts_the_bins(sample, cap):
    free, cut = fit(*sample), fit(*sample, cap=cap)
    assert np.array_equal(cut.ratio, np.minimum(free.ratio, cap))
    above = (free.ratio > cap).sum(axis=(1, 2))
    assert cut.capped == tuple(above)
    assert free.capped == (0, 0, 0)


@given(jets())
def test_the_effective_number_is_that_of_the_weights(sample):
    pt, eta, label = sample
    fitted = fit(pt, eta, label, FLAT)
    weight = fitted.weights(pt, eta, label)
    for number in range(3):
        w = weight[label == number]
        # sums of n positive terms in two orders, squared or not: 4 n roundings suffice
        expected = w.sum() ** 2 / (w**2).sum()
        bound = 4 * (len(w) + 2) * 2 * EPS * expected
        assert abs(fitted.effective[number] - expected) <= bound
        assert fitted.effective[number] <= fitted.jets[number] + bound
        assert fitted.jets[number] == len(w)


def one_in_each_bin():
    pt = np.tile(np.repeat([20.0, 40.0, 100.0], 2), 3)
    eta = np.tile([-1.0, 1.0], 9)
    return pt, eta, np.repeat(np.arange(3), 6)


ONE_IN_EACH_BIN = one_in_each_bin()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_jets_outside_the_edges_get_the_weight_of_the_nearest_bin(kind):
    pt, eta, label = ONE_IN_EACH_BIN
    # two more in the last bin in pT and the first in eta of class c
    pt, eta = np.append(pt, [100.0, 100.0]), np.append(eta, [-1.0, -1.0])
    fitted = fit(pt, eta, np.append(label, [1, 1]), "b")
    for jet in [(200.0, -2.5), (200.0, -3.0), (np.inf, -np.inf), (1e30, -1.0)]:
        one = [np.array([x], kind) for x in jet]
        weight = fitted.weights(one[0], one[1], np.array([1]))
        assert weight[0] == fitted.ratio[1, 2, 0] < 1
    for jet in [(15.0, 2.5), (0.0, 0.0), (-1.0, np.inf)]:
        one = [np.array([x], kind) for x in jet]
        weight = fitted.weights(one[0], one[1], np.array([1]))
        assert weight[0] == fitted.ratio[1, 0, 1] > 1


def test_empty_bins_get_weight_zero_and_are_counted():
    pt, eta, label = (column[:-2] for column in ONE_IN_EACH_BIN)  # light lacks two bins
    fitted = fit(pt, eta, label, "b")
    assert fitted.empty == (0, 0, 2)
    assert np.array_equal(fitted.ratio[2, 2], [0.0, 0.0])
    # what light has left: four bins of four jets in the shape of b, a sixth each
    assert np.array_equal(fitted.ratio[2, :2], np.full((2, 2), (1 / 6) / (1 / 4)))


def test_bins_that_nobody_populates_are_no_part_of_flat():
    pt, eta, label = ONE_IN_EACH_BIN
    low = pt < 90
    fitted = fit(pt[low], eta[low], label[low], FLAT)
    assert fitted.empty == (0, 0, 0)
    assert np.array_equal(fitted.ratio[:, :2], np.ones((3, 2, 2)))
    assert not fitted.ratio[:, 2].any()


def test_a_class_that_misses_the_reference_altogether_is_named():
    pt = np.array([20.0, 20.0, 100.0])
    expected = "class light has no jets in any bin of the reference 'b'"
    with pytest.raises(UserError, match=expected):
        fit(pt, np.zeros(3), np.arange(3), "b")


def test_an_unknown_reference_is_named_with_the_nearest():
    expected = "is a class or 'flat', got 'lite'; the most alike are 'light'"
    with pytest.raises(UserError, match=expected):
        fit(*ONE_IN_EACH_BIN, "lite")


@pytest.mark.parametrize("edges", [(1.0,), (1.0, 1.0), (2.0, 1.0), (0.0, np.nan, 2.0)])
@pytest.mark.parametrize("name", ["pT", "eta"])
def test_edges_that_make_no_bins_are_refused(edges, name):
    both = {"pt_edges": PT_EDGES, "eta_edges": ETA_EDGES}
    both["pt_edges" if name == "pT" else "eta_edges"] = edges
    with pytest.raises(UserError, match=f"edges of the bins in {name} must be two"):
        fit_reweighting(*ONE_IN_EACH_BIN, classes=CLASSES, reference="b", **both)


@pytest.mark.parametrize("column", [0, 1])
def test_nan_is_in_no_bin(column):
    pt, eta, label = (values.copy() for values in ONE_IN_EACH_BIN)
    (pt, eta)[column][4] = np.nan
    expected = f"{('pT', 'eta')[column]} of jet 4 is NaN.*1 of 18 are"
    with pytest.raises(UserError, match=expected):
        fit(pt, eta, label)
    with pytest.raises(UserError, match=expected):
        fit(*ONE_IN_EACH_BIN).weights(pt, eta, label)


@pytest.mark.parametrize("cap", [0.0, -1.0, math.nan])
def test_a_cap_that_leaves_nothing_is_refused(cap):
    with pytest.raises(UserError, match=f"must be above zero, got {cap}"):
        fit(*ONE_IN_EACH_BIN, cap=cap)


def changed(**changes):
    document = json.loads(to_json(fit(*ONE_IN_EACH_BIN)))
    return json.dumps({**document, **changes})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "the reweighting is not JSON"),
        ("[]", "not a reweighting: its format should be 'jetlut-reweighting'"),
        (changed(format="x"), "not a reweighting"),
        (changed(version=2), "version 2, this program reads version 1; fit it again"),
        (changed(ratio=[[[1.0]]]), r"ratio is of shape \(1, 1, 1\), not \(3, 3, 2\)"),
        (changed(ratio="x"), "lacks a part or has a wrong one"),
        (changed(empty=None), "lacks a part or has a wrong one"),
        (to_json(fit(*ONE_IN_EACH_BIN)).replace("jets", "jet"), "lacks a part"),
    ],
)
def test_a_text_that_is_no_reweighting_is_refused(text, expected):
    with pytest.raises(UserError, match=expected):
        from_json(text)
