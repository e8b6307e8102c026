"""How far two judges, or an arm's answers to several wordings of one question, agree. Labels in, numbers out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from harness.stats.paired import Floats, Interval, mean_interval


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Agreement of two judges beyond what their habits alone would give: 1 is perfect, 0 chance, below 0 worse.

    One label a case from each (J. Cohen, Educ. Psychol. Meas. 20, 1960; scikit-learn's `cohen_kappa_score`). NaN where
    there is no case, or where both gave one and the same label throughout: agreement by chance is then certain and
    kappa 0 / 0. Lengths that differ: ValueError.
    """
    if len(first) != len(second):
        raise ValueError(f"a label a case from each is needed: {len(first)} and {len(second)}")
    if len({*first, *second}) < 2:
        return math.nan
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(list(first), list(second)))


def agreeing_pairs(answers: Sequence[Sequence[str]]) -> Floats:
    """Share of pairs of a case's answers that are the same, in 0..1; shape (cases,).

    With counts c of each answer among k: sum of c (c - 1) over k (k - 1) (J. L. Fleiss, Psychol. Bull. 76, 1971, his
    P_i). NaN for a case with fewer than two answers.
    """
    return np.array([_agreeing(Counter(case)) for case in answers], dtype=float)


def agreement_rate(
    answers: Sequence[Sequence[str]],
    *,
    alpha: float = 0.05,
    resamples: int = 10_000,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
) -> Interval:
    """Mean over cases of the share of pairs of answers that agree, with its (1 - alpha) interval.

    `answers` has one list a case: its answers to as many wordings; what counts as the same answer (case, spaces) is the
    caller's to settle beforehand. `clusters` names each case's group. Cases with fewer than two answers are left out;
    where none remains the estimate is NaN. The interval is `mean_interval`'s, Wilson's where every case is all or
    nothing.
    """
    if clusters is not None and len(clusters) != len(answers):
        raise ValueError(f"one cluster a case is needed: {len(answers)} cases, {len(clusters)} clusters")
    shares = agreeing_pairs(answers)
    told = np.flatnonzero(~np.isnan(shares))
    kept = shares[told]
    return mean_interval(
        kept,
        alpha=alpha,
        right_or_wrong=bool(np.isin(kept, (0.0, 1.0)).all()),
        resamples=resamples,
        seed=seed,
        clusters=None if clusters is None else [clusters[case] for case in told.tolist()],
    )


def _agreeing(counts: Counter[str]) -> float:
    answers = counts.total()
    if answers < 2:
        return math.nan
    return sum(count * (count - 1) for count in counts.values()) / (answers * (answers - 1))
