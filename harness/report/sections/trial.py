"""How the trial was run, in plain words: on what, by whom judged, under which rule."""

from __future__ import annotations

from collections.abc import Iterator

from harness.publish import numbers
from harness.publish.blocks import Bullets, Column, Section, Table
from harness.publish.text import joined
from harness.records import CONTROL
from harness.report.data import ReportData
from harness.report.names import arm_explanation, arm_label, arm_name, is_share, metric_explanation, metric_title

_KINDS = {
    "labels": "one label of a fixed set",
    "json": "a JSON object",
    "short_answer": "a short answer",
    "free_text": "free text",
}


def trial_section(data: ReportData) -> Section:
    """What was compared, on which cases, and what had been fixed before."""
    return Section("How the trial was run", "trial-as-run", (Bullets(tuple(_facts(data))), _arms(data)))


def _facts(data: ReportData) -> Iterator[str]:
    kept, rule, place = data.scenario, data.rule, data.provenance
    yield (
        f"{_answered(data)} The answer asked for is {_KINDS.get(kept.kind, kept.kind)}. No case stood, word for word, "
        "among the examples that were shown or trained on."
    )
    yield _material(data)
    yield (
        f"One model, {place.model}, one instruction and one way of writing answers served all of them, on "
        f"{numbers.date(place.started)}."
    )
    explained = metric_explanation(rule.metric)
    yield f"{metric_title(rule.metric)} decides{f': {_lower(explained)}' if explained else '.'}"
    target = (
        f" An arm is useful from {numbers.score(rule.target, is_share=is_share(rule.metric))} on."
        if rule.target is not None
        else ""
    )
    yield (
        f"{_fixed(data)}: differences under {numbers.gap(rule.margin)} do not matter; an arm is called "
        f"better only if chance would show such a lead in fewer than {numbers.rate(rule.alpha)} of trials, all pairs "
        f"of arms allowed for; at least {numbers.counted(rule.fewest_cases, 'case')}.{target}"
    )
    if data.verdict.seeds:
        many = "; ".join(f"{arm_name(one.arm)} {len(one.scores)} times" for one in data.verdict.seeds)
        yield f"Tuned arms were trained with several seeds ({many}); their scores are means over these."


def _answered(data: ReportData) -> str:
    """Who answered which cases."""
    cases = numbers.counted(len(data.cases), "case")
    if not data.real_arms:
        return f"There were {cases}, and no approach answered them."
    if not data.verdict.stopped:
        return f"Every approach answered the same {cases}."
    early = "; ".join(f"{arm_name(one.arm)} after {numbers.count(one.after)}" for one in data.verdict.stopped)
    return f"Every approach was to answer the same {cases}; some were stopped early, shown to be worse: {early}."


def _fixed(data: ReportData) -> str:
    changed = data.verdict.exploratory
    return "The rule, which was changed after answers had been seen" if changed else "Fixed before the first answer"


def _material(data: ReportData) -> str:
    kept = data.scenario
    parts = [numbers.counted(kept.train_examples, "training example")]
    parts += [f"{numbers.count(kept.dev_examples)} more held back to choose settings by"] if kept.dev_examples else []
    parts += [numbers.counted(kept.documents, "document") if kept.documents else "no documents"]
    return f"Beside the cases there were {joined(parts)}."


def _arms(data: ReportData) -> Table:
    shown = (*data.real_arms, *(arm for arm in data.arms if arm == CONTROL))
    rows = tuple((arm_label(arm), _explained(data, arm)) for arm in shown)
    return Table("The approaches that were tried", (Column("Arm"), Column("What it does")), rows)


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _explained(data: ReportData, arm: str) -> str:
    """What an arm is; of a tuned model behind an endpoint it is not known how it was tuned."""
    if data.endpoint and arm == "lora":
        return "A model tuned on the training examples, not here: by which method is not known."
    return arm_explanation(arm)
