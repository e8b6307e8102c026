"""The bake-off, top to bottom: read, audit, plan, prepare on dev, answer, time, decide, report."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness import provenance
from harness.arms.bench import Bench
from harness.arms.registry import arm, registered
from harness.engines.answering import answer_cases
from harness.engines.local import Engine, LocalEngine
from harness.errors import RunFolderError, UserError
from harness.experiment.finish import finish, taking_part, unanswered
from harness.experiment.latency import latency_cases, timed_arm
from harness.experiment.measure import measurements
from harness.experiment.options import RunOptions, Silent, Watcher
from harness.experiment.plan import Plan, make_plan, remember_duration
from harness.experiment.setup import Lineup, audited, build_bench, embedder_for, lineup
from harness.generation.cache import CODE_VERSION
from harness.generation.isolation import attempt, said
from harness.metrics.answer import parse_answer
from harness.metrics.registry import deciding_metrics, metric_named
from harness.models.bundled import file_digest
from harness.records import CONTROL, LeftOut, Provenance, Recipe, StoredScenario, Usage, Verdict
from harness.retrieval.embed import Embedder, SentenceEmbedder
from harness.scenario import Scenario
from harness.scenario_file.read import read_scenario
from harness.store import RunFolder, RunKey, StoredRule

EngineFor = Callable[[str | None], Engine]
EmbedderFor = Callable[[str | None], Embedder]


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has its verdict."""

    folder: RunFolder
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario that is ready to run: leaks out, arms lined up, planned."""

    scenario: Scenario
    places: Lineup
    plan: Plan
    engine: Engine
    embedder: Embedder | None


def prepare(
    path: Path,
    *,
    options: RunOptions,
    watcher: Watcher | None = None,
    engine_for: EngineFor = LocalEngine,
    load_embedder: EmbedderFor = SentenceEmbedder,
) -> Prepared:
    """Read and audit a scenario and plan its run; no language model is loaded.

    Raises:
        InputProblems: the files have problems; all are listed.
        MissingModel: a model that the run needs is not here.
    """
    watcher = watcher or Silent()
    scenario = read_scenario(
        path, overrides=options.overrides, known_arms=tuple(registered()), known_metrics=deciding_metrics()
    )
    engine = engine_for(scenario.model)
    embedder = embedder_for(scenario, lineup(scenario).arms, watcher=watcher, load=load_embedder)
    watcher.stage("audit", f"{len(scenario.train)} training rows against {len(scenario.cases)} eval cases")
    scenario, found = audited(scenario, embedder)
    scenario = replace(scenario, warnings=(*scenario.warnings, *found.problems))
    places = lineup(scenario)
    if places.arms == (CONTROL,):
        reasons = "; ".join(f"{left.arm}: {left.reason}" for left in places.left_out)
        raise UserError(f"No arm can run on {path}: {reasons or 'only the control was asked for'}. Ask for other arms.")
    plan = make_plan(
        scenario,
        places,
        quick=options.quick,
        weights_mb=engine.identity.megabytes,
        machine_key=_machine_key(engine),
        model=engine.identity.name,
        embedder=embedder.name if embedder else "",
    )
    return Prepared(scenario, places, plan, engine, embedder)


def run(
    path: Path, *, options: RunOptions, watcher: Watcher | None = None, engine_for: EngineFor = LocalEngine
) -> Finished:
    """Run a bake-off, or continue it where it was stopped.

    Raises:
        UserError: what the user can mend; see `harness.errors`.
    """
    watcher = watcher or Silent()
    ready = prepare(path, options=options, watcher=watcher, engine_for=engine_for)
    return run_prepared(ready, options=options, watcher=watcher)


def run_prepared(ready: Prepared, *, options: RunOptions, watcher: Watcher) -> Finished:
    """Run what `prepare` made ready."""
    key = run_key(ready, options)
    folder = _folder_for(key, ready.scenario, options)
    if folder.path.exists() and not folder.path.is_dir():
        raise RunFolderError(f"{folder.path} is a file; --out must name a folder, new or of the same run.")
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.locked():
        _begin(folder, key, ready)
        if folder.has("verdict.json") and unanswered(folder) == 0:
            watcher.note(f"Everything is answered already in {folder.path}; the verdict is drawn again from it.")
            return Finished(folder, finish(folder))
        start = time.perf_counter()
        resumed = folder.has("predictions.jsonl")
        cached = _answer_everything(folder, ready, options=options, watcher=watcher)
        seconds = time.perf_counter() - start
        watcher.stage("verdict")
        _note_duration(folder, seconds)
        if not resumed and not cached:
            remember_duration(_machine_key(ready.engine), planned_minutes=ready.plan.minutes, took_minutes=seconds / 60)
        return Finished(folder, finish(folder))


def run_key(ready: Prepared, options: RunOptions) -> RunKey:
    """What this run is; two runs with the same key would make the same predictions."""
    scenario = ready.scenario
    parts = {
        "eval cases": _digest(scenario.cases),
        "training examples": _digest(scenario.train),
        "documents": _digest(scenario.documents),
        "instruction": scenario.instruction,
        "kind": scenario.kind.value,
        "labels": _digest(scenario.labels),
        "decision rule": scenario.rule.digest,
        "arms": ", ".join(ready.places.arms),
        "longest answer": str(scenario.max_new_tokens),
        "seed": str(scenario.seed),
        "quick": str(options.quick),
        "bakeoff's version": f"{provenance.versions().get('bakeoff-advisor', '')}, answers {CODE_VERSION}",
        "model": ready.engine.identity.digest,
        "embedder": ready.embedder.digest if ready.embedder else "",
    }
    return RunKey(_digest(parts), parts, scenario.name, provenance.now())


def _digest(record: object) -> str:
    return hashlib.sha256(msgspec.json.encode(record)).hexdigest()


def _folder_for(key: RunKey, scenario: Scenario, options: RunOptions) -> RunFolder:
    """The named folder, else the latest unfinished run of the same key, else a new one."""
    if options.out is not None:
        return RunFolder(options.out)
    for path in sorted(options.runs_folder.glob("*/run.json"), reverse=True):
        folder = RunFolder(path.parent)
        if not folder.has("verdict.json") and _has_key(folder, key):
            return folder
    stamp = key.created.replace("-", "").replace(":", "").replace("T", "-")[:15]
    name, number = f"{_file_name(scenario.name)}-{stamp}", 2
    path = options.runs_folder / name
    while path.exists():
        path, number = options.runs_folder / f"{name}-{number}", number + 1
    return RunFolder(path)


def _has_key(folder: RunFolder, key: RunKey) -> bool:
    with contextlib.suppress(RunFolderError):  # a damaged run is not the one to go on with
        return folder.key().key == key.key
    return False


def _file_name(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-")
    return kept[:60] or "run"


def _begin(folder: RunFolder, key: RunKey, ready: Prepared) -> None:
    """Write what this run is, or check that the folder is of the same run.

    Raises:
        RunFolderError: the folder holds something else.
    """
    if folder.has("run.json"):
        _same_run(folder, key)
        folder.mend()
    else:
        others = [p.name for p in folder.path.iterdir() if not p.name.startswith(".")]
        if others:
            raise RunFolderError(
                f"{folder.path} is not empty and holds no run (found {others[0]}). Name a new folder with --out."
            )
        folder.write("run.json", key)
    rule = ready.scenario.rule
    if not folder.has("rule.json"):
        folder.write("rule.json", StoredRule(rule, rule.digest))
    if not folder.has("cases.jsonl"):
        folder.write_lines("cases.jsonl", ready.scenario.cases)
    if not folder.has("plan.json"):
        folder.write("plan.json", ready.plan)


def _same_run(folder: RunFolder, key: RunKey) -> None:
    old = folder.key()
    if old.key == key.key:
        return
    changed = [name for name in key.parts if old.parts.get(name) != key.parts[name]]
    raise RunFolderError(
        f"{folder.path} holds another run: {', '.join(changed) or 'its key'} changed since it began. Name a new folder "
        "with --out, or put back what was changed."
    )


def _answer_everything(folder: RunFolder, ready: Prepared, *, options: RunOptions, watcher: Watcher) -> bool:
    """Prepare, answer, measure and time all arms; whether answers came from the cache of earlier runs."""
    watcher.stage("load", ready.plan.model)
    with provenance.watched_memory() as memory:
        bench = build_bench(
            ready.scenario,
            model=ready.engine.model,
            embedder=ready.embedder,
            folder=folder,
            options=options,
            watcher=watcher,
        )
        bench = replace(bench, tuner=ready.engine.tuner(folder.path, quick=options.quick, seed=ready.scenario.seed))
        _write_setup(folder, bench, ready, options)
        recipes, failed = _prepare_arms(folder, bench, ready.places.arms, watcher)
        folder.write("left_out.json", (*ready.places.left_out, *failed))
        for recipe in recipes.values():
            with ready.engine.adapted(_adapter(folder, recipe)):
                _answer_arm(folder, bench, recipe, watcher=watcher)
        folder.write_lines("measurements.jsonl", measurements(folder, embedder=ready.embedder))
        _time_arms(folder, bench, recipes, engine=ready.engine, watcher=watcher)
    folder.write("provenance.json", replace(folder.provenance(), peak_memory_mb=round(memory.mb, 1)))
    return bench.cache.hits > 0


def _prepare_arms(
    folder: RunFolder, bench: Bench, names: Sequence[str], watcher: Watcher
) -> tuple[dict[str, Recipe], list[LeftOut]]:
    """Each arm's recipe, from the folder where it is there; an arm that cannot be prepared is left out, with why."""
    recipes: dict[str, Recipe] = {}
    failed: list[LeftOut] = []
    for name in names:
        kept = folder.recipe(name)
        if kept is None or not _adapter_is_whole(folder, kept):
            watcher.stage(f"prepare {name}")
            made = _prepared_arm(folder, bench, name)
            if isinstance(made, Exception):
                failed.append(LeftOut(name, f"it could not be prepared: {said(made)}"))
                continue
            folder.write(f"recipes/{name}.json", made)
            kept = made
        recipes[name] = kept
    return recipes, failed


def _adapter_is_whole(folder: RunFolder, recipe: Recipe) -> bool:
    """Whether the adapter that a recipe names is there as it was trained (or the recipe names none)."""
    path = _adapter(folder, recipe)
    if path is None:
        return True
    weights = path / "adapter_model.safetensors"
    return weights.is_file() and file_digest(weights) == recipe.adapter_digest


def _prepared_arm(folder: RunFolder, bench: Bench, name: str) -> Recipe | Exception:
    start = time.perf_counter()
    with provenance.watched_memory() as memory:
        made = attempt(lambda: arm(name).prepare(bench))
    folder.append("usage.jsonl", [Usage(name, "prepare", time.perf_counter() - start, round(memory.mb, 1))])
    return made


def _adapter(folder: RunFolder, recipe: Recipe) -> Path | None:
    return folder.path / recipe.adapter if recipe.adapter else None


def _answer_arm(folder: RunFolder, bench: Bench, recipe: Recipe, *, watcher: Watcher) -> None:
    cases = bench.scenario.cases
    done = folder.predictions().get(recipe.arm, {})
    if len(done) == len(cases):
        return
    watcher.stage(f"answer {recipe.arm}")
    running = _RunningScore(bench.scenario)
    watcher.progress(len(done), len(cases))
    known, start, count = set(folder.passages()), time.perf_counter(), len(done)
    with provenance.watched_memory() as memory:
        for batch in answer_cases(arm(recipe.arm), recipe, cases, bench=bench, done=frozenset(done)):
            folder.append("passages.jsonl", [p for p in batch.passages if p.id not in known])
            known.update(p.id for p in batch.passages)
            folder.append("predictions.jsonl", batch.predictions)
            count += len(batch.predictions)
            watcher.progress(
                count, len(cases), score=running.with_batch([(p.case_id, p.text) for p in batch.predictions])
            )
    folder.append("usage.jsonl", [Usage(recipe.arm, "answer", time.perf_counter() - start, round(memory.mb, 1))])


class _RunningScore:
    """The mean of the rule's metric over what has been answered so far, to look at while waiting."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._cases = {case.id: case for case in scenario.cases}
        self._score = metric_named(scenario.rule.metric).score
        self._values: list[float] = []

    def with_batch(self, answers: Sequence[tuple[str, str]]) -> float | None:
        """The mean with these (case id, text) added."""
        if self._score is None:
            return None
        for case_id, text in answers:
            answer = parse_answer(text, kind=self._scenario.kind, labels=self._scenario.labels)
            self._values.append(self._score(answer, self._cases[case_id].accepted) if answer else 0.0)
        return sum(self._values) / len(self._values) if self._values else None


def _time_arms(
    folder: RunFolder, bench: Bench, recipes: dict[str, Recipe], *, engine: Engine, watcher: Watcher
) -> None:
    """Two rounds over the arms, half of the timed cases in each, so that a machine's drift hits all alike."""
    if folder.has("latency.jsonl"):
        return
    watcher.stage("latency", "one request at a time")
    cases = latency_cases(bench.scenario.cases, quick=bench.quick)
    samples = []
    rounds = [cases[::2], cases[1::2]]
    for number, part in enumerate(rounds):
        for place, recipe in enumerate(recipes.values()):
            watcher.progress(number * len(recipes) + place, len(rounds) * len(recipes))
            with engine.adapted(_adapter(folder, recipe)):
                timed = attempt(lambda r=recipe, p=part: list(timed_arm(arm(r.arm), r, p, bench=bench)))  # type: ignore[misc]
            samples += [] if isinstance(timed, Exception) else timed
    folder.write_lines("latency.jsonl", samples)


def _write_setup(folder: RunFolder, bench: Bench, ready: Prepared, options: RunOptions) -> None:
    scenario = bench.scenario
    folder.write(
        "scenario.json",
        StoredScenario(
            name=scenario.name,
            kind=scenario.kind.value,
            instruction=scenario.instruction,
            labels=scenario.labels,
            keys=scenario.keys,
            arms=ready.places.arms,
            eval_cases=len(scenario.cases),
            train_examples=len(bench.train),
            dev_examples=len(bench.dev),
            documents=len(scenario.documents),
            max_new_tokens=bench.max_new_tokens,
            framing=bench.framing.value,
            seed=scenario.seed,
            inferred=scenario.inferred,
            warnings=tuple(str(w) for w in scenario.warnings),
            removed=scenario.removed,
            quick=options.quick,
        ),
    )
    if not folder.has("provenance.json"):
        folder.write("provenance.json", _provenance(bench, ready, options))


def _provenance(bench: Bench, ready: Prepared, options: RunOptions) -> Provenance:
    from harness.models.device import machine

    here, model = machine(), bench.model.description
    return Provenance(
        started=provenance.now(),
        command=options.command,
        versions=provenance.versions(),
        python=provenance.python_version(),
        platform=provenance.system(),
        device=f"{here.device} ({here.device_name})",
        dtype=model.dtype,
        threads=here.threads,
        cores=here.cores,
        load_average=provenance.load_average(),
        memory_total_mb=here.memory_mb,
        model=model.name,
        model_digest=model.digest,
        embedder=ready.embedder.name if ready.embedder else "",
        embedder_digest=ready.embedder.digest if ready.embedder else "",
        seed=bench.seed,
        git_revision=provenance.git_revision(bench.scenario.folder),
        input_digests=dict(bench.scenario.digests),
        code_digest=provenance.code_digest(),
    )


def _note_duration(folder: RunFolder, seconds: float) -> None:
    known = folder.provenance()
    folder.write("provenance.json", replace(known, seconds=round(known.seconds + seconds, 1)))


def _machine_key(engine: Engine) -> str:
    return f"{engine.identity.digest[:16]}-{os.cpu_count()}cpu"


__all__ = ["Finished", "Prepared", "prepare", "run", "run_key", "run_prepared", "taking_part"]
