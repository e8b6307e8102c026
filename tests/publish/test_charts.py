"""Pictures as SVG and PNG."""

import io
import math
import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
import samples
from PIL import Image

from harness.publish.blocks import Axis, Bar, Dot, Intervals, Line, Lines, Parts, Row, Scatter
from harness.publish.charts import DARK_TONES, TONES, Look, png, svg
from harness.publish.client_file import contrast
from harness.publish.figures.base import apart, lettered

LOOKS = [Look(), Look(inches=3.6), Look(css=True), Look(inches=3.6, css=True)]
ORDINARY = {
    "intervals": samples.intervals,
    "lines": samples.lines,
    "curve": samples.curve,
    "scatter": samples.scatter,
    "parts": samples.parts,
}
LONG = "A very long label that goes on and on, well beyond sixty characters: the end of it"
NAN, INF = math.nan, math.inf
UNIT = Axis("Share", samples.PERCENT)
TENS = Axis("Volume", ((1, "1"), (10, "10")), logarithmic=True)
ODD = {
    "no bars": Intervals("Share", (), 1.0, samples.PERCENT),
    "not finite": Intervals("Share", (Bar("a", NAN, NAN, NAN, "not measured"), Bar("b", 0.5, NAN, INF, "b")), 1.0,
                            samples.PERCENT, target=NAN),
    "twelve bars": Intervals("Share", tuple(Bar(LONG, i / 11, 0, 1, LONG) for i in range(12)), 1.0, samples.PERCENT),
    "odd lines": Lines("Cost", TENS, UNIT, (
        Line("gap", ((1, NAN), (3, 0.5), (10, INF)), ((NAN, 1), (0.4, 0.6), (0, 1))),
        Line(LONG, ((1, -1), (10, 3)), marked=True, tone=9), Line("none", ()),
    ), "", dots=(Dot("x", NAN, 0.1),), level=((0.5, LONG),)),
    "one spot": Scatter("Quality", TENS, UNIT, tuple(Dot(LONG, 5, 0.5, NAN, 0.6, tone=i) for i in range(9)), ""),
    "empty whole": Parts("Losses", ("a", "b"), (Row("r", (0.0, NAN), ("", ""))  ,), UNIT, ""),
}  # fmt: skip


def texts_in(drawn):
    return " ".join("".join(one.itertext()) for one in ET.fromstring(drawn).iter() if one.tag.endswith("text"))


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", ORDINARY)
def test_a_picture_is_one_svg_element_with_its_words_and_always_the_same(name, look):
    picture = ORDINARY[name]()
    drawn = svg(picture, look)
    assert drawn == svg(picture, look)
    root = ET.fromstring(drawn)
    assert root.get("role") == "img"
    assert root.get("aria-label") == picture.alt
    assert drawn.startswith("<svg ")


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_are_drawn_without_what_cannot_be(name, look):
    ET.fromstring(svg(ODD[name], look))
    assert png(ODD[name], look, dots_per_inch=50).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ORDINARY)
def test_labels_are_text_in_the_svg_and_shapes_where_asked_for(name):
    words = texts_in(svg(ORDINARY[name](), Look()))
    assert "RAG" in words
    assert "<text" not in svg(ORDINARY[name](), Look(), outlines=True)


@pytest.mark.parametrize("name", ORDINARY)
def test_with_css_every_colour_is_a_variable(name):
    drawn = svg(ORDINARY[name](), Look(css=True))
    assert re.findall(r"#[0-9a-f]{6}\b", re.sub(r'href="#\w+"|url\(#\w+\)', "", drawn)) == []
    used = set(re.findall(r"var\(--([\w-]+)\)", drawn))
    assert used <= {"ink", "muted", "line", "accent", "page", *(f"tone-{i}" for i in range(8))}
    assert "muted" in used


def test_ids_of_two_pictures_on_a_page_do_not_clash():
    found = [
        set(re.findall(r' id="([^"]+)"', svg(make(), look)))
        for make in ORDINARY.values()
        for look in (LOOKS[2], LOOKS[3])
    ]
    assert sum(map(len, found)) == len(set().union(*found))


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", ORDINARY)
def test_hostile_text_stays_text(name, look):
    drawn = svg(ORDINARY[name](samples.NASTY), look)
    tags = {one.tag.rpartition("}")[2] for one in ET.fromstring(drawn).iter()}
    assert "script" not in tags
    assert png(ORDINARY[name](samples.NASTY), replace(look, css=False), dots_per_inch=40)


@pytest.mark.parametrize("look", [Look(), Look(inches=3.6)])
@pytest.mark.parametrize("name", [*ORDINARY, *ODD])
def test_nothing_leaves_the_picture(name, look):
    picture = ORDINARY[name](" " + LONG) if name in ORDINARY else ODD[name]
    drawn = Image.open(io.BytesIO(png(picture, look, dots_per_inch=100))).convert("L")
    width, height = drawn.size
    edges = [
        drawn.crop(box) for box in ((0, 0, 2, height), (width - 2, 0, width, height), (0, height - 2, width, height))
    ]
    assert [edge.getextrema()[0] for edge in edges] == [255, 255, 255]


@pytest.mark.parametrize("look", LOOKS)
def test_words_are_never_smaller_than_eight_points(look):
    sizes = [
        float(size) for make in ORDINARY.values() for size in re.findall(r"font-size: ([\d.]+)px", svg(make(), look))
    ]
    assert sizes
    assert min(sizes) >= 8


def test_a_long_label_is_cut_in_the_middle_and_keeps_both_ends():
    words = lettered("first " + "x " * 200 + "last", 1.5)
    assert words.count("\n") <= 2
    assert words.startswith("first")
    assert words.replace("\n", " ").endswith("last")


def test_colours_can_be_told_from_the_page():
    assert all(contrast(tone, "#ffffff") >= 3 for tone in TONES)
    assert all(contrast(tone, "#14171b") >= 3 for tone in DARK_TONES)
    assert len(set(TONES)) == len(set(DARK_TONES)) == 8


def test_names_are_pushed_apart_and_stay_inside():
    moved = apart([0.5, 0.51, 0.52, 1.0], gap=0.1)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(moved))
    assert moved[0] >= 0
    assert moved[-1] <= 1
