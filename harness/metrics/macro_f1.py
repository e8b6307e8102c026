"""Macro F1: is every label recognised, the rare ones as well?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.metrics.labels import fold


def macro_f1(answers: Sequence[str], expected: Sequence[str]) -> float:
    """Mean over the expected labels of each label's F1 (scikit-learn), so that a rare label counts as much as others.

    An answer that is no expected label is a miss, not a label of its own. No case: 0.
    """
    if not expected:
        return 0.0
    from sklearn.metrics import f1_score

    given, wanted = [fold(answer) for answer in answers], [fold(label) for label in expected]
    return float(f1_score(wanted, given, labels=sorted(set(wanted)), average="macro", zero_division=0.0))


def weighted_macro_f1(
    answers: Sequence[str], expected: Sequence[str], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Macro F1 of many resamples at once; shapes (n,), (n,), (rows, n) -> (rows,).

    As `macro_f1` where every case weighs 1. A label that a resample does not expect is no part of its mean.
    """
    wanted, codes = np.unique([fold(label) for label in expected], return_inverse=True)
    true = np.eye(len(wanted))[codes]
    given = np.array([fold(answer) for answer in answers])[:, None] == wanted
    times = weights.astype(float)
    expected_times = times @ true
    f1 = 2 * (times @ (true * given)) / np.maximum(expected_times + times @ given.astype(float), 1.0)
    present = expected_times > 0
    return np.asarray((f1 * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1))
