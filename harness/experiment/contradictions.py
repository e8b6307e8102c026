"""Answers of the questionnaire that the trial's own data contradict; only what is beyond chance is said.

What is looked at: whether documents bring right facts (the share of answers that contain an accepted answer), whether
examples bring form (the rule's metric), what was counted, and what was timed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.experiment.advice import approach_of
from harness.experiment.wording import name_of
from harness.publish import numbers
from harness.records import ArmScore, Comparison, Contradiction, Cost, StoredScenario, Verdict, seen_from
from harness.scenario import StatedAdvice

FACTS_METRIC = "contains"
"""Share of answers in which an accepted answer occurs: facts, whatever the form."""

WITH_DOCUMENTS = {"rag": "prompt", "rag_lora": "lora"}
"""An arm that reads documents -> its counterpart without."""

TEACH_FORM = ("lora", "nearest_shots", "few_shot")
OFF_BY = 1.5
"""Counts that differ by more than this factor contradict each other."""

Answer = str | int | bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What a run found, as far as answers can be held against it."""

    scenario: StoredScenario
    verdict: Verdict
    facts: tuple[Comparison, ...]
    """All pairs on `FACTS_METRIC`; empty where it does not apply."""
    scores: tuple[ArmScore, ...]
    """All arms on all metrics."""
    costs: tuple[Cost, ...]


def contradictions(advice: StatedAdvice, trial: Trial) -> tuple[Contradiction, ...]:
    """Every answer that the trial contradicts, with what was found instead."""
    answers, sources = dict(advice.answers), dict(advice.sources)
    found = [*_gap(answers, trial), *_known_facts(answers, trial)]
    found += [*_counts(answers, sources, trial.scenario), *_latency(answers, trial, approach=advice.approach)]
    return tuple(Contradiction(key, answers[key], sources.get(key, ""), sentence) for key, sentence in found)


def _gap(answers: Mapping[str, Answer], trial: Trial) -> Iterator[tuple[str, str]]:
    brought = _facts_brought(trial)
    if answers.get("gap") in ("form", "none") and brought:
        yield "gap", f"The misses are missing facts: {brought}"
    if answers.get("gap") == "facts" and not brought and _no_facts_to_bring(trial):
        teacher = next((arm for arm in TEACH_FORM if _beats_prompt(arm, trial)), None)
        if teacher:
            lead = _lead(teacher, trial)
            yield "gap", f"The misses are in form: documents add no right facts beyond the margin, while {lead}"


def _known_facts(answers: Mapping[str, Answer], trial: Trial) -> Iterator[tuple[str, str]]:
    brought = _facts_brought(trial)
    if answers.get("base_knows_facts") is True and brought:
        yield "base_knows_facts", f"The model does not know them all: {brought}"


def _facts_brought(trial: Trial) -> str:
    """Where reading documents brings significantly more right facts, by the margin or more: the sentence."""
    if not trial.scenario.documents:
        return ""
    for arm, without in WITH_DOCUMENTS.items():
        gap = _pair(trial.facts, arm, without)
        if gap and gap.p_adjusted < trial.verdict.alpha and gap.difference >= trial.verdict.margin:
            has, lacks = (_score(trial.scores, one) for one in (arm, without))
            return (
                f"an accepted answer stands in {numbers.share(has)} of the answers of {name_of(arm)} "
                f"and in {numbers.share(lacks)} of those of {name_of(without)}."
            )
    return ""


def _no_facts_to_bring(trial: Trial) -> bool:
    """Whether each reading arm is shown to bring no more right facts than its counterpart, by the margin."""
    if not trial.scenario.documents:
        return False
    gaps = [_pair(trial.facts, arm, without) for arm, without in WITH_DOCUMENTS.items()]
    known = [gap for gap in gaps if gap]
    return bool(known) and all(gap.high_equivalence <= trial.verdict.margin for gap in known)


def _beats_prompt(arm: str, trial: Trial) -> bool:
    gap = _pair(trial.verdict.comparisons, arm, "prompt")
    return gap is not None and gap.p_adjusted < trial.verdict.alpha and gap.difference >= trial.verdict.margin


def _lead(arm: str, trial: Trial) -> str:
    gap = _pair(trial.verdict.comparisons, arm, "prompt")
    return f"{name_of(arm)} is {numbers.lead(gap.difference)} ahead of {name_of('prompt')}." if gap else ""


def _counts(
    answers: Mapping[str, Answer], sources: Mapping[str, str], scenario: StoredScenario
) -> Iterator[tuple[str, str]]:
    """What was counted; nothing is said of a side that a limit on the command line cut."""
    cut = {one.setting for one in scenario.inferred}
    counted = {
        "labelled_examples": (scenario.train_examples + scenario.dev_examples, "training rows took part in this run"),
        "eval_examples": (scenario.eval_cases, "eval cases took part in this run"),
        "classes": (len(scenario.labels), "labels are in the label set"),
    }
    cut_by = {"labelled_examples": "train rows", "eval_examples": "eval rows"}
    for key, (count, what) in counted.items():
        if cut_by.get(key) in cut:
            continue
        said = answers.get(key)
        if sources.get(key) == "data" or isinstance(said, bool) or not isinstance(said, int):
            continue
        if (key != "classes" or scenario.labels) and _far_apart(said, count):
            yield key, f"{count:,} {what}; the answer was {said:,}."


def _far_apart(said: int, count: int) -> bool:
    small, large = sorted((said, count))
    return large > OFF_BY * small


def _latency(answers: Mapping[str, Answer], trial: Trial, *, approach: str) -> Iterator[tuple[str, str]]:
    """The time of the recommended arm, else of the best arm of the advised approach."""
    documents = trial.scenario.documents > 0
    arms = [one.arm for one in trial.verdict.scores]
    best = next((arm for arm in arms if approach_of(arm, documents=documents) == approach), None)
    limit, arm = answers.get("latency_ms"), trial.verdict.arm or best
    if isinstance(limit, bool) or not isinstance(limit, int):
        return
    cost = next((one for one in trial.costs if one.arm == arm), None)
    if cost and cost.latency_p95 is not None and 1000 * cost.latency_p95 > limit:
        slow = f"{1000 * cost.latency_p95:,.0f} ms"
        yield (
            "latency_ms",
            (
                f"One in twenty requests of {name_of(str(arm))} took {slow} or more in this trial with this model; "
                f"the limit is {limit:,} ms."
            ),
        )


def _pair(pairs: Sequence[Comparison], first: str, second: str) -> Comparison | None:
    found = next((one for one in pairs if {one.first, one.second} == {first, second}), None)
    return None if found is None else seen_from(found, first)


def _score(scores: Sequence[ArmScore], arm: str) -> float:
    return next(one.value for one in scores if one.arm == arm and one.metric == FACTS_METRIC)
