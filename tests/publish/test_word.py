"""The Word document: native structure, every text, house templates."""

import io
import re
import zipfile

import docx
import pytest
import samples
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml.ns import qn
from docx.shared import Pt
from fakes import HereInstead
from PIL import Image

from harness.errors import UserError
from harness.publish.blocks import Column, Paragraph, Place, Report, Section, Table
from harness.publish.brand import PLAIN, Brand, Logo
from harness.publish.text import shown
from harness.publish.word import to_docx

BRAND = Brand(
    client="Harbour <Trust>", firm="Keel & Sons", contact=("Ada", "ada@example.org"), confidentiality="Secret"
)
ATTACHED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40"><rect width="120" height="40" fill="#7a1f5c"/></svg>'
)


def opened(content):
    return docx.Document(io.BytesIO(content))


def text_of(document):
    return " ".join("".join(t.text or "" for t in p.iter(qn("w:t"))) for p in document.element.body.iter(qn("w:p")))


def words(text):
    return re.sub(r"\s+", " ", text.replace("\u00a0", " ")).strip()


def strings_in(report):
    for section in (report.summary, *report.sections):
        yield section.title
        for block in section.blocks:
            if isinstance(block, Paragraph):
                yield block.text
            if isinstance(block, Table):
                yield from (block.caption, *(column.title for column in block.columns))
                yield from (cell for row in block.rows for cell in row)
            if hasattr(block, "items"):
                yield from block.items
            if hasattr(block, "facts"):
                yield from (part for fact in block.facts for part in (fact.label, fact.value, fact.remark))
            if hasattr(block, "alt"):
                yield block.caption


@pytest.mark.parametrize("text", ["", " " + samples.NASTY])
def test_every_text_of_the_report_is_in_the_document_as_text(text):
    report = samples.every_block(text)
    there = words(text_of(opened(to_docx(report, BRAND))))
    assert [one for one in strings_in(report) if words(shown(one)) not in there] == []


def test_headings_lists_tables_and_pictures_are_native():
    document = opened(to_docx(samples.every_block(), PLAIN))
    styles = [p.style.name for p in document.paragraphs]
    assert styles.count("Heading 1") == 5
    assert "Heading 2" in styles
    assert styles.count("List Bullet") == 2
    assert styles.count("Caption") == 7
    described = [one.get("descr") for one in document.element.body.iter(qn("wp:docPr"))]
    assert "Three lines." in described
    assert all(described)
    heads = [
        row
        for row in document.element.body.iter(qn("w:tr"))
        if row.find(f"{qn('w:trPr')}/{qn('w:tblHeader')}") is not None
    ]
    assert len(heads) == 2
    assert all(
        row.find(f"{qn('w:trPr')}/{qn('w:cantSplit')}") is not None for row in document.element.body.iter(qn("w:tr"))
    )


def test_contents_are_a_field_that_is_filled_already():
    body = opened(to_docx(samples.every_block(), PLAIN)).element.body
    assert any("TOC" in (code.text or "") for code in body.iter(qn("w:instrText")))
    assert text_of(opened(to_docx(samples.every_block(), PLAIN))).count("Appendix A  Appendix") == 2


def test_the_foot_has_the_confidentiality_line_the_client_and_the_page():
    section = opened(to_docx(samples.every_block(), BRAND)).sections[0]
    for footer in (section.footer, section.first_page_footer):
        assert "Secret  ·  Harbour <Trust>" in footer.paragraphs[0].text
        assert [c.text for c in footer._element.iter(qn("w:instrText"))] == ["PAGE", "NUMPAGES"]


def test_the_same_report_gives_the_same_bytes_and_says_whose_it_is():
    first = to_docx(samples.every_block(), BRAND)
    assert first == to_docx(samples.every_block(), BRAND)
    assert opened(first).core_properties.author == "Keel & Sons"


def test_text_from_right_to_left_runs_that_way():
    summary = Section("Title", "verdict", (Paragraph("מה השאלה?"),))
    document = opened(to_docx(Report("T", "", summary, ()), PLAIN))
    [paragraph] = [p for p in document.paragraphs if p.text == "מה השאלה?"]
    assert paragraph._p.pPr.find(qn("w:bidi")) is not None


def test_an_svg_logo_becomes_a_picture_that_office_shows():
    content = to_docx(samples.every_block(), Brand(firm="Keel", logo=Logo(SVG, "svg", 120, 40)))
    described = [one.get("descr") for one in opened(content).element.body.iter(qn("wp:docPr"))]
    assert described[0] == "Logo of Keel"


def house(*texts, font="Georgia"):
    document = docx.Document()
    document.styles["Normal"].font.name = font
    document.styles["Heading 1"].font.size = Pt(31)
    document.sections[0].header.paragraphs[0].text = "House of {{firm}}"
    for text in texts:
        document.add_paragraph(text)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


@pytest.fixture(params=["in a helper process", "in this process"])
def place(request, monkeypatch):
    """A template is tried out apart; wherever that is, it is taken or refused alike."""
    if request.param == "in this process":
        monkeypatch.setattr("harness.publish.office.Apart", HereInstead)


@pytest.mark.usefixtures("place")
def test_a_house_template_gives_fonts_header_and_cover_and_the_report_takes_its_place():
    template = house("Cover for {{client}}", "{{report}}", "Back page")
    document = opened(to_docx(samples.every_block(), BRAND, template=template))
    texts = [p.text for p in document.paragraphs]
    assert texts[0] == "Cover for Harbour <Trust>"
    assert texts[-1] == "Back page"
    assert "{{report}}" not in texts
    assert document.styles["Normal"].font.name == "Georgia"
    assert document.styles["Heading 1"].font.size == Pt(31)
    assert document.sections[0].header.paragraphs[0].text == "House of Keel & Sons"


def test_a_template_without_a_place_for_the_report_is_emptied():
    texts = [p.text for p in opened(to_docx(samples.every_block(), PLAIN, template=house("Old text"))).paragraphs]
    assert "Old text" not in texts
    assert "RAG + LoRA wins" in texts


def bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("[Content_Types].xml", "")
        packed.writestr("word/document.xml", b"0" * (201 * 2**20))
    return buffer.getvalue()


def broken_inside():
    """A whole package with a main part that is no XML."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(house("x"))) as whole, zipfile.ZipFile(buffer, "w") as packed:
        for name in whole.namelist():
            packed.writestr(name, b"<w:document" if name == "word/document.xml" else whole.read(name))
    return buffer.getvalue()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("template", "said"),
    [
        (b"", "is no .docx file that can be opened"),
        (b"PK\x03\x04 nonsense", "is no .docx file that can be opened"),
        (b"%PDF-1.4", "is no .docx file that can be opened"),
        (bomb(), "unpacks to more than 200 MB"),
        (broken_inside(), r"the \.docx template cannot be read \(.+\); save it anew as \.docx and try again"),
    ],
)
def test_a_template_that_is_none_is_refused_with_a_sentence(template, said):
    with pytest.raises(UserError, match=said):
        to_docx(samples.every_block(), PLAIN, template=template)


def test_a_wide_table_keeps_all_columns_and_gets_smaller_type():
    table = Table(
        "Wide", tuple(Column(f"c{i}", number=True) for i in range(14)), tuple(("1",) * 14 for _ in range(300))
    )
    section = Section("Wide", "wide", (table,), Place.APPENDIX)
    document = opened(to_docx(Report("T", "", Section("S", "verdict", ()), (section,)), PLAIN))
    assert len(document.tables[0].columns) == 14
    sizes = {
        one.get(qn("w:val")) for one in document.tables[0]._tbl.iter(qn("w:sz")) if one.getparent().tag == qn("w:rPr")
    }
    assert sizes == {"12"}


def test_nothing_of_the_templates_old_body_is_left_in_the_file():
    document = docx.Document(io.BytesIO(house("Old text")))
    picture = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(picture, "PNG")
    document.add_picture(io.BytesIO(picture.getvalue()))
    buffer = io.BytesIO()
    document.save(buffer)
    plain = Report("T", "", Section("S", "verdict", (Paragraph("x"),)), ())
    made = to_docx(plain, PLAIN, template=buffer.getvalue())
    assert [name for name in zipfile.ZipFile(io.BytesIO(made)).namelist() if "media" in name] == []


def test_a_placeholder_whose_letters_look_different_is_filled_in_once():
    document = docx.Document(io.BytesIO(house()))
    paragraph = document.add_paragraph("For {{cli")
    paragraph.add_run("ent}}").bold = True
    document.add_paragraph("{{report}}")
    buffer = io.BytesIO()
    document.save(buffer)
    texts = [p.text for p in opened(to_docx(samples.every_block(), BRAND, template=buffer.getvalue())).paragraphs]
    assert texts[0] == "For Harbour <Trust>"


def test_the_path_of_the_template_that_a_template_was_made_from_reaches_no_client():
    document = docx.Document(io.BytesIO(house("{{report}}")))
    part = document.part.part_related_by(RELATIONSHIP_TYPE.SETTINGS)
    link = part.relate_to("file:///C:/Users/ada/secret.dotx", ATTACHED, is_external=True)
    settings = document.settings.element
    settings.append(settings.makeelement(qn("w:attachedTemplate"), {qn("r:id"): link}))
    buffer = io.BytesIO()
    document.save(buffer)
    made = to_docx(samples.every_block(), BRAND, template=buffer.getvalue())
    with zipfile.ZipFile(io.BytesIO(made)) as packed:
        assert not any(b"secret.dotx" in packed.read(name) for name in packed.namelist())
        assert b"attachedTemplate" not in packed.read("word/settings.xml")


def test_a_style_that_a_template_lacks_is_made_after_its_normal_one():
    document = docx.Document(io.BytesIO(house("{{report}}")))
    styles = document.styles
    styles.element.remove(styles["List Bullet"].element)
    styles.element.remove(styles["Caption"].element)
    buffer = io.BytesIO()
    document.save(buffer)
    made = opened(to_docx(samples.every_block(), BRAND, template=buffer.getvalue()))
    assert made.styles["Caption"].base_style.name == "Normal"
    assert [p.style.name for p in made.paragraphs].count("Caption") == 7
    assert len([p for p in made.paragraphs if p.text.startswith("• ")]) == 2


def test_a_client_whose_name_is_a_placeholder_stays_what_it_is():
    brand = Brand(client="{{title}}", firm="F")
    texts = [
        p.text
        for p in opened(
            to_docx(samples.every_block(), brand, template=house("For {{ client }}", "{{report}}"))
        ).paragraphs
    ]
    assert texts[0] == "For {{title}}"


def test_a_row_that_may_not_fit_a_page_may_be_split():
    table = Table("Long", (Column("a"),), (("short",), ("word " * 400,)))
    made = opened(to_docx(Report("T", "", Section("S", "verdict", (table,)), ()), PLAIN))
    kept = [row.find(f"{qn('w:trPr')}/{qn('w:cantSplit')}") is not None for row in made.element.body.iter(qn("w:tr"))]
    assert kept == [True, True, False]
