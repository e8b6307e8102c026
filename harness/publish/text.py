"""Text that came from a user or a model, made safe to show: nothing in it may act on a terminal or reorder a page."""

from __future__ import annotations

import re
import unicodedata

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""Control characters except tab and newline, bidirectional overrides and isolates, line separators, lone surrogates,
and two that no XML may hold."""


def visible(text: str) -> str:
    r"""`text` with every acting character replaced by a sign for it: ``\x1b`` becomes ``␛``.

    Right-to-left letters, emoji and joiners stay as they are; ``\r\n`` becomes ``\n``.
    """
    return _ACTING.sub(_sign, text.replace("\r\n", "\n"))


_UNIT = re.compile(r"(?<=\d) (?=(?:%|s|min|h|MB|GB|points?)\b|%)|(?<=[<>=]) (?=\d)")


def shown(text: str) -> str:
    """`visible(text)` without a line break between a number and its unit."""
    return _UNIT.sub("\u00a0", visible(text))


def one_line(text: str) -> str:
    """`visible(text)` on one line; a line break becomes `⏎`."""
    return " ⏎ ".join(line.strip() for line in visible(text).strip().split("\n")).replace("\t", " ")


def shortened(text: str, limit: int) -> str:
    """`text`, cut after `limit` characters with a note of how many more there were."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … [{len(text) - limit:,} more characters]"


def shortened_words(text: str, limit: int) -> str:
    """`text`, cut at a word so that it has at most about `limit` characters."""
    if len(text) <= limit:
        return text
    cut = text[:limit].rsplit(" ", 1)[0]
    return f"{cut or text[:limit]} …"


def where_cases_are(count: int) -> str:
    """What formats without a browser of cases say in its place."""
    if count == 0:
        return "There are no cases to show."
    cases = "The one case is" if count == 1 else f"All {count:,} cases are"
    return f"{cases} in the HTML report and in the run folder, with every answer."


def joined(names: list[str] | tuple[str, ...]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def right_to_left(text: str) -> bool:
    """Whether the first letter that has a direction runs from right to left."""
    strong = next((found for found in map(unicodedata.bidirectional, text) if found in ("L", "R", "AL")), "L")
    return strong != "L"


def _sign(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return "\ufffd" if 0xD800 <= code <= 0xDFFF else f"<U+{code:04X}>"
