"""A folder or a `scenario.toml` -> `Scenario`, or every problem in the files at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.documents import read_documents
from harness.errors import InputProblems
from harness.given import CannotRead, refuse_odd_file
from harness.scenario import (
    EXPERIMENTS,
    REQUEST_SECONDS,
    USUAL_BUDGET,
    Document,
    Experiments,
    Inference,
    Kind,
    Problem,
    Scenario,
)
from harness.scenario_file.budget import error_budget
from harness.scenario_file.endpoint import NO_ENDPOINT, EndpointSettings, endpoint_problems, endpoint_wish, laid_over
from harness.scenario_file.fit import metric_problem, row_problems
from harness.scenario_file.infer import KNOWN_METRICS
from harness.scenario_file.later import LABELS, PARAPHRASES, SCHEMA, Later, read_later
from harness.scenario_file.limits import draw, draw_stratified
from harness.scenario_file.place import locate, missing_file
from harness.scenario_file.rows import Rows, read_rows
from harness.scenario_file.settle import Settled, settle
from harness.scenario_file.toml_file import (
    KNOWN_ARMS,
    ExperimentSettings,
    Settings,
    arm_fault,
    did_you_mean,
    line_of,
    read_settings,
)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What was said on the command line; it wins over `scenario.toml`, which wins over what is inferred."""

    instruction: str | None = None
    model: str | None = None
    embedder: str | None = None
    arms: tuple[str, ...] | None = None
    seed: int | None = None
    eval_limit: int | None = None
    """Most eval cases to keep, 1 or more."""
    train_limit: int | None = None
    """Most training rows to keep, 0 or more."""
    experiments: tuple[str, ...] = ()
    """Experiments switched on, beside those that `scenario.toml` names."""
    seeds: int | None = None
    """Training seeds of every tuned arm."""
    stop_early: bool = False
    endpoint: EndpointSettings = NO_ENDPOINT
    """Settings of `[endpoint]`."""


NO_OVERRIDES = Overrides()


@dataclass(frozen=True, slots=True)
class _Files:
    """Everything read from disk, not judged yet."""

    folder: Path
    toml: Path | None
    settings: Settings
    eval: Rows
    train: Rows
    documents: Sequence[Document]
    later: Later
    problems: tuple[Problem, ...]
    """All problems of all files: eval, train, documents, settings."""

    @property
    def eval_file(self) -> str:
        return self.settings.files.eval or "eval.jsonl"

    @property
    def train_file(self) -> str:
        return self.settings.files.train or "train.jsonl"


def read_scenario(
    path: Path,
    *,
    overrides: Overrides = NO_OVERRIDES,
    known_arms: Iterable[str] = KNOWN_ARMS,
    known_metrics: Mapping[Kind, tuple[str, ...]] = KNOWN_METRICS,
) -> Scenario:
    """Read a folder, or the folder of a `scenario.toml`, and settle what was not said.

    Raises InputProblems with every error found (and after them the warnings) where there is at least one error.
    Without errors the warnings are in `Scenario.warnings`.
    """
    found = read_what_is_readable(path, overrides=overrides, known_arms=known_arms, known_metrics=known_metrics)
    if found.scenario is None or any(problem.level == "error" for problem in found.problems):
        raise InputProblems(_errors_first(found.problems))
    return found.scenario


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read, and everything that is wrong."""

    scenario: Scenario | None
    """Made of the rows without errors; None where there is not one eval case."""
    problems: tuple[Problem, ...]


def read_what_is_readable(
    path: Path,
    *,
    overrides: Overrides = NO_OVERRIDES,
    known_arms: Iterable[str] = KNOWN_ARMS,
    known_metrics: Mapping[Kind, tuple[str, ...]] = KNOWN_METRICS,
) -> Reading:
    """Like `read_scenario`, but rows with errors are passed over, so that the others can be audited all the same.

    Raises InputProblems only where `path` names no scenario at all.
    """
    arms = tuple(known_arms)
    files = _read_files(path, known_arms=arms)
    problems = [*files.problems, *_override_problems(overrides, known_arms=arms)]
    if not files.eval.cases:
        return Reading(None, tuple(problems))
    settings = _merged(files.settings, overrides)
    settled = settle(settings, files.train.cases, files.eval.cases)
    problems += row_problems(files.eval.cases, settled, name=files.eval_file, settings=settings)
    problems += row_problems(files.train.cases, settled, name=files.train_file, settings=settings)
    problems += metric_problem(settings, settled.kind, toml=files.toml, known_metrics=known_metrics)
    problems += _margin_problems(settings, toml=files.toml)
    problems += endpoint_problems(settings.endpoint, model=settings.model)
    problems += _sweep_problems(settings, toml=files.toml)
    problems += _judge_problems(settings, toml=files.toml)
    problems += _processes_problems(settings, toml=files.toml)
    scenario = _scenario(files, settings, settled=settled, warnings=(*problems, *settled.warnings))
    return Reading(_cut(scenario, overrides), tuple(problems))


def _judge_problems(settings: Settings, *, toml: Path | None) -> Iterator[Problem]:
    """What is missing for a judge at an endpoint."""
    judge, name = settings.judge, toml.name if toml else "[judge]"
    if judge.endpoint and not judge.model:
        yield Problem("error", '[judge] names an endpoint and no model; add model = "...", its name there', name)
    if judge.max_cost is not None and None in (judge.price_in, judge.price_out):
        message = "[judge] max_cost needs price_in and price_out, what a million tokens cost there"
        yield Problem("error", message, name)
    if not judge.endpoint and (judge.price_in, judge.price_out, judge.max_cost) != (None, None, None):
        message = '[judge] names prices or max_cost and no endpoint; add endpoint = "...", or take them out'
        yield Problem("error", message, name)


def _sweep_problems(settings: Settings, *, toml: Path | None) -> Iterator[Problem]:
    """What is settled is not searched for."""
    wish = settings.tuning
    if wish.sweep and (wish.rank or wish.learning_rate):
        message = "a sweep searches rank and learning rate: take those lines out, or the sweep"
        yield Problem("error", message, toml.name if toml else "[tuning]")


def _processes_problems(settings: Settings, *, toml: Path | None) -> Iterator[Problem]:
    """What one process alone can do."""
    wish = settings.tuning
    alone = {"bits = 4": wish.bits, "a sweep": wish.sweep}
    for name in (name for name, value in alone.items() if value and wish.processes not in (None, 1)):
        message = f"{name} is for one process: take that line out, or the line with processes"
        yield Problem("error", message, toml.name if toml else "[tuning]")


def _margin_problems(settings: Settings, *, toml: Path | None) -> Iterator[Problem]:
    """A margin that pays has to be worked out first."""
    known = settings.advice is not None and settings.advice.margin_that_pays is not None
    if settings.rule.margin == "pays" and not known and toml is not None:
        said = (
            'margin = "pays" is the gain that advise works out, and there is none under [advice]: run `advise --data '
            "DIR --error-cost AMOUNT`, or give a number"
        )
        text = toml.read_text(encoding="utf-8", errors="replace")
        yield Problem("error", said, toml.name, line_of(text, "margin", table="rule"))


def _read_files(path: Path, *, known_arms: tuple[str, ...]) -> _Files:
    folder, toml = locate(path)
    settings, problems = read_settings(toml, known_arms=known_arms) if toml else (Settings(), ())
    named = settings.files
    cases = _read_rows(folder, named.eval or "eval.jsonl", prefix="eval", needed=True, hold=False)
    train = _read_rows(folder, named.train or "train.jsonl", prefix="train", needed=named.train is not None, hold=True)
    documents, unread = read_documents(folder, corpus=named.corpus or "")
    later = read_later(folder, cases.cases)
    return _Files(
        folder=folder,
        toml=toml,
        settings=settings,
        eval=cases,
        train=train,
        documents=documents,
        later=later,
        problems=(*cases.problems, *train.problems, *unread, *problems, *later.problems),
    )


def _read_rows(folder: Path, name: str, *, prefix: str, needed: bool, hold: bool) -> Rows:
    path = folder / name
    try:
        refuse_odd_file(path)
        if path.exists():
            return read_rows(path, name=name, prefix=prefix, hold=hold)
        return Rows((), (missing_file(folder, name),)) if needed else Rows()
    except CannotRead as error:
        return Rows((), (Problem("error", f"the file {error}", name),))
    except OSError as error:  # a folder that may not be entered
        return Rows((), (Problem("error", f"the file cannot be read ({error.strerror or error})", name),))


def _errors_first(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: problem.level != "error")


def _override_problems(overrides: Overrides, *, known_arms: tuple[str, ...]) -> Iterator[Problem]:
    for name in overrides.experiments:
        if name not in EXPERIMENTS:
            said = f"there is no experiment {name!r}{did_you_mean(name, EXPERIMENTS)}"
            yield Problem("error", said, "--experiments")
    fault = arm_fault(overrides.arms or (), known_arms=known_arms)
    if fault:
        yield Problem("error", fault, "--arms")
    if overrides.instruction is not None and not overrides.instruction.strip():
        yield Problem("error", "the instruction is empty; write a text, or leave the option out", "--instruction")
    for option, value, low in (
        ("--eval-limit", overrides.eval_limit, 1),
        ("--train-limit", overrides.train_limit, 0),
        ("--seed", overrides.seed, 0),
        ("--seeds", overrides.seeds, 1),
    ):
        if value is not None and value < low:
            yield Problem("error", f"must be a whole number, {low} or more; got {value}", option)


def _merged(settings: Settings, overrides: Overrides) -> Settings:
    """Lay what the command line says over what the file says."""
    return replace(
        settings,
        instruction=overrides.instruction or settings.instruction,
        model=overrides.model or settings.model,
        embedder=overrides.embedder or settings.embedder,
        arms=overrides.arms or settings.arms,
        seed=settings.seed if overrides.seed is None else overrides.seed,
        experiments=_asked_for(settings.experiments, overrides),
        endpoint=laid_over(settings.endpoint, overrides.endpoint, model=overrides.model),
    )


def _asked_for(said: ExperimentSettings, overrides: Overrides) -> ExperimentSettings:
    """What the file switches on, and what the command line adds."""
    on = {name: True for name in overrides.experiments if name in EXPERIMENTS}
    more = ExperimentSettings(**{name: getattr(said, name) for name in said.__dataclass_fields__} | on)
    return replace(more, seeds=overrides.seeds or said.seeds, stop_early=overrides.stop_early or said.stop_early)


def _scenario(files: _Files, settings: Settings, *, settled: Settled, warnings: tuple[Problem, ...]) -> Scenario:
    return Scenario(
        name=settings.name or files.folder.resolve().name,
        folder=files.folder,
        kind=settled.kind,
        instruction=settled.instruction,
        cases=files.eval.cases,
        rule=settled.rule,
        train=tuple(files.train.cases),
        documents=files.documents,
        labels=settled.labels,
        keys=settled.keys,
        held_to_labels=settings.held_to_labels and settled.kind is Kind.LABELS,
        arms=settings.arms or (),
        max_new_tokens=settings.max_new_tokens,
        max_errors=error_budget(settings.max_errors) or USUAL_BUDGET,
        request_seconds=settings.request_seconds or REQUEST_SECONDS,
        held_to_schema=settings.held_to_schema and settled.kind is Kind.JSON,
        schema=files.later.schema,
        repair=settings.repair,
        tuning=settings.tuning,
        experiments=_experiments(settings),
        after=files.later.after,
        rewordings=files.later.rewordings,
        human_labels=files.later.human_labels,
        criteria=settings.criteria,
        seed=settings.seed or 0,
        model=settings.model,
        endpoint=endpoint_wish(settings.endpoint, model=settings.model),
        embedder=settings.embedder,
        reranker=settings.reranker,
        vector_store=settings.vector_store,
        inferred=settled.inferred,
        warnings=warnings,
        digests=tuple(_digests(files)),
        eval_file=files.eval_file,
        train_file=files.train_file,
        corpus=settings.files.corpus or "",
        advice=settings.advice,
    )


def _experiments(settings: Settings) -> Experiments:
    said = settings.experiments
    usual = Experiments()
    seeds = said.seeds
    if settings.endpoint is not None:  # there each training costs money, so more than one is asked for by name
        seeds = (said.seeds or 1) if settings.endpoint.fine_tuning is not None else 1
    return Experiments(seeds, said.run, said.cases or usual.cases, said.stop_early, settings.judge)


def _digests(files: _Files) -> Iterator[tuple[str, str]]:
    names = [files.eval_file, files.train_file, *dict.fromkeys(document.source for document in files.documents)]
    names += [files.toml.name] if files.toml else []
    names += [name for name in (PARAPHRASES, LABELS, SCHEMA) if (files.folder / name).is_file()]
    names += sorted(p.relative_to(files.folder).as_posix() for p in files.folder.glob("after/**/*") if p.is_file())
    for name in names:
        path = files.folder / name
        if path.is_file():
            with path.open("rb") as stream:
                yield name, hashlib.file_digest(stream, "sha256").hexdigest()


def _cut(scenario: Scenario, overrides: Overrides) -> Scenario:
    """Keep as many rows as the limits allow, and say so."""
    cases, train, seed = scenario.cases, scenario.train, scenario.seed
    said: list[Inference] = []
    if overrides.eval_limit is not None and overrides.eval_limit < len(cases):
        cases = draw(cases, overrides.eval_limit, seed=seed)
        said.append(_cut_note("eval", len(cases), len(scenario.cases), f"drawn at random with seed {seed}"))
    if overrides.train_limit is not None and overrides.train_limit < len(train):
        by_label = scenario.kind is Kind.LABELS
        train = (draw_stratified if by_label else draw)(train, overrides.train_limit, seed=seed)
        how = f"drawn at random with seed {seed}{', each label kept where it can be' if by_label else ''}"
        said.append(_cut_note("train", len(train), len(scenario.train), how))
    return replace(scenario, cases=cases, train=train, inferred=(*scenario.inferred, *said))


def _cut_note(side: str, kept: int, n: int, how: str) -> Inference:
    return Inference(f"{side} rows", f"{kept} of {n}", f"--{side}-limit {kept}: {how}", f"leave --{side}-limit out")
