"""JSON objects as they stand in a model's answer."""

from __future__ import annotations

import json
from typing import TypeAlias, cast

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]


def read_object(text: str) -> JsonObject | None:
    """The JSON object that `text` is, or None: not JSON, not an object, or with more around it than spaces."""
    found = _decode(text.strip(), 0)
    return found[0] if found is not None and found[1] == len(text.strip()) else None


def first_object(text: str) -> JsonObject | None:
    """The first balanced JSON object in `text`, whatever stands around it.

    An opening brace that is never closed ends the search: what lies inside a cut-off object is not the answer.
    """
    start = text.find("{")
    while start >= 0:
        found = _decode(text, start)
        if found is not None:
            return found[0]
        end = _closing(text, start)
        start = text.find("{", end) if end else -1
    return None


def canonical(value: JsonValue) -> str:
    """One spelling for equal values: sorted keys, no spaces, characters as they are."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate such as "\ud800" is valid JSON but cannot be written to a file.
    return text.encode("utf-8", "replace").decode("utf-8")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _decode(text: str, start: int) -> tuple[JsonObject, int] | None:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return (cast(JsonObject, value), end) if isinstance(value, dict) else None


def _closing(text: str, start: int) -> int | None:
    """Index after the brace that closes the one at `start`; braces inside strings do not count."""
    depth, quoted, at = 0, False, start
    while at < len(text):
        char = text[at]
        if quoted and char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted:
            depth += (char == "{") - (char == "}")
            if depth == 0:
                return at + 1
        at += 1
    return None
