"""What tuned arms cost that a provider makes: jobs, rows that leave the machine, tokens and money, before any of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from harness.engines.fine_tuning import MADE
from harness.experiment.requests import EndpointPlan, Sizes
from harness.models.endpoint import CHARACTERS_PER_TOKEN
from harness.publish import numbers
from harness.scenario import EndpointWish


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """Fine-tuning at the provider."""

    host: str
    base: str
    epochs: int
    rows: int
    held: int
    jobs: float
    """Of the arms and the experiments; one on part of the examples counts as that part."""
    tokens: int
    money: float
    currency: str
    arms: tuple[str, ...]


def tuning_plan(
    wish: EndpointWish,
    names: Sequence[str],
    sizes: Sizes,
    *,
    rows: int,
    held: int,
    trainings: Mapping[str, float],
) -> TuningPlan | None:
    """All of it; None where the provider tunes nothing.

    Args:
        trainings: experiment -> trainings of a tuned arm.
    """
    tuned = wish.fine_tuning
    arms = tuple(name for name in names if name in MADE and name not in wish.adapters)
    if tuned is None or not arms:
        return None
    further = sum(trainings.values()) if wish.max_cost is not None else 0.0
    each = [tuned.epochs * rows * (sizes.prompt(name) + sizes.output) for name in arms]
    tokens = sum(each) + further * sum(each) / len(each)
    price = tuned.price or 0.0
    return TuningPlan(
        host=urlsplit(wish.url).netloc,
        base=tuned.model or wish.model,
        epochs=tuned.epochs,
        rows=rows,
        held=held,
        jobs=len(arms) + further,
        tokens=round(tokens),
        money=tokens * price / 1e6,
        currency=wish.currency,
        arms=arms,
    )


def with_tuning(plan: EndpointPlan, tuning: TuningPlan, wish: EndpointWish) -> EndpointPlan:
    """The requests' plan with the jobs' money, and the tuned model's own prices for its share of the requests."""
    if plan.money is None:
        return replace(plan, training_money=tuning.money)
    share = sum(plan.arms[arm] for arm in tuning.arms) / max(1, plan.requests)
    tuned, more = wish.fine_tuning, 0.0
    if tuned and tuned.price_in is not None and tuned.price_out is not None and wish.price_in is not None:
        dearer = tuned.price_in - wish.price_in, tuned.price_out - (wish.price_out or 0.0)
        more = share * (plan.tokens_in * dearer[0] + plan.tokens_out * dearer[1]) / 1e6
        more *= 1 - plan.batch_discount * _batched_share(plan, tuning)
    return replace(plan, money=plan.money + more + tuning.money, training_money=tuning.money)


def _batched_share(plan: EndpointPlan, tuning: TuningPlan) -> float:
    """Of the tuned arms' requests, what goes in batches: each arm that asks sends its cases so, which are as many."""
    asking = sum(bool(requests) for requests in plan.arms.values())
    return plan.batched * len(tuning.arms) / max(1, asking) / max(1, sum(plan.arms[arm] for arm in tuning.arms))


def tuning_sentence(plan: TuningPlan) -> str:
    """What leaves the machine, and what it costs."""
    jobs = numbers.counted(math.ceil(plan.jobs), "fine-tuning job")
    held = f" and {numbers.counted(plan.held, 'held-out one')}" if plan.held else ""
    return (
        f"{jobs} at {plan.host} on {plan.base}: {numbers.counted(plan.rows, 'training example')}{held} leave this "
        f"machine for it (no eval case does), {numbers.counted(plan.epochs, 'pass', 'passes')}, about "
        f"{numbers.count(plan.tokens)} tokens for {numbers.money(plan.money, plan.currency)}. A job is begun only "
        f"where the most that it can cost, about {CHARACTERS_PER_TOKEN + 1} times that, is left; how long it waits and "
        "takes is the provider's to say."
    )
