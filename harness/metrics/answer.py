"""From a model's raw text to the answer in it: one parser for all arms.

What an arm wraps around its answer (a mark such as "Answer:", a code fence, quotes, chatter) must not decide a
comparison, so every arm's text goes through `parse_answer`, and no metric sees anything else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.metrics.json_text import canonical, first_object
from harness.metrics.labels import match_label
from harness.scenario import Kind

_MARK = re.compile(
    r"\s*[*_#>\"'`]*(?:the\s+)?(?:(?:final|correct|short|best)\s+)?"
    r"(?:answer|ans|a|label|category|class|intent|output|response|result|antwort|réponse|respuesta|risposta)"
    r"[*_]*(?:\s+is)?\s*[:：][*_]*\s*",
    re.IGNORECASE,
)
_THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)
"""What a reasoning model says to itself is no part of its answer."""
_OPENING = re.compile(r"[\W_]*|" + _MARK.pattern.replace(r"\s*[:：]", r"\s*[:：]?"), re.IGNORECASE)
"""A line that only opens an answer; the answer itself is still to come."""
_FENCE = re.compile(r"\s*```[^\n`]*\n(.*?)(?:\n\s*```\s*)?\Z", re.DOTALL)
_QUOTES = ('""', "''", "“”", "‘’", "«»", "„“", "``", "「」")


def parse_answer(text: str, *, kind: Kind, labels: Sequence[str] = ()) -> str:
    """The answer in a model's raw text, in one spelling; a text without one is kept, stripped, and will score wrong.

    labels: the label it names (`harness.metrics.labels` has the rules). json: the first balanced JSON object, keys
    sorted, no spaces. short_answer: the first line that is not empty, without mark and wrapping quotes. free_text: all
    of it, without mark or fence. An empty text stays empty.
    """
    stripped = _THOUGHTS.sub("", text).strip()
    if not stripped:
        return ""
    if kind is Kind.LABELS:
        return _label(stripped, labels)
    if kind is Kind.JSON:
        found = first_object(stripped)
        return stripped if found is None else canonical(found)
    if kind is Kind.SHORT_ANSWER:
        return _first_line(_unwrapped(stripped))
    return _unwrapped(stripped).strip()


def answer_is_whole(text: str, *, kind: Kind) -> bool:
    """Whether `parse_answer` would read the same answer however the text goes on, so that the model may stop here.

    json: a whole object stands in the text. short_answer: its first line has ended, and is more than a mark, a fence
    or quotes. Other kinds are never known to be whole.
    """
    if "<think>" in text and "</think>" not in text:
        return False
    text = _THOUGHTS.sub("", text)
    if kind is Kind.JSON:
        return "}" in text and first_object(text.strip()) is not None
    if kind is not Kind.SHORT_ANSWER or "\n" not in text.lstrip():
        return False
    line = next(iter(text.strip().splitlines()), "")
    while (mark := _MARK.match(line)) and mark.end() > 0:
        line = line[mark.end() :]
    return "`" not in line and not _OPENING.fullmatch(line)


def _label(stripped: str, labels: Sequence[str]) -> str:
    if not labels:
        return _first_line(_unwrapped(stripped))
    return match_label(stripped, labels) or match_label(_unwrapped(stripped), labels) or stripped


def _unwrapped(text: str) -> str:
    return _without_mark(_without_fence(_without_mark(text)))


def _without_mark(text: str) -> str:
    """Without a leading "Answer:"; a text that is nothing but the mark is left alone."""
    mark = _MARK.match(text)
    return text[mark.end() :] if mark and text[mark.end() :].strip() else text


def _without_fence(text: str) -> str:
    fence = _FENCE.match(text)
    return fence.group(1) if fence and fence.group(1).strip() else text


def _first_line(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return _without_quotes(next((line for line in lines if line), ""))


def _without_quotes(line: str) -> str:
    """Without one pair of quotes around all of it, and without a leading quote that is never closed."""
    if len(line) > 2 and line[0] + line[-1] in _QUOTES and line[0] not in line[1:-1]:
        return line[1:-1].strip()
    if len(line) > 1 and line[0] in '"“«' and not any(char in '"”»' for char in line[1:]):
        return line[1:].strip()
    return line
