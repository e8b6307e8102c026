"""The price table: the one that comes with the product, and a user's file laid over it, read strictly."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from advisor.errors import AnswerProblems, UserError
from advisor.questionnaire import did_you_mean, shown_raw
from harness.given import CannotRead, parse_toml, read_whole

_MOST_PROBLEMS = 50

_SHARES = frozenset(
    [
        "tokens.cached_ratio",
        "tokens.cached_share",
        "hosting.read_share",
        "tuning.instructions_left",
        "tuning.share_renewed",
        "labels.overlap",
        "retrieval.change_share",
    ]
)
_ABOVE_ZERO = frozenset(
    ("hosting.small_speed", "hosting.medium_speed", "hosting.frontier_speed", "tuning.gpu_speed", "hosting.peak")
)
_AMOUNTS = frozenset(
    [
        "tokens.frontier_in",
        "tokens.frontier_out",
        "tokens.medium_in",
        "tokens.medium_out",
        "tokens.small_in",
        "tokens.small_out",
        "hosting.small_hour",
        "hosting.medium_hour",
        "hosting.frontier_hour",
        "tuning.trained",
        "labels.category",
        "labels.fields",
        "labels.text",
        "retrieval.embedding",
        "retrieval.context",
        "retrieval.store_month",
        "retrieval.search",
        "retrieval.rerank",
        "people.day",
    ]
)
"""The figures that are money; the others are shares, counts and speeds."""


@dataclass(frozen=True, slots=True)
class Prices:
    """The price table; `prices["tokens.frontier_in"]` is the line `frontier_in` of `[tokens]`."""

    date: str
    """ISO date."""
    currency: str
    figures: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        return self.figures[name]


def default_prices_text() -> str:
    """The price table that comes with the product, as commented TOML."""
    return files("advisor").joinpath("prices.toml").read_text(encoding="utf-8")


def read_prices(path: Path | None) -> Prices:
    """The product's price table, with a user's file laid over it; None: as it comes.

    Raises UserError: the file cannot be read or is no TOML (with the line); AnswerProblems: every wrong line of it.
    """
    default = tomllib.loads(default_prices_text())
    prices = Prices(default["meta"]["date"], default["meta"]["currency"], dict(_figures(default)))
    if path is None:
        return prices
    own = _parsed(path)
    if problems := [f"{path}: {problem}" for problem in islice(_problems(own, prices), _MOST_PROBLEMS)]:
        raise AnswerProblems(problems)
    meta: Mapping[str, object] = own.get("meta", {})
    day, currency = str(meta.get("date", prices.date)), str(meta.get("currency", prices.currency)).strip()
    return Prices(day, currency, {**prices.figures, **dict(_figures(own))})


def _figures(table: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, float]]:
    for part, lines in table.items():
        if part != "meta":
            yield from ((f"{part}.{key}", float(value)) for key, value in lines.items())


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(read_whole(path).decode("utf-8-sig"))
    except CannotRead as error:
        raise UserError(f"{path} {error}; expected a price table as TOML") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8 (`advise prices` prints a table)") from None
    except tomllib.TOMLDecodeError as error:  # it names the line
        raise UserError(f"{path} is no TOML: {error}; `advise prices` prints a table to start from") from None


def _problems(own: Mapping[str, object], default: Prices) -> Iterator[str]:
    parts = tuple(dict.fromkeys(("meta", *(name.partition(".")[0] for name in default.figures))))
    for part, lines in own.items():
        if not isinstance(lines, dict):
            yield f"{shown_raw(part)} stands outside any section; write it below [tokens], [people] or another one"
        elif part not in parts:
            yield f"unknown section {shown_raw(part)}{did_you_mean(part, parts)}; there are {', '.join(parts)}"
        else:
            check = _meta_problem if part == "meta" else _figure_problem
            for key, value in lines.items():
                yield from check(f"{part}.{key}", value, default)
    yield from _currency_problem(own, default)


def _meta_problem(name: str, value: object, _default: Prices) -> Iterator[str]:
    if name == "meta.date":
        try:
            date.fromisoformat(str(value))
        except ValueError:
            yield f'{name} must be a date such as "2026-11-25"; got {shown_raw(value)}'
    elif name == "meta.currency":
        if not isinstance(value, str) or not value.strip():
            yield f'{name} must be a currency such as "EUR"; got {shown_raw(value)}'
    else:
        yield f"unknown line {shown_raw(name)}{did_you_mean(name, ('meta.date', 'meta.currency'))}"


def _figure_problem(name: str, value: object, default: Prices) -> Iterator[str]:
    if name not in default.figures:
        yield f"unknown price {shown_raw(name)}{did_you_mean(name, default.figures)}"
    elif isinstance(value, bool) or not isinstance(value, int | float):
        yield f"{name} must be a number; got {shown_raw(value)}"
    elif not 0 <= value <= (1 if name in _SHARES else 1e9):  # not a number (nan) is in no range either
        yield f"{name} must be from 0 to {'1' if name in _SHARES else '1,000,000,000'}; got {shown_raw(value)}"
    elif name in _ABOVE_ZERO and value < 0.01:
        yield f"{name} must be at least 0.01; got {shown_raw(value)}"


def _currency_problem(own: Mapping[str, object], default: Prices) -> Iterator[str]:
    """Amounts in two currencies must not be added up."""
    meta = own.get("meta")
    currency = meta.get("currency", default.currency) if isinstance(meta, dict) else default.currency
    if not isinstance(currency, str) or currency.strip() == default.currency:
        return
    given = {f"{part}.{key}" for part, lines in own.items() if isinstance(lines, dict) for key in lines}
    missing = [name for name in default.figures if name in _AMOUNTS and name not in given]
    if missing:
        yield (
            f"meta.currency is {shown_raw(currency)}, so every amount must be given in it, but these are still in "
            f"{default.currency}: {', '.join(missing)}"
        )
