"""A model behind an OpenAI-compatible chat endpoint: a hosted service, vLLM, llama.cpp, Ollama.

What answers there cannot be checked: the digest names the address and the model, not weights, a service may change what
it serves, and neither temperature 0 nor a seed makes it answer alike every time (both are passed on). The key is read
from the environment when a request is made; it is kept nowhere and is taken out of error texts. Waiting and trying
again after a 429, a 5xx or a broken connection is the official client's
(https://github.com/openai/openai-python#retries).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

from harness.errors import BakeoffError, MissingModel, UserError
from harness.models.base import AT_END, Completion, Message, ModelDescription, Stop
from harness.models.endpoint_form import TRIAL, WRAPPING_TOKENS, is_held, response_format, taken_out, was_held
from harness.models.endpoint_ledger import Ledger, Paid

BATCH = 32
"""Prompts that count as one batch, or four for each request under way where that is more."""

CHARACTERS_PER_TOKEN = 4
"""A usual figure for English text (https://platform.openai.com/tokenizer); only the endpoint knows its tokenizer."""

TEMPLATE_TOKENS = 16
"""Most that a chat template puts around one message."""

TRIAL_TOKENS = 64
STREAMS: tuple[dict[str, Any], ...] = (
    {"stream": True, "stream_options": {"include_usage": True}},
    {"stream": True},
    {},
)
"""Ways of being timed, the most telling first; some servers know no `stream_options`, some do not stream."""
NOT_UNDERSTOOD = (400, 404, 422, 501)


class EndpointFailed(BakeoffError):
    """The endpoint gave no answer that can be used."""

    def __init__(self, text: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(text)


class CannotHold(UserError, ValueError):
    """Answers cannot be held to labels or to a schema over an endpoint."""


@dataclass
class EndpointState:
    """What is learned of an endpoint while it is used, and what it is used for."""

    served: str = ""
    """Name of the tuned model that answers at present; empty: the model itself."""
    ledger: Ledger = field(default_factory=Ledger)
    way: int = 0
    """Of `STREAMS`, the first that the endpoint understands."""
    held: dict[str, str] = field(default_factory=dict)
    """Form (`Stop.name`) -> why answers cannot be held to it; empty: they can."""
    called: dict[str, set[str]] = field(default_factory=dict)
    """Model asked for -> what the endpoint calls what answered single requests for it: an alias has two names."""
    failed: dict[str, str] = field(default_factory=dict)
    """Digest of a request that failed in a batch -> why; it is not asked again."""


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
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of every request."""
    leave_out: tuple[str, ...] = ()
    """Fields that the endpoint does not take: `temperature`, `seed`."""
    state: EndpointState = field(default_factory=EndpointState, repr=False, compare=False)
    client: Any = field(default=None, repr=False, compare=False)
    """Open where requests are timed; else one is opened for each batch."""

    def __post_init__(self) -> None:
        check_address(self.base_url)
        if not self.model:
            raise UserError("Name the model that the endpoint shall answer with.")
        if self.concurrency < 1 or self.retries < 0 or not 0 < self.timeout < math.inf:
            raise UserError("An endpoint needs a concurrency of at least 1, no negative retries and a timeout above 0.")

    @property
    def description(self) -> ModelDescription:
        """The digest is of the address, the model's name and what goes with every request: the weights are not known
        here."""
        more = json.dumps([self.extra, self.leave_out], sort_keys=True) if self.extra or self.leave_out else ""
        digest = hashlib.sha256(f"{self.base_url}\n{self.model}{more}".encode()).hexdigest()
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
            CannotHold: answers shall be held to labels or to a schema, and the endpoint does not do that.
            MissingModel: the `openai` package is not installed.
            UserError: the key is not in the environment.
        """
        client_library()
        self.key()
        if is_held(stop):
            self.hold(stop)
        return EndpointJob(self, tuple(prompts), max_new_tokens, temperature=temperature, seed=seed, stop=stop)

    def hold(self, stop: Stop) -> None:
        """Ask once whether answers can be held to this form, by a question that nothing would answer in it.

        Raises:
            CannotHold: they cannot.
        """
        if stop.name not in self.state.held:
            self.state.held[stop.name] = self._why_not_held(stop)
        why = self.state.held[stop.name]
        if why:
            raise CannotHold(
                f"Answers cannot be held to labels or to a schema at this endpoint: {why} Turn that off, or use a "
                "local model."
            )

    def _why_not_held(self, stop: Stop) -> str:
        tokens = max(TRIAL_TOKENS, *(len(label) for label in stop.labels)) if stop.labels else 4 * TRIAL_TOKENS
        try:
            (found,) = EndpointJob(self, (self.render(TRIAL),), tokens, stop=stop, keep=False).answer((0,))
        except EndpointFailed as error:
            return str(error)
        held = was_held(found.text, stop, cut=found.finish == "length") or found.text in stop.labels
        return "" if held else "it does not heed response_format (structured outputs)."

    @contextmanager
    def timed(self) -> Iterator[EndpointModel]:
        """The same, to be timed: one connection for all, no answer from before, streamed where the endpoint streams."""
        with open_client(self) as client:
            yield replace(self, client=client)

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


class Reply(NamedTuple):
    """What came of one request."""

    outcome: Completion | EndpointFailed
    counted: bool = True
    """The endpoint counted the tokens."""
    billed: bool = True
    """It costs its tokens, or may: what never came counts at its worst case."""


class Order(NamedTuple):
    """One request, ready to be sent."""

    request: str
    """Digest of address, model, messages and settings."""
    fields: dict[str, Any]
    most_in: int
    """Tokens that are read, in the worst case."""
    most_out: int


@dataclass(frozen=True, slots=True)
class EndpointJob:
    """Prompts under way at an endpoint.

    What was answered or failed is kept for as long as the job lives: whoever asks a failed batch's prompts again, one
    by one, pays for none of them twice. What the run's ledger knows is not asked at all.
    """

    model: EndpointModel
    prompts: tuple[str, ...]
    max_new_tokens: int
    _: KW_ONLY
    temperature: float = 0.0
    seed: int = 0
    stop: Stop = AT_END
    keep: bool = True
    """Answers are taken from the run's ledger and kept in it; timed ones never are."""
    known: dict[int, Completion | EndpointFailed] = field(default_factory=dict, repr=False)
    first_seconds: dict[int, float] = field(default_factory=dict, repr=False)
    """Seconds from sending to the first token, of answers that were streamed."""

    @property
    def batches(self) -> tuple[tuple[int, ...], ...]:
        """The prompts' indices in their order, `BATCH` at a time, more where more may be under way at once."""
        indices, size = range(len(self.prompts)), max(BATCH, 4 * self.model.concurrency)
        return tuple(tuple(indices[start : start + size]) for start in range(0, len(indices), size))

    def answer(self, batch: tuple[int, ...]) -> list[Completion]:
        """Answer the prompts at these indices, in this order.

        Raises:
            EndpointFailed: one of them could not be answered; the others' answers are kept.
            BudgetSpent: the next request could cost more than what is left; answers that came are kept.
            RunStopped: another machine may be paying for the same run.
        """
        open_ = [index for index in dict.fromkeys(batch) if index not in self.known]
        first = {self.prompts[index]: index for index in reversed(open_)}
        self._ask(sorted(first.values()))
        self.known.update({index: self.known[first[self.prompts[index]]] for index in open_})
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
        if self.model.client is not None:
            for index in indices:
                self._settle(self.model.client, index)
            return
        pool = ThreadPoolExecutor(max_workers=min(self.model.concurrency, len(indices)))
        with open_client(self.model) as client:
            try:
                for future in [pool.submit(self._settle, client, index) for index in indices]:
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _settle(self, client: Any, index: int) -> None:
        """One prompt's outcome, noted down by whoever waits for it: an answer that came is never lost."""
        ledger = self.model.state.ledger
        request, fields, most_in, most_out = self.order(index)
        timed = self.model.client is not None
        keep = self.keep and not timed
        before = self._from_before(request) if keep else None
        if before is not None:
            self.known[index] = before
            return
        ledger.require_held()
        reserved = ledger.reserve(most_in, most_out)
        paid = self._unknown(request, most_in, most_out)
        try:
            reply = self._timed(client, index, fields) if timed else self._sent(client, index, fields)
            paid = self._paid(request, reply, most=(most_in, most_out), again=keep)
        finally:
            ledger.settle(reserved, paid)
        self.known[index] = reply.outcome

    def order(self, index: int) -> Order:
        """The request of one prompt."""
        fields = self._fields(index)
        drawn = [self.temperature, self.seed] if self.temperature else []  # also where the seed is not passed on
        whole = json.dumps([self.model.base_url, fields, *drawn], sort_keys=True)
        return Order(hashlib.sha256(whole.encode()).hexdigest(), fields, _most_tokens(fields), self._longest)

    def _from_before(self, request: str) -> Completion | EndpointFailed | None:
        """What was paid for before, or failed in a batch."""
        state = self.model.state
        found = state.ledger.answer(request)
        return EndpointFailed(state.failed[request]) if found is None and request in state.failed else found

    def _unknown(self, request: str, most_in: int, most_out: int) -> Paid | None:
        """What a request counts as whose answer was not waited for: its worst case."""
        money = self.model.state.ledger.price(most_in, most_out)
        return Paid(request, "", most_in, most_out, "error", money, counted=False, again=False)

    def _paid(self, request: str, reply: Reply, *, most: tuple[int, int], again: bool) -> Paid | None:
        if not reply.billed:
            return None
        price, outcome = self.model.state.ledger.price, reply.outcome
        if isinstance(outcome, EndpointFailed):
            return Paid(request, "", *most, "error", price(*most), counted=False, again=False)
        money = price(outcome.tokens_in, outcome.tokens_out)
        return Paid(request, *outcome, money, counted=reply.counted, again=again)

    @property
    def _longest(self) -> int:
        return self.max_new_tokens + (WRAPPING_TOKENS if self.stop.labels else 0)

    def _fields(self, index: int) -> dict[str, Any]:
        """The body of a request."""
        model = self.model
        drawn = {"temperature": self.temperature, "seed": self.seed}
        fields: dict[str, Any] = {
            "model": model.state.served or model.model,
            "messages": json.loads(self.prompts[index]),
            **{name: value for name, value in drawn.items() if name not in model.leave_out},
            model.length_field: self._longest,
        }
        if is_held(self.stop):
            fields["response_format"] = response_format(self.stop)
        return {**fields, **({"extra_body": dict(model.extra)} if model.extra else {})}

    def _sent(self, client: Any, index: int, fields: Mapping[str, Any]) -> Reply:
        openai = client_library()
        try:
            response = client.chat.completions.create(**fields)
            self._note_name(fields["model"], response)
            return self.read(index, response)
        except openai.OpenAIError as error:
            failed = EndpointFailed(said(error, self.model), getattr(error, "status_code", None))
            return Reply(failed, billed=_may_be_billed(error))
        except ValueError as error:  # JSON that is none
            return Reply(EndpointFailed(f"The endpoint's answer is no JSON ({type(error).__name__})."))

    def _timed(self, client: Any, index: int, fields: Mapping[str, Any]) -> Reply:
        """The answer in the most telling way that the endpoint understands."""
        openai, state = client_library(), self.model.state
        for way in range(state.way, len(STREAMS)):
            try:
                reply = self._streamed(client, index, fields, how=STREAMS[way]) if STREAMS[way] else None
            except openai.APIStatusError as error:
                if error.status_code in NOT_UNDERSTOOD:
                    continue
                reply = Reply(EndpointFailed(said(error, self.model)), billed=False)
            except (openai.OpenAIError, ValueError, _transport_error()) as error:
                reply = Reply(EndpointFailed(f"The endpoint's stream was cut: {said(error, self.model)}"))
            if reply is not None:
                state.way = way
                return reply
            if STREAMS[way]:  # answered, but not streamed: paid for, and not to be tried again
                most = _most_tokens(fields), self._longest
                state.ledger.settle(state.ledger.reserve(*most), self._unknown("", *most))
                break
        state.way = len(STREAMS) - 1
        return self._sent(client, index, fields)

    def _streamed(self, client: Any, index: int, fields: Mapping[str, Any], *, how: Mapping[str, Any]) -> Reply | None:
        """The streamed answer; None where nothing was streamed: the endpoint does not heed `stream`."""
        start, parts, reason, usage, came = time.perf_counter(), list[str](), None, None, False
        with client.chat.completions.create(**fields, **how) as stream:
            for chunk in stream:
                came = True
                self._note_name(fields["model"], chunk)
                usage = getattr(chunk, "usage", None) or usage
                for choice in (getattr(chunk, "choices", None) or ())[:1]:
                    text = getattr(getattr(choice, "delta", None), "content", None)
                    if text:
                        self.first_seconds.setdefault(index, time.perf_counter() - start)
                        parts.append(text)
                    reason = getattr(choice, "finish_reason", None) or reason
        if not came:
            return None
        if reason is None:
            return Reply(EndpointFailed("The endpoint's stream was cut: it ended before the answer did."))
        return self._made(index, "".join(parts), reason, usage)

    def _note_name(self, asked: str, response: Any) -> None:
        called = getattr(response, "model", None)
        if isinstance(called, str):
            self.model.state.called.setdefault(asked, set()).add(called)

    def read(self, index: int, response: Any) -> Reply:
        """What a chat completion says."""
        choices = getattr(response, "choices", None)
        message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
        if not isinstance(choices, list) or message is None:  # fields are read with care: anything may answer here
            return Reply(EndpointFailed("The endpoint's answer is no chat completion."))
        reason, text = getattr(choices[0], "finish_reason", None), getattr(message, "content", None) or ""
        return self._made(index, text, reason, getattr(response, "usage", None))

    def _made(self, index: int, text: str, reason: str | None, usage: Any) -> Reply:
        if reason == "content_filter":
            return Reply(EndpointFailed("The endpoint's content filter withheld the answer."))
        if not _is_writable(text):
            return Reply(EndpointFailed("The endpoint's answer holds halves of characters."))
        counts = [getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
        whole = [count for count in counts if isinstance(count, int) and count >= 0]
        counted = len(whole) == len(counts)
        if not counted:
            whole = [self.model.count_tokens(self.prompts[index]), self.model.count_tokens(text)]
        finish = "length" if reason == "length" else "stop"
        return Reply(Completion(taken_out(text, self.stop), whole[0], whole[1], finish), counted)


def _is_writable(text: str) -> bool:
    """Whether it can be written as UTF-8: JSON may hold halves of characters."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _most_tokens(fields: Mapping[str, Any]) -> int:
    """No request has more tokens to read: each is a byte or longer, and a template adds little to each message. A form
    to be held to, and what the user adds, may be read too."""
    more = [fields[name] for name in ("response_format", "extra_body") if name in fields]
    read = sum(len(one["content"].encode()) + TEMPLATE_TOKENS for one in fields["messages"])
    return read + sum(len(json.dumps(one)) for one in more)


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


def http_library() -> Any:
    """What the client sends its requests with."""
    client_library()
    return importlib.import_module("httpx2" if importlib.util.find_spec("httpx2") else "httpx")


def _transport_error() -> type[Exception]:
    """What a stream that breaks raises: the client passes its HTTP library's own errors on."""
    found: type[Exception] = http_library().HTTPError
    return found


def open_client(model: EndpointModel, *, transport: Any = None) -> Any:
    """A client with the endpoint's address, key and patience; to be closed.

    Args:
        transport: what sends its requests; None: the network.
    """
    # The client insists on a key; where the endpoint needs none, any word will do.
    return client_library().OpenAI(
        api_key=model.key() or "none",
        base_url=model.base_url,
        timeout=model.timeout,
        max_retries=model.retries,
        http_client=http_library().Client(transport=transport) if transport is not None else None,
    )


def said(error: Exception, model: EndpointModel) -> str:
    """What went wrong, in one line, without the request."""
    status = getattr(error, "status_code", None)
    text = " ".join(without_key(str(error), model).split())[:300]  # first the key, then the cut
    return f"The endpoint answered with status {status}: {text}" if status else f"The endpoint: {text}"


def _may_be_billed(error: Exception) -> bool:
    """A status of an error costs nothing, nor does a connection that never stood; an answer that did not come may."""
    refused = isinstance(error.__cause__, ConnectionError) or "onnect" in type(error.__cause__).__name__
    return getattr(error, "status_code", None) is None and not refused


def without_key(text: str, model: EndpointModel) -> str:
    """A text of the endpoint without the key."""
    key = os.environ.get(model.api_key_env, "").strip() if model.api_key_env else ""
    return text.replace(key, "[key]") if key else text


def split_address(url: str) -> SplitResult | None:
    """The parts of an address; None where it is none."""
    try:
        parts = urlsplit(url)
        return parts if parts.port is None or parts.port else None
    except ValueError:  # a bracket that is not closed, a port that is no number
        return None


def check_address(base_url: str) -> None:
    """Refuse an address that could carry a secret, without repeating it.

    Raises:
        UserError: it cannot be used.
    """
    parts = split_address(base_url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError("The endpoint's address must start with http:// or https:// and name a host.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError(
            "The endpoint's address must hold no user, password or query: it is written into the run folder. Put the "
            "key into an environment variable."
        )
