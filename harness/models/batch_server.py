"""Batches as an OpenAI-compatible server offers them: a file of requests that is answered within a day
(https://platform.openai.com/docs/guides/batch). What goes over the wire, and nothing of what it is for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from harness.errors import RunStopped, UserError
from harness.models.endpoint import EndpointModel, client_library, http_library, open_client, said
from harness.models.endpoint_tuning import FineTuning

MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
"""What one batch may hold, at OpenAI and at Azure."""

PATH = "/v1/chat/completions"
MARK = "bakeoff"
"""Name of the mark that a batch is found again by."""

NOT_OFFERED = (404, 405, 501)
AGAIN = (408, 409, 429)
FIRST_WAIT, LONGEST_WAIT, GROWTH = 5.0, 60.0, 1.5
"""Seconds between two looks at a batch."""
SHORTEST_WAIT, LONGEST_HEEDED = 0.05, 3600.0
"""What is made of a `Retry-After` of nothing; the longest one that is taken at its word."""
SHORTEST_LOOK = 1.0
"""Seconds between two looks at least, whatever the server asks for."""
UNKNOWN_LOOKS, UNKNOWN_SECONDS = 5, 120.0
"""Looks in a row, and seconds, for which a server may say that it knows no such batch: another machine of it may."""
LONGEST_SILENCE = 1800.0
"""Seconds for which nothing need be heard of a batch."""
FILE_SECONDS = 600.0
"""Patience with a file of hundreds of megabytes."""
LOOKED_THROUGH = 1000
"""The latest batches among which one is looked for."""
MOST_TOLD = 300

ENDED = ("completed", "failed", "expired", "cancelled")
LOST = "lost"
"""The server does not know the batch any more, and it was given up."""
UNKNOWN = (404, 410)


class NotOffered(UserError):
    """The server offers no batches."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server says of a batch."""

    id: str
    status: str
    completed: int = 0
    """Requests that are through, failed ones included."""
    total: int = 0
    files: tuple[str, ...] = ()
    """Of its answers and its errors."""
    why: str = ""
    """What was wrong with the batch as a whole."""
    codes: tuple[str, ...] = ()
    wait: float | None = None
    """Seconds after which it wants to be asked again."""

    @property
    def ended(self) -> bool:
        """Nothing more comes of it."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class BatchServer:
    """Files and batches at an endpoint, with patience."""

    model: EndpointModel
    client: Any
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)

    @property
    def host(self) -> str:
        """Host and port, for sentences."""
        return FineTuning(self.model).host

    def require(self) -> None:
        """Look whether batches are offered, without sending anything.

        Raises:
            NotOffered: they are not.
            UserError: it cannot be found out.
        """
        # Some servers take files and do not list them (405): that they are refused is then seen when one is sent.
        self._asked(lambda: self.client.batches.list(limit=1), refused=NOT_OFFERED)
        self._asked(lambda: self.client.files.list(limit=1), refused=(404, 501), passed=(405,))

    def _asked(self, call: Callable[[], object], *, refused: Sequence[int], passed: Sequence[int] = ()) -> None:
        openai = client_library()
        try:
            call()
        except openai.APIStatusError as error:
            if error.status_code in refused:
                raise self._not_offered(error) from None
            if error.status_code not in passed:
                raise UserError(f"Nothing was sent to {self.model.base_url} yet. {said(error, self.model)}") from None
        except (openai.OpenAIError, ValueError) as error:
            raise UserError(f"Nothing was sent to {self.model.base_url} yet. {said(error, self.model)}") from None

    def _not_offered(self, error: Any) -> NotOffered:
        return NotOffered(
            f"{self.model.base_url} offers no batches (it answered with status {error.status_code}); nothing was sent "
            "in a batch. Run without batches (leave --batch out, or batch = false under [endpoint]): the same requests "
            "then go one by one."
        )

    def upload(self, name: str, data: bytes) -> str:
        """Put a file of requests there; gives its id.

        Raises:
            RunStopped: that failed.
        """
        openai = client_library()
        patient = self.client.with_options(timeout=max(FILE_SECONDS, self.model.timeout))
        try:
            found = getattr(patient.files.create(file=(name, data), purpose="batch"), "id", None)
        except openai.APIStatusError as error:
            if error.status_code in NOT_OFFERED:
                raise self._not_offered(error) from None
            raise self._stopped("The file of a batch could not be sent.", error) from None
        except (openai.OpenAIError, ValueError) as error:
            raise self._stopped("The file of a batch could not be sent.", error) from None
        if not isinstance(found, str) or not found:
            raise self._stopped("The file of a batch got no id.")
        return found

    def create(self, file: str, mark: str) -> Seen:
        """Begin a batch with this file. An attempt of which nothing was heard may have begun it: it is looked for
        before the next one.

        Raises:
            NotOffered: there are no batches.
            RunStopped: it could not be begun.
        """
        openai, once = client_library(), self.client.with_options(max_retries=0)
        last: Exception | None = None
        for attempt in range(self.model.retries + 1):
            if attempt:
                self.sleep(wait_after(last) or min(LONGEST_WAIT, FIRST_WAIT * GROWTH ** (attempt - 1)))
                found = self.find(file, mark)
                if found is not None:
                    return found
            try:
                made = once.batches.create(
                    input_file_id=file, endpoint=PATH, completion_window="24h", metadata={MARK: mark}
                )
            except openai.APIStatusError as error:
                if error.status_code in NOT_OFFERED:
                    raise self._not_offered(error) from None
                last = error
                if error.status_code not in AGAIN and error.status_code < 500:
                    break
            except (openai.OpenAIError, ValueError) as error:
                last = error
            else:
                seen = _seen(made)
                if seen.id:
                    return seen
                last = ValueError("it gave the batch no id")
        raise self._stopped("A batch could not be begun.", last) from None

    def find(self, file: str, mark: str) -> Seen | None:
        """The batch that was begun from this file with this mark; some servers forget marks.

        Raises:
            RunStopped: nobody can say.
        """
        openai = client_library()
        try:
            for one in islice(self.client.batches.list(limit=100), LOOKED_THROUGH):
                metadata, its_file = getattr(one, "metadata", None), getattr(one, "input_file_id", None)
                its_mark = metadata.get(MARK) if isinstance(metadata, Mapping) else None
                if (its_mark, its_file) in ((mark, file), (mark, None), (None, file)):
                    return _seen(one)
        except (openai.OpenAIError, ValueError) as error:
            raise self._stopped("Whether a batch is under way already could not be found out.", error) from None
        return None

    def look(self, batch: str) -> Seen | Exception:
        """How far a batch is, or why that is not known now.

        Raises:
            RunStopped: the server refuses to say.
        """
        openai = client_library()
        try:
            raw = self.client.with_options(max_retries=0).batches.with_raw_response.retrieve(batch)
            seen = _seen(raw.parse(), wait=waiting_time(raw.headers))
            return replace(seen, id=batch) if seen.status else ValueError("it said nothing that describes a batch")
        except openai.APIStatusError as error:
            if is_unknown(error) or error.status_code in AGAIN or error.status_code >= 500:
                return _heard(error)
            raise self._stopped(f"Batch {batch} could not be looked at.", error) from None
        except (openai.OpenAIError, ValueError) as error:
            return _heard(error)

    def gone(self, batch: str, error: Exception) -> RunStopped:
        """What to say where nothing was heard of a batch for long."""
        return self._stopped(f"Nothing is heard of batch {batch} any more; it goes on at the endpoint.", error)

    def unknown(self, what: str, error: Exception) -> RunStopped:
        """What to say where the server goes on not to know something."""
        return RunStopped(
            f"The endpoint does not know {what}, asked again and again. {said(error, self.model)} The batch stays "
            "noted as under way: where the key is that of another project or account, set the right one, and the same "
            "command goes on with it. Where it is gone for good, the same command with --retry-errors counts it at its "
            "worst case and sends its requests again."
        )

    def file_named(self, name: str) -> str:
        """Id of a file that was sent under this name; empty where there is none, or nobody can say."""
        openai = client_library()
        try:
            for one in islice(self.client.files.list(purpose="batch"), LOOKED_THROUGH):
                if getattr(one, "filename", None) == name:
                    return _text(one, "id")
        except (openai.OpenAIError, ValueError):
            return ""
        return ""

    def delete(self, file: str) -> bool:
        """Delete a file; False where it stays."""
        return FineTuning(self.model, self.client).delete(file)

    def lines(self, file: str) -> list[bytes] | Exception:
        """The lines of a file of results, or why the server does not know it.

        Raises:
            RunStopped: it cannot be fetched now.
        """
        openai = client_library()
        patient = self.client.with_options(timeout=max(FILE_SECONDS, self.model.timeout))
        try:
            data: bytes = patient.files.content(file).content
        except openai.APIStatusError as error:
            if is_unknown(error):
                return _heard(error)
            raise self._stopped("The results of a batch could not be fetched; they wait there.", error) from None
        except openai.OpenAIError as error:
            raise self._stopped("The results of a batch could not be fetched; they wait there.", error) from None
        return [line for line in data.split(b"\n") if line.strip()]

    def _stopped(self, what: str, error: Exception | None = None) -> RunStopped:
        why = f" {said(error, self.model)}" if error is not None else ""
        return RunStopped(f"{what}{why} What was answered is kept; the same command goes on from there.")


def _seen(batch: Any, *, wait: float | None = None) -> Seen:
    """What a batch object says; anything may stand in it."""
    counts = getattr(batch, "request_counts", None)
    completed, failed, total = (_count(counts, name) for name in ("completed", "failed", "total"))
    files = [getattr(batch, name, None) for name in ("output_file_id", "error_file_id")]
    faults = [one for one in getattr(getattr(batch, "errors", None), "data", None) or () if one is not None]
    texts = [str(getattr(one, "message", None) or getattr(one, "code", None) or "") for one in faults]
    return Seen(
        _text(batch, "id"),
        _text(batch, "status"),
        completed + failed,
        total,
        tuple(one for one in files if isinstance(one, str) and one),
        _one_line(texts),
        tuple(code for one in faults if isinstance(code := getattr(one, "code", None), str)),
        wait,
    )


def _one_line(texts: Sequence[str]) -> str:
    line = " ".join(" ".join(dict.fromkeys(filter(None, texts))).split())
    return line.encode(errors="replace").decode()[:MOST_TOLD]


def _text(batch: Any, name: str) -> str:
    found = getattr(batch, name, None)
    return found if isinstance(found, str) else ""


def _count(counts: Any, name: str) -> int:
    found = getattr(counts, name, None)
    return found if isinstance(found, int) and found > 0 else 0


def is_unknown(error: Exception) -> bool:
    """Whether a server says that there is no such thing."""
    return getattr(error, "status_code", None) in UNKNOWN


def waiting_time(headers: Mapping[str, str]) -> float | None:
    """Seconds that a response asks to wait for; None where it does not say."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:  # nothing, or a date
            continue
        if 0 <= seconds <= LONGEST_HEEDED:
            return max(seconds, SHORTEST_WAIT)
    return None


def wait_after(error: Exception | None) -> float | None:
    """Seconds that a failed request was told to wait for."""
    response = getattr(error, "response", None)
    return waiting_time(response.headers) if response is not None else None


def _heard(error: Exception) -> Exception:
    """The client's error, whose type is not known here."""
    return error


@contextmanager
def line_writer(model: EndpointModel) -> Iterator[Callable[[str, Mapping[str, Any]], bytes]]:
    """Writes lines of a batch's file: (custom id, fields) -> line.

    The body is what the official client sends for a single request, byte for byte: it makes it and, in the place of
    the network, hands it over here.
    """
    http, caught = http_library(), list[bytes]()

    def catch(request: Any) -> Any:
        caught.append(request.read())
        return http.Response(200, json={"choices": []})

    with open_client(model, transport=http.MockTransport(catch)) as client:

        def written(custom_id: str, fields: Mapping[str, Any]) -> bytes:
            caught.clear()
            client.chat.completions.create(**fields)
            head = json.dumps({"custom_id": custom_id, "method": "POST", "url": PATH})
            return head[:-1].encode() + b', "body": ' + caught[0] + b"}\n"

        yield written
