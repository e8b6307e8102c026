"""Intervals and tests where an arm was trained several times: cases and training seeds both vary.

Arrays in, numbers out. An arm tuned with K seeds gives K scores a case, so a comparison is a table of differences,
K seeds x n cases, in which cases and seeds are crossed random effects:

    difference = mean + seed effect + case effect + interaction
    Var(mean)  = seed variance / K + case variance / n + interaction variance / (K n)

(R. L. Brennan, "Generalizability Theory", 2001). The spread over cases of the seed-averaged difference estimates the
last two terms together; the first is what the seeds' means differ by beyond what the interaction explains. More cases
do not lessen it.

With three seeds the first term is known from two degrees of freedom, and a seed variance that came out small by chance
looks certain. Two remedies are taken, whichever reaches further: Student's t with Satterthwaite's degrees of freedom
(Biometrics Bulletin 2, 1946), in which the seeds' mean square counts before the interaction is subtracted, and the two
parts' own reaches added in quadrature (Graybill and Wang, "Confidence intervals on nonnegative linear combinations of
variances", JASA 75, 1980; Zou and Donner, Stat. Med. 27, 2008). By simulation, of which tests/stats/test_seeds.py keeps
the main part, a 95 % interval from three or more seeds then covers 94 to 98 %, or 92 to 97 % where seed and case
interact more strongly than cases differ; Satterthwaite with K - 1 degrees of freedom for the difference fell to 88 %.
Two seeds are too few to be honest about: 87 to 97 %.

Cases of one group (same document, user, template) stay together throughout, as in `paired`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.paired import (
    Floats,
    Interval,
    _around,
    _bootstrap_intervals,
    _distances,
    _reach,
    _standard_error,
    _Units,
    _units,
    mean_interval,
    permutation_p,
)

ROUNDING = 1e-18
"""A variance below this is rounding."""

SMALLEST_P = 1e-12


@dataclass(frozen=True, slots=True)
class Spread:
    """Standard errors of a mean over cases and seeds, in units of the score."""

    case_error: float
    """From the cases (interaction included): what more cases would lessen."""
    seed_error: float
    """From the seeds: what only more training runs would lessen. 0 where the seeds differ by no more than chance."""
    total_error: float
    df: float
    """Effective degrees of freedom of `total_error`."""
    seeds: int


def spread(values: ArrayLike, *, clusters: Sequence[str] | None = None) -> Spread:
    """Where the uncertainty of the mean of `values` comes from.

    `values` has shape (seeds, cases); `clusters` names each case's group. The seeds' part is found by equating mean
    squares, floored at 0. Fewer than two cases (or groups): all NaN. Not a table: ValueError.
    """
    table = _table(values)
    averaged = _units(table.mean(axis=0), clusters)
    if len(averaged.sums) < 2:
        return Spread(math.nan, math.nan, math.nan, math.nan, len(table))
    case_part = _standard_error(averaged) ** 2
    between, interaction = _seed_parts(table, clusters)
    seed_part = between - interaction if between - interaction > ROUNDING else 0.0
    total = case_part + seed_part
    cases_df, seeds_df = len(averaged.sums) - 1, len(table) - 1
    return Spread(
        case_error=math.sqrt(case_part),
        seed_error=math.sqrt(seed_part),
        total_error=math.sqrt(total),
        df=total**2 / (case_part**2 / cases_df + between**2 / seeds_df) if seed_part else float(cases_df),
        seeds=len(table),
    )


def paired_intervals_with_seeds(
    differences: ArrayLike,
    *,
    alphas: Sequence[float],
    resamples: int = 10_000,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
) -> tuple[Interval, ...]:
    """Mean of paired differences over cases and seeds, with its (1 - alpha) interval for each of `alphas`.

    `differences` has shape (seeds, cases), in -1..1; an arm without seeds is repeated for each seed. The half-width is
    `total_error` times the larger of the bootstrap-t quantile of the seed-averaged differences and Student's t with
    the effective degrees of freedom, and no less than both parts' own reaches in quadrature. With one seed, or seeds
    that differ by no more than chance, it is `paired_intervals` of the seed-averaged differences. Fewer than two cases
    (or groups): all of -1..1.
    """
    table = _table(differences)
    found = spread(table, clusters=clusters)
    units = _units(table.mean(axis=0), clusters)
    return _intervals(units, found, alphas=alphas, resamples=resamples, seed=seed, bounds=(-1.0, 1.0))


def mean_interval_with_seeds(
    scores: ArrayLike,
    *,
    alpha: float,
    right_or_wrong: bool,
    resamples: int = 10_000,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
) -> Interval:
    """Mean of one arm's scores over cases and seeds, with its (1 - alpha) interval.

    `scores` has shape (seeds, cases), in 0..1. Seeds that all scored the same, or a single one, give `mean_interval`
    (Wilson's where the scores are right or wrong); otherwise as `paired_intervals_with_seeds`, within 0..1.
    """
    table = _table(scores)
    if (table == table[0]).all():
        return mean_interval(
            table[0], alpha=alpha, right_or_wrong=right_or_wrong, resamples=resamples, seed=seed, clusters=clusters
        )
    found = spread(table, clusters=clusters)
    units = _units(table.mean(axis=0), clusters)
    return _intervals(units, found, alphas=(alpha,), resamples=resamples, seed=seed, bounds=(0.0, 1.0))[0]


def p_with_seeds(
    differences: ArrayLike, *, resamples: int = 10_000, seed: int = 0, clusters: Sequence[str] | None = None
) -> float:
    """Two-sided p that the mean over cases and seeds is 0; `differences` has shape (seeds, cases), in -1..1.

    The largest of the sign-flip p of the seed-averaged differences, which knows of the cases alone, Student's p of
    mean / `total_error`, and the p at which both parts' reaches in quadrature meet the mean. With one seed, or seeds
    that differ by no more than chance, the sign-flip p alone. No case, or a value that is not a number: NaN.
    """
    from scipy.special import stdtr

    table = _table(differences)
    flips = permutation_p(table.mean(axis=0), resamples=resamples, seed=seed, clusters=clusters)
    found = spread(table, clusters=clusters)
    if math.isnan(flips) or not found.seed_error > 0:
        return flips
    mean, units = abs(float(table.mean())), len(_units(table[0], clusters).sums)
    student = 2 * float(stdtr(found.df, -mean / found.total_error))
    return max(flips, student, _quadrature_p(mean, found, units=units))


def _table(values: ArrayLike) -> Floats:
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or not len(table):
        raise ValueError(f"a row a seed and a column a case are needed, got shape {table.shape}")
    return table


def _seed_parts(table: Floats, clusters: Sequence[str] | None) -> tuple[float, float]:
    """What the seeds' means add to the variance of the grand mean, and how much of it the interaction explains."""
    seeds = len(table)
    if seeds == 1:
        return 0.0, 0.0
    means = table.mean(axis=1)
    interaction = table - means[:, None] - table.mean(axis=0) + table.mean()
    errors = [_standard_error(_units(row, clusters)) for row in interaction]
    # The residuals of K seeds add up to zero in every case: K - 1 of them are free.
    explained = sum(error**2 for error in errors) / (seeds - 1)
    return float(means.var(ddof=1)) / seeds, explained / seeds


def _intervals(
    units: _Units,
    found: Spread,
    *,
    alphas: Sequence[float],
    resamples: int,
    seed: int,
    bounds: tuple[float, float],
) -> tuple[Interval, ...]:
    of_cases = _bootstrap_intervals(units, alphas=alphas, resamples=resamples, seed=seed, bounds=bounds)
    if not found.seed_error > 0:
        return of_cases
    reaches = _reaches(units, found, alphas=alphas, resamples=resamples, seed=seed)
    with_seeds = (_around(units.mean, reach * found.total_error, bounds=bounds) for reach in reaches)
    # Cases that all moved alike have no spread to resample; what they may have missed is in `of_cases` alone.
    return tuple(
        Interval(wide.estimate, min(wide.low, narrow.low), max(wide.high, narrow.high))
        for wide, narrow in zip(with_seeds, of_cases, strict=True)
    )


def _reaches(units: _Units, found: Spread, *, alphas: Sequence[float], resamples: int, seed: int) -> list[float]:
    """Half-widths in total errors, one for each alpha."""
    distances = np.sort(_distances(units, resamples=resamples, seed=seed))
    of_cases = [_reach(distances, len(units.sums), alpha=alpha) for alpha in alphas]
    return [
        max(reach, _student(found.df, alpha), _quadrature(found, cases=reach, alpha=alpha) / found.total_error)
        for reach, alpha in zip(of_cases, alphas, strict=True)
    ]


def _quadrature(found: Spread, *, cases: float, alpha: float) -> float:
    """Half-width from both parts' own: the cases' reaches `cases` errors, the seeds' Student's t."""
    return math.hypot(cases * found.case_error, _student(found.seeds - 1, alpha) * found.seed_error)


def _quadrature_p(mean: float, found: Spread, *, units: int) -> float:
    """The alpha whose half-width, with Student's t for the cases too, is just `mean`."""
    from scipy.optimize import brentq

    def beyond(alpha: float) -> float:
        return _quadrature(found, cases=_student(units - 1, alpha), alpha=alpha) - mean

    return float(brentq(beyond, SMALLEST_P, 1.0)) if beyond(SMALLEST_P) > 0 else SMALLEST_P


def _student(df: float, alpha: float) -> float:
    from scipy.special import stdtrit

    return -float(stdtrit(df, alpha / 2))
