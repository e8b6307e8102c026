"""A JSON schema that training outputs show: their keys in their order, the types and the closed sets of values."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from harness.metrics.json_text import JsonObject, JsonValue, read_object

Schema: TypeAlias = dict[str, object]

MOST_VALUES = 30
"""Distinct texts up to which a property may be a closed set."""
FEWEST_ROWS = 20
"""Texts below which it is none, however few differ."""
SPACINGS = ((", ", ": "), (",", ":"), (",", ": "), (", ", ":"))
"""What stands between items, and between key and value."""


def schema_of(outputs: Sequence[str], *, keys: Sequence[str]) -> str:
    """The JSON schema of outputs, as text.

    What is in every output is required, and nothing else may be added. A text property whose values recur (at most 30
    different ones, in at least 20 outputs, each twice on average) may only have these. The spacing that most outputs
    have is in `x-guidance`, so that a model which was shown or taught it may keep to it.

    Args:
        outputs: JSON objects; others are passed over.
        keys: top-level keys that are known of besides. Those that no output has may hold anything; they are required
            only where there are no outputs at all.
    """
    found = [(text, value) for text in outputs if (value := read_object(text)) is not None]
    schema = _object([value for _, value in found])
    properties: Schema = {**_properties(schema), **{key: {} for key in keys if key not in _properties(schema)}}
    schema |= {"properties": properties, "required": schema["required"] if found else list(keys)}
    item, key = _spacing(found)
    guidance = {"whitespace_flexible": False, "item_separator": item, "key_separator": key}
    return json.dumps({**schema, "x-guidance": guidance}, ensure_ascii=False)


def _properties(schema: Schema) -> Schema:
    found = schema["properties"]
    return found if isinstance(found, dict) else {}


def _object(values: Sequence[JsonObject]) -> Schema:
    names = _order([tuple(value) for value in values])
    return {
        "type": "object",
        "properties": {
            name: _any_of([value[name] for value in values if name in value], closed=True) for name in names
        },
        "required": [name for name in names if all(name in value for value in values)],
        "additionalProperties": False,
    }


def _order(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """All names: the commonest row's, then what rarer rows add, each behind the name that it follows there."""
    found: list[str] = []
    for row, _ in Counter(rows).most_common():
        for place, name in enumerate(row):
            if name not in found:
                found.insert(found.index(row[place - 1]) + 1 if place else 0, name)
    return found


def _any_of(values: Sequence[JsonValue], *, closed: bool = False) -> Schema:
    """What each kind of these values looks like, the commonest kind first; `closed`: texts may be a closed set."""
    kinds = [
        _of_kind(kind, [value for value in values if _kind(value) == kind], closed=closed)
        for kind, _ in Counter(map(_kind, values)).most_common()
    ]
    return kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}


def _kind(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "boolean"
    if value is None:
        return "null"
    kinds = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return kinds[type(value)]


def _of_kind(kind: str, values: Sequence[JsonValue], *, closed: bool) -> Schema:
    if kind == "object":
        return _object([value for value in values if isinstance(value, dict)])
    if kind == "array":
        items = [item for value in values if isinstance(value, list) for item in value]
        return {"type": "array", "items": _any_of(items)} if items else {"type": "array"}
    if kind == "number" and all(isinstance(value, int) for value in values):
        return {"type": "integer"}
    texts = [value for value in values if isinstance(value, str)]
    return {"enum": list(dict.fromkeys(texts))} if closed and _recur(texts) else {"type": kind}


def _recur(texts: Sequence[str]) -> bool:
    different = len(set(texts))
    return len(texts) >= FEWEST_ROWS and different <= MOST_VALUES and len(texts) >= 2 * different


def _spacing(found: Sequence[tuple[str, JsonObject]]) -> tuple[str, str]:
    """The spacing that most outputs are written in; none where no output has one of these."""
    counts = Counter(pair for text, value in found for pair in SPACINGS if _spaced(text.strip(), value, pair))
    return counts.most_common(1)[0][0] if counts else (",", ":")


def _spaced(text: str, value: JsonObject, pair: tuple[str, str]) -> bool:
    return any(text == json.dumps(value, separators=pair, ensure_ascii=ascii_only) for ascii_only in (False, True))
