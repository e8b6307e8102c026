"""The HTML report as a reader meets it: in Chromium, opened from disk."""

import re
from contextlib import contextmanager

import pytest
from browser import chromium
from publish import samples
from report import builders

from harness.publish.brand import Brand
from harness.publish.html import to_html
from harness.report.content import build_report

pytestmark = pytest.mark.browser

ARTICLES = "#case-list article"
HOSTILE = "<script>window.hacked = 1; alert(1)</script></style><img src=x onerror='window.hacked = 1'>{{ 7 * 7 }}"

CONTRASTS = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data);
  };
  const light = (parts) => {
    const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parts.slice(0, 3).map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  document.querySelectorAll("body *").forEach((node) => {
    const text = Array.from(node.childNodes).some((one) => one.nodeType === 3 && one.data.trim());
    if (!text || !node.getClientRects().length) return;
    const style = getComputedStyle(node), picture = node.closest("svg");
    const pair = [light(rgba(picture ? style.fill : style.color)), light(ground(picture || node))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) poor.push([node.tagName, node.textContent.slice(0, 40), ratio.toFixed(2)]);
  });
  return poor;
}
"""
"""Elements whose own text has too little contrast (WCAG, level AA); not what lies behind words in pictures."""


@pytest.fixture(scope="module")
def browser():
    if reason := chromium.missing():
        pytest.skip(reason)
    with chromium.chromium() as started:
        yield started


@pytest.fixture(scope="module")
def winner():
    return to_html(build_report(builders.winner()))


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page; at the end nothing may have been fetched, said or asked."""

    @contextmanager
    def opened(text, *, anchor="", **settings):
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        page = browser.new_page(**settings)
        page.set_default_timeout(5_000)
        fetched, heard = [], []
        page.on("request", lambda request: fetched.append(request.url))
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri() + anchor)
        yield page
        assert heard == []
        assert {url for url in fetched if not url.startswith("data:")} == {path.as_uri()}
        page.close()

    return opened


def status(page):
    return page.locator("#case-status").inner_text()


def labels(page):
    return [article.get_attribute("aria-label") for article in page.locator(ARTICLES).all()]


def test_cases_are_filtered_by_arm_outcome_and_kind_of_failure(opened, winner):
    with opened(winner) as page:
        assert status(page) == "Cases 1 to 20 of 40"
        page.get_by_label("Outcome", exact=True).select_option(label="Only RAG + LoRA right (9)")
        assert status(page) == "Cases 1 to 9 of 9"
        page.get_by_label("Arm", exact=True).select_option(label="RAG")
        assert page.locator(f"{ARTICLES} .line .name").all_inner_texts() == ["Expected", "RAG"] * 9
        page.get_by_role("button", name="Clear filters").click()
        page.get_by_label("Its answer", exact=True).select_option("trouble")
        page.get_by_label("Arm", exact=True).select_option(label="LoRA")
        assert status(page) == "No case fits. Clear the search or a filter."
        page.get_by_role("button", name="Clear filters").click()

        kinds = page.get_by_label("Kind of failure", exact=True)
        options = [re.fullmatch(r"(.*) \((\d+)\)", text) for text in kinds.locator("option").all_inner_texts()[1:]]
        assert "right thing, wrong form" in [option[1] for option in options]
        for option in options:
            kinds.select_option(label=option[0])
            assert status(page).endswith(f" of {option[2]}")
            assert option[1] in page.locator(ARTICLES).first.inner_text()


def test_the_counts_of_failures_are_those_of_the_chosen_arm(opened, winner):
    with opened(winner) as page:
        page.get_by_label("Arm", exact=True).select_option(label="Prompt")
        options = page.get_by_label("Kind of failure", exact=True).locator("option").all_inner_texts()
        assert "nothing to read (2)" in options
        page.get_by_label("Kind of failure", exact=True).select_option(label="nothing to read (2)")
        assert status(page) == "Cases 1 to 2 of 2"
        page.get_by_label("Arm", exact=True).select_option(label="LoRA")
        assert status(page) == "No case fits. Clear the search or a filter."
        assert (
            "nothing to read (0)"
            in page.get_by_label("Kind of failure", exact=True).locator("option").all_inner_texts()
        )


def test_the_search_takes_every_word_whatever_its_case_and_accents(opened):
    with opened(to_html(samples.every_block("Zażółć Ærø"))) as page:
        for words in ("zazolc aero", "ZAŻÓŁĆ", "1 plus zazolc"):
            page.get_by_label("Search", exact=True).fill(words)
            page.wait_for_timeout(150)
            assert labels(page)[0].startswith("Case c1" if words.startswith("1") else "Case c0")
        page.get_by_label("Search", exact=True).fill("zebra")
        page.get_by_text("No case fits.").wait_for()


def test_pages_are_turned_by_buttons_and_by_number(opened, winner):
    with opened(winner) as page:
        first = labels(page)
        page.get_by_role("button", name="Next").first.click()
        assert status(page) == "Cases 21 to 40 of 40"
        page.get_by_role("button", name="Next").first.press("Enter")  # there is no third page
        assert status(page) == "Cases 21 to 40 of 40"
        page.get_by_label("Page", exact=True).select_option(label="1 of 2")
        assert labels(page) == first
        page.get_by_role("button", name="Next").last.click()
        assert page.evaluate("document.activeElement.id") == "case-list"


def test_two_answers_stand_side_by_side_with_their_differences_marked(opened, winner):
    with opened(winner, anchor="#case=q019") as page:
        page.get_by_label("Side by side", exact=True).check()
        card = page.get_by_role("article", name="Case q019")
        assert card.locator(".column .name").all_inner_texts() == ["RAG + LoRA", "RAG"]
        assert card.locator("mark").all_inner_texts() == ["Bergen", "I think it is Ghent."]
        assert "5 words not in the other answer" in card.inner_text()
        page.get_by_label("Left", exact=True).select_option(label="LoRA")
        assert card.locator("mark").count() == 0
        assert card.get_by_text("Same words as the other answer").count() == 2
        page.get_by_label("Compare with", exact=True).select_option("expected")
        assert card.locator("ins").all_inner_texts() == ["I think it is Ghent."] * 2
        assert card.locator("del").all_inner_texts() == ["Bergen"] * 2
        assert page.get_by_text("Struck through: expected, but missing here.").is_visible()
        decoration = "element => getComputedStyle(element).textDecorationLine"
        assert card.locator("ins").first.evaluate(decoration) == "underline"
        assert card.locator("del").first.evaluate(decoration) == "line-through"


def test_a_link_opens_its_case_whatever_is_filtered(opened, winner):
    with opened(winner, anchor="#case=q012") as page:
        card = page.get_by_role("article", name="Case q012")
        assert card.is_visible()
        assert page.evaluate("document.activeElement.textContent") == "Case q012"
        page.get_by_label("Search", exact=True).fill("branch 30")
        page.get_by_text("Cases 1 to 1 of 1").wait_for()
        page.evaluate("window.location.hash = 'case=q003'")
        page.wait_for_function("document.activeElement.textContent === 'Case q003'")
        link = page.get_by_role("article", name="Case q003").get_by_role("link")
        assert link.get_attribute("href") == "#case=q003"
        page.evaluate("window.location.hash = 'case=%'")
        page.get_by_text("There is no case % on this page.").wait_for()


def test_everything_can_be_reached_and_used_with_the_keyboard_alone(opened, winner):
    with opened(winner) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator(".skip").bounding_box()["x"] >= 0
        reached = []
        while "case-clear" not in reached and len(reached) < 200:
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            if reached[-1] == "case-search":
                page.keyboard.type("Q007")
            if reached[-1] == "view-list":
                page.keyboard.press("ArrowRight")
        wanted = ["case-search", "case-group", "case-arm", "case-mark", "case-kind", "view-list", "case-clear"]
        assert [one for one in reached if one.startswith(("case", "view"))] == wanted
        page.get_by_text("Cases 1 to 1 of 1").wait_for()
        assert page.locator(".columns").is_visible()
        page.keyboard.press("Enter")
        assert status(page) == "Cases 1 to 20 of 40"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_of_wcag_aa(opened, scheme, winner):
    brand = Brand(firm="Quay", client="Harbour", contact=("Jo",), confidentiality="Secret", accent="#4b0082")
    for text in (winner, to_html(samples.every_block(), brand)):
        with opened(text, color_scheme=scheme) as page:
            assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
            assert page.evaluate(CONTRASTS) == []
            page.get_by_label("Side by side", exact=True).check()
            page.get_by_label("Compare with", exact=True).select_option("expected")
            assert page.evaluate(CONTRASTS) == []


@pytest.mark.parametrize("text", [samples.NASTY, "x" * 300], ids=["nasty", "one long word"])
def test_a_phone_shows_the_page_without_scrolling_sideways(opened, text):
    brand = Brand(firm=text, client=text, title=text, contact=(text,), confidentiality=text)
    with opened(to_html(samples.every_block(text), brand), viewport={"width": 360, "height": 740}) as page:
        for view in ("List", "Side by side"):
            page.get_by_label(view, exact=True).check()
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.locator("figure svg:visible").count() == page.locator("figure").count()
        assert page.locator(".wide:visible").count() == 0


def test_text_from_outside_stays_text(opened):
    brand = Brand(firm=HOSTILE, client=HOSTILE, title=HOSTILE, contact=(HOSTILE,), confidentiality=HOSTILE)
    with opened(to_html(build_report(builders.with_text(HOSTILE)), brand)) as page:
        assert HOSTILE in page.locator(ARTICLES).first.inner_text()
        page.get_by_label("Side by side", exact=True).check()
        page.get_by_label("Compare with", exact=True).select_option("expected")
        for details in page.locator(f"{ARTICLES} summary").all()[:4]:
            details.click()
        page.wait_for_timeout(50)
        assert page.evaluate("window.hacked") is None
        assert page.locator("#case-list").locator("script, img, style").count() == 0


def test_the_page_names_what_it_shows_for_those_who_cannot_see_it(opened, winner):
    with opened(winner) as page:
        assert page.locator("th:not([scope])").count() == 0
        assert page.locator("table:not(:has(caption))").count() == 0
        assert page.locator("svg:not([role=img][aria-label])").count() == 0
        named = "node => node.labels.length > 0"
        assert all(control.evaluate(named) for control in page.locator("input, select").all())
        assert [page.get_by_role(role).count() for role in ("banner", "main", "contentinfo", "search")] == [1] * 4
        assert page.get_by_role("status").count() == 1


def test_paper_has_the_light_scheme_and_no_controls(opened, winner):
    with opened(winner, color_scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("#case-controls").is_visible()
        assert page.locator(".wide:visible").count() == page.locator("figure").count()
        assert page.get_by_text("Printed from an interactive page").is_visible()
