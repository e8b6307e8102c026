import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import builders
import pytest
from publish import samples

from harness.publish.blocks import Paragraph, Place, Report, Section, Subheading
from harness.publish.brand import PLAIN as NO_BRAND
from harness.publish.brand import Brand, Logo
from harness.publish.case_data import case_json
from harness.publish.client_file import contrast
from harness.publish.html import DARK_PANEL, legible, to_html
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
    assert not re.findall(r"url\((?!#)|@import|image-set\(", to_html(samples.every_block()))


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
    assert all(found["role"] == "img" and found["aria-label"] for tag, found in outline.tags if tag == "svg")
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))
    title = "".join(text for tag, text in outline.text if tag == "title")
    assert title.endswith("Bake-off: branches")


def test_every_picture_is_there_for_wide_and_for_narrow_screens_and_says_its_values_in_words():
    outline = Outline(page_of(builders.tie()))
    words = [found["aria-label"] for tag, found in outline.tags if tag == "svg"]
    assert words[0::2] == words[1::2]
    assert "83 points (70 to 95)" in words[0]
    assert [found["class"] for tag, found in outline.tags if found.get("class") in ("wide", "narrow")] == [
        "wide",
        "narrow",
    ] * (len(words) // 2)


def test_a_target_is_named_below_its_picture():
    assert "Target: 60\u00a0% (dashed line)" in to_html(samples.every_block())


@pytest.mark.parametrize("accent", ["#000000", "#00008b", "#1a5a96", "#7a1f5c", "#767676"])
def test_the_brands_colour_is_light_enough_in_the_dark_scheme(accent):
    page = to_html(samples.every_block(), Brand(accent=accent))
    light, dark = re.findall(r"--accent: (#[0-9a-f]{6});", page)
    assert light == accent
    assert contrast(dark, DARK_PANEL) >= 4.5
    assert f"--panel: {DARK_PANEL};" in page


def test_a_colour_that_is_light_enough_stays():
    assert legible("#86b8ea", "#14171b") == "#86b8ea"


QUAY = Brand(
    client="Harbour Insurance plc",
    firm="Quay & Co",
    title="Claims desk: which approach?",
    contact=("Jo Quay, partner", "jo@example.org"),
    confidentiality="Confidential",
    accent="#7a1f5c",
    logo=Logo(b"<svg onload='alert(1)'><script>alert(2)</script></svg>", "svg", 240, 60),
    date="26 November 2026",
)


def test_the_brand_stands_at_the_top_and_at_the_foot():
    outline = Outline(to_html(samples.every_block(), QUAY))
    shown = [text for tag, text in outline.text if tag not in ("script", "style")]
    head, foot = shown[: shown.index("RAG + LoRA wins")], shown[shown.index("Jo Quay, partner") - 3 :]
    assert {QUAY.title, QUAY.client, QUAY.firm, QUAY.date, QUAY.confidentiality} <= set(head)
    assert {QUAY.firm, *QUAY.contact, QUAY.confidentiality, "Made by bakeoff."} <= set(foot)
    title = "".join(text for tag, text in outline.text if tag == "title")
    assert title == "RAG + LoRA wins – Claims desk: which approach?"


def test_a_logo_is_an_image_of_its_own_so_that_nothing_in_it_can_act():
    for kind, media in (("svg", "image/svg+xml"), ("png", "image/png"), ("jpeg", "image/jpeg")):
        page = to_html(samples.every_block(), replace(QUAY, logo=replace(QUAY.logo, kind=kind)))
        [image] = [found for tag, found in Outline(page).tags if tag == "img"]
        assert image["src"] == f"data:{media};base64,{base64.b64encode(QUAY.logo.data).decode()}"
        assert image["alt"] == "Logo of Quay & Co"
        assert "alert(2)" not in page


@pytest.mark.parametrize("text", NASTY)
def test_what_the_client_file_says_never_becomes_markup_or_style(text):
    def outline(words):
        brand = Brand(words, words, words, (words,), words, date=words)
        return Outline(to_html(samples.every_block(), brand))

    plain, hostile = outline("words"), outline(text)
    assert [(tag, sorted(found)) for tag, found in hostile.tags] == [(tag, sorted(found)) for tag, found in plain.tags]
    style = "".join(part for tag, part in hostile.text if tag == "style")
    [foot] = re.findall(r'@bottom-left \{ content: "([^"]*)"; \}', style)
    assert re.fullmatch(r"(?:[A-Za-z0-9 ]|\\[0-9a-f]{1,6} )*", foot)


def test_a_page_without_a_brand_has_no_trace_of_one():
    page = to_html(samples.every_block(), NO_BRAND)
    assert not [found for _, found in Outline(page).tags if found.get("class") in ("letterhead", "parties", "logo")]
    assert "@bottom-left { content" not in page


def small_report(*appendix):
    summary = Section("Use RAG", "verdict", (Paragraph("Because.", lead=True),))
    sections = tuple(Section(title, f"s{i}", (Subheading("More"),), Place.APPENDIX) for i, title in enumerate(appendix))
    return Report("Title", "Subtitle", summary, (Section("Body", "body", ()), *sections))


def headings(report):
    outline = Outline(to_html(report))
    return [(tag, text) for tag, text in outline.text if re.fullmatch("h[1-6]", tag) and text.strip()]


def test_appendices_stand_together_under_one_heading():
    assert headings(small_report("Rule", "Machine")) == [
        ("h1", "Use RAG"),
        ("h2", "Body"),
        ("h2", "Appendix"),
        ("h3", "Rule"),
        ("h4", "More"),
        ("h3", "Machine"),
        ("h4", "More"),
    ]
    assert headings(small_report("Rule"))[2:] == [("h2", "Appendix: Rule"), ("h3", "More")]
    assert headings(small_report("Appendix"))[2:] == [("h2", "Appendix"), ("h3", "More")]
    assert ("h2", "Appendix") not in headings(small_report())


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "muted", "accent", "good", "bad"])
@pytest.mark.parametrize("ground", ["page", "panel"])
def test_colours_keep_the_contrast_of_wcag_aa(scheme, name, ground):
    page = page_of(builders.could_not_compare())
    ink, paper = (re.findall(rf"--{key}: (#[0-9a-f]{{6}});", page)[scheme] for key in (name, ground))
    assert contrast(ink, paper) >= 4.5


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


def test_kinds_of_failure_are_stored_once_each():
    payload = json.loads(case_json(browser_of(builders.winner())))
    assert payload["kinds"][0] == ""
    assert len(payload["kinds"]) == len(set(payload["kinds"])) > 1
    places = {answer[8] for row in payload["cases"] for answer in row[4]}
    assert places == set(range(len(payload["kinds"])))


def test_two_thousand_cases_of_eight_arms_make_a_page_of_a_few_megabytes():
    page = page_of(builders.large(cases=2000, arms=8))
    assert len(page.encode()) < 8 * 2**20
    assert payload_of(page)["total"] == 2000
