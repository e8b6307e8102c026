"""What the files of a batch say of its requests, line by line; every line may be anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

NEVER_RUN = ("batch_expired", "batch_cancelled")
"""Codes of requests that were not begun, which cost nothing."""
LATE = ("request_timeout",)
"""Codes of requests that were begun, and may cost something."""
MOST_TOLD = 300


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says of its request."""

    body: Mapping[str, Any] | None
    """The chat completion; None where there is none."""
    why: str = ""
    """Why not."""
    code: str = ""
    billed: bool = False
    """It may have been billed though it cannot be used."""


@dataclass(slots=True)
class Results:
    """The lines of a batch by custom id."""

    lines: dict[str, Line] = field(default_factory=dict)
    garbled: int = 0
    """Lines that are no JSON or name no request."""
    strange: int = 0
    """Lines of requests that were not sent in it."""


def read_results(lines: Iterable[bytes], *, sent: Mapping[str, object]) -> Results:
    """Sort out the lines of a batch's files."""
    found = Results()
    for line in lines:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            said = None
        name = said.get("custom_id") if isinstance(said, dict) else None
        if not isinstance(name, str):
            found.garbled += 1
        elif name not in sent:
            found.strange += 1
        else:
            read = _line(said)
            before = found.lines.get(name, read)
            found.lines[name] = read if _alike(before, read) else _DOUBLED
    return found


def usage_told(line: Line) -> tuple[int, int] | None:
    """Tokens read and written, where the line tells them."""
    usage = line.body.get("usage") if line.body is not None else None
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")] if isinstance(usage, dict) else []
    whole = [count for count in counts if isinstance(count, int) and count >= 0]
    return (whole[0], whole[1]) if len(whole) == 2 else None


_DOUBLED = Line(None, "The batch answered this request more than once, and differently.", billed=True)


def _alike(one: Line, other: Line) -> bool:
    """Whether two lines say the same; ids and times of an answer may differ."""
    if one.body is None or other.body is None:
        return one == other
    return all(one.body.get(name) == other.body.get(name) for name in ("choices", "usage", "model"))


def _line(said: Mapping[str, Any]) -> Line:
    error, response = said.get("error"), said.get("response")
    if isinstance(response, dict):
        status, body = response.get("status_code", 200), response.get("body")
        if status == 200 and isinstance(body, dict):
            return Line(body)
        if status != 200:
            inner = body.get("error") if isinstance(body, dict) else body
            return Line(None, f"The endpoint answered with status {status}: {_told(inner or error)}")
        return Line(None, "The batch's answer is no chat completion.", billed=True)
    code = error.get("code") if isinstance(error, dict) else None
    code = code if isinstance(code, str) else ""
    if error is None:
        return Line(None, "The batch's line holds no answer.", billed=True)
    return Line(None, f"The batch says of this request: {_told(error)}", code, billed=code in LATE)


def _told(error: object) -> str:
    text = error.get("message") or error.get("code") if isinstance(error, dict) else error
    line = " ".join((text if isinstance(text, str) else json.dumps(error)).split())
    return line.encode(errors="replace").decode()[:MOST_TOLD]
