"""The judgment as data: rules, vetoes, what is usual where nobody answered, and how points become odds.

Everything stands in `knowledge/*.toml`, with a source and a grade for each reason; here it is read, strictly.
"""

from __future__ import annotations

import functools
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from advisor.questionnaire import Condition, Kind, Questionnaire, load_questionnaire, parse_condition
from advisor.records import APPROACHES, Value

DERIVED = ("labels_per_class",)
"""Whole numbers that follow from answers: labelled examples for each class."""

RULE_FILES = ("gap", "task", "examples", "facts", "running", "team")
_OTHER_FILES = ("vetoes", "usual", "model", "sources", "guidance")


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason, with the points that it gives each approach."""

    id: str
    facet: str
    """Rules of one facet say related things; see `Model.echo`."""
    when: Condition
    weights: Mapping[str, float]
    """Approach -> points, -3..+3."""
    reason: str
    sources: tuple[str, ...]
    grade: str


@dataclass(frozen=True, slots=True)
class VetoRule:
    """An absolute reason against some approaches."""

    id: str
    when: Condition
    against: tuple[str, ...]
    reason: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usual:
    """How often each value of a key occurs where the condition holds; the shares add up to 1."""

    key: str
    when: Condition
    values: tuple[Value, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """How points of evidence become odds."""

    nats_per_point: float
    echo: float
    """Share that a further reason of the same facet and direction counts."""
    surprise: float
    """Share of use cases whose outcome is not explained by their traits, 0..1."""
    grades: Mapping[str, float]
    start: Mapping[str, float]
    """Approach -> points before any answer."""
    bands: tuple[tuple[str, float], ...]
    """(words, least odds), likeliest first."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything that advice rests on."""

    rules: tuple[Rule, ...]
    vetoes: tuple[VetoRule, ...]
    usual: tuple[Usual, ...]
    """Keys in the order in which they depend on one another; of one key the first that applies counts."""
    model: Model
    sources: Mapping[str, str]
    """Id -> what it is."""
    digest: str
    """SHA-256 (hex) of all knowledge files."""

    @property
    def usual_keys(self) -> tuple[str, ...]:
        """The keys in order, each once."""
        return tuple(dict.fromkeys(one.key for one in self.usual))

    def usual_values(self, key: str) -> tuple[Value, ...]:
        """The values that stand for a key's range, each once, in order."""
        found = dict.fromkeys(value for one in self.usual if one.key == key for value in one.values)
        return tuple(sorted(found)) if all(type(value) is int for value in found) else tuple(found)


@functools.cache
def load_knowledge() -> Knowledge:
    """Read the knowledge that comes with the product; ValueError or KeyError where a file is wrong."""
    texts = {name: knowledge_text(name) for name in (*RULE_FILES, *_OTHER_FILES)}
    tables = {name: tomllib.loads(text) for name, text in texts.items()}
    asked = load_questionnaire()
    return Knowledge(
        rules=tuple(_rule(raw, asked) for name in RULE_FILES for raw in tables[name]["rule"]),
        vetoes=tuple(_veto(raw, asked) for raw in tables["vetoes"]["veto"]),
        usual=tuple(_usual(raw, asked) for raw in tables["usual"]["usual"]),
        model=_model(tables["model"]),
        sources=tables["sources"],
        digest=hashlib.sha256("\0".join(texts.values()).encode()).hexdigest(),
    )


def knowledge_text(name: str) -> str:
    """One knowledge file as text."""
    return files("advisor").joinpath("knowledge", f"{name}.toml").read_text(encoding="utf-8")


def condition(raw: Mapping[str, object]) -> Condition:
    """A condition on answers and derived numbers; ValueError where it names what does not exist."""
    return parse_condition(raw, load_questionnaire(), integer_keys=DERIVED)


def with_derived(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values and what follows from them."""
    full = dict(values)
    classes, examples = values.get("classes"), values.get("labelled_examples")
    if isinstance(classes, int) and isinstance(examples, int) and classes >= 2:
        full["labels_per_class"] = examples // classes
    return full


def band(model: Model, probability: float) -> str:
    """Odds in words."""
    return next((words for words, least in model.bands if probability >= least), "very unlikely")


def _rule(raw: dict[str, Any], asked: Questionnaire) -> Rule:
    weights = {name: float(weight) for name, weight in raw["weights"].items()}
    unknown = set(weights) - set(APPROACHES)
    if unknown or not all(-3 <= weight <= 3 for weight in weights.values()):
        raise ValueError(f"rule {raw['id']}: weights must be -3..3 for {', '.join(APPROACHES)}")
    when = parse_condition(raw["when"], asked, integer_keys=DERIVED)
    return Rule(raw["id"], raw["facet"], when, weights, raw["reason"], tuple(raw["sources"]), raw["grade"])


def _veto(raw: dict[str, Any], asked: Questionnaire) -> VetoRule:
    when = parse_condition(raw["when"], asked, integer_keys=DERIVED)
    return VetoRule(raw["id"], when, tuple(raw["against"]), raw["reason"], tuple(raw["sources"]))


def _usual(raw: dict[str, Any], asked: Questionnaire) -> Usual:
    question = asked.question(raw["key"])
    shares = raw["shares"]
    total = sum(shares.values())
    when = parse_condition(raw.get("when", {}), asked, integer_keys=DERIVED)
    values = tuple(_typed(question.kind, text) for text in shares)
    return Usual(question.key, when, values, tuple(share / total for share in shares.values()))


def _typed(kind: Kind, text: str) -> Value:
    """TOML keys are text."""
    if kind is Kind.INTEGER:
        return int(text)
    return text == "true" if kind is Kind.BOOLEAN else text


def _model(raw: dict[str, Any]) -> Model:
    bands = tuple(raw["bands"].items())
    return Model(raw["nats_per_point"], raw["echo"], raw["surprise"], raw["grades"], raw["start"], bands)
