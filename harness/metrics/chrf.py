"""chrF: how many runs of characters do answer and reference share?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from harness.metrics.base import best

if TYPE_CHECKING:
    from sacrebleu.metrics import CHRF


def chrf(answer: str, accepted: Sequence[str]) -> float:
    """Sentence chrF2 of sacrebleu (character 1- to 6-grams, recall counted twice), on 0..1.

    Source: M. Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015.
    """
    return best(answer, accepted, _chrf)


def _chrf(answer: str, reference: str) -> float:
    # Equal texts come out as 0.99999... by rounding.
    return min(1.0, round(float(_scorer().sentence_score(answer, [reference]).score) / 100, 9))


@cache
def _scorer() -> CHRF:
    from sacrebleu.metrics import CHRF

    return CHRF()
