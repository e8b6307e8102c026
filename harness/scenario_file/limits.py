"""Cut a scenario to fewer rows, the same ones every time, without changing their order.

Rows are drawn by a seeded shuffle, so that a larger cut holds every row of a smaller one with the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.scenario import Case


def draw(cases: Sequence[Case], limit: int, *, seed: int) -> tuple[Case, ...]:
    """Keep `limit` cases by simple random sampling, in file order."""
    return _keep(cases, _shuffled(len(cases), seed)[:limit])


def draw_stratified(cases: Sequence[Case], limit: int, *, seed: int) -> tuple[Case, ...]:
    """Keep `limit` cases, in file order, and with them every output that can be kept.

    One case of each output comes first (of the frequent outputs, where there is not room for all), then the rest at
    random, which keeps the shares of the outputs about as they were.
    """
    order = _shuffled(len(cases), seed)
    by_output: dict[str, list[int]] = {}
    for index in order:
        by_output.setdefault(cases[index].output, []).append(index)
    strata = sorted(by_output.values(), key=len, reverse=True)
    firsts = [indices[0] for indices in strata]
    chosen = set(firsts)
    return _keep(cases, [*firsts, *(index for index in order if index not in chosen)][:limit])


def _shuffled(n: int, seed: int) -> list[int]:
    order = list(range(n))
    random.Random(seed).shuffle(order)
    return order


def _keep(cases: Sequence[Case], indices: Sequence[int]) -> tuple[Case, ...]:
    return tuple(cases[index] for index in sorted(indices))
