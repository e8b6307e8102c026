"""Facts change: `after/` holds changed documents, and the questions whose answers changed with them.

Nothing is trained anew at first: arms that read documents get a new index, all others stay as they are. Each arm's
answers are scored on the new facts and on the old ones. Then, where `after/train.jsonl` has pairs of the changed
facts, tuned arms are trained again with them, so that the cost of staying up to date is measured on both sides. This
puts the questionnaire's `fact_change_rate` on trial.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from harness.arms.bench import Bench
from harness.arms.registry import arm as arm_named
from harness.audit.leaks import exact_leaks, near_duplicates, without_leaks
from harness.experiment.probes.base import Effort, Ground, Variant, tuned_among
from harness.experiment.probes.read import Answered, Evidence
from harness.experiment.probes.words import gap, minutes, score
from harness.experiment.wording import name_of
from harness.metrics.registry import metric_named
from harness.records import CONTROL, Contradiction, Finding, Reading, Usage
from harness.retrieval.index import AT_ONCE
from harness.retrieval.retriever import indexed_text
from harness.scenario import After, Case, Document, Kind, Scenario
from harness.spool import kept
from harness.store import RunFolder

STALE, INDEXED, RETRAINED = "nothing updated", "index made anew", "trained anew"
READERS = ("rag", "rag_lora")
TIME = "time to update"
EXAMPLES = "nearest_shots"
"""Its index holds training examples: pairs of the changed facts bring it up to date."""
MUCH = 0.1
"""Share of questions with another answer from which on facts are not static."""


class FactsChangeProbe:
    """Questions whose answers changed, before and after an update."""

    name = "facts_change"
    question = "What happens when the facts change?"

    def missing(self, scenario: Scenario, arms: tuple[str, ...]) -> str | None:
        """Needs `after/`."""
        if scenario.after is None:
            return "there is no folder after/ with changed documents and an eval.jsonl of the questions concerned"
        return None

    def effort(self, scenario: Scenario, arms: tuple[str, ...], *, quick: bool) -> Effort:
        """One set of the changed questions an arm, two for readers; a training where pairs are given."""
        after = scenario.after
        part = len(after.cases) / max(1, len(scenario.cases)) if after else 0.0
        tuned = len(tuned_among(arms)) if after and after.train else 0
        return Effort(tuned, part * (len(arms) + 2 + tuned), "changed facts, before and after bringing arms up to date")

    def variants(self, ground: Ground) -> Iterator[Variant]:
        """Every arm untouched; readers with a new index; tuned arms trained anew with the pairs given."""
        after = ground.scenario.after
        if after is None:
            return
        after = _without_leaked(after, ground)
        if not after.cases:
            return
        fresh = updated(ground.bench, after)
        for arm in ground.arms:
            yield ground.as_run(arm, STALE, cases=after.cases)
        pairs = usable_pairs(after, ground.bench)
        more = replace(fresh, train=with_changed(fresh.train, pairs))
        readers = [arm for arm in ground.arms if arm in READERS]
        if readers:
            _timed_index(ground, fresh)
        for arm in readers:
            yield ground.as_run(arm, INDEXED, cases=after.cases, bench=fresh)
        if pairs:
            if EXAMPLES in ground.arms:
                yield ground.as_run(EXAMPLES, INDEXED, cases=after.cases, bench=more)
            for arm in ground.tuned:
                seed = ground.scenario.seed
                yield Variant(arm, RETRAINED, arm_named(arm), after.cases, more, seed=seed)

    def finding(self, evidence: Evidence) -> Finding:
        """New facts right, old facts still told, and the minutes of each update."""
        readings: list[Reading] = []
        index_seconds = _index_seconds(evidence)
        for one in (v for v in evidence.variants if v.complete):
            readings += [evidence.reading(one), *_stale(evidence, one), *_time(one, index_seconds)]
        said = tuple(_sentences(evidence))
        contradicted = tuple(_contradicted(evidence))
        leaked = evidence.home.read(LEAKED, Leaked) if evidence.home.has(LEAKED) else Leaked()
        if leaked.cases and len(leaked.cases) == leaked.of:
            why = "every question of after/eval.jsonl stands in the training examples, exactly or nearly"
            return Finding(self.name, (f"It could not be run: {why}",), could_not=why)
        return Finding(
            self.name,
            (*said, *_leaked_said(leaked), *evidence.failures()),
            tuple(readings),
            evidence.seconds,
            bearing=said[:1],
            contradicted=contradicted,
        )


LEAKED = "leaked.json"


@dataclass(frozen=True, slots=True)
class Leaked:
    """Questions of `after/eval.jsonl` that stand in the training examples and are asked of no arm."""

    cases: tuple[str, ...] = ()
    """Their ids."""
    of: int = 0


def _without_leaked(after: After, ground: Ground) -> After:
    """`after` without the questions that arms were shown while they were prepared; which those are is kept."""
    gone = leaked_cases(after.cases, ground.bench)
    home = RunFolder(ground.folder.path / "experiments" / FactsChangeProbe.name)
    home.path.mkdir(parents=True, exist_ok=True)
    home.write(LEAKED, Leaked(gone, len(after.cases)))
    return replace(after, cases=tuple(case for case in after.cases if case.id not in gone))


def leaked_cases(cases: Sequence[Case], bench: Bench) -> tuple[str, ...]:
    """Ids of the questions that stand in the training examples, exactly or nearly."""
    shown = bench.examples
    found = exact_leaks(cases, shown)
    if bench.embedder is not None and shown:
        vectors = [bench.embedder.encode([case.input for case in rows]) for rows in (cases, shown)]
        found += near_duplicates(cases, shown, train_vectors=vectors[0], case_vectors=vectors[1])
    leaked = {row.train_id for row in found}  # the audit's first rows are the ones that are left out: here the cases
    return tuple(case.id for case in cases if case.id in leaked)


def _leaked_said(leaked: Leaked) -> Iterator[str]:
    count = len(leaked.cases)
    if count:
        stand, they = ("stands", "it is") if count == 1 else ("stand", "they are")
        yield (
            f"{count} of {leaked.of} questions of after/eval.jsonl {stand} in the training examples, exactly or "
            f"nearly, so {they} asked of no arm."
        )


def updated(bench: Bench, after: After) -> Bench:
    """The bench with the documents as they are afterwards."""
    return replace(bench, scenario=replace(bench.scenario, documents=merged(bench.scenario.documents, after)))


def merged(documents: Sequence[Document], after: After) -> Sequence[Document]:
    """Changed documents in the place of the old ones, new ones at the end."""
    new = {document.id: document for document in after.documents}
    # The new ones are looked at when the old ones are through: only those that took no place are left then.
    return kept(chain((new.pop(document.id, document) for document in documents), _left(new)), Document)


def _left(new: Mapping[str, Document]) -> Iterator[Document]:
    yield from new.values()


def usable_pairs(after: After, bench: Bench) -> tuple[Case, ...]:
    """The pairs of changed facts that are none of the questions asked, nor nearly."""
    train, cases = after.train, after.cases
    removed = exact_leaks(train, cases)
    if bench.embedder is not None and train:
        vectors = [bench.embedder.encode([case.input for case in rows]) for rows in (train, cases)]
        removed += near_duplicates(train, cases, train_vectors=vectors[0], case_vectors=vectors[1])
    return without_leaks(train, removed)


def with_changed(train: tuple[Case, ...], pairs: tuple[Case, ...]) -> tuple[Case, ...]:
    """The training examples and the changed pairs; an example of the same input is replaced."""
    changed = {case.input for case in pairs}
    return (*(case for case in train if case.input not in changed), *pairs)


def _timed_index(ground: Ground, fresh: Bench) -> None:
    """How long a new index takes, embeddings included and none from a cache."""
    home = RunFolder(ground.folder.path / "experiments" / FactsChangeProbe.name)
    if ground.bench.embedder is None or home.has("usage.jsonl"):
        return
    start = time.perf_counter()
    for first in range(0, len(fresh.passages), AT_ONCE):  # a large collection's vectors are not held
        ground.bench.embedder.encode([indexed_text(p) for p in fresh.passages[first : first + AT_ONCE]], fresh=True)
    seconds = time.perf_counter() - start
    home.write_lines("usage.jsonl", [Usage("rag", "index", seconds, 0.0)])


def _old_answers(evidence: Evidence, one: Answered) -> dict[str, Case]:
    """Case id -> the case with its old answer, where that is known."""
    old = evidence.cases
    return {
        c.id: replace(c, output=old[c.id].output, references=old[c.id].references) for c in one.cases if c.id in old
    }


def _lenient(evidence: Evidence) -> str:
    """`contains` where it is defined: an old fact told in a long sentence is told all the same."""
    return "contains" if evidence.kind in metric_named("contains").kinds else evidence.metric


def _stale(evidence: Evidence, one: Answered) -> Iterator[Reading]:
    """How often the old fact is told; of an object or a long text only a part changes, so that is not asked there."""
    old = _old_answers(evidence, one)
    if not old or evidence.kind not in (Kind.SHORT_ANSWER, Kind.LABELS):
        return
    before = replace(one, cases=tuple(old.values()))
    metric = _lenient(evidence)
    share = metric_named(metric).right_or_wrong
    found = evidence.mean(before.values(metric), right_or_wrong=share)
    yield Reading(
        one.arm,
        one.condition,
        "old fact told",
        found.estimate,
        found.low,
        found.high,
        n=len(old),
        unit="share" if share else "points",
    )


def _index_seconds(evidence: Evidence) -> float | None:
    usage = RunFolder(evidence.home.path).usage()
    return next((u.seconds for u in usage if u.stage == "index"), None)


def _time(one: Answered, index_seconds: float | None) -> Iterator[Reading]:
    """What the update took on this machine; of an index of examples nothing was measured."""
    if one.condition == INDEXED and one.arm in READERS and index_seconds is not None:
        yield Reading(one.arm, one.condition, TIME, index_seconds, unit="seconds")
    if one.condition == RETRAINED and one.seconds_of("prepare") > 0:
        yield Reading(one.arm, one.condition, TIME, one.seconds_of("prepare"), unit="seconds")


def _sentences(evidence: Evidence) -> Iterator[str]:
    stale, indexed, again = (evidence.of(condition) for condition in (STALE, INDEXED, RETRAINED))
    index_seconds = _index_seconds(evidence)
    main = {arm: run for arm, run in evidence.main.items() if arm in stale and arm != CONTROL}
    metric = _lenient(evidence)
    best = {}
    for arm in main:
        options = [found[arm] for found in (indexed, again, stale) if arm in found]
        best[arm] = max(options, key=lambda run: _mean(run.values(metric)))
    if best:
        share = metric_named(metric).right_or_wrong
        shown = [
            f"{name_of(a)} {score(_mean(r.values(metric)), is_share=share)} ({r.condition})" for a, r in best.items()
        ]
        yield f"On the changed facts, each arm as up to date as could be: {'; '.join(shown)}."
    for arm, run in ((a, r) for a, r in indexed.items() if a in READERS):
        gained = evidence.difference(run.values(metric), stale[arm].values(metric)) if arm in stale else None
        if gained is not None and index_seconds is not None:
            yield (f"{name_of(arm)}: a new index took {minutes(index_seconds)} and brought {gap(gained)} on them.")
    for arm, run in again.items():
        gained = evidence.difference(run.values(metric), stale[arm].values(metric)) if arm in stale else None
        if gained is not None:
            spent = minutes(run.seconds_of("prepare"))
            yield (
                f"{name_of(arm)}: training anew took {spent}, needs labelled pairs of the changed facts, and brought "
                f"{gap(gained)}."
            )


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / max(1, len(values))


def _contradicted(evidence: Evidence) -> Iterator[Contradiction]:
    """`static`, where answers to a tenth of the run's own questions change with the documents."""
    advice = evidence.folder.advice()
    answers = dict(advice.answers) if advice else {}
    if not advice or answers.get("fact_change_rate") != "static":
        return
    cases = next((v.cases for v in evidence.variants if v.complete), ())
    known = evidence.cases
    changed = sum(c.id in known and set(c.accepted) != set(known[c.id].accepted) for c in cases)
    part = changed / max(1, len(known))
    if part >= MUCH:
        yield Contradiction(
            "fact_change_rate",
            "static",
            dict(advice.sources).get("fact_change_rate", ""),
            f"The folder after/ changes the answers of {changed} of {len(evidence.cases)} eval questions; facts that "
            "change are not static.",
        )
