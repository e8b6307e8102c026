"""What would change the advice: single answers that flip it, reasons that carry it, questions that are worth asking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from advisor.questionnaire import asked, load_questionnaire
from advisor.recommend import Floats, best_approach, odds_by_world, votes_for, worlds_for
from advisor.records import APPROACHES, Flip, OpenQuestion, Recommendation, Reversal, Sensitivity, Value, Vote
from advisor.rules import Knowledge, load_knowledge

MOST = 8
"""Flips, reversals and open questions that are worth showing."""


def sensitivity(
    values: Mapping[str, Value],
    recommendation: Recommendation,
    *,
    knowledge: Knowledge | None = None,
    shifts: Mapping[str, float] | None = None,
) -> Sensitivity:
    """Everything that would change this advice; each part at most `MOST` long."""
    known = knowledge or load_knowledge()
    questions = open_questions(values, knowledge=known, shifts=shifts)
    shown = [
        OpenQuestion(one.key, one.gain, could_flip(values, one.key, recommendation.approach, shifts=shifts))
        for one in questions[:MOST]
    ]
    flips = sorted(_flips(values, recommendation.approach, known, shifts), key=lambda one: _size(one, known))
    weights = reversals(values, recommendation, knowledge=known, shifts=shifts)
    return Sensitivity(tuple(flips[:MOST]), weights, tuple(shown))


def open_questions(
    values: Mapping[str, Value],
    *,
    knowledge: Knowledge | None = None,
    shifts: Mapping[str, float] | None = None,
    skip: frozenset[str] = frozenset(),
) -> tuple[OpenQuestion, ...]:
    """Unanswered questions that make sense now, the most informative first; `could_flip` is left open (True).

    The gain is the mutual information between the answer and the right approach (Lindley 1956, "On a measure of the
    information provided by an experiment"), in bits, over the same worlds that the odds are averaged over.
    """
    known = knowledge or load_knowledge()
    worlds = worlds_for(values, known)
    by_world = odds_by_world(worlds, known, shifts=shifts)
    overall = _entropy(worlds.weights @ by_world)
    found = []
    for question in load_questionnaire().questions:
        if question.key in values or question.key in skip or not asked(question, values):
            continue
        codes = worlds.codes[question.key]
        rest = 0.0
        for code in np.unique(codes):
            here = codes == code
            share = float(worlds.weights[here].sum())
            if share > 0:
                rest += share * _entropy((worlds.weights[here] / share) @ by_world[here])
        found.append(OpenQuestion(question.key, max(0.0, overall - rest), True))
    return tuple(sorted(found, key=lambda one: -one.gain))


def could_flip(
    values: Mapping[str, Value], key: str, approach: str, *, shifts: Mapping[str, float] | None = None
) -> bool:
    """Whether some usual answer to the question makes another approach the best."""
    known = load_knowledge()
    return any(
        best_approach({**values, key: value}, knowledge=known, shifts=shifts) != approach
        for value in known.usual_values(key)
    )


def reversals(
    values: Mapping[str, Value],
    recommendation: Recommendation,
    *,
    knowledge: Knowledge | None = None,
    shifts: Mapping[str, float] | None = None,
) -> tuple[Reversal, ...]:
    """For each reason that favours the advised approach over the runner-up: the lead it gives, and the lead at which
    the two draw level (the rank-reversal weight), if all else stays as it is. Smallest relative change first."""
    known = knowledge or load_knowledge()
    best, second = recommendation.approach, recommendation.runner_up
    if second is None:
        return ()
    loss = _points_to_level(values, best, second, known=known, shifts=shifts)
    votes: dict[str, list[Vote]] = {}
    for vote in votes_for(values, knowledge=known):
        if vote.approach in (best, second):
            votes.setdefault(vote.rule, []).append(vote)
    found = []
    for rule, both in votes.items():
        given = sum(vote.weight if vote.approach == best else -vote.weight for vote in both)
        if given > 0.05:
            found.append(Reversal(rule, both[0].reason, given, given - loss))
    return tuple(sorted(found, key=lambda one: (one.weight - one.needed) / one.weight)[:MOST])


def _points_to_level(
    values: Mapping[str, Value],
    best: str,
    second: str,
    *,
    known: Knowledge,
    shifts: Mapping[str, float] | None,
) -> float:
    """Points that the best approach has to lose until the second has the same odds, by bisection; at most 40."""
    worlds, low, high = worlds_for(values, known), 0.0, 40.0
    places = APPROACHES.index(best), APPROACHES.index(second)
    for _ in range(20):
        middle = (low + high) / 2
        moved = {**(shifts or {}), best: (shifts or {}).get(best, 0.0) - middle}
        found = worlds.weights @ odds_by_world(worlds, known, shifts=moved)
        low, high = (middle, high) if found[places[0]] > found[places[1]] else (low, middle)
    return high


def _flips(
    values: Mapping[str, Value], approach: str, known: Knowledge, shifts: Mapping[str, float] | None
) -> Iterator[Flip]:
    """For each question that makes sense, the nearest other answer that makes another approach the best."""
    for question in load_questionnaire().questions:
        if not asked(question, values):
            continue
        was = values.get(question.key)
        for value in _nearest_first(_candidates(question.key, values, known), was):
            best = best_approach({**values, question.key: value}, knowledge=known, shifts=shifts)
            if value != was and best != approach:
                yield Flip(question.key, was, value, best)
                break


def _candidates(key: str, values: Mapping[str, Value], known: Knowledge) -> tuple[Value, ...]:
    """Values worth trying: the usual ones, and for a known whole number the places where some rule begins to hold."""
    usual = known.usual_values(key)
    if not isinstance(values.get(key), int) or isinstance(values[key], bool):
        return usual
    bounds = [(one, 1) for rule in known.rules for one in rule.when.requirements if one.key == key]
    if key == "labelled_examples":
        classes = int(values.get("classes", 1)) or 1
        rules = (one for rule in known.rules for one in rule.when.requirements)
        bounds += [(one, classes) for one in rules if one.key == "labels_per_class"]
    edges = [edge * scale for one, scale in bounds for edge in (one.least, one.below) if edge is not None]
    return (*usual, *edges, *(edge - 1 for edge in edges if edge > 0))


def _nearest_first(values: tuple[Value, ...], was: Value | None) -> list[Value]:
    """Whole numbers by their ratio to what was said, choices by their distance in the list."""
    if was is None:
        return list(values)
    if isinstance(was, int) and not isinstance(was, bool):
        return sorted(values, key=lambda value: abs(np.log1p(int(value)) - np.log1p(was)))
    place = values.index(was) if was in values else 0
    return sorted(values, key=lambda value: abs(values.index(value) - place))


def _size(flip: Flip, known: Knowledge) -> tuple[bool, float]:
    """Changes of given answers first, the smallest first; then answers to open questions, the likeliest first."""
    if flip.was is None:
        shares = [
            one.shares[one.values.index(flip.now)]
            for one in known.usual
            if one.key == flip.key and flip.now in one.values
        ]
        return True, -max(shares, default=0.0)
    if isinstance(flip.was, int) and not isinstance(flip.was, bool):
        return False, float(abs(np.log1p(int(flip.now)) - np.log1p(flip.was))) / 3
    values = known.usual_values(flip.key)
    return False, float(abs(values.index(flip.now) - values.index(flip.was)))


def _entropy(probabilities: Floats) -> float:
    positive = probabilities[probabilities > 0]
    return float(-(positive * np.log2(positive)).sum())
