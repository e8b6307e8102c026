"""Several criteria at once: which arm is best, how surely, and at which weights another one would be.

Arrays in, numbers out. An arm's total is the weighted mean of its values, each scaled to 0..1 with larger better by the
caller. Two things are unknown: the values, of which the caller brings bootstrap draws (the same draw for every arm and
criterion, so that what they share cancels), and what the criteria are worth, which is drawn from a Dirichlet
distribution around the stated weights (J. Butler, J. Jia and J. Dyer, "Simulation techniques for the sensitivity
analysis of multi-criteria decision models", Eur. J. Oper. Res. 103, 1997; R. Lahdelma and P. Salminen, "SMAA-2",
Oper. Res. 49, 2001, for weights of which nothing is known).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.paired import Floats

TIE = 1e-12
"""Totals closer than this are equal."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """The weight, in 0..1, beyond which another arm is best, and that arm's index."""

    weight: float
    arm: int


@dataclass(frozen=True, slots=True)
class Reversals:
    """How far one criterion's weight can move before the best arm changes; None: it never does on that side."""

    weight: float
    """The present weight, as a share of all."""
    below: Reversal | None
    above: Reversal | None


def probability_best(
    values: Mapping[str, ArrayLike],
    weights: Mapping[str, float] | None,
    *,
    concentration: float | None = 20.0,
    draws: int = 10_000,
    seed: int = 0,
) -> Floats:
    """Share of joint draws of values and weights in which each arm has the largest total; shape (arms,), sums to 1.

    `values` has an array (arms, value draws) a criterion, `weights` a positive number for the same criteria, of any
    sum. Weights are drawn from Dirichlet(concentration x normalised weights): at the default of 20 a weight of one half
    is 0.5 give or take 0.11. `concentration` None: the weights are certain. `weights` None: nothing is known of them,
    Dirichlet(1, ..., 1). Value draws are taken in turn, over again where `draws` are more. Ties are shared evenly.
    Criteria that differ, shapes that do not fit, numbers that are none or not positive: ValueError.
    """
    table = _table(values, dimensions=2)
    rng = np.random.default_rng(seed)
    drawn_weights = _weights(list(values), weights, concentration=concentration, draws=draws, rng=rng)
    turn = np.arange(draws) % table.shape[2]
    totals = np.zeros((table.shape[1], draws))
    for criterion, weight in zip(table, drawn_weights.T, strict=True):
        totals += criterion[:, turn] * weight
    best = totals >= totals.max(axis=0) - TIE
    shares: Floats = (best / best.sum(axis=0)).mean(axis=1)
    return shares


def rank_reversals(points: Mapping[str, ArrayLike], weights: Mapping[str, float]) -> dict[str, Reversals]:
    """For each criterion, the nearest weights on both sides of the present one at which the best arm changes.

    `points` has an array (arms,) a criterion, `weights` a positive number for the same criteria. The other weights keep
    their proportions, so each arm's total is a straight line in the weight and the answer exact. Of arms that are
    equally good at present the first counts as best; one that overtakes it at once does so at the present weight.
    ValueError as in `probability_best`.
    """
    table = _table(points, dimensions=1)
    shares = _normalised(list(points), weights)
    return {name: _reversals(table, shares, row) for row, name in enumerate(points)}


def _reversals(table: Floats, shares: Floats, row: int) -> Reversals:
    weight, others = float(shares[row]), np.delete(np.arange(len(table)), row)
    if not len(others):
        return Reversals(weight, None, None)
    # Total at weight w: alone w + rest (1 - w).
    alone, rest = table[row], shares[others] @ table[others] / shares[others].sum()
    totals = weight * alone + (1 - weight) * rest
    best = int(np.argmax(totals >= totals.max() - TIE))
    leads = np.maximum(totals[best] - totals, 0.0)
    slopes = (alone - rest)[best] - (alone - rest)
    above = _overtaken(leads, -slopes, room=1 - weight)
    below = _overtaken(leads, slopes, room=weight)
    return Reversals(
        weight,
        below=Reversal(weight - below[0], below[1]) if below else None,
        above=Reversal(weight + above[0], above[1]) if above else None,
    )


def _overtaken(leads: Floats, losses: Floats, *, room: float) -> tuple[float, int] | None:
    """How far the weight moves until a lead is lost, and to whom: of several at once, whoever gains most."""
    losing = losses > TIE
    steps = np.where(losing, leads / np.where(losing, losses, 1.0), np.inf)
    nearest = float(steps.min())
    # An arm that only draws level at the very end takes nothing over.
    if not nearest < room - TIE:
        return None
    return nearest, int(np.where(steps <= nearest + TIE, losses, -np.inf).argmax())


def _table(values: Mapping[str, ArrayLike], *, dimensions: int) -> Floats:
    """All criteria as one array, criteria first."""
    arrays = [np.asarray(array, dtype=float) for array in values.values()]
    if not arrays or len({array.shape for array in arrays}) > 1 or arrays[0].ndim != dimensions or not arrays[0].size:
        raise ValueError(f"each criterion needs an array of {dimensions} dimensions, all of one shape")
    table = np.stack(arrays)
    if not np.isfinite(table).all():
        raise ValueError("a value is not a number")
    return table


def _normalised(criteria: list[str], weights: Mapping[str, float]) -> Floats:
    if set(criteria) != set(weights):
        raise ValueError(f"values are of {sorted(criteria)}, weights of {sorted(weights)}")
    raw = np.array([weights[name] for name in criteria], dtype=float)
    if not ((raw > 0) & np.isfinite(raw)).all():
        raise ValueError("weights must be above 0")
    shares: Floats = raw / raw.sum()
    return shares


def _weights(
    criteria: list[str],
    weights: Mapping[str, float] | None,
    *,
    concentration: float | None,
    draws: int,
    rng: np.random.Generator,
) -> Floats:
    """Weights that add up to 1; shape (draws, criteria)."""
    if weights is None:
        return rng.dirichlet(np.ones(len(criteria)), draws)
    shares = _normalised(criteria, weights)
    if concentration is None:
        return np.tile(shares, (draws, 1))
    if not concentration > 0:
        raise ValueError(f"the concentration must be above 0, got {concentration}")
    return rng.dirichlet(concentration * shares, draws)
