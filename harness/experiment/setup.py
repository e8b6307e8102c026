"""From a scenario to a workbench: leaks out, dev split off, model loaded, framing and longest answer settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from harness.arms.base import Request
from harness.arms.bench import Bench
from harness.arms.registry import arm, registered
from harness.audit.leaks import without_leaks
from harness.audit.report import Audit, audit
from harness.engines.fine_tuning import MADE
from harness.errors import MissingModel
from harness.experiment.options import RunOptions, Watcher
from harness.experiment.split import split_dev
from harness.generation.cache import AnswerCache
from harness.generation.prompts import Framing
from harness.models.base import TextModel
from harness.models.bundled import cache_folder
from harness.records import CONTROL, LADDER, Choice, LeftOut
from harness.retrieval.choose import ChosenRetrieval, choose_retrieval
from harness.retrieval.embed import Embedder, SentenceEmbedder
from harness.scenario import Case, Kind, Scenario
from harness.store import RunFolder

LONGEST_ANSWER = 256
LONGEST_UNSEEN = {Kind.LABELS: 16, Kind.SHORT_ANSWER: 32, Kind.JSON: 192, Kind.FREE_TEXT: LONGEST_ANSWER}
"""Where there is no training output to measure; eval outputs are not looked at."""
FRAMING_CASES = 40


@dataclass(frozen=True, slots=True)
class Lineup:
    """Which arms take part, control first, and which do not."""

    arms: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def lineup(scenario: Scenario, *, can_tune: bool = True) -> Lineup:
    """Arms that have what they need. Arms that were not asked for are not mentioned; the control always takes part."""
    known = registered()
    wanted = scenario.arms or tuple(known)
    order = (CONTROL, *[a for a in LADDER if a in wanted], *[a for a in wanted if a not in LADDER and a != CONTROL])
    reasons = {name: _missing(name, scenario, can_tune=can_tune) for name in order}
    return Lineup(
        arms=tuple(name for name in order if reasons[name] is None),
        left_out=tuple(LeftOut(name, why) for name, why in reasons.items() if why),
    )


def _missing(name: str, scenario: Scenario, *, can_tune: bool) -> str | None:
    needs = arm(name).needs
    if not (needs.tuning and scenario.endpoint is not None):
        return _missing_here(name, scenario, can_tune=can_tune)
    if scenario.endpoint.fine_tuning is not None and name in MADE and name not in scenario.endpoint.adapters:
        return _missing_here(name, scenario, can_tune=True)
    if name not in scenario.endpoint.adapters:
        return "the model answers behind an endpoint, and its weights are not here to be tuned"
    return NO_DOCUMENTS if needs.documents and not scenario.documents else None


NO_DOCUMENTS = "there are no documents (corpus.jsonl or corpus/)"


def _missing_here(name: str, scenario: Scenario, *, can_tune: bool) -> str | None:
    needs = arm(name).needs
    if needs.train and not scenario.train:
        return "there are no training examples (train.jsonl)"
    if needs.tuning and len(scenario.train) < FEWEST_TO_TUNE:
        return f"there are {len(scenario.train)} training examples; tuning needs at least {FEWEST_TO_TUNE}"
    if needs.documents and not scenario.documents:
        return NO_DOCUMENTS
    if needs.tuning and not can_tune:
        return "this model cannot be tuned here"
    if name == "rag" and not scenario.documents and not scenario.train:
        return "there is nothing to retrieve from: no documents and no training examples"
    return None


FEWEST_TO_TUNE = 10


def embedder_for(
    scenario: Scenario,
    arms: Sequence[str],
    *,
    watcher: Watcher,
    load: Callable[[str | None], Embedder] = SentenceEmbedder,
) -> Embedder | None:
    """The embedder; None where it is missing and no arm of this run retrieves.

    Raises:
        MissingModel: an arm needs it and it is not here.
    """
    try:
        return load(scenario.embedder)
    except MissingModel as error:
        if any(arm(name).needs.embedder for name in arms):
            raise
        watcher.note(f"Near duplicates between train and eval are not looked for: {error}")
        return None


def audited(scenario: Scenario, embedder: Embedder | None) -> tuple[Scenario, Audit]:
    """The scenario with leaking training rows taken out, and what the audit found."""
    found = audit(scenario, embed=embedder.encode if embedder is not None else None)
    kept = without_leaks(scenario.train, found.removed)
    return replace(scenario, train=kept, removed=found.removed), found


def longest_answer(scenario: Scenario, model: TextModel) -> int:
    """Tokens that an answer may take: what the scenario says, else the 98th percentile of the training outputs (of the
    labels, without training rows) plus room for a few words around it; at most 256.

    JSON gets twice its length, because untuned models write it with line breaks and spaces.
    """
    if scenario.max_new_tokens is not None:
        return scenario.max_new_tokens
    outputs = [case.output for case in scenario.train] or list(scenario.labels)
    if not outputs:
        return LONGEST_UNSEEN[scenario.kind]
    lengths = sorted(model.count_tokens(text) for text in outputs)
    typical = lengths[min(len(lengths) - 1, ceil(len(lengths) * 0.98) - 1)]
    return min(LONGEST_ANSWER, ceil(typical * (2 if scenario.kind is Kind.JSON else 1.25)) + 8)


def build_bench(
    scenario: Scenario,
    *,
    model: TextModel,
    embedder: Embedder | None,
    folder: RunFolder,
    options: RunOptions,
    watcher: Watcher,
) -> Bench:
    """The workbench, its framing chosen on dev by the zero-shot prompt, its retrieval on the training examples."""
    train, dev = split_dev(scenario.train, kind=scenario.kind, seed=scenario.seed, quick=options.quick)
    bench = Bench(
        scenario=scenario,
        train=train,
        dev=dev,
        model=model,
        embedder=embedder,
        max_new_tokens=longest_answer(scenario, model),
        folder=folder.path,
        cache=AnswerCache(cache_folder() / "answers.sqlite" if options.use_cache else None),
        quick=options.quick,
        cross_encoder=scenario.reranker,
        vector_store=scenario.vector_store,
        notify=lambda what, share: watcher.progress(round(share * 100), 100),
    )
    choice = folder.read("framing.json", Choice) if folder.has("framing.json") else choose_framing(bench)
    folder.write("framing.json", choice)
    bench = replace(bench, framing=Framing(choice.chosen), framing_choice=(choice,))
    return with_retrieval(bench, folder, lineup(scenario).arms)


def with_retrieval(bench: Bench, folder: RunFolder, arms: Sequence[str]) -> Bench:
    """The bench with its retrieval settled, or as it is where no arm of these searches documents."""
    scenario = bench.scenario
    if bench.embedder is None or not scenario.documents or not any(map(_searches_documents, arms)):
        return bench
    if folder.has("retrieval.json"):
        found = folder.read("retrieval.json", ChosenRetrieval)
    else:
        bench.notify("choosing retrieval", 0.0)
        found = choose_retrieval(
            bench.examples,
            scenario.documents,
            embedder=bench.embedder,
            seed=bench.seed,
            labels=scenario.labels,
            quick=bench.quick,
            cross_encoder=bench.cross_encoder,
        )
        folder.write("retrieval.json", found)
    choices = (found.choice,) if found.choice.n else ()
    return replace(bench, retrieval=found.settings, retrieval_choice=choices, retrieval_note=found.note)


def _searches_documents(name: str) -> bool:
    needs = arm(name).needs
    return needs.embedder and (needs.documents or name == "rag")


def choose_framing(bench: Bench) -> Choice:
    """The framing that serves the zero-shot prompt best on dev; every arm then uses it."""
    shown: tuple[Case, ...] = bench.dev[:FRAMING_CASES]
    metric = bench.scenario.rule.metric
    if not shown:
        return Choice("framing", Framing.SYSTEM.value, metric, 0)
    framed = {framing.value: replace(bench, framing=framing) for framing in Framing}
    prompts = {name: [one.prompt(case, Request()) for case in shown] for name, one in framed.items()}
    return bench.contest("framing", prompts, cases=shown)
