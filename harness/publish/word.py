"""Report -> DOCX: native headings, lists, tables and pictures that Office and LibreOffice edit."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from harness.publish import charts
from harness.publish.blocks import (
    Block,
    Bullets,
    CaseBrowser,
    Fact,
    Facts,
    Intervals,
    Lines,
    Paragraph,
    Parts,
    Picture,
    Place,
    Report,
    Scatter,
    Section,
    Subheading,
    Table,
)
from harness.publish.brand import Brand
from harness.publish.charts import Look
from harness.publish.office import describe, logo_picture, opened, packed_again, written_into
from harness.publish.text import one_line, right_to_left, shown, where_cases_are

PLACEHOLDER = "{{report}}"
_MUTED, _LINE = "57606A", "C9CED6"
_FONT = "Arial"
"""On every Windows and Mac; elsewhere Liberation Sans has the same widths."""
_NAMED = re.compile(r"\{\{\s*(client|firm|title|date)\s*\}\}")
_LONGEST_WHOLE = 600
"""Letters in a cell up to which its row is kept on one page."""
_TWIPS = 1440
"""To an inch."""
_SIZES = ((5, 9.5), (7, 8.5), (9, 7.5), (12, 6.5))
"""(columns, points) of tables: the first that has as many."""
_SMALLEST = 6.0
_WIDEST_WORD = 26
"""Letters beyond which a column does not ask for more room."""


def to_docx(report: Report, brand: Brand, *, template: bytes | None = None) -> bytes:
    """The whole report as a Word document; the same report and brand give the same bytes.

    `template`: a house's own document. Its styles, pages, headers and footers stay; the report takes the place of a
    paragraph `{{report}}`, or of the whole body where there is none, and `{{client}}`, `{{firm}}`, `{{title}}` and
    `{{date}}` are filled in.

    Raises:
        UserError: the template is no document that can be read.
    """
    with written_into(template, "docx"):
        return _made(report, brand, template)


def _made(report: Report, brand: Brand, template: bytes | None) -> bytes:
    document = _document(template)
    writer = _Writer(document, brand, own=template is None)
    place = _cleared(document) if template else None
    before = len(document.element.body)
    if template is None:
        _set_pages(document, report, brand)
    _write(writer, report)
    if place is not None:
        _moved(document, place, before)
    if template is not None:
        _fill_in(document, report, brand)
        _forget_what_was_there(document)
    describe(document.core_properties, report, brand)
    buffer = io.BytesIO()
    document.save(buffer)
    return packed_again(buffer.getvalue())


def _document(template: bytes | None) -> Any:
    import docx

    if template is None:
        return docx.Document()
    return docx.Document(opened(template, "docx"))


def _cleared(document: Any) -> Any | None:
    """The paragraph whose place the report takes; without one the template's body is emptied."""
    place = next((p for p in document.paragraphs if p.text.strip() == PLACEHOLDER), None)
    if place is None:
        for element in list(document.element.body)[:-1]:
            document.element.body.remove(element)
    return place


def _moved(document: Any, place: Any, before: int) -> None:
    """What was written at the end goes to the place that the template names."""
    body = document.element.body
    # The last element holds the page's settings and stays last; what was written stands before it.
    written = list(body)[before - 1 : -1]
    for element in written:
        place._p.addprevious(element)
    body.remove(place._p)


def _fill_in(document: Any, report: Report, brand: Brand) -> None:
    """Placeholders in the body, in headers and in footers; nothing in them is ever code."""
    values = {"client": brand.client, "firm": brand.firm, "title": report.title, "date": brand.date}
    for paragraph in _all_paragraphs(document):
        text = _NAMED.sub(lambda found: one_line(values[found[1]]), paragraph.text)  # in one go: a value is never one
        if text != paragraph.text:
            first, *rest = paragraph.runs
            first.text = text
            for run in rest:
                run.text = ""


def _forget_what_was_there(document: Any) -> None:
    """Pictures of the template's old body, and the path of the template that it was attached to, reach no client."""
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.oxml.ns import qn

    body: str = document.element.xml
    for name, link in list(document.part.rels.items()):
        if link.reltype == RELATIONSHIP_TYPE.IMAGE and f'"{name}"' not in body:
            del document.part.rels[name]
    settings = document.settings.element
    for attached in settings.findall(qn("w:attachedTemplate")):
        settings.remove(attached)
        document.part.part_related_by(RELATIONSHIP_TYPE.SETTINGS).rels.pop(attached.get(qn("r:id")), None)


def _all_paragraphs(document: Any) -> Iterator[Any]:
    yield from document.paragraphs
    for section in document.sections:
        for part in (section.header, section.footer, section.first_page_header, section.first_page_footer):
            yield from part.paragraphs
            yield from (p for table in part.tables for row in table.rows for cell in row.cells for p in cell.paragraphs)


# ---- pages and styles


def _set_pages(document: Any, report: Report, brand: Brand) -> None:
    """A4, a header from the second page on, a footer with page numbers on all."""
    from docx.shared import Mm, Pt, RGBColor

    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(24)
    section.top_margin = section.bottom_margin = Mm(22)
    section.different_first_page_header_footer = True
    accent = RGBColor.from_string(brand.accent.lstrip("#").upper())
    _style(document, "Normal", font=_FONT, size=Pt(10), after=Pt(5))
    _style(document, "Title", font=_FONT, size=Pt(20), color=RGBColor.from_string("1B1F24"), after=Pt(2))
    _style(document, "Subtitle", font=_FONT, size=Pt(11), color=RGBColor.from_string(_MUTED), after=Pt(6))
    for name, size in (("Heading 1", 16), ("Heading 2", 12.5), ("Heading 3", 11)):
        _style(document, name, font=_FONT, size=Pt(size), color=accent, after=Pt(4), before=Pt(size * 0.9))
    _style(document, "Caption", font=_FONT, size=Pt(9), color=RGBColor.from_string(_MUTED), after=Pt(3))
    header = section.header.paragraphs[0]
    _text(header, one_line(report.title)[:110], size=8.5, color=_MUTED)
    line = "  ·  ".join(one_line(part) for part in (brand.confidentiality, brand.client) if part)
    for footer in (section.footer, section.first_page_footer):
        _footer(footer.paragraphs[0], line)


def _style(  # each a trait of the style
    document: Any, name: str, *, font: str, size: Any, color: Any = None, after: Any = None, before: Any = None
) -> None:
    from docx.oxml.ns import qn

    style = document.styles[name]
    style.font.name, style.font.size = font, size
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{theme}"), None)
    fonts.set(qn("w:hAnsi"), font)
    if color is not None:
        style.font.color.rgb = color
    if name == "Subtitle":
        style.font.italic = False
        for spacing in style.element.findall(f"{qn('w:rPr')}/{qn('w:spacing')}"):
            spacing.getparent().remove(spacing)
    if name == "Title":
        style.font.bold = True
        for border in style.element.findall(f".//{qn('w:pBdr')}"):
            border.getparent().remove(border)
    style.paragraph_format.space_after = after
    if before is not None:
        style.paragraph_format.space_before = before


def _footer(paragraph: Any, line: str) -> None:
    from docx.enum.text import WD_TAB_ALIGNMENT
    from docx.shared import Mm

    stops = paragraph.style.paragraph_format.tab_stops  # the library's own style has one in the middle
    for place in reversed(range(len(stops))):
        del stops[place]
    paragraph.paragraph_format.tab_stops.add_tab_stop(Mm(162), WD_TAB_ALIGNMENT.RIGHT)
    _text(paragraph, f"{line}\t", size=8.5, color=_MUTED)
    _text(paragraph, "Page ", size=8.5, color=_MUTED)
    _field(paragraph, "PAGE")
    _text(paragraph, " of ", size=8.5, color=_MUTED)
    _field(paragraph, "NUMPAGES")


def _field(paragraph: Any, name: str) -> None:
    """A field with a number that Office fills in."""
    for kind, text in (("begin", ""), ("", name), ("separate", ""), ("text", "1"), ("end", "")):
        run = _text(paragraph, text if kind == "text" else "", size=8.5, color=_MUTED)
        if kind in ("begin", "separate", "end"):
            run._r.append(_element("w:fldChar", **{"w:fldCharType": kind}))
        elif not kind:
            code = _element("w:instrText")
            code.text = name
            run._r.append(code)


def _element(tag: str, **values: str) -> Any:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    made = OxmlElement(tag)
    for name, value in values.items():
        made.set(qn(name), value)
    return made


def _text(paragraph: Any, text: str, *, size: float | None = None, color: str = "", bold: bool = False) -> Any:
    from docx.shared import Pt, RGBColor

    run = paragraph.add_run(text)
    if size:
        run.font.size = Pt(size)
    if color:
        run.font.color.rgb = RGBColor.from_string(color)
    run.bold = bold or None
    return run


# ---- content


@dataclass(slots=True)
class _Writer:
    """Puts blocks at the end of the document."""

    document: Any
    brand: Brand
    own: bool
    """Whether the styles are ours; in a house's template they stay as they are."""
    figures: int = 0
    tables: int = 0

    @property
    def width(self) -> float:
        """Inches between the margins."""
        section = self.document.sections[0]
        return float(section.page_width - section.left_margin - section.right_margin) / 914_400

    def paragraph(self, text: str, style: str | None = None, **look: Any) -> Any:
        """A paragraph in a style, which is made where a template has none of that name."""
        made = self.document.add_paragraph(style=self.style(style) if style else None)
        _text(made, shown(text), **look)
        if right_to_left(text):
            made._p.get_or_add_pPr().append(_element("w:bidi"))
        return made

    def has(self, name: str) -> bool:
        """Whether the document has a style of this name."""
        return name in [style.name for style in self.document.styles]

    def style(self, name: str) -> str:
        """The style's name, once the document has it."""
        from docx.enum.style import WD_STYLE_TYPE

        if not self.has(name):
            made = self.document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
            made.base_style = self.document.styles["Normal"]
        return name

    def block(self, block: Block) -> None:
        """One block."""
        _BLOCKS[type(block)](self, block)

    def section(self, section: Section, title: str) -> None:
        """A heading and what belongs to it."""
        self.paragraph(title, "Heading 1")
        for block in section.blocks:
            self.block(block)


def _write(writer: _Writer, report: Report) -> None:
    _letterhead(writer, report)
    writer.section(report.summary, report.summary.title)
    body = [section for section in report.sections if section.place is not Place.APPENDIX]
    appendix = [section for section in report.sections if section.place is Place.APPENDIX]
    titles = [(section, f"{number}  {section.title}") for number, section in enumerate(body, 1)]
    titles += [(section, f"Appendix {_letter(number)}  {section.title}") for number, section in enumerate(appendix)]
    writer.document.add_page_break()
    _contents(writer, [report.summary.title, *(title for _, title in titles)])
    for section, title in titles:
        if appendix and section is appendix[0]:
            writer.document.add_page_break()
        writer.section(section, title)
    if report.footer:
        writer.paragraph(report.footer, size=8.5, color=_MUTED)


def _letter(number: int) -> str:
    """A, B, ... Z, AA."""
    return chr(65 + number) if number < 26 else chr(64 + number // 26) + chr(65 + number % 26)


def _letterhead(writer: _Writer, report: Report) -> None:
    from docx.shared import Inches

    brand = writer.brand
    picture = logo_picture(brand)
    if picture:
        data, ratio = picture
        height = min(0.75, 2.4 / ratio)
        made = writer.document.add_picture(data, height=Inches(height))
        made._inline.docPr.set("descr", f"Logo of {one_line(brand.firm or 'the firm')}")
    if brand.firm:
        writer.paragraph(brand.firm, bold=True)
    if brand.contact:
        writer.paragraph(", ".join(brand.contact), size=9, color=_MUTED)
    writer.paragraph(report.title, "Title")
    writer.paragraph(report.subtitle, "Subtitle")
    said = " · ".join(part for part in (f"Prepared for {brand.client}" if brand.client else "", brand.date) if part)
    if said:
        writer.paragraph(said, size=9.5, color=_MUTED)


def _contents(writer: _Writer, titles: Sequence[str]) -> None:
    """A table of contents that is filled already; Office adds the page numbers where it is told to update it (F9).

    Nothing asks for that on opening: Word would put a question to the client.
    """
    writer.paragraph("Contents", "TOC Heading" if writer.own else None, bold=True, size=13)
    start = writer.paragraph("")
    for kind in ("begin", "code", "separate"):
        run = start.add_run()
        if kind == "code":
            code = _element("w:instrText")
            code.text = ' TOC \\o "1-1" \\h \\z \\u '
            run._r.append(code)
        else:
            run._r.append(_element("w:fldChar", **{"w:fldCharType": kind}))
    last = start
    for place, title in enumerate(titles):
        last = start if place == 0 else writer.paragraph("")
        _text(last, shown(title))
        last.paragraph_format.space_after = 0
    last.add_run()._r.append(_element("w:fldChar", **{"w:fldCharType": "end"}))
    writer.document.add_page_break()


def _paragraph(writer: _Writer, block: Paragraph) -> None:
    look: dict[str, Any] = {"size": 9, "color": _MUTED} if block.note else {"size": 13} if block.lead else {}
    writer.paragraph(block.text, **look)


def _subheading(writer: _Writer, block: Subheading) -> None:
    writer.paragraph(block.text, "Heading 2")


def _bullets(writer: _Writer, block: Bullets) -> None:
    sign = "" if writer.has("List Bullet") else "• "  # a style that had to be made has no bullets of its own
    for item in block.items:
        writer.paragraph(f"{sign}{item}", "List Bullet" if not sign else None).paragraph_format.space_after = 0


def _facts(writer: _Writer, block: Facts) -> None:
    if block.key:
        _cards(writer, block.facts)
        return
    rows = [_row([_cell(f.label, 0.34, writer, color=_MUTED), _cell(_value(f), 0.66, writer)]) for f in block.facts]
    _put_table(writer, rows, (0.34, 0.66))


def _value(fact: Fact) -> str:
    return f"{fact.value}\n{fact.remark}" if fact.remark else fact.value


def _cards(writer: _Writer, facts: Sequence[Fact]) -> None:
    """The few numbers that matter, beside each other."""
    part = 1 / max(1, len(facts))
    cells = []
    for fact in facts:
        lines = [_run(fact.label, 9, color=_MUTED), _run(fact.value, 14, bold=True, color=_accent(writer))]
        lines += [_run(fact.remark, 8.5, color=_MUTED)] if fact.remark else []
        content = "".join(f'<w:p><w:pPr><w:spacing w:after="40"/></w:pPr>{line}</w:p>' for line in lines)
        shade = '<w:shd w:val="clear" w:color="auto" w:fill="F3F5F8"/>'
        cells.append(
            f'<w:tc><w:tcPr><w:tcW w:w="{_twips(part, writer)}" w:type="dxa"/>{shade}</w:tcPr>{content}</w:tc>'
        )
    _put_table(writer, [_row(cells)], (part,) * len(facts), lines=False)


def _accent(writer: _Writer) -> str:
    return writer.brand.accent.lstrip("#").upper()


def _table(writer: _Writer, block: Table) -> None:
    writer.tables += 1
    _caption(writer, f"Table {writer.tables}  {block.caption}")
    widths = _widths(block)
    size = next((points for columns, points in _SIZES if len(block.columns) <= columns), _SMALLEST)
    numbers = [column.number for column in block.columns]

    def cells(texts: Sequence[str], *, head: bool = False, bold: bool = False) -> list[str]:
        return [
            _cell(text, width, writer, size=size, right=right, bold=bold or head, color=_MUTED if head else "")
            for text, width, right in zip(texts, widths, numbers, strict=True)
        ]

    rows = [_row(cells([column.title for column in block.columns], head=True), head=True)]
    rows += [
        _row(cells(row, bold=place in block.marked), whole=max(map(len, row), default=0) <= _LONGEST_WHOLE)
        for place, row in enumerate(block.rows)
    ]
    _put_table(writer, rows, widths)


def _widths(block: Table) -> tuple[float, ...]:
    """Shares of the width, by the longest word and the usual length of a column's texts."""
    wanted = []
    for place, column in enumerate(block.columns):
        texts = [column.title, *(row[place] for row in block.rows)]
        longest = max((len(word) for text in texts for word in text.split()), default=1)
        usual = sorted(len(text) for text in texts)[math.ceil(0.9 * (len(texts) - 1))]
        wanted.append(max(min(longest, _WIDEST_WORD) + 1.5, min(usual, 60) * 0.6, 4.0))
    return tuple(width / sum(wanted) for width in wanted)


def _caption(writer: _Writer, text: str) -> None:
    """Above what it names, and on the same page."""
    writer.paragraph(text, "Caption").paragraph_format.keep_with_next = True


def _run(text: str, size: float, *, bold: bool = False, color: str = "") -> str:
    """A run as XML, line breaks kept."""
    look = ("<w:b/>" if bold else "") + (f'<w:color w:val="{color}"/>' if color else "")
    half = round(2 * size)
    lines = "<w:br/>".join(
        f'<w:t xml:space="preserve">{escape(line)}</w:t>' for line in shown(text).replace("\t", " ").split("\n")
    )
    return f'<w:r><w:rPr>{look}<w:sz w:val="{half}"/><w:szCs w:val="{half}"/></w:rPr>{lines}</w:r>'


def _cell(  # each a trait of the cell
    text: str,
    share: float,
    writer: _Writer,
    *,
    size: float = 9.5,
    right: bool = False,
    bold: bool = False,
    color: str = "",
) -> str:
    turned = right_to_left(text)
    side = '<w:jc w:val="right"/>' if right else ""
    layout = f'<w:pPr>{"<w:bidi/>" if turned else ""}<w:spacing w:before="20" w:after="20"/>{side}</w:pPr>'
    width = f'<w:tcPr><w:tcW w:w="{_twips(share, writer)}" w:type="dxa"/></w:tcPr>'
    return f"<w:tc>{width}<w:p>{layout}{_run(text, size, bold=bold, color=color)}</w:p></w:tc>"


def _row(cells: Sequence[str], *, head: bool = False, whole: bool = True) -> str:
    repeated = "<w:tblHeader/>" if head else ""
    kept = "<w:cantSplit/>" if whole else ""
    return f"<w:tr><w:trPr>{kept}{repeated}</w:trPr>{''.join(cells)}</w:tr>"


def _twips(share: float, writer: _Writer) -> int:
    return max(200, round(share * writer.width * _TWIPS))


def _put_table(writer: _Writer, rows: Sequence[str], shares: Sequence[float], *, lines: bool = True) -> None:
    """A native table, built as text because cell by cell takes a minute for a thousand rows."""
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    if not rows:
        return
    rule = f'w:val="single" w:sz="4" w:space="0" w:color="{_LINE}"'
    borders = f"<w:tblBorders><w:bottom {rule}/><w:insideH {rule}/></w:tblBorders>" if lines else ""
    margins = '<w:tblCellMar><w:left w:w="60" w:type="dxa"/><w:right w:w="60" w:type="dxa"/></w:tblCellMar>'
    grid = "".join(f'<w:gridCol w:w="{_twips(share, writer)}"/>' for share in shares)
    settings = f'<w:tblPr><w:tblW w:w="5000" w:type="pct"/>{borders}<w:tblLayout w:type="fixed"/>{margins}</w:tblPr>'
    made = parse_xml(f"<w:tbl {nsdecls('w')}>{settings}<w:tblGrid>{grid}</w:tblGrid>{''.join(rows)}</w:tbl>")
    writer.document.element.body.insert(len(writer.document.element.body) - 1, made)
    writer.document.add_paragraph().paragraph_format.space_after = 0


def _picture(writer: _Writer, block: Picture) -> None:
    from docx.shared import Inches

    writer.figures += 1
    _caption(writer, f"Figure {writer.figures}  {block.caption}")
    data = io.BytesIO(charts.png(block, Look(accent=writer.brand.accent)))
    made = writer.document.add_picture(data, width=Inches(min(6.3, writer.width)))
    made._inline.docPr.set("descr", one_line(block.alt or block.caption))


def _browser(writer: _Writer, block: CaseBrowser) -> None:
    writer.paragraph(where_cases_are(sum(len(group.cases) for group in block.groups)))


_BLOCKS: dict[type, Callable[[_Writer, Any], None]] = {
    Paragraph: _paragraph,
    Subheading: _subheading,
    Bullets: _bullets,
    Facts: _facts,
    Table: _table,
    Intervals: _picture,
    Scatter: _picture,
    Lines: _picture,
    Parts: _picture,
    CaseBrowser: _browser,
}
