"""Asks what is not known yet, the most informative question first, until no answer could change the advice.

The terminal is behind the `Prompter` protocol; what was said is handed to `keep` after every reply, so that nothing
is lost whatever happens next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from advisor.answers import Answers
from advisor.questionnaire import Question, asked, load_questionnaire
from advisor.recommend import best_approach, code_of, odds, odds_by_world, recommend, worlds_for
from advisor.records import Answer, Conflict, Source, Value
from advisor.rules import Knowledge, load_knowledge
from advisor.sensitivity import open_questions

LEAST_GAIN = 0.002
"""Bits; a question that tells less is not looked at further."""
LEAST_USE = 0.005
"""Least expected rise in the odds of advising right (0..1) for which a person's time is taken: 1 in 200."""

FEWEST = 6
"""Answers below which a question is put although no answer to it alone would change the advice: two together may."""
TELLING = 0.01
"""Bits that such a question has to tell."""

FIRST = "task"
"""Everything else is easier to answer once this is known."""


class Action(StrEnum):
    """What a person may do instead of answering."""

    BACK = "back"
    STOP = "stop"
    """Advise with what is known."""
    QUIT = "quit"
    """Leave, and go on later."""
    MORE = "more"
    """At the end: put the questions that are left, too."""


@dataclass(frozen=True, slots=True)
class Given:
    """An answer; None is "don't know"."""

    value: Value | None


@dataclass(frozen=True, slots=True)
class Change:
    """The wish to answer an earlier question again."""

    key: str


Reply = Given | Change | Action


@dataclass(frozen=True, slots=True)
class Place:
    """Where the interview stands when a question is put."""

    number: int
    """1 for the first question."""
    leading: str
    """Best approach so far."""
    band: str
    known: Answers
    others: tuple[str, ...]
    """Approaches that some answer would put first instead."""


class Prompter(Protocol):
    """Puts questions to a person."""

    def ask(self, question: Question, place: Place) -> Reply:
        """Put one question. Raises EOFError where there is nobody to answer."""

    def enough(self, place: Place, because: str) -> Reply:
        """No question is worth asking any more: stop (the advice), `MORE`, a `Change`, or quit."""

    def settle(self, question: Question, conflict: Conflict) -> bool:
        """The data contradict what was said: whether what was said shall stand."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an interview ended."""

    answers: Answers
    asked: int
    because: str
    """Why no further question was put."""
    quit: bool = False
    """The person left; there is to be no advice now."""


Keep = Callable[[Answers], None]
Shifts = Callable[[Mapping[str, Value]], Mapping[str, float]]
"""Known answers -> points of evidence for each approach, from experience."""


def no_shifts(_values: Mapping[str, Value]) -> Mapping[str, float]:
    """No experience."""
    return {}


def interview(
    start: Answers, prompter: Prompter, *, keep: Keep, everything: bool = False, shifts: Shifts = no_shifts
) -> Outcome:
    """Ask until nothing open could change the advice, or the person stops or quits.

    `everything`: ask all questions that make sense, informative or not. `keep` is called after every change. `shifts`
    gives the points of experience for the answers known.
    """
    answers = _settled(start, prompter, keep)
    order: list[str] = []
    wanted: str | None = None
    while True:
        moved = shifts(answers.values)
        key = wanted or next_key(answers, everything=everything, shifts=moved)
        wanted = None
        because = _enough(answers, everything=everything) if key is None else ""
        place = _place(answers, key or FIRST, len(order) + 1, moved)
        question = load_questionnaire().question(key) if key else None
        reply = prompter.ask(question, place) if question else prompter.enough(place, because)
        if reply is Action.QUIT:
            return Outcome(answers, len(order), "the session was left", quit=True)
        if reply is Action.STOP:
            return Outcome(answers, len(order), because or "you asked for the advice now")
        if reply is Action.MORE:
            everything = True
            continue
        if reply is Action.BACK:
            wanted = order.pop() if order else key
            continue
        if isinstance(reply, Change):
            order = [one for one in order if one != reply.key]
            wanted = reply.key
            continue
        assert isinstance(reply, Given)  # all other replies were dealt with
        assert key is not None
        answers = answers.with_answer(Answer(key, reply.value, Source.TYPED))
        keep(answers)
        answers = _settled(answers, prompter, keep, only=key)
        order = [*(one for one in order if one != key), key]


def next_key(answers: Answers, *, everything: bool = False, shifts: Mapping[str, float] | None = None) -> str | None:
    """The most informative open question whose answer could change the advice; None where there is none."""
    values = answers.values
    skip = frozenset(one.key for one in answers.answers)
    questions = load_questionnaire()
    if FIRST not in skip:
        return FIRST
    if everything:
        return next((q.key for q in questions.questions if q.key not in skip and asked(q, values)), None)
    known = load_knowledge()
    questions_left = open_questions(values, knowledge=known, skip=skip, shifts=shifts)
    for one in questions_left:
        if one.gain >= LEAST_GAIN and use_of(values, one.key, known, shifts=shifts) >= LEAST_USE:
            return one.key
    few = len(answers.answers) < FEWEST
    return next((one.key for one in questions_left if few and one.gain >= TELLING), None)


def use_of(
    values: Mapping[str, Value], key: str, knowledge: Knowledge, *, shifts: Mapping[str, float] | None = None
) -> float:
    """Expected rise in the odds of the best approach if the question were answered, 0..1 (value of information,
    Howard 1966). 0 where no answer changes the advice."""
    worlds = worlds_for(values, knowledge)
    overall = worlds.weights @ odds_by_world(worlds, knowledge, shifts=shifts)
    best = int(np.argmax(overall))
    use, reached = 0.0, 0.0
    for value in knowledge.usual_values(key):
        share = float(worlds.weights[worlds.codes[key] == code_of(key, value)].sum())
        if share > 0:
            then = odds({**values, key: value}, knowledge=knowledge, shifts=shifts)
            use += share * float(then.max() - then[best])
            reached += share
    return use / reached if reached else 0.0


def contradictions(answers: Answers) -> tuple[Conflict, ...]:
    """Conflicts worth a question. That outputs have a form does not show that a model lacks it, so a measured gap of
    form contradicts nobody who has seen a model do the job."""
    return tuple(one for one in answers.conflicts if not (one.key == "gap" and one.measured.value == "form"))


def _settled(answers: Answers, prompter: Prompter, keep: Keep, *, only: str | None = None) -> Answers:
    """Ask about each contradiction between a person and the data; a yes takes what was measured."""
    for conflict in contradictions(answers):
        if only in (None, conflict.key):
            question = load_questionnaire().question(conflict.key)
            if not prompter.settle(question, conflict):
                measured = conflict.measured
                answers = answers.with_answer(Answer(measured.key, measured.value, Source.TYPED, measured.note))
                keep(answers)
    return answers


def _place(answers: Answers, key: str, number: int, shifts: Mapping[str, float]) -> Place:
    found = recommend(answers.values, shifts=shifts)
    leading = found.standing(found.approach)
    return Place(number, leading.approach, leading.band, answers, _others(answers, key, shifts))


def _others(answers: Answers, key: str, shifts: Mapping[str, float]) -> tuple[str, ...]:
    known = load_knowledge()
    values = {name: value for name, value in answers.values.items() if name != key}
    now = best_approach(values, knowledge=known, shifts=shifts)
    then = (best_approach({**values, key: value}, knowledge=known, shifts=shifts) for value in known.usual_values(key))
    return tuple(dict.fromkeys(approach for approach in then if approach != now))


def _enough(answers: Answers, *, everything: bool) -> str:
    if everything:
        return "every question that applies has been put"
    left = open_questions(answers.values, skip=frozenset(one.key for one in answers.answers))
    if not left:
        return "every question that applies has been answered"
    if len(left) == 1:
        return "the one question left open is not likely to change the advice"
    return f"no single answer to the {len(left)} questions left open is likely to change the advice"
