"""Constructed evidence for the decision rule."""

from itertools import combinations

from harness.experiment.compare import compare_arms
from harness.experiment.decide import decide
from harness.experiment.score import CaseScore, arm_scores
from harness.records import ArmScore, Comparison, Cost
from harness.scenario import Case, DecisionRule, Kind

SURE, UNSURE = 0.001, 0.4
NARROW, WIDE = 0.02, 0.12


def rule(**changes):
    return DecisionRule(**{"metric": "accuracy", "margin": 0.05, **changes})


def compared(first, second, difference, *, half=NARROW, p=SURE, n=100):
    bounds = (difference - half, difference + half, difference - 0.84 * half, difference + 0.84 * half)
    return Comparison("accuracy", first, second, n, 0, 0, difference, *bounds, p, p, "exact McNemar", 1, 1)


def evidence(values, gaps=None, *, n=100, failed=None):
    """Scores, and comparisons of all pairs: sure and narrow unless `gaps` says (half-width, p) for a pair."""
    gaps, failed = gaps or {}, failed or {}
    scores = [ArmScore(a, "accuracy", v, v - 0.08, v + 0.08, n, failed.get(a, 0)) for a, v in values.items()]
    pairs = []
    for first, second in combinations(values, 2):
        half, p = gaps.get((first, second), (NARROW, SURE))
        pairs.append(compared(first, second, values[first] - values[second], half=half, p=p, n=n))
    return scores, pairs


def decided(values, gaps=None, *, n=100, failed=None, left_out=(), costs=(), **changes):
    scores, pairs = evidence(values, gaps, n=n, failed=failed)
    return decide(scores, pairs, rule=rule(**changes), left_out=left_out, costs=costs)


def cost(arm, tokens_in, tokens_out=5, train_tokens=0):
    return Cost(arm, tokens_in, tokens_out, None, None, 0, 0.0, train_tokens, 0.0)


OPEN = (WIDE, UNSURE)
LEVEL = (NARROW, UNSURE)


def rows(arm, values, metric, failed=()):
    return [CaseScore(str(i), arm, "a", i in failed, {metric: float(v)}) for i, v in enumerate(values)]


def judged(metric="accuracy", *, group=None, failed=None, **values):
    """Case scores through comparison and decision."""
    n = len(next(iter(values.values())))
    own = rule(metric=metric, resamples=999)
    cases = [Case(str(i), "x", "y", group=group(i) if group else None) for i in range(n)]
    every = [row for arm, v in values.items() for row in rows(arm, v, metric, (failed or {}).get(arm, ()))]
    kind = Kind.LABELS if metric == "accuracy" else Kind.FREE_TEXT
    scores = [s for s in arm_scores(every, cases, rule=own, kind=kind) if s.metric == metric]
    return decide(scores, compare_arms(every, cases, rule=own, metric=metric, arms=list(values)), rule=own)
