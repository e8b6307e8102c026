"""What a run will ask of an endpoint: requests, tokens and, at the user's prices, money. Arithmetic, four characters a
token, each prompt paid for whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.publish import numbers
from harness.records import CONTROL
from harness.scenario import EndpointWish

SHOTS = 5
"""Shots of a prompt with worked examples, on average over what is tried."""
USUAL_SECONDS = 1.0
"""Of a request, until runs here have shown another figure."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Mean tokens of what prompts and answers are made of."""

    instruction: float
    input: float
    output: float
    passages: float
    """Of the passages of one prompt."""

    def prompt(self, arm: str) -> float:
        """Tokens of an arm's prompt."""
        shots = SHOTS * (self.input + self.output) if arm in ("few_shot", "nearest_shots") else 0.0
        return self.instruction + self.input + shots + (self.passages if arm in ("rag", "rag_lora") else 0.0)


@dataclass(frozen=True, slots=True)
class Asking:
    """Requests and their tokens."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def times(self, factor: float) -> Asking:
        """So many sets of these."""
        return Asking(*(round(factor * n) for n in (self.requests, self.tokens_in, self.tokens_out)))


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """What all arms and experiments will ask."""

    address: str
    requests: int
    tokens_in: int
    tokens_out: int
    money: float | None
    """At the prices that were named; None where none were."""
    currency: str
    max_cost: float | None
    arms: dict[str, int]
    """Arm -> requests."""
    experiments: dict[str, int]
    training_money: float | None = None
    """Part of `money` that fine-tuning takes; None: nothing is tuned there."""
    batched: int = 0
    """Requests that are sent in batches ..."""
    batch_discount: float = 0.0
    """... at prices that are lower by this share."""


def arm_asking(arm: str, sizes: Sizes, *, cases: int, dev: int, options: int, timed: int) -> Asking:
    """One arm: options tried on dev, all cases, timed requests and a warm-up before each round of them."""
    if arm == CONTROL:
        return Asking()
    requests = cases + options * dev + timed + min(2, timed)
    written = 2.0 * sizes.output if arm == "prompt" else 1.3 * sizes.output
    return Asking(requests, round(requests * sizes.prompt(arm)), round(requests * written))


def endpoint_plan(
    wish: EndpointWish,
    arms: dict[str, Asking],
    experiments: dict[str, float],
    *,
    framing: Asking,
    batched: Asking,
    most: int | None,
) -> EndpointPlan:
    """All of it.

    Args:
        batched: of the arms' asking what goes in batches.
        experiments: sets of answers that each experiment takes.
        framing: what choosing the framing asks.
        most: the longest answer, where the scenario says; no answer is longer.
    """
    asked = [one for one in arms.values() if one.requests]
    mean = total(asked).times(1 / len(asked)) if asked else Asking()
    further = {name: mean.times(sets) for name, sets in experiments.items()}
    all_ = total([*asked, *further.values(), framing])
    written = _written(all_, most)
    money = None
    if wish.price_in is not None and wish.price_out is not None:
        saved_in, saved_out = (wish.batch_discount * n for n in (batched.tokens_in, _written(batched, most)))
        money = ((all_.tokens_in - saved_in) * wish.price_in + (written - saved_out) * wish.price_out) / 1e6
    return EndpointPlan(
        wish.url,
        all_.requests,
        all_.tokens_in,
        written,
        money,
        wish.currency,
        wish.max_cost,
        {name: one.requests for name, one in arms.items()},
        {name: one.requests for name, one in further.items()},
        batched=batched.requests,
        batch_discount=wish.batch_discount,
    )


def _written(asking: Asking, most: int | None) -> int:
    return min(asking.tokens_out, asking.requests * most) if most else asking.tokens_out


def total(parts: Sequence[Asking]) -> Asking:
    """All of these together."""
    return Asking(sum(p.requests for p in parts), sum(p.tokens_in for p in parts), sum(p.tokens_out for p in parts))


def asking_sentences(plan: EndpointPlan) -> list[str]:
    """Requests, tokens and money in words."""
    said = (
        f"About {numbers.counted(plan.requests, 'request')} to {plan.address}, with {numbers.count(plan.tokens_in)} "
        f"tokens read and {numbers.count(plan.tokens_out)} written; what is in the cache of earlier runs is not asked "
        "again."
    )
    if plan.batched:
        said += (
            f" {numbers.count(plan.batched)} of the requests, the eval cases, are sent in batches, an arm a batch: the "
            "server takes up to 24 hours for them."
        )
    if plan.money is None and plan.training_money is not None:
        return [said, "What the requests cost is not known: no prices were named for them (--price IN/OUT)."]
    if plan.money is None:
        return [said, "What that costs is not known: no prices were named (--price IN/OUT, or [endpoint] price_in)."]
    lower = f", {plan.batch_discount:.0%} less in batches," if plan.batched and plan.batch_discount else ""
    included = ", fine-tuning included" if plan.training_money is not None else ""
    cost = f"At the prices named{lower} that is about {numbers.money(plan.money, plan.currency)}{included}."
    if plan.batched and not plan.batch_discount:
        cost += (
            " Batches are reckoned at the full price; most providers take half for them: batch_discount = 0.5 under "
            "[endpoint] says so."
        )
    if plan.max_cost is None:
        return [said, f"{cost} There is no limit (--max-cost sets one)."]
    short = " That is more than the limit: the run would stop on the way." if plan.money > plan.max_cost else ""
    return [
        said,
        f"{cost} The run stops before more than {numbers.money(plan.max_cost, plan.currency)} are spent.{short}",
    ]
