"""From answers to a ranking with odds.

Each rule that holds gives points to the approaches. Within a facet the strongest reason for and the strongest against
an approach count whole and further ones a share of it (`Model.echo`), because related reasons are not new evidence.
Points add up to log odds (softmax of points x `nats_per_point`): the usual additive scoring of weights of evidence,
Good 1985, "Weight of evidence: a brief survey".

Unanswered questions are not guessed. The odds are the average over `WORLDS` complete sets of answers, drawn from what
is usual given what is known (`knowledge/usual.toml`); the draw is stratified and always the same, so the same answers
give the same odds. A share of the odds (`Model.surprise`) is spread evenly over what is not ruled out, because
published outcomes often go against what their traits say. A vetoed approach has no odds in the worlds where its veto
holds.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from advisor.questionnaire import Condition, Requirement, load_questionnaire
from advisor.records import APPROACHES, Recommendation, Standing, Value, Veto, Vote
from advisor.rules import Knowledge, Rule, Usual, band, load_knowledge, with_derived

WORLDS = 512
"""Complete sets of answers that are averaged over; one more power of two moves odds by under one point."""

UNUSUAL = 1e-3
"""Likelihood of an answer that is not among the usual ones."""

_MANY = 10**12  # labels a class where there are no classes: no rule on it holds

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Worlds:
    """Complete sets of answers: one array a key, each `WORLDS` long, and the weight of each world."""

    codes: Mapping[str, Ints]
    """Whole numbers as they are; other values by their place in `Question.values`."""
    weights: Floats
    """Add up to 1."""


def recommend(
    values: Mapping[str, Value], *, knowledge: Knowledge | None = None, shifts: Mapping[str, float] | None = None
) -> Recommendation:
    """Rank the approaches for the known answers.

    `shifts` are points from experience (approach -> points). Ties go to the approach that is cheaper to run and change.
    """
    known = knowledge or load_knowledge()
    probabilities = odds(values, knowledge=known, shifts=shifts)
    vetoes = tuple(_vetoes(values, known))
    votes = tuple(votes_for(values, knowledge=known))
    vetoed = {veto.approach for veto in vetoes}
    standings = [
        Standing(
            approach=approach,
            probability=0.0 if approach in vetoed else float(probability),
            band="ruled out" if approach in vetoed else band(known.model, float(probability)),
            votes=tuple(sorted((v for v in votes if v.approach == approach), key=lambda v: -abs(v.weight))),
            vetoes=tuple(veto for veto in vetoes if veto.approach == approach),
        )
        for approach, probability in zip(APPROACHES, probabilities, strict=True)
    ]
    ranked = sorted(standings, key=lambda one: (bool(one.vetoes), -round(one.probability, 9)))
    free = [one.approach for one in ranked if not one.vetoes]
    return Recommendation(free[0], free[1] if len(free) > 1 else None, tuple(ranked))


def odds(
    values: Mapping[str, Value], *, knowledge: Knowledge | None = None, shifts: Mapping[str, float] | None = None
) -> Floats:
    """Odds of each approach in the order of `APPROACHES`; they add up to 1."""
    known = knowledge or load_knowledge()
    worlds = worlds_for(values, known)
    return np.asarray(worlds.weights @ odds_by_world(worlds, known, shifts=shifts), dtype=np.float64)


def odds_by_world(worlds: Worlds, known: Knowledge, *, shifts: Mapping[str, float] | None = None) -> Floats:
    """Odds in each world, shape (WORLDS, approaches); rows add up to 1."""
    points = _points(worlds, known)
    points += [(shifts or {}).get(approach, 0.0) for approach in APPROACHES]
    logits = points * known.model.nats_per_point
    for veto in known.vetoes:
        holds = _mask(veto.when, worlds.codes)
        for approach in veto.against:
            logits[holds, APPROACHES.index(approach)] = -np.inf
    raw = np.exp(logits - logits.max(axis=1, keepdims=True))
    open_to_all = np.isfinite(logits) / np.isfinite(logits).sum(axis=1, keepdims=True)
    surprise = known.model.surprise
    return np.asarray((1 - surprise) * raw / raw.sum(axis=1, keepdims=True) + surprise * open_to_all, dtype=np.float64)


def best_approach(
    values: Mapping[str, Value], *, knowledge: Knowledge, shifts: Mapping[str, float] | None = None
) -> str:
    """The approach that `recommend` advises, without its reasons. What is vetoed has no odds in any world, so the odds
    decide alone."""
    found = odds(values, knowledge=knowledge, shifts=shifts)
    return APPROACHES[int(np.argmax(np.round(found, 9)))]


def code_of(key: str, value: Value) -> int:
    """How an answer stands in `Worlds.codes`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return load_questionnaire().question(key).values.index(value)


def votes_for(values: Mapping[str, Value], *, knowledge: Knowledge) -> Iterator[Vote]:
    """Every reason that certainly holds, as counted: its grade's share and its echo's."""
    full = with_derived(values)
    holding = [rule for rule in knowledge.rules if rule.when.verdict(full) is True]
    for approach in APPROACHES:
        for rule, weight in _counted(holding, approach, knowledge):
            if weight:
                yield Vote(rule.id, approach, weight, rule.reason, rule.sources, rule.grade)


def worlds_for(values: Mapping[str, Value], knowledge: Knowledge) -> Worlds:
    """Draw complete sets of answers, each weighted by how well it goes with what is known (likelihood weighting)."""
    codes: dict[str, Ints] = {}
    log_weights = np.zeros(WORLDS)
    for key in knowledge.usual_keys:
        known = values.get(key)
        drawn = np.zeros(WORLDS, dtype=np.int64) if known is None else np.full(WORLDS, code_of(key, known))
        codes[key] = drawn
        left = np.ones(WORLDS, dtype=np.bool_)
        for usual in (one for one in knowledge.usual if one.key == key):
            here = left & _mask(usual.when, codes)
            left &= ~here
            if known is None:
                drawn[here] = _draw(usual, _uniforms(key)[here])
            else:
                log_weights[here] += np.log(_likelihood(usual, known))
    divisors = np.maximum(codes["classes"], 1)
    codes["labels_per_class"] = np.where(codes["classes"] >= 2, codes["labelled_examples"] // divisors, _MANY)
    weights = np.exp(log_weights - log_weights.max())
    return Worlds(codes, weights / weights.sum())


def _points(worlds: Worlds, knowledge: Knowledge) -> Floats:
    """Points of each approach in each world, shape (WORLDS, approaches)."""
    start = [knowledge.model.start[approach] for approach in APPROACHES]
    points = np.tile(np.array(start, dtype=np.float64), (WORLDS, 1))
    facets: dict[str, list[Floats]] = {}
    for rule in knowledge.rules:
        holds = _mask(rule.when, worlds.codes)
        if holds.any():
            facets.setdefault(rule.facet, []).append(holds[:, None] * _weights(rule, knowledge))
    for votes in facets.values():
        stacked = np.stack(votes)
        for sign in (1, -1):
            part = (sign * stacked).clip(min=0)
            strongest = part.max(axis=0)
            points += sign * (strongest + knowledge.model.echo * (part.sum(axis=0) - strongest))
    return points


def _weights(rule: Rule, knowledge: Knowledge) -> Floats:
    share = knowledge.model.grades[rule.grade]
    return np.array([rule.weights.get(approach, 0.0) * share for approach in APPROACHES])


def _counted(rules: list[Rule], approach: str, knowledge: Knowledge) -> Iterator[tuple[Rule, float]]:
    """Each rule's points for one approach, further ones of a facet and direction at the echo's share."""
    seen: set[tuple[str, bool]] = set()
    grades = knowledge.model.grades
    weighed = [(rule, rule.weights.get(approach, 0.0) * grades[rule.grade]) for rule in rules]
    for rule, weight in sorted(weighed, key=lambda one: -abs(one[1])):
        slot = (rule.facet, weight > 0)
        yield rule, weight * (knowledge.model.echo if slot in seen else 1.0)
        seen.add(slot)


def _vetoes(values: Mapping[str, Value], knowledge: Knowledge) -> Iterator[Veto]:
    full = with_derived(values)
    for rule in knowledge.vetoes:
        if rule.when.verdict(full) is True:
            for approach in rule.against:
                yield Veto(rule.id, approach, rule.reason, rule.sources)


def _mask(when: Condition, codes: Mapping[str, Ints]) -> Bools:
    """In which worlds a condition holds."""
    holds = np.ones(WORLDS, dtype=np.bool_)
    for one in when.requirements:
        holds &= _meets(one, codes[one.key])
    return holds


def _meets(one: Requirement, codes: Ints) -> Bools:
    if one.one_of:
        wanted = [code_of(one.key, value) for value in one.one_of]
        return np.asarray(np.logical_or.reduce([codes == code for code in wanted]))
    least = -1 if one.least is None else one.least
    below = 2 * _MANY * 10**4 if one.below is None else one.below
    return np.asarray((codes >= least) & (codes < below))


@functools.cache
def _uniforms(key: str) -> Floats:
    """Evenly spread numbers in 0..1 in an order of the key's own: each share of worlds is met exactly."""
    seed = int.from_bytes(key.encode(), "little") % 2**32
    return (np.random.default_rng(seed).permutation(WORLDS) + 0.5) / WORLDS


def _draw(usual: Usual, uniforms: Floats) -> Ints:
    codes = np.array([code_of(usual.key, value) for value in usual.values], dtype=np.int64)
    places = np.searchsorted(np.cumsum(usual.shares), uniforms, side="right").clip(0, len(codes) - 1)
    return np.asarray(codes[places])


def _likelihood(usual: Usual, known: Value) -> float:
    """Share of the usual value that a known one stands for: itself, or the nearest whole number in ratio."""
    if isinstance(known, int) and not isinstance(known, bool):
        nearest = min(range(len(usual.values)), key=lambda i: abs(np.log1p(int(usual.values[i])) - np.log1p(known)))
        return usual.shares[nearest]
    return usual.shares[usual.values.index(known)] if known in usual.values else UNUSUAL
