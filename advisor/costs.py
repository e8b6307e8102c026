"""What each approach costs in its first year, and at which volume one becomes cheaper than another.

The formulae are the cost model of the evidence base, part (d), its own synthesis: a token price p is per million
tokens, A is paid once, F a month, c a request, M is the number of months. Money is in the price table's currency.

What a wrong answer costs (L) is no part of the bills, because few can name it; `break_even_volume`, `payback_months`
and `smallest_gain_that_pays` take it where it is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, islice, pairwise

from advisor.prices import Prices
from advisor.records import (
    APPROACH_NAMES,
    APPROACHES,
    ApproachCost,
    Assumption,
    BreakEven,
    CostItem,
    CostPoint,
    Costs,
    TokenPrice,
    Value,
)

DAYS = 365
MONTHS = 12
MOST_REQUESTS = 10_000_000
"""A day; break-even volumes beyond it (or below one request a day) are of no use to anybody."""
MOST_MACHINES = 1000
"""Nor are those that would need more machines than this."""
FITS_A_PROMPT = 200_000
"""Tokens; smaller collections can be put into every prompt whole (Anthropic, contextual retrieval)."""

_OUTPUT = {"classification": 8, "extraction": 120, "facts_qa": 150, "code": 300, "reasoning": 500, "agent": 500}
_OTHER_OUTPUT = 250
_NEEDS_A_LARGER_MODEL = ("code", "reasoning", "agent")
_CHANGES_A_YEAR = {"static": 0, "yearly": 1, "monthly": 12, "weekly": 52, "daily": 365, "realtime": 365}
_TASK_CHANGES_A_YEAR = {"stable": 0, "yearly": 1, "monthly": 12}
_MOST_RETRAININGS_A_YEAR = 52
_STEPS_DRAWN = 10
"""Machines, after which a further one is a small step."""
_DEFAULTS: dict[str, tuple[Value, str]] = {
    "requests_per_day": (1000, "nobody said how many"),
    "input_tokens": (300, "nobody said how long an input is; this is about 230 words"),
    "instruction_tokens": (600, "nobody said how long the instructions are; this is about a page and a half"),
    "corpus_tokens": (500_000, "nobody said how large the documents are; this is about 1,250 pages"),
    "fact_change_rate": ("monthly", "nobody said how often the facts change"),
    "task_stability": ("stable", "nobody said how often the task changes"),
    "model_size": ("frontier", "nobody said which models may be used"),
    "labelled_examples": (0, "nobody said how many there are, so all that are needed are paid for"),
    "eval_examples": (0, "nobody said how many are kept for testing, so all that are needed are paid for"),
}


def cost_of(values: Mapping[str, Value], *, prices: Prices) -> Costs:
    """The bill of every approach for these answers; what nobody answered is assumed, and said.

    Approaches that a veto stands against have a bill, too: it says what the veto saves or costs.
    """
    case = _Case(values, prices)
    bills = [_bill(approach, case) for approach in APPROACHES]
    volume = float(case.number("requests_per_day"))
    breaks = tuple(break_even(first, second) for first, second in combinations(bills, 2))
    _note_what_was_taken(case)
    return Costs(
        currency=prices.currency,
        prices_date=prices.date,
        requests_per_day=volume,
        approaches=tuple(bill.at(volume) for bill in bills),
        break_evens=breaks,
        curve=tuple(_curve(bills, breaks, volume)),
        assumptions=tuple(case.assumed.values()),
        token_prices=() if case.in_house else tuple(_token_price(bill, case) for bill in bills),
    )


# ---- bills and where they cross


@dataclass(frozen=True, slots=True)
class Hosting:
    """Machines of one's own, as many as the busiest hour needs: a bill that grows in steps."""

    month: float
    """Price of one machine a month."""
    capacity: float
    """Requests a day, with their usual peak, that one machine carries."""
    size: str
    """Of the model."""

    def machines(self, volume: float) -> int:
        """replicas = ceil(peak tokens/s / tokens/s of one machine); at least one."""
        return max(1, math.ceil(volume / self.capacity))


@dataclass(frozen=True, slots=True)
class Bill:
    """What an approach costs, as a function of the requests a day."""

    approach: str
    items: tuple[CostItem, ...]
    """All but the hosting; what they cost once, a month or a request does not depend on the volume."""
    hosting: Hosting | None = None
    """None: the models are a provider's, paid by the token."""

    def at(self, volume: float) -> ApproachCost:
        """The bill at this many requests a day."""
        items = tuple(item for item in (*self.items, *self._hosting_items(volume)) if item.amount > 0)
        once, month, request = (_total(items, per) for per in ("once", "month", "request"))
        year = once + MONTHS * month + DAYS * volume * request
        return ApproachCost(self.approach, once, month, request, year, items)

    @property
    def long_run(self) -> float:
        """What one more request a day adds to the first year, on average over many machines."""
        hosting = MONTHS * self.hosting.month / self.hosting.capacity if self.hosting else 0.0
        return DAYS * _total(self.items, "request") + hosting

    def steps(self, highest: float) -> Iterator[float]:
        """Volumes up to `highest` beyond which one more machine is needed."""
        if self.hosting:
            last = min(MOST_MACHINES, math.floor(highest / self.hosting.capacity))
            yield from (number * self.hosting.capacity for number in range(1, last + 1))

    def _hosting_items(self, volume: float) -> Iterator[CostItem]:
        if self.hosting:
            number, month = self.hosting.machines(volume), self.hosting.month
            carries = f"one carries about {_two_figures(self.hosting.capacity)} requests a day with their peak"
            how = f"{number:,} x {month:,.0f} for a {self.hosting.size} model; {carries}"
            yield CostItem("own machines", number * month, "month", how)


def break_even_volume(
    first: ApproachCost, second: ApproachCost, *, months: float = MONTHS, gain: float = 0.0, error_cost: float = 0.0
) -> float | None:
    """Requests a month at which both cost the same over `months`; None where the lines do not cross above 0.

    V* = (F2 - F1 + (A2 - A1) / M) / ((c1 - c2) + (acc2 - acc1) L), cost model of the evidence base, part (d). `gain` is
    acc2 - acc1 (0..1), `error_cost` is L, the price of one wrong answer. It takes F as it is at the bills' volume;
    where machines come in steps, `break_even` looks at every step.
    """
    fixed = (second.monthly - first.monthly) + (second.once - first.once) / months
    saved = (first.per_request - second.per_request) + gain * error_cost
    if saved == 0 or fixed / saved <= 0:
        return None
    return fixed / saved


def break_even(first: Bill, second: Bill) -> BreakEven:
    """Which of two is cheaper over the first year, and from which volume on.

    In the result the second approach is the one that is cheaper above the volume; where there is no such volume (None),
    it is the one that is never cheaper. Own machines make bills grow in steps, and two such bills can cross more than
    once: then the volume is the last crossing, and the text says between which volumes it depends.

    Between two steps both bills are straight lines, where V* of `break_even_volume` is exact; so each stretch is looked
    at by itself. Looked at are volumes from 1 request a day to `MOST_REQUESTS`, or as far as `MOST_MACHINES` carry.
    """
    high = _highest(first, second)
    stretches = tuple(_stretches(first, second, high))
    crossings = _crossings(stretches)
    if stretches[-1].right > 0 or (stretches[-1].right == 0 and stretches[0].left > 0):
        first, second = second, first  # the second one is the cheaper one at high volumes
    one, two = APPROACH_NAMES[first.approach], APPROACH_NAMES[second.approach]
    if crossings:
        return BreakEven(first.approach, second.approach, crossings[-1], _crossing_text(one, two, crossings))
    if stretches[0].left == 0 == stretches[-1].right:
        return BreakEven(first.approach, second.approach, None, f"{_upper(one)} and {two} cost the same.")
    for_ever = second.long_run <= first.long_run
    where = "At every volume" if for_ever else f"Up to {_two_figures(high)} requests a day"
    text = f"{where} {two} is cheaper than {one} over the first year."
    return BreakEven(second.approach, first.approach, None, text)


def payback_months(
    first: ApproachCost, second: ApproachCost, *, requests_per_month: float, gain: float = 0.0, error_cost: float = 0.0
) -> float | None:
    """Months until `second` has earned back what it costs more to build; 0: at once, None: never.

    (A2 - A1) / (V ((c1 - c2) + (acc2 - acc1) L) - (F2 - F1)), cost model of the evidence base, part (d). `gain` is
    acc2 - acc1 (0..1), `error_cost` is L, the price of one wrong answer.
    """
    more = second.once - first.once
    monthly = requests_per_month * ((first.per_request - second.per_request) + gain * error_cost)
    monthly -= second.monthly - first.monthly
    if monthly <= 0:
        return 0.0 if more <= 0 and monthly == 0 else None
    return max(0.0, more / monthly)


def smallest_gain_that_pays(
    first: ApproachCost, second: ApproachCost, *, requests_per_month: float, error_cost: float, months: float = MONTHS
) -> float:
    """The rise in accuracy (0..1) at which `second` costs the same as `first` over `months`; below 0 it saves anyway.

    delta* = ((F2 - F1) / V + (A2 - A1) / (M V) + (c2 - c1)) / L, cost model of the evidence base, part (d); usable as
    the margin of a decision rule. ValueError unless the volume and the price of an error are above 0.
    """
    if requests_per_month <= 0 or error_cost <= 0:
        raise ValueError("the requests a month and the price of a wrong answer must be above 0")
    fixed = (second.monthly - first.monthly) + (second.once - first.once) / months
    return (fixed / requests_per_month + (second.per_request - first.per_request)) / error_cost


def _total(items: Iterable[CostItem], per: str) -> float:
    return sum(item.amount for item in items if item.per == per)


def _highest(first: Bill, second: Bill) -> float:
    carried = [bill.hosting.capacity * MOST_MACHINES for bill in (first, second) if bill.hosting]
    return max(2.0, min([MOST_REQUESTS, *carried]))


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Volumes without a step between them, and by how much the second of two bills is dearer at both ends."""

    start: float
    end: float
    left: float
    right: float

    @property
    def crossing(self) -> float:
        """V* of the closed form, where both ends differ in sign: here the line's own zero."""
        return self.start + (self.end - self.start) * self.left / (self.left - self.right)


def _stretches(first: Bill, second: Bill, high: float) -> Iterator[_Stretch]:
    """From 1 request a day to `high`, cut wherever either bill takes a step."""
    steps = {step for bill in (first, second) for step in bill.steps(high) if 1 < step < high}
    lines = _Line(first), _Line(second)
    for start, end in pairwise(sorted({1.0, high, *steps})):
        (one_left, one_right), (two_left, two_right) = (line.ends(start, end) for line in lines)
        yield _Stretch(start, end, _apart(one_left, two_left), _apart(one_right, two_right))


def _apart(one: float, two: float) -> float:
    """Sums that differ by rounding only count as equal."""
    return 0.0 if math.isclose(one, two, rel_tol=1e-12) else two - one


class _Line:
    """A bill's first year over a stretch without a step; summed up once, as thousands of stretches are looked at."""

    def __init__(self, bill: Bill) -> None:
        self._hosting = bill.hosting
        self._fixed = _total(bill.items, "once") + MONTHS * _total(bill.items, "month")
        self._request = DAYS * _total(bill.items, "request")

    def ends(self, start: float, end: float) -> tuple[float, float]:
        """First-year cost just above the start and at the end."""
        fixed = self._fixed
        if self._hosting:
            fixed += MONTHS * self._hosting.month * self._hosting.machines((start + end) / 2)
        return fixed + self._request * start, fixed + self._request * end


def _crossings(stretches: Iterable[_Stretch]) -> list[float]:
    """Volumes at which the cheaper one changes, in order: inside a stretch, or where a machine is added."""
    found, before = [], 0.0
    for stretch in stretches:
        if before * stretch.left < 0:
            found.append(stretch.start)
        if stretch.left * stretch.right < 0:
            found.append(stretch.crossing)
        before = stretch.right or stretch.left or before
    return found


def _crossing_text(one: str, two: str, crossings: list[float]) -> str:
    """In words; the second is cheaper above the last crossing, and so it is below the first where they are even."""
    low, high = _two_figures(crossings[0]), _two_figures(crossings[-1])
    cheaper = f"{two} is cheaper than {one} over the first year"
    unsure = f"between about {low} and {high}"
    depends = "it depends on how full the machines are"
    if len(crossings) == 2:
        where = f"at about {low}" if low == high else unsure
        return f"{_upper(cheaper)}, except {where} requests a day, where {one} is."
    if len(crossings) % 2 == 0:
        return f"{_upper(cheaper)}, except {unsure} requests a day, where {depends}."
    above = f"Above about {high} {'request' if high == '1' else 'requests'} a day {cheaper}"
    if low == high:
        return f"{above}; below it, {one}."
    return f"{above}; below about {low}, {one}; in between {depends}."


def _curve(bills: list[Bill], breaks: Iterable[BreakEven], asked: float) -> Iterator[CostPoint]:
    """Ten to a million requests a day and the asked volume, evenly on a logarithmic scale; closer if bills have steps.

    The break-even volumes are among the points, and so are both sides of the first steps: lines drawn through the
    points cross where they should.
    """
    asked = max(asked, 1.0)
    first, last = math.floor(math.log10(min(asked, 10))), math.ceil(math.log10(max(asked, 1e6)))
    a_decade = 12 if any(bill.hosting for bill in bills) else 6
    volumes = {10 ** (step / a_decade) for step in range(first * a_decade, last * a_decade + 1)}
    volumes |= {asked, *(one.requests_per_day for one in breaks if one.requests_per_day)}
    for bill in bills:
        volumes |= {side for step in islice(bill.steps(10**last), _STEPS_DRAWN) for side in (step, step * 1.0001)}
    for volume in sorted(one for one in volumes if 10**first <= one <= 10**last):
        yield CostPoint(volume, {bill.approach: bill.at(volume).first_year for bill in bills})


# ---- the items of a bill


@dataclass(slots=True)
class _Case:
    """The answers; what is not among them is assumed on first use, and remembered for the reader."""

    values: Mapping[str, Value]
    prices: Prices
    assumed: dict[str, Assumption] = field(default_factory=dict)

    def get(self, key: str) -> Value:
        """An answer or what is assumed instead."""
        if key in self.values:
            return self.values[key]
        value, because = _DEFAULTS[key]
        if key == "model_size" and self.in_house:
            value, because = "medium", "nobody said which models your machines can run"
        self.assume(key.replace("_", " "), value, because)
        return value

    def number(self, key: str) -> int:
        """A whole number among the answers."""
        return int(self.get(key))

    def assume(self, name: str, value: Value, because: str) -> None:
        """Tell the reader."""
        self.assumed.setdefault(name, Assumption(name, f"{value:,}" if isinstance(value, int) else value, because))

    @property
    def task(self) -> str:
        return str(self.values.get("task", ""))

    @property
    def in_house(self) -> bool:
        return self.values.get("privacy") == "on_premises"

    @property
    def output_tokens(self) -> int:
        """T_out; nobody is asked for it."""
        if self.task == "rewriting":
            tokens, because = self.number("input_tokens"), "a rewritten text is about as long as the text"
        elif self.task:
            tokens, because = _OUTPUT.get(self.task, _OTHER_OUTPUT), "usual for this kind of task"
        else:
            tokens, because = _OTHER_OUTPUT, "nobody said what the task is; this is about 190 words"
        self.assume("output tokens", tokens, because)
        return tokens

    def size(self, *, tuned: bool) -> str:
        """The size of the model: the largest allowed, unless it is tuned."""
        allowed = str(self.get("model_size"))
        if not tuned:
            return allowed
        size = "medium" if self.task in _NEEDS_A_LARGER_MODEL and allowed != "small" else "small"
        if size != allowed:
            why = "a tuned smaller model is meant to do the work of the larger one; the bake-off shows whether it does"
            self.assume("size of the tuned model", size, why)
        return size

    def work(self, prompt: float) -> float:
        """A request's tokens, weighed by what they cost a machine: reading is quicker than writing."""
        return prompt * self.prices["hosting.read_share"] + self.output_tokens

    def cached_share(self, fixed: float) -> float:
        """h, of a fixed prompt of so many tokens; providers cache no short ones."""
        return self.prices["tokens.cached_share"] if fixed >= self.prices["tokens.cached_from"] else 0.0

    def label_price(self) -> float:
        """c_label (1 + overlap share)."""
        kind = {"classification": "category", "extraction": "fields"}.get(self.task, "text")
        return self.prices[f"labels.{kind}"] * (1 + self.prices["labels.overlap"])

    def wanted(self, use: str) -> int:
        """Examples that tuning or few-shot prompting is planned with."""
        each = int(self.values.get("classes", 0)) * self.prices[f"labels.{use}_class"]
        return math.ceil(max(self.prices[f"labels.{use}"], each))


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What is read for one request, in tokens: T_sys, T_in, and k T_ex or K T_chunk."""

    fixed: float
    own: float
    added: float
    added_name: str

    @property
    def tokens(self) -> float:
        return self.fixed + self.own + self.added


def _bill(approach: str, case: _Case) -> Bill:
    prompt = _prompt(approach, case)
    items = [*_people_items(approach, case), *_request_items(approach, case, prompt)]
    request = _total(items, "request")
    items += _test_items(case, request, rounds=case.prices["tuning.runs"] if "fine_tuning" in approach else 5)
    if approach == "few_shot":
        items += _label_items(case, "for_shots")
    if "rag" in approach:
        items += _index_items(case)
    if "fine_tuning" in approach:
        items += [*_label_items(case, "for_tuning"), *_training_items(approach, case, prompt, request=request)]
    return Bill(approach, tuple(items), _hosting(approach, case, prompt) if case.in_house else None)


def _prompt(approach: str, case: _Case) -> _Prompt:
    prices, own = case.prices, case.number("input_tokens")
    left = prices["tuning.instructions_left"] if "fine_tuning" in approach else 1
    fixed = case.number("instruction_tokens") * left
    if approach == "few_shot":
        return _Prompt(fixed, own, prices["retrieval.shots"] * (own + case.output_tokens), "examples")
    if "rag" in approach:
        places = 1 if case.values.get("question_shape", "lookup") == "lookup" else 2
        return _Prompt(
            fixed, own, places * prices["retrieval.passages"] * prices["retrieval.passage_tokens"], "passages"
        )
    return _Prompt(fixed, own, 0, "")


def _people_items(approach: str, case: _Case) -> Iterator[CostItem]:
    day = case.prices["people.day"]
    for name, per in (("building", "once"), ("upkeep", "month")):
        days = case.prices[f"people.{approach}_{per}"]
        yield CostItem(name, days * day, per, f"{days:g} {'day' if days == 1 else 'days'} x {day:,.0f}")


def _request_items(approach: str, case: _Case, prompt: _Prompt) -> Iterator[CostItem]:
    """c = T_sys p_in (1 - h + h r) + (T_in + k T_ex or K T_chunk) p_in + T_out p_out + c_search + c_rerank.

    h is the cached share of the fixed prompt, r the price of a cached token over an uncached one; tuned models have the
    premium on p_in and p_out. On own machines a further request costs next to nothing: see `_hosting`.
    """
    if case.in_house:
        return
    prices = case.prices
    model, read, written = _model(approach, case)
    share = case.cached_share(prompt.fixed)
    cached = prompt.fixed * (1 - share + share * prices["tokens.cached_ratio"])
    cached_words = f"{share:.0%} of them cached" if share else "none of them cached"
    how = f"{prompt.fixed:,.0f} tokens, {cached_words}, {model} at {read:g} a million"
    yield CostItem("reading the instructions", cached * read / 1e6, "request", how)
    yield CostItem("reading the input", prompt.own * read / 1e6, "request", f"{prompt.own:,.0f} tokens at {read:g}")
    if prompt.added:
        how = f"{prompt.added:,.0f} tokens at {read:g}"
        yield CostItem(f"reading the {prompt.added_name}", prompt.added * read / 1e6, "request", how)
    output = case.output_tokens
    yield CostItem(
        "writing the answer", output * written / 1e6, "request", f"{output:,} tokens at {written:g} a million"
    )
    if prompt.added:
        yield CostItem("search", prices["retrieval.search"], "request", "one search, its embedding included")
    if "rag" in approach:
        yield CostItem("reranking", prices["retrieval.rerank"], "request", "the passages of one search")


def _model(approach: str, case: _Case) -> tuple[str, float, float]:
    """The model in words; what a million tokens read and written cost."""
    tuned = "fine_tuning" in approach
    size, premium = case.size(tuned=tuned), case.prices["tokens.tuned_premium"] if tuned else 1.0
    read, written = (case.prices[f"tokens.{size}_{way}"] * premium for way in ("in", "out"))
    return f"{'tuned ' if tuned else ''}{size} model", read, written


def _token_price(bill: Bill, case: _Case) -> TokenPrice:
    beside = sum(item.amount for item in bill.items if item.per == "request" and item.name in ("search", "reranking"))
    return TokenPrice(bill.approach, *_model(bill.approach, case), beside)


def _hosting(approach: str, case: _Case, prompt: _Prompt) -> Hosting:
    """H = replicas x price an hour x 730 a month; replicas = ceil(peak tokens/s / tokens/s of one)."""
    prices, size = case.prices, case.size(tuned="fine_tuning" in approach)
    a_day = prices[f"hosting.{size}_speed"] * 86_400 / prices["hosting.peak"]
    month = prices[f"hosting.{size}_hour"] * prices["hosting.hours"]
    return Hosting(month, a_day / max(1.0, case.work(prompt.tokens)), size)


def _test_items(case: _Case, request: float, *, rounds: float) -> Iterator[CostItem]:
    """Labels for the test that are missing, and C_eval = items x versions x c."""
    wanted = math.ceil(case.prices["labels.for_test"])
    missing, label = max(0, wanted - case.number("eval_examples")), case.label_price()
    yield CostItem("test examples", missing * label, "once", f"{missing:,} still missing x {label:.2f}")
    how = f"{wanted:,} examples x {rounds:g} versions x {request:.5f} a request"
    yield CostItem("testing", wanted * rounds * request, "once", how)


def _label_items(case: _Case, use: str) -> Iterator[CostItem]:
    """n c_label (1 + overlap share), for the examples that are not there yet."""
    wanted, have, label = case.wanted(use), case.number("labelled_examples"), case.label_price()
    missing = max(0, wanted - have)
    how = f"{missing:,} of {wanted:,} still missing x {label:.2f}"
    yield CostItem("labelled examples", missing * label, "once", how)


def _index_items(case: _Case) -> Iterator[CostItem]:
    """Documents x (p_embed + context cost), once and for what changes; the vector store's F."""
    prices, tokens = case.prices, case.number("corpus_tokens")
    yield CostItem("vector store", prices["retrieval.store_month"], "month", "one store")
    if tokens == 0:
        return
    price = prices["retrieval.embedding"] + prices["retrieval.context"]
    if case.in_house:  # the machine that answers also reads the documents
        size = case.size(tuned=False)
        price = (
            1e6 * prices["hosting.read_share"] / prices[f"hosting.{size}_speed"] / 3600 * prices[f"hosting.{size}_hour"]
        )
    yield CostItem("indexing", tokens / 1e6 * price, "once", f"{tokens:,} tokens x {price:.2f} a million")
    changes, share = _CHANGES_A_YEAR[str(case.get("fact_change_rate"))], prices["retrieval.change_share"]
    how = f"{changes} changes a year, {share:.0%} of the documents each"
    yield CostItem("indexing again", changes * share / MONTHS * tokens / 1e6 * price, "month", how)


def _training_items(approach: str, case: _Case, prompt: _Prompt, *, request: float) -> Iterator[CostItem]:
    """Training = runs x T_train x epochs x p_train; upkeep = (labels + C_train + C_eval + work) / tau."""
    prices = case.prices
    wanted, have = case.wanted("for_tuning"), case.number("labelled_examples")
    examples = max(wanted, min(have, math.floor(prices["tuning.most_examples"])))
    million = examples * (prompt.tokens + case.output_tokens) * prices["tuning.epochs"] / 1e6
    price = prices["tuning.trained"]
    if case.in_house:
        price = 1e6 / prices["tuning.gpu_speed"] / 3600 * prices[f"hosting.{case.size(tuned=True)}_hour"]
    runs = prices["tuning.runs"]
    how = f"{runs:g} runs x {million:.2f} million tokens ({examples:,} examples) x {price:.2f}"
    yield CostItem("training", runs * million * price, "once", how)
    times, why = _retrainings_a_year(approach, case)
    fresh = prices["tuning.share_renewed"] * wanted
    each = fresh * case.label_price() + million * price + math.ceil(prices["labels.for_test"]) * request
    each += prices["people.retraining"] * prices["people.day"]
    how = f"{times:g} a year ({why}) x {each:,.0f}: work, {fresh:,.0f} new examples, training, test"
    yield CostItem("retraining", times / MONTHS * each, "month", how)


def _retrainings_a_year(approach: str, case: _Case) -> tuple[float, str]:
    """12 / tau; tau = min(task drift, life of the base model, and life of the facts where the weights hold them)."""
    reasons = [
        (1, "the base model is replaced"),
        (_TASK_CHANGES_A_YEAR[str(case.get("task_stability"))], "the task changes"),
    ]
    if approach == "fine_tuning" and case.values.get("gap") in ("facts", "both"):
        reasons.append((_CHANGES_A_YEAR[str(case.get("fact_change_rate"))], "the facts change"))
    times, why = max(reasons, key=lambda reason: reason[0])
    if times > _MOST_RETRAININGS_A_YEAR:
        return _MOST_RETRAININGS_A_YEAR, "the facts change daily; more often is hardly possible"
    return times, why


def _note_what_was_taken(case: _Case) -> None:
    """Choices of the model itself that a reader may want to make otherwise."""
    access = case.values.get("model_access")
    if access == "api_no_tuning":
        why = "no model that may be used can be tuned; the bill shows what that costs or saves"
        case.assume("tuned models", "priced as if there were any", why)
    if access == "open_weights" and not case.in_house:
        why = "nothing says that they must run on your own machines; answer so to see that bill"
        case.assume("open models", "at a provider, paid by the token", why)
    tokens = case.number("corpus_tokens")
    if tokens == 0:
        why = "there are none to retrieve from; the bill shows what reading passages would cost"
        case.assume("documents", "priced as if there were any, but for indexing", why)
    if (
        "corpus_tokens" in case.values
        and case.values.get("gap") in ("facts", "both")
        and 0 < tokens < FITS_A_PROMPT
        and not case.in_house
    ):
        _note_documents_in_the_prompt(case, tokens)


def _note_documents_in_the_prompt(case: _Case, tokens: int) -> None:
    """Small collections could be in every prompt; whether they should is not for the bill to decide."""
    prices = case.prices
    share, read = case.cached_share(tokens), prices[f"tokens.{case.size(tuned=False)}_in"]
    more = tokens * (1 - share + share * prices["tokens.cached_ratio"]) * read / 1e6
    why = f"all {tokens:,} tokens in each prompt would add {more:.4f} to the price of a request"
    case.assume("documents in the prompt", "none", why)


# ---- words


def _two_figures(volume: float) -> str:
    """A volume in two figures; more would pretend."""
    if volume < 10:
        return f"{max(1, round(volume))}"
    return f"{round(volume, 1 - math.floor(math.log10(volume))):,.0f}"


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
