"""The bake-off, top to bottom: read, audit, plan, prepare on dev, answer, time, decide, report."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from harness import provenance
from harness.arms.bench import Bench
from harness.arms.registry import arm, registered
from harness.engines.adapters import is_whole
from harness.engines.answering import answer_cases
from harness.engines.endpoint import engine_of
from harness.engines.fine_tuning import forget_failed
from harness.engines.local import Engine, LocalEngine, held_in
from harness.engines.vllm import answering_by_vllm
from harness.errors import RunFolderError, UserError, stop_where_short
from harness.experiment import remember
from harness.experiment.again import note_finished, take_over
from harness.experiment.ahead import ask_ahead
from harness.experiment.budget import OverBudget, Tally, keep_over_budget, over_budget
from harness.experiment.cautions import LOOKS
from harness.experiment.early import Looker, can_stop, saving, shards, without
from harness.experiment.experiments import pending, run_experiments
from harness.experiment.finish import finish, unanswered
from harness.experiment.folder import begin, folder_for, run_key
from harness.experiment.latency import latency_cases, timed_arm
from harness.experiment.lock import changes_since_first_look, earlier_looks, runs_on_these_cases
from harness.experiment.measure import measurements
from harness.experiment.options import RunOptions, Silent, Watcher
from harness.experiment.paid import paid
from harness.experiment.plan import make_plan, remember_duration
from harness.experiment.prepared import Prepared
from harness.experiment.probes.base import Ground
from harness.experiment.probes.seeds import seeds_wanted
from harness.experiment.resources import Needs, fit_sentence, fits_here, refuse_without_disk, room, too_little
from harness.experiment.retry import folder_to_retry, kept, to_retry
from harness.experiment.score import largest_group
from harness.experiment.setup import audited, build_bench, embedder_for, lineup
from harness.experiment.setup_record import write_setup
from harness.generation.isolation import attempt, said
from harness.metrics.answer import parse_answer
from harness.metrics.registry import deciding_metrics, metric_named
from harness.records import CONTROL, LeftOut, Recipe, Stopped, Usage, Verdict
from harness.retrieval.embed import Embedder, SentenceEmbedder
from harness.scenario import Case, Scenario
from harness.scenario_file.read import read_scenario
from harness.store import RunFolder, RunKey

EngineFor = Callable[[str | None], Engine]
EmbedderFor = Callable[[str | None], Embedder]


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has its verdict."""

    folder: RunFolder
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Opened:
    """A run whose folder is begun and held."""

    folder: RunFolder
    resumed: bool
    """Answers were there already."""
    settled: bool
    """Nothing is left to be answered: only the verdict is drawn."""


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
    engine = engine_of(scenario) or held_in(engine_for(scenario.model), scenario.tuning.bits)
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
    taken = Needs(plan.memory_mb, plan.disk_mb, plan.cache_mb)
    short = too_little(taken, room(options.out or options.runs_folder))
    fitting = fits_here(engine, scenario, places.arms)
    large = [fit_sentence(fit) for fit in fitting if not fit.fits]
    plan = replace(plan, warnings=(*large, *short, *plan.warnings), fits=fitting)
    return Prepared(scenario, places, plan, answering_by_vllm(engine), embedder)


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
    with opened(ready, options=options, watcher=watcher) as begun:
        finished = complete(begun, ready, options=options, watcher=watcher)
    return remembered(finished, options=options, watcher=watcher)


def remembered(finished: Finished, *, options: RunOptions, watcher: Watcher) -> Finished:
    """The same run, its verdict kept for later advice where that is wanted."""
    if options.remember and remember.wanted() and not finished.verdict.exploratory:
        trouble = remember.remember(finished.folder)
        if trouble:
            watcher.note(trouble)
    return finished


def _folder_for(key: RunKey, ready: Prepared, options: RunOptions) -> RunFolder:
    """The folder of this run, with room for what is still to come.

    Raises:
        UserError: it is a file, there is no run to retry in it, or its disk is too full.
    """
    folder = folder_to_retry(key, options) if options.retry_errors else folder_for(key, ready.scenario, options)
    if folder.path.exists() and not folder.path.is_dir():
        raise RunFolderError(f"{folder.path} is a file; --out must name a folder, new or of the same run.")
    if not folder.has("verdict.json"):
        refuse_without_disk(folder.path, disk_mb=ready.plan.disk_mb)
    return folder


@contextlib.contextmanager
def opened(ready: Prepared, *, options: RunOptions, watcher: Watcher) -> Iterator[Opened]:
    """Begin a run, or go on with one; its folder is held for writing meanwhile.

    Raises:
        UserError: the folder cannot be used, or what decides was changed.
    """
    key = run_key(ready, options)
    folder = _folder_for(key, ready, options)
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.locked():
        others = runs_on_these_cases(ready, folder, options)
        changed = changes_since_first_look(ready, others, options)
        begin(folder, key, ready)
        if changed:
            folder.write("exploratory.json", changed)
        if not folder.has(LOOKS):
            folder.write(LOOKS, earlier_looks(others, key=key.key))
        seen = folder.has("verdict.json") and unanswered(folder) == 0
        if seen and folder.scenario().criteria != ready.scenario.criteria:
            folder.write("scenario.json", replace(folder.scenario(), criteria=ready.scenario.criteria))
        retry = options.retry_errors and (not seen or to_retry(folder))
        if seen and not retry and not pending(folder, ready, options):
            nothing = "Nothing failed" if options.retry_errors else "Everything is answered already"
            watcher.note(f"{nothing} in {folder.path}; the verdict is drawn again from it.")
            yield Opened(folder, resumed=True, settled=True)
            return
        resumed = folder.has("predictions.jsonl")
        if options.use_cache and not resumed:
            other = take_over(folder, ready, command=options.command)
            if other:
                watcher.note(
                    f"The same run was made before ({other}): its answers are used; --no-cache makes new ones."
                )
                resumed = True
                if not pending(folder, ready, options):
                    yield Opened(folder, resumed=True, settled=True)
                    return
        yield Opened(folder, resumed, settled=False)


def look_back(begun: Opened, ready: Prepared, options: RunOptions) -> None:
    """Look once more for verdicts on these cases: runs that were begun together do not know of each other's.

    Raises:
        RuleChanged: what decides is not what it was in such a run.
    """
    folder = begun.folder
    if begun.resumed:
        return
    drawn = [one for one in runs_on_these_cases(ready, folder, options) if one.has("verdict.json")]
    changed = changes_since_first_look(ready, drawn, options)
    if changed:
        folder.write("exploratory.json", changed)
    folder.write(LOOKS, earlier_looks(drawn, key=folder.key().key))


def complete(begun: Opened, ready: Prepared, *, options: RunOptions, watcher: Watcher) -> Finished:
    """Answer, measure and time what is open, and draw the verdict."""
    folder = begun.folder
    if begun.settled:
        return Finished(folder, finish(folder))
    start = time.perf_counter()
    if options.retry_errors:
        forget_failed(folder)
    with paid(ready, folder, watcher):
        cached = _answer_everything(folder, ready, options=options, watcher=watcher)
    seconds = time.perf_counter() - start
    watcher.stage("verdict")
    note_duration(folder, seconds)
    batched = ready.scenario.endpoint is not None and ready.scenario.endpoint.batch  # waiting tells nothing of speed
    if not (begun.resumed or cached or batched):
        remember_duration(_machine_key(ready.engine), planned_minutes=ready.plan.minutes, took_minutes=seconds / 60)
    finished = Finished(folder, finish(folder))
    note_finished(folder)
    return finished


def _answer_everything(folder: RunFolder, ready: Prepared, *, options: RunOptions, watcher: Watcher) -> bool:
    """Prepare, answer, measure and time all arms; whether answers came from the cache of earlier runs."""
    watcher.stage("load")
    with provenance.watched_memory() as memory:
        bench = build_bench(
            ready.scenario,
            model=ready.engine.model,
            embedder=ready.embedder,
            folder=folder,
            options=options,
            watcher=watcher,
        )
        scenario = ready.scenario
        tuner = ready.engine.tuner(
            folder.path, quick=options.quick, seed=scenario.seed, wish=scenario.tuning, use_cache=options.use_cache
        )
        bench = replace(bench, tuner=tuner)
        write_setup(folder, bench, ready, options)
        recipes, failed = _prepare_arms(folder, bench, ready.places.arms, watcher)
        out = (*ready.places.left_out, *failed)
        over = {} if options.retry_errors else over_budget(folder)
        folder.write("left_out.json", (*out, *(one.left_out for one in over.values())))
        ground = Ground(folder, bench, ready.engine, recipes, options, watcher)
        over = _answer_arms(ground, over)
        keep_over_budget(folder, over)
        folder.write("left_out.json", (*out, *(one.left_out for one in over.values())))
        folder.write_lines("measurements.jsonl", measurements(folder, embedder=ready.embedder))
        ground = _with_arms(ground, without_arms=over)
        _time_arms(ground)
        run_experiments(_with_arms(ground, without_arms={one.arm for one in folder.stopped() or ()}))
    peak = max(folder.provenance().peak_memory_mb, round(memory.mb, 1))
    folder.write("provenance.json", replace(folder.provenance(), peak_memory_mb=peak))
    return bench.cache.hits > 0


def _with_arms(ground: Ground, *, without_arms: Container[str]) -> Ground:
    """The same with fewer arms."""
    return replace(ground, recipes={name: one for name, one in ground.recipes.items() if name not in without_arms})


def _prepare_arms(
    folder: RunFolder, bench: Bench, names: Sequence[str], watcher: Watcher
) -> tuple[dict[str, Recipe], list[LeftOut]]:
    """Each arm's recipe, from the folder where it is there; an arm that cannot be prepared is left out, with why."""
    recipes: dict[str, Recipe] = {}
    failed: list[LeftOut] = []
    for name in names:
        kept = folder.recipe(name)
        if kept is None or not is_whole(folder.path, kept):
            watcher.stage(f"prepare {name}")
            made = _prepared_arm(folder, bench, name)
            if isinstance(made, Exception):
                failed.append(LeftOut(name, f"it could not be prepared: {said(made)}"))
                continue
            folder.write(f"recipes/{name}.json", made)
            kept = made
        recipes[name] = kept
    return recipes, failed


def _prepared_arm(folder: RunFolder, bench: Bench, name: str) -> Recipe | Exception:
    start = time.perf_counter()
    with provenance.watched_memory() as memory:
        made = attempt(lambda: arm(name).prepare(bench))
    if isinstance(made, Exception):
        stop_where_short(made, f"while the arm {name} was prepared")
    folder.append("usage.jsonl", [Usage(name, "prepare", time.perf_counter() - start, round(memory.mb, 1))])
    return made


def _adapter(folder: RunFolder, recipe: Recipe) -> Path | None:
    return folder.path / recipe.adapter if recipe.adapter else None


def _answer_arms(ground: Ground, over: dict[str, OverBudget]) -> dict[str, OverBudget]:
    """Arm by arm; with early stopping shard by shard, arms that can no longer win left out of the next ones.

    Arms that are over their error budget are left out; they, and those that come to be, are returned.
    """
    folder, scenario, recipes = ground.folder, ground.scenario, ground.recipes
    early = scenario.experiments.stop_early
    parts = shards(scenario.cases, seed=scenario.seed) if early else [scenario.cases]
    seeds = seeds_wanted(scenario, quick=ground.bench.quick)
    arms = tuple(name for name, recipe in recipes.items() if can_stop(name, tuned=bool(recipe.adapter), seeds=seeds))
    looker = Looker(scenario.rule, scenario.kind, scenario.labels, arms, largest_group(scenario.cases))
    stopped: dict[str, Stopped] = {}
    over, seen = dict(over), list[Case]()
    for number, part in enumerate(parts, start=1):
        seen += part
        going_on = [one for one in recipes.values() if one.arm not in stopped and one.arm not in over]
        ask_ahead(ground, going_on, part, last=number == len(parts))
        for recipe in recipes.values():
            if recipe.arm not in stopped and recipe.arm not in over:
                with ground.engine.adapted(_adapter(folder, recipe)):
                    found = _answer_arm(ground, recipe, cases=part)
                over |= {recipe.arm: found} if found else {}
        if early and number < len(parts):
            working = {arm: found for arm, found in folder.predictions().items() if arm not in over}
            shown = looker.look(seen, without(working, stopped), of=len(scenario.cases))
            stopped |= {one.arm: saving(one, folder.usage()) for one in shown}
    if early:
        folder.write("stopped.json", tuple(stopped.values()))
    return over


def _answer_arm(ground: Ground, recipe: Recipe, *, cases: Sequence[Case]) -> OverBudget | None:
    """Answer what is open; what to say of the arm where it came to be over its error budget and was stopped."""
    folder, scenario, watcher = ground.folder, ground.scenario, ground.watcher
    known = kept(folder.predictions().get(recipe.arm, {}), retry=ground.options.retry_errors)
    done = frozenset(case.id for case in cases if case.id in known)
    if len(done) == len(cases):
        return None
    tally = Tally(recipe.arm, ground.options.max_errors or scenario.max_errors, of=len(scenario.cases))
    over = tally.count(known.values())
    if over is None:
        watcher.stage(f"answer {recipe.arm}")
        start = time.perf_counter()
        with provenance.watched_memory() as memory:
            over = _answer_batches(ground, recipe, cases, done=done, tally=tally)
        folder.append("usage.jsonl", [Usage(recipe.arm, "answer", time.perf_counter() - start, round(memory.mb, 1))])
    if over is not None:
        keep_over_budget(folder, over_budget(folder) | {recipe.arm: over})
        watcher.note(f"{recipe.arm} was {over.reason}. The run goes on without it.")
    return over


def _answer_batches(
    ground: Ground, recipe: Recipe, cases: Sequence[Case], *, done: frozenset[str], tally: Tally
) -> OverBudget | None:
    folder, bench, watcher = ground.folder, ground.bench, ground.watcher
    running = _RunningScore(bench.scenario)
    watcher.progress(len(done), len(cases))
    known, count, retry = set(folder.passages()), len(done), ground.options.retry_errors
    for batch in answer_cases(arm(recipe.arm), recipe, cases, bench=bench, done=done, alone=retry):
        folder.append("passages.jsonl", [p for p in batch.passages if p.id not in known])
        known.update(p.id for p in batch.passages)
        folder.append("predictions.jsonl", batch.predictions)
        count += len(batch.predictions)
        watcher.progress(count, len(cases), score=running.with_batch([(p.case_id, p.text) for p in batch.predictions]))
        over = tally.count(batch.predictions)
        if over is not None:
            return over
    return None


class _RunningScore:
    """The mean of the rule's metric over what has been answered so far, to look at while waiting."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._place = {case.id: place for place, case in enumerate(scenario.cases)}
        self._score = metric_named(scenario.rule.metric).score
        self._sum, self._count = 0.0, 0

    def with_batch(self, answers: Sequence[tuple[str, str]]) -> float | None:
        """The mean with these (case id, text) added."""
        if self._score is None:
            return None
        for case_id, text in answers:
            value = attempt(partial(self._value, case_id, text))
            self._sum += 0.0 if isinstance(value, Exception) else value
            self._count += 1
        return self._sum / self._count if self._count else None

    def _value(self, case_id: str, text: str) -> float:
        answer = parse_answer(text, kind=self._scenario.kind, labels=self._scenario.labels)
        return (
            self._score(answer, self._scenario.cases[self._place[case_id]].accepted) if answer and self._score else 0.0
        )


def _time_arms(ground: Ground) -> None:
    """Two rounds over the arms (one in quick mode), each with its share of the timed cases, so that a machine's drift
    hits all alike. Arms that came to take part by `--retry-errors` are timed after the others."""
    folder, bench, watcher = ground.folder, ground.bench, ground.watcher
    known = folder.latency()
    recipes = [recipe for recipe in ground.recipes.values() if recipe.arm not in {one.arm for one in known}]
    if not recipes or (folder.has("latency.jsonl") and not ground.options.retry_errors):
        return
    watcher.stage("latency")
    cases = latency_cases(bench.scenario.cases, quick=bench.quick)
    samples = list(known)
    rounds = [cases] if bench.quick else [cases[::2], cases[1::2]]
    for number, part in enumerate(rounds):
        for place, recipe in enumerate(recipes):
            watcher.progress(number * len(recipes) + place, len(rounds) * len(recipes))
            with ground.engine.adapted(_adapter(folder, recipe)):
                timed, failures = timed_arm(arm(recipe.arm), recipe, part, bench=bench)
            samples += timed
            if failures:
                watcher.note(f"{recipe.arm}: {len(failures)} timed requests failed, the first with {said(failures[0])}")
    folder.write_lines("latency.jsonl", samples)


def note_duration(folder: RunFolder, seconds: float) -> None:
    """Add to what the run took."""
    known = folder.provenance()
    folder.write("provenance.json", replace(known, seconds=round(known.seconds + seconds, 1)))


def _machine_key(engine: Engine) -> str:
    return f"{engine.identity.digest[:16]}-{os.cpu_count()}cpu"
