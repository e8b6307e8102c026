"""JSON Lines as people really write them: the objects, and a problem with its line for everything else.

Nothing that stands in a file makes these functions raise; what is wrong comes out as a `Problem` beside the good rows.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from io import BufferedReader
from pathlib import Path

from harness.scenario import Problem

LONGEST_LINE = 10_000_000
"""Bytes; a longer line is an error, so that a file that is no JSON Lines at all cannot fill the memory."""

_TOO_LONG = (
    f"the line is longer than {LONGEST_LINE // 1_000_000} MB; shorten its text, or put each object on its own line"
)
_FOREIGN = {
    b"PK\x03\x04": "a zip file (Excel, perhaps)",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed with gzip",
    b"%PDF": "a PDF file",
}
"""First bytes of files that are sometimes given a wrong name."""
_PLAIN_WORDS = {
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Expecting ':' delimiter": "the colon after a field's name is missing",
    "Expecting property name enclosed in double quotes": "a field's name in double quotes is expected",
    "Expecting value": "a value is expected",
    "Unterminated string starting at": "a text in double quotes is opened and never closed",
    "Extra data": "there is more text after the object's end",
    "Invalid control character at": "a raw tab or line break stands inside a text; write \\t or \\n",
    "Invalid \\escape": "a lone backslash stands in a text; write \\\\",
    "Invalid \\uXXXX escape": "a \\u escape lacks its four hexadecimal digits",
    "Illegal trailing comma before end of object": "a comma stands before the closing bracket",
    "Illegal trailing comma before end of array": "a comma stands before the closing bracket",
}


@dataclass(frozen=True, slots=True)
class JsonLine:
    """One object of a JSON Lines file. Numbers with a point are `Decimal`, so that 1.10 stays 1.10."""

    number: int
    """Line in the file, from 1."""
    fields: dict[str, object]


def json_lines(path: Path, *, name: str) -> Iterator[JsonLine | Problem]:
    """Yield the file's objects and problems in file order, reading line by line; `name` is the file's name in problems.

    A file that is wrong as a whole (UTF-16, one JSON list, objects over several lines, unreadable) yields one error.
    """
    try:
        with path.open("rb") as stream:
            fault = _file_fault(stream.peek(4096)[:4096])
            if fault:
                yield Problem("error", fault, name)
            else:
                yield from _objects(stream, name)
    except OSError as error:
        yield Problem("error", f"the file cannot be read ({error.strerror or error})", name)


def encoding_fault(head: bytes) -> str | None:
    """Say which encoding other than UTF-8 the first bytes of a file show (UTF-16 or UTF-32), by BOM or by NULs."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "the file is UTF-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "the file is UTF-16"
    even, odd = head[0::2], head[1::2]
    halves = sorted((even.count(0) / max(len(even), 1), odd.count(0) / max(len(odd), 1)))
    if len(head) >= 4 and halves[0] < 0.1 and halves[1] > 0.6:
        return "the file is UTF-16 (without a byte order mark)"
    return None


def text_of(value: object) -> str:
    """Write a JSON value as text: texts as they are, numbers as written, objects and lists as canonical JSON.

    Canonical means: sorted names, `, ` and `: ` between, no escapes beyond the necessary. Raises ValueError for a
    number that is out of range.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, default=_float)
    except RecursionError:
        raise ValueError("brackets are nested too deeply") from None


def kind_of(value: object) -> str:
    """Name a JSON value's type for people."""
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true/false"),
        (str, "a text"),
        ((int, Decimal, float), "a number"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((name for types, name in names if isinstance(value, types)), "null")


def _float(value: object) -> float:
    return float(str(value))


def _file_fault(head: bytes) -> str | None:
    foreign = next((what for mark, what in _FOREIGN.items() if head.startswith(mark)), None)
    if foreign:
        return f"the file is {foreign}, not JSON Lines; convert it, one object a line"
    encoding = encoding_fault(head)
    return f"{encoding}; save it as UTF-8" if encoding else None


def _objects(stream: BufferedReader, name: str) -> Iterator[JsonLine | Problem]:
    first = True
    for number, raw in _lines(stream):
        if raw is None:
            yield Problem("error", _TOO_LONG, name, number)
            continue
        if raw.startswith(codecs.BOM_UTF8):
            raw = raw.removeprefix(codecs.BOM_UTF8)
            yield Problem("warning", "the file starts with a UTF-8 byte order mark (BOM); it was skipped", name, number)
        if not raw.strip():
            continue
        fault = _shape_fault(raw) if first else None
        if fault:
            yield Problem("error", fault, name, number)
            return
        first = False
        yield _parse(raw, number=number, name=name)


def _lines(stream: BufferedReader) -> Iterator[tuple[int, bytes | None]]:
    """Number the lines from 1; None stands for a line that is too long."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        yield number, None if len(line) > LONGEST_LINE else line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = stream.readline(LONGEST_LINE + 1)


def _shape_fault(raw: bytes) -> str | None:
    """Recognise ordinary JSON, which would otherwise give a problem for each of its lines."""
    start = raw.strip()
    if start == b"[" or re.match(rb"\[\s*\{", start):
        return (
            "the file is one JSON list, not JSON Lines (one object a line); rename it to .json and convert it with"
            " `bakeoff init FILE.json --input input --output output`"
        )
    if start == b"{":
        return "an object is spread over several lines; JSON Lines wants each object on one line"
    return None


def _parse(raw: bytes, *, number: int, name: str) -> JsonLine | Problem:
    try:
        value = parse_json(raw)
    except ValueError as error:
        return Problem("error", str(error), name, number)
    if not isinstance(value, dict):
        return Problem("error", f"the line must be a JSON object {{...}}, but is {kind_of(value)}", name, number)
    return JsonLine(number, value)


def parse_json(raw: bytes) -> object:
    """Parse UTF-8 JSON strictly: no NaN, no name twice in an object. Raises ValueError with a sentence for people."""
    if 0 in raw:
        at = raw.index(0) + 1
        raise ValueError(f"a NUL byte stands at byte {at}; the file is damaged or no text: write it again as UTF-8")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ValueError(_not_utf8(error)) from None
    try:
        value = _loads(text.strip())
        halves = "\\u" in text and not _encodable(value)
    except RecursionError:
        raise ValueError("broken JSON: brackets are nested too deeply") from None
    if halves:
        raise ValueError("a \\u escape gives half a character (a lone surrogate); write the character itself")
    return value


def _loads(text: str) -> object:
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=Decimal,
            parse_int=_integer,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise ValueError(_broken(error)) from None
    except ArithmeticError:
        raise ValueError("a number is out of range") from None
    return value


def _not_utf8(error: UnicodeDecodeError) -> str:
    byte = error.object[error.start]
    return (
        f"not UTF-8: byte {error.start + 1} of the line is 0x{byte:02X}"
        " (Latin-1 or Windows-1252, probably); save the file as UTF-8"
    )


def _broken(error: json.JSONDecodeError) -> str:
    plain = next((words for start, words in _PLAIN_WORDS.items() if error.msg.startswith(start)), error.msg)
    near = error.doc[max(error.pos - 15, 0) : error.pos + 15]
    place = f"line {error.lineno}, character {error.colno}" if error.lineno > 1 else f"character {error.colno}"
    return f"broken JSON at {place}: {plain}; near {near!r}"


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"the name {twice!r} stands twice in one object; keep one of them")
    return fields


def _integer(digits: str) -> int:
    if len(digits) > 1000:
        raise ValueError(f"a number has {len(digits)} digits; put it in double quotes if it is meant")
    return int(digits)


def _constant(word: str) -> object:
    raise ValueError(f"broken JSON: {word} is no JSON value; use null, a number or a text")


def _encodable(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True
