"""Answers held to a JSON schema, with llguidance: what its parser refuses may not come next.

The likeliest token is taken wherever the parser accepts it, so that an answer which is valid anyway stays as it is,
token by token; only elsewhere a mask over the vocabulary is computed. Where the schema's `x-guidance` does not say
otherwise, there are no spaces between the parts. Keys come in the order of `properties`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer
    from llguidance._lib import JsonCompileOptions

COMPACT: JsonCompileOptions = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}


class Vocabulary(NamedTuple):
    """What the parser must know of a model."""

    tokenizer: Any
    """A fast tokenizer of transformers."""
    stops: tuple[int, ...]
    """Tokens that end an answer, the usual one first. They may not stand in one."""
    width: int
    """Tokens that the network scores."""


def check_schema(schema: str) -> None:
    """Whether answers can be held to this schema.

    Raises:
        ValueError: they cannot; the sentence says why.
    """
    from llguidance import LLMatcher

    refused, why = LLMatcher.validate_grammar_with_warnings(_grammar(schema))
    if refused:
        raise _refusal(*why)


def schema_walk(schema: str, vocabulary: Vocabulary) -> SchemaWalk:
    """An answer that is about to begin.

    Raises:
        ValueError: the schema, or the tokenizer, cannot be used; the sentence says why.
    """
    return SchemaWalk(_compiled(schema, vocabulary).deep_copy(), vocabulary)


@dataclass(slots=True)
class SchemaWalk:
    """One answer on its way through the grammar (`held.Held`)."""

    matcher: LLMatcher
    vocabulary: Vocabulary
    ended: bool = False

    def choose(self, scores: Any) -> int:
        """The likeliest token that the parser accepts.

        Raises:
            ValueError: nothing can follow.
        """
        token = int(scores.max(dim=-1).indices)
        if token in self.vocabulary.stops or not self.matcher.validate_tokens([token]):
            token = int(scores.masked_fill(self._refused(), float("-inf")).max(dim=-1).indices)
        if not self.matcher.consume_token(token):
            raise ValueError(f"The answer cannot go on under its JSON schema: {_line(self.matcher.get_error())}.")
        self.ended = token in self.vocabulary.stops
        return token

    def rest(self) -> tuple[int, ...]:
        """What is left where the schema admits one ending only."""
        if self.ended:
            return ()
        forced: list[int] = []
        after = self.matcher
        if not after.is_stopped() and (forced := after.compute_ff_tokens()):
            after = after.deep_copy()
            after.consume_tokens(forced)
        sound = after.is_stopped() and not after.is_error() and not set(forced) & set(self.vocabulary.stops)
        return (*forced, self.vocabulary.stops[0]) if sound else ()

    def _refused(self) -> Any:
        import numpy as np
        import torch

        bits = np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.unpackbits(bits, bitorder="little", count=self.vocabulary.width)
        # The parser takes a stop token that is also a piece of text for the text.
        allowed[list(self.vocabulary.stops)] = self.matcher.is_accepting()
        return torch.from_numpy(allowed == 0)


@lru_cache(maxsize=32)
def _compiled(schema: str, vocabulary: Vocabulary) -> LLMatcher:
    from llguidance import LLMatcher

    made = LLMatcher(_tokens(vocabulary), _grammar(schema), log_level=0)
    if made.is_error():
        raise _refusal(made.get_error())
    return made


@lru_cache(maxsize=4)
def _tokens(vocabulary: Vocabulary) -> LLTokenizer:
    """Takes a quarter of a second, so it is kept."""
    from llguidance.hf import from_tokenizer

    # Some networks score more tokens than there are, for the sake of round numbers; none of those may be chosen.
    width = max(vocabulary.width, len(vocabulary.tokenizer))
    try:
        return from_tokenizer(vocabulary.tokenizer, n_vocab=width, eos_token=list(vocabulary.stops))
    except ValueError as error:
        raise ValueError(f"This model's tokenizer cannot hold answers to a JSON schema: {_line(error)}.") from error


def _grammar(schema: str) -> str:
    from llguidance import LLMatcher

    try:
        grammar: str = LLMatcher.grammar_from_json_schema(schema, defaults=COMPACT)
    except ValueError as error:
        raise _refusal(error) from error
    return grammar


def _refusal(why: object) -> ValueError:
    return ValueError(f"Answers cannot be held to this JSON schema: {_line(why)}.")


def _line(why: object) -> str:
    return " ".join(str(why).split())[:300].rstrip(".")
