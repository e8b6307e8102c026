"""Several tests at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Adjusted p-values, same order and length; reject those below alpha and the familywise error stays below it.

    The i-th smallest of m is multiplied by m - i + 1 and never falls below the one before it: S. Holm, "A simple
    sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979. The same numbers as statsmodels'
    `multipletests`, which takes 1.6 s to import and collects garbage at every call. A test that could not be computed
    (NaN) counts as p = 1: it is never significant, and is a test all the same.
    """
    raw = np.asarray(p_values, dtype=float)
    raw = np.where(np.isnan(raw), 1.0, raw)
    order = np.argsort(raw)
    adjusted: NDArray[np.float64] = np.empty(len(raw))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1)))
    return adjusted
