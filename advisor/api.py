"""From answers to the whole advice: the one function behind `advise`, and reading and writing `advice.json`.

from advisor import api
from advisor.answers import combine, parse_set

advice = api.advise(combine(parse_set(["task=facts_qa", "gap=facts"])))
print(advice.recommendation.approach)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from advisor import guidance
from advisor.answers import Answers
from advisor.costs import DAYS, MONTHS, cost_of, smallest_gain_that_pays
from advisor.errors import UserError
from advisor.experience import PastVerdict, experience
from advisor.interview import contradictions
from advisor.prices import Prices, read_prices
from advisor.recommend import recommend
from advisor.records import (
    APPROACH_NAMES,
    APPROACHES,
    ARMS_OF,
    SCHEMA_VERSION,
    Advice,
    Costs,
    Hypothesis,
    Recommendation,
    Value,
)
from advisor.rules import load_knowledge
from advisor.sensitivity import sensitivity
from harness.disk import write_whole
from harness.given import CannotRead, read_whole

LARGEST_ADVICE = 16 << 20
"""Bytes of an `advice.json`."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beside the answers."""

    title: str = "Use case"
    asked: int = 0
    stopped_because: str = "nothing was asked"
    past: tuple[PastVerdict, ...] = ()
    """Remembered verdicts."""
    prices: Prices | None = None
    """None: the price table that comes with the product."""
    arms: tuple[str, ...] | None = None
    """Arms that the data can run; None: not known."""
    error_cost: float | None = None
    """What one wrong answer costs, in the price table's currency; None: not known."""


def advise(answers: Answers, *, context: Context | None = None) -> Advice:
    """Everything that can be said for these answers."""
    context = context or Context()
    values = answers.values
    learned = experience(values, context.past)
    found = recommend(values, shifts=learned.shifts)
    learned = experience(values, context.past, advised=found.approach)
    now = datetime.now(UTC)
    costs = cost_of(values, prices=context.prices or read_prices(None))
    stated = hypothesis(found, date=now.date().isoformat(), arms=arms_worth_running(values, found, context.arms))
    return Advice(
        created=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        title=encodable(context.title),
        answers=answers.answers,
        conflicts=contradictions(answers),
        recommendation=found,
        sensitivity=sensitivity(values, found, shifts=learned.shifts),
        layers=guidance.layers(values, found.approach),
        tuning=guidance.tuning(values, found),
        ladder=guidance.ladder(values, found),
        risks=guidance.risks(values, found.approach),
        readiness=guidance.readiness(values, found.approach),
        costs=costs,
        experience=learned,
        hypothesis=replace(stated, margin_that_pays=margin_that_pays(costs, found, error_cost=context.error_cost)),
        asked=context.asked,
        stopped_because=context.stopped_because,
        knowledge_digest=load_knowledge().digest,
    )


def encodable(text: str) -> str:
    """Text of the command line or a file's name, with a question mark for each byte that was no text."""
    return text.encode("utf-8", "replace").decode("utf-8")


def arms_worth_running(
    values: Mapping[str, Value], found: Recommendation, runnable: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The arms of the advised approach and of the runner-up, and the cheap baselines that every trial needs.

    `runnable`: arms that the data can run; others are left out.
    """
    wanted = {"prompt", *ARMS_OF[found.approach], *ARMS_OF.get(found.runner_up or "", ())}
    if values.get("labelled_examples") != 0:
        wanted |= {"nearest_shots"}
    if found.approach == "rag_fine_tuning":
        wanted |= {"rag", "lora"}  # a combination has to beat both of its halves
    order = [arm for approach in APPROACHES for arm in ARMS_OF[approach]]
    return tuple(arm for arm in order if arm in wanted and (runnable is None or arm in runnable))


def hypothesis(found: Recommendation, *, date: str, arms: tuple[str, ...]) -> Hypothesis:
    """The advice as a sentence that a bake-off can refute."""
    name = APPROACH_NAMES[found.approach]
    cheaper = APPROACHES[: APPROACHES.index(found.approach)]
    rest = "no other approach is better by the margin of the decision rule"
    if cheaper:
        text = f"On the eval set, {name} beats every cheaper approach by the margin of the decision rule, and {rest}."
    else:
        text = f"On the eval set, {name} beats the constant answer, and {rest}."
    return Hypothesis(date, found.approach, found.runner_up, text, arms)


def margin_that_pays(costs: Costs, found: Recommendation, *, error_cost: float | None) -> float | None:
    """Smallest gain, 0..1, at which the dearer of advised approach and runner-up pays within a year.

    None without a price of a wrong answer, without a runner-up, or where no gain up to 1 would pay; 0 where the dearer
    one to set up saves money anyway.
    """
    bills = {bill.approach: bill for bill in costs.approaches}
    pair = [bills[name] for name in (found.approach, found.runner_up) if name in bills]
    if error_cost is None or len(pair) < 2 or costs.requests_per_day <= 0:
        return None
    cheap, dear = sorted(pair, key=lambda bill: bill.first_year)
    a_month = costs.requests_per_day * DAYS / MONTHS
    gain = smallest_gain_that_pays(cheap, dear, requests_per_month=a_month, error_cost=error_cost)
    return round(max(0.0, gain), 4) if gain <= 1 else None


def json_of(advice: Advice, *, sections: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """`advice.json`: the record, and beside it `sections`, the advice in words for whoever makes a document of it."""
    import msgspec

    whole = {**msgspec.to_builtins(advice), "sections": list(sections)} if sections else advice
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def write_json(advice: Advice, path: Path, *, sections: Sequence[Mapping[str, Any]] = ()) -> Path | None:
    """Write `advice.json` (see `json_of`), whole or not at all; an older one is kept beside it, and its new path is
    returned.

    Raises UserError where it cannot be written.
    """
    data = json_of(advice, sections=sections)
    try:
        kept = keep_older(path)
        write_whole(path, data)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}); name another folder with --out"
        ) from None
    return kept


def keep_older(path: Path) -> Path | None:
    """Move a file that is in the way to a name with the time it was written; None where there is none."""
    if not path.exists():
        return None
    stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y%m%d-%H%M%S")
    kept, number = path.with_name(f"{path.stem}-{stamp}{path.suffix}"), 2
    while kept.exists():
        kept, number = path.with_name(f"{path.stem}-{stamp}-{number}{path.suffix}"), number + 1
    path.rename(kept)
    return kept


def read_json(path: Path) -> Advice:
    """Read an `advice.json`. Raises UserError: missing, damaged, or of a newer format."""
    import msgspec

    try:
        data = read_whole(path, most=LARGEST_ADVICE)
    except CannotRead as error:
        raise UserError(f"{path} {error}; expected an advice.json") from None
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise UserError(f"{path} has format {version}, newer than this program's {SCHEMA_VERSION}; update it")
        return _consistent(msgspec.json.decode(data, type=Advice))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UserError(f"{path} is no advice.json as `advise` writes it ({error}); run `advise` again") from None


def _consistent(advice: Advice) -> Advice:
    """ValueError where approaches are named that do not exist or are not in the ranking."""
    found = advice.recommendation
    ranked = [one.approach for one in found.standings]
    if sorted(ranked) != sorted(APPROACHES) or found.approach not in ranked:
        raise ValueError("its ranking does not name each approach once")
    named = [flip.to for flip in advice.sensitivity.flips] + [bill.approach for bill in advice.costs.approaches]
    named += [advice.hypothesis.approach, *([found.runner_up] if found.runner_up else [])]
    unknown = sorted(set(named) - set(APPROACHES))
    if unknown:
        raise ValueError(f"it names the unknown approach {unknown[0]!r}")
    return advice


@dataclass(frozen=True, slots=True)
class _Version:
    schema_version: int
