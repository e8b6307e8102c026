"""From a run folder's predictions to scores, comparisons, verdict and report. Loads no model, takes seconds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from harness.errors import RunFolderError
from harness.experiment.advice import EXPLORED, relation_of
from harness.experiment.budget import budget_sentences
from harness.experiment.cautions import cautions
from harness.experiment.compare import compare_arms
from harness.experiment.contradictions import FACTS_METRIC, Trial, contradictions
from harness.experiment.criteria import standing
from harness.experiment.decide import decide
from harness.experiment.experiments import findings, stands
from harness.experiment.probes.facts_change import FactsChangeProbe
from harness.experiment.probes.read import Evidence
from harness.experiment.probes.seeds import SeedsProbe, seed_spread
from harness.experiment.retry import retried_note
from harness.experiment.score import NO_SEEDS, FurtherSeeds, arm_scores, score_cases
from harness.metrics.form import FACTS, IN_FORM
from harness.metrics.registry import deciding_metrics
from harness.records import (
    CONTROL,
    AdviceRelation,
    ArmScore,
    CaseScore,
    Comparison,
    Cost,
    Finding,
    LatencySample,
    OtherVerdict,
    Prediction,
    Recipe,
    SeedSpread,
    Usage,
    Verdict,
    seen_from,
)
from harness.scenario import DecisionRule, Kind
from harness.score_table import ScoreTable
from harness.store import RunFolder


def scored(folder: RunFolder) -> tuple[ScoreTable, tuple[ArmScore, ...]]:
    """Scores of every case and every arm, made anew from the predictions."""
    stored, cases = folder.scenario(), folder.cases()
    kind = Kind(stored.kind)
    predictions = {arm: found for arm, found in folder.predictions().items() if arm in taking_part(folder)}
    # An arm that was stopped has no answer to the cases after that, which is no failure of its.
    out = {one.arm for one in folder.stopped() or ()}
    case_scores = score_cases(cases, predictions, folder.measurements(), kind=kind, labels=stored.labels, stopped=out)
    rule, seeds = folder.rule().rule, further_seeds(folder)
    return case_scores, arm_scores(case_scores, cases, rule=rule, kind=kind, labels=stored.labels, seeds=seeds)


def further_seeds(folder: RunFolder) -> FurtherSeeds:
    """Arm -> for each training seed beside the first that was answered whole, case id -> score.

    Where that is fewer than were asked for, the finding of the seeds says so beside the verdict.
    """
    if not folder.has(f"experiments/{SeedsProbe.name}"):
        return NO_SEEDS
    found: dict[str, list[Mapping[str, CaseScore]]] = {}
    for one in Evidence(folder, SeedsProbe.name).variants:
        if one.complete:
            found.setdefault(one.arm, []).append(one.scores)
    return found


def taking_part(folder: RunFolder) -> tuple[str, ...]:
    """Arms of the run that were not left out."""
    out = {left.arm for left in folder.left_out()}
    return tuple(arm for arm in folder.scenario().arms if arm not in out)


def compared(
    folder: RunFolder,
    case_scores: ScoreTable,
    *,
    metric: str | None = None,
    rule: DecisionRule | None = None,
) -> tuple[Comparison, ...]:
    """All pairs of arms on the rule's metric, or another one; `rule` with fewer resamples, where it only informs."""
    rule = rule or folder.rule().rule
    arms = tuple(arm for arm in taking_part(folder) if arm in case_scores.arms)
    stopped = folder.stopped()
    return compare_arms(
        case_scores,
        folder.cases(),
        rule=rule,
        metric=metric or rule.metric,
        arms=arms,
        seeds=further_seeds(folder),
        stopped=None if stopped is None else frozenset(one.arm for one in stopped),
    )


def costs(folder: RunFolder) -> tuple[Cost, ...]:
    """What each arm costs to run, from what was measured."""
    predictions, latency, usage = folder.predictions(), folder.latency(), folder.usage()
    recipes = {recipe.arm: recipe for recipe in folder.recipes()}
    return tuple(
        _cost(
            arm,
            predictions.get(arm, {}),
            latency=[s for s in latency if s.arm == arm],
            recipe=recipes.get(arm, Recipe(arm)),
            usage=[u for u in usage if u.arm == arm],
        )
        for arm in taking_part(folder)
    )


def _cost(
    arm: str,
    predictions: Mapping[str, Prediction],
    *,
    latency: Sequence[LatencySample],
    recipe: Recipe,
    usage: Sequence[Usage],
) -> Cost:
    answered = [(p.tokens_in, p.tokens_out) for p in predictions.values() if p.error is None]
    seconds = [s.seconds for s in latency]
    first = [s.first_token_seconds for s in latency if s.first_token_seconds is not None]
    return Cost(
        arm=arm,
        tokens_in=statistics.fmean(read for read, _ in answered) if answered else 0.0,
        tokens_out=statistics.fmean(written for _, written in answered) if answered else 0.0,
        latency_p50=float(np.percentile(seconds, 50)) if seconds else None,
        latency_p95=float(np.percentile(seconds, 95)) if seconds else None,
        latency_n=len(seconds),
        train_seconds=recipe.train_seconds,
        train_tokens=recipe.train_tokens,
        # The control needs no model; what the process holds is not its doing.
        peak_memory_mb=0.0 if arm == CONTROL else max((u.peak_memory_mb for u in usage), default=0.0),
        first_token_p50=statistics.median(first) if first else None,
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run came to."""

    verdict: Verdict
    case_scores: ScoreTable
    scores: tuple[ArmScore, ...]


def finish(folder: RunFolder) -> Verdict:
    """The verdict of `ended`, which see."""
    return ended(folder).verdict


def ended(folder: RunFolder) -> Ended:
    """Score, compare and decide; `scores.json` and `verdict.json` are written.

    Raises:
        RunFolderError: the folder is no run, is unfinished or damaged, or its rule was changed.
    """
    require_finished(folder)
    rule = folder.rule().rule
    case_scores, scores = scored(folder)
    primary = [score for score in scores if score.metric == rule.metric]
    verdict = decide(
        primary,
        compared(folder, case_scores),
        rule=rule,
        left_out=folder.left_out(),
        costs=costs(folder),
        stopped=folder.stopped() or (),
    )
    found = findings(folder)
    out = {one.arm for one in verdict.stopped}
    left = [arm for arm in taking_part(folder) if arm not in out]
    weighed = standing(
        folder,
        case_scores,
        costs(folder),
        arms=left,
        seeds=further_seeds(folder),
        facts_changed=stands(folder, FactsChangeProbe.name),
    )
    verdict = replace(verdict, standing=weighed, sentences=(*verdict.sentences, *budget_sentences(folder)))
    looks = _looks(folder, case_scores)
    verdict = replace(
        verdict,
        cautions=cautions(folder, arms=tuple(left), seeds=further_seeds(folder)),
        axes=_axes(folder, looks, verdict),
        under_other_metrics=_under_other_metrics(folder, looks, scores),
        **_beside(folder, found),
    )
    verdict = replace(verdict, advice=_advice(folder, verdict, case_scores=case_scores, scores=scores))
    verdict = replace(verdict, advice=_with_experiments(verdict.advice, found))
    if verdict.exploratory and verdict.advice.relation is not None:
        verdict = replace(verdict, advice=replace(verdict.advice, relation="undecided", reasons=(EXPLORED,)))
    folder.write("scores.json", scores)
    if found or folder.has("findings.json"):
        folder.write("findings.json", found)
    folder.write_verdict(verdict)
    return Ended(verdict, case_scores, scores)


Looks = dict[str, tuple[Comparison, ...]]
"""Metric -> all pairs of arms on it."""

LOOK_RESAMPLES = 2_000
"""Enough for comparisons that inform and do not decide."""


def _looks(folder: RunFolder, case_scores: ScoreTable) -> Looks:
    """All pairs on every metric made from the answers, the rule's own left out unless it is the one of facts."""
    kind, rule = Kind(folder.scenario().kind), folder.rule().rule
    found = {name for score in case_scores[:1] for name in score.values}
    wanted = [name for name in (*deciding_metrics()[kind], IN_FORM) if name in found]
    few = replace(rule, resamples=min(rule.resamples, LOOK_RESAMPLES))
    return {
        name: compared(folder, case_scores, metric=name, rule=few)
        for name in wanted
        if name != rule.metric or name == FACTS.get(kind)
    }


def _axes(folder: RunFolder, looks: Looks, verdict: Verdict) -> tuple[Comparison, ...]:
    """The recommended arm, else the best, against every other one: first in facts, then in form."""
    best = verdict.arm or next((score.arm for score in verdict.scores if score.arm != CONTROL), None)
    facts = FACTS.get(Kind(folder.scenario().kind))
    if best is None or facts is None:
        return ()
    pairs = (pair for metric in (facts, IN_FORM) for pair in looks.get(metric, ()))
    return tuple(
        seen_from(p, best) for p in pairs if best in (p.first, p.second) and CONTROL not in (p.first, p.second)
    )


def _under_other_metrics(folder: RunFolder, looks: Looks, scores: Sequence[ArmScore]) -> tuple[OtherVerdict, ...]:
    """The rule as it stands, with each other metric that could have decided in the place of its own.

    Nothing where arms were stopped: they were stopped by the rule's metric, and on another they might have won.
    """
    if folder.stopped():
        return ()
    rule = folder.rule().rule
    found = []
    for metric, pairs in looks.items():
        if metric in (rule.metric, IN_FORM):
            continue
        other = decide(
            [score for score in scores if score.metric == metric],
            pairs,
            rule=replace(rule, metric=metric, target=None),
            costs=costs(folder),
        )
        found.append(OtherVerdict(metric, other.kind, other.arm))
    return tuple(found)


class Beside(TypedDict):
    """What stands beside the verdict."""

    notes: tuple[str, ...]
    exploratory: tuple[str, ...]
    seeds: tuple[SeedSpread, ...]


def _beside(folder: RunFolder, found: Sequence[Finding]) -> Beside:
    """What the experiments say of the verdict, how far it is exploratory, and the tuned arms' spread over seeds."""
    changed = folder.read("exploratory.json", tuple[str, ...]) if folder.has("exploratory.json") else ()
    evidence = Evidence(folder, SeedsProbe.name)
    spreads = (seed_spread(evidence, arm) for arm in taking_part(folder)) if evidence.variants else ()
    return Beside(
        notes=(*(sentence for one in found for sentence in one.bearing), *retried_note(folder)),
        exploratory=changed,
        seeds=tuple(one for one in spreads if one is not None),
    )


def _with_experiments(relation: AdviceRelation, found: Sequence[Finding]) -> AdviceRelation:
    """Answers of the questionnaire that experiments contradict, beside those that the comparison does."""
    said = {one.key for one in relation.contradicted}
    more = [one for finding in found for one in finding.contradicted if one.key not in said]
    return replace(relation, contradicted=(*relation.contradicted, *more))


def _advice(
    folder: RunFolder, verdict: Verdict, *, case_scores: ScoreTable, scores: tuple[ArmScore, ...]
) -> AdviceRelation:
    """What the verdict says of the advice, and which answers behind it the trial contradicts."""
    advice, measured = folder.advice(), costs(folder)
    documents = folder.scenario().documents > 0
    relation = relation_of(verdict, advice, rule=folder.rule().rule, costs=measured, documents=documents)
    if advice is None:
        return relation
    has_facts = any(score.metric == FACTS_METRIC for score in scores)
    facts = compared(folder, case_scores, metric=FACTS_METRIC) if has_facts else ()
    trial = Trial(folder.scenario(), verdict, facts, scores, measured)
    return replace(relation, contradicted=contradictions(advice, trial))


def unanswered(folder: RunFolder) -> int:
    """Predictions still to be made before a verdict may be drawn."""
    predictions, wanted = folder.predictions(), folder.scenario().eval_cases
    stopped = {one.arm: one.after for one in folder.stopped() or ()}
    return sum(max(0, stopped.get(arm, wanted) - len(predictions.get(arm, {}))) for arm in taking_part(folder))


def _seeds_are_done(folder: RunFolder) -> bool:
    """Whether tuned arms have been trained from all seeds that the run was to have, or that was tried and failed."""
    stored, out = folder.scenario(), {one.arm for one in folder.stopped() or ()}
    tuned = [recipe.arm for recipe in folder.recipes() if recipe.adapter and recipe.arm in taking_part(folder)]
    wanted = stored.seeds > 1 and any(arm not in out for arm in tuned)
    return not wanted or folder.has(f"experiments/{SeedsProbe.name}/done.json")


def require_finished(folder: RunFolder) -> None:
    """Only a whole run has a verdict.

    Raises:
        RunFolderError: answers are still missing.
    """
    begun = folder.has("scenario.json") and folder.has("left_out.json")
    missing = unanswered(folder) if begun else None
    seeded = begun and _seeds_are_done(folder)
    if missing == 0 and folder.has("latency.jsonl") and seeded:
        return
    stage = "it has only begun" if missing is None else "its requests are still to be timed"
    if missing == 0 and folder.has("latency.jsonl"):
        stage = "its tuned arms are still to be trained from further seeds"
    how_far = f"{missing:,} answers are still missing" if missing else stage
    raise RunFolderError(
        f"{folder.path} is not finished: {how_far}. The `bakeoff run` command that began it goes on where it was: "
        f"{folder.provenance().command if folder.has('provenance.json') else 'bakeoff run DIR --out RUN'}"
    )
