"""Report -> PPTX: native titles, bullets, tables and pictures for the body of the report, one thought a slide."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.publish import charts
from harness.publish.blocks import (
    Block,
    Bullets,
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
from harness.publish.text import one_line, right_to_left, shortened, shortened_words, shown

_EMU = 914_400
"""To an inch."""
_INK, _MUTED, _PANEL = "1B1F24", "57606A", "F3F5F8"
_LARGEST, _SMALLEST = 18, 12
"""Points of a slide's text; below the smallest it goes on on the next slide."""
_LETTER, _LEADING = 0.52, 1.25
"""Mean width of a letter, and height of a line, over the size of type."""
_MOST_BULLETS = 7
_MOST_TABLES = 2
"""Of a section; the report has all."""
_SHORT = 260
"""Letters that may stand above a picture or a table."""
_MOST_ROWS = 12
_MOST_COLUMNS = 7
_LONGEST_CELL = 160


def to_pptx(report: Report, brand: Brand, *, template: bytes | None = None) -> bytes:
    """The report's body as slides; the same report and brand give the same bytes.

    `template`: a house's own file. Its master, layouts and colours stay, its slides go.

    Raises:
        UserError: the template is no presentation that can be read.
    """
    with written_into(template, "pptx"):
        return _made(report, brand, template)


def _made(report: Report, brand: Brand, template: bytes | None) -> bytes:
    deck = _Deck(_presentation(template), brand, own=template is None)
    _title_slide(deck, report)
    _summary_slides(deck, report.summary)
    for section in report.sections:
        if section.place is Place.BODY:
            _section_slides(deck, section)
    _last_slide(deck, report)
    describe(deck.file.core_properties, report, brand)
    buffer = io.BytesIO()
    deck.file.save(buffer)
    return packed_again(buffer.getvalue())


def _presentation(template: bytes | None) -> Any:
    import pptx
    from pptx.util import Inches

    if template is None:
        made: Any = pptx.Presentation()
        stretch = Inches(13.333) / made.slide_width
        made.slide_width, made.slide_height = Inches(13.333), Inches(7.5)
        for shape in _placed(made):
            shape.left, shape.width = round(shape.left * stretch), round(shape.width * stretch)
        return made
    made = pptx.Presentation(opened(template, "pptx"))
    for extension in made.part._element.xpath("./p:extLst"):  # the list of sections, among others
        made.part._element.remove(extension)
    slides = made.slides._sldIdLst
    for one in list(slides):
        made.part.drop_rel(one.rId)
        slides.remove(one)
    return made


def _placed(file: Any) -> Iterator[Any]:
    """Shapes of the masters and layouts that have a place of their own: the library's default is 4:3."""
    for master in file.slide_masters:
        for owner in (master, *master.slide_layouts):
            yield from (shape for shape in owner.shapes if shape._element.xpath(".//a:off"))


# ---- the deck


@dataclass(frozen=True, slots=True)
class _Box:
    """A place on a slide, in inches."""

    left: float
    top: float
    width: float
    height: float


@dataclass(slots=True)
class _Deck:
    """Adds slides; knows where a slide's content may stand."""

    file: Any
    brand: Brand
    own: bool

    @property
    def width(self) -> float:
        return float(self.file.slide_width) / _EMU

    @property
    def height(self) -> float:
        return float(self.file.slide_height) / _EMU

    @property
    def content(self) -> _Box:
        """Below the title, above the foot."""
        margin = 0.055 * self.width
        top = 0.2 * self.height
        return _Box(margin, top, self.width - 2 * margin, self.height - top - 0.62)

    @property
    def accent(self) -> str:
        return self.brand.accent.lstrip("#").upper()

    def slide(self, title: str, *, notes: str = "") -> Any:
        """A new slide with a title and a foot; what a layout has beside its title is taken away."""
        made = self.file.slides.add_slide(self._layout())
        for shape in list(made.placeholders):
            if shape.placeholder_format.type is None or shape.placeholder_format.idx != 0:
                shape._element.getparent().remove(shape._element)
        self._title(made, title)
        self._foot(made)
        if notes:
            made.notes_slide.notes_text_frame.text = shown(notes)
        return made

    def _layout(self) -> Any:
        """The layout with a title and the least beside it."""
        from pptx.enum.shapes import PP_PLACEHOLDER

        titles = (PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE)
        layouts = [
            one for one in self.file.slide_layouts if any(p.placeholder_format.type in titles for p in one.placeholders)
        ]
        plain = [one for one in layouts if one.placeholders[0].placeholder_format.type == PP_PLACEHOLDER.TITLE]
        found = plain or layouts or list(self.file.slide_layouts)
        return min(found, key=lambda one: len(one.placeholders))

    def _title(self, slide: Any, title: str) -> None:
        text = shortened_words(one_line(title), 110)
        box = _Box(self.content.left, 0.05 * self.height, self.content.width, 0.13 * self.height)
        if slide.shapes.title is None:
            self.text(slide, [text], box, size=26, bold=True)
            return
        frame = slide.shapes.title.text_frame
        frame.text = text
        if self.own:
            _place(slide.shapes.title, box)
            size = 28 if len(text) <= 55 else 23
            _look(frame.paragraphs[0], size=size, bold=True, color=self.accent)
            _left(frame)

    def _foot(self, slide: Any) -> None:
        line = " · ".join(one_line(part) for part in (self.brand.confidentiality, self.brand.client) if part)
        box = _Box(self.content.left, self.height - 0.5, self.content.width - 1, 0.3)
        if line:
            self.text(slide, [shortened_words(line, 140)], box, size=10, color=_MUTED)
        number = self.text(
            slide, [""], _Box(self.width - self.content.left - 1, box.top, 1, 0.3), size=10, color=_MUTED
        )
        _number_field(number.text_frame.paragraphs[0])

    def text(  # each a trait of the text
        self,
        slide: Any,
        texts: Sequence[str],
        box: _Box,
        *,
        size: float,
        bold: bool = False,
        color: str = _INK,
        bullets: bool = False,
    ) -> Any:
        """A text box with a paragraph a text."""
        made = slide.shapes.add_textbox(*(_emu(part) for part in (box.left, box.top, box.width, box.height)))
        frame = made.text_frame
        frame.word_wrap = True
        frame.margin_left = frame.margin_right = 0
        for place, text in enumerate(texts):
            paragraph = frame.paragraphs[0] if place == 0 else frame.add_paragraph()
            paragraph.text = shown(text).replace("\n", "\v")
            _look(paragraph, size=size, bold=bold, color=color)
            if bullets:
                _bullet(paragraph, size)
            if right_to_left(text):
                paragraph._p.get_or_add_pPr().set("rtl", "1")
        return made


def _emu(inches: float) -> int:
    return round(inches * _EMU)


def _place(shape: Any, box: _Box) -> None:
    shape.left, shape.top, shape.width, shape.height = (_emu(p) for p in (box.left, box.top, box.width, box.height))


def _look(paragraph: Any, *, size: float, bold: bool = False, color: str = _INK) -> None:
    from pptx.util import Pt

    for run in paragraph.runs:
        run.font.size, run.font.bold = Pt(size), bold
        run.font.color.rgb = _color(color)
    paragraph.space_after = Pt(round(size * 0.35))


def _color(digits: str) -> Any:
    from pptx.dml import color

    library: Any = color.RGBColor
    return library.from_string(digits)


def _left(frame: Any) -> None:
    from pptx.enum.text import MSO_ANCHOR, PP_ALIGN

    frame.paragraphs[0].alignment = PP_ALIGN.LEFT
    frame.vertical_anchor = MSO_ANCHOR.BOTTOM
    frame.margin_left = 0


def _bullet(paragraph: Any, size: float) -> None:
    from pptx.oxml import parse_xml
    from pptx.oxml.ns import nsdecls

    settings = paragraph._p.get_or_add_pPr()
    indent = round(size * 12_700)
    settings.set("marL", str(indent))
    settings.set("indent", str(-indent))
    settings.append(parse_xml(f'<a:buFont {nsdecls("a")} typeface="Arial"/>'))
    settings.append(parse_xml(f'<a:buChar {nsdecls("a")} char="•"/>'))


def _number_field(paragraph: Any) -> None:
    from pptx.enum.text import PP_ALIGN
    from pptx.oxml import parse_xml
    from pptx.oxml.ns import nsdecls

    kind = f'<a:fld {nsdecls("a")} id="{{B6F15528-21DE-4FAA-801E-634DDDAF4B2B}}" type="slidenum">'
    look = f'<a:rPr lang="en" sz="1000"><a:solidFill><a:srgbClr val="{_MUTED}"/></a:solidFill></a:rPr>'
    paragraph._p.insert(0, parse_xml(f"{kind}{look}<a:t>‹#›</a:t></a:fld>"))
    paragraph.alignment = PP_ALIGN.RIGHT


# ---- slides


def _title_slide(deck: _Deck, report: Report) -> None:
    slide = deck.slide(report.title)
    area = deck.content
    lines = [report.subtitle, f"Prepared for {deck.brand.client}" if deck.brand.client else ""]
    lines += [" · ".join(part for part in (deck.brand.firm, deck.brand.date) if part)]
    head = _Box(area.left, area.top + 0.2, area.width, 1.1)
    deck.text(slide, [shortened_words(one_line(report.summary.title), 90)], head, size=32, bold=True)
    below = _Box(area.left, area.top + 1.5, area.width, 2.0)
    deck.text(slide, [shortened_words(one_line(line), 160) for line in lines if line], below, size=16, color=_MUTED)
    logo = logo_picture(deck.brand)
    if logo:
        data, ratio = logo
        height = min(0.9, 3.0 / ratio)
        place = (area.left, deck.height - 0.75 - height, ratio * height, height)
        made = slide.shapes.add_picture(data, *(_emu(part) for part in place))
        _describe_shape(made, f"Logo of {one_line(deck.brand.firm or 'the firm')}")


def _summary_slides(deck: _Deck, summary: Section) -> None:
    """The recommendation with its three numbers; then what stands under each further heading."""
    paragraphs = [block for block in summary.blocks if isinstance(block, Paragraph)]
    lead = next((one.text for one in paragraphs if one.lead), summary.title)
    facts = next((block.facts for block in summary.blocks if isinstance(block, Facts) and block.key), ())
    head = summary.blocks[: next((i for i, b in enumerate(summary.blocks) if isinstance(b, Subheading)), None)]
    beside = [one.text for one in head if isinstance(one, Paragraph) and not one.lead and not one.note]
    slide = deck.slide(summary.title, notes=_said(summary))
    area = deck.content
    top, middle = 0.26 * area.height, 0.36 * area.height
    first = _Box(area.left, area.top, area.width, top)
    deck.text(slide, [lead], first, size=_fitting([lead], first, largest=22))
    part = area.width / max(1, len(facts))
    for place, fact in enumerate(facts):
        card = _Box(area.left + place * part, area.top + top + 0.05, part - 0.2, middle)
        _card(deck, slide, card, (fact.label, fact.value, fact.remark))
    below = _Box(area.left, area.top + top + middle + 0.25, area.width, area.height - top - middle - 0.25)
    if beside:
        deck.text(slide, beside, below, size=_fitting(beside, below, largest=14, smallest=11), color=_MUTED)
    _section_slides(deck, replace(summary, blocks=summary.blocks[len(head) :]), notes="")


def _card(deck: _Deck, slide: Any, box: _Box, texts: tuple[str, str, str]) -> None:
    from pptx.enum.shapes import MSO_SHAPE

    ground = slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, *(_emu(p) for p in (box.left, box.top, box.width, box.height)))
    ground.fill.solid()
    ground.fill.fore_color.rgb = _color(_PANEL)
    ground.line.fill.background()
    ground.shadow.inherit = False
    label, value, remark = texts
    inner = box.width - 0.4
    rows = ((label, 0.12, 0.4, 12, _MUTED), (value, 0.5, 0.95, 24, deck.accent), (remark, 1.5, 0.8, 11, _MUTED))
    for text, top, height, largest, color in rows:
        place = _Box(box.left + 0.2, box.top + top, inner, height)
        size = _fitting([text], place, largest=largest, smallest=10)
        deck.text(slide, [text], place, size=size, bold=color == deck.accent, color=color)


def _section_slides(deck: _Deck, section: Section, *, notes: str | None = None) -> None:
    """Pictures and tables on slides of their own, with a short text above them; longer texts before them."""
    title, text, tables = section.title, list[Block](), 0
    said = _said(section) if notes is None else notes
    for block in section.blocks:
        if isinstance(block, Subheading):
            _text_slides(deck, title, text, notes=said)
            title, text = block.text, []
        elif isinstance(block, Table):
            tables += 1
            if tables <= _MOST_TABLES:
                _table_slides(deck, title, block, above=_above(deck, title, text, said))
                text = []
        elif isinstance(block, Intervals | Scatter | Lines | Parts):
            _picture_slide(deck, title, block, above=_above(deck, title, text, said))
            text = []
        else:
            text.append(block)
    _text_slides(deck, title, text, notes=said)


def _above(deck: _Deck, title: str, blocks: Sequence[Block], notes: str) -> str:
    """A text that is short enough to stand above what follows; a longer one gets its own slides."""
    texts = list(_sentences(blocks))
    if len(texts) <= 1 and len("".join(texts)) <= _SHORT:
        return "".join(texts)
    _text_slides(deck, title, blocks, notes=notes)
    return ""


def _said(section: Section) -> str:
    """A section's paragraphs in full, for the speaker."""
    return "\n\n".join(block.text for block in section.blocks if isinstance(block, Paragraph))[:4000]


def _text_slides(deck: _Deck, title: str, blocks: Sequence[Block], *, notes: str) -> None:
    """Sentences as bullets, as many on a slide as can be read."""
    texts = list(_sentences(blocks))
    for group in _groups(texts, deck.content):
        slide = deck.slide(title, notes=notes)
        deck.text(slide, group, deck.content, size=_fitting(group, deck.content), bullets=len(group) > 1)


def _sentences(blocks: Sequence[Block]) -> Iterator[str]:
    yield from (text for text in _all_sentences(blocks) if text.strip())


def _all_sentences(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if (isinstance(block, Paragraph) and not block.note) or isinstance(block, Subheading):
            yield block.text
        elif isinstance(block, Bullets):
            yield from block.items
        elif isinstance(block, Facts):
            yield from (f"{fact.label}: {fact.value}" for fact in block.facts)


def _groups(texts: Sequence[str], box: _Box) -> Iterator[list[str]]:
    group: list[str] = []
    for text in texts:
        cut = shortened(text, 900)
        if group and (len(group) >= _MOST_BULLETS or _height([*group, cut], box.width, _SMALLEST + 2) > box.height):
            yield group
            group = []
        group.append(cut)
    if group:
        yield group


def _height(texts: Sequence[str], width: float, size: float) -> float:
    """Inches that these paragraphs need, about."""
    across = max(8, int(width * 72 / (size * _LETTER)))
    lines = sum(max(1, math.ceil(len(line) / across)) for text in texts for line in text.split("\n"))
    return (lines * _LEADING + 0.35 * len(texts)) * size / 72


def _fitting(texts: Sequence[str], box: _Box, *, largest: int = _LARGEST, smallest: int = _SMALLEST) -> int:
    """The largest size, in points, at which the texts fit."""
    sizes = range(largest, smallest - 1, -1)
    return next((size for size in sizes if _height(texts, box.width - 0.3, size) <= box.height), smallest)


def _picture_slide(deck: _Deck, title: str, block: Picture, *, above: str) -> None:
    slide = deck.slide(title, notes=block.alt)
    area = _headed(deck, slide, above, block.caption)
    data = io.BytesIO(charts.png(block, Look(accent=deck.brand.accent)))
    made = slide.shapes.add_picture(data, _emu(area.left), _emu(area.top))
    scale = min(_emu(area.width) / made.width, _emu(area.height) / made.height)
    made.width, made.height = round(made.width * scale), round(made.height * scale)
    made.left = _emu(area.left) + (_emu(area.width) - made.width) // 2
    _describe_shape(made, block.alt or block.caption)


def _headed(deck: _Deck, slide: Any, above: str, caption: str) -> _Box:
    """Puts text and caption at the top of a slide; what is left below them."""
    area = deck.content
    texts = [text for text in (above, shortened_words(one_line(caption), 160)) if text] or [" "]
    tall = [_height([text], area.width, size) for text, size in zip(texts, (14, 12)[-len(texts) :], strict=True)]
    if above:
        deck.text(slide, [above], _Box(area.left, area.top - 0.08, area.width, tall[0]), size=14)
    used = sum(tall)
    deck.text(
        slide, texts[-1:], _Box(area.left, area.top + used - tall[-1], area.width, tall[-1]), size=12, color=_MUTED
    )
    return _Box(area.left, area.top + used + 0.08, area.width, area.height - used - 0.08)


def _describe_shape(shape: Any, words: str) -> None:
    shape._element.nvPicPr.cNvPr.set("descr", one_line(words))


def _table_slides(deck: _Deck, title: str, block: Table, *, above: str) -> None:
    """A native table, continued on further slides; what has too many columns stays in the report."""
    if len(block.columns) > _MOST_COLUMNS + 2 or not block.columns or not block.rows:
        return
    area = deck.content
    head = 0.4 + (_height([above], area.width, 14) if above else 0.0)
    box = _Box(area.left, area.top + head, area.width, area.height - head)
    size = 12 if len(block.columns) <= 5 else 11
    pages = list(_pages(block, box, size))
    for number, rows in enumerate(pages, 1):
        more = f" ({number} of {len(pages)})" if len(pages) > 1 else ""
        slide = deck.slide(title)
        caption = f"{shortened_words(one_line(block.caption), 140)}{more}"
        place = _headed(deck, slide, above if number == 1 else "", caption)
        _native_table(deck, slide, block, rows, box=place, size=size)


def _shares(block: Table) -> list[float]:
    wanted = []
    for place, column in enumerate(block.columns):
        texts = [column.title, *(row[place] for row in block.rows)]
        wanted.append(min(max(max(map(len, texts)), 6), 44))
    return [width / sum(wanted) for width in wanted]


def _pages(block: Table, box: _Box, size: int) -> Iterator[list[int]]:
    """Indices of the rows that fit on a slide."""
    shares = _shares(block)

    def tall(cells: Sequence[str]) -> float:
        heights = (_height([_cut(c)], box.width * s - 0.2, size) for c, s in zip(cells, shares, strict=True))
        return max(heights) + 0.1

    head = tall([column.title for column in block.columns])
    page: list[int] = []
    used = head
    for place, row in enumerate(block.rows):
        if page and (len(page) >= _MOST_ROWS or used + tall(row) > box.height):
            yield page
            page, used = [], head
        page.append(place)
        used += tall(row)
    if page:
        yield page


def _cut(text: str) -> str:
    return shortened_words(one_line(text), _LONGEST_CELL)


def _native_table(deck: _Deck, slide: Any, block: Table, rows: Sequence[int], *, box: _Box, size: int) -> None:
    place = [_emu(part) for part in (box.left, box.top, box.width, 0.3 * (len(rows) + 1))]
    made = slide.shapes.add_table(len(rows) + 1, len(block.columns), *place).table
    made.horz_banding = False
    for index, share in enumerate(_shares(block)):
        made.columns[index].width = _emu(share * box.width)
    for index, column in enumerate(block.columns):
        _fill_cell(made.cell(0, index), column.title, size=size, right=column.number, bold=True, ground=deck.accent)
    for line, row in enumerate(rows, 1):
        made.rows[line].height = _emu(0.3)
        bold = row in block.marked
        for index, column in enumerate(block.columns):
            _fill_cell(made.cell(line, index), block.rows[row][index], size=size, right=column.number, bold=bold)


def _fill_cell(  # each a trait of the cell
    cell: Any, text: str, *, size: int, right: bool, bold: bool, ground: str = ""
) -> None:
    from pptx.enum.text import PP_ALIGN

    cell.text = shown(_cut(text))
    cell.margin_top = cell.margin_bottom = _emu(0.04)
    cell.fill.solid()
    cell.fill.fore_color.rgb = _color(ground or (_PANEL if bold else "FFFFFF"))
    paragraph = cell.text_frame.paragraphs[0]
    _look(paragraph, size=size, bold=bold, color="FFFFFF" if ground else _INK)
    paragraph.space_after = 0
    paragraph.alignment = PP_ALIGN.RIGHT if right else None


def _last_slide(deck: _Deck, report: Report) -> None:
    """Where everything is that slides do not hold."""
    rest = [section.title for section in report.sections if section.place is not Place.BODY]
    texts = ["The full report has every table, every case and the appendix: " + ", ".join(rest) + "."] if rest else []
    texts += [", ".join(deck.brand.contact)] if deck.brand.contact else []
    if texts:
        slide = deck.slide("Where the rest is")
        deck.text(slide, texts, deck.content, size=_fitting(texts, deck.content))
