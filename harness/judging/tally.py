"""What a judge's judgments come to, and whether they may decide anything. No model.

A judge may decide only where people have shown that it judges as they do: Cohen's kappa (J. Cohen, Educ. Psychol. Meas.
20, 1960) of at least 0.6, from where on agreement is called substantial (Landis and Koch, Biometrics 33, 1977), on at
least 50 labels: with 50 of them a kappa of 0.6 is known to about 0.2 either way, with fewer to hardly anything.

And only where the place of an answer does not decide: it must follow the position in fewer than 20 % of comparisons. A
judge that draws A, B or TIE blindly follows it in 2 of 9 (22 %), and one that draws A or B in half; a judge that is not
below what guessing gives has not shown that it reads the answers. At 20 % a fifth of the comparisons are ties by
default, too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.judging.judge import Choice, Judgment
from harness.stats.multiplicity import holm
from harness.stats.paired import Interval, mean_interval, permutation_p, resampled_weights

LEAST_KAPPA = 0.6
LEAST_LABELS = 50
MOST_POSITION_BIAS = 0.2
"""The share of comparisons that follow the position must stay below this."""

_CATEGORIES = ("first", "second", "tie", None)
"""An unreadable verdict is a category of its own, which no person uses: it agrees with nobody."""
_WORTH: dict[Choice, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
_FLIPPED: dict[Choice, Choice] = {"first": "second", "second": "first", "tie": "tie"}

Pair: TypeAlias = tuple[str, str]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HumanLabel:
    """Which of two arms' answers a person found better."""

    case_id: str
    first_arm: str
    second_arm: str
    label: Choice


@dataclass(frozen=True, slots=True)
class PairTally:
    """Two arms before the judge."""

    first_arm: str
    second_arm: str
    wins: int
    """Of the first arm."""
    losses: int
    ties: int
    unreadable: int
    """Comparisons without a verdict; they are in no rate."""
    identical: int
    """Ties that nobody had to judge, the answers being the same."""
    win_rate: float
    """Wins and half of the ties, of all comparisons with a verdict; NaN where there is none."""
    low: float
    high: float
    p: float
    """Sign-flip p of wins against losses; NaN where there is no verdict."""
    p_adjusted: float
    """Holm over all pairs."""


@dataclass(frozen=True, slots=True)
class PositionBias:
    """How often the verdict followed the position instead of the answers."""

    compared: int
    """Comparisons that were asked and read in both orders."""
    follows_a: int
    """The answer shown first won both times."""
    follows_b: int
    share: float
    """NaN where nothing was compared."""
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """The judge against people."""

    labels: int
    """Comparisons that both people and the judge were asked."""
    agreed: int
    kappa: float
    """Cohen's; NaN where all verdicts and labels are the same one, or there are none."""
    low: float
    high: float
    unmatched: int = 0
    """Labels of comparisons that the judge was not asked (unknown to it, or with identical answers)."""


@dataclass(frozen=True, slots=True)
class JudgeStanding:
    """Whether the judge's wins may decide anything, and why."""

    trusted: bool
    reasons: tuple[str, ...]
    """In sentences."""


@dataclass(frozen=True, slots=True)
class Tally:
    """All that a judge's judgments come to."""

    pairs: tuple[PairTally, ...]
    bias: PositionBias
    unreadable: float
    """Share of the comparisons asked that have no verdict; NaN where none was asked."""
    agreement: Agreement | None
    """None: no human labels were given."""
    standing: JudgeStanding


def tally(
    judgments: Sequence[Judgment],
    *,
    labels: Sequence[HumanLabel] = (),
    alpha: float = 0.05,
    resamples: int = 10_000,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
) -> Tally:
    """Count, and say what the count is worth.

    Args:
        judgments: of any number of pairs of arms.
        labels: what people said of the same comparisons; either arm may stand first. Where several people labelled one,
            most of them decide, and an even split is a tie.
        alpha: intervals hold with 1 - alpha.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        groups: case id -> group (document, user) of cases that belong together.

    Raises:
        ValueError: a label is none of first, second and tie.
    """
    draws = _Draws(alpha, resamples, seed, groups or {})
    asked = [judgment for judgment in judgments if judgment.asked]
    bias = _position_bias(asked, draws)
    agreement = _agreement(asked, labels, draws) if labels else None
    return Tally(
        pairs=_pairs(judgments, draws),
        bias=bias,
        unreadable=sum(j.verdict is None for j in asked) / len(asked) if asked else math.nan,
        agreement=agreement,
        standing=standing(bias, agreement),
    )


@dataclass(frozen=True, slots=True)
class _Draws:
    """How intervals are made."""

    alpha: float
    resamples: int
    seed: int
    groups: Mapping[str, str]

    def mean(self, values: Sequence[float], cases: Sequence[str], *, right_or_wrong: bool = False) -> Interval:
        return mean_interval(
            values,
            alpha=self.alpha,
            right_or_wrong=right_or_wrong,
            resamples=self.resamples,
            seed=self.seed,
            clusters=self.clusters(cases),
        )

    def clusters(self, cases: Sequence[str]) -> list[str]:
        """Comparisons of one case are drawn together, and so are cases of one group."""
        return [f"group {self.groups[c]}" if c in self.groups else f"case {c}" for c in cases]


# wins


def _pairs(judgments: Sequence[Judgment], draws: _Draws) -> tuple[PairTally, ...]:
    by_pair: dict[Pair, list[Judgment]] = {}
    for judgment in judgments:
        pair = (judgment.first_arm, judgment.second_arm)
        by_pair.setdefault(pair if pair[::-1] not in by_pair else pair[::-1], []).append(judgment)
    p_values = [_pair_p(pair, of_pair, draws) for pair, of_pair in by_pair.items()]
    return tuple(
        _pair_tally(pair, of_pair, draws, p_values=(p, float(p_adjusted)))
        for (pair, of_pair), p, p_adjusted in zip(by_pair.items(), p_values, holm(p_values), strict=True)
    )


def _verdicts(pair: Pair, judgments: Sequence[Judgment]) -> tuple[list[Choice], list[str]]:
    """The readable verdicts as seen from the pair's first arm, and their cases."""
    read = [(j, j.verdict) for j in judgments if j.verdict is not None]
    seen = [verdict if j.first_arm == pair[0] else _FLIPPED[verdict] for j, verdict in read]
    return seen, [j.case_id for j, _ in read]


def _pair_p(pair: Pair, judgments: Sequence[Judgment], draws: _Draws) -> float:
    verdicts, cases = _verdicts(pair, judgments)
    differences = [2 * _WORTH[verdict] - 1 for verdict in verdicts]
    return permutation_p(differences, resamples=draws.resamples, seed=draws.seed, clusters=draws.clusters(cases))


def _pair_tally(
    pair: Pair, judgments: Sequence[Judgment], draws: _Draws, *, p_values: tuple[float, float]
) -> PairTally:
    verdicts, cases = _verdicts(pair, judgments)
    counts = Counter(verdicts)
    rate = draws.mean([_WORTH[verdict] for verdict in verdicts], cases)
    return PairTally(
        *pair,
        wins=counts["first"],
        losses=counts["second"],
        ties=counts["tie"],
        unreadable=len(judgments) - len(verdicts),
        identical=sum(not j.asked for j in judgments),
        win_rate=rate.estimate,
        low=rate.low,
        high=rate.high,
        p=p_values[0],
        p_adjusted=p_values[1],
    )


# position


def _position_bias(asked: Sequence[Judgment], draws: _Draws) -> PositionBias:
    """How often the same letter won in both orders."""
    read = [j for j in asked if j.forward is not None and j.backward is not None]
    follows_a = [j.forward == "first" and j.backward == "second" for j in read]
    follows_b = [j.forward == "second" and j.backward == "first" for j in read]
    values = [float(a or b) for a, b in zip(follows_a, follows_b, strict=True)]
    share = draws.mean(values, [j.case_id for j in read], right_or_wrong=True)
    return PositionBias(len(read), sum(follows_a), sum(follows_b), share.estimate, low=share.low, high=share.high)


# people


def _agreement(asked: Sequence[Judgment], labels: Sequence[HumanLabel], draws: _Draws) -> Agreement:
    said = _by_comparison(labels)
    matched = [(j, label) for j in asked if (label := said.pop(_key(j), None))]
    codes = [(_category(j), _CATEGORIES.index(label)) for j, label in matched]
    kappa = _kappa(codes, [j.case_id for j, _ in matched], draws)
    agreed = sum(judge == person for judge, person in codes)
    return Agreement(len(codes), agreed, kappa.estimate, low=kappa.low, high=kappa.high, unmatched=len(said))


def _key(item: Judgment | HumanLabel) -> tuple[str, str, str]:
    """The comparison, whichever arm stands first."""
    return (item.case_id, *_ordered(item))


def _ordered(item: Judgment | HumanLabel) -> Pair:
    low, high = sorted((item.first_arm, item.second_arm))
    return low, high


def _turned(choice: Choice, item: Judgment | HumanLabel) -> Choice:
    """A choice as seen from the arm whose name comes first in the alphabet."""
    return choice if item.first_arm == _ordered(item)[0] else _FLIPPED[choice]


def _category(judgment: Judgment) -> int:
    verdict = judgment.verdict
    return _CATEGORIES.index(None if verdict is None else _turned(verdict, judgment))


def _by_comparison(labels: Sequence[HumanLabel]) -> dict[tuple[str, str, str], Choice]:
    votes: dict[tuple[str, str, str], Counter[Choice]] = {}
    for label in labels:
        if label.label not in _WORTH:
            raise ValueError(f"A label is first, second or tie, not {label.label!r}.")
        votes.setdefault(_key(label), Counter())[_turned(label.label, label)] += 1
    return {key: _majority(counts) for key, counts in votes.items()}


def _majority(counts: Counter[Choice]) -> Choice:
    most = max(counts.values())
    leading = [choice for choice, count in counts.items() if count == most]
    return leading[0] if len(leading) == 1 else "tie"


def _kappa(codes: Sequence[tuple[int, int]], cases: Sequence[str], draws: _Draws) -> Interval:
    """Cohen's kappa with its percentile bootstrap interval."""
    size = len(_CATEGORIES)
    cells = np.zeros((len(codes), size * size))
    for row, (judge, person) in enumerate(codes):
        cells[row, judge * size + person] = 1
    table = cells.sum(axis=0).reshape(1, size, size)
    observed, expected = (float(share[0]) for share in _agreed_and_expected(table))
    if not codes or expected == 1:
        return Interval(math.nan, math.nan, math.nan)
    estimate = (observed - expected) / (1 - expected)
    if observed == 1:  # nothing to resample, yet not everything is known: the lower end of the agreement stands for it
        low = draws.mean([1.0] * len(codes), cases, right_or_wrong=True).low
        return Interval(estimate, (low - expected) / (1 - expected), 1.0)
    return Interval(estimate, *_kappa_quantiles(cells, cases, draws))


def _kappa_quantiles(cells: Floats, cases: Sequence[str], draws: _Draws) -> tuple[float, float]:
    size = len(_CATEGORIES)
    drawn: list[Floats] = []
    for weights in resampled_weights(
        len(cells), resamples=draws.resamples, seed=draws.seed, clusters=draws.clusters(cases)
    ):
        observed, expected = _agreed_and_expected((weights @ cells).reshape(-1, size, size))
        defined = expected < 1
        drawn.append((observed[defined] - expected[defined]) / (1 - expected[defined]))
    low, high = np.quantile(np.concatenate(drawn), (draws.alpha / 2, 1 - draws.alpha / 2))
    return float(low), float(high)


def _agreed_and_expected(tables: Floats) -> tuple[Floats, Floats]:
    """Share of agreement, and the share that the margins alone give; `tables` is (tables, judge, person)."""
    totals = np.maximum(tables.sum(axis=(1, 2)), 1.0)
    observed = np.trace(tables, axis1=1, axis2=2) / totals
    expected = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / totals**2
    return observed, expected


# trust


def standing(bias: PositionBias, agreement: Agreement | None) -> JudgeStanding:
    """Whether the judge may decide: what speaks against it, else what speaks for it."""
    against = [*_against_agreement(agreement), *_against_bias(bias)]
    if against or agreement is None:
        return JudgeStanding(False, tuple(f"{reason}." for reason in against))
    followed = bias.follows_a + bias.follows_b
    return JudgeStanding(
        True,
        (
            f"Kappa {agreement.kappa:.2f} on {agreement.labels} human labels is at least {LEAST_KAPPA}, and the "
            f"verdict followed the position in {followed} of {bias.compared} comparisons: the judge's wins may count.",
        ),
    )


_SHOWN = "the judge's wins are shown, and decide nothing"


def _against_agreement(agreement: Agreement | None) -> list[str]:
    if agreement is None:
        return ["No human labels say whether the judge is right: its wins are a second opinion, and decide nothing"]
    if not agreement.labels:
        return [f"None of the human labels is of a comparison that the judge was asked: {_SHOWN}"]
    found = []
    labels = f"{agreement.labels} human label{'' if agreement.labels == 1 else 's'}"
    if agreement.labels < LEAST_LABELS:
        found.append(f"{labels}, fewer than {LEAST_LABELS}, cannot show that the judge is right: {_SHOWN}")
    if math.isnan(agreement.kappa):
        found.append(f"The judge and {labels} all say the same, so that kappa is not defined: {_SHOWN}")
    elif agreement.kappa < LEAST_KAPPA:
        found.append(f"Kappa {_down(agreement.kappa)} on {labels} is below {LEAST_KAPPA}: {_SHOWN}")
    return found


def _against_bias(bias: PositionBias) -> list[str]:
    if not bias.compared:
        return [f"No comparison could be read in both orders, so that nothing is known of position bias: {_SHOWN}"]
    if bias.share < MOST_POSITION_BIAS:
        return []
    followed = bias.follows_a + bias.follows_b
    return [
        f"The verdict followed the position of the answers in {followed} of {bias.compared} comparisons (the one shown "
        f"first {bias.follows_a} times, the one shown second {bias.follows_b} times), where less than "
        f"{MOST_POSITION_BIAS:.0%} is asked: {_SHOWN}".replace("%", " %")
    ]


def _down(value: float) -> str:
    """Two decimals, never rounded up to the threshold that was missed."""
    return f"{math.floor(value * 100 + 1e-9) / 100:.2f}".replace("-", "−")
