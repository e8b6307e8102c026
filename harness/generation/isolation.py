"""Where a failure becomes data: one bad case costs only itself."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TypeVar

from harness.errors import BakeoffError, RunStopped
from harness.models.base import Completion, Job
from harness.scenario import REQUEST_SECONDS

T = TypeVar("T")

MORE_OF_A_BATCH = 0.05
"""Share of that time which each further request of a batch adds to the batch's."""

HANGING = 3
"""After so many requests in a row that took too long the rest of their batch is not waited for."""


class TookTooLong(BakeoffError):
    """A request was not answered in time."""


class BadAnswer(BakeoffError):
    """The model gave back something that is no answer."""


def attempt(call: Callable[[], T]) -> T | Exception:
    """What a call returns, or what it raised: the one broad `except` of the product.

    Raises:
        RunStopped: no case's failure.
    """
    try:
        return call()
    except RunStopped:
        raise
    except Exception as error:  # noqa: BLE001 - isolated here, recorded and counted by the caller
        return error


def said(error: Exception) -> str:
    """An error in one line, for the record; always text that can be written as UTF-8."""
    words = attempt(lambda: str(error))
    text = " ".join((words if isinstance(words, str) else "(it cannot be shown)").split())
    return f"{type(error).__name__}: {text}"[:400].encode(errors="replace").decode()


def completed(
    job: Job, batch: tuple[int, ...], *, seconds: float = REQUEST_SECONDS
) -> dict[int, Completion | Exception]:
    """The batch's completions; where it fails as a whole, or takes too long, each prompt alone."""
    limit = seconds * (1 + MORE_OF_A_BATCH * (len(batch) - 1))
    together = attempt(lambda: _answered(job, batch, limit))
    if not isinstance(together, Exception):
        return dict(zip(batch, together, strict=True))
    if len(batch) == 1:
        return {batch[0]: together}
    return _one_by_one(job, batch, seconds=seconds)


def only_answer(job: Job, *, seconds: float = REQUEST_SECONDS) -> Completion:
    """The answer of a job of one prompt.

    Raises:
        Exception: whatever went wrong.
    """
    found = completed(job, (0,), seconds=seconds)[0]
    if isinstance(found, Exception):
        raise found
    return found


def _one_by_one(job: Job, batch: tuple[int, ...], *, seconds: float) -> dict[int, Completion | Exception]:
    found: dict[int, Completion | Exception] = {}
    hanging = 0
    for index in batch:
        if hanging == HANGING:
            found[index] = TookTooLong(f"not asked: {HANGING} requests before it took longer than {seconds:g} seconds")
            continue
        found |= completed(job, (index,), seconds=seconds)
        hanging = hanging + 1 if isinstance(found[index], TookTooLong) else 0
    return found


def _answered(job: Job, batch: tuple[int, ...], limit: float) -> list[Completion | Exception]:
    """One answer a prompt, in time; an answer that is none stands as what is wrong with it.

    Raises:
        BadAnswer: there are not as many answers as prompts.
    """
    with time_limit(limit):
        answers = job.answer(batch)
    if not isinstance(answers, Sequence) or len(answers) != len(batch):
        count = len(answers) if isinstance(answers, Sequence) else type(answers).__name__
        raise BadAnswer(f"expected an answer to each of {len(batch)} prompts, got {count}")
    return [_checked(answer) for answer in answers]


def _checked(answer: object) -> Completion | Exception:
    if not isinstance(answer, Completion) or not isinstance(answer.text, str):
        return BadAnswer(f"expected a text, got {type(answer).__name__}")
    if not all(isinstance(count, int) and count >= 0 for count in (answer.tokens_in, answer.tokens_out)):
        return BadAnswer(f"expected counts of tokens, got {answer.tokens_in!r} and {answer.tokens_out!r}")
    if not isinstance(attempt(answer.text.encode), bytes):
        return BadAnswer("the answer holds halves of characters and cannot be written as UTF-8")
    return answer


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TookTooLong` in what runs inside after so many seconds.

    By a timer signal, which exists on Unix and reaches the main thread only; elsewhere there is no limit. A library
    that does not come back to Python cannot be interrupted.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"no answer within {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    left, every = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, every)
        signal.signal(signal.SIGALRM, before)
