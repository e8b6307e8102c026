"""The PDF, read back with another program's eyes: what it says, where it stands, and that it stays text."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pypdf
import pytest
from publish import samples

from harness.errors import UserError
from harness.publish.blocks import (
    Block,
    Bullets,
    CaseBrowser,
    Column,
    Fact,
    Facts,
    Intervals,
    Lines,
    Paragraph,
    Parts,
    Place,
    Report,
    Scatter,
    Section,
    Subheading,
    Table,
)
from harness.publish.brand import PLAIN, Brand, Logo
from harness.publish.pdf import to_pdf
from harness.publish.text import visible

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><rect width="90" height="30" fill="#246"/></svg>'
BRAND = Brand(
    client="Port of Northhaven",
    firm="Quay & Partners",
    contact=("Ada Example", "1 Long Wharf"),
    confidentiality="Confidential: for the addressee only",
    accent="#7a1f3d",
    logo=Logo(SVG, "svg", 90, 30),
    date="3 March 2026",
)


def document(*blocks: Block, summary: tuple[Block, ...] = (Paragraph("Use it.", lead=True),)) -> Report:
    return Report(
        "A document", "about one thing", Section("It works", "it-works", summary), (Section("One", "one", blocks),)
    )


def opened(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf))


def pages(report: Report, brand: Brand = PLAIN) -> list[str]:
    return [page.extract_text() for page in opened(to_pdf(report, brand)).pages]


def squeezed(text: str) -> str:
    """Without spaces, which mark the ends of lines as well as those of words."""
    return re.sub(r"[\s\u200b]+", "", text)


def strings(part: object) -> Iterator[str]:
    """All that is to be read in a part of a tree; of a picture that is the caption, and of the cases nothing."""
    if isinstance(part, str):
        yield visible(part)
    elif isinstance(part, tuple):
        for one in part:
            yield from strings(one)
    elif isinstance(part, Intervals | Lines | Scatter | Parts):
        yield part.caption
    elif dataclasses.is_dataclass(part) and not isinstance(part, CaseBrowser):
        for field in dataclasses.fields(part):
            if field.name not in {"anchor", "place"}:
                yield from strings(getattr(part, field.name))


def placed_words(pdf: bytes) -> list[tuple[float, list[tuple[float, float, float, float, str]]]]:
    """For each page its width, and left, top, right, bottom and text of each word, as poppler sees them."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    found = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=pdf, capture_output=True, check=True).stdout.decode()
    word = re.compile(r'<word xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>')
    return [
        (float(page[1]), [(*map(float, one[:4]), one[4]) for one in word.findall(page[2])])
        for page in re.finditer(r'<page width="(.*?)" height=".*?">(.*?)</page>', found, re.DOTALL)
    ]


def overlapping(words: list[tuple[float, float, float, float, str]]) -> list[tuple[str, str]]:
    """Words printed over each other."""
    return [
        (one[4], other[4])
        for index, one in enumerate(words)
        for other in words[index + 1 :]
        if min(one[2], other[2]) - max(one[0], other[0]) > 1 and min(one[3], other[3]) - max(one[1], other[1]) > 5
    ]


def test_every_string_of_the_document_is_in_the_pdf():
    report = samples.every_block()
    text = squeezed("".join(pages(report)))
    assert [said for said in strings(report) if squeezed(said) not in text] == []


def test_everything_about_the_firm_is_on_the_first_page():
    first = squeezed(pages(samples.every_block(), BRAND)[0])
    expected = [BRAND.client, BRAND.firm, *BRAND.contact, BRAND.confidentiality, BRAND.date]
    assert [said for said in expected if squeezed(said) not in first] == []


def test_the_summary_is_one_page_and_the_contents_follow():
    report = samples.every_block()
    first, second, *_ = pages(report)
    assert all(squeezed(said) in squeezed(first) for said in strings(report.summary))
    assert second.split("\n")[1] == "Contents"


@pytest.mark.parametrize("sentences", [20, 60, 90])
def test_a_long_summary_is_set_smaller_so_that_it_fits(sentences):
    report = document(summary=(Paragraph("What was found is worth a sentence. " * sentences), Paragraph("The end.")))
    first, second, *_ = pages(report)
    assert "The end." in first
    assert "Contents" in second


def test_a_summary_that_cannot_fit_goes_on_on_the_next_page():
    found = pages(document(summary=(Paragraph("Much was found. " * 900), Paragraph("The end."))))
    assert "The end." in "".join(found[1:])


def test_every_page_has_its_number_the_client_and_the_line_on_confidentiality():
    found = pages(samples.every_block(), BRAND)
    for number, text in enumerate(found, start=1):
        assert f"{number} / {len(found)}" in text
        assert f"{BRAND.confidentiality} · {BRAND.client}" in text


def test_the_title_is_at_the_head_of_every_page_but_the_first():
    first, *others = pages(samples.every_block(), BRAND)
    assert not first.startswith("Bake-off: harbour handbook")
    assert all(text.startswith("Bake-off: harbour handbook") for text in others)


def test_the_contents_name_the_page_of_every_section():
    found = pages(samples.every_block())
    entries = re.findall(r"^(?:([\dA-Z])\s+)?(\w+)[ .]+(\d+)$", found[1], re.MULTILINE)
    assert [(number, title) for number, title, _ in entries] == [
        ("1", "Results"),
        ("2", "Pictures"),
        ("3", "Cases"),
        ("", "Appendix"),
        ("A", "Appendix"),
    ]
    for _, title, page in entries:
        assert title in found[int(page) - 1]


def test_the_appendix_starts_a_page_and_counts_in_letters():
    sections = (
        Section("First", "a", (Paragraph("x"),)),
        Section("Checks", "b", (Paragraph("y"),), Place.APPENDIX),
        Section("Methods", "c", (Paragraph("z"),), Place.APPENDIX),
    )
    report = dataclasses.replace(document(), sections=sections)
    assert re.findall(r"^\S.*$", pages(report)[-1], re.MULTILINE)[1:6] == [
        "Appendix",
        "A Checks",
        "y",
        "B Methods",
        "z",
    ]


@pytest.mark.parametrize(
    ("cases", "sentence"),
    [
        (0, "There are no cases to show."),
        (1, "The one case is in the HTML report and in the run folder, with every answer."),
        (1_234, "All 1,234 cases are in the HTML report and in the run folder, with every answer."),
    ],
)
def test_cases_are_counted_and_not_shown(cases, sentence):
    text = "".join(pages(document(samples.browser(cases=cases))))
    assert sentence in text
    assert "What is" not in text


def test_hostile_text_stays_text():
    report = samples.every_block(f" {samples.NASTY}")
    brand = Brand(*[samples.NASTY] * 3, contact=(samples.NASTY,), confidentiality=samples.NASTY, date=samples.NASTY)
    text = squeezed("".join(pages(report, brand)))
    plain = '<script>alert(1)</script></style>&amp;#settext(red)#eval("1")$x^2$*bold*_it_`code`@ref<label>//x'
    least = sum(samples.NASTY in said for said in strings(report))
    assert text.count(plain) >= least
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "\t", "a\nb", "#" * 900, "\ufffe\uffff\U0010ffff", "\ud800", "\u0301"]
)
def test_any_text_can_be_set(text):
    blocks = (
        Paragraph(text),
        Paragraph(text, note=True),
        Subheading(text),
        Bullets((text,)),
        Facts((Fact(text, text, text),)),
        Facts((Fact(text, text, text),), key=True),
        Table(text, (Column(text), Column(text, number=True)), ((text, text),)),
    )
    report = Report(text, text, Section(text, "a", blocks), (Section(text, "b", blocks),), text)
    assert pages(report, Brand(text, text, text, (text,), text, date=text))


def test_what_holds_nothing_can_be_set():
    empty = (Bullets(()), Facts(()), Facts((), key=True), Table("None", (Column("Arm"),), ()), Table("Void", (), ()))
    assert "No rows." in "".join(pages(document(*empty, summary=())))


def long_name(index: int) -> str:
    return f"cases/imported/from_the_old_archive/{index:05d}-{'0123456789abcdef' * 3}.jsonl"


@pytest.mark.parametrize(("columns", "rows"), [(3, 40), (8, 30), (12, 300), (20, 10), (30, 4)])
def test_no_table_overflows_its_page_or_its_cells(columns, rows):
    table = Table(
        "Wide",
        (Column("Name"), *(Column(f"Measure {i}", number=i % 2 == 0) for i in range(1, columns))),
        tuple(
            (long_name(i), *(f"{i * j:,} of 999,999" if j % 3 else f"{i:032x}" for j in range(1, columns)))
            for i in range(rows)
        ),
        frozenset({1}),
    )
    for width, words in placed_words(to_pdf(document(table), PLAIN)):
        assert min(left for left, *_ in words) > 60
        assert max(right for _, _, right, *_ in words) < width - 60
        assert overlapping(words) == []


def test_a_table_with_many_columns_lies_on_its_side_and_takes_its_heading_along():
    titles = tuple(Column(f"A measure number {i}", number=True) for i in range(12))
    table = Table("Wide", titles, (("1,234,567 (12 to 21)",) * 12,))
    found = opened(to_pdf(document(Subheading("All measures"), table, Paragraph("Upright again.")), PLAIN)).pages
    lying = [page.extract_text() for page in found if page.mediabox.width > page.mediabox.height]
    assert len(lying) == 1
    assert "All measures" in lying[0]
    assert "Upright again." not in lying[0]
    assert [round(float(page.mediabox.width)) for page in found] == [595, 595, 842, 595]


def test_a_long_table_repeats_its_head_and_cuts_no_row():
    rows = tuple((f"<{i}> {'some words ' * (i % 40)} </{i}>", str(i)) for i in range(120))
    found = pages(document(Table("Long", (Column("The name"), Column("The number", number=True)), rows)))
    tables = [text for text in found if "</" in text]
    assert len(tables) > 3
    for text in tables:
        assert "The name The number" in text.replace("\n", " ")
        assert re.findall(r"<(\d+)>", text) == re.findall(r"</(\d+)>", text)


def test_a_row_taller_than_a_page_is_cut_rather_than_lost():
    table = Table("Tall", (Column("Name"), Column("Text")), (("a", "some words " * 2_000 + "the end"),))
    assert "the end" in pages(document(table))[-1]


@pytest.mark.parametrize(
    "value", ["IMPOSSIBLE", "M" * 60, "m" * 60, "RAG + LoRA", "W" * 10, "7ae557604adf67be50417f59c2c2f167def9a775"]
)
def test_no_fact_leaves_its_place(value):
    facts = (Fact(value, value, value),) * 3
    for width, words in placed_words(to_pdf(document(Facts(facts), summary=(Facts(facts, key=True),)), PLAIN)):
        assert max(right for _, _, right, *_ in words) < width - 60
        assert overlapping(words) == []


def test_numbers_stand_at_the_right_of_their_column():
    rows = (("first", "7"), ("second", "123,456"))
    table = Table("Numbers", (Column("Name"), Column("Value", number=True)), rows)
    words = [word for _, words in placed_words(to_pdf(document(table), PLAIN)) for word in words]
    rights = {text: right for _, _, right, _, text in words}
    assert rights["7"] == pytest.approx(rights["123,456"], abs=0.5)


def test_copied_ids_hold_nothing_that_was_put_in_to_break_them():
    text = "".join(pages(document(Paragraph(long_name(7)), Table("Ids", (Column("Id"),), ((long_name(7),),)))))
    assert long_name(7) in text.replace("\n", "")
    assert "\u200b" not in text
    assert "\xad" not in text


def test_right_to_left_text_starts_at_the_right():
    words = [
        word
        for _, words in placed_words(to_pdf(document(Paragraph("שלום abc"), Paragraph("xyz")), PLAIN))
        for word in words
    ]
    lefts = {text: left for left, *_, text in words}
    assert lefts["xyz"] < 100 < 400 < lefts["abc"]


def test_the_same_document_gives_the_same_bytes():
    assert to_pdf(samples.every_block(), BRAND) == to_pdf(samples.every_block(), BRAND)


def test_the_pdf_knows_its_title_its_author_and_its_language():
    found = opened(to_pdf(samples.every_block(), BRAND))
    assert found.metadata is not None
    assert found.metadata.title == "Bake-off: harbour handbook"
    assert found.metadata.author == "Quay & Partners"
    assert found.trailer["/Root"]["/Lang"] == "en"
    assert "/CreationDate" not in found.metadata


def test_the_pdf_is_accessible():
    """It says that it keeps PDF/UA-1, which typst only lets it say when it does."""
    found = opened(to_pdf(samples.every_block(), BRAND))
    assert b"<pdfuaid:part>1</pdfuaid:part>" in found.trailer["/Root"]["/Metadata"].get_data()
    assert found.trailer["/Root"]["/MarkInfo"]["/Marked"]


def test_every_picture_is_described_in_words():
    found = opened(to_pdf(samples.every_block(), BRAND))
    objects = (found.get_object(number) for number in range(1, len(found.xref_objStm) + len(found.xref[0]) + 1))
    described = {str(thing["/Alt"]) for thing in objects if isinstance(thing, dict) and "/Alt" in thing}
    assert {"Eight arms.", "Three lines.", "Eight points.", "Two bars.", "Logo of Quay & Partners"} <= described


def test_the_bookmarks_are_the_headings():
    def titles(outline):
        return [titles(entry) if isinstance(entry, list) else entry.title for entry in outline]

    assert titles(opened(to_pdf(samples.every_block(), PLAIN)).outline) == [
        "RAG + LoRA wins",
        ["What would change our mind"],
        "Contents",
        "1 Results",
        "2 Pictures",
        "3 Cases",
        "Appendix",
        ["A Appendix", ["Pair by pair"]],
    ]


def test_a_heading_stays_with_what_follows():
    for filling in range(20, 60, 2):
        blocks = (*(Paragraph("A line.") for _ in range(filling)), Subheading("Here"), samples.parts())
        found = pages(document(*blocks))
        assert next(text for text in found if "Here" in text) == next(
            text for text in found if "Where answers are lost" in text
        )


def test_a_logo_that_is_no_picture_is_the_users_to_mend():
    with pytest.raises(UserError, match="logo cannot be drawn"):
        to_pdf(samples.every_block(), dataclasses.replace(BRAND, logo=Logo(b"<svg", "svg", 1, 1)))


@pytest.mark.parametrize(
    "link", ["/elsewhere.png", "file:///elsewhere.png", "../elsewhere.png", "http://127.0.0.1/x.png"]
)
def test_a_logo_reads_no_other_file(link):
    image = f'<image width="9" height="9" href="{link}"/>'
    linking = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{image}</svg>'
    with pytest.raises(UserError, match=re.escape(link)):
        to_pdf(document(), dataclasses.replace(BRAND, logo=Logo(linking.encode(), "svg", 9, 9)))


def test_without_typst_the_user_is_told_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(UserError, match="pip install typst"):
        to_pdf(samples.every_block(), PLAIN)
