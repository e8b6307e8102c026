"""The questions as data: what may be asked, when it makes sense, and how an answer is read and shown.

The words stand in `questionnaire.toml`; keys and values there are the product's public vocabulary.
"""

from __future__ import annotations

import functools
import math
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

from advisor.records import Value

LARGEST = 10**15
"""No whole number that is asked for can be larger: more is a slip of the keyboard."""

_DONT_KNOW = frozenset(
    (
        "unknown",
        "don't know",
        "dont know",
        "do not know",
        "not known",
        "dk",
        "idk",
        "not sure",
        "unsure",
        "no idea",
        "?",
    )
)
_YES_NO = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}
_SCALES = {"k": 10**3, "thousand": 10**3, "m": 10**6, "million": 10**6, "b": 10**9, "bn": 10**9, "billion": 10**9}
_NUMBER = re.compile(
    r"(?:(?:~|≈|about|around|roughly|approx\.?|circa|ca\.?)\s*)?"
    r"(?P<sign>[-−]?)(?P<whole>\d{1,3}(?:[,' _]\d{3}){1,9}|\d{1,30})(?:\.(?P<part>\d{1,30}))?"
    r"\s*(?P<scale>(?:thousand|million|billion|bn|k|m|b)\b)?\s*(?P<unit>\D*)",
    re.ASCII,
)


class Kind(StrEnum):
    """What an answer looks like."""

    CHOICE = "choice"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one key has to be: one of some values, or a whole number in `least <= value < below`."""

    key: str
    one_of: tuple[Value, ...] = ()
    least: int | None = None
    below: int | None = None

    def holds(self, value: Value) -> bool:
        """Whether a known value meets it."""
        if self.one_of:
            return value in self.one_of
        number = int(value)
        return (self.least is None or number >= self.least) and (self.below is None or number < self.below)


@dataclass(frozen=True, slots=True)
class Condition:
    """Requirements that must all hold; without any it always holds."""

    requirements: tuple[Requirement, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that it looks at, in the order written."""
        return tuple(one.key for one in self.requirements)

    def verdict(self, values: Mapping[str, Value]) -> bool | None:
        """True, False, or None while it is open: what is known of it holds, but some key is not known yet."""
        verdict: bool | None = True
        for one in self.requirements:
            value = values.get(one.key)
            if value is None:
                verdict = None
            elif not one.holds(value):
                return False
        return verdict


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to pick from a list."""

    value: str
    label: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A typical whole number, offered beside typing one."""

    value: int
    label: str


@dataclass(frozen=True, slots=True)
class Unit:
    """The words for what a whole number counts, and other units that people may type instead."""

    one: str
    many: str
    also: tuple[tuple[str, float], ...] = ()
    """Word or words -> how many of this unit one of them is; pages -> 400 tokens."""

    def factor(self, words: str) -> float | None:
        """How many of this unit one of the named unit is (1 for its own name or none); None: not understood."""
        if words in ("", self.one, self.many):
            return 1
        return dict(self.also).get(words)


@dataclass(frozen=True, slots=True)
class Question:
    """One question in plain words."""

    key: str
    kind: Kind
    topic: str
    text: str
    help: str
    example: str
    choices: tuple[Choice, ...] = ()
    """Of a choice; empty otherwise."""
    unit: Unit | None = None
    """Of an integer; None otherwise, as the next two are idle otherwise."""
    lowest: int = 0
    suggestions: tuple[Suggestion, ...] = ()
    asked_when: tuple[Condition, ...] = ()
    """It makes sense where any one of these holds or is open; where there are none, always."""

    @property
    def values(self) -> tuple[Value, ...]:
        """All values that it can take; none listed for an integer."""
        return (True, False) if self.kind is Kind.BOOLEAN else tuple(choice.value for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """All questions, in the order in which a person would read them."""

    questions: tuple[Question, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, in order."""
        return tuple(question.key for question in self.questions)

    def question(self, key: str) -> Question:
        """The question with that key; KeyError where there is none."""
        for question in self.questions:
            if question.key == key:
                return question
        raise KeyError(key)


@functools.cache
def load_questionnaire() -> Questionnaire:
    """Read the questions that come with the product; ValueError, KeyError or TypeError where the file is wrong."""
    raw = tomllib.loads(files("advisor").joinpath("questionnaire.toml").read_text(encoding="utf-8"))
    questions: list[Question] = []
    for table in raw["question"]:
        questions.append(_question(table, earlier=Questionnaire(tuple(questions))))
    return Questionnaire(tuple(questions))


def parse_condition(
    raw: Mapping[str, object], questionnaire: Questionnaire, *, integer_keys: Collection[str] = ()
) -> Condition:
    """Read `{ task = ["code", "agent"], classes = { min = 2, below = 16 }, needs_citations = true }`.

    A list means any of these, a single value means exactly this, a table with `min` (at least) and `below` (less than)
    is for whole numbers. `integer_keys` are keys beyond the questionnaire's that hold whole numbers, such as
    `labels_per_class`. ValueError names an unknown key and a value or type that the key cannot have.
    """
    return Condition(tuple(_requirement(key, raw[key], questionnaire, integer_keys) for key in raw))


def asked(question: Question, values: Mapping[str, Value]) -> bool:
    """Whether the question makes sense with the answers known so far; what is not known yet speaks for asking."""
    conditions = question.asked_when
    return not conditions or any(condition.verdict(values) is not False for condition in conditions)


def parse_value(question: Question, raw: object) -> Value | None:
    """Read an answer typed by a person or taken from TOML or JSON; None: "don't know" was said.

    ValueError, with one sentence for people, where it is no answer to this question.
    """
    if raw is None or (isinstance(raw, str) and _says_unknown(raw)):
        return None
    if question.kind is Kind.BOOLEAN:
        return _boolean(question, raw)
    return _choice(question, raw) if question.kind is Kind.CHOICE else _integer(question, raw)


def show_value(question: Question, value: Value | None) -> str:
    """An answer for people: `10,000 examples`, `yes`, a choice's label, `don't know`."""
    if value is None:
        return "don't know"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return next(choice.label for choice in question.choices if choice.value == value)
    words = "" if question.unit is None else question.unit.one if value == 1 else question.unit.many
    return f"{value:,} {words}".rstrip()


def shown_raw(raw: object) -> str:
    """What was given, short and safe to print: quoted text without control characters, a number, or its kind."""
    if raw is None:
        return "nothing"
    if isinstance(raw, str):
        text = printable(raw[:60])
        return f'"{text}..."' if len(raw) > 60 else f'"{text}"'
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int):  # written out only where short: Python refuses to write numbers of thousands of digits
        return str(raw) if abs(raw) <= LARGEST * 1000 else "a number of more than 18 digits"
    if isinstance(raw, float):
        return repr(raw)
    return "a table" if isinstance(raw, Mapping) else "a list" if isinstance(raw, Sequence) else "a date or time"


def printable(text: str) -> str:
    """Without signs that could steer a terminal or cannot be encoded; each becomes a question mark."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean "task"?` where one of the known words is close, nothing otherwise."""
    import difflib  # only mistakes need it, and the first question must stand at once

    close = difflib.get_close_matches(word[:60], tuple(known), n=1, cutoff=0.6)
    return f', did you mean "{close[0]}"?' if close else ""


def _says_unknown(text: str) -> bool:
    return _folded(text).replace("’", "'").removeprefix("i ").rstrip(".") in _DONT_KNOW


def _folded(text: str) -> str:
    """Without case and with single blanks."""
    return " ".join(text.casefold().split())


def _loose(text: str) -> str:
    """As `_folded`, and with no difference between blank, hyphen and underscore."""
    return _folded(text.replace("_", " ").replace("-", " "))


def _boolean(question: Question, raw: object) -> bool:
    value = raw if isinstance(raw, bool) else _YES_NO.get(_folded(raw)) if isinstance(raw, str) else None
    if value is None:
        raise ValueError(f"{question.key} must be yes or no (or unknown); got {shown_raw(raw)}")
    return value


def _choice(question: Question, raw: object) -> str:
    by_words = {_loose(choice.label): choice.value for choice in question.choices}
    by_words |= {_loose(choice.value): choice.value for choice in question.choices}
    words = _loose(raw) if isinstance(raw, str) else ""
    if words in by_words:
        return by_words[words]
    listed = ", ".join(choice.value for choice in question.choices)
    hint = _close_choice(words, by_words) if words else ""
    raise ValueError(f"{question.key} must be one of {listed} (or unknown); got {shown_raw(raw)}{hint}")


def _close_choice(words: str, by_words: Mapping[str, str]) -> str:
    """A hint at the nearest choice, by its value even where its label was meant."""
    hint = did_you_mean(words, by_words)
    return next((f', did you mean "{value}"?' for near, value in by_words.items() if f'"{near}"' in hint), "")


def _integer(question: Question, raw: object) -> int:
    number = _typed_number(question, raw) if isinstance(raw, str) else _whole(raw)
    if number is None:
        plural = f" ({question.unit.many})" if question.unit else ""
        raise ValueError(
            f"{question.key} must be a whole number{plural} such as 300, 2,000, 10k or 1.5m (or unknown); "
            f"got {shown_raw(raw)}"
        )
    if number < question.lowest:
        raise ValueError(f"{question.key} must be {question.lowest} or more; got {shown_raw(raw)}")
    if number > LARGEST:
        raise ValueError(f"{question.key} cannot be more than {LARGEST:,}; got {shown_raw(raw)}")
    return number


def _whole(raw: object) -> int | None:
    """A number of TOML or JSON without a fraction; yes and no are no numbers."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return int(raw) if isinstance(raw, int) or (math.isfinite(raw) and raw.is_integer()) else None


def _typed_number(question: Question, text: str) -> int | None:
    """Read `~300`, `2,000`, `10k`, `1.5 million tokens`, `40 pages`; None where it is no whole number."""
    match = _NUMBER.fullmatch(_folded(text)) if len(text) <= 100 else None
    unit = question.unit or Unit("", "")
    factor = unit.factor(match["unit"].strip()) if match else None
    if match is None or factor is None:
        return None
    part = match["part"] or ""
    if len(part) == 3 and not match["scale"]:
        _refuse_ambiguous(question.key, text)
    digits = int(re.sub(r"\D", "", match["whole"]) + part) * _SCALES.get(match["scale"] or "", 1)
    number, rest = divmod(digits, 10 ** len(part))
    if factor != 1:  # another unit is an estimate in this one, so it is rounded
        number, rest = round(digits * factor / 10 ** len(part)), 0
    return None if rest else -number if match["sign"] else number


def _refuse_ambiguous(key: str, text: str) -> None:
    """Half of Europe writes 2.000 for two thousand; a wrong guess would be wrong a thousandfold."""
    raise ValueError(f"{key} must be a whole number without a point, such as 2000 or 2,000; got {shown_raw(text)}")


def _requirement(key: str, raw: object, questionnaire: Questionnaire, integer_keys: Collection[str]) -> Requirement:
    question = questionnaire.question(key) if key in questionnaire.keys else None
    if question is None and key not in integer_keys:
        hint = did_you_mean(key, (*questionnaire.keys, *integer_keys))
        raise ValueError(f"a condition looks at the unknown key {shown_raw(key)}{hint}")
    kind, values = (question.kind, question.values) if question else (Kind.INTEGER, ())
    if isinstance(raw, Mapping):
        return _bounds(key, raw, kind)
    wanted = raw if isinstance(raw, list | tuple) else (raw,)
    if not wanted:
        raise ValueError(f"a condition lists no value for {key}")
    return Requirement(key, tuple(_wanted(key, one, kind, values) for one in wanted))


def _wanted(key: str, raw: object, kind: Kind, values: Sequence[Value]) -> Value:
    """One value that a condition asks for, exactly as the vocabulary has it."""
    if kind is Kind.INTEGER:
        return _condition_number(key, raw)
    expected = bool if kind is Kind.BOOLEAN else str
    if isinstance(raw, bool | str) and isinstance(raw, expected) and raw in values:
        return raw
    listed = "true or false" if kind is Kind.BOOLEAN else "one of " + ", ".join(str(value) for value in values)
    hint = did_you_mean(raw, (str(value) for value in values)) if isinstance(raw, str) else ""
    raise ValueError(f"a condition on {key} must ask for {listed}; got {shown_raw(raw)}{hint}")


def _bounds(key: str, raw: Mapping[str, object], kind: Kind) -> Requirement:
    if kind is not Kind.INTEGER:
        raise ValueError(f"a condition on {key} has bounds, but {key} is no whole number")
    if not raw or set(raw) - {"min", "below"}:
        raise ValueError(f"a condition on {key} must have min, below or both; got {', '.join(raw) or 'none'}")
    least, below = (_condition_number(key, raw[name]) if name in raw else None for name in ("min", "below"))
    if least is not None and below is not None and least >= below:
        raise ValueError(f"a condition on {key} can never hold: at least {least} and below {below}")
    return Requirement(key, least=least, below=below)


def _condition_number(key: str, raw: object) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    raise ValueError(f"a condition on {key} must use whole numbers; got {shown_raw(raw)}")


def _question(table: dict[str, Any], *, earlier: Questionnaire) -> Question:
    """One table of our own file: a missing or misspelt field fails as a missing or unexpected argument."""
    fields = dict(table)
    unit = fields.pop("unit", None)
    return Question(
        kind=Kind(fields.pop("kind")),
        choices=tuple(Choice(**choice) for choice in fields.pop("choices", ())),
        unit=unit and Unit(unit["one"], unit["many"], tuple(unit.get("also", {}).items())),
        suggestions=tuple(Suggestion(**one) for one in fields.pop("suggestions", ())),
        asked_when=tuple(parse_condition(one, earlier) for one in fields.pop("asked_when", ())),
        **fields,
    )
