"""What more examples would bring: a learning curve through the scores at a few training sizes.

Arrays in, numbers out. The curve is the power law with a ceiling,

    score(size) = ceiling - scale * size ** -rate,   scale >= 0, ceiling <= 1, rate in a grid,

(J. Hestness et al., "Deep learning scaling is predictable, empirically", arXiv 1712.00409, 2017; T. Viering and
M. Loog, "The shape of learning curves: a review", arXiv 2103.10948, 2021, who find power laws most often supported and
warn that curves need not follow any). For each rate the best ceiling and scale follow in closed form by least squares;
where they leave their bounds the optimum lies on the bound, as the problem is convex.

Uncertainty: the cases are drawn again (groups together), and the curve is fitted again through each draw's means;
where the spread between training runs is known, it is added to each mean. Several rates often fit about as well, so a
refit's rate is drawn by its likelihood (Gumbel's trick) instead of being the best, which understated what is unknown.
Intervals reach equally far to both sides. By simulation on planted power laws, of which tests/stats/test_curve.py keeps
the main part, a 90 % interval of the score at twice the largest size covers 87 to 97 % (82 % where only a handful of
sixty answers are wrong); that of the gain 80 to 100 %, but 72 to 88 % where the score creeps towards 1 so slowly that
the sizes measured do not show it.

That the law holds beyond the largest size is assumed, not tested, so no number of examples is named beyond `FURTHEST`
times the largest size measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.paired import Floats, Interval, _around, _constant_interval, resampled_weights

RATES: Floats = np.geomspace(0.1, 2.0, 31)
"""Evenly on the scale of logarithms, or steep curves would be taken for likelier than slow ones."""

FEWEST_SIZES = 3

FURTHEST = 8.0
"""A refit reaches a target if it does so within this many times the largest size."""

FURTHEST_MIDDLE = 4.0
"""A number of examples is named only up to this many times the largest size."""

SHARE_REACHING = 0.8
"""... and only where this share of refits reaches the target."""


@dataclass(frozen=True, slots=True)
class Needed:
    """Training examples that a target takes."""

    low: int | None
    middle: int | None
    """None: there is no number that these scores can defend."""
    high: int | None
    """None, as `low`: beyond `FURTHEST` times the largest size measured, or never."""
    share_reaching: float
    """Share of refits that reach the target within `FURTHEST` times the largest size."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The fitted curve: `ceilings`, `scales` and `rates` hold the fit first, then the refits.

    All have shape (1 + resamples,); the scale is what the score at the largest size lacks to the ceiling.
    """

    ceilings: Floats
    scales: Floats
    rates: Floats
    largest: float
    units: int
    """Cases, or groups of cases."""

    def score_at(self, size: float, *, alpha: float = 0.1) -> Interval:
        """Score at `size` examples with its (1 - alpha) interval, within 0..1."""
        return self._interval(np.clip(self._scores(size), 0.0, 1.0), alpha=alpha, bounds=(0.0, 1.0))

    def gain_at(self, size: float, *, alpha: float = 0.1) -> Interval:
        """Score at `size` less that at the largest size measured, with its (1 - alpha) interval."""
        now, then = (np.clip(self._scores(at), 0.0, 1.0) for at in (self.largest, size))
        return self._interval(then - now, alpha=alpha, bounds=(-1.0, 1.0))

    def size_to_reach(self, target: float, *, alpha: float = 0.1) -> Needed:
        """Examples until the score is `target`, never fewer than the largest size measured."""
        sizes = np.maximum(self._sizes(target), self.largest)
        refits = sizes[1:]
        share = float((refits <= FURTHEST * self.largest).mean())
        defended = share >= SHARE_REACHING and sizes[0] <= FURTHEST_MIDDLE * self.largest
        low, high = np.quantile(refits, (alpha / 2, 1 - alpha / 2), method="inverted_cdf")
        return Needed(
            low=self._whole(min(low, sizes[0])),
            middle=self._whole(sizes[0]) if defended else None,
            high=self._whole(max(high, sizes[0])),
            share_reaching=share,
        )

    def _scores(self, size: float) -> Floats:
        if not size > 0:
            raise ValueError(f"a size is above 0, got {size}")
        scores: Floats = self.ceilings - self.scales * (size / self.largest) ** -self.rates
        return scores

    def _sizes(self, target: float) -> Floats:
        """Size at which each fit reaches the target; infinite where it never does, 0 where it always has."""
        room = self.ceilings - target
        never = (room < 0) | ((room == 0) & (self.scales > 0))
        logs = np.log(np.maximum(self.scales, 1e-300)) - np.log(np.where(room > 0, room, 1.0))
        reached: Floats = self.largest * np.exp(np.clip(logs / self.rates, -700, 300))
        return np.where(never, np.inf, np.where(room == 0, 0.0, reached))

    def _interval(self, values: Floats, *, alpha: float, bounds: tuple[float, float]) -> Interval:
        """The first value, and to both sides as far as the further of the refits' quantiles lies from it."""
        middle = float(values[0])
        low, high = np.quantile(values[1:], (alpha / 2, 1 - alpha / 2))
        reach = max(middle - float(low), float(high) - middle)
        if reach < 1e-9:
            return _constant_interval(middle, self.units, alpha=alpha, bounds=bounds)
        return _around(middle, reach, bounds=bounds)

    def _whole(self, size: float) -> int | None:
        return math.ceil(size - 1e-6) if size <= FURTHEST * self.largest else None


def fit_curve(
    sizes: ArrayLike,
    scores: ArrayLike,
    *,
    resamples: int = 500,
    seed: int = 0,
    clusters: Sequence[str] | None = None,
    seed_sd: float = 0.0,
) -> Curve | None:
    """The learning curve through scores at several training sizes.

    `sizes` has shape (m,), in examples; `scores` has shape (m, n), in 0..1, at each size on the same n cases;
    `clusters` names each case's group. `seed_sd` is the standard deviation of a mean score between training runs of one
    size. Fewer than three different sizes, or two cases (or groups): None. A size of 0 or below, shapes that do not
    fit, a score that is not a number: ValueError.
    """
    at, table = np.asarray(sizes, dtype=float), np.asarray(scores, dtype=float)
    _must_fit(at, table)
    units = table.shape[1] if clusters is None else len(set(clusters))
    if len(np.unique(at)) < FEWEST_SIZES or units < 2:
        return None
    means = [table.mean(axis=1)[None, :]]
    for weights in resampled_weights(table.shape[1], resamples=resamples, seed=seed, clusters=clusters):
        means.append(weights @ table.T / weights.sum(axis=1, keepdims=True))
    drawn = np.concatenate(means)
    # A stream of its own, so that the noise has nothing to do with which cases were drawn.
    rng = np.random.default_rng([seed, 1])
    drawn[1:] += rng.normal(0.0, seed_sd, drawn[1:].shape)
    largest = float(at.max())
    ceilings, scales, rates = _fits(at / largest, np.minimum(drawn, 1.0), _tempers(drawn, rng))
    return Curve(ceilings, scales, rates, largest, units)


def _must_fit(sizes: Floats, scores: Floats) -> None:
    if scores.ndim != 2 or sizes.shape != scores.shape[:1]:
        raise ValueError(f"a row a size and a column a case are needed: {sizes.shape} sizes, {scores.shape} scores")
    if not (sizes > 0).all() or not np.isfinite(scores).all():
        raise ValueError("sizes must be above 0 and scores numbers")


def _fits(relative: Floats, means: Floats, tempers: Floats) -> tuple[Floats, Floats, Floats]:
    """Ceiling, scale and rate of each row of `means` (rows, m) over sizes relative to the largest (m,).

    `tempers` (rows, rates) is added to the squared errors.
    """
    missing = relative[None, :] ** -RATES[:, None]
    ceilings, scales = _least_squares(missing, means)
    lines = ceilings[:, :, None] - scales[:, :, None] * missing
    errors = ((lines - means[:, None, :]) ** 2).sum(axis=2)
    best: NDArray[np.int64] = (errors + tempers).argmin(axis=1)
    rows = np.arange(len(means))
    return ceilings[rows, best], scales[rows, best], RATES[best]


def _tempers(drawn: Floats, rng: np.random.Generator) -> Floats:
    """What is added to each refit's squared error at each rate, so that a rate is drawn rather than chosen.

    The least of error - 2 variance Gumbel is at each rate with a probability proportional to its likelihood,
    exp(-error / (2 variance)). What the draws do alike to all sizes moves the ceiling alone and is no part of the
    variance.
    """
    noise = drawn[1:] - drawn[0]
    noise = noise - noise.mean(axis=1, keepdims=True)
    variance = float((noise**2).sum(axis=1).mean()) / (noise.shape[1] - 1)
    tempers = np.zeros((len(drawn), len(RATES)))
    tempers[1:] = -2 * variance * rng.gumbel(size=tempers[1:].shape)
    return tempers


def _least_squares(missing: Floats, means: Floats) -> tuple[Floats, Floats]:
    """Best ceiling <= 1 and scale >= 0 for each row of `means` and each rate; both (rows, rates)."""
    middle, average = missing.mean(axis=1), means.mean(axis=1)
    centred = missing - middle[:, None]
    scales = -(means @ centred.T) / (centred**2).sum(axis=1)
    ceilings = average[:, None] + scales * middle
    # Scores are at most 1, so a ceiling above 1 needs a scale above 0: only one bound is ever left at a time.
    capped = (1 - means) @ missing.T / (missing**2).sum(axis=1)
    flat = scales < 0
    scales = np.where(flat, 0.0, np.where(ceilings > 1, capped, scales))
    ceilings = np.where(flat, average[:, None], np.minimum(ceilings, 1.0))
    return ceilings, scales
