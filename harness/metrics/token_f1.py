"""Token F1: how many words do answer and reference share?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.metrics.base import best
from harness.metrics.text import tokens


def token_f1(answer: str, accepted: Sequence[str]) -> float:
    """Harmonic mean of the share of answer words in the reference and of reference words in the answer.

    Words count as often as they occur, in any order. Source: Rajpurkar et al., SQuAD, EMNLP 2016, section 6.1; the
    words are those of `harness.metrics.text`.
    """
    return best(answer, accepted, _f1)


def _f1(answer: str, reference: str) -> float:
    given, wanted = tokens(answer), tokens(reference)
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted))
