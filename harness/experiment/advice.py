"""What a verdict says of the advice that was given before it, in words that a client can hold us to.

Arms belong to approaches (`records.APPROACH_OF`); the advice is on an approach. Without documents the retrieval arms
show training examples, so they count as few-shot prompting and fine-tuning.

CONFIRMED  (only where an arm of another approach took part too; approaches that did not are named)
           1. the verdict is `winner` or `tie` and the arm that it recommends is of the advised approach; or
           2. an arm of the advised approach beats every arm of every other approach and is significantly better than
              the control, and reaches the target where there is one. (Two arms of one approach may then still be open
              between themselves.)
REFUTED    1. some arm of another approach beats every advised arm that took part; or
           2. the verdict is `winner` or `tie` and recommends an arm of another approach; or
           3. every advised arm is shown to be no better than the control by the margin; or
           4. every advised arm is shown to miss the target.
UNDECIDED  otherwise, and always where no advised arm took part or there are fewer cases than the rule asks for.

*Beats* is the decision rule's: significantly better (Holm-adjusted over all pairs), and by the margin or the cheaper of
the two. A comparison that could not be computed neither confirms nor refutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.experiment.decide import Evidence, evidence_for
from harness.experiment.wording import listed, name_of
from harness.publish import numbers
from harness.records import APPROACH_NAMES, APPROACH_OF, APPROACHES, CONTROL, AdviceRelation, Cost, Verdict, VerdictKind
from harness.scenario import DecisionRule, StatedAdvice

EXPLORED = "What decides was changed after answers had been seen, so this run can confirm or refute nothing."


def relation_of(
    verdict: Verdict,
    advice: StatedAdvice | None,
    *,
    rule: DecisionRule,
    costs: Sequence[Cost] = (),
    documents: bool = True,
) -> AdviceRelation:
    """Confirmed, refuted or undecided, and why; the empty relation where nothing was advised.

    `documents`: whether the run had documents to retrieve from.
    """
    if advice is None:
        return AdviceRelation()
    evidence = evidence_for(verdict.scores, verdict.comparisons, rule=rule, costs=costs, stopped=verdict.stopped)
    relation, reasons = _relation(verdict, advice.approach, evidence, documents=documents)
    return AdviceRelation(
        relation=relation,
        advised=advice.approach,
        reasons=tuple(reasons),
        hypothesis=advice.hypothesis,
        date=advice.date,
    )


def _relation(verdict: Verdict, approach: str, evidence: Evidence, *, documents: bool) -> tuple[str, list[str]]:
    mine = [arm for arm in evidence.candidates if approach_of(arm, documents=documents) == approach]
    others = [arm for arm in evidence.candidates if arm not in mine]
    if not mine:
        return "undecided", [_not_tried(verdict, approach, documents=documents)]
    fewest = evidence.rule.fewest_cases
    if evidence.independent < fewest:
        return "undecided", [f"There are {evidence.independent} independent cases; the rule asks for {fewest}."]
    confirmed = list(_confirming(verdict, evidence, mine, others)) if others else []
    if confirmed:
        return "confirmed", [*confirmed, *_untried(evidence, approach, documents=documents)]
    refuted = list(_refuting(verdict, evidence, mine, others))
    return ("refuted", refuted) if refuted else ("undecided", list(_open(evidence, mine, others)))


def approach_of(arm: str, *, documents: bool) -> str | None:
    """The approach that an arm put on trial in this run; None for an arm of one's own."""
    if not documents:
        return {"rag": "few_shot", "rag_lora": "fine_tuning"}.get(arm, APPROACH_OF.get(arm))
    return APPROACH_OF.get(arm)


def _untried(evidence: Evidence, approach: str, *, documents: bool) -> Iterator[str]:
    tried = {approach_of(arm, documents=documents) for arm in evidence.candidates}
    missing = [APPROACH_NAMES[name] for name in APPROACHES if name not in tried and name != approach]
    if missing:
        yield f"Not tried, and so not ruled out: {', '.join(missing)}."


def _recommended(verdict: Verdict) -> str | None:
    return verdict.arm if verdict.kind in (VerdictKind.WINNER, VerdictKind.TIE) else None


def _confirming(verdict: Verdict, evidence: Evidence, mine: list[str], others: list[str]) -> Iterator[str]:
    arm = _recommended(verdict)
    if arm in mine:
        yield f"The verdict recommends {name_of(arm)}, of the advised approach: {_how(verdict, evidence, arm, others)}."
        return
    for one in mine:
        beats_all = others and all(evidence.beats(one, other) for other in others)
        above_control = CONTROL not in evidence.scores or evidence.is_better(one, CONTROL)
        if beats_all and above_control and evidence.reaches_target(one):
            yield f"{_start(name_of(one))} beats every other approach, beyond chance: {_by(evidence, one, others)}."
            return


def _refuting(verdict: Verdict, evidence: Evidence, mine: list[str], others: list[str]) -> Iterator[str]:
    for other in others:
        if all(evidence.beats(other, one) for one in mine):
            yield f"{_start(name_of(other))} beats {_by(evidence, other, mine)}, beyond chance."
            break
    arm = _recommended(verdict)
    if arm is not None and arm in others:
        yield f"The verdict recommends {name_of(arm)}, of another approach: {_how(verdict, evidence, arm, [])}."
    if CONTROL in evidence.scores and all(evidence.is_no_better_by_margin(one, CONTROL) for one in mine):
        shown = f"{_start(_all(mine))} {'is' if len(mine) == 1 else 'are'} shown to be at most"
        yield f"{shown} {numbers.lead(evidence.rule.margin)} better than always giving the commonest answer."
    if all(evidence.shown_below_target(one) for one in mine):
        highs = listed([f"{name_of(one)} ({numbers.share(evidence.scores[one].high)})" for one in mine])
        yield f"The target of {numbers.share(evidence.rule.target or 0.0)} lies above the whole interval of {highs}."


def _open(evidence: Evidence, mine: list[str], others: list[str]) -> Iterator[str]:
    best = mine[0]
    rivals = [other for other in others if not evidence.beats(best, other)]
    if CONTROL in evidence.scores and not evidence.is_better(best, CONTROL):
        yield f"{_start(name_of(best))} is not shown to be better than always giving the commonest answer."
    elif rivals:
        yield f"These cases do not settle {name_of(best)} against {_all(rivals)}."
    elif not evidence.reaches_target(best):
        yield f"{_start(name_of(best))} leads, but does not reach the target."
    else:
        yield "There was no arm of another approach to compare with."


def _not_tried(verdict: Verdict, approach: str, *, documents: bool) -> str:
    name = APPROACH_NAMES.get(approach, approach)
    why = [
        f"{name_of(left.arm)}: {left.reason}"
        for left in verdict.left_out
        if approach_of(left.arm, documents=documents) == approach
    ]
    failed = [score.arm for score in verdict.scores if approach_of(score.arm, documents=documents) == approach]
    if why:
        return f"The advised approach, {name}, did not take part ({'; '.join(why)})."
    if failed:
        return f"The advised approach, {name}, failed on every case."
    return f"The advised approach, {name}, was not among the arms of this run."


def _how(verdict: Verdict, evidence: Evidence, arm: str, rivals: Sequence[str]) -> str:
    """What the recommendation rests on, against these rivals."""
    if verdict.kind is VerdictKind.WINNER:
        leads = _leads(evidence, arm, rivals)
        return f"it wins{f', {leads}' if leads else ''}"
    tied = _all([one for one in verdict.tied if one != arm])
    return (
        f"it is the cheapest in a tie with {tied}, where nothing is better by more than {numbers.lead(verdict.margin)}"
    )


def _by(evidence: Evidence, arm: str, beaten: Sequence[str]) -> str:
    """The arms that it beats, each with by how much."""
    found = [(one, evidence.between(arm, one)) for one in beaten]
    return listed([f"{name_of(one)} by {numbers.lead(gap.difference)}" for one, gap in found if gap])


def _leads(evidence: Evidence, arm: str, others: Sequence[str]) -> str:
    """By how much an arm is ahead of others, as measured."""
    found = [(one, evidence.between(arm, one)) for one in others]
    return listed([f"{numbers.lead(gap.difference)} ahead of {name_of(one)}" for one, gap in found if gap] or [""])


def _all(arms: Sequence[str]) -> str:
    return listed([name_of(arm) for arm in arms])


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]
