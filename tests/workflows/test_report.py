"""The report: one file, complete in itself."""

import dataclasses
import re
from html.parser import HTMLParser

from workflows.report import CAPTIONS, Content, Table, Tile, render

EMPTY = Table(("a", "b"), (("1", "2"),), frozenset({"b"}))
CONTENT = Content(
    title="jsc_hlf_v1_0_0",
    subtitle="five classes",
    warnings=["no simulator <here>"],
    tiles=[
        Tile("accuracy", "70.0 %", "of 20,000 jets"),
        Tile("x", "1", "", good=False),
    ],
    budget=EMPTY,
    layers=EMPTY,
    calibration="within 5 %",
    checks=EMPTY,
    inputs=EMPTY,
    front_end=EMPTY,
    outputs=EMPTY,
    data=EMPTY,
    cuts=EMPTY,
    working_points=EMPTY,
    figures={
        name: f'<svg id="{name}"></svg>'
        for name in ("roc", "confusion", "front", "training", "scores")
    },
    settings=[("train.epochs", "3")],
    versions=[("yosys", "0.1 & more")],
)


class Page(HTMLParser):
    """Collects tags that are open and addresses that a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str | None] = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href", "data", "action")]
        assert tag not in ("script", "link", "iframe")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_fetches_nothing():
    text = render(CONTENT)
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.fetched == []
    assert not re.search(r"https?://|@import|url\(", text)


def test_texts_are_escaped_and_figures_are_not():
    text = render(CONTENT)
    assert "no simulator &lt;here&gt;" in text
    assert "0.1 &amp; more" in text
    assert '<svg id="roc"></svg>' in text


def test_every_part_of_the_content_is_on_the_page():
    text = render(dataclasses.replace(CONTENT, title="a title of its own"))
    assert "a title of its own" in text
    for name in CONTENT.figures:
        assert f'<svg id="{name}">' in text
    assert '<td class="n">2</td>' in text
    assert "within 5 %" in text
    assert '<div class="value bad">1</div>' in text


def test_figures_of_the_physics_stand_below_their_working_points_with_a_text():
    more = {"rate": '<svg id="rate"></svg>', "strange": '<svg id="strange"></svg>'}
    text = render(dataclasses.replace(CONTENT, figures={**CONTENT.figures, **more}))
    assert text.index("Working points") < text.index('<svg id="rate">')
    assert text.index('<svg id="strange">') < text.index("<h2>Training</h2>")
    assert CAPTIONS["rate"] in text
    assert CAPTIONS["turn_on"] not in text


def test_only_a_block_with_a_front_end_tells_of_it():
    assert "<h2>Front end</h2>" in render(CONTENT)
    none = Table(("feature",), (), frozenset())
    text = render(dataclasses.replace(CONTENT, front_end=none))
    assert "<h2>Front end</h2>" not in text


def test_the_same_content_gives_the_same_bytes():
    assert render(CONTENT) == render(CONTENT)
