"""From scores and comparisons to the verdict. The rule, in the words a client can hold us to:

1. To choose, at least two approaches must have answered something. An approach that failed on every case is out. With
   one left the verdict is `could_not_compare`, or `none_useful` where even that one is not worth having (3).
2. With fewer cases than the rule asks for the verdict is `not_enough_cases`.
3. An approach is *useful* if it is significantly better than the control, which always gives the commonest answer. If
   none is, the verdict is `none_useful`; but if one leads the control by the margin or more and this is merely not
   significant, it is `not_enough_cases`. Where the rule sets a target and the best useful approach misses it, the
   verdict is `none_useful`; where some reach it, only they can be recommended.
4. The *best* is the useful approach with the highest mean. It *beats* another if it is significantly better (adjusted
   p below alpha) and either leads by the margin or more, or is the cheaper of the two. If it beats all others the
   verdict is `winner`.
5. Otherwise the best and all that it does not beat are the *tie set*, and the cheapest useful approach in it is looked
   at. If no other in the set is better than it by more than the margin (upper end of the one-sided interval at level
   alpha), the verdict is `tie` and the cheapest is recommended. If not, it is `not_enough_cases`: nothing is
   recommended, and the number of cases that would settle the widest open gap is given.

An approach that was stopped early (`harness.experiment.early`) was shown to be worse than another by more than the
margin; it is out of the choice, and whatever beats the one that stopped it beats it too.

Approaches that are not significantly better than the control cannot be recommended, but they can stand in the tie set:
"significant" beside "not significant" is no significant difference, and must not make a winner.

*Cheaper* is the order prompt, few-shot, nearest shots, RAG, LoRA, RAG + LoRA, others last (`records.LADDER`), unless
measured cost says otherwise: an approach later in the order counts as cheaper if one request costs less than half
(`request_cost`). All differences are paired, p-values are Holm-adjusted over all pairs. A test or an interval that
could not be computed never makes an approach better, worse or equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist

from harness.experiment.wording import REQUESTS_PER_TRAINING, Reason, sentences_for
from harness.records import (
    CONTROL,
    LADDER,
    ArmScore,
    Comparison,
    Cost,
    LeftOut,
    Stopped,
    Verdict,
    VerdictKind,
    seen_from,
)
from harness.scenario import DecisionRule
from harness.stats.power import cases_for

OUTPUT_TOKEN_WEIGHT = 4.0
"""A generated token costs about four times a read one: the usual price ratio of hosted models, and locally decoding
is the slow part."""

TRAINING_TOKEN_WEIGHT = 3.0
"""A trained token costs about three times a read one: forward and backward pass."""

CHEAPER_BY = 0.5
"""The order of the ladder yields only to a request cost below this share: less would not outweigh the upkeep."""

MOST_CASES = 10_000
"""Above this a number of cases is no plan any more; `cases_needed` stops here and the words say so."""

ROUNDING = 1e-9
"""Three of sixty cases are a lead of 5 points, whatever the last binary digit says."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Scores and comparisons on the rule's metric, looked up by arm."""

    scores: dict[str, ArmScore]
    """Best first; arms without a mean left out."""
    comparisons: tuple[Comparison, ...]
    rule: DecisionRule
    costs: dict[str, Cost]
    stopped: dict[str, str] = field(default_factory=dict)
    """Arm that was stopped early -> the arm that it was shown to be worse than."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """Arms that can be recommended at all, best first: not the control, at least one answer, not stopped."""
        answering = (arm for arm, score in self.scores.items() if arm != CONTROL and score.failed < score.n)
        return tuple(arm for arm in answering if arm not in self.stopped)

    @property
    def cases(self) -> int:
        """Cases that were answered or tried."""
        return max((score.n for score in self.scores.values()), default=0)

    @property
    def independent(self) -> int:
        """Cases, or groups of cases where the comparisons count groups."""
        whole = (one for one in self.comparisons if not {one.first, one.second} & set(self.stopped))
        groups = [one.clusters for one in whole if one.clusters is not None]
        return min([self.cases, *groups])

    def between(self, first: str, second: str) -> Comparison | None:
        """Their comparison seen from `first`; None where they were not compared."""
        pair = {first, second}
        found = next((one for one in self.comparisons if {one.first, one.second} == pair), None)
        return None if found is None else seen_from(found, first)

    def is_better(self, first: str, second: str) -> bool:
        """Significantly; False where it could not be tested."""
        found = self.between(first, second)
        return found is not None and found.p_adjusted < self.rule.alpha and found.difference > 0

    def leads_by_margin(self, first: str, second: str) -> bool:
        """Whether the difference seen reaches the margin, by chance or not."""
        found = self.between(first, second)
        return found is not None and found.difference >= self.rule.margin - ROUNDING

    def beats(self, first: str, second: str) -> bool:
        """Significantly better, and by the margin or the cheaper of the two."""
        by = self.stopped.get(second)
        if by is not None and first not in self.stopped and (first == by or self.is_better(first, by)):
            return True
        worthwhile = self.leads_by_margin(first, second) or self.is_cheaper(first, second)
        return worthwhile and self.is_better(first, second)

    def is_cheaper(self, first: str, second: str) -> bool:
        """By the ladder, unless one request costs less than half of the other's."""
        costs = [self.costs.get(arm) for arm in (first, second)]
        if costs[0] is not None and costs[1] is not None:
            one, other = request_cost(costs[0]), request_cost(costs[1])
            if one < CHEAPER_BY * other or other < CHEAPER_BY * one:
                return one < other
        return _place(first) < _place(second)

    def cheapest(self, arms: Sequence[str]) -> str:
        """First in the ladder, unless a later one costs less than half of the cheapest so far."""
        in_order = sorted(arms, key=_place)
        found = in_order[0]
        for arm in in_order[1:]:
            found = arm if self.is_cheaper(arm, found) else found
        return found

    def is_no_better_by_margin(self, first: str, second: str) -> bool:
        """Whether `first` is shown to exceed `second` by the margin at most; False where this is open."""
        found = self.between(first, second)
        return found is not None and found.high_equivalence <= self.rule.margin + ROUNDING

    def shown_below_target(self, arm: str) -> bool:
        """Whether the whole interval of its score lies below the target."""
        return self.rule.target is not None and self.scores[arm].high < self.rule.target

    def reaches_target(self, arm: str) -> bool:
        """Whether its mean does; True where there is no target."""
        return self.rule.target is None or self.scores[arm].value >= self.rule.target - ROUNDING


@dataclass(frozen=True, slots=True)
class _Outcome:
    kind: VerdictKind
    reason: Reason
    arm: str | None = None
    tied: tuple[str, ...] = ()
    cases_needed: int | None = None


def decide(
    scores: Sequence[ArmScore],
    comparisons: Sequence[Comparison],
    *,
    rule: DecisionRule,
    left_out: Sequence[LeftOut] = (),
    costs: Sequence[Cost] = (),
    stopped: Sequence[Stopped] = (),
) -> Verdict:
    """The verdict by the rule in this module's docstring; scores and comparisons on other metrics are ignored.

    `costs`, where measured, may overrule the ladder in the question of which arm is cheaper.
    """
    own = sorted((score for score in scores if score.metric == rule.metric), key=lambda one: -_or_lowest(one.value))
    compared = tuple(one for one in comparisons if one.metric == rule.metric)
    outcome = _outcome(evidence_for(own, compared, rule=rule, costs=costs, stopped=stopped))
    verdict = Verdict(
        kind=outcome.kind,
        arm=outcome.arm,
        tied=outcome.tied,
        metric=rule.metric,
        margin=rule.margin,
        alpha=rule.alpha,
        scores=tuple(own),
        comparisons=compared,
        left_out=tuple(left_out),
        rule_digest=rule.digest,
        cases_needed=outcome.cases_needed,
        stopped=tuple(stopped),
    )
    return replace(verdict, sentences=sentences_for(verdict, outcome.reason, rule=rule))


def evidence_for(
    scores: Sequence[ArmScore],
    comparisons: Sequence[Comparison],
    *,
    rule: DecisionRule,
    costs: Sequence[Cost] = (),
    stopped: Sequence[Stopped] = (),
) -> Evidence:
    """Scores (best first) and comparisons on the rule's metric, made ready to be asked."""
    known = {score.arm: score for score in scores if not math.isnan(score.value)}
    by = {one.arm: one.by for one in stopped}
    return Evidence(known, tuple(comparisons), rule, {cost.arm: cost for cost in costs}, by)


def request_cost(cost: Cost) -> float:
    """What one request costs, in tokens read: prompt, weighted output and its part of the training."""
    training = TRAINING_TOKEN_WEIGHT * cost.train_tokens / REQUESTS_PER_TRAINING
    return cost.tokens_in + OUTPUT_TOKEN_WEIGHT * cost.tokens_out + training


def _outcome(evidence: Evidence) -> _Outcome:
    candidates = evidence.candidates
    if not candidates:
        return _Outcome(VerdictKind.COULD_NOT_COMPARE, Reason.NO_ANSWERS)
    if len(candidates) == 1 and not evidence.stopped:
        return _single(evidence, candidates[0])
    if evidence.independent < evidence.rule.fewest_cases:
        fewest = evidence.rule.fewest_cases
        return _Outcome(VerdictKind.NOT_ENOUGH_CASES, Reason.FEW_CASES, tied=candidates, cases_needed=fewest)
    useful = _useful(evidence)
    if not useful:
        return _without_lead(evidence)
    if not evidence.reaches_target(useful[0]):
        return _Outcome(VerdictKind.NONE_USEFUL, Reason.TARGET_MISSED)
    return _choose(evidence, tuple(arm for arm in useful if evidence.reaches_target(arm)))


def _single(evidence: Evidence, arm: str) -> _Outcome:
    """One arm: it can be found useless, but not the best."""
    if evidence.independent >= evidence.rule.fewest_cases:
        if not evidence.reaches_target(arm):
            return _Outcome(VerdictKind.NONE_USEFUL, Reason.TARGET_MISSED)
        if not _useful(evidence) and not evidence.leads_by_margin(arm, CONTROL):
            return _Outcome(VerdictKind.NONE_USEFUL, Reason.NO_LEAD)
    return _Outcome(VerdictKind.COULD_NOT_COMPARE, Reason.ONE_ARM)


def _useful(evidence: Evidence) -> tuple[str, ...]:
    """Candidates significantly better than the control, best first; all of them where no control took part."""
    if CONTROL not in evidence.scores:
        return evidence.candidates
    return tuple(arm for arm in evidence.candidates if evidence.is_better(arm, CONTROL))


def _without_lead(evidence: Evidence) -> _Outcome:
    """No candidate is significantly better than the control: because none is, or for want of cases?"""
    leading = tuple(arm for arm in evidence.candidates if evidence.leads_by_margin(arm, CONTROL))
    if not leading:
        return _Outcome(VerdictKind.NONE_USEFUL, Reason.NO_LEAD)
    needed = _cases_to_settle(evidence, [evidence.between(leading[0], CONTROL)])
    return _Outcome(VerdictKind.NOT_ENOUGH_CASES, Reason.UNSURE_LEAD, tied=leading, cases_needed=needed)


def _choose(evidence: Evidence, eligible: tuple[str, ...]) -> _Outcome:
    """Among useful arms (best first) that reach the target, if there is one."""
    best = eligible[0]
    tied = tuple(arm for arm in evidence.candidates if arm == best or not evidence.beats(best, arm))
    if tied == (best,):
        return _Outcome(VerdictKind.WINNER, Reason.SETTLED, arm=best, tied=tied)
    cheapest = evidence.cheapest([arm for arm in tied if arm in eligible])
    others = [arm for arm in tied if arm != cheapest]
    still_open = [arm for arm in others if not evidence.is_no_better_by_margin(arm, cheapest)]
    if not still_open:
        return _Outcome(VerdictKind.TIE, Reason.SETTLED, arm=cheapest, tied=tied)
    needed = _cases_to_settle(evidence, [evidence.between(arm, cheapest) for arm in still_open])
    return _Outcome(VerdictKind.NOT_ENOUGH_CASES, Reason.OPEN_GAP, tied=tied, cases_needed=needed)


def _cases_to_settle(evidence: Evidence, gaps: Sequence[Comparison | None]) -> int:
    """Cases in all that would settle every gap with 80 % power, if the differences seen are the true ones."""
    needed = max(_cases_for_gap(gap, evidence) if gap is not None else MOST_CASES for gap in gaps)
    return _rounded_up(max(needed, evidence.cases + 1))


def _cases_for_gap(gap: Comparison, evidence: Evidence) -> int:
    """Whichever takes fewer cases: to show a worthwhile lead, or to show that there is none.

    The sd of the paired differences is read back from the interval's width, so that groups count as what they tell.
    A lead has to survive Holm's first step, alpha over the number of pairs; equivalence is a one-sided test.
    """
    if gap.first_only == gap.second_only == 0:
        return _cases_without_a_difference(evidence.rule)
    rule = evidence.rule
    if math.isnan(gap.difference + gap.high - gap.low):
        return MOST_CASES
    error = (gap.high - gap.low) / 2 / NormalDist().inv_cdf(1 - rule.alpha / 2)
    sd = math.sqrt(max(0.0, error**2 - gap.seed_error**2) * gap.n)
    lead, missing = abs(gap.difference), rule.margin - gap.difference
    if gap.seed_error:  # what the seeds alone make uncertain, no number of cases takes away
        steps = NormalDist().inv_cdf(1 - rule.alpha / 2) + NormalDist().inv_cdf(0.8)
        taken = steps * gap.seed_error
        lead, missing = (math.copysign(math.sqrt(max(0.0, v * v - taken * taken)), v) for v in (lead, missing))
    routes = [MOST_CASES]
    if missing > ROUNDING:
        routes.append(cases_for(missing, sd=sd, alpha=2 * rule.alpha))
    if lead > ROUNDING and (gap.difference < 0 or missing <= ROUNDING):
        routes.append(cases_for(lead, sd=sd, alpha=rule.alpha / len(evidence.comparisons)))
    return min(routes)


def _cases_without_a_difference(rule: DecisionRule) -> int:
    """Cases on which two arms must agree so that a difference beyond the margin is ruled out: Wilson's bound for n of
    n, z^2 / (n + z^2) <= margin, solved for n."""
    if rule.margin <= 0:
        return MOST_CASES
    z = NormalDist().inv_cdf(1 - rule.alpha)
    return math.ceil(z * z * (1 - rule.margin) / rule.margin)


def _rounded_up(cases: int) -> int:
    """To a number that does not pretend to be exact, at most `MOST_CASES`."""
    step = 10 if cases <= 200 else 50 if cases <= 1_000 else 100
    return min(MOST_CASES, math.ceil(cases / step) * step)


def _place(arm: str) -> tuple[int, str]:
    """Where an arm stands in the ladder; arms of one's own come last, by name."""
    return (LADDER.index(arm) if arm in LADDER else len(LADDER), arm)


def _or_lowest(value: float) -> float:
    return -math.inf if math.isnan(value) else value
