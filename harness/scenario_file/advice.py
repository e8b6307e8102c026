"""The `[advice]` table of a `scenario.toml`: what `advise` wrote there, or every problem in it."""

from __future__ import annotations

from datetime import date
from typing import Any

from harness.records import APPROACHES
from harness.scenario import StatedAdvice

Faults = list[tuple[str, str]]
"""(key, what is wrong with it)."""

_TEXTS = ("hypothesis", "band")


def read_advice(raw: object) -> tuple[StatedAdvice | None, Faults]:
    """Read the table; None where there is none or where it has faults."""
    if raw is None:
        return None, []
    if not isinstance(raw, dict):
        return None, [("advice", "'advice' must be a table: write [advice] on a line of its own, its settings below")]
    faults = [*_unknown(raw), *_wrong(raw)]
    if faults:
        return None, faults
    return (
        StatedAdvice(
            date=str(raw["date"]),
            approach=raw["approach"],
            runner_up=raw.get("runner_up", ""),
            hypothesis=raw.get("hypothesis", ""),
            band=raw.get("band", ""),
            answers=tuple(raw.get("answers", {}).items()),
            sources=tuple(raw.get("sources", {}).items()),
        ),
        [],
    )


def _unknown(raw: dict[str, Any]) -> Faults:
    known = ("date", "approach", "runner_up", *_TEXTS, "answers", "sources")
    return [(key, f"unknown setting 'advice.{key}'; known are {', '.join(known)}") for key in raw if key not in known]


def _wrong(raw: dict[str, Any]) -> Faults:
    faults = [
        (key, f"'advice.{key}' is missing; run `advise --data DIR` again")
        for key in ("date", "approach")
        if key not in raw
    ]
    if "date" in raw and not _is_date(raw["date"]):
        faults.append(("date", f"'advice.date' must be a date such as 2026-11-25; got {raw['date']!r}"))
    for key in ("approach", "runner_up"):
        if key in raw and raw[key] not in APPROACHES:
            faults.append((key, f"'advice.{key}' must be one of {', '.join(APPROACHES)}; got {raw[key]!r}"))
    faults += [
        (k, f"'advice.{k}' must be a text in double quotes") for k in _TEXTS if not isinstance(raw.get(k, ""), str)
    ]
    faults += _wrong_table(raw, "answers", (str, int, bool), "texts, whole numbers, true or false")
    return faults + _wrong_table(raw, "sources", (str,), "texts")


def _wrong_table(raw: dict[str, Any], name: str, types: tuple[type, ...], what: str) -> Faults:
    table = raw.get(name, {})
    if not isinstance(table, dict):
        return [(name, f"'advice.{name}' must be a table: write [advice.{name}]")]
    wrong = [key for key, value in table.items() if not isinstance(value, types)]
    return [(key, f"'advice.{name}.{key}' must be one of: {what}; got {table[key]!r}") for key in wrong]


def _is_date(value: object) -> bool:
    if isinstance(value, date):
        return True
    try:
        return bool(date.fromisoformat(str(value)))
    except ValueError:
        return False
