"""The figures, as texts."""

import numpy as np
import pytest

from models.plan import EpochLog
from workflows.figures import draw
from workflows.scores import judge


def log(epoch):
    return EpochLog(epoch, 3, 1.0 / (epoch + 1), 0.6, 0.5, 900.0, 1e-5, 1e-3, 1.0)


def drawn(classes):
    rng = np.random.default_rng(1)
    labels = np.arange(300) % len(classes)
    raw = rng.integers(-64, 64, (300, len(classes)))
    raw[np.arange(300), labels] += 30
    return draw(
        judge(raw, labels, 0.125, classes),
        [log(epoch) for epoch in range(3)],
        front=[(300.0, 0.6), (900.0, 0.65)],
        tried=[(930.0, 0.65)],
        chosen=(930.0, 0.65),
        budget_luts=1000,
    )


@pytest.mark.parametrize("classes", [("g", "q", "t", "w", "z"), ("b", "light")])
def test_the_figures_are_complete_and_ask_for_nothing(classes):
    figures = drawn(classes)
    assert sorted(figures) == ["confusion", "front", "roc", "scores", "training"]
    for text in figures.values():
        assert text.startswith("<svg")
        assert text.rstrip().endswith("</svg>")
        assert "url(http" not in text
        assert 'href="http' not in text
        assert "currentColor" in text


def test_the_same_numbers_draw_the_same_bytes():
    assert drawn(("a", "b")) == drawn(("a", "b"))
