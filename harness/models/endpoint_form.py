"""Answers of an endpoint held to labels or to a JSON schema, by `response_format`.

Labels are held inside an object, because structured outputs know objects only
(https://platform.openai.com/docs/guides/structured-outputs), and taken out of it again.
"""

from __future__ import annotations

import json
from typing import Any

from harness.models.base import Message, Stop

WRAPPING_TOKENS = 16
"""Room for the object around a label."""

TRIAL = (Message("user", "Say hello."),)
"""Asked once: what is not held to a form will not answer in one."""


def is_held(stop: Stop) -> bool:
    """Whether answers are to be held to something."""
    return bool(stop.labels or stop.schema)


def response_format(stop: Stop) -> dict[str, Any]:
    """What is asked of the endpoint."""
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": _schema(stop), "strict": True},
    }


def _schema(stop: Stop) -> dict[str, Any]:
    if not stop.labels:
        schema: dict[str, Any] = json.loads(stop.schema)
        return schema
    label = {"type": "string", "enum": list(stop.labels)}
    return {"type": "object", "properties": {"label": label}, "required": ["label"], "additionalProperties": False}


def taken_out(text: str, stop: Stop) -> str:
    """The label in an answer; the whole text where there are no labels or it holds none."""
    if not stop.labels:
        return text
    try:
        found = json.loads(text)
    except ValueError:
        return text
    label = found.get("label") if isinstance(found, dict) else None
    return label if isinstance(label, str) else text


def was_held(text: str, stop: Stop, *, cut: bool) -> bool:
    """Whether the answer to the trial has the form; `cut`: it reached the longest answer."""
    if stop.labels:
        return taken_out(text, stop) in stop.labels
    if cut:
        return text.lstrip().startswith("{")
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
