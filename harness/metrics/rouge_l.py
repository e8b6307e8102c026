"""ROUGE-L: how much of the reference comes back in the same order?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from harness.metrics.base import best
from harness.metrics.text import tokens

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer


def rouge_l(answer: str, accepted: Sequence[str]) -> float:
    """F1 of the longest common subsequence of words (rouge-score, no stemming).

    Source: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004. The package's own tokenizer
    knows only a-z and 0-9; ours (`harness.metrics.text`) keeps other scripts.
    """
    return best(answer, accepted, _rouge_l)


def _rouge_l(answer: str, reference: str) -> float:
    return float(_scorer().score(reference, answer)["rougeL"].fmeasure)


class _Words:
    """What rouge-score asks of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return list(tokens(text))


@cache
def _scorer() -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=False, tokenizer=_Words())
