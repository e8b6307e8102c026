"""The dev split: training rows held out for every choice, so that eval cases are answered once, at the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from harness.scenario import Case, Kind

FEWEST_TRAIN = 10
"""With fewer training rows nothing is held out: defaults are used, and the report says so."""


def dev_size(n: int, *, quick: bool) -> int:
    """Rows to hold out of n: a fifth, at least 8 (or half of n) and at most 60 (24 in quick mode); none of fewer
    than 10."""
    if n < FEWEST_TRAIN:
        return 0
    return min(24 if quick else 60, max(min(8, n // 2), round(n * 0.2)))


def split_dev(
    train: Sequence[Case], *, kind: Kind, seed: int, quick: bool = False
) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """(train without dev, dev), each in file order.

    Rows of one group stay on one side; the last row of a label is never held out.
    """
    wanted = dev_size(len(train), quick=quick)
    left = Counter(case.output for case in train)
    held: set[int] = set()
    for members in _shuffled_groups(train, seed):
        if len(held) + len(members) > wanted:
            continue
        takes = Counter(train[i].output for i in members)
        if kind is Kind.LABELS and any(left[label] <= count for label, count in takes.items()):
            continue
        left -= takes
        held.update(members)
    rest = tuple(case for i, case in enumerate(train) if i not in held)
    return rest, tuple(case for i, case in enumerate(train) if i in held)


def _shuffled_groups(train: Sequence[Case], seed: int) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for index, case in enumerate(train):
        name = f"group {case.group}" if case.group is not None else f"row {index}"
        groups.setdefault(name, []).append(index)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    return order
