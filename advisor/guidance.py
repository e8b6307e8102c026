"""What to say beside the ranking: which layers, which kind of tuning, what to try in which order, risks, readiness.

The words stand in `knowledge/guidance.toml`.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from advisor.records import Layer, Readiness, Recommendation, Risk, Step, Value
from advisor.rules import condition, knowledge_text

LADDERS = {
    "prompting": ("prompting",),
    "few_shot": ("prompting", "few_shot"),
    "rag": ("prompting", "rag"),
    "fine_tuning": ("prompting", "few_shot", "fine_tuning"),
    "rag_fine_tuning": ("prompting", "rag", "rag_fine_tuning"),
}
"""The rungs up to each approach: the simplest first, by what is missing."""

EVAL_FEW, EVAL_ENOUGH = 20, 200
"""Cases to look at, and cases that show a difference of about 9 points (Connor 1987, discordance 0.2, power 0.8)."""
TUNING_FEW, TUNING_ENOUGH = 50, 500
"""Examples from which a pilot makes sense (vendor guides), and from which tuning is plausible."""


@functools.cache
def _words() -> dict[str, Any]:
    return tomllib.loads(knowledge_text("guidance"))


def layers(values: Mapping[str, Value], approach: str) -> tuple[Layer, ...]:
    """Each layer with `now`, `later` or `no`, and why."""
    return tuple(_layer(raw, values, approach) for raw in _words()["layer"])


def tuning(values: Mapping[str, Value], recommendation: Recommendation) -> str:
    """Which kind of tuning fits, and which does not."""
    vetoes = recommendation.standing("fine_tuning").vetoes
    if vetoes and recommendation.standing("rag_fine_tuning").vetoes:
        return f"No tuning of any kind for now. {vetoes[0].reason}"
    approach = recommendation.approach
    return str(next(raw["text"] for raw in _words()["tuning"] if _applies(raw, values, approach)))


def ladder(values: Mapping[str, Value], recommendation: Recommendation) -> tuple[Step, ...]:
    """What to try first, when to stop, when to go on; one rung beyond the advised approach where one is open."""
    rungs = list(LADDERS[recommendation.approach])
    beyond = _next_rung(values, recommendation)
    steps = _words()["step"]
    return tuple(Step(approach=name, **steps[name]) for name in (*rungs, *beyond))


def risks(values: Mapping[str, Value], approach: str) -> tuple[Risk, ...]:
    """The risks of the advised approach."""
    found = (raw for raw in _words()["risk"] if approach in raw["for"] and _holds(raw, values))
    return tuple(Risk(raw["name"], raw["text"], raw["watch"]) for raw in found)


def readiness(values: Mapping[str, Value], approach: str) -> tuple[Readiness, ...]:
    """What the data must be for the advised approach and its trial, and what they are."""
    return tuple(_readiness(values, approach))


def _layer(raw: dict[str, Any], values: Mapping[str, Value], approach: str) -> Layer:
    also = raw.get("also")
    if also and _holds(also, values):
        return Layer(raw["name"], "now", also["reason"])
    for use in ("now", "later"):
        part = raw.get(use)
        if part and approach in part["approaches"] and _holds(part, values):
            return Layer(raw["name"], use, part["reason"])
    return Layer(raw["name"], "no", raw["no"]["reason"])


def _applies(raw: dict[str, Any], values: Mapping[str, Value], approach: str) -> bool:
    return approach in raw.get("approaches", (approach,)) and _holds(raw, values)


def _holds(raw: dict[str, Any], values: Mapping[str, Value]) -> bool:
    return "when" not in raw or condition(raw["when"]).verdict(values) is True


def _next_rung(values: Mapping[str, Value], recommendation: Recommendation) -> Iterator[str]:
    facts = values.get("gap") in ("facts", "both")
    after = {
        "prompting": ("rag", "few_shot") if facts else ("few_shot", "rag"),
        "few_shot": ("fine_tuning",),
        "rag": ("rag_fine_tuning",),
        "fine_tuning": ("rag_fine_tuning",) if facts else (),
        "rag_fine_tuning": (),
    }[recommendation.approach]
    yield from [name for name in after if not recommendation.standing(name).vetoes][:1]


def _readiness(values: Mapping[str, Value], approach: str) -> Iterator[Readiness]:
    yield _counted(
        "Eval set",
        values.get("eval_examples"),
        few=EVAL_FEW,
        enough=EVAL_ENOUGH,
        noun="held-out cases",
        todo="hold back cases with right answers: 20 to look at, about 200 to tell approaches 9 points apart",
    )
    if approach in ("few_shot", "fine_tuning", "rag_fine_tuning"):
        few, enough = (TUNING_FEW, TUNING_ENOUGH) if "tuning" in approach else (10, 50)
        yield _counted(
            "Labelled examples",
            values.get("labelled_examples"),
            few=few,
            enough=enough,
            noun="examples",
            todo=f"collect input and right output pairs: {few} for a pilot, {enough} and more to rely on",
        )
        yield _label_quality(values.get("label_quality"))
    if approach in ("rag", "rag_fine_tuning"):
        yield _documents(values.get("corpus_tokens"))


def _counted(item: str, value: Value | None, *, few: int, enough: int, noun: str, todo: str) -> Readiness:
    if value is None:
        return Readiness(item, "unknown", "not said", f"Count them; {todo}.")
    number = int(value)
    have = f"{number:,} {noun}"
    if number >= enough:
        return Readiness(item, "ready", have, "")
    state = "missing" if number == 0 else "weak"
    return Readiness(item, state, have if number else "none", f"{todo[0].upper()}{todo[1:]}.")


def _label_quality(value: Value | None) -> Readiness:
    states = {
        "clean": ("ready", "two experts would agree", ""),
        "mixed": (
            "weak",
            "experts would not always agree",
            "Write down the rule where they differ, and relabel those.",
        ),
        "noisy": ("missing", "experts often disagree", "Clean the labels before anything is trained on them."),
    }
    unknown = ("unknown", "not said", "Let two experts label the same 50 examples and count where they differ.")
    return Readiness("Label quality", *states.get(str(value), unknown))


def _documents(value: Value | None) -> Readiness:
    if value is None:
        return Readiness(
            "Documents", "unknown", "not said", "Collect the documents that hold the facts, in one folder."
        )
    tokens = int(value)
    if tokens == 0:
        return Readiness("Documents", "missing", "none", "Collect the documents that hold the facts, in one folder.")
    todo = "Check with `bakeoff check` that the answers stand in them."
    return Readiness("Documents", "ready", f"about {tokens:,} tokens", todo)
