"""Where answers come from and which one stands: typed > file > flag > earlier session > measured from data.

Files, flags and saved sessions come in here, and everything that is wrong in them is listed at once.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from advisor.errors import AnswerProblems, UserError
from advisor.questionnaire import Questionnaire, did_you_mean, load_questionnaire, parse_value, printable, shown_raw
from advisor.records import Answer, Conflict, Source, Value
from harness.disk import write_whole
from harness.given import parse_toml

SESSION_SCHEMA_VERSION = 1
LARGEST_FILE = 1 << 20
"""Bytes; a file of answers is a page of text."""
MOST_PROBLEMS = 60
"""Problems that are told one by one."""

_STRENGTH = {source: place for place, source in enumerate(Source)}
"""0 is the strongest."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known and where from. Make one with `combine`."""

    given: tuple[Answer, ...] = ()
    """Everything said and measured, at most one a key and source, so that a change can be judged afresh."""
    answers: tuple[Answer, ...] = ()
    """The answers that stand, in the questionnaire's order; a standing "don't know" has the value None."""
    overruled: tuple[Answer, ...] = ()
    """Known values from weaker sources that differ from what stands."""
    conflicts: tuple[Conflict, ...] = ()
    """Where the data contradict the person's answer that stands."""

    @property
    def values(self) -> dict[str, Value]:
        """The known values."""
        return {answer.key: answer.value for answer in self.answers if answer.value is not None}

    def get(self, key: str) -> Answer | None:
        """The answer that stands; None where nothing was said or measured."""
        return next((answer for answer in self.answers if answer.key == key), None)

    def with_answer(self, answer: Answer) -> Answers:
        """With one more answer; it replaces the one of the same key and source."""
        return combine(self.given, (answer,))

    def without(self, key: str) -> Answers:
        """As if nothing had been said or measured about the key."""
        return combine(answer for answer in self.given if answer.key != key)


@dataclass(frozen=True, slots=True)
class Session:
    """What is kept of an interview, so that it can go on later."""

    started: str
    """ISO 8601, UTC."""
    updated: str
    """ISO 8601, UTC."""
    title: str
    answers: tuple[Answer, ...]
    """Without what was measured: the data are measured afresh."""
    finished: bool = False
    schema_version: int = SESSION_SCHEMA_VERSION


def combine(*layers: Iterable[Answer]) -> Answers:
    """Decide which answers stand: by source, whatever the order of the layers.

    Of two answers with the same key and source the later one counts. A person's "don't know" beats weaker sources, but
    the data may fill it: the person doesn't know, the data do. KeyError: a key that is no question's.
    """
    order = {key: place for place, key in enumerate(load_questionnaire().keys)}
    latest = {(one.key, one.source): one for layer in layers for one in layer if not _says_nothing(one)}
    given = sorted(latest.values(), key=lambda one: (order[one.key], _STRENGTH[one.source]))
    answers: list[Answer] = []
    overruled: list[Answer] = []
    conflicts: list[Conflict] = []
    for _, group in groupby(given, key=lambda one: one.key):
        ranked = list(group)
        standing = _standing(ranked)
        answers.append(standing)
        overruled += _differing(ranked, standing)
        conflicts += _conflict(standing, ranked[-1])
    return Answers(tuple(given), tuple(answers), tuple(overruled), tuple(conflicts))


def read_answers_file(path: Path) -> tuple[Answer, ...]:
    """Read a person's answers from TOML or JSON: keys and values, those under `answers`, or an `advice.json`.

    AnswerProblems lists everything that is wrong with the file.
    """
    text = _read_text(path)
    repeated: list[str] = []
    parsed = _parse(text, path, repeated)
    pairs, problems = _pairs(parsed)
    problems += [f"{_name(key)} is given twice" for key in repeated]
    answers = _checked(pairs, problems, source=Source.FILE, note=path.name)
    return _all_well(answers, [f"{path}: {problem}" for problem in problems], empty=f"{path} has no answers in it")


def parse_set(pairs: Iterable[str]) -> tuple[Answer, ...]:
    """Read `key=value` texts, as given to `--set`. AnswerProblems lists everything that is wrong with them."""
    split: list[tuple[str, object]] = []
    problems: list[str] = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if equals:
            split.append((key.strip(), value.strip()))
        else:
            problems.append(f"{shown_raw(pair)} has no equals sign; write key=value, such as gap=facts")
    answers = _checked(split, problems, source=Source.FLAG, note="")
    return _all_well(answers, [f"--set: {problem}" for problem in problems])


def save_session(path: Path, session: Session) -> None:
    """Write the session for its owner only, whole or not at all.

    What was measured from data is left out, and of several answers to one question the strongest is kept. UserError
    where it cannot be written.
    """

    text = json.dumps(_session_fields(session), indent=1) + "\n"
    try:
        write_whole(path, text.encode(), private=True)
    except OSError as error:
        raise UserError(f"the session cannot be saved in {path} ({error.strerror or error})") from None


def load_session(path: Path) -> Session:
    """Read a saved session; its answers come back with the source `Source.SESSION`. UserError: missing or damaged.

    A damaged file is left as it is.
    """
    try:
        parsed = _parse_json(_read_text(path), path, [])
        return _session(parsed)
    except (UserError, ValueError) as problem:
        raise UserError(
            f"the saved session in {path} cannot be used: {problem}. Start afresh with --new, or mend the file"
        ) from None


def _says_nothing(answer: Answer) -> bool:
    """Data that could not tell are no answer; a person's "don't know" is one."""
    return answer.source is Source.DATA and answer.value is None


def _standing(ranked: list[Answer]) -> Answer:
    """The strongest; but measured data, which rank last, fill a "don't know"."""
    strongest, weakest = ranked[0], ranked[-1]
    return weakest if strongest.value is None and weakest.source is Source.DATA else strongest


def _differing(ranked: list[Answer], standing: Answer) -> list[Answer]:
    return [one for one in ranked if one is not standing and one.value is not None and one.value != standing.value]


def _conflict(standing: Answer, last: Answer) -> list[Conflict]:
    measured = last.source is Source.DATA and standing is not last
    return [Conflict(standing.key, standing, last)] if measured and _disagree(standing.value, last.value) else []


def _disagree(said: Value | None, measured: Value | None) -> bool:
    """Numbers within a factor of 1.5 agree: people estimate; zero agrees with zero only."""
    if isinstance(said, int) and isinstance(measured, int) and not isinstance(said, bool):
        return 2 * max(said, measured) > 3 * min(said, measured)
    return said != measured


def _checked(
    pairs: Iterable[tuple[str, object]], problems: list[str], *, source: Source, note: str
) -> tuple[Answer, ...]:
    """The good answers; what is wrong with the others is added to the problems."""
    questionnaire = load_questionnaire()
    answers: dict[str, Answer] = {}
    seen: set[str] = set()
    for key, raw in pairs:
        if len(problems) > MOST_PROBLEMS:
            break
        if key in seen:
            problems.append(f"{_name(key)} is given twice")
            continue
        seen.add(key)
        try:
            answers[key] = Answer(key, _value(questionnaire, key, raw), source, note)
        except ValueError as problem:
            problems.append(str(problem))
    return tuple(answers[key] for key in questionnaire.keys if key in answers)


def _value(questionnaire: Questionnaire, key: str, raw: object) -> Value | None:
    if key not in questionnaire.keys:
        hint = did_you_mean(key, questionnaire.keys) or "; `advise questions` lists all keys"
        raise ValueError(f"{_name(key)} is no key of the questionnaire{hint}")
    return parse_value(questionnaire.question(key), raw)


def _all_well(answers: tuple[Answer, ...], problems: list[str], *, empty: str = "") -> tuple[Answer, ...]:
    if not problems and not answers and empty:
        problems = [f'{empty}; write a key and a value a line, such as gap = "facts"']
    if len(problems) > MOST_PROBLEMS:
        problems = [*problems[:MOST_PROBLEMS], "there are more problems; mend these first"]
    if problems:
        raise AnswerProblems(problems)
    return answers


def _name(key: str) -> str:
    """A key as given, safe to print; a plain word needs no quotes."""
    return key if re.fullmatch(r"[a-z_]{1,60}", key) else shown_raw(key)


def _read_text(path: Path) -> str:
    """The file's text; AnswerProblems where it is none."""
    try:
        if path.is_dir():
            raise AnswerProblems([f"{path} is a folder; name a file of answers in it"])
        if path.exists() and not path.is_file():  # a pipe could keep us waiting for ever
            raise AnswerProblems([f"{path} is no ordinary file; save the answers in a file first"])
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise AnswerProblems([f"there is no file {path}"]) from None
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        raise AnswerProblems([f"{printable(str(path))} cannot be read ({_reason(error)})"]) from None
    if len(data) > LARGEST_FILE:
        raise AnswerProblems([f"{path} is larger than 1 MiB; a file of answers has a few lines"])
    return _decoded(data, path)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _decoded(data: bytes, path: Path) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AnswerProblems([f"{path} is not UTF-8 text (line {line}); save it as UTF-8"]) from None
    if not text.strip():
        raise AnswerProblems([f'{path} is empty; write a key and a value a line, such as gap = "facts"'])
    return text


def _parse(text: str, path: Path, repeated: list[str]) -> object:
    """Read by the name's ending; where it says neither TOML nor JSON, by the first bracket."""
    suffix = path.suffix.lower()
    if suffix == ".json" or (suffix != ".toml" and re.match(r"\s*(\{|\[\s*[\{\]])", text)):
        return _parse_json(text, path, repeated)
    return _parse_toml(text, path)


def _parse_json(text: str, path: Path, repeated: list[str]) -> object:
    """Any JSON value; keys that an object has twice are added to `repeated`."""
    try:
        return json.loads(text, object_pairs_hook=_noting(repeated))
    except json.JSONDecodeError as error:
        raise AnswerProblems(
            [f"{path} is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}"]
        ) from None
    except (ValueError, RecursionError) as error:
        raise AnswerProblems([f"{path} is not valid JSON: {_unreadable(error)}"]) from None


def _noting(repeated: list[str]) -> Callable[[list[tuple[str, object]]], dict[str, object]]:
    def table(pairs: list[tuple[str, object]]) -> dict[str, object]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            times = Counter(key for key, _ in pairs)
            repeated.extend(key for key in fields if times[key] > 1)
        return fields

    return table


def _parse_toml(text: str, path: Path) -> object:
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise AnswerProblems([f"{path} is not valid TOML: {_place(str(error), text)}"]) from None


def _place(message: str, text: str) -> str:
    """Put the place first, as for JSON: `line 3, column 5: Expected ...`."""
    found = re.fullmatch(r"(?s)(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if found is None:
        return printable(message)
    lines = text.rstrip("\n").split("\n")
    line, column = (found[2], found[3]) if found[2] else (len(lines), len(lines[-1]) + 1)
    return f"line {line}, column {column}: {printable(found[1])}"


def _unreadable(error: ValueError | RecursionError) -> str:
    return "brackets are nested too deeply" if isinstance(error, RecursionError) else "a number or date is impossible"


def _pairs(parsed: object) -> tuple[list[tuple[str, object]], list[str]]:
    """Keys and raw values wherever the file keeps them, and what is wrong with its shape."""
    if isinstance(parsed, dict) and "answers" in parsed:
        return _under_answers(parsed)
    if isinstance(parsed, dict):
        return list(parsed.items()), []
    if isinstance(parsed, list):
        return _record_pairs(parsed)
    return [], [f"expected keys and values, got {shown_raw(parsed)}"]


def _under_answers(table: dict[str, object]) -> tuple[list[tuple[str, object]], list[str]]:
    """What stands beside `answers` is not for us, unless it is an answer in the wrong place."""
    astray = [f"{key} stands outside of answers; move it in" for key in load_questionnaire().keys if key in table]
    inner = table["answers"]
    if isinstance(inner, dict):
        return list(inner.items()), astray
    if isinstance(inner, list):
        pairs, problems = _record_pairs(inner)
        return pairs, astray + problems
    return [], [*astray, f"answers must be a table of keys and values, got {shown_raw(inner)}"]


def _record_pairs(records: list[object]) -> tuple[list[tuple[str, object]], list[str]]:
    """Keys and values of a list as in `advice.json`: {"key": "gap", "value": "facts", ...}."""
    pairs: list[tuple[str, object]] = []
    problems: list[str] = []
    for place, record in enumerate(records, start=1):
        key = record.get("key") if isinstance(record, dict) else None
        if isinstance(record, dict) and isinstance(key, str) and "value" in record:
            pairs.append((key, record["value"]))
        else:
            problems.append(f"answer {place} of the list must have a key and a value, such as gap and facts")
    return pairs, problems


def _session_fields(session: Session) -> dict[str, object]:
    said = combine(one for one in session.answers if one.source is not Source.DATA)
    return {
        "schema_version": session.schema_version,
        "started": session.started,
        "updated": session.updated,
        "title": session.title,
        "finished": session.finished,
        "answers": [
            {"key": one.key, "value": one.value, "source": one.source.value, "note": one.note} for one in said.answers
        ],
    }


def _session(parsed: object) -> Session:
    """ValueError: what is wrong with it."""
    if not isinstance(parsed, dict):
        raise ValueError(f"expected an object, got {shown_raw(parsed)}")
    version = parsed.get("schema_version")
    if version != SESSION_SCHEMA_VERSION or isinstance(version, bool):
        raise ValueError(f"its schema_version must be {SESSION_SCHEMA_VERSION}, got {shown_raw(version)}")
    finished, records = parsed.get("finished"), parsed.get("answers")
    if not isinstance(finished, bool) or not isinstance(records, list):
        raise ValueError("it lacks finished (true or false) or its list of answers")
    started, updated, title = (_text(parsed, name) for name in ("started", "updated", "title"))
    return Session(started, updated, title, _saved_answers(records), finished)


def _saved_answers(records: list[object]) -> tuple[Answer, ...]:
    pairs, problems = _record_pairs(records)
    notes = {
        record["key"]: _text(record, "note")
        for record in records
        if isinstance(record, dict) and isinstance(record.get("key"), str)
    }
    answers = _checked(pairs, problems, source=Source.SESSION, note="")
    if problems:
        raise ValueError("; ".join(problems[:MOST_PROBLEMS]))
    return tuple(Answer(one.key, one.value, one.source, notes[one.key]) for one in answers)


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, str):
        return value
    raise ValueError(f"{name} must be text, got {shown_raw(value)}")
