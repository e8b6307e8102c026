"""What experiments read beside eval, train and corpus.

`after/`, `paraphrases.jsonl`, `human_labels.jsonl` and `schema.json`, all of them optional. A row that names a case
that is not there is an error, because it would be left out in silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from harness.documents import read_documents
from harness.given import CannotRead, read_whole, refuse_odd_file
from harness.jsonl import JsonLine, json_lines
from harness.scenario import After, Case, HumanLabel, Problem, Rewording
from harness.scenario_file.rows import Rows, read_rows

AFTER, PARAPHRASES, LABELS, SCHEMA = "after", "paraphrases.jsonl", "human_labels.jsonl", "schema.json"
VERDICTS = ("first", "second", "tie")


@dataclass(frozen=True, slots=True)
class Later:
    """What these files hold."""

    after: After | None = None
    rewordings: tuple[Rewording, ...] = ()
    human_labels: tuple[HumanLabel, ...] = ()
    schema: str = ""
    problems: tuple[Problem, ...] = ()


def read_later(folder: Path, cases: Sequence[Case]) -> Later:
    """Read what is there; `cases` are the eval cases, before any limit."""
    asked = (folder / PARAPHRASES).exists() or (folder / LABELS).exists()
    known = frozenset(case.id for case in cases) if asked else frozenset[str]()
    after, wrong = _after(folder)
    reworded = list(_rewordings(folder / PARAPHRASES, known))
    labelled = list(_human_labels(folder / LABELS, known))
    schema, fault = _schema(folder / SCHEMA)
    problems = [*wrong, *(p for p in (*reworded, *labelled) if isinstance(p, Problem)), *fault]
    return Later(
        after,
        tuple(r for r in reworded if isinstance(r, Rewording)),
        tuple(r for r in labelled if isinstance(r, HumanLabel)),
        schema,
        tuple(problems),
    )


def _after(folder: Path) -> tuple[After | None, list[Problem]]:
    home = folder / AFTER
    if not home.is_dir():
        return None, []
    documents, problems = read_documents(home)
    cases = _rows(home, "eval.jsonl", prefix="after")
    train = _rows(home, "train.jsonl", prefix="update")
    found = [_placed(p) for p in (*problems, *cases.problems, *train.problems)]
    if not cases.cases and not any(p.level == "error" for p in found):
        found.append(Problem("error", "holds no eval.jsonl with the questions whose answers changed", f"{AFTER}/"))
    return After(documents, cases.cases, tuple(train.cases)), found


def _rows(home: Path, name: str, *, prefix: str) -> Rows:
    path = home / name
    try:
        refuse_odd_file(path)
        return read_rows(path, name=name, prefix=prefix) if path.exists() else Rows()
    except CannotRead as error:
        return Rows((), (Problem("error", f"the file {error}", name),))


def _placed(problem: Problem) -> Problem:
    return replace(problem, file=f"{AFTER}/{problem.file}")


def _rewordings(path: Path, known: frozenset[str]) -> Iterator[Rewording | Problem]:
    for line in _lines(path):
        if isinstance(line, Problem):
            yield line
            continue
        name, text = line.fields.get("id"), line.fields.get("input")
        fault = _unknown_case(name, known)
        if fault is None and not (isinstance(text, str) and text.strip()):
            fault = "'input' must hold the same request in other words"
        yield Problem("error", fault, path.name, line.number) if fault else Rewording(str(name), str(text))


def _human_labels(path: Path, known: frozenset[str]) -> Iterator[HumanLabel | Problem]:
    for line in _lines(path):
        if isinstance(line, Problem):
            yield line
            continue
        name, label = line.fields.get("id"), line.fields.get("label")
        arms = [line.fields.get(key) for key in ("first", "second")]
        fault = _unknown_case(name, known)
        if fault is None and not all(isinstance(arm, str) and arm for arm in arms):
            fault = "'first' and 'second' must name the two arms whose answers were compared"
        if fault is None and label not in VERDICTS:
            fault = f"'label' must be one of {', '.join(VERDICTS)}; got {label!r}"
        if fault:
            yield Problem("error", fault, path.name, line.number)
        else:
            yield HumanLabel(str(name), str(arms[0]), str(arms[1]), cast(Literal["first", "second", "tie"], label))


def _lines(path: Path) -> Iterator[JsonLine | Problem]:
    try:
        refuse_odd_file(path)
        if path.exists():
            yield from json_lines(path, name=path.name)
    except CannotRead as error:
        yield Problem("error", f"the file {error}", path.name)


def _unknown_case(name: object, known: frozenset[str]) -> str | None:
    if not isinstance(name, str) or not name:
        return "'id' must name an eval case"
    return None if name in known else f"there is no eval case with the id {name!r}"


def _schema(path: Path) -> tuple[str, list[Problem]]:
    if not path.exists():
        return "", []
    try:
        found = json.loads(read_whole(path).decode())
        text = json.dumps(found, separators=(",", ":"))
    except CannotRead as error:
        return "", [Problem("error", f"the JSON schema {error}", path.name)]
    except (ValueError, RecursionError) as error:
        return "", [Problem("error", f"the JSON schema cannot be read: {error}", path.name)]
    return (text, []) if isinstance(found, dict) else ("", [_no_schema(path)])


def _no_schema(path: Path) -> Problem:
    return Problem("error", "a JSON schema must be a JSON object", path.name)
