"""Intervals and tests for scores that were measured on the same cases.

Arrays in, numbers out; scores lie in 0..1, so differences lie in -1..1. Nothing is read, written or printed, and the
same seed gives the same numbers.

Which interval, and why. Everything that is not a plain share of right answers gets a symmetric studentised bootstrap
interval (bootstrap-t; P. Hall, "On symmetric bootstrap confidence intervals", JRSS B 50, 1988): the cases are drawn
again with replacement, each draw is measured in its own standard errors from the observed mean, and the 1 - alpha
quantile of these distances replaces Student's t. It was chosen by simulation (tests/stats/test_paired_coverage.py
keeps the main part) at 30 to 300 cases on right/wrong, graded, skewed and mostly-zero differences: the percentile
interval, also on the scale expanded by sqrt(n / (n - 1)) and Student's t, fell to 87-92 % cover at 60 cases where one
arm is only ever better, and BCa to 84-92 % where arms seldom differ. When few cases differ, some draws have next to no
spread and the quantile grows without bound, so it is held at 1.5 times Student's t.

Cases of one group (same document, user, template) are drawn and flipped together, and the standard error is the
cluster-robust one (E. Miller, "Adding error bars to evals", arXiv 2411.00640, 2024).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]

CELLS_PER_CHUNK = 1_000_000
"""Resampled values held at once: about 8 MB an array, which also stays in the processor's cache."""

LONGEST_TAIL = 1.5
"""The bootstrap-t quantile may exceed Student's by this factor and no more."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with the interval around it."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Units:
    """What is resampled: a case, or a cluster of cases. Sum of its values and how many they are."""

    sums: Floats
    sizes: Floats

    @property
    def mean(self) -> float:
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def single(self) -> bool:
        return bool((self.sizes == 1).all())


def mean_interval(
    values: ArrayLike,
    *,
    alpha: float,
    right_or_wrong: bool,
    resamples: int = 10_000,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
) -> Interval:
    """Mean of one arm's scores with its (1 - alpha) interval.

    `values` has one score in 0..1 a case; `clusters`, of the same length, names each case's group. Right/wrong scores
    without groups get Wilson's interval (E. B. Wilson, JASA 22, 1927), all others the bootstrap of this module. Fewer
    than two cases (or groups) say nothing of the spread: the interval is then all of 0..1. No case: estimate NaN.
    """
    units = _units(values, clusters)
    if right_or_wrong and units.single and len(units.sums):
        n = len(units.sums)
        return _wilson(float(units.sums.sum()), n, alpha=alpha)
    return _bootstrap_intervals(units, alphas=(alpha,), resamples=resamples, seed=seed, bounds=(0.0, 1.0))[0]


def paired_interval(
    differences: ArrayLike,
    *,
    alpha: float,
    resamples: int = 10_000,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
) -> Interval:
    """Mean of paired differences (one a case, in -1..1) with its (1 - alpha) interval.

    Differences that are all zero leave room for a difference that these cases did not show (`_constant_interval`).
    Fewer than two cases (or groups) give all of -1..1.
    """
    return paired_intervals(differences, alphas=(alpha,), resamples=resamples, seed=seed, clusters=clusters)[0]


def paired_intervals(
    differences: ArrayLike,
    *,
    alphas: Sequence[float],
    resamples: int = 10_000,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
) -> tuple[Interval, ...]:
    """Like `paired_interval`, one interval for each alpha, all from the same resamples."""
    units = _units(differences, clusters)
    return _bootstrap_intervals(units, alphas=alphas, resamples=resamples, seed=seed, bounds=(-1.0, 1.0))


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """Two-sided exact p: cases only the first got right against cases only the second got right.

    Under equal arms each such case is a fair coin, so p = min(1, 2 P[Binomial(m, 1/2) <= min]) (Q. McNemar,
    Psychometrika 12, 1947, in its exact form). No such case at all: p = 1.
    """
    from scipy.special import bdtr

    fewer, total = min(first_only, second_only), first_only + second_only
    return min(1.0, 2 * float(bdtr(fewer, total, 0.5))) if total else 1.0


def permutation_p(
    differences: ArrayLike,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
) -> float:
    """Two-sided sign-flip p of paired differences (one a case); groups are flipped as one.

    p = (hits + 1) / (resamples + 1), which never is 0 (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010). All
    differences zero: p = 1. No case, or a value that is not a number: NaN.
    """
    sums = _units(differences, clusters).sums
    if not len(sums) or not np.isfinite(sums).all():
        return math.nan
    sizes = np.abs(sums[sums != 0])
    if not len(sizes):
        return 1.0
    observed = abs(float(sums.sum())) * (1 - 1e-9)
    rng = np.random.default_rng(seed)
    hits = sum(_flips_as_far(sizes, observed, rng=rng, rows=rows) for rows in _chunks(resamples, len(sizes)))
    return (hits + 1) / (resamples + 1)


def resampled_weights(
    n: int, *, resamples: int, seed: int, clusters: Sequence[str] | None = None
) -> Iterator[NDArray[np.int64]]:
    """How often each of `n` cases is drawn, (rows, n) at a time, `resamples` rows in all.

    For statistics that are no mean, such as macro F1. Groups are drawn as one.
    """
    codes = np.arange(n) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    units = int(codes.max()) + 1 if n else 0
    rng = np.random.default_rng(seed)
    for rows in _chunks(resamples, max(n, 1)):
        drawn = rng.integers(0, units, (rows, units)) + np.arange(rows)[:, None] * units
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units)[:, codes]


def _units(values: ArrayLike, clusters: Sequence[str] | None) -> _Units:
    flat = np.asarray(values, dtype=float)
    if clusters is None:
        return _Units(flat, np.ones_like(flat))
    if len(clusters) != len(flat):
        raise ValueError(f"one cluster a value is needed: {len(flat)} values, {len(clusters)} clusters")
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    return _Units(np.bincount(codes, weights=flat).astype(float), np.bincount(codes).astype(float))


def _wilson(hits: float, n: int, *, alpha: float) -> Interval:
    z = NormalDist().inv_cdf(1 - alpha / 2)
    share, scale = hits / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, min(max(0.0, middle - half), share), max(min(1.0, middle + half), share))


def _bootstrap_intervals(
    units: _Units, *, alphas: Sequence[float], resamples: int, seed: int, bounds: tuple[float, float]
) -> tuple[Interval, ...]:
    n = len(units.sums)
    if n < 2:
        return tuple(Interval(units.mean if n else math.nan, *bounds) for _ in alphas)
    error = _standard_error(units)
    if error < 1e-9:
        return tuple(_constant_interval(units.mean, n, alpha=alpha, bounds=bounds) for alpha in alphas)
    distances = np.sort(_distances(units, resamples=resamples, seed=seed))
    return tuple(_around(units.mean, _reach(distances, n, alpha=alpha) * error, bounds=bounds) for alpha in alphas)


def _around(mean: float, half: float, *, bounds: tuple[float, float]) -> Interval:
    return Interval(mean, max(bounds[0], mean - half), min(bounds[1], mean + half))


def _constant_interval(value: float, n: int, *, alpha: float, bounds: tuple[float, float]) -> Interval:
    """Where every unit shows the same value there is nothing to resample, yet not everything is known.

    By Wilson at least the share `alike` of all cases behaves like these; the rest may lie anywhere in the bounds.
    """
    alike = _wilson(n, n, alpha=alpha).low
    return Interval(value, alike * value + (1 - alike) * bounds[0], alike * value + (1 - alike) * bounds[1])


def _reach(distances: Floats, n: int, *, alpha: float) -> float:
    """Half-width in standard errors: the bootstrap-t quantile, held at `LONGEST_TAIL` times Student's."""
    from scipy.special import stdtrit

    place = min(len(distances), math.ceil((1 - alpha) * (len(distances) + 1))) - 1
    return min(float(distances[place]), LONGEST_TAIL * float(stdtrit(n - 1, 1 - alpha / 2)))


def _standard_error(units: _Units) -> float:
    """Cluster-robust standard error of the mean; with one case a cluster it is the usual sd / sqrt(n)."""
    n = len(units.sums)
    residuals = units.sums - units.mean * units.sizes
    return math.sqrt(float(residuals @ residuals) * n / (n - 1)) / float(units.sizes.sum())


def _distances(units: _Units, *, resamples: int, seed: int) -> Floats:
    """|resampled mean - mean| in the resample's own standard errors; shape (resamples,)."""
    n, rng = len(units.sums), np.random.default_rng(seed)
    chunks = (rng.integers(0, n, (rows, n), dtype=np.int32) for rows in _chunks(resamples, n))
    return np.concatenate([_distances_of(units, drawn) for drawn in chunks])


def _distances_of(units: _Units, drawn: NDArray[np.int32]) -> Floats:
    means, errors = _single_moments(units, drawn) if units.single else _cluster_moments(units, drawn)
    away = np.abs(means - units.mean)
    # A draw without spread is infinitely far in its own units, unless it hit the mean exactly.
    spread = errors > 1e-9
    return np.where(spread, away / np.where(spread, errors, 1.0), np.where(away > 1e-12, np.inf, 0.0))


def _single_moments(units: _Units, drawn: NDArray[np.int32]) -> tuple[Floats, Floats]:
    values, n = units.sums[drawn], drawn.shape[1]
    means = values.mean(axis=1)
    squares = np.einsum("ij,ij->i", values, values) / n - means * means
    return means, np.sqrt(np.maximum(squares, 0.0) / (n - 1))


def _cluster_moments(units: _Units, drawn: NDArray[np.int32]) -> tuple[Floats, Floats]:
    sums, sizes, n = units.sums[drawn], units.sizes[drawn], drawn.shape[1]
    totals = sizes.sum(axis=1)
    means = sums.sum(axis=1) / totals
    residuals = sums - means[:, None] * sizes
    squares = np.einsum("ij,ij->i", residuals, residuals)
    return means, np.sqrt(squares * n / (n - 1)) / totals


def _flips_as_far(sizes: Floats, observed: float, *, rng: np.random.Generator, rows: int) -> int:
    flipped = rng.integers(0, 2, (rows, len(sizes)), dtype=np.uint8).astype(float)
    return int((np.abs(sizes.sum() - 2 * (flipped @ sizes)) >= observed).sum())


def _chunks(rows: int, columns: int) -> Iterator[int]:
    """Row counts that add up to `rows`, each small enough to hold (rows, columns) at once."""
    size = max(1, CELLS_PER_CHUNK // columns)
    for start in range(0, rows, size):
        yield min(size, rows - start)
