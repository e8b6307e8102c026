"""What each approach costs in its first year, and at which volume one becomes cheaper than another.

The formulae are the cost model of the evidence base, part (d). Money is in the price table's currency; a token price
is per million tokens.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

from advisor.errors import AnswerProblems, UserError
from advisor.questionnaire import did_you_mean, shown_raw
from advisor.records import APPROACHES, ApproachCost, Assumption, BreakEven, CostItem, CostPoint, Costs, Value

DAYS = 365
MONTHS = 12
OUTPUT_TOKENS = {"classification": 8, "extraction": 120, "facts_qa": 150, "code": 300, "summarisation": 250}
OTHER_OUTPUT = 250
NAMES = {
    "prompting": "prompting",
    "few_shot": "few-shot prompting",
    "rag": "retrieval",
    "fine_tuning": "fine-tuning",
    "rag_fine_tuning": "retrieval with fine-tuning",
}
VOLUMES = tuple(round(10 ** (1 + step / 4)) for step in range(21))
"""Requests a day of the curve: 10 to 1,000,000."""

_CHANGES_A_YEAR = {"static": 0, "yearly": 1, "monthly": 12, "weekly": 52, "daily": 365, "realtime": 365}
_MONTHS_BETWEEN = {"stable": 12, "yearly": 12, "monthly": 1}
_DEFAULTS: dict[str, tuple[Value, str]] = {
    "requests_per_day": (1000, "nobody said how many"),
    "input_tokens": (300, "nobody said how long inputs are: about 230 words"),
    "instruction_tokens": (600, "nobody said how long the instructions are: about a page"),
    "corpus_tokens": (500_000, "nobody said how large the documents are: about 1,200 pages"),
    "fact_change_rate": ("monthly", "nobody said how often the facts change"),
    "task_stability": ("stable", "nobody said how often the task changes"),
    "model_size": ("frontier", "nobody said which models may be used; tuned models are taken one or two sizes smaller"),
    "labelled_examples": (0, "nobody said how many examples there are; they are counted as still to be made"),
}


@dataclass(frozen=True, slots=True)
class Prices:
    """The price table: `tokens.frontier_in` and so on."""

    date: str
    currency: str
    figures: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        return self.figures[name]


def default_prices_text() -> str:
    """The price table that comes with the product, as TOML."""
    return files("advisor").joinpath("prices.toml").read_text(encoding="utf-8")


def read_prices(path: Path | None) -> Prices:
    """The product's price table, with a user's file laid over it.

    Raises UserError: the file cannot be read; AnswerProblems: every wrong line of it.
    """
    table = tomllib.loads(default_prices_text())
    figures = {f"{part}.{key}": float(v) for part in table if part != "meta" for key, v in table[part].items()}
    meta = dict(table["meta"])
    if path is not None:
        own = _parsed(path)
        problems = [f"{path}: {problem}" for problem in _problems(own, figures)]
        if problems:
            raise AnswerProblems(problems)
        meta |= {key: str(value) for key, value in own.pop("meta", {}).items()}
        figures |= {f"{part}.{key}": float(value) for part in own for key, value in own[part].items()}
    return Prices(meta["date"], meta["currency"], figures)


def cost_of(values: Mapping[str, Value], *, prices: Prices) -> Costs:
    """The bill of every approach for these answers; what is not answered is assumed, and said."""
    case = _Case(dict(values), prices)
    bills = tuple(_bill(approach, case) for approach in APPROACHES)
    return Costs(
        currency=prices.currency,
        prices_date=prices.date,
        requests_per_day=float(case.number("requests_per_day")),
        approaches=bills,
        break_evens=tuple(break_even(first, second) for first, second in combinations(bills, 2)),
        curve=tuple(_curve(values, prices, int(case.number("requests_per_day")))),
        assumptions=tuple(case.assumed.values()),
    )


def break_even(first: ApproachCost, second: ApproachCost) -> BreakEven:
    """The volume from which on `second` is cheaper than `first` over the first year.

    V* = (F2 - F1 + (A2 - A1) / M) / (c1 - c2), with A once, F a month, c a request, M = 12 months (cost model of the
    evidence base, part (d), without the price of errors); here a day instead of a month. Hosting is taken as it is at
    the asked volume.
    """
    fixed = (second.once - first.once) + MONTHS * (second.monthly - first.monthly)
    saved = first.per_request - second.per_request
    one, two = NAMES[first.approach], NAMES[second.approach]
    if saved * fixed > 0:
        volume = fixed / (DAYS * saved)
        side, other = ("Above", "below it") if saved > 0 else ("Below", "above it")
        text = f"{side} about {_round(volume):,} requests a day {two} is cheaper than {one} in the first year; {other}"
        return BreakEven(first.approach, second.approach, volume, f"{text}, {one} is.")
    cheaper, dearer = (two, one) if fixed < 0 or (fixed == 0 and saved > 0) else (one, two)
    return BreakEven(first.approach, second.approach, None, f"At every volume {cheaper} is cheaper than {dearer}.")


def payback_months(
    first: ApproachCost, second: ApproachCost, *, requests_per_month: float, gain: float = 0.0, error_cost: float = 0.0
) -> float | None:
    """Months until `second` has earned back what it costs more to build; None: never.

    (A2 - A1) / (V ((c1 - c2) + (acc2 - acc1) L) - (F2 - F1)), cost model of the evidence base, part (d). `gain` is
    acc2 - acc1 (0..1), `error_cost` is L, the price of one wrong answer.
    """
    monthly = requests_per_month * ((first.per_request - second.per_request) + gain * error_cost)
    monthly -= second.monthly - first.monthly
    return (second.once - first.once) / monthly if monthly > 0 else None


def smallest_gain_that_pays(
    first: ApproachCost, second: ApproachCost, *, requests_per_month: float, error_cost: float
) -> float:
    """The rise in accuracy (0..1) at which `second` breaks even with `first` over the first year.

    delta* = ((F2 - F1) / V + (A2 - A1) / (M V) + (c2 - c1)) / L, cost model of the evidence base, part (d); usable as
    the decision rule's margin. ValueError unless volume and price of an error are above 0.
    """
    if requests_per_month <= 0 or error_cost <= 0:
        raise ValueError("the requests a month and the price of a wrong answer must be above 0")
    fixed = (second.monthly - first.monthly) + (second.once - first.once) / MONTHS
    return (fixed / requests_per_month + (second.per_request - first.per_request)) / error_cost


@dataclass(slots=True)
class _Case:
    """Answers with what is assumed filled in on first use."""

    values: dict[str, Value]
    prices: Prices
    assumed: dict[str, Assumption] = field(default_factory=dict)

    def get(self, key: str) -> Value:
        if key in self.values:
            return self.values[key]
        value, because = _DEFAULTS[key]
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        self.assumed[key] = Assumption(key.replace("_", " "), shown, because)
        return value

    def number(self, key: str) -> int:
        return int(self.get(key))

    @property
    def output_tokens(self) -> int:
        return OUTPUT_TOKENS.get(str(self.values.get("task")), OTHER_OUTPUT)

    @property
    def in_house(self) -> bool:
        return self.values.get("privacy") == "on_premises"

    def size(self, *, tuned: bool) -> str:
        size = str(self.get("model_size"))
        if self.in_house and size == "frontier" and "model_size" not in self.values:
            return "small" if tuned else "medium"
        return "small" if tuned and size != "medium" else size


def _bill(approach: str, case: _Case) -> ApproachCost:
    items = tuple(item for item in _items(approach, case) if item.amount > 0)
    once, monthly, request = (sum(i.amount for i in items if i.per == per) for per in ("once", "month", "request"))
    requests = case.number("requests_per_day") * DAYS
    return ApproachCost(approach, once, monthly, request, once + MONTHS * monthly + requests * request, items)


def _items(approach: str, case: _Case) -> Iterator[CostItem]:
    tuned, reads = "fine_tuning" in approach, "rag" in approach
    yield from _people(approach, case.prices)
    yield from _requests(approach, case, tuned=tuned)
    if reads:
        yield from _index(case)
    if reads or approach == "few_shot":
        yield CostItem("search", case.prices["retrieval.search"], "request", "one search, its embedding included")
    if tuned:
        yield from _training(approach, case)


def _people(approach: str, prices: Prices) -> Iterator[CostItem]:
    day = prices["people.day"]
    for name, per in (("building it", "once"), ("upkeep", "month")):
        days = prices[f"people.{approach}_{per}"]
        yield CostItem(name, days * day, per, f"{days:g} days x {day:,.0f}")


def _requests(approach: str, case: _Case, *, tuned: bool) -> Iterator[CostItem]:
    """Tokens of one request: fixed part cached in part, T_sys p_in (1 - h + h r) + T_in p_in + T_out p_out."""
    prices, size = case.prices, case.size(tuned=tuned)
    fixed = case.number("instruction_tokens") // (4 if tuned else 1)
    own = case.number("input_tokens") + _added_tokens(approach, case)
    if case.in_house:
        yield _hosting(fixed + own, case, size)
        return
    share, ratio = prices["tokens.cached_share"], prices["tokens.cached_ratio"]
    premium = prices["tokens.tuned_premium"] if tuned else 1.0
    read, written = (prices[f"tokens.{size}_{way}"] * premium / 1e6 for way in ("in", "out"))
    cached = fixed * (1 - share + share * ratio)
    model = f"{size} model{', tuned' if tuned else ''}"
    yield CostItem("tokens read", (cached + own) * read, "request", f"{model}: {fixed} fixed + {own} more tokens")
    yield CostItem("tokens written", case.output_tokens * written, "request", f"{model}: {case.output_tokens} tokens")


def _added_tokens(approach: str, case: _Case) -> int:
    prices = case.prices
    if approach == "few_shot":
        return int(prices["retrieval.shots"]) * (case.number("input_tokens") + case.output_tokens)
    if "rag" in approach:
        return int(prices["retrieval.passages"] * prices["retrieval.passage_tokens"])
    return 0


def _hosting(prompt: int, case: _Case, size: str) -> CostItem:
    """Fixed H = replicas x price an hour x 730; replicas = ceil(peak tokens/s / tokens/s of one).

    A prompt token counts a tenth of a written one: prefill is that much faster.
    """
    prices = case.prices
    tokens = prompt / 10 + case.output_tokens
    peak = case.number("requests_per_day") * tokens / 86_400 * prices["hosting.peak"]
    replicas = max(1, math.ceil(peak / prices[f"hosting.{size}_speed"]))
    amount = replicas * prices["hosting.gpu_hour"] * prices["hosting.hours"]
    gpus = "1 GPU" if replicas == 1 else f"{replicas} GPUs"
    how = f"{gpus} x {prices['hosting.hours']:.0f} hours x {prices['hosting.gpu_hour']:g}"
    return CostItem(f"own hosting, {size} model", amount, "month", how)


def _index(case: _Case) -> Iterator[CostItem]:
    prices, tokens = case.prices, case.number("corpus_tokens")
    price = prices["tokens.embedding"] + prices["tokens.context"]
    yield CostItem("indexing", tokens / 1e6 * price, "once", f"{tokens:,} tokens x {price:g} a million")
    changes = _CHANGES_A_YEAR[str(case.get("fact_change_rate"))]
    changed = 0.05 * changes / MONTHS * tokens / 1e6 * price
    yield CostItem("re-indexing", changed, "month", f"{changes} changes a year, a twentieth of the documents each")
    yield CostItem("vector store", prices["retrieval.store_month"], "month", "one store")


def _training(approach: str, case: _Case) -> Iterator[CostItem]:
    """Labels still missing, training runs, and both again each tau months."""
    prices, have = case.prices, case.number("labelled_examples")
    want = max(have, _examples_wanted(case))
    label = prices["labels.label"] * (1 + prices["labels.overlap"])
    missing = want - have
    yield CostItem("labels", missing * label, "once", f"{missing:,} labels x {label:.2f}")
    length = case.number("input_tokens") + case.output_tokens + case.number("instruction_tokens") // 4
    length += _added_tokens(approach, case)
    run = want * length * prices["tuning.epochs"] / 1e6 * prices["tuning.training"]
    runs = prices["tuning.runs"]
    yield CostItem("training", run * runs, "once", f"{runs:g} runs over {want:,} examples of {length} tokens")
    months = _months_between_trainings(approach, case)
    fresh = round(prices["labels.fresh"] * want)
    how = f"every {months} months: {fresh:,} new labels and a training"
    yield CostItem("retraining", (fresh * label + run) / months, "month", how)


def _examples_wanted(case: _Case) -> int:
    classes = case.values.get("classes", 0)
    return int(max(case.prices["labels.enough"], int(classes) * case.prices["labels.a_class"]))


def _months_between_trainings(approach: str, case: _Case) -> int:
    """tau = min(task drift, life of the base model = 12 months, and facts' change where they are in the weights)."""
    months = _MONTHS_BETWEEN[str(case.get("task_stability"))]
    if approach == "fine_tuning" and case.values.get("gap") in ("facts", "both"):
        changes = _CHANGES_A_YEAR[str(case.get("fact_change_rate"))]
        months = min(months, max(1, MONTHS // max(1, changes)))
    return months


def _curve(values: Mapping[str, Value], prices: Prices, asked: int) -> Iterator[CostPoint]:
    for volume in sorted({*VOLUMES, max(asked, 1)}):
        case = _Case({**values, "requests_per_day": volume}, prices)
        yield CostPoint(float(volume), {approach: _bill(approach, case).first_year for approach in APPROACHES})


def _round(volume: float) -> int:
    """Two figures: more would pretend."""
    digits = max(0, len(str(int(volume))) - 2)
    return int(round(volume, -digits)) if volume >= 1 else 1


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); expected a price table as TOML") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{path} is no TOML: {error}; `advise prices` prints a table to start from") from None


def _problems(own: dict[str, Any], figures: Mapping[str, float]) -> Iterator[str]:
    for part, table in own.items():
        if not isinstance(table, dict):
            yield f'"{part}" stands outside any table; write it below [tokens], [people] or another one'
            continue
        for key, value in table.items():
            yield from _meta_problem(key, value) if part == "meta" else _price_problem(f"{part}.{key}", value, figures)


def _meta_problem(key: str, value: object) -> Iterator[str]:
    if key not in ("date", "currency"):
        yield f"unknown meta.{key}; there are meta.date and meta.currency"
    elif not str(value).strip():
        yield f"meta.{key} is empty"


def _price_problem(name: str, value: object, figures: Mapping[str, float]) -> Iterator[str]:
    if name not in figures:
        yield f"unknown price {shown_raw(name)}{did_you_mean(name, figures)}"
    elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        yield f"{name} must be a number, 0 or more; got {shown_raw(value)}"
    elif value == 0 and (name.endswith("_speed") or name == "tuning.epochs"):
        yield f"{name} must be above 0"
