"""Consistency: is the same request answered alike in other words, other casing and spacing, and when sampled?

Puts the questionnaire's `consistency` answer on trial. A pair of answers agrees where the parser reads the same answer
out of both; so agreement says nothing of being right, and the constant answer would have all of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.experiment.probes.base import Effort, Ground, Variant, share_of_cases
from harness.experiment.probes.read import Answered, Evidence
from harness.experiment.probes.rivals import best_arm
from harness.experiment.wording import name_of
from harness.metrics.labels import fold
from harness.publish import numbers
from harness.records import CONTROL, Contradiction, Finding, Reading
from harness.scenario import Case, Scenario

TEMPERATURE, DRAWS = 0.7, 3
"""Repeated sampling: a usual temperature of chat products, three draws."""
STRICT = 0.9
"""Agreement that a machine reading the answers needs at least: one in ten answers changes with the wording."""

SAME = "same answer"
CASING, SPACING, PARAPHRASE, SAMPLED = "other casing", "other spacing", "paraphrase", "sampled"


class ConsistencyProbe:
    """Every arm answers the same cases again under harmless changes."""

    name = "consistency"
    question = "Is the same request always answered alike?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Can always be run."""
        return None

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """Five or six sets of answers an arm."""
        sets = 2 + DRAWS + (1 if scenario.rewordings else 0)
        answers = sets * (len(arms) - 1) * share_of_cases(scenario, quick=quick)
        return Effort(0.0, answers, "casing, spacing, paraphrases and sampling at temperature 0.7")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """Arm by arm, so that adapters are merged in turn."""
        cases = ground.cases
        said = reworded(ground.scenario)
        for arm in ground.arms:
            yield ground.as_run(arm, CASING, cases=tuple(replace(c, input=_cased(c.input)) for c in cases))
            yield ground.as_run(arm, SPACING, cases=tuple(_spaced(c) for c in cases))
            for number, part in enumerate(said, start=1):
                condition = PARAPHRASE if number == 1 else f"{PARAPHRASE} {number}"
                yield ground.as_run(arm, condition, cases=part)
            for draw in range(1, DRAWS + 1):
                hot = replace(ground.bench, temperature=TEMPERATURE, sampling_seed=draw)
                yield ground.as_run(arm, f"{SAMPLED} {draw}", cases=cases, bench=hot)

    def finding(self, evidence: Evidence) -> Finding:
        """Agreement by arm and change, and what that says of the answer `consistency`."""
        readings = [r for arm in evidence.main if arm != CONTROL for r in _readings(evidence, arm)]
        words = tuple(_sentence(arm, readings) for arm in dict.fromkeys(r.arm for r in readings))
        contradicted = tuple(_contradicted(evidence, readings))
        bearing = tuple(one.found for one in contradicted)
        return Finding(
            self.name,
            (*words, *evidence.failures()),
            tuple(readings),
            evidence.seconds,
            bearing=bearing,
            contradicted=contradicted,
        )


def reworded(scenario: Scenario) -> list[tuple[Case, ...]]:
    """Cases in other words: the first wording of each, then the second of those that have one, and so on."""
    texts: dict[str, list[str]] = {}
    for one in scenario.rewordings:
        texts.setdefault(one.case_id, []).append(one.input)
    asked = [case for case in scenario.cases if case.id in texts]
    most = max((len(texts[case.id]) for case in asked), default=0)
    return [tuple(replace(c, input=texts[c.id][n]) for c in asked if len(texts[c.id]) > n) for n in range(most)]


def _cased(text: str) -> str:
    """In lower case; where that changes nothing, in capitals."""
    return text.lower() if text != text.lower() else text.upper()


def _spaced(case: Case) -> Case:
    """Some blanks doubled, one at each end; line breaks stay."""
    rng = random.Random(case.id)
    words = case.input.split(" ")
    joined = "".join(word + ("  " if rng.random() < 0.25 else " ") for word in words).rstrip(" ")
    return replace(case, input=f" {joined} ")


def _readings(evidence: Evidence, arm: str) -> Iterator[Reading]:
    main = evidence.main[arm]
    for condition in (CASING, SPACING):
        found = evidence.of(condition).get(arm)
        if found is not None:
            yield _reading(evidence, arm, condition, _agreeing(evidence, main, found))
    said = [v for v in evidence.variants if v.arm == arm and v.condition.startswith(PARAPHRASE) and v.complete]
    if said:
        wordings = [_agreeing(evidence, main, v) for v in said]
        alike = {name: _mean([w[name] for w in wordings if name in w]) for name in wordings[0]}
        yield _reading(evidence, arm, PARAPHRASE, alike, right_or_wrong=len(said) == 1)
    draws = [v for v in evidence.variants if v.arm == arm and v.condition.startswith(SAMPLED) and v.complete]
    if len(draws) > 1:
        values = [_agreeing(evidence, a, b) for n, a in enumerate(draws) for b in draws[n + 1 :]]
        together = {name: sum(v[name] for v in values) / len(values) for name in values[0]}
        yield _reading(evidence, arm, f"{SAMPLED} at {TEMPERATURE:g}", together, right_or_wrong=False)


def _agreeing(evidence: Evidence, first: Answered, second: Answered) -> dict[str, float]:
    """Case id -> whether both answers are the same, 0 where one failed."""
    found = {}
    for name, row in second.scores.items():
        other = first.scores.get(name)
        if other is not None:
            alike = fold(row.answer) == fold(other.answer)
            found[name] = float(alike and not row.failed and not other.failed)
    return found


def _reading(
    evidence: Evidence, arm: str, condition: str, values: dict[str, float], *, right_or_wrong: bool = True
) -> Reading:
    found = evidence.mean(values, right_or_wrong=right_or_wrong)
    return Reading(arm, "as run", f"{SAME}, {condition}", found.estimate, found.low, found.high, n=len(values))


def _sentence(arm: str, readings: Sequence[Reading]) -> str:
    own = [r for r in readings if r.arm == arm]
    shown = ", ".join(f"{numbers.share(r.value)} ({_change(r)})" for r in own)
    text = f"{name_of(arm)} gives the same answer in {shown}."
    return text[0].upper() + text[1:]


def _change(reading: Reading) -> str:
    return reading.measure.removeprefix(f"{SAME}, ")


def _contradicted(evidence: Evidence, readings: Sequence[Reading]) -> Iterator[Contradiction]:
    """`strict` where the recommended arm's agreement is shown to be below nine in ten; casing and paraphrases count."""
    advice = evidence.folder.advice()
    answers = dict(advice.answers) if advice else {}
    if not advice or answers.get("consistency") != "strict":
        return
    best = best_arm(evidence)
    if best is None:
        return
    asked = [r for r in readings if r.arm == best and _change(r) in (CASING, PARAPHRASE)]
    low = [r for r in asked if r.high is not None and r.high < STRICT]
    if low:
        worst = min(low, key=lambda r: r.value)
        yield Contradiction(
            "consistency",
            "strict",
            dict(advice.sources).get("consistency", ""),
            f"{name_of(best)}, the best arm, gives the same answer in {numbers.share(worst.value)} of cases under "
            f"{_change(worst)}; a machine that reads the answers needs {numbers.share(STRICT)} or more.",
        )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))
