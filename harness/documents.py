"""The documents of a scenario: rows of `corpus.jsonl`, or text, Markdown, HTML, PDF and Word files under `corpus/`.

The libraries that open PDF, Word and HTML files work in a helper process (`harness.apart`), which is started
when the first such file is met: a hostile file can neither keep us waiting nor fill the memory.
"""

from __future__ import annotations

import codecs
import logging
import os
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.apart import Apart, Refused
from harness.jsonl import JsonLine, json_lines, kind_of, text_of
from harness.scenario import Document, Problem
from harness.spool import Firsts, kept

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from docx.table import Table
    from docx.text.paragraph import Paragraph

DEFAULT_SOURCES = ("corpus.jsonl", "corpus")
LARGEST_FILE = 200_000_000
"""Bytes of one document, unpacked where it is a Word file; more is refused, so that no file can fill the memory."""

DAMAGED = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    SyntaxError,
    EOFError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What a damaged file makes the libraries for PDF, Word and Excel raise, beside their own errors."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ROW_FIELDS = ("id", "title", "text")
_HIDDEN_TAGS = ("script", "style", "template", "noscript", "title")
_BLOCK_TAGS = re.compile(
    "address|article|aside|blockquote|dd|div|dl|dt|figure|footer|form|h[1-6r]|header|li|main|nav|ol|p|pre|section"
    "|table|tr|ul"
)


@dataclass(frozen=True, slots=True)
class _Content:
    title: str
    text: str
    note: str = ""
    """Something worth a warning, such as a guessed encoding."""


def read_documents(folder: Path, *, corpus: str = "") -> tuple[Sequence[Document], tuple[Problem, ...]]:
    """Read the folder's `corpus.jsonl` and `corpus/`, or only `corpus` (relative to `folder`) where it is given.

    Documents come in a fixed order (rows in file order, files by path); large collections are kept on disk (`spool`).
    Never raises for what is found on disk: a file that cannot be opened is an error, one that is empty or of an unknown
    kind is left out with a warning. Raises UserError where a large collection cannot be kept.
    """
    sources = [corpus] if corpus else [name for name in DEFAULT_SOURCES if os.path.lexists(folder / name)]
    problems: list[Problem] = []
    documents = kept(_good(_read(folder, sources), problems), Document)
    return documents, (*problems, *(_same_ids(documents) if len(sources) > 1 else ()))


def _good(found: Iterator[Document | Problem], problems: list[Problem]) -> Iterator[Document]:
    """The documents; the problems between them go into the list."""
    for item in found:
        if isinstance(item, Problem):
            problems.append(item)
        else:
            yield item


def _read(folder: Path, sources: Sequence[str]) -> Iterator[Document | Problem]:
    if len(sources) > 1:
        yield Problem("warning", "corpus.jsonl and corpus/ are both here; both are read", "corpus.jsonl")
    with Apart() as apart:
        for name in sources:
            try:
                yield from _read_source(folder, name, apart=apart)
            except OSError as error:  # a name that the system refuses, a folder that may not be entered
                said = f"the corpus cannot be read ({error.strerror or error})"
                yield Problem("error", said, _shown(name)[:200])


def decode_text(data: bytes) -> tuple[str, str]:
    """Decode a text file that need not be UTF-8; the second text is a note where the encoding was guessed.

    A byte order mark decides; then UTF-8 is tried, and what is left is read as Windows-1252.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace").removeprefix("\ufeff"), ""
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        note = "is not UTF-8 and was read as Windows-1252 (Latin-1); save it as UTF-8 to be sure"
        return data.decode("cp1252", errors="replace"), note


def _read_source(folder: Path, name: str, *, apart: Apart) -> Iterator[Document | Problem]:
    path = folder / name
    if path.is_dir():
        yield from _read_folder(path, name=name, home=folder, apart=apart)
    elif path.is_file() and path.suffix == ".jsonl":
        yield from _read_rows(path, name)
    elif path.is_file():
        yield Problem("error", "the corpus must be a .jsonl file or a folder of documents", name)
    else:
        yield Problem("error", f"the corpus is not there: no file or folder {name!r} in {folder}", name)


def _same_ids(documents: Sequence[Document]) -> Iterator[Problem]:
    """Find ids that a row and a file share; those of two rows are found with their lines."""
    with Firsts() as first:
        for document in documents:
            source = first.setdefault(document.id, document.source)
            if source != document.source:
                message = f"the document id {document.id!r} stands in {source} too; ids must be unique"
                yield Problem("error", message, document.source)


# Rows


def _read_rows(path: Path, name: str) -> Iterator[Document | Problem]:
    with Firsts() as lines:
        yield from _rows(path, name, lines=lines)


def _rows(path: Path, name: str, *, lines: Firsts) -> Iterator[Document | Problem]:
    extra: dict[str, None] = {}
    empty = True
    for line in json_lines(path, name=name):
        empty = empty and isinstance(line, Problem) and line.level == "warning"
        if isinstance(line, Problem):
            yield line
            continue
        extra.update(dict.fromkeys(field for field in line.fields if field not in _ROW_FIELDS))
        faults = list(_row_faults(line))
        yield from (Problem("error", fault, name, line.number) for fault in faults)
        if not faults:
            yield from _row_document(line, name, lines=lines)
    if empty:
        yield Problem("error", 'the file is empty; write one {"id", "title", "text"} object a line, or remove it', name)
    if extra:
        yield Problem(
            "warning", f"fields that are not used: {', '.join(list(extra)[:10])} (used: id, title, text)", name
        )


def _row_faults(line: JsonLine) -> Iterator[str]:
    text = line.fields.get("text")
    if "text" not in line.fields:
        yield f"the field 'text' is missing (this row has: {', '.join(line.fields) or 'nothing'})"
    elif not isinstance(text, str):
        yield f"the field 'text' must be a text, but is {kind_of(text)}"
    elif not text.strip():
        yield "the field 'text' is empty; write the document's text, or delete the row"
    for field in ("id", "title"):
        if isinstance(line.fields.get(field), list | dict | bool):
            yield f"the field {field!r} must be a text, but is {kind_of(line.fields[field])}"


def _row_document(line: JsonLine, name: str, *, lines: Firsts) -> Iterator[Document | Problem]:
    row_id, title = line.fields.get("id"), line.fields.get("title")
    document_id = f"{Path(name).stem}-{line.number}" if row_id in (None, "") else text_of(row_id)
    first = lines.setdefault(document_id, str(line.number))
    if first != str(line.number):
        message = f"the id {document_id!r} stands on line {first} already; ids must be unique"
        yield Problem("error", message, name, line.number)
    yield Document(
        id=document_id,
        title="" if title is None else _one_line(text_of(title)),
        text=str(line.fields["text"]).strip(),
        source=name,
    )


# Files


def _read_folder(root: Path, *, name: str, home: Path, apart: Apart) -> Iterator[Document | Problem]:
    if root.is_symlink() and not _stays_inside(root, home):
        message = "is a link that leaves the scenario's folder and was not followed; copy the documents here"
        yield Problem("warning", message, name)
        return
    unknown: dict[str, list[str]] = {}
    for path, problem in sorted(_walk(root), key=lambda item: item[0].relative_to(root).as_posix()):
        source = f"{name}/{path.relative_to(root).as_posix()}"
        if not source.isprintable():
            yield Problem("warning", "the name holds signs that cannot be shown; rename the file", _shown(source))
        elif problem:
            yield Problem("warning", problem, source)
        elif path.suffix.lower() in _READERS:
            yield from _read_file(path, document_id=path.relative_to(root).as_posix(), source=source, apart=apart)
        else:
            unknown.setdefault(path.suffix.lower(), []).append(source)
    for ending, files in unknown.items():
        what = f"with the ending {ending}" if ending else "without an ending"
        message = f"files {what} are not read ({len(files)} here); the endings read are {' '.join(_READERS)}"
        yield Problem("warning", message, files[0])


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file with a problem or ''. Links that stay inside are passed over: their target is read anyway."""
    refused: list[OSError] = []
    for place, folders, files in os.walk(root, onerror=refused.append):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        for path in (Path(place) / entry for entry in (*folders, *files)):
            if path.is_symlink():
                if not _stays_inside(path, root):
                    yield path, "is a link that leaves the folder and was not followed; copy the file here"
            elif path.is_file() and not path.name.startswith((".", "~$")):
                yield path, ""
    for error in refused:
        yield Path(error.filename), f"the folder cannot be opened ({error.strerror}) and was left out"


def _stays_inside(link: Path, folder: Path) -> bool:
    """Whether a link leads to a place in the folder; `realpath` bears links that lead in circles."""
    return Path(os.path.realpath(link)).is_relative_to(os.path.realpath(folder))


def _shown(name: str) -> str:
    """A file's name without control characters and without bytes that are no UTF-8."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)


def _read_file(path: Path, *, document_id: str, source: str, apart: Apart) -> Iterator[Document | Problem]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise Refused(f"is larger than {LARGEST_FILE // 1_000_000} MB; split it")
        reader = _READERS[path.suffix.lower()]
        content = reader(path) if reader in _IN_PLACE else apart.call(reader, path)
    except Refused as error:
        yield Problem("error", str(error), source)
        return
    except OSError as error:
        yield Problem("error", f"cannot be opened ({error.strerror or error}); mend it or take it out", source)
        return
    text = _clean(content.text)
    if content.note and text:
        yield Problem("warning", content.note, source)
    if text:
        yield Document(document_id, _one_line(_clean(content.title)) or path.stem, text, source)
    else:
        hint = " (scanned pages need text recognition first)" if path.suffix.lower() == ".pdf" else ""
        yield Problem("warning", f"holds no text{hint} and was left out", source)


def _clean(text: str) -> str:
    """Drop what cannot be written as UTF-8, NULs and trailing blanks; at most one empty line in a row."""
    text = text.encode("utf-8", errors="ignore").decode().replace("\0", "")
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"(?<![ \t\r])[ \t\r]+\n", "\n", text)).strip()


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _plain(path: Path) -> _Content:
    text, note = decode_text(path.read_bytes())
    return _Content("", text, note)


def _markdown(path: Path) -> _Content:
    text, note = decode_text(path.read_bytes())
    outside_code = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    heading = re.search(r"^#{1,6}[ \t]+([^\s#].*)$", outside_code, flags=re.MULTILINE)
    return _Content(heading[1].rstrip(" \t\r#") if heading else "", text, note)


def _html(path: Path) -> _Content:
    from bs4 import BeautifulSoup
    from bs4.exceptions import ParserRejectedMarkup

    try:
        with warnings.catch_warnings(), _quiet("bs4"):
            warnings.simplefilter("ignore")  # its advice on parsers is for programmers
            page = BeautifulSoup(path.read_bytes(), "html.parser")
    except (ParserRejectedMarkup, RecursionError) as error:
        raise Refused(f"cannot be read as HTML ({_short(error)}); save it again or take it out") from error
    title = next((tag.get_text() for tag in page.find_all(["title", "h1"]) if tag.get_text(strip=True)), "")
    note = "some characters could not be decoded; save it as UTF-8" if page.contains_replacement_characters else ""
    return _Content(title, _page_text(page), note)


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where in a page a text stands: ids of its line (block, or row of a table), of its cell and of its block."""

    line: int = 0
    cell: int = 0
    block: int = 0
    hidden: bool = False


def _page_text(page: BeautifulSoup) -> str:
    """Text with a line for each block and ` | ` between the cells of a table row. One walk, in document order."""
    from bs4.element import CData, NavigableString, Tag

    spots = {id(page): _Spot()}
    parts: list[str] = []
    last = _Spot()
    for node in page.descendants:
        here = spots[id(node.parent)]
        if isinstance(node, Tag):
            spots[id(node)] = _spot(node.name, id(node), here)
            parts.append("\n" if node.name == "br" else "")
        elif isinstance(node, NavigableString) and type(node) in (NavigableString, CData) and not here.hidden:
            blank = node.isspace()
            parts += [" "] if blank else [_between(last, here), re.sub(r"\s+", " ", node)]
            last = last if blank else here
    lines = (" ".join(line.split()) for line in "".join(parts).splitlines())
    return "\n".join(line for line in lines if line)


def _spot(name: str, node: int, parent: _Spot) -> _Spot:
    if name in _HIDDEN_TAGS:
        return replace(parent, hidden=True)
    if name in ("td", "th"):
        return replace(parent, cell=node, block=node)
    if not _BLOCK_TAGS.fullmatch(name):
        return parent
    in_cell = parent.cell and name != "tr"
    return replace(parent, block=node) if in_cell else replace(parent, line=node, cell=0, block=node)


def _between(last: _Spot, here: _Spot) -> str:
    if here.line != last.line:
        return "\n"
    if here.cell != last.cell:
        return " | "
    return " " if here.block != last.block else ""


def _pdf(path: Path) -> _Content:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

    try:
        with _quiet("pypdf"):
            return _Content("", "\n\n".join(page.extract_text() for page in PdfReader(path).pages))
    except (DependencyError, FileNotDecryptedError) as error:
        raise Refused("is protected by a password; save a copy without it") from error
    except (PyPdfError, *DAMAGED) as error:
        raise Refused(f"cannot be read as PDF ({_short(error)}); save it again or take it out") from error


@contextmanager
def _quiet(logger_name: str) -> Iterator[None]:
    """Keep a library's remarks on damaged files off the user's screen."""
    logger = logging.getLogger(logger_name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _docx(path: Path) -> _Content:
    import docx
    from docx.opc.exceptions import OpcError

    try:
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > LARGEST_FILE:
                raise Refused(f"unpacks to more than {LARGEST_FILE // 1_000_000} MB; split it")
        document = docx.Document(str(path))
        blocks = list(document.iter_inner_content())
        title = document.core_properties.title or _first_heading(blocks)
        return _Content(title, "\n".join(_block_text(block) for block in blocks))
    except Refused:
        raise
    except (OpcError, *DAMAGED) as error:
        raise Refused(f"cannot be read as a Word file ({_short(error)}); save it again or take it out") from error


def _first_heading(blocks: list[Paragraph | Table]) -> str:
    for block in blocks:
        style = getattr(block.style, "name", None) or ""
        if style.startswith(("Title", "Heading")) and hasattr(block, "text") and block.text.strip():
            return str(block.text)
    return ""


def _block_text(block: Paragraph | Table) -> str:
    """A paragraph's text, or a table with a line for each row; merged cells are written once."""
    if hasattr(block, "text"):
        return str(block.text)
    rows = []
    for row in block.rows:
        cells = dict.fromkeys(row.cells)
        rows.append(" | ".join(" ".join(cell.text.split()) for cell in cells))
    return "\n".join(rows)


def _short(error: Exception) -> str:
    return _shown(_one_line(str(error)))[:100] or type(error).__name__


_READERS: dict[str, Callable[[Path], _Content]] = {
    ".txt": _plain,
    ".md": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".docx": _docx,
}
_IN_PLACE = (_plain, _markdown)
"""Readers that take no library and little time whatever the file."""
