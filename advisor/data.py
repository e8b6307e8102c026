"""The user's own data read as answers: what `advise --data DIR` measures.

A folder that lacks an eval set, training rows or documents is usual at this stage; what is there is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from advisor.errors import UserError
from advisor.records import Answer, Source
from harness.audit.measured import DataFacts, measure
from harness.documents import read_documents
from harness.errors import InputProblems
from harness.scenario import DecisionRule, Kind, Problem, Scenario
from harness.scenario_file.place import TABLES, init_command, locate
from harness.scenario_file.read import read_scenario
from harness.scenario_file.rows import Rows, read_rows
from harness.scenario_file.settle import settle
from harness.scenario_file.toml_file import Settings, read_settings


@dataclass(frozen=True, slots=True)
class DataReading:
    """What a folder of data says."""

    facts: DataFacts
    answers: tuple[Answer, ...]
    """Each from `Source.DATA`, with what was counted as its note."""
    warnings: tuple[str, ...]
    """What is missing or odd in the folder, a sentence each."""
    scenario: Scenario | None
    """What a bake-off would be run on; without cases where there is no eval file, None where there is no row at all."""


def measured_answers(folder: Path) -> DataReading:
    """Measure a folder, or the folder of a `scenario.toml`.

    UserError: nothing to measure there, or problems in the files, all of them listed.
    """
    try:
        home, toml = locate(folder)
        settings, faults = read_settings(toml) if toml else (Settings(), ())
        name = settings.files.eval or "eval.jsonl"
        whole = settings.files.eval is not None or (home / name).exists()
        scenario = read_scenario(folder) if whole else _part(home, settings, faults)
    except InputProblems as found:
        raise UserError(_listed(folder, found.problems)) from None
    except OSError as error:  # a folder that may not be entered
        raise UserError(f"{folder} cannot be read ({error.strerror or error})") from None
    facts, measured = measure(scenario)
    return DataReading(
        facts=facts,
        answers=tuple(Answer(one.key, one.value, Source.DATA, one.because) for one in measured),
        warnings=(*_oddities(scenario), *_lacking(scenario, home)),
        scenario=scenario if scenario.cases or scenario.train else None,
    )


def _part(home: Path, settings: Settings, faults: Iterable[Problem]) -> Scenario:
    """Read a folder without an eval file. Raises InputProblems, or UserError where it holds nothing else either."""
    name = settings.files.train or "train.jsonl"
    is_there = (home / name).exists()
    rows = read_rows(home / name, name=name, prefix="train") if is_there else Rows()
    documents, unread = read_documents(home, corpus=settings.files.corpus or "")
    problems = (*rows.problems, *unread, *faults)
    if settings.files.train and not is_there:
        problems = (*problems, Problem("error", f"there is no {name} in {home}; bring it or correct the name", name))
    if any(problem.level == "error" for problem in problems):
        raise InputProblems(problems)
    if not rows.cases and not documents:
        raise UserError(_nothing(home))
    scenario = _of_rows(home, settings, rows) if rows.cases else _without_rows(home, settings)
    return replace(
        scenario,
        documents=documents,
        train_file=name,
        corpus=settings.files.corpus or "",
        warnings=(*problems, *scenario.warnings),
    )


def _of_rows(home: Path, settings: Settings, rows: Rows) -> Scenario:
    settled = settle(settings, rows.cases, ())
    return replace(
        _without_rows(home, settings),
        kind=settled.kind,
        instruction=settled.instruction,
        rule=settled.rule,
        train=tuple(rows.cases),
        labels=settled.labels,
        keys=settled.keys,
        inferred=settled.inferred,
    )


def _without_rows(home: Path, settings: Settings) -> Scenario:
    """A scenario that only its settings are known of; without a row its kind and rule are never looked at."""
    return Scenario(
        name=settings.name or home.resolve().name,
        folder=home,
        kind=settings.kind or Kind.FREE_TEXT,
        instruction=settings.instruction or "",
        cases=(),
        rule=DecisionRule("chrf", 0.03),
        arms=settings.arms or (),
        max_new_tokens=settings.max_new_tokens,
        seed=settings.seed or 0,
        model=settings.model,
        embedder=settings.embedder,
    )


def _oddities(scenario: Scenario) -> Iterator[str]:
    """Warnings on files; those without a file are about running a bake-off."""
    return (str(problem) for problem in scenario.warnings if problem.file)


def _lacking(scenario: Scenario, home: Path) -> Iterator[str]:
    if not scenario.cases:
        yield f"no {scenario.eval_file} in {home}: keep some examples aside, or no advice can be put to the test"
    if not scenario.train:
        yield f"no {scenario.train_file} in {home}: how many examples there are to learn from was not measured"
    if not scenario.documents:
        yield f"no corpus.jsonl and no corpus/ in {home}: whether documents hold the facts was not measured"


def _listed(folder: Path, problems: Iterable[Problem]) -> str:
    """Errors first: they have to be mended."""
    ordered = sorted(problems, key=lambda problem: problem.level != "error")
    return "\n".join([f"the data in {folder} cannot be used yet:", *(f"  {problem}" for problem in ordered)])


def _nothing(home: Path) -> str:
    looked_for = (
        "eval.jsonl (cases to judge by), train.jsonl (examples to learn from), corpus.jsonl or corpus/ (documents)"
    )
    text = f"there is nothing to measure in {home}; looked for are {looked_for}"
    tables = sorted(path for path in home.iterdir() if path.suffix.lower() in TABLES and not path.name.startswith("."))
    return f"{text}. {init_command(tables[0])} makes them of a table" if tables else text
