"""Rows of `eval.jsonl` and `train.jsonl` -> cases, and every problem in them with its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.jsonl import JsonLine, json_lines, kind_of, text_of
from harness.scenario import Case, Problem
from harness.spool import Firsts, kept

REQUIRED = ("input", "output")
FIELDS = ("id", "input", "output", "references", "context_id", "group")


@dataclass(frozen=True, slots=True)
class Rows:
    """The cases of one file in file order, and what is wrong with the rest."""

    cases: Sequence[Case] = ()
    """A tuple, or, where they are many, a sequence that reads them from disk."""
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Seen:
    """What has been met so far in one file."""

    lines: Firsts
    """Line of each id."""
    rows: int = 0
    """Lines that hold something, good or bad."""
    names: dict[str, None] = field(default_factory=dict)
    """Fields met, in order."""
    incomplete: list[JsonLine] = field(default_factory=list)
    """Rows that lack a required field."""


def read_rows(path: Path, *, name: str, prefix: str, hold: bool = True) -> Rows:
    """Read one file; `name` is its name in problems, `prefix` starts the id of rows without one (`eval-12`, by line).

    Outputs and references are stripped of white space at both ends; inputs are kept as they are. Without `hold` the
    rows may be left on disk.

    Raises:
        UserError: the rows are too many to be held in memory, and the cache folder cannot be written.
    """
    problems: list[Problem] = []
    with Firsts() as firsts:
        seen = _Seen(firsts)
        found = _good_rows(path, name=name, prefix=prefix, seen=seen, problems=problems)
        cases = tuple(found) if hold else kept(found, Case)
    problems.extend(_missing(seen, name))
    problems.sort(key=lambda problem: problem.line or 0)
    return Rows(cases, (*problems, *_about_file(seen, name)))


def _good_rows(path: Path, *, name: str, prefix: str, seen: _Seen, problems: list[Problem]) -> Iterator[Case]:
    """The rows without errors; what is wrong with the others is added to `problems` on the way."""
    for line in json_lines(path, name=name):
        if isinstance(line, Problem):
            seen.rows += line.level == "error"
            problems.append(line)
            continue
        faults = _look_at(line, prefix=prefix, seen=seen)
        problems.extend(Problem("error", fault, name, line.number) for fault in faults)
        if not faults and _is_complete(line):
            yield _case(line, prefix)


def _look_at(line: JsonLine, *, prefix: str, seen: _Seen) -> list[str]:
    seen.rows += 1
    seen.names.update(dict.fromkeys(line.fields))
    if not _is_complete(line):
        seen.incomplete.append(line)
    faults = [*_wrong_texts(line), *_wrong_types(line), *_wrong_references(line)]
    if isinstance(line.fields.get("id"), list | dict):
        return faults
    case_id = _case_id(line, prefix)
    first = seen.lines.setdefault(case_id, str(line.number))
    if first != str(line.number):
        faults.append(f"the id {case_id!r} stands on line {first} already; ids must be unique")
    return faults


def _is_complete(line: JsonLine) -> bool:
    return all(name in line.fields for name in REQUIRED)


def _wrong_texts(line: JsonLine) -> Iterator[str]:
    text = line.fields.get("input", "not there")
    if not isinstance(text, str):
        yield f"the field 'input' must be a text in double quotes, but is {kind_of(text)}"
    elif not text.strip():
        yield "the field 'input' is empty; write the text to answer, or delete the row"
    fault = _text_fault(line.fields.get("output", "not there"))
    if fault:
        yield f"the field 'output' {fault}; write the right answer, or delete the row"


def _text_fault(value: object) -> str | None:
    """Say why a value cannot be an answer's text."""
    if value is None:
        return "is null"
    try:
        return None if text_of(value).strip() else "is empty"
    except ValueError as error:
        return f"cannot be written as text ({error})"


def _wrong_types(line: JsonLine) -> Iterator[str]:
    for name in ("id", "context_id", "group"):
        value = line.fields.get(name)
        if isinstance(value, list | dict | bool):
            yield f"the field {name!r} must be a text, but is {kind_of(value)}"


def _wrong_references(line: JsonLine) -> Iterator[str]:
    references = line.fields.get("references")
    if references is not None and not isinstance(references, list):
        yield f'the field \'references\' must be a list such as ["a", "b"], but is {kind_of(references)}'
    for place, fault in enumerate(map(_text_fault, _references(line)), start=1):
        if fault:
            yield f"entry {place} of 'references' {fault}; write another right answer, or take it out"


def _references(line: JsonLine) -> list[object]:
    references = line.fields.get("references")
    return references if isinstance(references, list) else []


def _missing(seen: _Seen, name: str) -> Iterator[Problem]:
    """One problem for the whole file where every row lacks the same field, else one for each row."""
    absent = [tuple(field for field in REQUIRED if field not in line.fields) for line in seen.incomplete]
    everywhere = len(absent) == seen.rows > 1 and len(set(absent)) == 1
    if everywhere:
        having = [field for field in seen.names if field not in FIELDS] or list(seen.names)
        message = (
            f"no row has {' or '.join(map(repr, absent[0]))}; the rows have: {_some(having)}. Rename the fields, or"
        )
        yield Problem("error", f"{message} convert with `bakeoff init {name} --input FIELD --output FIELD`", name)
        return
    for line, fields in zip(seen.incomplete, absent, strict=True):
        what = f"field {fields[0]!r} is" if len(fields) == 1 else f"fields {' and '.join(map(repr, fields))} are"
        message = f"the {what} missing; the row has: {_some(list(line.fields))}"
        yield Problem("error", message, name, line.number)


def _about_file(seen: _Seen, name: str) -> Iterator[Problem]:
    if not seen.rows:
        yield Problem("error", 'the file is empty; write one {"input": ..., "output": ...} object a line', name)
    unused = [field for field in seen.names if field not in FIELDS]
    if unused and len(seen.incomplete) < seen.rows:
        message = f"fields that are not used: {_some(unused)} (used are: {', '.join(FIELDS)})"
        yield Problem("warning", message, name)


def _some(names: list[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:10]) or "nothing"
    return f"{shown}, and {len(names) - 10} more" if len(names) > 10 else shown


def _case_id(line: JsonLine, prefix: str) -> str:
    return _optional(line, "id") or f"{prefix}-{line.number}"


def _optional(line: JsonLine, name: str) -> str | None:
    """Text of an optional field; null and "" count as not given, because exports from tables write them."""
    value = line.fields.get(name)
    return None if value is None else text_of(value).strip() or None


def _case(line: JsonLine, prefix: str) -> Case:
    return Case(
        id=_case_id(line, prefix),
        input=text_of(line.fields["input"]),
        output=text_of(line.fields["output"]).strip(),
        references=tuple(text_of(reference).strip() for reference in _references(line)),
        context_id=_optional(line, "context_id"),
        group=_optional(line, "group"),
        line=line.number,
    )
