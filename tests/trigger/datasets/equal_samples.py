"""What it means that two samples are equal: all of it, types and units included."""

import awkward as ak
import numpy as np


def assert_same(one, two):
    assert one.objects.type == two.objects.type  # with the units
    assert ak.array_equal(one.objects, two.objects, check_parameters=True)
    assert one.event.dtype == two.event.dtype
    assert np.array_equal(one.event, two.event)
    assert (one.card, one.cuts) == (two.card, two.cuts)
    assert (one.sources, one.skipped) == (two.sources, two.skipped)
