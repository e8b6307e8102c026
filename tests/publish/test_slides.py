"""Slides: native titles, tables and pictures, nothing outside the slide."""

import io

import pptx
import pytest
import samples
from fakes import HereInstead
from pptx.util import Inches, Pt

from harness.errors import UserError
from harness.publish.blocks import Bullets, Column, Paragraph, Report, Section, Table
from harness.publish.brand import PLAIN, Brand
from harness.publish.slides import to_pptx

BRAND = Brand(client="Harbour Trust", firm="Keel & Sons", confidentiality="Secret")


def opened(content):
    return pptx.Presentation(io.BytesIO(content))


def texts_of(slide):
    return [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]


def report_with(*blocks):
    summary = Section("S", "verdict", (Paragraph("Lead.", lead=True),))
    return Report("T", "sub", summary, (Section("Body", "body", blocks),))


@pytest.mark.parametrize("text", ["", " " + samples.NASTY])
def test_everything_stands_inside_the_slides(text):
    deck = opened(to_pptx(samples.every_block(text), BRAND))
    for slide in deck.slides:
        for shape in slide.shapes:
            assert shape.left >= 0
            assert shape.top >= 0
            assert shape.left + shape.width <= deck.slide_width
            assert shape.top + shape.height <= deck.slide_height


def test_titles_are_placeholders_so_that_the_outline_works():
    deck = opened(to_pptx(samples.every_block(), BRAND))
    titles = [slide.shapes.title.text_frame.text for slide in deck.slides]
    assert titles[:3] == [
        "Bake-off: harbour handbook",
        "RAG + LoRA wins",
        "What would change our mind",
    ]
    assert titles.count("Pictures") == 4
    assert titles[-1] == "Where the rest is"
    assert "Appendix" not in titles


def test_pictures_have_words_for_those_who_cannot_see_them():
    deck = opened(to_pptx(samples.every_block(), PLAIN))
    pictures = [shape for slide in deck.slides for shape in slide.shapes if shape.shape_type == 13]
    assert [one._element.nvPicPr.cNvPr.get("descr") for one in pictures] == [
        "Eight arms.",
        "Three lines.",
        "Two lines.",
        "Eight points.",
        "Two bars.",
    ]


def test_tables_are_native_and_go_on_on_further_slides():
    table = Table(
        "Long", (Column("Arm"), Column("Score", number=True)), tuple((f"arm {i}", f"{i} %") for i in range(30))
    )
    deck = opened(to_pptx(report_with(table), PLAIN))
    found = [(texts_of(slide), shape.table) for slide in deck.slides for shape in slide.shapes if shape.has_table]
    assert [any(f"Long ({n} of 3)" in text for text in texts) for n, (texts, _) in enumerate(found, 1)] == [True] * 3
    assert [len(one.rows) for _, one in found] == [13, 13, 7]
    assert found[2][1].cell(6, 0).text == "arm 29"


def test_long_lists_are_split_and_never_set_smaller_than_twelve_points():
    deck = opened(to_pptx(report_with(Bullets(tuple(f"{i} " + "word " * 40 for i in range(20)))), PLAIN))
    slides = [slide for slide in deck.slides if slide.shapes.title.text_frame.text == "Body"]
    assert len(slides) > 2
    sizes = [
        run.font.size
        for slide in slides
        for shape in slide.shapes
        if shape.has_text_frame and len(shape.text_frame.text) > 100
        for paragraph in shape.text_frame.paragraphs
        for run in paragraph.runs
    ]
    assert min(sizes) >= Pt(12)


def test_the_foot_names_the_client_and_the_same_report_gives_the_same_bytes():
    first = to_pptx(samples.every_block(), BRAND)
    assert first == to_pptx(samples.every_block(), BRAND)
    assert all("Secret · Harbour Trust" in texts_of(slide) for slide in opened(first).slides)


@pytest.mark.parametrize("place", ["in a helper process", "in this process"])
def test_a_house_template_keeps_its_size_and_master_and_loses_its_slides(place, monkeypatch):
    if place == "in this process":
        monkeypatch.setattr("harness.publish.office.Apart", HereInstead)
    house = pptx.Presentation()
    house.slide_width, house.slide_height = Inches(10), Inches(5.625)
    house.slides.add_slide(house.slide_layouts[5]).shapes.title.text = "Old slide"
    house.slide_masters[0].name = "Our house"
    buffer = io.BytesIO()
    house.save(buffer)
    deck = opened(to_pptx(samples.every_block(), BRAND, template=buffer.getvalue()))
    assert (deck.slide_width, deck.slide_height) == (Inches(10), Inches(5.625))
    assert deck.slide_masters[0].name == "Our house"
    assert "Old slide" not in [slide.shapes.title.text_frame.text for slide in deck.slides]
    for slide in deck.slides:
        assert all(shape.top + shape.height <= deck.slide_height for shape in slide.shapes)


@pytest.mark.parametrize("template", [b"", b"nonsense", b"%PDF-1.4"])
def test_a_template_that_is_none_is_refused_with_a_sentence(template):
    with pytest.raises(UserError, match=r"is no \.pptx file that can be opened"):
        to_pptx(samples.every_block(), PLAIN, template=template)


def test_empty_texts_and_tables_are_passed_over():
    blocks = (Paragraph(""), Bullets(("", " ")), Table("", (Column("a"),), ()), Table("None", (), ()))
    assert len(opened(to_pptx(report_with(*blocks), PLAIN)).slides) == 2
