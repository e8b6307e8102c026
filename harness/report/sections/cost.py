"""What every arm costs to run and to prepare, as measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.publish import numbers
from harness.publish.axes import count_axis, log_axis
from harness.publish.blocks import (
    Bar,
    Block,
    Column,
    Dot,
    Intervals,
    Paragraph,
    Scatter,
    Section,
    Table,
)
from harness.records import CONTROL, ArmScore, Spent
from harness.report.data import ReportData
from harness.report.names import arm_name, metric_title
from harness.report.prices import priced
from harness.report.sections.axes import score_axis, tone
from harness.report.sections.scores import in_words, recommended_rows, row_name, written

_FEW_TIMED = 20
_THOUSAND = 1000

_COLUMNS = (
    Column("Arm"),
    Column("Tokens in", number=True),
    Column("Tokens out", number=True),
    Column("p50", number=True),
    Column("p95", number=True),
    Column("Training", number=True),
    Column("Peak memory", number=True),
)


def cost_section(data: ReportData) -> Section:
    """Quality against cost, tokens, latency, training and memory, measured on this machine."""
    title = "Cost and latency"
    if not data.costs:
        return Section(title, "cost", (Paragraph("Costs were not measured."),))
    blocks: list[Block] = [
        *_quality_against_cost(data),
        *_latency(data),
        cost_table(data),
        Paragraph(_how_to_read(data)),
    ]
    return Section(title, "cost", tuple(blocks))


def cost_table(data: ReportData) -> Table:
    """One row an arm, in the order of the score table."""
    arms = tuple(arm for arm in data.arms if arm in data.cost_of)
    rows = tuple(_row(data, arm) for arm in arms)
    return Table("Means per request; latency of single requests", _COLUMNS, rows, recommended_rows(data, arms))


def _quality_against_cost(data: ReportData) -> list[Scatter]:
    """A dot an arm: what 1,000 requests cost, in money where prices are known, else in tokens."""
    metric, amounts = data.verdict.metric, _amounts(data)
    found = [data.score_of[arm, metric] for arm in amounts.values if (arm, metric) in data.score_of]
    found = [one for one in found if numbers.is_measured(one.value, one.low, one.high)]
    if len(found) < 2:
        return []
    dots = tuple(_dot(data, one, amounts.values[one.arm]) for one in found)
    caption = f"{metric_title(metric)} against the cost of {numbers.count(_THOUSAND)} requests"
    said = "; ".join(
        f"{arm_name(one.arm)} {written(one)} at {amounts.written(amounts.values[one.arm])}" for one in found
    )
    alt = f"{caption}; more to the left and higher up is better. {said}."
    x = log_axis(amounts.title, tuple(amounts.values.values()), amounts.written)
    return [Scatter(caption, x, score_axis([one.high for one in found], metric), dots, alt)]


def _dot(data: ReportData, one: ArmScore, amount: float) -> Dot:
    shown, marked = tone(one.arm, data.real_arms), one.arm == data.verdict.arm
    return Dot(arm_name(one.arm), amount, one.value, one.low, one.high, tone=shown, marked=marked)


@dataclass(frozen=True, slots=True)
class _Amounts:
    """What 1,000 requests of each arm cost, and how that is written."""

    title: str
    values: dict[str, float]
    written: Callable[[float], str]


def _amounts(data: ReportData) -> _Amounts:
    prices, thousand = priced(data), numbers.count(_THOUSAND)
    if prices is not None and len(prices.arms) > 1:
        currency = prices.currency
        amounts = {arm: _THOUSAND * one.request for arm, one in prices.arms.items() if one.request > 0}
        return _Amounts(f"Cost of {thousand} requests", amounts, lambda value: numbers.money(value, currency))
    measured = {arm: cost.tokens_in + cost.tokens_out for arm, cost in data.cost_of.items() if arm != CONTROL}
    tokens = {arm: _THOUSAND * each for arm, each in measured.items() if each > 0}
    return _Amounts(f"Tokens of {thousand} requests", tokens, numbers.count)


def _latency(data: ReportData) -> list[Intervals]:
    """How long single requests take: the median, and the slowest twentieth."""
    timed = [(arm, data.cost_of[arm]) for arm in data.real_arms if arm in data.cost_of]
    bars = tuple(
        Bar(
            row_name(data, arm),
            cost.latency_p50,
            cost.latency_p50,
            cost.latency_p95,
            f"{numbers.seconds(cost.latency_p50)} (95 % within {numbers.seconds(cost.latency_p95)})",
            arm == data.verdict.arm,
        )
        for arm, cost in timed
        if cost.latency_p50 is not None and cost.latency_p95 is not None
    )
    if not bars:
        return []
    caption = "Time for a request, sent one at a time: the median, and a bar to the time that 95 % keep to"
    axis = count_axis("", max(bar.high for bar in bars), numbers.seconds)
    return [Intervals(caption, bars, axis.ticks[-1][0], axis.ticks, alt=in_words(caption, bars))]


def _row(data: ReportData, arm: str) -> tuple[str, ...]:
    cost, recipe = data.cost_of[arm], data.recipe_of.get(arm)
    trained = recipe is not None and recipe.train_examples > 0
    return (
        row_name(data, arm),
        numbers.mean_count(cost.tokens_in),
        numbers.mean_count(cost.tokens_out),
        numbers.seconds(cost.latency_p50),
        numbers.seconds(cost.latency_p95),
        numbers.seconds(cost.train_seconds) if trained or cost.train_seconds else "none",
        numbers.megabytes(cost.peak_memory_mb),
    )


def _timed(counts: list[int]) -> str:
    """How many requests of each arm were timed."""
    if not counts:
        return "They were "
    many = numbers.count(min(counts)) if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
    return f"Of each arm {many} were timed, "


def _how_to_read(data: ReportData) -> str:
    place = data.provenance
    timed = [cost.latency_n for cost in data.costs if cost.latency_p95 is not None]
    few = (
        f" With fewer than {_FEW_TIMED} requests timed, p95 is hardly more than the slowest of them."
        if timed and min(timed) < _FEW_TIMED
        else ""
    )
    if data.endpoint:
        return (
            "Half of all requests took no longer than p50, 95 in 100 no longer than p95. "
            f"{_timed(timed)}sent one at a time to {data.endpoint}, over the network and at that hour's load, "
            f"retrieval on the run's machine included; another hour gives other seconds.{few}{_first_tokens(data)} "
            "Peak memory is that of this process, which held no model; what the server takes is not known here."
            f"{_paid(place.spent)}"
        )
    machine = f"{place.device}, {numbers.counted(place.threads, 'thread')}"
    return (
        "Half of all requests took no longer than p50, 95 in 100 no longer than p95. "
        f"{_timed(timed)}sent one at a time on the run's machine ({machine}), retrieval included and a trained adapter "
        f"merged into the model; another machine gives other seconds.{few} Peak memory is that of the whole process "
        "while an arm was at work, so what earlier arms left behind counts too."
    )


def _first_tokens(data: ReportData) -> str:
    """When answers began, where they were streamed."""
    known = [(arm, data.cost_of[arm].first_token_p50) for arm in data.real_arms if arm in data.cost_of]
    said = [f"{numbers.seconds(seconds)} ({arm_name(arm)})" for arm, seconds in known if seconds is not None]
    return f" The first token came after a median of {', '.join(said)}." if said else ""


def _trained(spent: Spent) -> str:
    """What fine-tuning at the provider cost."""
    if not spent.jobs:
        return ""
    money = numbers.money(spent.training_money, spent.currency)
    return (
        f" Fine-tuning at the provider took {numbers.counted(spent.jobs, 'job')} of {numbers.count(spent.trained)} "
        f"tokens in all, for about {money} at the price named for it."
    )


def _paid(spent: Spent | None) -> str:
    """What the whole run asked of the endpoint."""
    if spent is None or not spent.requests:
        return ""
    cost = "what they cost is not known, because no prices were named"
    if spent.money is not None:
        requests = spent.money - (spent.training_money or 0.0)
        cost = f"at the prices named for it they cost about {numbers.money(max(0.0, requests), spent.currency)}"
    guessed = (
        f" The endpoint did not count the tokens of {numbers.counted(spent.estimated, 'request')}: they are estimated."
        if spent.estimated
        else ""
    )
    return (
        f"{_trained(spent)} The whole run sent {numbers.counted(spent.requests, 'request')} with "
        f"{numbers.count(spent.tokens_in)} tokens read and {numbers.count(spent.tokens_out)} written; {cost}.{guessed}"
        f"{_in_batches(spent)}"
    )


def _in_batches(spent: Spent) -> str:
    """What went in batches, and that nothing else here is about batches."""
    if not spent.batched:
        return ""
    paid = (
        ""
        if spent.batch_money is None
        else f"; they cost {numbers.money(spent.batch_money, spent.currency)} of that, the price of batches"
    )
    priced = ", and what requests cost in use is reckoned at the normal prices" if spent.price_in is not None else ""
    return (
        f" {numbers.counted(spent.batched, 'request')} of these went in batches, which the server answers within a day"
        f"{paid}. The latency is that of single requests{priced}."
    )
