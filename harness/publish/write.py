"""Writes a document in the formats that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.disk import write_whole
from harness.errors import UserError
from harness.publish.blocks import Report
from harness.publish.brand import PLAIN, Brand

FORMATS = ("html", "pdf", "docx", "pptx", "md")
TEMPLATES = ("docx", "pptx")
"""Formats that take a house template."""
MOST_TEMPLATE_BYTES = 20 * 2**20


def formats_in(text: str) -> tuple[str, ...]:
    """`html, pdf` -> the formats named, each once.

    Raises:
        UserError: a name that is no format.
    """
    named = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    unknown = [name for name in named if name not in FORMATS]
    if unknown or not named:
        got = f"got {', '.join(map(repr, unknown))}" if unknown else "none was named"
        raise UserError(f"--format takes {', '.join(FORMATS)}, separated by commas; {got}")
    return named


def templates_in(paths: Sequence[Path]) -> dict[str, bytes]:
    """House templates by format.

    Raises:
        UserError: a file that cannot be read, is too large, is of another format, or two of one format.
    """
    found: dict[str, bytes] = {}
    for path in paths:
        kind = path.suffix.lower().lstrip(".")
        if kind not in TEMPLATES:
            raise UserError(f"--template takes a .docx or a .pptx file; got {path}")
        if kind in found:
            raise UserError(f"--template was given two {kind} files; give one of each kind")
        found[kind] = _template(path)
    return found


def _template(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_TEMPLATE_BYTES:
            raise UserError(f"the template {path} is larger than 20 MB; make its pictures smaller")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"the template {path} cannot be read ({error.strerror}); check the path") from None


def write_documents(
    report: Report,
    folder: Path,
    *,
    formats: Sequence[str],
    name: str,
    brand: Brand = PLAIN,
    templates: dict[str, bytes] | None = None,
) -> tuple[Path, ...]:
    """Writes `name.FORMAT` into `folder` for every format and returns the paths, in the formats' order.

    All are made before the first one is written, and each is written beside its place and then moved there, so that a
    reader never meets half a document.

    Raises:
        UserError: a template that is none, or a folder that cannot be written.
    """
    made = [(kind, _made(kind, report, brand, (templates or {}).get(kind))) for kind in formats]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}); name another folder with --out") from None
    return tuple(_replaced(folder / f"{name}.{kind}", content) for kind, content in made)


def _made(kind: str, report: Report, brand: Brand, template: bytes | None) -> bytes:
    return _MAKERS[kind](report, brand, template)


def _html(report: Report, brand: Brand, _: bytes | None) -> bytes:
    from harness.publish.html import to_html

    return to_html(report, brand).encode()


def _markdown(report: Report, _: Brand, __: bytes | None) -> bytes:
    from harness.publish.markdown import to_markdown

    return to_markdown(report).encode()


def _pdf(report: Report, brand: Brand, _: bytes | None) -> bytes:
    from harness.publish.pdf import to_pdf

    return to_pdf(report, brand)


def _docx(report: Report, brand: Brand, template: bytes | None) -> bytes:
    from harness.publish.word import to_docx

    return to_docx(report, brand, template=template)


def _pptx(report: Report, brand: Brand, template: bytes | None) -> bytes:
    from harness.publish.slides import to_pptx

    return to_pptx(report, brand, template=template)


_MAKERS: dict[str, Callable[[Report, Brand, bytes | None], bytes]] = {
    "html": _html,
    "pdf": _pdf,
    "docx": _docx,
    "pptx": _pptx,
    "md": _markdown,
}


def _replaced(path: Path, content: bytes) -> Path:
    try:
        write_whole(path, content)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); name another folder with --out") from None
    return path
