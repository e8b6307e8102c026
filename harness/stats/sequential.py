"""Stopping an arm early, however often one looks.

Arrays in, numbers out. An e-process is the wealth of a gambler who bets against "the second arm is no more than
`margin` better" and can only win in the long run if that is false. Bet by bet,

    wealth = product over cases of 1 + stake * (difference - margin),   0 < stake < 1 / (1 + margin)

never falls below zero and under the hypothesis is not expected to grow, so it ever reaches 1 / alpha with a probability
of at most alpha (J. Ville, "Etude critique de la notion de collectif", 1939). That holds at every case at once: one may
look after each shard and stop at will. The stake need not be known: the wealth is the average over a grid of stakes,
which is an e-process again (I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting",
JRSS B 86, 2024; A. Ramdas, P. Grunwald, V. Vovk and G. Shafer, arXiv 2210.01948, 2022).

What must hold: cases arrive in an order that has nothing to do with their scores (shuffled once, beforehand), and the
differences lie in -1..1. Nothing is assumed of their distribution.

Groups. Where cases of one group (same document, user, template) are alike, the gambler bets once a group, on the sum
of difference - margin over its cases divided by the size of the largest group, which lies on the same scale. With
`largest` known beforehand the hypothesis is the one that the intervals speak of, the mean over cases (sum of
differences over number of cases). Without it the largest group so far is taken, this one included; each bet is then
fixed before its scores are seen, and the hypothesis is that groups of no size exceed the margin on average. Either way
a shard must end with whole groups: looking in the middle of one would be looking twice at the same bet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.paired import Floats

STAKES: Floats = np.geomspace(0.03, 0.97, 24)
"""Shares of the largest stake. Small ones find small differences among many cases, large ones large among few."""

LARGEST_LOG = 700.0
"""Wealth is held at e^700, just within a float."""


def e_process(
    differences: ArrayLike, *, margin: float = 0.0, clusters: Sequence[str] | None = None, largest: int | None = None
) -> Floats:
    """Evidence so far that the mean of paired differences exceeds `margin`, after each case; at most e^700.

    `differences` has one value in -1..1 a case, in the order of arrival; the result has the same shape. With `clusters`
    (each case's group) it has one value a group instead, in the order in which groups first appear, and `largest` is
    the size of the largest group that will ever come. A margin outside 0..1, a difference outside -1..1 or not a
    number, a group larger than `largest`: ValueError.
    """
    return np.exp(np.minimum(_log_wealth(differences, margin=margin, clusters=clusters, largest=largest), LARGEST_LOG))


def anytime_p(
    differences: ArrayLike, *, margin: float = 0.0, clusters: Sequence[str] | None = None, largest: int | None = None
) -> float:
    """p of "the mean difference is `margin` at most" that stays valid however often one looks; arguments as above.

    min(1, 1 / largest evidence so far). No case: p = 1.
    """
    wealth = _log_wealth(differences, margin=margin, clusters=clusters, largest=largest)
    return math.exp(-min(max(0.0, float(wealth.max(initial=0.0))), LARGEST_LOG))


def stopped(
    scores: Mapping[str, ArrayLike],
    *,
    margin: float,
    alpha: float,
    pairs: int,
    clusters: Sequence[str] | None = None,
    largest: int | None = None,
) -> dict[str, str]:
    """Arms that another arm has shown to be worse by more than `margin`, each with the arm that showed it first.

    `scores` has each running arm's scores so far, in 0..1, on the same cases in the same order; `pairs` is the number
    of ordered pairs of all arms that began, k (k - 1), also after some have stopped. Over all pairs and all looks an
    arm that is not worse by more than the margin is stopped with a probability of at most alpha (Bonferroni: evidence
    of pairs / alpha is asked of each pair). An arm that was stopped earlier stops no other, so one always remains.
    """
    columns = {name: np.asarray(values, dtype=float) for name, values in scores.items()}
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError("every arm needs a score on the same cases")
    threshold = math.log(pairs / alpha)
    crossings = []
    for better, worse in permutations(columns, 2):
        differences = columns[better] - columns[worse]
        wealth = _log_wealth(differences, margin=margin, clusters=clusters, largest=largest)
        if (wealth >= threshold).any():
            crossings.append((int(np.argmax(wealth >= threshold)), -float(wealth.max()), better, worse))
    return _in_order(crossings)


def _in_order(crossings: list[tuple[int, float, str, str]]) -> dict[str, str]:
    """Worse arm -> better arm; the earliest crossing first, of several at once the strongest."""
    out: dict[str, str] = {}
    for _, _, better, worse in sorted(crossings):
        if better not in out and worse not in out:
            out[worse] = better
    return out


def _log_wealth(
    differences: ArrayLike, *, margin: float, clusters: Sequence[str] | None, largest: int | None
) -> Floats:
    """Logarithm of the wealth averaged over stakes, after each unit."""
    outcomes = _outcomes(differences, margin=margin, clusters=clusters, largest=largest)
    wealth = np.cumsum(np.log1p(outcomes[:, None] * (STAKES / (1 + margin))), axis=0)
    best = wealth.max(axis=1)
    averaged: Floats = best + np.log(np.exp(wealth - best[:, None]).mean(axis=1))
    return averaged


def _outcomes(differences: ArrayLike, *, margin: float, clusters: Sequence[str] | None, largest: int | None) -> Floats:
    """What is bet on, one a unit, in -(1 + margin)..1 - margin."""
    values = np.asarray(differences, dtype=float)
    if not 0 <= margin <= 1:
        raise ValueError(f"a margin lies in 0..1, got {margin}")
    if not (np.abs(values) <= 1 + 1e-9).all():
        raise ValueError("differences must lie in -1..1")
    above: Floats = values - margin
    if clusters is None:
        return above
    if len(clusters) != len(values):
        raise ValueError(f"one cluster a value is needed: {len(values)} values, {len(clusters)} clusters")
    codes = _codes_by_arrival(clusters)
    sums, sizes = np.bincount(codes, weights=above), np.bincount(codes)
    scaled: Floats = sums / _largest(sizes, largest)
    return scaled


def _largest(sizes: NDArray[np.int64], largest: int | None) -> NDArray[np.int64] | int:
    if largest is None:
        return np.maximum.accumulate(sizes)
    if sizes.max(initial=0) > largest:
        raise ValueError(f"a group has {sizes.max()} cases, the largest was to have {largest}")
    return largest


def _codes_by_arrival(clusters: Sequence[str]) -> NDArray[np.int64]:
    """Each case's group, numbered in the order in which groups first appear."""
    _, first, codes = np.unique(np.asarray(clusters), return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    arrived: NDArray[np.int64] = rank[codes]
    return arrived
