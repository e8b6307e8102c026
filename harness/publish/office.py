"""What Word documents and slides share: safe text, pictures, templates, files that are the same each time."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.apart import Apart, Refused
from harness.errors import UserError
from harness.publish.blocks import Report
from harness.publish.brand import Brand, Logo
from harness.publish.text import one_line

MOST_UNPACKED = 200 * 2**20
"""Bytes that a template may unpack to."""
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError, struct.error)
_BROKEN_PARTS = (*_BROKEN_ZIP, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, SyntaxError)
"""What the libraries for Word and PowerPoint raise over a damaged file, beside errors of their own."""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def opened(template: bytes, kind: str) -> io.BytesIO:
    """A house template that is safe to open; `kind` is `docx` or `pptx`.

    Raises:
        UserError: it is no such file, or unpacks to more than 200 MB.
    """
    part = {"docx": "word/document.xml", "pptx": "ppt/presentation.xml"}[kind]
    try:
        with zipfile.ZipFile(io.BytesIO(template)) as packed:
            size = sum(info.file_size for info in packed.infolist())
            names = set(packed.namelist())
            damaged = None if size > MOST_UNPACKED else packed.testzip()
    except _BROKEN_ZIP:
        size, names, damaged = 0, set(), None
    if part not in names or "[Content_Types].xml" not in names or damaged is not None:
        raise UserError(f"the template is no .{kind} file that can be opened; save it as .{kind} and try again")
    if size > MOST_UNPACKED:
        raise UserError(f"the .{kind} template unpacks to more than 200 MB; make its pictures smaller")
    _try_out(template, kind)
    return io.BytesIO(template)


def _try_out(template: bytes, kind: str) -> None:
    """Have the library take the template apart in a helper with limits, before it does so here."""
    with tempfile.TemporaryDirectory() as folder, Apart() as apart:
        path = Path(folder) / f"template.{kind}"
        path.write_bytes(template)
        try:
            apart.call(_opened_word if kind == "docx" else _opened_slides, path)
        except Refused as error:
            raise refused(kind, error) from None


def _opened_word(path: Path) -> None:
    import docx

    try:
        document = docx.Document(str(path))
        # What a report needs of it.
        _ = [document.sections[-1].footer, document.core_properties.title, document.element.body[-1]]
        _ = [style.name for style in document.styles]
        _ = [paragraph.text for paragraph in document.paragraphs]
    except _errors_over("docx") as error:
        raise Refused(str(error) or type(error).__name__) from error


def _opened_slides(path: Path) -> None:
    import pptx

    try:
        deck = pptx.Presentation(str(path))
        # What a report needs of it.
        _ = [deck.slide_width * deck.slide_height, deck.core_properties.title, len(deck.slides)]
        _ = [(layout.name, list(layout.placeholders)) for layout in deck.slide_layouts]
    except _errors_over("pptx") as error:
        raise Refused(str(error) or type(error).__name__) from error


def _errors_over(kind: str) -> tuple[type[Exception], ...]:
    """What the library for such files raises over a damaged one."""
    if kind == "docx":
        from docx.exceptions import PythonDocxError
        from docx.opc.exceptions import OpcError

        return (*_BROKEN_PARTS, PythonDocxError, OpcError)
    from pptx.exc import PythonPptxError

    return (*_BROKEN_PARTS, PythonPptxError)


@contextmanager
def written_into(template: bytes | None, kind: str) -> Iterator[None]:
    """What the library finds wrong with a house template only while it is written into becomes a sentence too.

    Raises:
        UserError: the template cannot be used.
    """
    try:
        yield
    except UserError:
        raise
    except _errors_over(kind) as error:
        if template is None:
            raise
        raise refused(kind, error) from error


def refused(kind: str, error: Exception) -> UserError:
    """What to say where a library cannot read a template."""
    said = " ".join(str(error).split())[:120]
    return UserError(f"the .{kind} template cannot be read ({said}); save it anew as .{kind} and try again")


def describe(told: Any, report: Report, brand: Brand) -> None:
    """A file's core properties: whose it is, and dates that do not change."""
    told.title, told.author = one_line(report.title)[:250], one_line(brand.firm or "bakeoff")[:250]
    told.language, told.comments, told.keywords = "en", "", ""
    told.created = told.modified = datetime(2000, 1, 1, tzinfo=UTC)
    told.last_modified_by, told.revision = "", 1


def logo_picture(brand: Brand) -> tuple[io.BytesIO, float] | None:
    """The logo as a picture that Office shows, and its width over its height; None without one."""
    if brand.logo is None:
        return None
    data = _painted(brand.logo) if brand.logo.kind == "svg" else brand.logo.data
    return io.BytesIO(data), brand.logo.width / max(1, brand.logo.height)


def _painted(logo: Logo) -> bytes:
    """An SVG logo as PNG; Office formats hold no SVG alone."""
    import typst

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "logo.svg").write_bytes(logo.data)
        high = f"{min(1200.0, max(6.0, 240 * logo.height / max(1, logo.width))):.1f}pt"  # whatever the file itself says
        page = (
            f"#set page(width: 240pt, height: {high}, margin: 0pt, fill: none)\n"
            f'#image("logo.svg", width: 100%, height: {high}, fit: "contain")'
        )
        (root / "logo.typ").write_text(page, encoding="utf-8")
        try:
            found: Any = typst.compile(root / "logo.typ", root=root, format="png", ppi=300)
        except RuntimeError as error:
            raise UserError(f"the SVG logo cannot be drawn ({str(error)[:120]}); save it as PNG") from None
    return bytes(found if isinstance(found, bytes) else found[0])


def packed_again(content: bytes) -> bytes:
    """The same file with dates that do not change, so that the same report gives the same bytes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            info = zipfile.ZipInfo(name, _LONG_AGO)
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))
    return out.getvalue()
