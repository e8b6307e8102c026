"""Section 1: the verdict in words, and the few numbers that matter."""

from __future__ import annotations

from harness.publish import numbers
from harness.publish.blocks import Fact
from harness.publish.text import joined
from harness.records import AdviceRelation, Verdict, VerdictKind
from harness.report.data import ReportData
from harness.report.names import approach_in_sentence, arm_in_sentence, arm_name, is_share, metric_title

_RELATIONS = {
    "confirmed": "This trial confirms it.",
    "refuted": "This trial refutes it.",
    "undecided": "This trial neither confirms nor refutes it.",
}

QUICK_NOTE = (
    "This was a quick run: less was tried than in a full one. Use it to find mistakes in the set-up; "
    "run the full trial, without the quick setting, before anybody relies on it."
)


def headline(verdict: Verdict) -> str:
    """The verdict in a few words."""
    return f"{_headline(verdict)} (exploratory)" if verdict.exploratory else _headline(verdict)


def _headline(verdict: Verdict) -> str:
    if verdict.kind is VerdictKind.WINNER and verdict.arm:
        return f"{arm_name(verdict.arm)} wins"
    if verdict.kind is VerdictKind.TIE:
        return f"A tie: use {arm_in_sentence(verdict.arm)}" if verdict.arm else "A tie"
    return {
        VerdictKind.NONE_USEFUL: "No arm is useful",
        VerdictKind.NOT_ENOUGH_CASES: "Not enough cases to tell",
    }.get(verdict.kind, "Could not compare")


def key_facts(data: ReportData) -> tuple[Fact, ...]:
    """The recommended arm and, for it or the best arm there is, score, seconds and tokens of a request."""
    recommended = Fact("Recommended arm", arm_name(data.verdict.arm) if data.verdict.arm else "none", _tied(data))
    arm = data.shown_arm
    if arm is None:
        return (recommended,)
    return (recommended, score_fact(data, arm), _seconds_fact(data, arm), _tokens_fact(data, arm))


def settling(data: ReportData) -> str | None:
    """What would settle an open question, in one sentence; None where there is nothing to say."""
    needed = data.verdict.cases_needed
    if needed is None:
        return None
    return (
        f"What would settle it: about {numbers.counted(needed, 'case')} in all; "
        f"this trial had {numbers.count(len(data.cases))}."
    )


def advice_sentence(relation: AdviceRelation) -> str | None:
    """What the trial says of the advice that was given before it; None where there was none."""
    if relation.relation is None or relation.advised is None:
        return None
    advised = approach_in_sentence(relation.advised)
    return f"The advice was {advised}. {_RELATIONS.get(relation.relation, '')}".strip()


def exploratory_note(verdict: Verdict) -> str | None:
    """That the verdict is no confirmation, and why; None where nothing was changed after the first look."""
    if not verdict.exploratory:
        return None
    changed = "; ".join(verdict.exploratory)
    return (
        f"Exploratory: what decides was changed after answers to these cases had been seen ({changed}). Confirm it on "
        "new cases before anybody relies on it."
    )


def _tied(data: ReportData) -> str:
    others = [arm_in_sentence(arm) for arm in data.verdict.tied if arm != data.verdict.arm]
    return f"not told apart from {joined(others)}" if data.verdict.arm and others else ""


def score_fact(data: ReportData, arm: str) -> Fact:
    """The arm's mean on the rule's metric, with its interval."""
    metric = data.verdict.metric
    label = f"{metric_title(metric)} of {arm_in_sentence(arm)}"
    score = data.score_of.get((arm, metric))
    if score is None:
        return Fact(label, numbers.NOT_MEASURED)
    value = numbers.score_interval(score.value, score.low, score.high, is_share=is_share(metric))
    best = "" if data.verdict.arm else "the best arm, not recommended; "
    return Fact(label, value, f"{best}{interval_name(data)}, {numbers.counted(score.n, 'case')}")


def _seconds_fact(data: ReportData, arm: str) -> Fact:
    cost = data.cost_of.get(arm)
    remark = f"median of {numbers.counted(cost.latency_n, 'request')} sent one at a time" if cost else ""
    return Fact("Time for a request", numbers.seconds(cost.latency_p50 if cost else None), remark)


def _tokens_fact(data: ReportData, arm: str) -> Fact:
    cost = data.cost_of.get(arm)
    if cost is None:
        return Fact("Tokens a request", numbers.NOT_MEASURED)
    parts = f"{numbers.mean_count(cost.tokens_in)} in, {numbers.mean_count(cost.tokens_out)} out, on average"
    return Fact("Tokens a request", numbers.mean_count(cost.tokens_in + cost.tokens_out), parts)


def interval_name(data: ReportData) -> str:
    """`95 % interval`, from the rule's alpha."""
    return f"{numbers.rate(1 - data.verdict.alpha)} interval"
