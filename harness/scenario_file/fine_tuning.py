"""The `[endpoint.fine_tuning]` table: tuned arms are made by the server's own fine-tuning."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields

from harness.scenario import FineTuningWish, Problem
from harness.scenario_file.advice import shown

MAY_BE_LEFT_OUT = ("seed", "suffix", "metadata", "method")
KNOWN = tuple(one.name for one in fields(FineTuningWish))
LONGEST_SUFFIX = 40
"""Room is left for a sign of the run's own (a suffix may have 64 characters)."""
MOST_EPOCHS = 50


def fine_tuning_fault(value: object) -> str | None:
    """What is wrong with the table, or None."""
    if not isinstance(value, dict):
        return (
            f"must be a table: write [endpoint.fine_tuning] on a line of its own, price = ... below; got {shown(value)}"
        )
    unknown = [name for name in value if name not in KNOWN]
    if unknown:
        return f"names {', '.join(map(shown, unknown))}; its settings are {', '.join(KNOWN)}"
    faults = ((name, CHECKS[name](setting)) for name, setting in value.items())
    return next((f"sets {name}, which {fault}" for name, fault in faults if fault), None)


def fine_tuning_problems(said: FineTuningWish, *, answers_priced: bool) -> Iterator[Problem]:
    """What is missing, and what does not go together."""
    if said.price is None:
        yield _problem(
            "a fine-tuning job costs money, and no price is told: give price, money for a million training tokens (0 "
            "where nothing is charged)"
        )
    if (said.price_in is None) != (said.price_out is None):
        yield _problem("price_in and price_out of the tuned model belong together")
    if said.price_in is not None and not answers_priced:
        yield _problem("the tuned model has prices and the other one has none: give price_in and price_out of both")


def _problem(text: str) -> Problem:
    return Problem("error", text, "[endpoint.fine_tuning]")


def _money(value: object) -> str | None:
    return None if is_amount(value) else f"must be a number, 0 or more; got {shown(value)}"


def is_amount(value: object) -> bool:
    """Whether it is a number, 0 or more, small enough to reckon with: TOML knows numbers of hundreds of digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def _epochs(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_EPOCHS:
        return None
    return f"must be a whole number from 1 to {MOST_EPOCHS}; got {shown(value)}"


def _name(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else f"must be a text in double quotes; got {shown(value)}"


def _suffix(value: object) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]+", value) and len(value) <= LONGEST_SUFFIX:
        return None
    return f"must be 1 to {LONGEST_SUFFIX} letters, digits, hyphens or underscores; got {shown(value)}"


def _left_out(value: object) -> str | None:
    if isinstance(value, list) and all(name in MAY_BE_LEFT_OUT for name in value):
        return None
    return f"may name {', '.join(MAY_BE_LEFT_OUT)}; got {shown(value)}"


CHECKS: Mapping[str, Callable[[object], str | None]] = {
    "price": _money,
    "epochs": _epochs,
    "model": _name,
    "suffix": _suffix,
    "price_in": _money,
    "price_out": _money,
    "leave_out": _left_out,
}
"""Setting -> what is wrong with a value, or None."""
