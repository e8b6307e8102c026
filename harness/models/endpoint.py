"""A model behind an OpenAI-compatible chat endpoint: a hosted service, vLLM, llama.cpp, Ollama.

What answers there cannot be checked: the digest names the address and the model, not weights, a service may change what
it serves, and neither temperature 0 nor a seed makes it answer alike every time (both are passed on). The key is read
from the environment when a request is made; it is kept nowhere and is taken out of error texts. Waiting and trying
again after a 429, a 5xx or a broken connection is the official client's
(https://github.com/openai/openai-python#retries).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from harness.errors import BakeoffError, MissingModel, UserError
from harness.models.base import AT_END, Completion, Message, ModelDescription, Stop

BATCH = 32
"""Prompts that count as one batch."""

CHARACTERS_PER_TOKEN = 4
"""A usual figure for English text (https://platform.openai.com/tokenizer); only the endpoint knows its tokenizer."""


class EndpointFailed(BakeoffError):
    """The endpoint gave no answer that can be used."""


class CannotHold(UserError, ValueError):
    """Answers cannot be held to labels or to a schema over an endpoint."""


@dataclass(frozen=True, slots=True)
class EndpointModel:
    """A `TextModel` over chat completions."""

    base_url: str
    """Up to and including `/v1`; no key, user or password in it."""
    model: str
    _: KW_ONLY
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; empty: the endpoint needs none."""
    timeout: float = 60.0
    """Seconds of one attempt."""
    concurrency: int = 8
    """Requests under way at once."""
    retries: int = 4
    """Further attempts of a request."""
    window: int = 8192
    """Longest prompt plus answer, in tokens; the endpoint is not asked."""
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the endpoint calls the longest answer; OpenAI's reasoning models know the latter only."""

    def __post_init__(self) -> None:
        _check_address(self.base_url)
        if not self.model:
            raise UserError("Name the model that the endpoint shall answer with.")
        if self.concurrency < 1 or self.retries < 0 or not 0 < self.timeout < math.inf:
            raise UserError("An endpoint needs a concurrency of at least 1, no negative retries and a timeout above 0.")

    @property
    def description(self) -> ModelDescription:
        """The digest is of the address and the model's name: the weights are not known here."""
        digest = hashlib.sha256(f"{self.base_url}\n{self.model}".encode()).hexdigest()
        return ModelDescription(
            self.model, digest, dtype="unknown", device="endpoint", window=self.window, parameters=0
        )

    def render(self, messages: Sequence[Message]) -> str:
        """The messages as JSON text; the endpoint applies its own chat template."""
        return json.dumps([{"role": m.role, "content": m.content} for m in messages], ensure_ascii=False)

    def count_tokens(self, text: str) -> int:
        """An estimate from the text's length."""
        return math.ceil(len(text) / CHARACTERS_PER_TOKEN)

    def start(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        stop: Stop = AT_END,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> EndpointJob:
        """Plan the answering of these prompts. Answers end where the model ends them: `stop.is_whole` is not asked.

        Raises:
            CannotHold: answers shall be held to labels or to a schema.
            MissingModel: the `openai` package is not installed.
            UserError: the key is not in the environment.
        """
        if stop.labels or stop.schema:
            raise CannotHold(
                "Answers cannot be held to labels or to a schema over an endpoint: turn that off, or use a local model."
            )
        client_library()
        self.key()
        return EndpointJob(self, tuple(prompts), max_new_tokens, temperature=temperature, seed=seed)

    def key(self) -> str:
        """The key from the environment; empty where none is needed.

        Raises:
            UserError: it is not there.
        """
        key = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        if self.api_key_env and not key:
            raise UserError(
                f"The key of the endpoint is expected in the environment variable {self.api_key_env}, which is not "
                "set. Set it, or leave the variable's name empty where the endpoint needs no key."
            )
        return key


@dataclass(frozen=True, slots=True)
class EndpointJob:
    """Prompts under way at an endpoint.

    What was answered or failed is kept for as long as the job lives: whoever asks a failed batch's prompts again, one
    by one, pays for none of them twice.
    """

    model: EndpointModel
    prompts: tuple[str, ...]
    max_new_tokens: int
    _: KW_ONLY
    temperature: float = 0.0
    seed: int = 0
    known: dict[int, Completion | EndpointFailed] = field(default_factory=dict, repr=False)

    @property
    def batches(self) -> tuple[tuple[int, ...], ...]:
        """The prompts' indices in their order, `BATCH` at a time."""
        indices = range(len(self.prompts))
        return tuple(tuple(indices[start : start + BATCH]) for start in range(0, len(indices), BATCH))

    def answer(self, batch: tuple[int, ...]) -> list[Completion]:
        """Answer the prompts at these indices, in this order.

        Raises:
            EndpointFailed: one of them could not be answered; the others' answers are kept.
        """
        self._ask([index for index in dict.fromkeys(batch) if index not in self.known])
        found = []
        for index in batch:
            outcome = self.known[index]
            if isinstance(outcome, EndpointFailed):
                raise outcome.with_traceback(None)
            found.append(outcome)
        return found

    def _ask(self, indices: Sequence[int]) -> None:
        if not indices:
            return
        pool = ThreadPoolExecutor(max_workers=min(self.model.concurrency, len(indices)))
        with _client(self.model) as client:
            try:
                running = {index: pool.submit(self._outcome, client, self.prompts[index]) for index in indices}
                for index, future in running.items():
                    self.known[index] = future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _outcome(self, client: Any, prompt: str) -> Completion | EndpointFailed:
        openai, messages = client_library(), json.loads(prompt)
        try:
            response = client.chat.completions.create(
                model=self.model.model,
                messages=messages,
                temperature=self.temperature,
                seed=self.seed,
                **{self.model.length_field: self.max_new_tokens},
            )
            return self._completion(prompt, response)
        except openai.OpenAIError as error:
            return EndpointFailed(_without_key(_said(error), self.model))
        except ValueError as error:  # JSON that is none
            return EndpointFailed(f"The endpoint's answer is no JSON ({type(error).__name__}).")

    def _completion(self, prompt: str, response: Any) -> Completion | EndpointFailed:
        choices = getattr(response, "choices", None)
        message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
        if not isinstance(choices, list) or message is None:  # fields are read with care: anything may answer here
            return EndpointFailed("The endpoint's answer is no chat completion.")
        reason, text = getattr(choices[0], "finish_reason", None), getattr(message, "content", None) or ""
        if reason == "content_filter":
            return EndpointFailed("The endpoint's content filter withheld the answer.")
        return Completion(
            text,
            self._tokens(response, "prompt_tokens", instead_of=prompt),
            self._tokens(response, "completion_tokens", instead_of=text),
            "length" if reason == "length" else "stop",
        )

    def _tokens(self, response: Any, name: str, *, instead_of: str) -> int:
        """As the endpoint counted them, else estimated."""
        counted = getattr(getattr(response, "usage", None), name, None)
        return counted if isinstance(counted, int) else self.model.count_tokens(instead_of)


def client_library() -> Any:
    """The `openai` package.

    Raises:
        MissingModel: it is not installed.
    """
    try:
        import openai
    except ImportError as error:
        raise MissingModel(
            "Models behind an endpoint need the package openai: pip install 'bakeoff-advisor[endpoint]'."
        ) from error
    return openai


def _client(model: EndpointModel) -> Any:
    # The client insists on a key; where the endpoint needs none, any word will do.
    return client_library().OpenAI(
        api_key=model.key() or "none", base_url=model.base_url, timeout=model.timeout, max_retries=model.retries
    )


def _said(error: Exception) -> str:
    """What went wrong, in one line, without the request."""
    status = getattr(error, "status_code", None)
    text = " ".join(str(error).split())[:300]
    return f"The endpoint answered with status {status}: {text}" if status else f"The endpoint: {text}"


def _without_key(text: str, model: EndpointModel) -> str:
    key = os.environ.get(model.api_key_env, "").strip() if model.api_key_env else ""
    return text.replace(key, "[key]") if key else text


def _check_address(base_url: str) -> None:
    """An address that could carry a secret is refused, and not repeated in the error."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError("The endpoint's address must start with http:// or https:// and name a host.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError(
            "The endpoint's address must hold no user, password or query: it is written into the run folder. Put the "
            "key into an environment variable."
        )
