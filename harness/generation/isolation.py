"""Where a failure becomes data: one bad case costs only itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.models.base import Completion, Job

T = TypeVar("T")


def attempt(call: Callable[[], T]) -> T | Exception:
    """What a call returns, or what it raised: the one broad `except` of the product."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - isolated here, recorded and counted by the caller
        return error


def said(error: Exception) -> str:
    """An error in one line, for the record."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:400]


def completed(job: Job, batch: tuple[int, ...]) -> dict[int, Completion | Exception]:
    """The batch's completions; where it fails as a whole, each prompt alone."""
    together = attempt(lambda: job.answer(batch))
    if not isinstance(together, Exception):
        return dict(zip(batch, together, strict=True))
    if len(batch) == 1:
        return {batch[0]: together}
    return {index: completed(job, (index,))[index] for index in batch}
