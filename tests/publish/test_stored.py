"""Sections as plain JSON: what is written reads back, and nothing else does."""

import contextlib
import json
import math
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given
from publish import samples

from harness.publish.blocks import CaseBrowser, Place, Section
from harness.publish.stored import NotASection, from_plain, to_plain

EVERYTHING = samples.every_block()


def storable(report):
    """The document's sections without the case browser."""
    for section in (report.summary, *report.sections):
        blocks = tuple(block for block in section.blocks if not isinstance(block, CaseBrowser))
        yield replace(section, blocks=blocks)


PICTURES = next(one for one in storable(EVERYTHING) if one.anchor == "pictures")
PLAIN = {"title": "T", "anchor": "t", "place": "body", "blocks": []}
TABLE = {"kind": "table", "caption": "", "columns": [{"title": "A"}, {"title": "B"}], "rows": [["1", "2"]]}
AXIS = {"title": "x", "ticks": [[1, "1"], [10, "10"]], "logarithmic": True}
LINES = {"kind": "lines", "caption": "", "x": AXIS, "y": AXIS, "lines": [], "alt": ""}
LINE = {"label": "a", "points": [[1, 2], [3, 4]]}


def read(*blocks, **fields):
    return from_plain({**PLAIN, "blocks": list(blocks), **fields})


@pytest.mark.parametrize("text", ["", samples.NASTY], ids=["ordinary", "hostile"])
def test_every_kind_of_block_reads_back_from_json_as_it_was(text):
    for section in storable(samples.every_block(text)):
        assert from_plain(json.loads(json.dumps(to_plain(section)))) == section


def test_the_same_section_gives_the_same_text():
    marked = replace(samples.every_block().sections[0].blocks[2], marked=frozenset({7, 0, 3}))
    plain = to_plain(Section("T", "t", (marked,), Place.APPENDIX))
    assert plain["blocks"][0]["marked"] == [0, 3, 7]
    assert plain["place"] == "appendix"


def test_a_case_browser_is_not_stored():
    with pytest.raises(ValueError, match="CaseBrowser is not stored"):
        to_plain(Section("Cases", "cases", (samples.browser(),)))
    with pytest.raises(NotASection, match="must have one of the kinds"):
        read({"kind": "casebrowser", "groups": [], "arms": [], "passages": {}})


def test_fields_of_a_newer_version_are_passed_over():
    assert read({"kind": "paragraph", "text": "x", "colour": "red"}, author="me").blocks[0].text == "x"


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("text", "must have one of the kinds"),
        (None, "must have one of the kinds"),
        ({"text": "x"}, "got nothing"),
        ({"kind": ["table"]}, "got list"),
        ({"kind": "x" * 9000}, "..."),
        ({"kind": "paragraph"}, "text"),
        ({"kind": "paragraph", "text": 3}, "Expected `str`, got `int`"),
        ({"kind": "paragraph", "text": "x", "lead": "yes"}, "Expected `bool`"),
        ({"kind": "bullets", "items": "abc"}, "Expected `array`"),
        ({"kind": "facts", "facts": [{"label": "a"}]}, "value"),
        ({**TABLE, "columns": [], "rows": []}, "no columns"),
        ({**TABLE, "rows": [["1"]]}, "every row must have 2 cells"),
        ({**TABLE, "rows": [["1", 2]]}, "Expected `str`"),
        ({**TABLE, "marked": [1]}, "marked"),
        ({**TABLE, "marked": [-1]}, "marked"),
        ({"kind": "intervals", "caption": "", "bars": [], "top": 0, "ticks": []}, "ends at or below 0"),
        ({"kind": "intervals", "caption": "", "bars": [], "top": math.inf, "ticks": []}, "not finite"),
        ({**LINES, "lines": [{**LINE, "points": [[1, math.nan]]}]}, "not finite"),
        ({**LINES, "lines": [{**LINE, "points": [[1, True]]}]}, "Expected `float`"),
        ({**LINES, "lines": [{**LINE, "points": [[1, 2, 3]]}]}, "length 2"),
        ({**LINES, "lines": [{**LINE, "spread": [[1, 2]]}]}, "as many intervals as points"),
        ({**LINES, "x": {**AXIS, "ticks": [[0, "0"], [1, "1"]]}}, "begins at or below 0"),
        ({**LINES, "y": {**AXIS, "ticks": [[2, "2"], [1, "1"]]}}, "each above the one before"),
        ({**LINES, "y": {**AXIS, "ticks": []}}, "two marks or more"),
        (
            {"kind": "parts", "caption": "", "names": ["a"], "rows": [{"label": "r", "sizes": [1, 2], "texts": ["1"]}],
             "axis": AXIS, "alt": ""},
            "1 sizes and as many texts",
        ),
        (
            {"kind": "parts", "caption": "", "names": ["a"], "rows": [{"label": "r", "sizes": [-1], "texts": ["1"]}],
             "axis": AXIS, "alt": ""},
            "below 0",
        ),
    ],
)  # fmt: skip
def test_what_is_no_block_is_refused_and_the_place_is_named(block, said):
    with pytest.raises(NotASection) as raised:
        read({"kind": "paragraph", "text": "fine"}, block)
    assert said in str(raised.value)
    assert "block 2 of t" in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "section",
    [
        None,
        [],
        "section",
        {},
        {**PLAIN, "title": None},
        {**PLAIN, "blocks": {}},
        {**PLAIN, "place": "cellar"},
        {**PLAIN, "anchor": 'x"onload="y'},
        {**PLAIN, "anchor": ""},
        {**PLAIN, "anchor": "a" * 100_000},
    ],
)
def test_what_is_no_section_is_refused(section):
    with pytest.raises(NotASection):
        from_plain(section)


def test_numbers_too_large_to_be_drawn_are_refused():
    for number in (10**400, -(10**400), 1e400):
        with pytest.raises(NotASection):
            read({**LINES, "lines": [{**LINE, "points": [[1, number]]}]})


def test_what_is_nested_without_end_is_refused():
    nested = []
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(NotASection):
        read(nested, {"kind": "bullets", "items": nested})
    with pytest.raises(NotASection):
        read({"kind": "bullets", "items": nested})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.data())
def test_a_section_with_anything_in_any_place_is_read_or_refused(data):
    plain = json.loads(json.dumps(to_plain(PICTURES)))
    place, path = plain, data.draw(st.integers(1, 7))
    for _ in range(path):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        parent, place = place, place[key]
    else:
        place, key = parent, key
    place[key] = data.draw(json_values)
    with contextlib.suppress(NotASection):
        from_plain(plain)
