"""How many tokens a text has, about, without a tokenizer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.scenario import Document

_PIECE = re.compile(
    r"(?P<sign>[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\d|[^\w\s]|_|\n)|[^\W\d_\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_WORD_LETTERS = 8
_COUNTED = 1_000_000
"""Characters of a corpus that are looked at; more do not make the estimate better."""


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text from its words and signs.

    A word counts one token for each 8 letters begun; a digit, a mark of punctuation, a line break and a Chinese,
    Japanese, Korean or Thai character count one each. Against SmolLM2's tokenizer on 13 public sets of English text
    the sum over a set's inputs was off by -11 % to +10 %, over 300 of its documents by +1 % to +7 %, over its outputs
    by -10 % to +7 %, or by +17 % to +19 % where they are JSON. Tokenizers that join digits need fewer for numbers.
    Languages other than English were not checked.
    """
    return sum(1 if piece["sign"] else 1 + (len(piece[0]) - 1) // _WORD_LETTERS for piece in _PIECE.finditer(text))


def estimate_corpus_tokens(documents: Sequence[Document]) -> int:
    """Estimate the tokens of all documents, titles included, to three digits.

    Of a large corpus evenly spaced documents are looked at, about a million characters of them.
    """
    sizes = [len(document.title) + len(document.text) for document in documents]
    step = max(sum(sizes) // _COUNTED, 1)
    chosen = documents[::step]
    counted = sum(estimate_tokens(document.title) + estimate_tokens(document.text) for document in chosen)
    tokens = round(counted * sum(sizes) / max(sum(sizes[::step]), 1))
    return round(tokens, 3 - len(str(tokens)))
