"""The verdict in words a client understands, and the few number formats that takes.

No sentence claims more than its interval: a difference that is not significant is never called a lead, and "no
better" always names the margin up to which that is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.metrics.base import Metric
from harness.metrics.registry import metric_named
from harness.publish import numbers
from harness.records import CONTROL, LADDER, ArmScore, Comparison, Verdict, VerdictKind, seen_from
from harness.scenario import DecisionRule

THOUSANDS = 10_000
"""Case numbers from here on are called "thousands": nobody will collect them for this."""

NAMES = {
    "prompt": "the plain prompt",
    "few_shot": "few-shot",
    "nearest_shots": "nearest shots",
    "rag": "RAG",
    "lora": "LoRA",
    "rag_lora": "RAG + LoRA",
    CONTROL: "the control",
}


REQUESTS_PER_TRAINING = 10_000
"""Training is spread over this many requests, a modest month's use."""


class Reason(StrEnum):
    """What the verdict rests on, finer than its kind."""

    NO_ANSWERS = "no arm answered"
    ONE_ARM = "one arm"
    FEW_CASES = "fewer cases than the rule asks for"
    NO_LEAD = "no lead over the control"
    UNSURE_LEAD = "a lead over the control that is not significant"
    TARGET_MISSED = "target missed"
    OPEN_GAP = "an open gap"
    SETTLED = "settled"


def sentences_for(verdict: Verdict, reason: Reason, *, rule: DecisionRule) -> tuple[str, ...]:
    """The sentences of a verdict, the plainest first, what would settle it and the failures last."""
    words = _Words(verdict, rule, metric_named(verdict.metric))
    said = [*_BY_REASON[reason](words), *_stopped(words), *words.measure(), *words.failures()]
    return tuple(sentence[0].upper() + sentence[1:] for sentence in said)


def listed(items: Sequence[str]) -> str:
    """a, b and c."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


@dataclass(frozen=True, slots=True)
class _Words:
    """What the sentences are made of."""

    verdict: Verdict
    rule: DecisionRule
    metric: Metric

    def score(self, arm: str) -> str:
        """62 % of answers right (54 to 70 %); or Token F1 41 points (35 to 47)."""
        found = self.scores[arm]
        share = self.metric.right_or_wrong
        whole = numbers.score_interval(found.value, found.low, found.high, is_share=share)
        return whole.replace(" (", " of answers right (", 1) if share else f"{self.metric.title} {whole}"

    def value(self, value: float) -> str:
        return numbers.score(value, is_share=self.metric.right_or_wrong)

    def points(self, difference: float) -> str:
        """A difference: 8 points (of a percentage, or of 100)."""
        return numbers.lead(difference)

    def span(self, low: float, high: float) -> str:
        """An interval of differences: −3 to 14 points."""
        return f"{numbers.span(low, high)} points"

    @property
    def confidence(self) -> str:
        return f"{100 * (1 - self.rule.alpha):g} %"

    @property
    def scores(self) -> dict[str, ArmScore]:
        return {score.arm: score for score in self.verdict.scores}

    @property
    def cases(self) -> int:
        return max((score.n for score in self.verdict.scores), default=0)

    @property
    def candidates(self) -> list[str]:
        """Best first, failed ones included."""
        return [score.arm for score in self.verdict.scores if score.arm != CONTROL]

    @property
    def answering(self) -> list[str]:
        """Best first, those with at least one answer."""
        return [arm for arm in self.candidates if self.scores[arm].failed < self.scores[arm].n]

    def between(self, first: str, second: str) -> Comparison | None:
        """Seen from the first; None where they were not compared, or the comparison came to nothing."""
        pair = {first, second}
        found = next((one for one in self.verdict.comparisons if {one.first, one.second} == pair), None)
        if found is None or math.isnan(found.difference + found.low + found.high):
            return None
        return seen_from(found, first)

    def figures(self, arms: Sequence[str]) -> str:
        """Every arm with its score."""
        return "; ".join(f"{name_of(arm)}: {self.score(arm)}" for arm in arms) + "."

    def measure(self) -> Iterator[str]:
        """On what all of this rests."""
        if self.verdict.kind is VerdictKind.COULD_NOT_COMPARE or not self.cases:
            return
        yield (
            f"measured by {self.metric.title} on {self.cases} cases, the same for all"
            f"{' that were not stopped' if self.verdict.stopped else ''}; in brackets the "
            f"{self.confidence} interval; differences below {self.points(self.rule.margin)} were agreed not to matter."
        )

    def failures(self) -> Iterator[str]:
        for arm in self.candidates:
            score = self.scores[arm]
            if score.failed:
                yield f"{name_of(arm)} gave no answer to {_of(score.failed, score.n)}; each counts as wrong."


def name_of(arm: str) -> str:
    """An arm as a client would say it; arms of one's own keep their name, in quotes."""
    return NAMES.get(arm, f"“{arm}”")


def _winner(words: _Words) -> Iterator[str]:
    best = _arm(words)
    out = {one.arm for one in words.verdict.stopped}
    others = [arm for arm in words.answering if arm != best and arm not in out]
    if others:
        yield f"{name_of(best)} is the best choice: it is significantly better than {_all(others)}."
    else:
        yield f"{name_of(best)} is the best choice: every other approach was stopped early, shown to be worse."
    yield words.figures([best, *others])
    yield from (_lead(words, best, arm) for arm in others)
    yield from _cheap_lead(words, best, others)


def _stopped(words: _Words) -> Iterator[str]:
    """Arms that did not answer all cases, and why they needed not."""
    for one in words.verdict.stopped:
        yield (
            f"{name_of(one.arm)} was stopped after {one.after} of {one.of} cases: by then it was shown to be worse "
            f"than {name_of(one.by)} by more than {words.points(words.rule.margin)}, by a test that holds whenever one "
            "looks."
        )


def _tie(words: _Words) -> Iterator[str]:
    chosen = _arm(words)
    others = [arm for arm in words.verdict.tied if arm != chosen]
    yield f"take {name_of(chosen)}: it is the cheapest that can be recommended, and {_not_better(others)}."
    yield from _cheap_by_tokens(chosen, others)
    yield words.figures(words.verdict.tied)
    yield from (_no_more_than(words, arm, chosen) for arm in others)


def _cheap_by_tokens(chosen: str, others: Sequence[str]) -> Iterator[str]:
    """Why an arm that takes more to set up counts as the cheapest."""
    if chosen not in LADDER:
        return
    simpler = [arm for arm in LADDER[: LADDER.index(chosen)] if arm in others]
    if simpler:
        yield (
            f"{name_of(chosen)} costs least by the tokens measured, any training spread over {REQUESTS_PER_TRAINING:,} "
            f"requests; with far fewer requests {name_of(simpler[0])} is simpler to run and to change."
        )


def _open_gap(words: _Words) -> Iterator[str]:
    tied = list(words.verdict.tied)
    yield f"not decided yet: {words.cases} cases do not settle the choice between {_names(tied)}."
    yield words.figures(tied)
    yield from (_undecided(words, tied[0], arm) for arm in tied[1:])
    yield _what_settles(words)


def _few_cases(words: _Words) -> Iterator[str]:
    fewest = words.rule.fewest_cases
    yield f"not decided: {words.cases} cases are too few; the rule asks for at least {fewest}."
    yield words.figures(words.verdict.tied)
    yield f"add {fewest - words.cases} or more cases and run again."


def _unsure_lead(words: _Words) -> Iterator[str]:
    best = words.verdict.tied[0]
    yield f"not decided: no approach is shown to be better than {_CONTROL}, though {name_of(best)} may well be."
    yield words.figures([best, CONTROL])
    yield _undecided(words, best, CONTROL)
    yield _what_settles(words)


def _no_lead(words: _Words) -> Iterator[str]:
    best = words.answering[0]
    yield f"none of these is worth having: no approach is shown to be better than {_CONTROL}."
    yield words.figures([*words.answering, CONTROL])
    yield _undecided(words, best, CONTROL)
    yield "another model, better instructions or better data would have to come first."


def _target_missed(words: _Words) -> Iterator[str]:
    target = words.rule.target or 0.0
    best = next((arm for arm in words.answering if words.scores[arm].value < target), words.answering[0])
    yield f"none of these is good enough: the best, {name_of(best)}, misses the target of {words.value(target)}."
    yield words.figures(words.answering)
    if words.scores[best].high >= target:
        yield "its interval still reaches the target, so more cases could change this."
    else:
        yield "even the upper end of its interval is below the target."


def _one_arm(words: _Words) -> Iterator[str]:
    arm = words.answering[0]
    yield f"nothing to choose between: only {name_of(arm)} gave answers."
    yield words.figures([arm, CONTROL] if CONTROL in words.scores else [arm])
    found = words.between(arm, CONTROL)
    if found is not None and words.cases >= words.rule.fewest_cases:
        better = found.p_adjusted < words.rule.alpha and found.difference > 0
        yield _lead(words, arm, CONTROL) if better else _undecided(words, arm, CONTROL)
    elif words.cases < words.rule.fewest_cases:
        yield f"and {words.cases} cases are fewer than the {words.rule.fewest_cases} that the rule asks for."
    yield from _left_out(words)


def _no_answers(words: _Words) -> Iterator[str]:
    yield "nothing could be compared: no approach gave a single answer."
    yield from _left_out(words)


def _lead(words: _Words, first: str, second: str) -> str:
    gap = words.between(first, second)
    if gap is None:
        return f"{name_of(first)} and {name_of(second)} could not be compared."
    return (
        f"{name_of(first)} is ahead of {name_of(second)} by {words.points(gap.difference)} "
        f"({words.confidence} interval {words.span(gap.low, gap.high)})."
    )


def _cheap_lead(words: _Words, best: str, others: Sequence[str]) -> Iterator[str]:
    """Leads that decide only because the best is the cheaper arm as well."""
    gaps = [(arm, words.between(best, arm)) for arm in others]
    small = [name_of(arm) for arm, gap in gaps if gap is not None and gap.difference < words.rule.margin - 1e-9]
    if small:
        yield (
            f"the lead over {listed(small)} is smaller than the {words.points(words.rule.margin)} agreed on; "
            f"it decides because {name_of(best)} costs less as well."
        )


def _no_more_than(words: _Words, other: str, chosen: str) -> str:
    gap = words.between(other, chosen)
    if gap is None:
        return f"{name_of(other)} and {name_of(chosen)} could not be compared."
    if gap.first_only == gap.second_only == 0:
        return (
            f"{name_of(other)} and {name_of(chosen)} were right and wrong on the same cases, all {gap.n} of them; a "
            f"true difference beyond {words.points(gap.high_equivalence)} is not to be expected "
            f"({words.confidence} confidence)."
        )
    if gap.high_equivalence <= 0:
        size = _ahead(words, gap.difference)
        return f"{name_of(other)} is {size} {name_of(chosen)}; it is no better ({words.confidence} confidence)."
    return (
        f"{name_of(other)} is {_ahead(words, gap.difference)} {name_of(chosen)}; it is better by "
        f"{words.points(max(0.0, gap.high_equivalence))} at the most ({words.confidence} confidence)."
    )


def _undecided(words: _Words, first: str, second: str) -> str:
    gap = words.between(first, second)
    if gap is None:
        return f"{name_of(first)} and {name_of(second)} could not be compared."
    return (
        f"on these cases {name_of(first)} is {_ahead(words, gap.difference)} {name_of(second)}; the true difference "
        f"may be anything from {words.span(gap.low, gap.high)}."
    )


def _ahead(words: _Words, difference: float) -> str:
    size = words.points(abs(difference))
    if size == words.points(0.0):
        return "level with"
    return f"{size} {'ahead of' if difference > 0 else 'behind'}"


def _what_settles(words: _Words) -> str:
    needed = words.verdict.cases_needed or THOUSANDS
    if needed >= THOUSANDS and _luck_of_seeds(words):
        return (
            "more cases alone would not settle it: tuned arms move too much with the training seed. Train them from "
            "more seeds, or agree on a larger margin for the next run."
        )
    if needed >= THOUSANDS:
        return (
            "it would take many thousands of cases to settle: the difference seen lies too close to the "
            "smallest that matters. Choose by cost, or agree on a larger margin for the next run."
        )
    return f"about {needed:,} cases in all would settle it, if the differences seen here are the true ones."


def _luck_of_seeds(words: _Words) -> bool:
    """Whether seeds make an open gap more uncertain than the margin, whatever the number of cases."""
    tied = set(words.verdict.tied)
    pairs = (one for one in words.verdict.comparisons if {one.first, one.second} <= tied)
    return any(2 * one.seed_error > words.rule.margin for one in pairs)


def _left_out(words: _Words) -> Iterator[str]:
    if words.verdict.left_out:
        reasons = "; ".join(f"{name_of(one.arm)} ({one.reason})" for one in words.verdict.left_out)
        yield f"left out: {reasons}."


def _arm(words: _Words) -> str:
    assert words.verdict.arm is not None
    return words.verdict.arm


def _all(others: Sequence[str]) -> str:
    return name_of(others[0]) if len(others) == 1 else f"each of {_names(others)}"


def _names(arms: Sequence[str]) -> str:
    return listed([name_of(arm) for arm in arms])


def _not_better(others: Sequence[str]) -> str:
    subject = f"{name_of(others[0])} is not" if len(others) == 1 else f"none of {_names(others)} is"
    return f"{subject} better by enough to matter"


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} cases"


_CONTROL = "always giving the commonest answer (the control)"

_BY_REASON: dict[Reason, Callable[[_Words], Iterator[str]]] = {
    Reason.NO_ANSWERS: _no_answers,
    Reason.ONE_ARM: _one_arm,
    Reason.FEW_CASES: _few_cases,
    Reason.NO_LEAD: _no_lead,
    Reason.UNSURE_LEAD: _unsure_lead,
    Reason.TARGET_MISSED: _target_missed,
    Reason.OPEN_GAP: _open_gap,
    Reason.SETTLED: lambda words: _winner(words) if words.verdict.kind is VerdictKind.WINNER else _tie(words),
}
