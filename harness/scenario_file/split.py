"""Split one table's rows into train and eval: the same way every time, with nothing of one side on the other."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.scenario import Case

SHARE = 0.2
FEWEST = 60
MOST = 300


def eval_target(n: int, *, share: float | None, size: int | None) -> int:
    """Eval rows to aim at out of `n`: `size` or `share` of them where given, always leaving a row on each side.

    Without either: one in five, at least 60 and at most 300, and never more than half.
    """
    if size is not None:
        return max(min(size, n - 1), 1)
    if share is not None:
        return max(min(round(n * share), n - 1), 1)
    return min(max(round(n * SHARE), FEWEST), MOST, n // 2)


def split(cases: Sequence[Case], target: int, *, seed: int) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Give (train, eval), both in the order of `cases`; eval has at most `target` rows.

    Rows of one group, and rows whose inputs are the same but for case and white space, stay on one side.
    """
    clusters = _clusters(cases)
    random.Random(seed).shuffle(clusters)
    chosen: set[int] = set()
    for cluster in clusters:
        if len(chosen) + len(cluster) <= target:
            chosen.update(cluster)
    train = tuple(case for index, case in enumerate(cases) if index not in chosen)
    return train, tuple(case for index, case in enumerate(cases) if index in chosen)


def _clusters(cases: Sequence[Case]) -> list[list[int]]:
    """Indices that must stay together: connected through a group or through the same input (union-find)."""
    parents = list(range(len(cases)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, case in enumerate(cases):
        marks = [("input", " ".join(case.input.casefold().split()))]
        marks += [("group", case.group)] if case.group is not None else []
        for mark in marks:
            parents[root(index)] = root(first.setdefault(mark, index))
    clusters: dict[int, list[int]] = {}
    for index in range(len(cases)):
        clusters.setdefault(root(index), []).append(index)
    return list(clusters.values())
