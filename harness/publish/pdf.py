"""Report -> PDF, set by typst: a fixed template lays out the tree, which reaches it as data and never as source."""

from __future__ import annotations

import json
import re
import tempfile
import unicodedata
from functools import singledispatch
from importlib import resources
from pathlib import Path
from typing import Any

from harness.errors import UserError
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
from harness.publish.brand import Brand, Logo
from harness.publish.text import one_line, right_to_left, shortened_words, shown, where_cases_are

_TEMPLATE = "report.typ"
TEXT_INCHES = 6.5
"""Width of the text on an A4 page; the template's margins leave as much."""

_LONGEST_WORD = 40
"""Characters after which a word in running text may be broken: those of a commit's digest stay together."""
_NARROW = 22
"""The same in a narrow column."""
_CARD_SIZES = ((1.9, 10, 11), (1.45, 20, 15), (1.2, 40, 18))
"""Sizes in em of the values on cards, each with the most characters of a value and of a word for it."""
_SMALL_ROWS = 12
_SMALL_LETTERS = 1500
"""Of all cells of a table that is not cut by the end of a page."""
_LONGEST_WHOLE = 600
"""Characters up to which a row is kept on one page."""
_LONGEST_HEADER = 100
"""Characters of the title that fit at the head of a page."""
_LOGO_BOX = (55.0, 17.0)
"""Millimetres that a logo may fill."""

_WIDEST_TABLE = 710.0
"""Points that the columns of a table may share on a page laid on its side."""
_BETWEEN_COLUMNS = 10.0
_CHARACTER = 4.2
"""Points of a bold character in the smallest size of a table."""
_WORD_LIMITS = (24, 18, 14, 12, 10, 8, 6, 5, 4, 3, 2)
_PROBES = 6
"""The longest texts of a column that the template measures for the column's width."""

_BREAK = "\u200b"
"""Zero width space: a line may end here."""
_SPACES = re.compile(r"[ \n]+")
"""Where lines end; not the no-break spaces."""
_WORD = re.compile(r"[^ \n]+")
_JOINT = re.compile(r"(?<=[/\\_.,:;=@&?|+)\]}>-])(?=\w)")
"""Places inside a word where a reader expects it to be broken."""

_Data = dict[str, Any]
"""What the template reads: JSON objects."""


def to_pdf(report: Report, brand: Brand) -> bytes:
    """The whole document, A4, tagged; the same report and brand give the same bytes on the same machine.

    Raises:
        UserError: typst is not installed, or the logo is no picture.
    """
    data = _document(report, brand)
    try:
        return _typeset(data, brand.logo)
    except RuntimeError as problem:  # typst.TypstError, which cannot be named without importing typst
        if brand.logo is None or not _is_typeset(data):
            raise
        raise UserError(f"the logo cannot be drawn ({problem}); save it again as PNG, JPEG or plain SVG") from problem


def _typeset(data: _Data, logo: Logo | None) -> bytes:
    """The document, set in a private folder: typst can read no file but those in it, and fonts."""
    with tempfile.TemporaryDirectory(prefix="bakeoff-pdf-") as name:
        folder = Path(name)
        (folder / _TEMPLATE).write_bytes(
            resources.files("harness.publish").joinpath("templates", _TEMPLATE).read_bytes()
        )
        (folder / "report.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        if logo is not None:
            (folder / data["logo"]["file"]).write_bytes(logo.data)
        try:
            return _compiled(folder, "ua-1")
        except RuntimeError:  # a character that no font has, or an empty title, is all it takes
            return _compiled(folder)


def _compiled(folder: Path, *standards: str) -> bytes:
    """The document in the folder. `ua-1` is PDF/UA-1 (ISO 14289-1), which readers of the screen aloud rely on."""
    try:
        import typst
    except ImportError as problem:
        raise UserError("a PDF needs the package typst; install it with `pip install typst`") from problem
    compiler: Any = typst  # its types ask for one kind of path throughout
    made: bytes = compiler.compile(
        folder / _TEMPLATE, root=folder, font_paths=[_fonts()], format="pdf", pdf_standards=list(standards)
    )
    return made


def _is_typeset(data: _Data) -> bool:
    """Whether everything but the logo is in order."""
    try:
        return bool(_typeset({**data, "logo": None}, None))
    except RuntimeError:
        return False


def _fonts() -> str:
    """The folder of DejaVu Sans, which has the letters that Libertinus lacks: Arabic, Hebrew, many signs."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf")


def _document(report: Report, brand: Brand) -> _Data:
    sections = [(section, _section(section, brand)) for section in report.sections]
    return {
        "name": one_line(report.title),
        "author": one_line(brand.firm),
        "title": _text(report.title),
        "header": _text(shortened_words(one_line(report.title), _LONGEST_HEADER)),
        "subtitle": _text(report.subtitle),
        "summary": _section(report.summary, brand),
        "body": [data for section, data in sections if section.place is not Place.APPENDIX],
        "appendix": [data for section, data in sections if section.place is Place.APPENDIX],
        "end": _text(report.footer),
        "accent": brand.accent,
        "logo": _logo(brand),
        "firm": _text(brand.firm, _NARROW),
        "contact": [_text(line, _NARROW) for line in brand.contact],
        "client": _text(brand.client),
        "date": _text(brand.date),
        "confidentiality": _text(brand.confidentiality),
    }


def _logo(brand: Brand) -> _Data | None:
    if brand.logo is None:
        return None
    scale = min(_LOGO_BOX[0] / brand.logo.width, _LOGO_BOX[1] / brand.logo.height)
    return {
        "file": f"logo.{brand.logo.kind}",
        "width": brand.logo.width * scale,
        "height": brand.logo.height * scale,
        "alt": one_line(f"Logo of {brand.firm}" if brand.firm else "Logo"),
    }


def _section(section: Section, brand: Brand) -> _Data:
    return {"title": _text(section.title), "blocks": [_block(block, brand) for block in section.blocks]}


@singledispatch
def _block(block: Block, _brand: Brand) -> _Data:
    raise TypeError(f"no PDF for {type(block).__name__}")


@_block.register
def _(block: Paragraph, _brand: Brand) -> _Data:
    return {"kind": "lead" if block.lead else "note" if block.note else "paragraph", "text": _text(block.text)}


@_block.register
def _(block: Subheading, _brand: Brand) -> _Data:
    return {"kind": "subheading", "text": _text(block.text)}


@_block.register
def _(block: Bullets, _brand: Brand) -> _Data:
    return {"kind": "bullets", "items": [_text(item) for item in block.items]}


@_block.register
def _(block: Facts, _brand: Brand) -> _Data:
    if not block.key:
        return {"kind": "facts", "facts": [_fact(fact, _LONGEST_WORD) for fact in block.facts]}
    values = [fact.value for fact in block.facts]
    return {"kind": "cards", "size": _card_size(values), "facts": [_fact(fact, _NARROW) for fact in block.facts]}


@_block.register
def _(block: Table, _brand: Brand) -> _Data:
    limit = _word_limit(block)
    return {
        "kind": "table",
        "caption": _text(block.caption),
        "columns": [_column(block, index, limit) for index in range(len(block.columns))],
        "rows": [_row(block, index, limit) for index in range(len(block.rows))],
        "whole": _is_small(block),
    }


def _is_small(table: Table) -> bool:
    """Whether the table surely fits a page and so stays on one."""
    letters = sum(len(cell) for row in table.rows for cell in row)
    return len(table.rows) <= _SMALL_ROWS and letters <= _SMALL_LETTERS


@_block.register(Intervals)
@_block.register(Lines)
@_block.register(Parts)
@_block.register(Scatter)
def _(block: Picture, brand: Brand) -> _Data:
    look = charts.Look(inches=TEXT_INCHES, accent=brand.accent)
    drawn = charts.svg(block, look, outlines=True)
    return {"kind": "picture", "caption": _text(block.caption), "alt": one_line(block.alt), "svg": drawn}


@_block.register
def _(block: CaseBrowser, _brand: Brand) -> _Data:
    return {"kind": "paragraph", "text": _text(where_cases_are(sum(len(group.cases) for group in block.groups)))}


def _card_size(values: list[str]) -> float:
    """One size in em for all values, so that each keeps to its card."""
    length = max(map(_units, values), default=0)
    word = max((_units(word) for value in values for word in _SPACES.split(value)), default=0)
    return next((size for size, most, widest in _CARD_SIZES if length <= most and word <= widest), 1.0)


def _fact(fact: Fact, limit: int) -> _Data:
    return {
        "label": _text(fact.label, _NARROW),
        "value": _text(fact.value, limit),
        "remark": _text(fact.remark, limit),
        "long": _is_long(fact.label, fact.value, fact.remark),
    }


def _column(table: Table, index: int, limit: int) -> _Data:
    """A column with its longest texts and words, from which its width follows."""
    cells = [row[index] for row in table.rows]
    title = table.columns[index].title
    words = {word for text in (*cells, title) for word in _words(text, limit)}
    return {
        "title": _text(title, limit),
        "number": table.columns[index].number,
        "texts": [shown(text) for text in _longest(set(cells))],
        "words": _longest(words),
    }


def _row(table: Table, index: int, limit: int) -> _Data:
    row = table.rows[index]
    cells = [_text(cell, limit) for cell in row]
    return {"cells": cells, "marked": index in table.marked, "long": _is_long(*row)}


def _word_limit(table: Table) -> int:
    """Characters after which a word of the table may be broken: so many that all columns fit beside each other."""
    lengths = [
        max((_units(word) for text in texts for word in _SPACES.split(shown(text))), default=0)
        for texts in zip(*([column.title for column in table.columns], *table.rows), strict=True)
    ]
    room = (_WIDEST_TABLE - _BETWEEN_COLUMNS * len(lengths)) / _CHARACTER
    fitting = (limit for limit in _WORD_LIMITS if sum(min(length, limit) for length in lengths) <= room)
    return next(fitting, _WORD_LIMITS[-1])


def _longest(texts: set[str]) -> list[str]:
    return sorted(texts, key=lambda text: (-_units(text), text))[:_PROBES]


def _text(text: str, limit: int = _LONGEST_WORD) -> str | _Data:
    """Text for the template: a string, or pieces between which a line may end and the direction they run in."""
    pieces = _pieces(text, limit)
    turned = right_to_left(text)
    if len(pieces) == 1 and not turned:
        return pieces[0]
    return {"pieces": pieces, "rtl": turned}


def _is_long(*texts: str) -> bool:
    """Whether what holds these texts may be cut by the end of a page; what is shorter surely fits one."""
    return max(map(len, texts), default=0) > _LONGEST_WHOLE


def _words(text: str, limit: int) -> list[str]:
    """What must stand on one line each."""
    return [word for piece in _pieces(text, limit) for word in _SPACES.split(piece)]


def _pieces(text: str, limit: int) -> list[str]:
    """The text, cut inside of every word longer than `limit`; nothing is added or lost."""
    clean = shown(text).strip().replace("\t", " ")
    return _WORD.sub(lambda word: _BREAK.join(_word_pieces(word.group(), limit)), clean).split(_BREAK)


def _word_pieces(word: str, limit: int) -> list[str]:
    if _units(word) <= limit:
        return [word]
    return [piece for part in _JOINT.split(word) for piece in _chopped(part, limit)]


def _chopped(part: str, limit: int) -> list[str]:
    """Pieces of at most `limit` characters; an accent or a joined emoji stays with the letter before it."""
    pieces = [""]
    for letter in part:
        full = _units(pieces[-1]) + _units(letter) > limit
        if full and not _leans(letter) and not pieces[-1].endswith("\u200d"):
            pieces.append("")
        pieces[-1] += letter
    return [piece for piece in pieces if piece]


def _leans(letter: str) -> bool:
    """Whether the character is shown together with the one before it."""
    return unicodedata.category(letter) in {"Mn", "Mc", "Me", "Cf", "Sk"}


def _units(text: str) -> float:
    """Width in small letters of an ordinary word; broad letters count for more."""
    return sum(_width(letter) for letter in text)


def _width(letter: str) -> float:
    if letter in "MW" or unicodedata.east_asian_width(letter) in {"W", "F"}:
        return 2.0
    return 1.7 if letter in "mw" else 1.4 if letter.isupper() else 1.0
