"""Rows that do not fit the model's context window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.scenario import Case, Problem

CountTokens = Callable[[str], int]


def too_long(
    cases: Sequence[Case], *, file: str, count_tokens: CountTokens, window: int, instruction: str = ""
) -> Iterator[Problem]:
    """Yield a warning for each row whose instruction, input and output together have more tokens than `window`."""
    fixed = count_tokens(instruction) if instruction else 0
    for case in cases:
        tokens = fixed + count_tokens(case.input) + count_tokens(case.output)
        if tokens > window:
            message = f"the row has {tokens} tokens with its instruction, and the model reads {window}; shorten the row"
            yield Problem("warning", message, file, case.line)
