"""A provider's own fine-tuning: files and jobs of OpenAI's API (https://platform.openai.com/docs/api-reference/fine-tuning).

What may cost money is asked for once: a job whose creation got no answer is looked for, never asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from harness.errors import BakeoffError
from harness.models.endpoint import EndpointModel, client_library, open_client, said, split_address

T = TypeVar("T")

UPLOAD_SECONDS = 600.0
"""Least time for a file to be sent."""
MOST_LISTED = 2_000
"""Jobs or files that are looked through, the latest first."""
PURPOSE = "fine-tune"
MAY_HAVE_PASSED = (408, 409)
"""Statuses after which a request may have been heeded all the same, beside those from 500 on."""
TRY_LATER = 429
POLL_HEADER = "openai-poll-after-ms"
"""How a server says when to ask again."""


class Refused(BakeoffError):
    """The provider said no."""

    def __init__(self, text: str, status: int) -> None:
        self.status = status
        super().__init__(text)


class NoAnswer(BakeoffError):
    """Nothing that can be read came back; what was asked may have been done all the same."""


class TryLater(BakeoffError):
    """The provider did nothing, because it was asked too often."""


@dataclass(frozen=True, slots=True)
class Job:
    """A fine-tuning job, as far as the provider tells."""

    id: str
    status: str = ""
    """`validating_files`, `queued`, `running`, `succeeded`, `failed`, `cancelled`."""
    base: str = ""
    tuned: str = ""
    """The tuned model's name; empty while there is none."""
    tokens: int | None = None
    """Billable tokens trained on."""
    cause: str = ""
    """Why it failed, in one line."""
    training_file: str = ""
    validation_file: str = ""
    epochs: int | None = None
    settings: tuple[tuple[str, str], ...] = ()
    """What else is told of how it was trained: batch size, learning rate multiplier."""
    seconds: float = 0.0
    """From its creation to its end, as the provider's clock has it."""
    finished: float | None = None
    """When it ended, in seconds since 1970; None where it has not, or that is not told."""
    suffix: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    ask_again: float | None = None
    """Seconds after which the provider wants to be asked again; None where it does not say."""

    @property
    def ended(self) -> bool:
        """Nothing more will come of it."""
        return self.status in ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Event:
    """What a job says while it runs."""

    id: str
    text: str
    """One line."""
    share: float | None = None
    """Of all training steps done, 0..1, where it is told."""


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Files and jobs at the model's provider; open a `connection` around several calls."""

    model: EndpointModel
    client: Any = field(default=None, repr=False, compare=False)

    @contextmanager
    def connection(self) -> Iterator[FineTuning]:
        """The same over one connection."""
        with open_client(self.model) as client:
            yield FineTuning(self.model, client)

    @property
    def host(self) -> str:
        """Host and port, for sentences."""
        parts = split_address(self.model.base_url)
        return parts.netloc if parts else self.model.base_url

    def upload(self, name: str, data: bytes) -> str:
        """Send a file of training examples; its id.

        Raises:
            Refused, NoAnswer, TryLater
        """
        seconds = max(UPLOAD_SECONDS, self.model.timeout)
        made = self._called(lambda: self.client.files.create(file=(name, data), purpose=PURPOSE, timeout=seconds))
        return _id_of(made, "file")

    def files_named(self, start: str) -> dict[str, str]:
        """Name -> id of the uploaded files whose names begin like this, the latest of a name."""
        listed = self._called(lambda: list(islice(self.client.files.list(purpose=PURPOSE), MOST_LISTED)))
        found: dict[str, str] = {}
        for one in listed:
            name, file_id = getattr(one, "filename", None), getattr(one, "id", None)
            if isinstance(name, str) and isinstance(file_id, str) and name.startswith(start):
                found.setdefault(name, file_id)
        return found

    def delete(self, file_id: str) -> bool:
        """Delete a file; False where it stays. One that is gone already counts as deleted."""
        try:
            made = self._called(lambda: self.client.files.delete(file_id))
        except Refused as error:
            return error.status == 404
        except (NoAnswer, TryLater):
            return False
        return bool(getattr(made, "deleted", False))

    def create(self, fields: Mapping[str, Any]) -> Job:
        """Begin a job; sent once.

        Raises:
            Refused: there is no such job, and nothing is to be paid.
            NoAnswer: there may be one.
            TryLater: there is none yet.
        """
        once = self.client.with_options(max_retries=0)
        return self._job(self._called(lambda: once.fine_tuning.jobs.create(**fields)))

    def job(self, job_id: str) -> Job:
        """How a job is getting on.

        Raises:
            Refused, NoAnswer, TryLater
        """
        raw = self._called(lambda: self.client.fine_tuning.jobs.with_raw_response.retrieve(job_id))
        made = self._called(raw.parse)
        return self._job(made, ask_again=_seconds(raw.headers.get(POLL_HEADER)))

    def cancel(self, job_id: str) -> Job:
        """End a job.

        Raises:
            Refused, NoAnswer, TryLater
        """
        return self._job(self._called(lambda: self.client.fine_tuning.jobs.cancel(job_id)))

    def find(self, is_it: Callable[[Job], bool]) -> Job | None:
        """The latest job of which this holds.

        Raises:
            Refused, NoAnswer, TryLater
        """
        listed = self._called(lambda: list(islice(self.client.fine_tuning.jobs.list(limit=100), MOST_LISTED)))
        jobs = (self._job(one) for one in listed if getattr(one, "id", None))
        return next((job for job in jobs if is_it(job)), None)

    def events(self, job_id: str) -> Sequence[Event]:
        """The latest events of a job, oldest first.

        Raises:
            Refused, NoAnswer, TryLater
        """
        page = self._called(lambda: self.client.fine_tuning.jobs.list_events(job_id, limit=20))
        told = getattr(page, "data", None)
        return [self._event(one) for one in reversed(told if isinstance(told, list) else [])]

    def _called(self, call: Callable[[], T]) -> T:
        """What a call of the client gives, its errors without the key and in one line."""
        openai = client_library()
        try:
            return call()
        except openai.APIStatusError as error:
            text, status = said(error, self.model), int(error.status_code)
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:  # also an answer of another shape
            text, status = said(error, self.model), 0
        if status == TRY_LATER:
            raise TryLater(text)
        if status == 0 or status >= 500 or status in MAY_HAVE_PASSED:
            raise NoAnswer(text)
        raise Refused(text, status)

    def _job(self, made: Any, *, ask_again: float | None = None) -> Job:
        error = getattr(made, "error", None)
        created, finished = getattr(made, "created_at", None), getattr(made, "finished_at", None)
        tokens, metadata = getattr(made, "trained_tokens", None), getattr(made, "metadata", None)
        epochs, settings = _trained_how(made)
        return Job(
            _id_of(made, "fine-tuning job"),
            status=_text(getattr(made, "status", None)),
            base=_text(getattr(made, "model", None)),
            tuned=_text(getattr(made, "fine_tuned_model", None)),
            tokens=tokens if isinstance(tokens, int) and tokens >= 0 else None,
            cause=self.line(_text(getattr(error, "message", None)) or _text(getattr(error, "code", None))),
            training_file=_text(getattr(made, "training_file", None)),
            validation_file=_text(getattr(made, "validation_file", None)),
            epochs=epochs,
            settings=settings,
            seconds=float(max(0, finished - created)) if finished and created else 0.0,
            finished=float(finished) if finished else None,
            suffix=_text(getattr(made, "user_provided_suffix", None)),
            metadata=metadata if isinstance(metadata, dict) else {},
            ask_again=ask_again,
        )

    def _event(self, made: Any) -> Event:
        data = getattr(made, "data", None)
        step, steps = (data.get(name) for name in ("step", "total_steps")) if isinstance(data, dict) else (None, None)
        share = step / steps if isinstance(step, int) and isinstance(steps, int) and steps > 0 else None
        text = "" if getattr(made, "type", None) == "metrics" else self.line(_text(getattr(made, "message", None)))
        return Event(_text(getattr(made, "id", None)), text, share)

    def line(self, text: str) -> str:
        """The provider's words in one line, without the key."""
        return said(BakeoffError(text), self.model).removeprefix("The endpoint: ") if text else ""


def _id_of(made: Any, what: str) -> str:
    found = getattr(made, "id", None)
    if not isinstance(found, str) or not found:
        raise NoAnswer(f"The endpoint's answer is no {what}.")
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _trained_how(made: Any) -> tuple[int | None, tuple[tuple[str, str], ...]]:
    """Epochs, and the other settings that are told, from `method` or, as older servers have it, `hyperparameters`."""
    supervised = getattr(getattr(made, "method", None), "supervised", None)
    for told in (getattr(supervised, "hyperparameters", None), getattr(made, "hyperparameters", None)):
        names = {"batch size": "batch_size", "learning rate multiplier": "learning_rate_multiplier"}
        epochs = getattr(told, "n_epochs", None)
        if told is not None:
            values = {shown: getattr(told, name, None) for shown, name in names.items()}
            settings = tuple((shown, f"{v:g}") for shown, v in values.items() if isinstance(v, int | float))
            return epochs if isinstance(epochs, int) else None, settings
    return None, ()


def _seconds(milliseconds: str | None) -> float | None:
    try:
        found = float(milliseconds) / 1000 if milliseconds is not None else None
    except ValueError:
        return None
    return found if found is not None and 0 <= found <= 3600 else None
