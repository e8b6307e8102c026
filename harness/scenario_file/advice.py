"""The `[advice]` table of a `scenario.toml`: what `advise` wrote there, or every problem in it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from harness.records import APPROACHES
from harness.scenario import StatedAdvice

Faults = list[tuple[str, str, str]]
"""(table, key, what is wrong with it); the table is '' for what stands at the top."""

_TEXTS = ("hypothesis", "band")
_NEEDED = ("date", "approach", "hypothesis")
_LARGEST = 2**63 - 1


def shown(value: object) -> str:
    """What was given, cut where it is long."""
    try:
        text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_advice(raw: object) -> tuple[StatedAdvice | None, Faults]:
    """Read the table; None where there is none or where it has faults."""
    if raw is None:
        return None, []
    if not isinstance(raw, dict):
        fault = "'advice' must be a table: write [advice] on a line of its own, its settings below"
        return None, [("", "advice", fault)]
    faults = [*_unknown(raw), *_missing(raw), *_wrong(raw)]
    if faults:
        return None, faults
    return (
        StatedAdvice(
            date=_iso_date(raw["date"]) or "",
            approach=raw["approach"],
            runner_up=raw.get("runner_up", ""),
            hypothesis=raw["hypothesis"],
            band=raw.get("band", ""),
            margin_that_pays=raw.get("margin_that_pays"),
            answers=tuple(raw.get("answers", {}).items()),
            sources=tuple(raw.get("sources", {}).items()),
        ),
        [],
    )


def _unknown(raw: dict[str, Any]) -> Faults:
    known = ("date", "approach", "runner_up", *_TEXTS, "margin_that_pays", "answers", "sources")
    said = f"known are {', '.join(known)}"
    return [("advice", key, f"unknown setting 'advice.{key[:60]}'; {said}") for key in raw if key not in known]


def _missing(raw: dict[str, Any]) -> Faults:
    return [
        ("", "advice", f"'advice.{key}' is missing; run `advise --data DIR` again, or take [advice] out")
        for key in _NEEDED
        if key not in raw
    ]


def _wrong(raw: dict[str, Any]) -> Faults:
    faults = []
    if "date" in raw and _iso_date(raw["date"]) is None:
        said = f"'advice.date' must be a date such as 2026-11-25; got {shown(raw['date'])}"
        faults.append(("advice", "date", said))
    for key in ("approach", "runner_up"):
        if key in raw and raw[key] not in APPROACHES:
            said = f"'advice.{key}' must be one of {', '.join(APPROACHES)}; got {shown(raw[key])}"
            faults.append(("advice", key, said))
    for key in _TEXTS:
        if key in raw and not (isinstance(raw[key], str) and raw[key].strip()):
            faults.append(("advice", key, f"'advice.{key}' must be a text in double quotes; got {shown(raw[key])}"))
    gain = raw.get("margin_that_pays", 0.0)
    if isinstance(gain, bool) or not isinstance(gain, int | float) or not 0 <= gain <= 1:
        said = f"'advice.margin_that_pays' must be a number between 0 and 1; got {shown(gain)}"
        faults.append(("advice", "margin_that_pays", said))
    faults += _wrong_table(raw, "answers", _is_answer, "a text, a whole number, true or false")
    return faults + _wrong_table(raw, "sources", lambda value: isinstance(value, str), "a text")


def _wrong_table(raw: dict[str, Any], name: str, is_right: Callable[[object], bool], what: str) -> Faults:
    table = raw.get(name, {})
    if not isinstance(table, dict):
        return [("advice", name, f"'advice.{name}' must be a table: write [advice.{name}]")]
    wrong = [key for key, value in table.items() if not is_right(value)]
    said = f"must be {what}; got"
    return [(f"advice.{name}", key, f"'advice.{name}.{key[:60]}' {said} {shown(table[key])}") for key in wrong]


def _is_answer(value: object) -> bool:
    return isinstance(value, str | bool) or (isinstance(value, int) and abs(value) <= _LARGEST)


def _iso_date(value: object) -> str | None:
    """A TOML date, or a text that is one; None for anything else."""
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    with contextlib.suppress(ValueError):
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else None
    return None
