"""How often training jets count: by class, and by where they are."""

import numpy as np

from trigger.weights import class_weights, fit_reweighting
from workflows.groups import Weights
from workflows.weighting import weigh

CLASSES = ("soft", "hard")


def jets(count=4000, seed=1):
    """Two classes, three to one, with spectra of their own."""
    random = np.random.default_rng(seed)
    label = (random.random(count) < 0.25).astype(np.int64)
    pt = np.where(
        label, random.uniform(100, 200, count), random.triangular(100, 100, 200, count)
    )
    return pt, random.uniform(-2, 2, count), label


def test_without_a_wish_there_are_no_weights():
    pt, eta, label = jets()
    assert weigh(Weights(), CLASSES, pt, eta, label) == (None, None)


def test_classes_alone_need_no_kinematics():
    _, _, label = jets()
    counts, fitted = weigh(Weights(classes=True), CLASSES, None, None, label)
    assert fitted is None
    assert counts is not None
    assert np.array_equal(counts, class_weights(label, CLASSES))
    assert np.isclose(counts[label == 0].sum(), counts[label == 1].sum())


def test_a_reference_gives_all_classes_one_spectrum_in_bins_of_equal_size():
    pt, eta, label = jets()
    asked = Weights(reference="hard", cap=100.0)
    counts, fitted = weigh(asked, CLASSES, pt, eta, label)
    assert counts is not None
    assert fitted is not None
    assert len(fitted.pt_edges) == 11
    assert len(fitted.eta_edges) == 5
    spectra = [
        np.histogram(pt[label == c], fitted.pt_edges, weights=counts[label == c])[0]
        for c in (0, 1)
    ]
    shares = [spectrum / spectrum.sum() for spectrum in spectra]
    # The weights make bins of pT and eta equal, so sums over eta are too.
    assert np.allclose(*shares, rtol=1e-12)


def test_stated_bins_are_used_and_both_wishes_multiply():
    pt, eta, label = jets()
    bins = {"pt_edges": (100.0, 150.0, 200.0), "eta_edges": (-2.0, 0.0, 2.0)}
    asked = Weights(classes=True, reference="flat", cap=3.0, **bins)
    counts, fitted = weigh(asked, CLASSES, pt, eta, label)
    alone = fit_reweighting(
        *(pt, eta, label), classes=CLASSES, reference="flat", cap=3.0, **bins
    ).weights(pt, eta, label)
    assert counts is not None
    assert fitted is not None
    assert fitted.pt_edges == bins["pt_edges"]
    assert np.array_equal(counts, alone * class_weights(label, CLASSES))
