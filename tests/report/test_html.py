import json
import re
import time
from html.parser import HTMLParser
from itertools import pairwise

import builders
import pytest

from harness.publish.case_data import case_json
from harness.publish.html import to_html
from harness.report.content import build_report
from harness.report.sections.cases import cases_section

NASTY = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]> -->",
    "[bold]loud[/bold]",
    "| pipes |",
    "`ticks` ```",
    "{{ 7 * 7 }} {% raw %}",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "&lt;b&gt; &amp;",
    "\x1b[31mred\x1b[0m \x00",
    "\u202egnorw\u202c",
    "مرحبا שלום 👩‍💻",
]


class Outline(HTMLParser):
    """Tags with their attributes, and the text inside each kind of tag."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags = []
        self.text = []
        self.open = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.text.append((self.open[-1] if self.open else "", data))


def page_of(data):
    return to_html(build_report(data))


def payload_of(page):
    return json.loads(re.search(r'id="case-data">(.*?)</script>', page, re.S).group(1))


PLAIN = Outline(page_of(builders.with_text("harmless words")))


@pytest.mark.parametrize("text", NASTY)
def test_text_from_outside_never_becomes_a_tag_or_an_attribute(text):
    outline = Outline(page_of(builders.with_text(text)))
    assert [tag for tag, _ in outline.tags] == [tag for tag, _ in PLAIN.tags]
    assert [sorted(found) for _, found in outline.tags] == [sorted(found) for _, found in PLAIN.tags]


@pytest.mark.parametrize("text", [text for text in NASTY if text.isprintable()])
def test_text_from_outside_is_shown_as_it_is(text):
    page = page_of(builders.with_text(text))
    shown = "".join(part for tag, part in Outline(page).text if tag not in ("script", "style"))
    assert shown.count(text) > 10
    assert text in payload_of(page)["texts"]


def test_control_and_direction_characters_do_not_reach_the_page():
    page = page_of(builders.with_text("\x1b[31m \x00 \u202e"))
    texts = "".join(payload_of(page)["texts"])
    assert not re.search("[\x00\x1b\u202e]", page + texts)
    assert "␛[31m ␀ <U+202E>" in texts


def test_the_page_fetches_nothing_and_forbids_it():
    outline = Outline(page_of(builders.winner()))
    assert not [found for _, found in outline.tags if {"src", "srcset", "data", "background"} & set(found)]
    links = [found["href"] for _, found in outline.tags if "href" in found]
    assert all(link.startswith("#") for link in links)
    assert not [tag for tag, _ in outline.tags if tag in ("link", "img", "iframe", "object", "embed", "base")]
    [policy] = [found["content"] for _, found in outline.tags if found.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "url(" not in page_of(builders.winner())


@pytest.mark.parametrize("build", builders.ALL_KINDS)
def test_links_lead_to_places_that_exist_and_ids_are_unique(build):
    outline = Outline(page_of(build()))
    ids = [found["id"] for _, found in outline.tags if "id" in found]
    assert len(ids) == len(set(ids))
    assert {found["href"][1:] for _, found in outline.tags if "href" in found} <= set(ids)


@pytest.mark.parametrize("build", builders.ALL_KINDS)
def test_the_page_can_be_used_without_sight(build):
    outline = Outline(page_of(build()))
    assert ("html", {"lang": "en"}) in outline.tags
    assert all("scope" in found for tag, found in outline.tags if tag == "th")
    assert all(found.get("aria-hidden") for tag, found in outline.tags if tag == "svg")
    levels = [int(tag[1]) for tag, _ in outline.tags if tag in ("h1", "h2", "h3")]
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))
    title = "".join(text for tag, text in outline.text if tag == "title")
    assert title.endswith("Bake-off: branches")


def test_every_value_in_the_picture_is_also_there_as_text():
    outline = Outline(page_of(builders.tie()))
    shown = "".join(text for tag, text in outline.text if tag == "span").replace("\u00a0", " ")
    assert "83 points (70 to 95)" in shown


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "muted", "accent", "good", "bad"])
@pytest.mark.parametrize("ground", ["page", "panel"])
def test_colours_keep_the_contrast_of_wcag_aa(scheme, name, ground):
    page = page_of(builders.could_not_compare())
    ink, paper = (luminance(re.findall(rf"--{key}: (#[0-9a-f]{{6}});", page)[scheme]) for key in (name, ground))
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5


def test_the_browsers_data_holds_every_case_answer_and_passage():
    data = builders.winner()
    payload = payload_of(page_of(data))
    assert (payload["total"], len(payload["cases"]), payload["cut"]) == (40, 40, False)
    texts = payload["texts"]
    case = next(row for row in payload["cases"] if row[0] == "q005")
    assert texts[case[2]] == "In which city is branch 5?"
    best = case[4][0]
    assert (payload["arms"][0], best[0], texts[best[3]]) == ("RAG + LoRA", "right", "Turku")
    title, body = payload["passages"][best[7][0]]
    assert texts[body].startswith("Our branch ")
    assert texts[title].startswith("Branches in ")


def browser_of(data):
    return cases_section(data).blocks[-1]


def test_texts_are_cut_before_cases_are_left_out():
    browser = browser_of(builders.large(cases=60, arms=3, words=200))
    whole = len(case_json(browser))
    cut = json.loads(case_json(browser, budget=whole // 2))
    assert (cut["cut"], len(cut["cases"])) == (True, 60)
    few = case_json(browser, budget=whole // 20)
    assert len(few) <= whole // 20
    assert 0 < len(json.loads(few)["cases"]) < json.loads(few)["total"] == 60
    assert {row[1] for row in json.loads(few)["cases"]} == set(range(len(browser.groups)))


def test_two_thousand_cases_of_eight_arms_make_a_page_of_a_few_megabytes_in_seconds():
    data = builders.large(cases=2000, arms=8)
    start = time.perf_counter()
    page = page_of(data)
    assert time.perf_counter() - start < 10
    assert len(page.encode()) < 8 * 2**20
    assert payload_of(page)["total"] == 2000
