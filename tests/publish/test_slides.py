"""Slides: native titles, tables and pictures, nothing outside the slide."""

import io
import zipfile

import pptx
import pytest
import samples
from fakes import HereInstead
from PIL import Image
from pptx.oxml.ns import qn
from pptx.util import Inches, Pt

from harness.errors import UserError
from harness.publish.blocks import Bullets, Column, Paragraph, Report, Section, Table
from harness.publish.brand import PLAIN, Brand, Logo
from harness.publish.office import written_into
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


def saved(deck):
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def test_a_template_without_a_layout_for_titles_gets_them_as_plain_text():
    house = pptx.Presentation()
    for layout in list(house.slide_layouts):
        if layout.name != "Blank":
            house.slide_layouts.remove(layout)
    deck = opened(to_pptx(samples.every_block(), BRAND, template=saved(house)))
    assert all(slide.shapes.title is None for slide in deck.slides)
    assert all(not list(slide.placeholders) for slide in deck.slides)
    assert texts_of(deck.slides[1])[0] == "RAG + LoRA wins"
    assert "Where the rest is" in texts_of(deck.slides[-1])


def test_what_a_layout_has_beside_its_title_is_not_left_empty_on_the_slides():
    house = pptx.Presentation()
    for layout in list(house.slide_layouts):
        if layout.name != "Two Content":
            house.slide_layouts.remove(layout)
    deck = opened(to_pptx(samples.every_block(), BRAND, template=saved(house)))
    assert {tuple(one.placeholder_format.idx for one in slide.placeholders) for slide in deck.slides} == {(0,)}


def test_a_template_without_any_layout_is_refused_with_a_sentence():
    house = pptx.Presentation()
    for layout in list(house.slide_layouts):
        house.slide_layouts.remove(layout)
    with pytest.raises(UserError, match=r"the \.pptx template cannot be read \(.+\); save it anew as \.pptx"):
        to_pptx(samples.every_block(), BRAND, template=saved(house))


def test_the_list_of_a_templates_sections_does_not_outlive_its_slides():
    house = pptx.Presentation()
    element = house.part._element
    extensions = element.makeelement(qn("p:extLst"), {})
    element.append(extensions)
    extension = extensions.makeelement(qn("p:ext"), {"uri": "{521415D9-36F7-43E2-AB2F-B90AF26B5E84}"})
    extensions.append(extension)
    made = to_pptx(samples.every_block(), BRAND, template=saved(house))
    with zipfile.ZipFile(io.BytesIO(made)) as packed:
        assert b"521415D9" not in packed.read("ppt/presentation.xml")


def broken_inside():
    """A whole package with a main part that is no XML."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(pptx.Presentation()))) as whole, zipfile.ZipFile(buffer, "w") as packed:
        for name in whole.namelist():
            packed.writestr(name, b"<p:presentation" if name == "ppt/presentation.xml" else whole.read(name))
    return buffer.getvalue()


@pytest.mark.parametrize("place", ["in a helper process", "in this process"])
def test_a_template_that_is_broken_inside_is_refused_with_a_sentence(place, monkeypatch):
    if place == "in this process":
        monkeypatch.setattr("harness.publish.office.Apart", HereInstead)
    with pytest.raises(UserError, match=r"the \.pptx template cannot be read \(.+\); save it anew as \.pptx"):
        to_pptx(samples.every_block(), PLAIN, template=broken_inside())


def test_what_breaks_while_a_template_is_written_into_is_its_fault_and_else_nobodys():
    said = r"the \.pptx template cannot be read \('part'\); save it anew"
    with pytest.raises(UserError, match=said), written_into(b"template", "pptx"):
        raise KeyError("part")
    with pytest.raises(KeyError), written_into(None, "pptx"):
        raise KeyError("part")
    with pytest.raises(UserError, match=r"^the logo$"), written_into(b"template", "docx"):
        raise UserError("the logo")


def test_text_from_right_to_left_runs_that_way():
    deck = opened(to_pptx(report_with(Bullets(("מה השאלה?", "left to right"))), PLAIN))
    found = {
        paragraph.text: paragraph._p.pPr.get("rtl")
        for slide in deck.slides
        for shape in slide.shapes
        if shape.has_text_frame
        for paragraph in shape.text_frame.paragraphs
        if paragraph._p.pPr is not None
    }
    assert (found["מה השאלה?"], found["left to right"]) == ("1", None)


@pytest.mark.parametrize(("width", "height"), [(40, 40), (400, 40)])
def test_a_logo_stands_on_the_first_slide_in_its_own_shape(width, height):
    picture = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(picture, "PNG")
    brand = Brand(firm="Keel & Sons", logo=Logo(picture.getvalue(), "png", width, height))
    deck = opened(to_pptx(report_with(Paragraph("x")), brand))
    [logo] = [shape for slide in deck.slides for shape in slide.shapes if shape.shape_type == 13]
    assert logo._element.nvPicPr.cNvPr.get("descr") == "Logo of Keel & Sons"
    assert logo.width / logo.height == pytest.approx(width / height, rel=0.01)
    assert logo.width <= Inches(3.01)
    assert logo.top + logo.height <= deck.slide_height


def test_an_svg_logo_that_cannot_be_drawn_is_named():
    brand = Brand(firm="Keel", logo=Logo(b"<svg", "svg", 120, 40))
    with pytest.raises(UserError, match=r"the SVG logo cannot be drawn \(.+\); save it as PNG"):
        to_pptx(report_with(Paragraph("x")), brand)


@pytest.mark.parametrize("template", [b"", b"nonsense", b"%PDF-1.4"])
def test_a_template_that_is_none_is_refused_with_a_sentence(template):
    with pytest.raises(UserError, match=r"is no \.pptx file that can be opened"):
        to_pptx(samples.every_block(), PLAIN, template=template)


def test_empty_texts_and_tables_are_passed_over():
    blocks = (Paragraph(""), Bullets(("", " ")), Table("", (Column("a"),), ()), Table("None", (), ()))
    assert len(opened(to_pptx(report_with(*blocks), PLAIN)).slides) == 2
