"""What Word documents and slides share: safe text, pictures, templates, files that are the same each time."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from harness.errors import UserError
from harness.publish.brand import Brand, Logo

MOST_UNPACKED = 200 * 2**20
"""Bytes that a template may unpack to."""
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
    except (zipfile.BadZipFile, OSError, ValueError):
        size, names = 0, set()
    if part not in names or "[Content_Types].xml" not in names:
        raise UserError(f"the template is no .{kind} file that can be opened; save it as .{kind} and try again")
    if size > MOST_UNPACKED:
        raise UserError(f"the .{kind} template unpacks to more than 200 MB; make its pictures smaller")
    return io.BytesIO(template)


def refused(kind: str, error: Exception) -> UserError:
    """What to say where a library cannot read a template."""
    said = " ".join(str(error).split())[:120]
    return UserError(f"the .{kind} template cannot be read ({said}); save it anew as .{kind} and try again")


def logo_picture(brand: Brand) -> tuple[io.BytesIO, float] | None:
    """The logo as a picture that Office shows, and its width over its height; None without one."""
    if brand.logo is None:
        return None
    data = _painted(brand.logo) if brand.logo.kind == "svg" else brand.logo.data
    return io.BytesIO(data), brand.logo.width / max(1, brand.logo.height)


def _painted(logo: Logo) -> bytes:
    """An SVG logo as PNG; Office formats hold no SVG alone."""
    import tempfile
    from pathlib import Path

    import typst

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "logo.svg").write_bytes(logo.data)
        page = '#set page(width: auto, height: auto, margin: 0pt, fill: none)\n#image("logo.svg", width: 240pt)'
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
