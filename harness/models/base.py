"""The seam between prompts and whatever answers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable


class Stop(NamedTuple):
    """What an answer may be, and where it ends before the model ends it."""

    name: str
    """Part of the cache key."""
    is_whole: Callable[[str], bool] | None
    """Asked of the text so far; None: only the model ends its answers. Changes nothing that the parser reads."""
    labels: tuple[str, ...] = ()
    """Answers are held to these; empty: they are free."""
    schema: str = ""
    """A JSON schema that answers are held to where there are no labels; empty: they are free."""


AT_END = Stop("end", None)
"""Only the model ends its answers."""


class Message(NamedTuple):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Completion(NamedTuple):
    """What a model made of one prompt."""

    text: str
    tokens_in: int
    tokens_out: int
    finish: str
    """`stop` or `length`."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What determines a model's answers, beside the prompt."""

    name: str
    digest: str
    """SHA-256 (hex) of the weights file(s)."""
    dtype: str
    device: str
    window: int
    """Longest prompt plus answer, in tokens."""
    parameters: int
    runtime: str = ""
    """Versions of the libraries that compute."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which weights these are, known before they are loaded."""

    name: str
    digest: str
    megabytes: float
    """Size of the weights as they will lie in memory, about."""


class Job(Protocol):
    """Many prompts under way. The batches are fixed by the prompts alone, so a resumed job meets the same ones."""

    @property
    def batches(self) -> tuple[tuple[int, ...], ...]:
        """Indices into the prompts; every prompt is in exactly one batch."""

    def answer(self, batch: tuple[int, ...]) -> list[Completion]:
        """Answer the prompts at these indices, in this order."""


class TextModel(Protocol):
    """Renders conversations and completes prompts."""

    @property
    def description(self) -> ModelDescription:
        """Name, digest, precision, device and window of what answers."""

    def render(self, messages: Sequence[Message]) -> str:
        """The exact text that the model is given for a conversation awaiting its answer."""

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without special tokens added."""

    def start(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        stop: Stop = AT_END,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Job:
        """Plan the answering of these prompts.

        Args:
            temperature: 0: the likeliest token at every step (greedy); above: tokens are drawn.
            seed: of the draws; with the same one a prompt is answered alike, whatever stands beside it.

        Raises:
            ValueError: answers cannot be held to `stop.schema`.
        """


@runtime_checkable
class Remote(Protocol):
    """A `TextModel` elsewhere: its prompts are answered apart from each other, each for its price."""

    def timed(self) -> AbstractContextManager[TextModel]:
        """The same, to be timed: nothing is taken from earlier answers, answers are streamed where that can be."""


@runtime_checkable
class Streamed(Protocol):
    """A job that knows when its answers began."""

    @property
    def first_seconds(self) -> Mapping[int, float]:
        """Prompt -> seconds from asking to its first token, where its answer was streamed."""
