"""Harm checks: what tuning may have broken.

Forgetting: a small probe of general ability (`general.jsonl`: instructions, arithmetic, everyday facts), before and
after. Overfitting: score on training examples against score on eval. Refusal: questions whose document was taken away;
an arm that reads should rather say that it does not know. Leaking: answers that repeat an output of the training set
which is wrong for the case (Carlini et al. 2021, arXiv 2012.07805, on what models give back of their training data).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from harness.arms.base import Needs, Request
from harness.arms.bench import Bench
from harness.experiment.probes.base import Effort, Ground, Variant, share_of_cases, tuned_among
from harness.experiment.probes.read import Answered, Evidence
from harness.experiment.probes.retrieval import SuppliedArm
from harness.experiment.probes.words import gap, scored
from harness.experiment.wording import name_of
from harness.metrics.labels import fold
from harness.publish import numbers
from harness.records import CONTROL, Finding, Reading, Recipe
from harness.scenario import Case, Kind, Scenario
from harness.stats.paired import Interval
from harness.store import RunFolder

GENERAL, TRAINED, UNANSWERABLE = "general ability", "on its own training examples", "document taken away"
TRAIN_CASES = 60
MUCH_LOST = 0.1
"""A loss of general ability that would matter."""
READERS = ("rag", "rag_lora")
BASE = "untuned model"
GENERAL_INSTRUCTION = "You are a helpful assistant. Answer briefly."

REFUSALS = re.compile(
    r"\b(?:i|we)\b[^.]{0,20}(?:do not|don't|cannot|can't|could not|couldn't|am not able to|are unable to)[^.]{0,20}"
    r"\b(?:know|say|tell|find|answer|determine)\b"
    r"|\b(?:no|not enough|insufficient)\s+(?:\w+\s+)?(?:information|idea|answer)\b"
    r"|(?:\bnot|n't)\s+(?:been\s+)?(?:mentioned|stated|specified|provided|found|included|contained|disclosed)\b"
    r"|\b(?:contexts?|passages?|documents?|texts?)\b[^.]{0,30}(?:do(?:es)? not|don't|doesn't)[^.]{0,20}"
    r"\b(?:say|mention|contain|provide|state|give|specify|answer)\b"
    r"|\b(?:unknown|unanswerable|not sure|n/a)\b",
    re.IGNORECASE,
)
"""Ways of saying that the answer is not there; English."""
REFUSALS_SAID = "“I do not know” and “not mentioned”"


@dataclass(frozen=True, slots=True)
class GeneralItem:
    """One question of the general probe and how its answer is checked."""

    id: str
    area: str
    input: str
    accepted: tuple[str, ...]
    match: str
    """`word` (occurs as a whole word), `exact` (is the answer, bar case and a final stop) or `regex`."""

    def right(self, text: str) -> bool:
        """Whether the answer passes."""
        answer = text.strip()
        if self.match == "regex":
            return re.fullmatch(self.accepted[0], answer) is not None
        if self.match == "exact":
            return answer.casefold().rstrip(".") in {a.casefold().rstrip(".") for a in self.accepted}
        return any(re.search(rf"(?<!\w){re.escape(a)}(?!\w)", answer, re.IGNORECASE) for a in self.accepted)


def general_items() -> tuple[GeneralItem, ...]:
    """The probe, as it is shipped."""
    text = files("harness.experiment.probes").joinpath("general.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return tuple(GeneralItem(r["id"], r["area"], r["input"], tuple(r["accepted"]), r["match"]) for r in rows)


class PlainArm:
    """The input as it is: no shots, no passages."""

    name = "plain"
    needs = Needs()

    def prepare(self, bench: Bench) -> Recipe:
        """Nothing."""
        return Recipe(self.name)

    def requests(self, recipe: Recipe, cases: Sequence[Case], *, bench: Bench, fresh: bool = False) -> list[Request]:
        """Empty requests."""
        return [Request() for _ in cases]


class HarmProbe:
    """Tuned arms before and after; reading arms without the right document."""

    name = "harm"
    question = "What did tuning break?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs a tuned arm, or one that reads documents."""
        if tuned_among(arms) or (scenario.documents and set(arms) & set(READERS)):
            return None
        return "no arm of this run is tuned or reads documents"

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """The general probe, some training examples, and the cases without their document."""
        tuned, part = len(tuned_among(arms)), share_of_cases(scenario, quick=quick)
        extra = (48 * (tuned + 1) + TRAIN_CASES * tuned) / max(1, len(scenario.cases))
        readers = len(set(arms) & set(READERS)) if scenario.documents else 0
        return Effort(0.0, extra + part * readers, "forgetting, overfitting, refusal, leaked training outputs")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """The untuned model first."""
        bench = ground.bench
        asked = tuple(Case(i.id, i.input, i.accepted[0]) for i in general_items())
        general = replace(bench, scenario=_general_scenario(bench.scenario), max_new_tokens=48)
        yield Variant("prompt", GENERAL, PlainArm(), asked, general, recipe=Recipe("prompt"))
        home = RunFolder(ground.folder.path / "experiments" / self.name)
        home.write("outputs.json", tuple(sorted({fold(case.output) for case in bench.examples})))
        rng = random.Random(ground.scenario.seed)
        shown = tuple(rng.sample(list(bench.train), min(TRAIN_CASES, len(bench.train))))
        for arm in ground.tuned:
            recipe = ground.recipes[arm]
            yield Variant(arm, GENERAL, PlainArm(), asked, general, recipe=recipe)
            yield ground.as_run(arm, TRAINED, cases=shown)
        known = tuple(case for case in ground.cases if case.context_id is not None)
        if ground.scenario.documents and known and ground.scenario.kind in (Kind.SHORT_ANSWER, Kind.FREE_TEXT):
            for arm in (name for name in ground.arms if name in READERS):
                away = SuppliedArm(arm, lambda b, c, k: b.wrong(c, k))
                yield Variant(arm, UNANSWERABLE, away, known, bench, recipe=ground.recipes[arm])

    def finding(self, evidence: Evidence) -> Finding:
        """Each check with its sentence."""
        parts = (*_forgetting(evidence), *_overfitting(evidence), *_refusal(evidence), *_leaking(evidence))
        readings = tuple(reading for found, _ in parts for reading in found)
        said = tuple(sentence for _, sentence in parts if sentence)
        return Finding(
            self.name,
            (*said, *evidence.failures()),
            readings,
            evidence.seconds,
            bearing=tuple(sentence for _, sentence in _forgetting(evidence) if "forgot" in sentence),
        )


Part = tuple[list[Reading], str]


def _general_scenario(scenario: Scenario) -> Scenario:
    """Free text, free form: the probe's own instruction."""
    return replace(
        scenario,
        instruction=GENERAL_INSTRUCTION,
        kind=Kind.FREE_TEXT,
        held_to_labels=False,
        held_to_schema=False,
        repair=False,
        labels=(),
        keys=(),
    )


def _forgetting(evidence: Evidence) -> Iterator[Part]:
    runs = evidence.of(GENERAL)
    items = {item.id: item for item in general_items()}
    base = runs.get("prompt")
    if base is None:
        return
    before = _passed(base, items)
    yield [_row("prompt", BASE, "general ability", evidence.mean(before, right_or_wrong=True), n=len(before))], ""
    for arm, run in runs.items():
        if arm == "prompt":
            continue
        after = _passed(run, items)
        found = evidence.difference(after, before)
        row = _row(arm, "after tuning", "general ability", evidence.mean(after, right_or_wrong=True), n=len(after))
        text = f"{name_of(arm)} {_kept(found)} on {len(after)} simple tasks."
        yield [row], text[0].upper() + text[1:]


def _kept(found: Interval) -> str:
    """A loss that is shown, one that is ruled out, or neither."""
    if found.high < 0:
        return f"forgot some of its general ability: {gap(found)}"
    if found.low > -MUCH_LOST:
        return f"kept its general ability, or lost no more than {numbers.lead(MUCH_LOST)}: {gap(found)}"
    return f"may or may not have lost general ability: {gap(found)}"


def _passed(run: Answered, items: dict[str, GeneralItem]) -> dict[str, float]:
    return {c.id: float(items[c.id].right(run.predictions[c.id].text)) for c in run.cases if c.id in items}


def _overfitting(evidence: Evidence) -> Iterator[Part]:
    """Training examples and eval cases are different cases: their intervals are set side by side, not paired."""
    for arm, run in evidence.of(TRAINED).items():
        share = evidence.is_share
        own, fresh = (
            evidence.mean(one.values(evidence.metric), right_or_wrong=share) for one in (run, evidence.main[arm])
        )
        text = (
            f"{name_of(arm)} scores {scored(own, is_share=share)} on {len(run.cases)} of its own training examples and "
            f"{scored(fresh, is_share=share)} on eval: "
            + (
                "it does better on what it was shown, beyond chance."
                if own.low > fresh.high
                else "no gap is shown beyond chance."
            )
        )
        yield [evidence.reading(run)], text[0].upper() + text[1:]


def _refusal(evidence: Evidence) -> Iterator[Part]:
    for arm, run in evidence.of(UNANSWERABLE).items():
        made = [run.predictions[c.id] for c in run.cases]
        errors = sum(p.error is not None for p in made)
        declined = {p.case_id: float(bool(REFUSALS.search(p.text))) for p in made if p.error is None and p.text.strip()}
        apart = _counted_apart(empty=len(made) - errors - len(declined), errors=errors)
        opening = f"{name_of(arm)}, asked {len(made)} questions that no passage answers,"
        opening = opening[0].upper() + opening[1:]
        if not declined:
            yield [], f"{opening} answered none.{apart}"
            continue
        found = evidence.mean(declined, right_or_wrong=True)
        text = (
            f"{opening} declines in {scored(found, is_share=True)} of {len(declined)} answers, as far as English "
            f"phrases such as {REFUSALS_SAID} show; the other answers hold no such phrase.{apart}"
        )
        yield [_row(arm, UNANSWERABLE, "declined", found, n=len(declined), failed=len(made) - len(declined))], text


def _counted_apart(*, empty: int, errors: int) -> str:
    """Cases without an answer: they neither decline nor claim anything."""
    parts = [f"{count} {what}" for count, what in ((empty, "empty"), (errors, "ended in an error")) if count]
    return f" Not counted among the answers: {' and '.join(parts)}." if parts else ""


def _leaking(evidence: Evidence) -> Iterator[Part]:
    """Wrong answers that are word for word an output of the training set, tuned arms against untuned ones."""
    if evidence.kind is Kind.LABELS or not evidence.home.has("outputs.json"):
        return
    known = frozenset(evidence.home.read("outputs.json", tuple[str, ...]))
    for arm, run in evidence.main.items():
        if arm == CONTROL:
            continue
        hits = {c.id: _leaked(run, c, known) for c in run.cases}
        found = evidence.mean(hits, right_or_wrong=True)
        row = _row(arm, "wrong, and a training output", "leaked", found, n=len(hits))
        tuned = run.recipe is not None and run.recipe.adapter is not None
        text = (
            f"{name_of(arm)} gives a training output that is wrong for the case in {numbers.share(found.estimate)} of "
            "answers."
            if tuned
            else ""
        )
        yield [row], text and text[0].upper() + text[1:]


def _leaked(run: Answered, case: Case, known: frozenset[str]) -> float:
    row = run.scores.get(case.id)
    if row is None or row.failed:
        return 0.0
    answer = fold(row.answer)
    return float(answer in known and answer not in {fold(a) for a in case.accepted})


def _row(arm: str, condition: str, measure: str, found: Interval, *, n: int, failed: int = 0) -> Reading:
    return Reading(arm, condition, measure, found.estimate, found.low, found.high, n=n, failed=failed)
